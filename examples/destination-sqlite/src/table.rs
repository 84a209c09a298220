//! A stream's table: created, altered, rebuilt and swapped.

use airbyte_protocol::ConfiguredAirbyteStream;
use cdk_core::destination::columns::Columns;
use cdk_core::destination::generation::Generation;
use cdk_core::destination::meta_columns::{
    CDC_DELETED_AT, EXTRACTED_AT, GENERATION_ID, META, META_COLUMNS, RAW_ID,
};
use cdk_core::{ConnectorError, Result};
use rusqlite::{Connection, OptionalExtension};

use crate::cursor::CursorOrder;
use crate::error::SqliteContext;
use crate::index;
use crate::names::{self, quoted};
use crate::storage::Storage;

/// A table and what the stream wants of it. Columns are in the order of the stream's fields.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) columns: Vec<TableColumn>,
    /// Columns by which rows are the same, if the stream has a key.
    pub(crate) key: Option<Vec<usize>>,
    /// The column that tells which of two rows is newer; without one, the time of extraction does.
    pub(crate) cursor: Option<usize>,
    /// Whether only the newest row of a key stays.
    pub(crate) is_deduped: bool,
    /// The column that tells that a row was deleted, where deleted rows are to go.
    pub(crate) deleted_at: Option<usize>,
    /// Columns that an earlier schema of the stream had.
    pub(crate) removed: Vec<String>,
}

/// A column of a stream's table.
#[derive(Debug, Clone)]
pub(crate) struct TableColumn {
    pub(crate) name: String,
    pub(crate) storage: Storage,
    pub(crate) order: CursorOrder,
}

/// A column as the database has it.
#[derive(Debug)]
struct Existing {
    name: String,
    declared: String,
}

impl Table {
    /// The table as the stream wants it.
    pub(crate) fn of(
        stream: &ConfiguredAirbyteStream,
        columns: &Columns,
        name: String,
    ) -> Result<Self> {
        let is_deduped = Generation::of(stream).dedups();
        let (mut key, mut cursor) = (columns.key(stream), columns.cursor(stream));
        if !is_deduped {
            // Only needed to merge what a resumed overwrite brings twice.
            key = Ok(key.unwrap_or_default());
            cursor = Ok(None);
        }
        let names = names::columns(columns).into_iter();
        let typed = names.zip(columns.as_slice()).map(|(name, column)| {
            let storage = Storage::of_type(&column.data_type);
            let order = CursorOrder::of(&column.data_type, storage);
            TableColumn {
                name,
                storage,
                order,
            }
        });
        Ok(Self {
            name,
            columns: typed.collect(),
            key: key?,
            cursor: cursor?,
            is_deduped,
            deleted_at: columns.position(CDC_DELETED_AT).filter(|_| is_deduped),
            removed: Vec::new(),
        })
    }

    /// The names of the columns at `positions`, quoted.
    pub(crate) fn quoted_columns(&self, positions: &[usize]) -> Vec<String> {
        positions
            .iter()
            .filter_map(|at| Some(quoted(&self.columns.get(*at)?.name)))
            .collect()
    }

    /// Creates the table, or brings the existing one to the stream's schema: new columns are added,
    /// changed types widened, removed columns kept. `known` are all columns the stream ever had.
    ///
    /// Returns what changed, for people.
    pub(crate) fn ensure(
        &mut self,
        connection: &Connection,
        known: &[String],
    ) -> Result<Vec<String>> {
        let doing = || format!("prepare table `{}`", self.name);
        let mut changes = Vec::new();
        if exists(connection, &self.name).sqlite(doing)? {
            let existing = self.existing(connection)?;
            changes = self.alter(connection, &existing)?;
            self.removed = known
                .iter()
                .filter(|name| self.is_removed(name, &existing))
                .cloned()
                .collect();
        } else {
            let create = self.create_sql(&self.name, &[]);
            connection.execute_batch(&create).sqlite(doing)?;
        }
        self.refresh_orders();
        index::ensure(connection, self)?;
        Ok(changes)
    }

