//! What a run left behind.

use airbyte_protocol::{
    AirbyteCatalog, AirbyteConnectionStatus, AirbyteErrorTraceMessage, AirbyteMessage,
    AirbyteRecordMessage, AirbyteStateMessage, AirbyteStreamStatus, AirbyteTraceMessage,
    MessageType,
};
use cdk_core::entrypoint::Exit;
use serde_json::Value;

/// How a run ended and what it printed. All accessors keep the order of the lines.
#[derive(Debug)]
pub struct Ran {
    /// How it ended.
    pub exit: Exit,
    /// What it printed.
    pub text: String,
    /// The message of each line of `text`.
    pub messages: Vec<AirbyteMessage>,
}

impl Ran {
    /// Reads what was printed.
    pub fn new(exit: Exit, text: String) -> Self {
        let message = |line| {
            serde_json::from_str(line)
                .unwrap_or_else(|error| panic!("printed line is no message: {error}: {line}"))
        };
        let messages = text.lines().map(message).collect();
        Self {
            exit,
            text,
            messages,
        }
    }

    /// The run itself, if it exited with 0.
    pub fn succeeded(self) -> Self {
        assert_eq!(self.exit, Exit::Success, "{}", self.text);
        self
    }

    /// The messages of one type, without their envelope, as printed.
    pub fn printed(&self, kind: MessageType) -> Vec<Value> {
        let lines = self.text.lines().zip(&self.messages);
        let of_kind = lines.filter(|(_, message)| message.kind() == kind);
        let body = |(line, _): (&str, _)| {
            let line: Value = serde_json::from_str(line)
                .unwrap_or_else(|error| panic!("printed line is no JSON: {error}: {line}"));
            line[kind.field()].clone()
        };
        of_kind.map(body).collect()
    }

    /// The records of all streams of this name.
    pub fn records(&self, stream: &str) -> Vec<&AirbyteRecordMessage> {
        self.pick(|message| match message {
            AirbyteMessage::Record(record) if record.stream == stream => Some(record),
            _ => None,
        })
    }

    /// The parsed data of these records.
    pub fn data(&self, stream: &str) -> Vec<Value> {
        let parsed = |record: &AirbyteRecordMessage| {
            let data = record.data.parse_as();
            data.unwrap_or_else(|error| panic!("record data: {error}: {}", record.data.get()))
        };
        self.records(stream).into_iter().map(parsed).collect()
    }

    /// All states, of whatever type.
    pub fn states(&self) -> Vec<&AirbyteStateMessage> {
        self.pick(|message| match message {
            AirbyteMessage::State(state) => Some(state),
            _ => None,
        })
    }

    /// The per-stream states of all streams of this name.
    pub fn states_of(&self, stream: &str) -> Vec<&AirbyteStateMessage> {
        let is_of = |state: &&AirbyteStateMessage| {
            let of = state.stream.as_ref();
            of.is_some_and(|of| of.stream_descriptor.name == stream)
        };
        self.states().into_iter().filter(is_of).collect()
    }

    /// The statuses of all streams of this name.
    pub fn statuses(&self, stream: &str) -> Vec<AirbyteStreamStatus> {
        let statuses = self.traces();
        let statuses = statuses.iter().filter_map(|it| it.stream_status.as_ref());
        statuses
            .filter(|status| status.stream_descriptor.name == stream)
            .map(|status| status.status)
            .collect()
    }

    /// All TRACE messages.
    pub fn traces(&self) -> Vec<&AirbyteTraceMessage> {
        self.pick(|message| match message {
            AirbyteMessage::Trace(trace) => Some(trace),
            _ => None,
        })
    }

    /// All errors.
    pub fn errors(&self) -> Vec<&AirbyteErrorTraceMessage> {
        let traces = self.traces().into_iter();
        traces.filter_map(|trace| trace.error.as_ref()).collect()
    }

    /// The first error.
    pub fn error(&self) -> &AirbyteErrorTraceMessage {
        self.first("ERROR trace", self.errors())
    }

    /// The texts of all LOG messages.
    pub fn logs(&self) -> Vec<&str> {
        self.pick(|message| match message {
            AirbyteMessage::Log(log) => Some(log.message.as_str()),
            _ => None,
        })
    }

    /// What `check` found out.
    pub fn connection_status(&self) -> &AirbyteConnectionStatus {
        let statuses = self.pick(|message| match message {
            AirbyteMessage::ConnectionStatus(status) => Some(status),
            _ => None,
        });
        self.first("CONNECTION_STATUS", statuses)
    }

    /// What `discover` found.
    pub fn catalog(&self) -> &AirbyteCatalog {
        let catalogs = self.pick(|message| match message {
            AirbyteMessage::Catalog(catalog) => Some(catalog),
            _ => None,
        });
        self.first("CATALOG", catalogs)
    }

    fn pick<'a, T>(&'a self, pick: impl FnMut(&'a AirbyteMessage) -> Option<T>) -> Vec<T> {
        self.messages.iter().filter_map(pick).collect()
    }

    fn first<'a, T>(&self, what: &str, found: Vec<&'a T>) -> &'a T {
        let first = found.into_iter().next();
        first.unwrap_or_else(|| panic!("no {what} was printed:\n{}", self.text))
    }
}
