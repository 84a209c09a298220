//! Runs verbs in process and reads what they print.

pub(crate) mod server;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use airbyte_protocol::AirbyteMessage;
use cdk_core::entrypoint::{Connector, Exit, Invocation, run};
use cdk_core::{FixedClock, ReadSettings};
use serde_json::{Value, json};
use source_file::{FileSource, HttpSettings};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// What a verb printed, and how it ended.
pub(crate) struct Output {
    pub(crate) exit: Exit,
    pub(crate) messages: Vec<AirbyteMessage>,
    /// The lines as printed.
    pub(crate) text: String,
}

/// Keeps what is printed, and stops the run at the first record if it is asked to.
#[derive(Clone, Default)]
struct Capture {
    text: Arc<Mutex<Vec<u8>>>,
    stop_at_record: Option<CancellationToken>,
}

impl Write for Capture {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let has_record = || memchr::memmem::find(bytes, b"\"RECORD\"").is_some();
        if let Some(stop) = self.stop_at_record.as_ref().filter(|_| has_record()) {
            stop.cancel();
        }
        self.text.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A source that retries at once, and emits a state after every block.
pub(crate) fn source(block_bytes: usize) -> FileSource {
    FileSource::default()
        .with_http_settings(
            HttpSettings::default()
                .with_first_delay(Duration::ZERO)
                .with_max_retries(3)
                .with_read_timeout(Duration::from_secs(20)),
        )
        .with_read_settings(ReadSettings::default().with_checkpoint_rows(1))
        .with_block_bytes(block_bytes)
}

/// Queued records may take so much: a reader can't be far ahead of what is printed.
const BUDGET_BYTES: &str = "1000000";

pub(crate) async fn run_verb(source: FileSource, args: &[&str]) -> Output {
    run_captured(source, args, Capture::default()).await
}

/// Runs a verb that is asked to stop once a record is printed.
pub(crate) async fn run_until_record(source: FileSource, args: &[&str]) -> Output {
    let stop_at_record = Some(CancellationToken::new());
    run_captured(
        source,
        args,
        Capture {
            stop_at_record,
            ..Capture::default()
        },
    )
    .await
}

async fn run_captured(source: FileSource, args: &[&str], capture: Capture) -> Output {
    let invocation = Invocation {
        args: args.iter().map(Into::into).collect(),
        env: |name| (name == "CDK_MEMORY_BUDGET_BYTES").then(|| BUDGET_BYTES.to_owned()),
        stdin: Box::new(io::empty()),
        stdout: Box::new(capture.clone()),
        clock: Arc::new(FixedClock::new(1)),
        stop: capture.stop_at_record.clone().unwrap_or_default(),
    };
    let connector = Connector::Source(Arc::new(source));
    let exit = run(connector, invocation).await;
    let text = String::from_utf8(capture.text.lock().unwrap().clone()).unwrap();
    let messages = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    Output {
        exit,
        messages,
        text,
    }
}

/// A folder with the files of one test.
pub(crate) struct Folder(pub(crate) TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    fn json(&self, name: &str, value: &Value) -> String {
        self.write(name, value.to_string()).display().to_string()
    }

    pub(crate) async fn check(&self, config: &Value) -> Output {
        let config = self.json("config.json", config);
        let args = ["check", "--config", &config];
        run_verb(source(1000), &args).await
    }

    /// The JSON schema that `discover` gives for the one stream.
    pub(crate) async fn discover(&self, config: &Value) -> Output {
        let config = self.json("config.json", config);
        let args = ["discover", "--config", &config];
        run_verb(source(1000), &args).await
    }

    /// Reads with the discovered schema.
    pub(crate) async fn read(&self, config: &Value) -> Output {
        let schema = self.discover(config).await.schema();
        self.read_with(config, &schema, None, 1000).await
    }

    pub(crate) async fn read_with(
        &self,
        config: &Value,
        schema: &Value,
        state: Option<&Value>,
        block_bytes: usize,
    ) -> Output {
        let catalog = self.json("catalog.json", &catalog(schema));
        let state = self.json("state.json", state.unwrap_or(&json!([])));
        let config = self.json("config.json", config);
        let args = [
            "read",
            "--config",
            &config,
            "--catalog",
            &catalog,
            "--state",
            &state,
        ];
        run_verb(source(block_bytes), &args).await
    }
}

pub(crate) fn catalog(schema: &Value) -> Value {
    json!({"streams": [{
        "stream": {"name": "data", "json_schema": schema, "supported_sync_modes": ["full_refresh"]},
        "sync_mode": "full_refresh",
        "destination_sync_mode": "overwrite"
    }]})
}

/// A config for a local file.
pub(crate) fn local(path: &Path, format: &str, options: &Value) -> Value {
    json!({
        "dataset_name": "data",
        "format": format,
        "url": path.display().to_string(),
        "provider": {"storage": "local"},
        "reader_options": options.to_string()
    })
}

/// A config for a URL.
pub(crate) fn web(url: &str, format: &str) -> Value {
    json!({
        "dataset_name": "data",
        "format": format,
        "url": url,
        "provider": {"storage": "HTTPS"}
    })
}

impl Output {
    /// The data of all records, as printed.
    pub(crate) fn records(&self) -> Vec<String> {
        let records = self.messages.iter().filter_map(|message| match message {
            AirbyteMessage::Record(record) => Some(record.data.get().to_owned()),
            _ => None,
        });
        records.collect()
    }

