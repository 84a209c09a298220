//! One call of a connector: a verb, its files, what it reads, and when it is interrupted.

use std::ffi::OsString;

use serde_json::Value;

use crate::files::Files;

/// What a connector is asked to do.
#[derive(Debug, Clone, Default)]
pub struct Call {
    /// What the run is for, in a few words: "read (full refresh)".
    pub label: String,
    /// `spec`, `check`, `discover`, `read` or `write`.
    pub verb: &'static str,
    /// The content of `--config`.
    pub config: Option<Value>,
    /// The content of `--catalog`.
    pub catalog: Option<Value>,
    /// The content of `--state`.
    pub state: Option<Value>,
    /// Further arguments, as they are.
    pub args: Vec<OsString>,
    /// What a destination reads.
    pub stdin: Vec<u8>,
    /// Whether stdin stays open behind its last byte, until the run ends.
    pub holds_stdin: bool,
    /// When the run is interrupted.
    pub interrupt: Option<Interrupt>,
}

/// An interruption from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interrupt {
    /// How.
    pub signal: Signal,
    /// When.
    pub at: At,
}

/// What stops a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM: the run may finish what it has in hand.
    Term,
    /// SIGKILL: the run is gone at once, and with it whoever reads its output.
    Kill,
}

/// When a run is interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// When this many STATE messages have been printed.
    State(usize),
    /// When this many RECORD messages have been printed.
    Record(usize),
    /// When all of stdin has been taken.
    StdinTaken,
}

impl Call {
    /// A call of a verb.
    pub fn new(label: impl Into<String>, verb: &'static str) -> Self {
        Self {
            label: label.into(),
            verb,
            ..Self::default()
        }
    }

    /// Writes the call's files and returns all arguments.
    pub fn arguments(&self, files: &Files) -> Vec<OsString> {
        let mut arguments = vec![OsString::from(self.verb)];
        let options = [
            ("config", &self.config),
            ("catalog", &self.catalog),
            ("state", &self.state),
        ];
        for (option, content) in options {
            if let Some(content) = content {
                let path = files.write(&format!("{option}.json"), content.to_string());
                arguments.push(format!("--{option}").into());
                arguments.push(path.into());
            }
        }
        arguments.extend(self.args.iter().cloned());
        arguments
    }
}
