//! Runs an entry point in process, exactly as shipped, and collects what it prints.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use airbyte_protocol::{
    AirbyteMessage, AirbyteStateMessage, AirbyteStreamStatus, ConfiguredAirbyteCatalog,
};
use cdk_core::entrypoint::{self, Connector, Exit, Invocation};
use cdk_core::{FixedClock, Source};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// 2026-01-02T03:04:05Z
pub(crate) const NOW_MS: i64 = 1_767_323_045_000;

/// A writer that keeps everything.
#[derive(Clone, Default)]
pub(crate) struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a run printed and how it ended.
pub(crate) struct Ran {
    pub(crate) exit: Exit,
    pub(crate) text: String,
    pub(crate) messages: Vec<AirbyteMessage>,
}

impl Ran {
    pub(crate) fn of(exit: Exit, text: String) -> Self {
        let lines = text.lines();
        let messages = lines.map(|line| serde_json::from_str(line).unwrap());
        Self {
            exit,
            messages: messages.collect(),
            text,
        }
    }

    pub(crate) fn states(&self) -> Vec<&AirbyteStateMessage> {
        let states = self.messages.iter().filter_map(|message| match message {
            AirbyteMessage::State(state) => Some(state),
            _ => None,
        });
        states.collect()
    }

    /// The data of all records of a stream, in order.
    pub(crate) fn records(&self, stream: &str) -> Vec<Value> {
        let records = self.messages.iter().filter_map(|message| match message {
            AirbyteMessage::Record(record) if record.stream == stream => {
                Some(record.data.parse_as().unwrap())
            }
            _ => None,
        });
        records.collect()
    }

    pub(crate) fn statuses(&self, stream: &str) -> Vec<AirbyteStreamStatus> {
        let statuses = self.messages.iter().filter_map(|message| match message {
            AirbyteMessage::Trace(trace) => trace.stream_status.as_ref(),
            _ => None,
        });
        statuses
            .filter(|status| status.stream_descriptor.name == stream)
            .map(|status| status.status)
            .collect()
    }

    /// Failure type and message of every ERROR trace.
    pub(crate) fn errors(&self) -> Vec<(String, String)> {
        let errors = self.messages.iter().filter_map(|message| match message {
            AirbyteMessage::Trace(trace) => trace.error.as_ref(),
            _ => None,
        });
        errors
            .map(|error| {
                let kind = error
                    .failure_type
                    .map(|kind| kind.to_string())
                    .unwrap_or_default();
                (kind, error.message.clone())
            })
            .collect()
    }
}

/// Files for one run, in a directory that goes with it.
pub(crate) struct Files(tempfile::TempDir);

impl Files {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    // By value, so that a call may say `json!({…})`.
    #[allow(clippy::needless_pass_by_value)]
    pub(crate) fn write(&self, name: &str, text: impl ToString) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text.to_string()).unwrap();
        path
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

pub(crate) fn args<I: Into<OsString>>(args: impl IntoIterator<Item = I>) -> Vec<OsString> {
    args.into_iter().map(Into::into).collect()
}

pub(crate) fn invocation(args: Vec<OsString>, stdout: Captured) -> Invocation {
    Invocation {
        args,
        env: |_| None,
        stdin: Box::new(io::empty()),
        stdout: Box::new(stdout),
        clock: Arc::new(FixedClock::new(NOW_MS)),
        stop: CancellationToken::new(),
    }
}

/// Runs a verb to its end.
pub(crate) async fn run(connector: Connector, arguments: Vec<OsString>) -> Ran {
    run_with(connector, arguments, |_| {}).await
}

/// The same with a changed invocation.
pub(crate) async fn run_with(
    connector: Connector,
    arguments: Vec<OsString>,
    change: impl FnOnce(&mut Invocation),
) -> Ran {
    let stdout = Captured::default();
    let mut invocation = invocation(arguments, stdout.clone());
    change(&mut invocation);
    let exit = entrypoint::run(connector, invocation).await;
    Ran::of(exit, stdout.text())
}

/// The arguments of `read`, with their files.
pub(crate) fn read_args(
    files: &Files,
    config: &Value,
    catalog: &ConfiguredAirbyteCatalog,
    state: Option<&str>,
) -> Vec<OsString> {
    let config = files.write("config.json", config);
    let catalog = files.write("catalog.json", serde_json::to_string(catalog).unwrap());
    let mut arguments = args(["read", "--config"]);
    arguments.extend([config.into(), "--catalog".into(), catalog.into()]);
    if let Some(state) = state {
        arguments.extend(["--state".into(), files.write("state.json", state).into()]);
    }
    arguments
}

/// Runs `read` to its end.
pub(crate) async fn read(
    source: impl Source,
    config: Value,
    catalog: &ConfiguredAirbyteCatalog,
    state: Option<&str>,
) -> Ran {
    read_with(source, config, catalog, state, |_| {}).await
}

/// The same with a changed invocation.
pub(crate) async fn read_with(
    source: impl Source,
    config: Value,
    catalog: &ConfiguredAirbyteCatalog,
    state: Option<&str>,
    change: impl FnOnce(&mut Invocation),
) -> Ran {
    let files = Files::new();
    let arguments = read_args(&files, &config, catalog, state);
    run_with(Connector::Source(Arc::new(source)), arguments, change).await
}

/// A `--state` file with this one state.
pub(crate) fn state_file(state: &AirbyteStateMessage) -> String {
    serde_json::to_string(&[state]).unwrap()
}