    fn is_removed(&self, name: &str, existing: &[Existing]) -> bool {
        let is_it = |other: &str| other.eq_ignore_ascii_case(name);
        existing.iter().any(|column| is_it(&column.name))
            && !self.columns.iter().any(|column| is_it(&column.name))
            && !META_COLUMNS.iter().any(|column| is_it(column))
    }

    /// How a column's values compare depends on their storage.
    fn refresh_orders(&mut self) {
        for column in &mut self.columns {
            let is_number = column.order == CursorOrder::Decimal
                || matches!(
                    column.storage,
                    Storage::Integer | Storage::Real | Storage::Exact
                );
            if is_number && column.order != CursorOrder::Time {
                column.order = match column.storage {
                    Storage::Exact | Storage::Text => CursorOrder::Decimal,
                    _ => CursorOrder::Plain,
                };
            }
        }
    }

    fn create_sql(&self, name: &str, others: &[(String, String)]) -> String {
        let mut columns: Vec<String> = META_COLUMNS
            .iter()
            .map(|column| {
                let declared = if *column == GENERATION_ID {
                    "INTEGER"
                } else {
                    "TEXT"
                };
                format!("{} {declared} NOT NULL", quoted(column))
            })
            .collect();
        let typed = self.columns.iter();
        columns.extend(
            typed.map(|column| format!("{} {}", quoted(&column.name), column.storage.declared())),
        );
        columns.extend(
            others
                .iter()
                .map(|(name, declared)| format!("{} {declared}", quoted(name))),
        );
        format!("CREATE TABLE {} ({})", quoted(name), columns.join(", "))
    }

    /// The columns that the table has, after a check that it is one of ours.
    fn existing(&self, connection: &Connection) -> Result<Vec<Existing>> {
        existing(connection, &self.name)
    }

    fn alter(&mut self, connection: &Connection, existing: &[Existing]) -> Result<Vec<String>> {
        let mut changes = Vec::new();
        let mut old_storages = Vec::new();
        let table = quoted(&self.name);
        for column in &mut self.columns {
            let is_it = |old: &&Existing| old.name.eq_ignore_ascii_case(&column.name);
            let Some(old) = existing.iter().find(is_it) else {
                let (name, declared) = (quoted(&column.name), column.storage.declared());
                let add = format!("ALTER TABLE {table} ADD COLUMN {name} {declared}");
                connection
                    .execute_batch(&add)
                    .sqlite(|| format!("add column `{}` to table `{}`", column.name, self.name))?;
                changes.push(format!("column `{}` was added", column.name));
                continue;
            };
            let old_storage = Storage::of_declared(&old.declared);
            column.storage = old_storage.widen(column.storage);
            if !column
                .storage
                .declared()
                .eq_ignore_ascii_case(&old.declared)
            {
                changes.push(format!("column `{}` was widened", column.name));
                old_storages.push((column.name.clone(), old_storage));
            }
        }
        if !old_storages.is_empty() {
            self.rebuild(connection, &old_storages)?;
        }
        Ok(changes)
    }

    /// Widens one column so that it keeps every number exactly.
    pub(crate) fn widen(&mut self, connection: &Connection, at: usize) -> Result<()> {
        let Some(column) = self.columns.get_mut(at) else {
            return Ok(());
        };
        let old = std::mem::replace(&mut column.storage, Storage::Exact);
        let widened = [(column.name.clone(), old)];
        self.rebuild(connection, &widened)?;
        self.refresh_orders();
        index::ensure(connection, self)
    }

    /// Copies the table into one with the columns wanted now. `widened` have another storage there.
    fn rebuild(&self, connection: &Connection, widened: &[(String, Storage)]) -> Result<()> {
        let existing = self.existing(connection)?;
        let is_other = |old: &&Existing| {
            !META_COLUMNS
                .iter()
                .any(|name| old.name.eq_ignore_ascii_case(name))
                && !self
                    .columns
                    .iter()
                    .any(|column| old.name.eq_ignore_ascii_case(&column.name))
        };
        let others = existing.iter().filter(is_other);
        let others: Vec<_> = others
            .map(|old| (old.name.clone(), old.declared.clone()))
            .collect();
        let new = names::rebuild(&self.name);
        let names = existing.iter().map(|old| quoted(&old.name));
        let values = existing.iter().map(|old| {
            let was = widened
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(&old.name));
            let is_it = |column: &&TableColumn| column.name.eq_ignore_ascii_case(&old.name);
            let name = quoted(&old.name);
            match (was, self.columns.iter().find(is_it)) {
                (Some((_, was)), Some(column)) => was.converted(column.storage, &name),
                _ => name,
            }
        });
        let copy = format!(
            "{};\nINSERT INTO {} ({}) SELECT {} FROM {} ORDER BY rowid",
            self.create_sql(&new, &others),
            quoted(&new),
            names.collect::<Vec<_>>().join(", "),
            values.collect::<Vec<_>>().join(", "),
            quoted(&self.name)
        );
        let doing = || format!("widen the columns of table `{}`", self.name);
        connection.execute_batch(&copy).sqlite(doing)?;
        swap(connection, &new, &self.name)
    }
}

