//! Writes the rows of one stream to its table.

use cdk_core::destination::columns::{Cell, Columns, FieldChange, RowReader};
use cdk_core::destination::meta_columns::{MetaWriter, RawIds};
use cdk_core::{ConnectorError, JsonRows, Result, Row};
use rusqlite::Connection;

use crate::error::{SqliteContext, explained};
use crate::row::{Refused, RowStatement, RowValues, SameForAll};
use crate::statements::Statements;
use crate::table::Table;

/// Writes rows to one table.
#[derive(Debug)]
pub(crate) struct Writer {
    table: Table,
    columns: Columns,
    reader: RowReader,
    meta: MetaWriter,
    ids: RawIds,
    same: SameForAll,
    statements: Statements,
    /// Values nulled since [`Writer::take_nulled`].
    nulled: u64,
}

/// Why writing stops before the end of a batch.
enum Pause {
    /// This column has to be widened for the next row.
    Widen(usize),
    Failed(ConnectorError),
}

impl From<ConnectorError> for Pause {
    fn from(error: ConnectorError) -> Self {
        Self::Failed(error)
    }
}

impl Writer {
    pub(crate) fn new(
        table: Table,
        columns: Columns,
        meta: MetaWriter,
        generation_id: i64,
    ) -> Self {
        Self {
            reader: RowReader::new(&columns),
            statements: Statements::of(&table),
            ids: RawIds::new(),
            nulled: 0,
            same: SameForAll {
                generation_id,
                plain_meta: meta.plain().to_owned(),
            },
            table,
            columns,
            meta,
        }
    }

    /// The table as it is now.
    pub(crate) fn table(&self) -> &Table {
        &self.table
    }

    /// How many values were nulled since the last call.
    pub(crate) fn take_nulled(&mut self) -> u64 {
        std::mem::take(&mut self.nulled)
    }

    /// Writes all rows, then removes those that are marked as deleted. `now_ms` is the time of the ids.
    pub(crate) fn write(
        &mut self,
        connection: &mut Connection,
        rows: &JsonRows,
        now_ms: i64,
    ) -> Result<()> {
        self.ids.set_time(now_ms);
        let mut rows = rows.iter();
        let mut next = rows.next();
        let mut has_deleted = false;
        while next.is_some() {
            match self.write_until(connection, &mut next, &mut rows, &mut has_deleted) {
                Ok(()) => {}
                Err(Pause::Widen(column)) => self.widen(connection, column)?,
                Err(Pause::Failed(error)) => return Err(error),
            }
        }
        if has_deleted {
            self.remove_deleted(connection)
        } else {
            Ok(())
        }
    }

    fn remove_deleted(&self, connection: &Connection) -> Result<()> {
        let Some(sql) = &self.statements.remove_deleted else {
            return Ok(());
        };
        let removed = connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute([]));
        removed.map(drop).sqlite(|| doing(&self.table))
    }

    fn widen(&mut self, connection: &mut Connection, column: usize) -> Result<()> {
        let savepoint = connection.savepoint().sqlite(|| doing(&self.table))?;
        self.table.widen(&savepoint, column)?;
        savepoint.commit().sqlite(|| doing(&self.table))?;
        self.statements = Statements::of(&self.table);
        Ok(())
    }

    /// Writes `next` and the rows after it; on a pause `next` is the row that was not written.
    fn write_until<'a>(
        &mut self,
        connection: &Connection,
        next: &mut Option<Row<'a>>,
        rows: &mut impl Iterator<Item = Row<'a>>,
        has_deleted: &mut bool,
    ) -> Result<(), Pause> {
        let table = &self.table;
        let doing = || doing(table);
        let statement = RowStatement::new(connection, &self.statements.write, &self.same);
        let mut statement = statement.sqlite(doing)?;
        let mut cells = Vec::with_capacity(self.columns.len());
        let mut id = [0; 36];
        while let Some(row) = *next {
            self.reader.read(row.data, &mut cells)?;
            let changes = self.reader.changes();
            self.check_key(changes)?;
            let is_changed = row.meta().is_some() || !changes.is_empty();
            let values = RowValues {
                raw_id: self.ids.next_id().hyphenated().encode_lower(&mut id),
                extracted_at: row.emitted_at,
                changed_meta: match is_changed {
                    true => Some(self.meta.write(&row, &self.columns, changes)?),
                    false => None,
                },
                cells: &cells,
            };
            let nulled = changes.len() as u64;
            if has_null_key(&self.table, &cells) {
                // Nulls differ from one another in a unique index.
                for sql in &self.statements.null_key {
                    let statement = RowStatement::new(connection, sql, &self.same);
                    let mut statement = statement.sqlite(doing)?;
                    written(statement.write(&values, &self.table.columns), doing)?;
                }
            } else {
                written(statement.write(&values, &self.table.columns), doing)?;
            }
            self.nulled += nulled;
            *has_deleted |= self
                .table
                .deleted_at
                .is_some_and(|at| cells.get(at) != Some(&Cell::Null));
            *next = rows.next();
        }
        Ok(())
    }

    /// A key that was nulled because it does not fit its column would merge the row with strangers.
    fn check_key(&self, changes: &[FieldChange]) -> Result<()> {
        let (true, Some(key)) = (self.table.is_deduped, &self.table.key) else {
            return Ok(());
        };
        let Some(misfit) = changes.iter().find(|change| key.contains(&change.column)) else {
            return Ok(());
        };
        let column = &self.columns.as_slice()[misfit.column];
        Err(ConnectorError::config(format!(
            "A row has a value in its primary key field `{}` that is not of the type the schema declares \
             ({:?}), so it can't be told from other rows. Mend the schema or the data, or sync the stream \
             without deduplication.",
            column.name, column.data_type
        )))
    }
}

fn doing(table: &Table) -> String {
    format!("write to table `{}`", table.name)
}

fn written(
    written: std::result::Result<(), Refused>,
    doing: impl FnOnce() -> String,
) -> std::result::Result<(), Pause> {
    written.map_err(|refused| match refused {
        Refused::Column(column) => Pause::Widen(column),
        Refused::Sqlite(error) => Pause::Failed(explained(error, &doing())),
    })
}

fn has_null_key(table: &Table, cells: &[Cell<'_>]) -> bool {
    let Some(key) = table.key.as_ref().filter(|_| table.is_deduped) else {
        return false;
    };
    key.iter().any(|at| cells.get(*at) == Some(&Cell::Null))
}
