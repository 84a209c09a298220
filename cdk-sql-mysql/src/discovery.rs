//! Discovery: tables, columns and keys out of `information_schema`.

use std::collections::{HashMap, HashSet};

use airbyte_protocol::types::AirbyteType;
use cdk_core::Result;
use cdk_sql::{Column, Table};

use crate::column::Kind;
use crate::error::{Place, explain};
use crate::literal::{name, text};
use crate::wire::{Connection, Failure, Flavor};

/// What to look for.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// The database.
    pub database: String,
    /// Patterns of LIKE, one of which a table's name must match; empty for all tables.
    pub patterns: Vec<String>,
    /// Whether tables that can't be read are left out, which takes one query for each.
    pub is_access_checked: bool,
}

/// A text that `information_schema` always gives.
fn given(value: Option<String>) -> String {
    value.unwrap_or_default()
}

/// Finds the tables and views, in the order of their names.
pub async fn tables(connection: &mut Connection, wanted: &Wanted) -> Result<Vec<Table>> {
    let place = Place::Server(format!("with database `{}`", wanted.database));
    let found = Discovery::read(connection, wanted).await;
    let mut tables = found.map_err(|failure| explain(failure, &place))?;
    if wanted.is_access_checked {
        let mut readable = Vec::with_capacity(tables.len());
        for table in tables {
            if can_read(connection, &table).await? {
                readable.push(table);
            }
        }
        tables = readable;
    }
    Ok(tables)
}

struct Discovery<'a> {
    connection: &'a mut Connection,
    database: String,
}

impl Discovery<'_> {
    async fn read(connection: &mut Connection, wanted: &Wanted) -> Result<Vec<Table>, Failure> {
        let mut this = Discovery {
            connection,
            database: text(&wanted.database),
        };
        let mut tables = this.names(wanted).await?;
        let json = checked_json(this.connection, &this.database, "").await?;
        let mut columns = this.columns(&json).await?;
        let mut keys = this.keys().await?;
        for table in &mut tables {
            table.columns = columns.remove(&table.name).unwrap_or_default();
            let (primary, indexed) = keys.remove(&table.name).unwrap_or_default();
            (table.primary_key, table.indexed) = (primary, indexed);
        }
        tables.retain(|table| !table.columns.is_empty());
        Ok(tables)
    }

    async fn names(&mut self, wanted: &Wanted) -> Result<Vec<Table>, Failure> {
        let patterns: Vec<_> = wanted
            .patterns
            .iter()
            .map(|pattern| format!("TABLE_NAME LIKE {}", text(pattern)))
            .collect();
        let filter = match patterns.is_empty() {
            true => String::new(),
            false => format!(" AND ({})", patterns.join(" OR ")),
        };
        let sql = format!(
            "SELECT TABLE_NAME, TABLE_TYPE, TABLE_ROWS, DATA_LENGTH FROM information_schema.TABLES \
             WHERE TABLE_SCHEMA = {} AND TABLE_TYPE <> 'SEQUENCE'{filter} ORDER BY TABLE_NAME",
            self.database
        );
        let rows = self.connection.rows(&sql).await?;
        let table = |row: Vec<Option<String>>| {
            let mut row = row.into_iter();
            let mut next = || row.next().flatten();
            let (name, kind) = (given(next()), given(next()));
            Table {
                namespace: wanted.database.clone(),
                name,
                columns: Vec::new(),
                primary_key: Vec::new(),
                is_view: kind.contains("VIEW"),
                indexed: Vec::new(),
                estimated_rows: next().and_then(|rows| rows.parse().ok()),
                estimated_bytes: next().and_then(|bytes| bytes.parse().ok()),
            }
        };
        Ok(rows.into_iter().map(table).collect())
    }

    async fn columns(
        &mut self,
        json: &HashSet<(String, String)>,
    ) -> Result<HashMap<String, Vec<Column>>, Failure> {
        let sql = format!(
            "SELECT TABLE_NAME, COLUMN_NAME, COLUMN_TYPE FROM information_schema.COLUMNS \
             WHERE TABLE_SCHEMA = {} ORDER BY TABLE_NAME, ORDINAL_POSITION",
            self.database
        );
        let mut columns: HashMap<String, Vec<Column>> = HashMap::new();
        for row in self.connection.rows(&sql).await? {
            let mut row = row.into_iter();
            let mut next = || given(row.next().flatten());
            let (table, name, mut type_name) = (next(), next(), next());
            if type_name == "longtext" && json.contains(&(table.clone(), name.clone())) {
                "json".clone_into(&mut type_name);
            }
            columns
                .entry(table)
                .or_default()
                .push(column(name, type_name));
        }
        Ok(columns)
    }

    /// By table: the primary key's columns in its order, and the columns that lead an index.
    async fn keys(&mut self) -> Result<HashMap<String, (Vec<String>, Vec<String>)>, Failure> {
        let sql = format!(
            "SELECT TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX, COLUMN_NAME FROM information_schema.STATISTICS \
             WHERE TABLE_SCHEMA = {} AND COLUMN_NAME IS NOT NULL ORDER BY TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX",
            self.database
        );
        let mut keys: HashMap<String, (Vec<String>, Vec<String>)> = HashMap::new();
        for row in self.connection.rows(&sql).await? {
            let mut row = row.into_iter();
            let mut next = || given(row.next().flatten());
            let (table, index, place, column) = (next(), next(), next(), next());
            let (primary, indexed) = keys.entry(table).or_default();
            if place == "1" {
                indexed.push(column.clone());
            }
            if index == "PRIMARY" {
                primary.push(column);
            }
        }
        Ok(keys)
    }
}