/// The columns of a table, after a check that this connector made it.
fn existing(connection: &Connection, name: &str) -> Result<Vec<Existing>> {
    let doing = || format!("read the columns of table `{name}`");
    let mut statement = connection
        .prepare("SELECT name, type FROM pragma_table_info(?1)")
        .sqlite(doing)?;
    let rows = statement.query_map([&name], |row| {
        Ok(Existing {
            name: row.get(0)?,
            declared: row.get(1)?,
        })
    });
    let existing: Vec<_> = rows.and_then(Iterator::collect).sqlite(doing)?;
    let has = |name: &&str| {
        existing
            .iter()
            .any(|column| column.name.eq_ignore_ascii_case(name))
    };
    if [RAW_ID, EXTRACTED_AT, META, GENERATION_ID].iter().all(has) {
        return Ok(existing);
    }
    Err(ConnectorError::config(format!(
        "`{}` exists already and was not made by this connector: it has no columns `_airbyte_…`. Set \
         `table_prefix`, or rename or drop it.",
        name
    )))
}

/// Refuses to replace a table that this connector did not make.
pub(crate) fn check_ours(connection: &Connection, name: &str) -> Result<()> {
    existing(connection, name).map(drop)
}

/// Whether there is a table or view of this name.
pub(crate) fn exists(connection: &Connection, name: &str) -> rusqlite::Result<bool> {
    let sql =
        "SELECT 1 FROM sqlite_schema WHERE type IN ('table', 'view') AND name = ?1 COLLATE NOCASE";
    Ok(connection
        .prepare_cached(sql)?
        .query_row([name], |_| Ok(()))
        .optional()?
        .is_some())
}

/// Drops a table, if there is one.
pub(crate) fn drop_table(connection: &Connection, name: &str) -> Result<()> {
    let drop = format!("DROP TABLE IF EXISTS {}", quoted(name));
    connection
        .execute_batch(&drop)
        .sqlite(|| format!("drop table `{name}`"))
}

/// Puts the table `new` in the place of `visible`. Indexes and triggers that users made on the old
/// table are made again; views see the new rows.
pub(crate) fn swap(connection: &Connection, new: &str, visible: &str) -> Result<()> {
    let doing = || format!("replace table `{visible}`");
    let extras = user_objects(connection, visible).sqlite(doing)?;
    drop_table(connection, visible)?;
    let rename = format!("ALTER TABLE {} RENAME TO {}", quoted(new), quoted(visible));
    connection.execute_batch(&rename).sqlite(doing)?;
    for (name, sql) in extras {
        connection.execute_batch(&sql).sqlite(|| {
            format!("make `{name}` again on the new table `{visible}`: drop it, or let it fit the stream")
        })?;
    }
    Ok(())
}

/// Name and SQL of the indexes and triggers on a table that are not ours.
fn user_objects(connection: &Connection, table: &str) -> rusqlite::Result<Vec<(String, String)>> {
    let mut statement = connection.prepare_cached(
        "SELECT name, sql FROM sqlite_schema WHERE type IN ('index', 'trigger') AND sql IS NOT NULL \
         AND tbl_name = ?1 COLLATE NOCASE ORDER BY rowid",
    )?;
    let all: Vec<(String, String)> = statement
        .query_map([table], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    Ok(all
        .into_iter()
        .filter(|(name, _)| !name.starts_with(names::INDEX))
        .collect())
}
