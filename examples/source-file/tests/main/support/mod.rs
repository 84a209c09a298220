//! Runs verbs in process and reads what they print.

pub(crate) mod server;

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::time::Duration;

use airbyte_protocol::AirbyteMessage;
use cdk_core::ReadSettings;
use cdk_testkit::{Files, Ran, Run};
use serde_json::{Value, json};
use source_file::{FileSource, HttpSettings};

/// A run over the one stream `data`.
pub(crate) struct Output(Ran);

impl Deref for Output {
    type Target = Ran;

    fn deref(&self) -> &Ran {
        &self.0
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

/// A run in that budget.
pub(crate) fn run(verb: &str) -> Run {
    Run::new(verb)
        .at(1)
        .env(|name| (name == "CDK_MEMORY_BUDGET_BYTES").then(|| BUDGET_BYTES.to_owned()))
}

/// A folder with the files of one test.
pub(crate) struct Folder(pub(crate) Files);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(Files::new())
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        self.0.write(name, content)
    }

    pub(crate) async fn check(&self, config: &Value) -> Output {
        let run = run("check").file(&self.0, "config", config);
        Output(run.source(source(1000)).await)
    }

    /// The JSON schema that `discover` gives for the one stream.
    pub(crate) async fn discover(&self, config: &Value) -> Output {
        let run = run("discover").file(&self.0, "config", config);
        Output(run.source(source(1000)).await)
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
        let read = self.read_run(config, schema);
        let state = state.cloned().unwrap_or_else(|| json!([]));
        let read = read.file(&self.0, "state", &state);
        Output(read.source(source(block_bytes)).await)
    }

    /// Reads without a state, and is asked to stop once a record is printed.
    pub(crate) async fn read_until_record(
        &self,
        config: &Value,
        schema: &Value,
        block_bytes: usize,
    ) -> Output {
        let read = self.read_run(config, schema).stop_at("\"RECORD\"");
        Output(read.source(source(block_bytes)).await)
    }

    fn read_run(&self, config: &Value, schema: &Value) -> Run {
        run("read")
            .file(&self.0, "config", config)
            .file(&self.0, "catalog", &catalog(schema))
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
        let records = self.0.records("data").into_iter();
        records.map(|record| record.data.get().to_owned()).collect()
    }

    /// The `meta` of all records.
    pub(crate) fn metas(&self) -> Vec<Value> {
        let records = self.0.records("data").into_iter();
        records.map(|record| json!(record.meta)).collect()
    }

    /// States with the number of records printed before each.
    pub(crate) fn states(&self) -> Vec<(usize, Value)> {
        let mut records = 0;
        let mut states = Vec::new();
        for message in &self.messages {
            match message {
                AirbyteMessage::Record(_) => records += 1,
                AirbyteMessage::State(state) => states.push((records, json!(state))),
                _ => {}
            }
        }
        states
    }

    pub(crate) fn schema(&self) -> Value {
        self.catalog().streams[0].json_schema.clone()
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
        let error = self.0.error();
        let kind = error.failure_type.map(|kind| kind.to_string());
        (kind.unwrap_or_default(), error.message.clone())
    }

    /// Status and message of a check.
    pub(crate) fn status(&self) -> (String, String) {
        let status = self.connection_status();
        let message = status.message.clone().unwrap_or_default();
        (status.status.to_string(), message)
    }

    /// The statuses of the stream, in order.
    pub(crate) fn stream_statuses(&self) -> Vec<String> {
        let statuses = self.statuses("data").into_iter();
        statuses.map(|status| status.to_string()).collect()
    }

    pub(crate) fn expect_success(self) -> Self {
        Self(self.0.succeeded())
    }
}