    /// The `meta` of all records.
    pub(crate) fn metas(&self) -> Vec<Value> {
        let records = self.messages.iter().filter_map(|message| match message {
            AirbyteMessage::Record(record) => Some(serde_json::to_value(&record.meta).unwrap()),
            _ => None,
        });
        records.collect()
    }

    /// States with the number of records printed before each.
    pub(crate) fn states(&self) -> Vec<(usize, Value)> {
        let mut records = 0;
        let mut states = Vec::new();
        for message in &self.messages {
            match message {
                AirbyteMessage::Record(_) => records += 1,
                AirbyteMessage::State(state) => {
                    states.push((records, serde_json::to_value(state).unwrap()));
                }
                _ => {}
            }
        }
        states
    }

    pub(crate) fn schema(&self) -> Value {
        let catalog = self.messages.iter().find_map(|message| match message {
            AirbyteMessage::Catalog(catalog) => Some(catalog),
            _ => None,
        });
        let catalog = catalog.unwrap_or_else(|| panic!("no catalog in {}", self.text));
        catalog.streams[0].json_schema.clone()
    }

    /// The types of the discovered columns, in order.
    pub(crate) fn types(&self) -> Vec<(String, Value)> {
        let schema = self.schema();
        let properties = schema["properties"].as_object().unwrap().clone();
        properties
            .into_iter()
            .map(|(name, column)| (name, column["type"][1].clone()))
            .collect()
    }

    /// Type and message of the first error trace.
    pub(crate) fn error(&self) -> (String, String) {
        let error = self.messages.iter().find_map(|message| match message {
            AirbyteMessage::Trace(trace) => trace.error.as_ref(),
            _ => None,
        });
        let error = error.unwrap_or_else(|| panic!("no error in {}", self.text));
        let kind = error
            .failure_type
            .map(|kind| kind.to_string())
            .unwrap_or_default();
        (kind, error.message.clone())
    }

    /// Status and message of a check.
    pub(crate) fn status(&self) -> (String, String) {
        let status = self.messages.iter().find_map(|message| match message {
            AirbyteMessage::ConnectionStatus(status) => Some(status),
            _ => None,
        });
        let status = status.unwrap_or_else(|| panic!("no status in {}", self.text));
        (
            status.status.to_string(),
            status.message.clone().unwrap_or_default(),
        )
    }

    /// The statuses of the stream, in order.
    pub(crate) fn stream_statuses(&self) -> Vec<String> {
        let statuses = self.messages.iter().filter_map(|message| match message {
            AirbyteMessage::Trace(trace) => trace.stream_status.as_ref(),
            _ => None,
        });
        statuses.map(|status| status.status.to_string()).collect()
    }

    pub(crate) fn expect_success(self) -> Self {
        assert_eq!(self.exit, Exit::Success, "{}", self.text);
        self
    }
}
