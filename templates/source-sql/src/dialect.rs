//! What `cdk-sql` has to know of the database: how names and values are written, and how rows are read.
//!
//! This is the file to edit for another database: replace the driver, and keep the promises of `Dialect`.

use std::path::PathBuf;

use cdk_core::{ConnectorError, ErrorContext, RecordSink, Result};
use cdk_sql::dialect::TextRow;
use cdk_sql::{Column, Dialect, Select, Table};
use rusqlite::types::ValueRef;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use crate::database;

/// How many rows may wait for the sink.
const WAITING: usize = 256;

/// An SQLite file.
#[derive(Debug, Clone)]
pub struct Sqlite {
    path: PathBuf,
}

impl Sqlite {
    /// The database at this path.
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }
}

impl Dialect for Sqlite {
    /// Each read sees the database as it is then; rows that stay are read all the same.
    type Snapshot = ();

    fn quote(&self, name: &str) -> String {
        format!("\"{}\"", name.replace('"', "\"\""))
    }

    fn text_of(&self, column: &Column) -> String {
        format!("CAST({} AS TEXT)", self.quote(&column.name))
    }

    fn literal(&self, column: &Column, text: &str) -> String {
        let quoted = format!("'{}'", text.replace('\'', "''"));
        match column.schema["type"][1].as_str() {
            Some("integer") => format!("CAST({quoted} AS INTEGER)"),
            Some("number") => format!("CAST({quoted} AS REAL)"),
            _ => quoted,
        }
    }

    async fn snapshot(&self, _: &Table) -> Result<()> {
        Ok(())
    }

    async fn fetch(&self, (): &(), sql: &str, doing: &str) -> Result<Vec<TextRow>> {
        let connection = database::open(&self.path)?;
        let rows = || -> rusqlite::Result<Vec<TextRow>> {
            let mut statement = connection.prepare(sql)?;
            let width = statement.column_count();
            let rows = statement.query_map([], |row| {
                (0..width).map(|at| Ok(text(row.get_ref(at)?))).collect()
            })?;
            rows.collect()
        };
        rows().transient_error(format!("The database failed while {doing}."))
    }

    async fn read(&self, (): &(), select: &Select<'_>, sink: &mut RecordSink) -> Result<()> {
        let names: Vec<_> = select
            .columns
            .iter()
            .map(|column| self.quote(&column.name))
            .collect();
        let table = self.quote(&select.table.name);
        let sql = format!(
            "SELECT {} FROM {table}{}",
            names.join(", "),
            select.where_clause()
        );
        let columns: Vec<_> = select
            .columns
            .iter()
            .map(|column| column.name.clone())
            .collect();
        let (sender, mut rows) = mpsc::channel(WAITING);
        let path = self.path.clone();
        // SQLite blocks its thread; the channel holds it back when the sink is behind.
        let reading = tokio::task::spawn_blocking(move || {
            let connection = database::open(&path)?;
            send(&connection, &sql, &columns, &sender)
                .transient_error("The database failed while a table was read.")
        });
        while let Some(row) = rows.recv().await {
            if select.stop.is_cancelled() {
                return Err(ConnectorError::stopped());
            }
            sink.record(&row).await?;
        }
        reading
            .await
            .system_error("The thread that reads the database crashed.")?
    }
}

fn send(
    connection: &rusqlite::Connection,
    sql: &str,
    columns: &[String],
    rows: &mpsc::Sender<Map<String, Value>>,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(sql)?;
    let mut found = statement.query([])?;
    while let Some(row) = found.next()? {
        let mut record = Map::new();
        for (at, name) in columns.iter().enumerate() {
            record.insert(name.clone(), value(row.get_ref(at)?));
        }
        if rows.blocking_send(record).is_err() {
            // The read was stopped.
            break;
        }
    }
    Ok(())
}

/// A value as text; none for null.
fn text(cell: ValueRef<'_>) -> Option<String> {
    match value(cell) {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    }
}

fn value(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => json!(number),
        ValueRef::Real(number) => json!(number),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => json!(String::from_utf8_lossy(bytes)),
    }
}
