//! A run as it was seen from outside.

use std::time::Duration;

use serde_json::Value;

use super::call::Call;
use super::tape::{Line, Tape};

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this exit code.
    Exit(i32),
    /// By a signal that the suite did not send.
    Signal(i32),
    /// The suite killed it, as planned.
    Killed,
    /// The suite killed it when its time was up.
    TimedOut,
    /// The suite killed it because it printed more than is allowed.
    Flooded,
    /// It could not be started, or it panicked.
    Broken(String),
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exit(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "ended by signal {signal}"),
            Self::Killed => f.write_str("killed by the suite, as planned"),
            Self::TimedOut => f.write_str("still running at the time limit"),
            Self::Flooded => f.write_str("printed more than the limit"),
            Self::Broken(why) => write!(f, "did not run: {why}"),
        }
    }
}

/// What a run printed and how it ended.
#[derive(Debug, Clone)]
pub struct Observed {
    /// The call.
    pub call: Call,
    /// The lines of stdout, in order.
    pub lines: Vec<Line>,
    /// Whether the last line had an end.
    pub is_whole: bool,
    /// The first MiB of stderr.
    pub stderr: String,
    /// How it ended.
    pub ended: Ended,
    /// From start to end.
    pub took: Duration,
    /// From SIGTERM to the end, if that was sent.
    pub stopping: Option<Duration>,
}

impl Observed {
    pub(super) fn new(call: Call, tape: Tape, ended: Ended, took: Duration) -> Self {
        let recorded = tape.finish();
        Self {
            call,
            lines: recorded.lines,
            is_whole: recorded.is_whole,
            stderr: recorded.stderr,
            ended,
            took,
            stopping: recorded.stopped.map(|at| at.elapsed()),
        }
    }

    /// Whether it ended by itself with exit code 0.
    pub fn succeeded(&self) -> bool {
        self.ended == Ended::Exit(0)
    }

    /// The messages of one type: each line, and the message without its envelope.
    pub fn messages<'a>(
        &'a self,
        kind: &'a str,
        field: &'a str,
    ) -> impl DoubleEndedIterator<Item = (&'a Line, &'a Value)> {
        self.lines
            .iter()
            .filter(move |line| line.kind() == kind)
            .filter_map(move |line| Some((line, line.value.as_ref().ok()?.get(field)?)))
    }

    /// The RECORD messages.
    pub fn records(&self) -> impl DoubleEndedIterator<Item = (&Line, &Value)> {
        self.messages("RECORD", "record")
    }

    /// The STATE messages.
    pub fn states(&self) -> impl DoubleEndedIterator<Item = (&Line, &Value)> {
        self.messages("STATE", "state")
    }

    /// The bodies of the TRACE messages of one kind: `error`, `stream_status`, `estimate`.
    pub fn traces<'a>(
        &'a self,
        field: &'a str,
    ) -> impl DoubleEndedIterator<Item = (&'a Line, &'a Value)> {
        self.messages("TRACE", "trace")
            .filter_map(move |(line, trace)| Some((line, trace.get(field)?)))
            .filter(|(_, body)| !body.is_null())
    }

    /// The first message of one type, without its envelope.
    pub fn first<'a>(&'a self, kind: &'a str, field: &'a str) -> Option<&'a Value> {
        self.messages(kind, field).next().map(|(_, body)| body)
    }
}
