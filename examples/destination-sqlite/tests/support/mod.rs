//! Runs the connector in process, exactly as its executable does, and reads the database.

// Each test file uses its own share of this module.
#![allow(dead_code, unreachable_pub)]
// A failed step of a test fails the test; literals read best by value.
#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)]

use std::path::PathBuf;

use cdk_testkit::{Files, Ran, Run, StreamSpec};
use destination_sqlite::SqliteDestination;
use rusqlite::Connection;
use serde_json::{Value, json};

/// A database in a directory of its own.
pub struct Warehouse {
    pub directory: Files,
    pub page_limit: Option<u32>,
    pub options: Value,
}

impl Warehouse {
    pub fn new() -> Self {
        Self {
            directory: Files::new(),
            page_limit: None,
            options: json!({}),
        }
    }

    pub fn path(&self) -> PathBuf {
        self.directory.path().join("data.sqlite")
    }

    pub fn config(&self) -> Value {
        let mut config = json!({"path": self.path(), "lock_timeout_seconds": 0});
        for (name, value) in self.options.as_object().unwrap() {
            config[name] = value.clone();
        }
        config
    }

    /// Runs `write` over these messages.
    pub async fn write(&self, streams: &[&StreamSpec], messages: &[Value]) -> Ran {
        let catalog = StreamSpec::catalog(streams);
        let write = self
            .verb("write")
            .file(&self.directory, "catalog", &catalog);
        self.run(write.messages(messages)).await
    }

    /// Runs `write` over these bytes.
    pub async fn write_raw(&self, streams: &[&StreamSpec], stdin: impl Into<Vec<u8>>) -> Ran {
        let catalog = StreamSpec::catalog(streams);
        let write = self
            .verb("write")
            .file(&self.directory, "catalog", &catalog);
        self.run(write.stdin(stdin)).await
    }

    /// Runs a verb that takes a config alone.
    pub async fn run_verb(&self, verb: &str) -> Ran {
        self.run(self.verb(verb)).await
    }

    fn verb(&self, verb: &str) -> Run {
        Run::new(verb)
            .at(1_735_689_600_000)
            .file(&self.directory, "config", &self.config())
    }

    async fn run(&self, run: Run) -> Ran {
        let destination = match self.page_limit {
            Some(pages) => SqliteDestination::with_page_limit(pages),
            None => SqliteDestination::default(),
        };
        run.destination(destination).await
    }

    pub fn open(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }

    /// Every row of a query, each value as SQL text with its type: `1`, `'a'`, `2.5`, `NULL`.
    pub fn query(&self, sql: &str) -> Vec<String> {
        let connection = self.open();
        let mut statement = connection.prepare(sql).unwrap();
        let width = statement.column_count();
        let rows = statement.query_map([], |row| {
            let values = (0..width).map(|at| Ok(shown(&row.get(at)?)));
            Ok(values.collect::<rusqlite::Result<Vec<_>>>()?.join(", "))
        });
        rows.unwrap().collect::<rusqlite::Result<_>>().unwrap()
    }

    /// Tables of ours that no one should see after a run.
    pub fn leftovers(&self) -> Vec<String> {
        self.query(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE '\\_airbyte\\_%' \
             ESCAPE '\\' AND name <> '_airbyte_streams'",
        )
    }
}

fn shown(value: &rusqlite::types::Value) -> String {
    use rusqlite::types::Value::{Blob, Integer, Null, Real, Text};
    match value {
        Null => "NULL".to_owned(),
        Integer(n) => n.to_string(),
        Real(f) => format!("{f:?}"),
        Text(text) => format!("'{text}'"),
        Blob(bytes) => format!("x{bytes:?}"),
    }
}
