//! Runs the destination in process, the way its `main` does.

use std::io::{self, Cursor, Write};
use std::sync::{Arc, Mutex};

use airbyte_protocol::{
    AirbyteErrorTraceMessage, AirbyteMessage, AirbyteRecordMessage, AirbyteStateMessage,
    AirbyteStream, AirbyteStreamStatus, AirbyteStreamStatusTraceMessage, AirbyteTraceMessage,
    ConfiguredAirbyteCatalog, ConfiguredAirbyteStream, DestinationSyncMode, RawJson,
    StreamDescriptor, SyncMode,
};
use cdk_core::entrypoint::{self, Connector, Exit, Invocation};
use cdk_core::{Clock, FixedClock};
use destination_dev_null::DestinationDevNull;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// What a run printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) messages: Vec<AirbyteMessage>,
    pub(crate) exit: Exit,
}

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

/// Runs `verb` with files of these contents and `stdin`.
pub(crate) async fn run(
    destination: &DestinationDevNull,
    verb: &str,
    files: &[(&str, &Value)],
    stdin: Vec<u8>,
) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let mut args = vec![verb.into()];
    for (option, content) in files {
        let path = folder.path().join(option);
        std::fs::write(&path, content.to_string()).unwrap();
        args.extend([format!("--{option}").into(), path.into_os_string()]);
    }
    let stdout = Captured::default();
    let clock: Arc<dyn Clock> = Arc::new(FixedClock::new(0));
    let invocation = Invocation {
        args,
        env: |_| None,
        stdin: Box::new(Cursor::new(stdin)),
        stdout: Box::new(stdout.clone()),
        clock,
        stop: CancellationToken::new(),
    };
    let connector = Connector::Destination(Arc::new(destination.clone()));
    let exit = entrypoint::run(connector, invocation).await;
    let text = String::from_utf8(stdout.0.lock().unwrap().clone()).unwrap();
    let messages = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    Output { messages, exit }
}

/// Writes `input` to streams `a` and `b`, as the `test_destination` of `kind`.
pub(crate) async fn write(
    destination: &DestinationDevNull,
    kind: &Value,
    input: &[AirbyteMessage],
) -> Output {
    write_as(destination, kind, DestinationSyncMode::Append, input).await
}

pub(crate) async fn write_as(
    destination: &DestinationDevNull,
    kind: &Value,
    mode: DestinationSyncMode,
    input: &[AirbyteMessage],
) -> Output {
    let streams = ["a", "b"].map(|name| {
        let stream =
            AirbyteStream::new(name, json!({"type": "object"}), vec![SyncMode::FullRefresh]);
        ConfiguredAirbyteStream::new(stream, SyncMode::FullRefresh, mode).with_primary_key(["id"])
    });
    let catalog = json!(ConfiguredAirbyteCatalog::new(streams.to_vec()));
    let config = json!({"test_destination": kind});
    let mut stdin = Vec::new();
    input.iter().for_each(|message| message.to_line(&mut stdin));
    run(
        destination,
        "write",
        &[("config", &config), ("catalog", &catalog)],
        stdin,
    )
    .await
}

/// Records `{"id": from}` up to `{"id": to}`.
pub(crate) fn records(stream: &str, ids: std::ops::RangeInclusive<i64>) -> Vec<AirbyteMessage> {
    let record = |id| {
        let data = RawJson::from(json!({"id": id}));
        AirbyteMessage::Record(AirbyteRecordMessage::new(stream, data, 1))
    };
    ids.map(record).collect()
}

pub(crate) fn state(stream: &str, position: i64) -> AirbyteMessage {
    let state = RawJson::from(json!({"position": position}));
    let stream = StreamDescriptor::new(stream);
    AirbyteMessage::State(AirbyteStateMessage::stream(stream, Some(state)))
}

pub(crate) fn complete(stream: &str) -> AirbyteMessage {
    let stream = StreamDescriptor::new(stream);
    let status = AirbyteStreamStatusTraceMessage::new(stream, AirbyteStreamStatus::Complete);
    AirbyteMessage::Trace(AirbyteTraceMessage::stream_status(1.0, status))
}

/// Ten records, a state, and the end of both streams.
pub(crate) fn a_small_sync() -> Vec<AirbyteMessage> {
    let mut input = records("a", 1..=10);
    input.push(state("a", 10));
    input.extend(records("b", 1..=3));
    input.extend([complete("a"), complete("b")]);
    input
}

impl Output {
    /// The texts of LOG messages.
    pub(crate) fn logs(&self) -> Vec<&str> {
        let logs = self.messages.iter().filter_map(|message| match message {
            AirbyteMessage::Log(log) => Some(log.message.as_str()),
            _ => None,
        });
        logs.collect()
    }

    /// The positions of the states that came back.
    pub(crate) fn positions(&self) -> Vec<i64> {
        let states = self.messages.iter().filter_map(|message| match message {
            AirbyteMessage::State(state) => state.stream.as_ref()?.stream_state.as_ref(),
            _ => None,
        });
        states
            .map(|state| {
                state.parse_as::<Value>().unwrap()["position"]
                    .as_i64()
                    .unwrap()
            })
            .collect()
    }

    /// The first error.
    pub(crate) fn error(&self) -> &AirbyteErrorTraceMessage {
        let errors = self.messages.iter().find_map(|message| match message {
            AirbyteMessage::Trace(trace) => trace.error.as_ref(),
            _ => None,
        });
        errors.unwrap()
    }
}
