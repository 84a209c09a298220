//! The connection, and what the database tells about its tables.

use std::path::Path;

use cdk_core::{ErrorContext, Result};
use cdk_sql::{Column, Table};
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

/// Opens the database for reading.
pub fn open(path: &Path) -> Result<Connection> {
    let opened = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY);
    opened.config_error(format!(
        "The database {} can't be opened. Set `path` to an SQLite file that this user may read.",
        path.display()
    ))
}

/// All tables, with their columns and keys.
pub fn tables(path: &Path) -> Result<Vec<Table>> {
    let connection = open(path)?;
    let names = names(&connection).config_error("The list of tables can't be read.")?;
    let tables = names.into_iter().map(|name| {
        let described = table(&connection, &name);
        described.config_error(format!("The columns of table {name} can't be read."))
    });
    tables.collect()
}

fn names(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
               ORDER BY name";
    connection
        .prepare(sql)?
        .query_map([], |row| row.get(0))?
        .collect()
}

fn table(connection: &Connection, name: &str) -> rusqlite::Result<Table> {
    let mut statement = connection.prepare("SELECT name, type, pk FROM pragma_table_info(?1)")?;
    let rows = statement.query_map([name], |row| {
        Ok((
            row.get::<_, String>(0)?,
            row.get::<_, String>(1)?,
            row.get::<_, u32>(2)?,
        ))
    })?;
    let rows: Vec<_> = rows.collect::<rusqlite::Result<_>>()?;
    let mut key: Vec<_> = rows.iter().filter(|(_, _, at)| *at > 0).collect();
    key.sort_by_key(|(_, _, at)| *at);
    Ok(Table {
        namespace: "main".to_owned(),
        name: name.to_owned(),
        primary_key: key.iter().map(|(name, _, _)| name.clone()).collect(),
        columns: rows
            .iter()
            .map(|(name, kind, _)| column(name, kind))
            .collect(),
        is_view: false,
        indexed: key
            .first()
            .map(|(name, _, _)| name.clone())
            .into_iter()
            .collect(),
        estimated_rows: None,
        estimated_bytes: None,
    })
}

fn column(name: &str, kind: &str) -> Column {
    Column {
        name: name.to_owned(),
        type_name: kind.to_owned(),
        schema: schema(kind),
        is_ordered: true,
    }
}

/// The JSON schema of a column's values, by SQLite's rules of affinity.
fn schema(kind: &str) -> Value {
    let kind = kind.to_ascii_uppercase();
    let has = |parts: &[&str]| parts.iter().any(|part| kind.contains(part));
    if has(&["INT"]) {
        json!({"type": ["null", "integer"]})
    } else if has(&["REAL", "FLOA", "DOUB"]) {
        json!({"type": ["null", "number"]})
    } else if has(&["CHAR", "CLOB", "TEXT", "BLOB"]) {
        json!({"type": ["null", "string"]})
    } else {
        // A column of any type.
        json!({})
    }
}
