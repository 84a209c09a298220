//! Runs the source in process, the way its `main` does.

use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};

use airbyte_protocol::{
    AirbyteCatalog, AirbyteMessage, AirbyteStateMessage, ConfiguredAirbyteCatalog,
    ConfiguredAirbyteStream, DestinationSyncMode, SyncMode,
};
use cdk_core::entrypoint::{self, Connector, Exit, Invocation};
use cdk_core::{Clock, FixedClock};
use serde_json::{Value, json};
use source_faker::SourceFaker;
use tokio_util::sync::CancellationToken;

/// What a run printed, and how it ended.
pub(crate) struct Output {
    pub(crate) messages: Vec<AirbyteMessage>,
    pub(crate) exit: Exit,
}

/// When every test run takes place, in milliseconds since the Unix epoch.
pub(crate) const NOW_MS: i64 = 1_750_000_000_123;

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Runs `verb` with files of these contents.
pub(crate) async fn run(verb: &str, files: &[(&str, &Value)]) -> Output {
    run_at(verb, files, NOW_MS).await
}

pub(crate) async fn run_at(verb: &str, files: &[(&str, &Value)], now_ms: i64) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let mut args = vec![verb.into()];
    for (option, content) in files {
        args.extend([
            format!("--{option}").into(),
            write(folder.path(), option, content),
        ]);
    }
    let stdout = Captured::default();
    let clock: Arc<dyn Clock> = Arc::new(FixedClock::new(now_ms));
    let invocation = Invocation {
        args,
        env: |_| None,
        stdin: Box::new(io::empty()),
        stdout: Box::new(stdout.clone()),
        clock,
        stop: CancellationToken::new(),
    };
    let exit = entrypoint::run(Connector::Source(Arc::new(SourceFaker)), invocation).await;
    let text = String::from_utf8(stdout.0.lock().unwrap().clone()).unwrap();
    let messages = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    Output { messages, exit }
}

fn write(folder: &Path, name: &str, content: &Value) -> std::ffi::OsString {
    let path = folder.join(name);
    std::fs::write(&path, content.to_string()).unwrap();
    path.into_os_string()
}

/// Reads `streams` (all of them if there are none) after `state`; the run must succeed.
pub(crate) async fn read(
    mode: SyncMode,
    streams: &[&str],
    config: &Value,
    state: &[AirbyteStateMessage],
) -> Output {
    let output = try_read(mode, streams, config, state, NOW_MS).await;
    assert_eq!(output.exit, Exit::Success, "{:?}", output.messages);
    output
}

/// Reads at a chosen time, whatever comes of it.
pub(crate) async fn try_read(
    mode: SyncMode,
    streams: &[&str],
    config: &Value,
    state: &[AirbyteStateMessage],
    now_ms: i64,
) -> Output {
    let catalog = discover(config).await.streams.into_iter();
    let wanted = catalog.filter(|stream| streams.is_empty() || streams.contains(&&*stream.name));
    let configured = wanted
        .map(|stream| ConfiguredAirbyteStream::new(stream, mode, DestinationSyncMode::Append));
    let catalog = json!(ConfiguredAirbyteCatalog::new(configured.collect()));
    let files = [
        ("config", config),
        ("catalog", &catalog),
        ("state", &json!(state)),
    ];
    run_at("read", &files, now_ms).await
}

pub(crate) async fn discover(config: &Value) -> AirbyteCatalog {
    let output = run("discover", &[("config", config)]).await;
    let catalog = output
        .messages
        .into_iter()
        .find_map(|message| match message {
            AirbyteMessage::Catalog(catalog) => Some(catalog),
            _ => None,
        });
    catalog.unwrap()
}

impl Output {
    /// The records of a stream, in the order in which they were emitted.
    pub(crate) fn records(&self, stream: &str) -> Vec<Value> {
        let records = self.messages.iter().filter_map(|message| match message {
            AirbyteMessage::Record(record) if record.stream == stream => Some(&record.data),
            _ => None,
        });
        records.map(|data| data.parse_as().unwrap()).collect()
    }

    /// The ids of a stream's records, sorted.
    pub(crate) fn ids(&self, stream: &str) -> Vec<i64> {
        let mut ids: Vec<_> = self.records(stream).iter().map(id).collect();
        ids.sort_unstable();
        ids
    }

    /// The records of a stream by id.
    pub(crate) fn sorted(&self, stream: &str) -> Vec<Value> {
        let mut records = self.records(stream);
        records.sort_by_key(id);
        records
    }

    /// The states of a stream.
    pub(crate) fn states(&self, stream: &str) -> Vec<AirbyteStateMessage> {
        let states = self.messages.iter().filter_map(|message| match message {
            AirbyteMessage::State(state) if name_of(state) == stream => Some(state.clone()),
            _ => None,
        });
        states.collect()
    }
}

pub(crate) fn name_of(state: &AirbyteStateMessage) -> &str {
    &state.stream.as_ref().unwrap().stream_descriptor.name
}

/// The state itself.
pub(crate) fn blob(state: &AirbyteStateMessage) -> Value {
    state
        .stream
        .as_ref()
        .unwrap()
        .stream_state
        .as_ref()
        .unwrap()
        .parse_as()
        .unwrap()
}

pub(crate) fn id(record: &Value) -> i64 {
    record["id"].as_i64().unwrap()
}
