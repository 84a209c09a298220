//! A normalized table and the temporary one that its rows are staged in.

use cdk_core::destination::columns::Cell;
use cdk_core::destination::names::hash;
use cdk_core::{ConnectorError, Result};
use cdk_normalize::{Keys, Mode, Role, Table as Planned};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Statement};

use crate::cursor::CursorOrder;
use crate::error::SqliteContext;
use crate::names::{self, quoted};
use crate::storage::Storage;
use crate::table;

/// A table of a plan in the file.
#[derive(Debug)]
pub(super) struct FlatTable {
    pub(super) name: String,
    columns: Vec<Column>,
}

#[derive(Debug)]
struct Column {
    name: String,
    role: Role,
    storage: Storage,
    order: CursorOrder,
}

/// The temporary table for the rows of table number `at`, as in a statement.
pub(super) fn staged(at: usize) -> String {
    format!("temp._airbyte_flat_{at}")
}

impl FlatTable {
    pub(super) fn new(planned: &Planned, mode: Mode) -> Self {
        let column = |(name, role): (&str, Role)| {
            let field = match role {
                Role::Field(at) => planned.columns.get(at),
                _ => None,
            };
            let storage = field.map_or(Storage::Text, |field| {
                match Storage::of_type(&field.data_type) {
                    // Every number as it is.
                    Storage::Integer | Storage::Real => Storage::Exact,
                    storage => storage,
                }
            });
            let order = field.map_or(CursorOrder::Plain, |field| {
                CursorOrder::of(&field.data_type, storage)
            });
            Column {
                name: name.to_owned(),
                role,
                storage,
                order,
            }
        };
        Self {
            name: planned.name.clone(),
            columns: planned.layout(mode).into_iter().map(column).collect(),
        }
    }

    /// The expression by which the values of the plan's column number `at` compare.
    pub(super) fn comparable(&self, at: usize, expression: &str) -> String {
        let column = self
            .columns
            .iter()
            .find(|column| column.role == Role::Field(at));
        column.map_or(expression.to_owned(), |column| column.order.key(expression))
    }

    /// Creates the table, or brings it to the plan, and makes the temporary one. Says whether its rows are gone.
    pub(super) fn prepare(
        &self,
        connection: &Connection,
        at: usize,
        keys: Option<&Keys>,
    ) -> Result<bool> {
        let doing = || format!("prepare table `{}`", self.name);
        let is_there = table::exists(connection, &self.name).sqlite(doing)?;
        let is_same = is_there && self.is_same(connection)?;
        if !is_there {
            let create = self.create_sql(&quoted(&self.name));
            connection.execute_batch(&create).sqlite(doing)?;
        } else if !is_same {
            // All rows are made again, with the columns of now; what users hung on the table stays.
            let new = names::rebuild(&self.name);
            let create = self.create_sql(&quoted(&new));
            connection.execute_batch(&create).sqlite(doing)?;
            table::swap(connection, &new, &self.name)?;
        }
        if let Some(keys) = keys {
            self.index(connection, at, keys)?;
        }
        let create = self
            .create_sql(&staged(at))
            .replacen("CREATE TABLE", "CREATE TEMP TABLE", 1);
        let create = create.replacen("temp.", "", 1);
        connection.execute_batch(&create).sqlite(doing)?;
        Ok(!is_same)
    }

    /// Whether the table has the columns of the plan. A config error when it is none of ours.
    fn is_same(&self, connection: &Connection) -> Result<bool> {
        let existing: Vec<(String, String)> = connection
            .prepare("SELECT name, type FROM pragma_table_info(?1)")
            .and_then(|mut statement| {
                let rows =
                    statement.query_map([&self.name], |row| Ok((row.get(0)?, row.get(1)?)))?;
                rows.collect()
            })
            .sqlite(|| format!("read the columns of table `{}`", self.name))?;
        let has = |role: Role| {
            let own = self.columns.iter().filter(|column| column.role == role);
            own.clone()
                .all(|column| existing.iter().any(|(name, _)| *name == column.name))
        };
        if !has(Role::AbId) || !has(Role::NormalizedAt) {
            return Err(ConnectorError::config(format!(
                "`{}` exists already and was not made by a normalization: it has no columns `_airbyte_…`. Set \
                 `table_prefix`, or rename or drop it.",
                self.name
            )));
        }
        let wanted = self
            .columns
            .iter()
            .map(|column| (column.name.as_str(), column.storage.declared()));
        Ok(wanted.eq(existing
            .iter()
            .map(|(name, declared)| (name.as_str(), declared.as_str()))))
    }

    fn create_sql(&self, name: &str) -> String {
        let columns = self.columns.iter();
        let columns =
            columns.map(|column| format!("{} {}", quoted(&column.name), column.storage.declared()));
        format!(
            "CREATE TABLE {name} ({})",
            columns.collect::<Vec<_>>().join(", ")
        )
    }

    /// The statement that stages a row.
    pub(super) fn insert_sql(&self, at: usize) -> String {
        let parameters: Vec<_> = (1..=self.columns.len())
            .map(|at| format!("?{at}"))
            .collect();
        format!(
            "INSERT INTO {} VALUES ({})",
            staged(at),
            parameters.join(", ")
        )
    }

    /// Runs that statement for one row; `text` gives the values that are not the record's.
    pub(super) fn bind<'a>(
        &self,
        insert: &mut Statement<'_>,
        text: impl Fn(Role) -> &'a str,
        cells: &[Cell<'_>],
    ) -> rusqlite::Result<()> {
        for (at, column) in self.columns.iter().enumerate() {
            let value = match column.role {
                Role::Field(field) => cells.get(field).and_then(|cell| column.storage.bind(cell)),
                role => Some(ToSqlOutput::Borrowed(ValueRef::Text(text(role).as_bytes()))),
            };
            insert.raw_bind_parameter(
                at + 1,
                value.unwrap_or(ToSqlOutput::Borrowed(ValueRef::Null)),
            )?;
        }
        insert.raw_execute().map(drop)
    }

    /// Rows are found by the id of their raw row, and those of the stream's own table by their key.
    fn index(&self, connection: &Connection, at: usize, keys: &Keys) -> Result<()> {
        let named = |role: Role| {
            let column = self.columns.iter().find(|column| column.role == role)?;
            Some(quoted(&column.name))
        };
        let mut wanted: Vec<Vec<String>> = vec![named(Role::AbId).into_iter().collect()];
        if at == 0 {
            wanted.push(
                keys.columns
                    .iter()
                    .filter_map(|at| named(Role::Field(*at)))
                    .collect(),
            );
        }
        for columns in wanted {
            let on = format!("{} ({})", quoted(&self.name), columns.join(", "));
            let name = quoted(&format!("_airbyte_flat_{:016x}", hash(&on)));
            let create = format!("CREATE INDEX IF NOT EXISTS {name} ON {on}");
            connection
                .execute_batch(&create)
                .sqlite(|| format!("index table `{}`", self.name))?;
        }
        Ok(())
    }
}