/// Columns (with their tables) that MariaDB checks with `json_valid`: what its type JSON stands for. `database` is quoted.
async fn checked_json(
    connection: &mut Connection,
    database: &str,
    condition: &str,
) -> Result<HashSet<(String, String)>, Failure> {
    if connection.server().flavor == Flavor::MySql {
        return Ok(HashSet::new());
    }
    let sql = format!(
        "SELECT TABLE_NAME, CHECK_CLAUSE FROM information_schema.CHECK_CONSTRAINTS \
         WHERE CONSTRAINT_SCHEMA = {database}{condition}"
    );
    // Old servers have no such view, and no type JSON either.
    let rows = match connection.rows(&sql).await {
        Err(Failure::Server(_)) => return Ok(HashSet::new()),
        other => other?,
    };
    let column = |row: Vec<Option<String>>| {
        let mut row = row.into_iter();
        let (table, clause) = (given(row.next()?), given(row.next()?));
        let column = clause.strip_prefix("json_valid(`")?.strip_suffix("`)")?;
        Some((table, column.replace("``", "`")))
    };
    Ok(rows.into_iter().filter_map(column).collect())
}

/// The columns of one table that hold JSON in MariaDB.
pub(crate) async fn json_columns_of(
    connection: &mut Connection,
    database: &str,
    table: &str,
) -> Result<HashSet<String>, Failure> {
    let condition = format!(" AND TABLE_NAME = {}", text(table));
    let found = checked_json(connection, &text(database), &condition).await?;
    Ok(found.into_iter().map(|(_, column)| column).collect())
}

fn column(name: String, type_name: String) -> Column {
    let kind = kind_of(&type_name);
    Column {
        name,
        schema: match kind.airbyte_type() {
            AirbyteType::Unknown => AirbyteType::Unknown.to_json_schema(false),
            known => known.to_json_schema(true),
        },
        is_ordered: kind.is_ordered(),
        type_name,
    }
}

/// The kind of a discovered column. What is not known here is read as the text that the server makes of it.
pub(crate) fn kind_of(type_name: &str) -> Kind {
    Kind::parse(type_name, None).unwrap_or_else(|| Kind::Text {
        charset: "utf8mb4".into(),
    })
}

/// Selects nothing from all columns.
async fn can_read(connection: &mut Connection, table: &Table) -> Result<bool> {
    let columns: Vec<_> = table
        .columns
        .iter()
        .map(|column| name(&column.name))
        .collect();
    let sql = format!(
        "SELECT {} FROM {}.{} LIMIT 0",
        columns.join(", "),
        name(&table.namespace),
        name(&table.name)
    );
    match connection.execute(&sql).await {
        Ok(()) => Ok(true),
        Err(Failure::Server(error)) => {
            tracing::warn!(
                "{} is left out because it can't be read: {error}",
                table.descriptor()
            );
            Ok(false)
        }
        Err(failure) => Err(explain(failure, &Place::Table(table.descriptor()))),
    }
}
