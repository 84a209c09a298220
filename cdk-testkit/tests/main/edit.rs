//! What a connector printed, and how to spoil it.

use cdk_testkit::suite::{Call, Ended};
use serde_json::{Value, json};

/// The lines of a run and its end.
pub(crate) struct Output {
    pub(crate) lines: Vec<String>,
    pub(crate) ended: Ended,
    /// Whether the last line has an end.
    pub(crate) is_whole: bool,
}

impl Output {
    pub(crate) fn new(messages: impl IntoIterator<Item = Value>) -> Self {
        Self {
            lines: messages.into_iter().map(|it| it.to_string()).collect(),
            ended: Ended::Exit(0),
            is_whole: true,
        }
    }

    /// Changes every message of a type.
    pub(crate) fn edit(&mut self, kind: &str, change: impl Fn(&mut Value)) {
        for line in &mut self.lines {
            let mut message: Value = serde_json::from_str(line).unwrap();
            if message["type"] == kind {
                change(&mut message);
                *line = message.to_string();
            }
        }
    }

    /// Changes the last message of a type.
    pub(crate) fn edit_last(&mut self, kind: &str, change: impl Fn(&mut Value)) {
        let is_kind = |line: &String| line.starts_with(&format!("{{\"type\":\"{kind}\""));
        if let Some(line) = self.lines.iter_mut().rev().find(|line| is_kind(line)) {
            let mut message: Value = serde_json::from_str(line).unwrap();
            change(&mut message);
            *line = message.to_string();
        }
    }

    /// Leaves out messages.
    pub(crate) fn drop(&mut self, is_dropped: impl Fn(&Value) -> bool) {
        self.lines
            .retain(|line| !is_dropped(&serde_json::from_str(line).unwrap()));
    }

    /// Adds a message at the end.
    pub(crate) fn push(&mut self, message: &Value) {
        self.lines.push(message.to_string());
    }

    /// Ends with an error that is explained.
    pub(crate) fn fail(&mut self) {
        self.push(
            &json!({"type": "TRACE", "trace": {"type": "ERROR", "emitted_at": 1_700_000_000_000_i64,
            "error": {"message": "It is broken.", "failure_type": "system_error"}}}),
        );
        self.ended = Ended::Exit(1);
    }

    /// Prints the messages of a type again.
    pub(crate) fn double(&mut self, kind: &str) {
        let start = format!("{{\"type\":\"{kind}\"");
        let again: Vec<_> = self
            .lines
            .iter()
            .filter(|it| it.starts_with(&start))
            .cloned()
            .collect();
        self.lines.extend(again);
    }
}

/// Spoils what a sound connector printed.
pub(crate) type Spoil = fn(&Call, &mut Output);
