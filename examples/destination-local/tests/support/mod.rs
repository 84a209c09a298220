//! Runs the connector in process, exactly as its executable does, and reads the files.

// Each test file uses its own share of this module.
#![allow(dead_code, unreachable_pub)]
// A failed step of a test fails the test; literals read best by value.
#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)]

use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use cdk_core::entrypoint::{Connector, Exit, Invocation, run};
use cdk_core::{Clock, FixedClock};
use destination_local::LocalDestination;
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

/// A destination directory of its own.
pub struct Lake {
    pub directory: TempDir,
    pub file_limit: Option<u64>,
    pub options: Value,
}

impl Lake {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self {
            directory,
            file_limit: None,
            options: json!({}),
        }
    }

    pub fn path(&self) -> PathBuf {
        self.directory.path().join("out")
    }

    pub fn config(&self) -> Value {
        let mut config = json!({"destination_path": self.path()});
        for (name, value) in self.options.as_object().unwrap() {
            config[name] = value.clone();
        }
        config
    }

    /// Runs `write` over these messages; `now_ms` is when the run begins.
    pub async fn write(&self, now_ms: i64, streams: &[&StreamSpec], messages: &[Value]) -> Output {
        let list: Vec<_> = streams.iter().map(|stream| stream.configured()).collect();
        let mut stdin = Vec::new();
        for message in messages {
            serde_json::to_writer(&mut stdin, message).unwrap();
            stdin.push(b'\n');
        }
        self.run("write", now_ms, Some(json!({ "streams": list })), stdin)
            .await
    }

    pub async fn run(
        &self,
        verb: &str,
        now_ms: i64,
        catalog: Option<Value>,
        stdin: Vec<u8>,
    ) -> Output {
        let config = self.file("config.json", &self.config());
        let mut args = vec![verb.into(), "--config".into(), config.into()];
        if let Some(catalog) = catalog {
            args.push("--catalog".into());
            args.push(self.file("catalog.json", &catalog).into());
        }
        let destination = match self.file_limit {
            Some(bytes) => LocalDestination::with_file_limit(bytes),
            None => LocalDestination::default(),
        };
        let stdout = Captured::default();
        let clock: Arc<dyn Clock> = Arc::new(FixedClock::new(now_ms));
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

    /// The names of all files below a directory, hidden ones too, sorted.
    pub fn files(&self, directory: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path().join(directory)).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// The text of all visible files of a stream, in the order of their names.
    pub fn text(&self, directory: &str) -> String {
        let visible = self
            .files(directory)
            .into_iter()
            .filter(|name| !name.starts_with('.'));
        let text = visible
            .map(|name| std::fs::read_to_string(self.path().join(directory).join(name)).unwrap());
        text.collect()
    }

    /// The rows of a stream's JSONL files, without their random ids.
    pub fn rows(&self, directory: &str) -> Vec<Value> {
        let row = |line: &str| {
            let mut row: Value = serde_json::from_str(line).unwrap();
            let id = row
                .as_object_mut()
                .unwrap()
                .shift_remove("_airbyte_raw_id")
                .unwrap();
            assert_eq!(id.as_str().unwrap().len(), 36);
            row
        };
        self.text(directory).lines().map(row).collect()
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
