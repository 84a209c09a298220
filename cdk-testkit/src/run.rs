//! One run of a connector, in this process.

use std::ffi::OsString;
use std::fmt;
use std::io::Cursor;
use std::sync::Arc;

use cdk_core::entrypoint::{self, Connector, Invocation};
use cdk_core::{Destination, FixedClock, Source};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::files::Files;
use crate::ran::Ran;
use crate::stdout::Stdout;

/// What a run takes from its process. Unless told otherwise: no environment variable is set, stdin is empty, the
/// clock stands at the Unix epoch, and nobody asks it to stop.
pub struct Run {
    args: Vec<OsString>,
    env: fn(&str) -> Option<String>,
    stdin: Vec<u8>,
    now_ms: i64,
    stop: CancellationToken,
    stop_at: Option<String>,
}

impl Run {
    /// A run of this verb: `spec`, `check`, `discover`, `read` or `write`.
    pub fn new(verb: &str) -> Self {
        Self {
            args: vec![verb.into()],
            env: |_| None,
            stdin: Vec::new(),
            now_ms: 0,
            stop: CancellationToken::new(),
            stop_at: None,
        }
    }

    /// Adds an argument.
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Writes `<option>.json` into `files` and adds `--<option> <its path>`: `config`, `catalog` or `state`.
    pub fn file(self, files: &Files, option: &str, content: &Value) -> Self {
        let path = files.write(&format!("{option}.json"), content.to_string());
        self.arg(format!("--{option}")).arg(path)
    }

    /// Answers for environment variables.
    pub fn env(mut self, env: fn(&str) -> Option<String>) -> Self {
        self.env = env;
        self
    }

    /// What a destination reads.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// What a destination reads: one line for each message.
    pub fn messages(self, messages: &[Value]) -> Self {
        let lines: String = messages.iter().map(|line| format!("{line}\n")).collect();
        self.stdin(lines)
    }

    /// Holds the clock at this time, in milliseconds since the Unix epoch.
    pub fn at(mut self, now_ms: i64) -> Self {
        self.now_ms = now_ms;
        self
    }

    /// Asks the run to stop, as SIGTERM does, when the token is cancelled.
    pub fn stop(mut self, stop: CancellationToken) -> Self {
        self.stop = stop;
        self
    }

    /// Asks the run to stop, as SIGTERM does, once it has printed this text.
    pub fn stop_at(mut self, text: &str) -> Self {
        self.stop_at = Some(text.to_owned());
        self
    }

    /// Runs a source to its end.
    pub async fn source(self, source: impl Source) -> Ran {
        self.connector(Connector::Source(Arc::new(source))).await
    }

    /// Runs a destination to its end.
    pub async fn destination(self, destination: impl Destination) -> Ran {
        let connector = Connector::Destination(Arc::new(destination));
        self.connector(connector).await
    }

    /// Runs a connector of either kind to its end.
    pub async fn connector(self, connector: Connector) -> Ran {
        let stdout = Stdout::new(self.stop_at, self.stop.clone());
        let invocation = Invocation {
            args: self.args,
            env: self.env,
            stdin: Box::new(Cursor::new(self.stdin)),
            stdout: Box::new(stdout.clone()),
            clock: Arc::new(FixedClock::new(self.now_ms)),
            stop: self.stop,
        };
        let exit = entrypoint::run(connector, invocation).await;
        Ran::new(exit, stdout.text())
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run")
            .field("args", &self.args)
            .finish_non_exhaustive()
    }
}
