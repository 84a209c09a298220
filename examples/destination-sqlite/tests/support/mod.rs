//! Runs the connector in process, exactly as its executable does, and reads the database.

// Each test file uses its own share of this module.
#![allow(dead_code, unreachable_pub)]
// A failed step of a test fails the test; literals read best by value.
#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)]

use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use cdk_core::entrypoint::{Connector, Exit, Invocation, run};
use cdk_core::{Clock, FixedClock};
use destination_sqlite::SqliteDestination;
use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// Stands for stdout.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// How a run ended and what it printed.
pub struct Output {
    pub exit: Exit,
    pub messages: Vec<Value>,
}

impl Output {
    /// The messages of one type, without their envelope.
    pub fn of(&self, kind: &str) -> Vec<&Value> {
        let field = match kind {
            "CONNECTION_STATUS" => "connectionStatus".to_owned(),
            _ => kind.to_lowercase(),
        };
        let of_kind = self
            .messages
            .iter()
            .filter(|message| message["type"] == kind);
        of_kind.map(|message| &message[&field]).collect()
    }

    /// The first ERROR trace.
    pub fn error(&self) -> &Value {
        let traces = self.of("TRACE");
        let error = traces.iter().find(|trace| trace["type"] == "ERROR");
        &error.unwrap_or_else(|| panic!("no error in {:#?}", self.messages))["error"]
    }

    pub fn succeeded(self) -> Self {
        assert_eq!(self.exit, Exit::Success, "{:#?}", self.messages);
        self
    }
}

/// A database in a directory of its own.
pub struct Warehouse {
    pub directory: TempDir,
    pub page_limit: Option<u32>,
    pub options: Value,
}

impl Warehouse {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self {
            directory,
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
    pub async fn write(&self, streams: &[&StreamSpec], messages: &[Value]) -> Output {
        let list: Vec<_> = streams.iter().map(|stream| stream.configured()).collect();
        let mut stdin = Vec::new();
        for message in messages {
            serde_json::to_writer(&mut stdin, message).unwrap();
            stdin.push(b'\n');
        }
        self.run("write", Some(json!({ "streams": list })), stdin)
            .await
    }

    pub async fn run(&self, verb: &str, catalog: Option<Value>, stdin: Vec<u8>) -> Output {
        let config = self.file("config.json", &self.config());
        let mut args = vec![verb.into(), "--config".into(), config.into()];
        if let Some(catalog) = catalog {
            args.push("--catalog".into());
            args.push(self.file("catalog.json", &catalog).into());
        }
        let destination = match self.page_limit {
            Some(pages) => SqliteDestination::with_page_limit(pages),
            None => SqliteDestination::default(),
        };
        let stdout = Captured::default();
        let clock: Arc<dyn Clock> = Arc::new(FixedClock::new(1_735_689_600_000));
        let invocation = Invocation {
            args,
            env: |_| None,
            stdin: Box::new(std::io::Cursor::new(stdin)),
            stdout: Box::new(stdout.clone()),
            clock,
            stop: CancellationToken::new(),
        };
        let exit = run(Connector::Destination(Arc::new(destination)), invocation).await;
        let printed = stdout.0.lock().unwrap().clone();
        let lines = printed
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty());
        let messages = lines
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect();
        Output { exit, messages }
    }

    fn file(&self, name: &str, content: &Value) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::write(&path, content.to_string()).unwrap();
        path
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

/// A stream of the configured catalog.
#[derive(Clone)]
pub struct StreamSpec {
    pub name: String,
    pub namespace: Option<String>,
    pub properties: Value,
    pub mode: &'static str,
    pub key: Vec<&'static str>,
    pub cursor: Option<&'static str>,
    /// Generation and minimum generation.
    pub generation: Option<(i64, i64)>,
}

impl StreamSpec {
    pub fn new(name: &str, mode: &'static str, properties: Value) -> Self {
        Self {
            name: name.to_owned(),
            namespace: None,
            properties,
            mode,
            key: Vec::new(),
            cursor: None,
            generation: None,
        }
    }

    pub fn key(mut self, key: &[&'static str]) -> Self {
        self.key = key.to_vec();
        self
    }

    pub fn cursor(mut self, cursor: &'static str) -> Self {
        self.cursor = Some(cursor);
        self
    }

    pub fn generation(mut self, id: i64, minimum: i64) -> Self {
        self.generation = Some((id, minimum));
        self
    }

    pub fn configured(&self) -> Value {
        let key: Vec<_> = self.key.iter().map(|field| [field]).collect();
        let mut configured = json!({
            "stream": {
                "name": self.name,
                "json_schema": {"type": "object", "properties": self.properties},
                "supported_sync_modes": ["full_refresh", "incremental"],
            },
            "sync_mode": "incremental",
            "destination_sync_mode": self.mode,
            "primary_key": key,
            "cursor_field": self.cursor.map_or(vec![], |field| vec![field]),
            "sync_id": 7,
        });
        if let Some(namespace) = &self.namespace {
            configured["stream"]["namespace"] = json!(namespace);
        }
        if let Some((id, minimum)) = self.generation {
            configured["generation_id"] = json!(id);
            configured["minimum_generation_id"] = json!(minimum);
        }
        configured
    }

    fn descriptor(&self) -> Value {
        match &self.namespace {
            Some(namespace) => json!({"name": self.name, "namespace": namespace}),
            None => json!({"name": self.name}),
        }
    }

    /// A record read at `emitted_at` milliseconds.
    pub fn record(&self, emitted_at: i64, data: Value) -> Value {
        let mut record = json!({"stream": self.name, "data": data, "emitted_at": emitted_at});
        if let Some(namespace) = &self.namespace {
            record["namespace"] = json!(namespace);
        }
        json!({"type": "RECORD", "record": record})
    }

    pub fn state(&self, id: i64) -> Value {
        json!({"type": "STATE", "state": {"type": "STREAM", "stream": {
            "stream_descriptor": self.descriptor(), "stream_state": {"id": id}}}})
    }

    pub fn status(&self, status: &str) -> Value {
        json!({"type": "TRACE", "trace": {"type": "STREAM_STATUS", "emitted_at": 0.0,
            "stream_status": {"stream_descriptor": self.descriptor(), "status": status}}})
    }

    pub fn complete(&self) -> Value {
        self.status("COMPLETE")
    }
}
