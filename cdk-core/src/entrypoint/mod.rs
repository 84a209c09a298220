//! The entry point: one connector, one verb, stdin to stdout.
//!
//! [`run_source`] and [`run_destination`] are the whole `main` of a connector. Everything they take from
//! the process is a parameter of [`Invocation`], so that tests run exactly what ships.

mod args;
mod files;
mod log;
mod process;
mod verbs;

use std::ffi::OsString;
use std::io::{Read, Write};
use std::process::ExitCode;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, SystemClock};
use crate::destination::{Destination, DynDestination};
use crate::source::{DynSource, Source};

pub use log::LogLayer;

/// A connector of either kind.
#[derive(Clone)]
pub enum Connector {
    /// Runs `spec`, `check`, `discover`, `read`.
    Source(Arc<dyn DynSource>),
    /// Runs `spec`, `check`, `write`.
    Destination(Arc<dyn DynDestination>),
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Source(_) => "Connector::Source",
            Self::Destination(_) => "Connector::Destination",
        })
    }
}

/// Everything a run takes from its process.
pub struct Invocation {
    /// The arguments after the program's name.
    pub args: Vec<OsString>,
    /// Environment variables, by name.
    pub env: fn(&str) -> Option<String>,
    /// Where a destination reads its messages.
    pub stdin: Box<dyn Read + Send>,
    /// Where messages go. Nothing else is written there.
    pub stdout: Box<dyn Write + Send>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Cancel it to end the run in order, as SIGTERM does.
    pub stop: CancellationToken,
}

impl Invocation {
    /// Takes everything from the running process.
    pub fn of_process() -> Self {
        Self {
            args: std::env::args_os().skip(1).collect(),
            env: |name| std::env::var(name).ok(),
            stdin: Box::new(std::io::stdin()),
            stdout: Box::new(std::io::stdout()),
            clock: Arc::new(SystemClock),
            stop: CancellationToken::new(),
        }
    }
}

impl std::fmt::Debug for Invocation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Invocation")
            .field("args", &self.args)
            .finish_non_exhaustive()
    }
}

/// How a run ended, as the process's exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exit {
    /// 0: the verb did what it should, or found out that the check fails, or nobody reads stdout any more.
    Success,
    /// 1: an ERROR trace says why.
    Failure,
    /// 2: the arguments are wrong.
    Usage,
    /// 143: asked to stop. States emitted so far are good to resume from.
    Stopped,
}

impl Exit {
    /// The exit code.
    pub fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failure => 1,
            Self::Usage => 2,
            Self::Stopped => 128 + 15,
        }
    }
}

/// Runs one verb of a connector to its end.
pub async fn run(connector: Connector, invocation: Invocation) -> Exit {
    verbs::run(connector, invocation, verbs::Host::Embedder).await
}

/// The `main` of a source.
pub fn run_source(source: impl Source) -> ExitCode {
    run_connector(Connector::Source(Arc::new(source)))
}

/// The `main` of a destination.
pub fn run_destination(destination: impl Destination) -> ExitCode {
    run_connector(Connector::Destination(Arc::new(destination)))
}

/// The `main` of a connector of either kind.
pub fn run_connector(connector: Connector) -> ExitCode {
    process::main(connector, std::env::args_os().skip(1).collect())
}

/// The same for a program that has taken some arguments for itself: `args` are the others, without the program's
/// name.
pub fn run_connector_with(connector: Connector, args: Vec<OsString>) -> ExitCode {
    process::main(connector, args)
}
