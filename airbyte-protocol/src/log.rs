//! LOG messages.

use crate::Extra;
use crate::wire_enum::wire_enum;
use crate::wire_struct::wire_struct;

wire_enum! {
    /// How grave a log message is, gravest first.
    pub enum LogLevel {
        /// The connector can't go on.
        Fatal = "FATAL",
        /// Something failed.
        Error = "ERROR",
        /// Something looks wrong.
        Warn = "WARN",
        /// What happens.
        Info = "INFO",
        /// Details for developers.
        Debug = "DEBUG",
        /// Every step.
        Trace = "TRACE",
    }
}

wire_struct! {
    /// Something for the log.
    #[derive(Clone, Debug, PartialEq)]
    pub struct AirbyteLogMessage {
        /// How grave it is.
        required "level" level: LogLevel,
        /// The text.
        required "message" message: String,
        /// The stack trace of an exception.
        optional "stack_trace" stack_trace: String,
    }
}

impl AirbyteLogMessage {
    /// A log message without a stack trace.
    pub fn new(level: LogLevel, message: impl Into<String>) -> Self {
        Self {
            level,
            message: message.into(),
            stack_trace: None,
            extra: Extra::new(),
        }
    }

    /// Sets the stack trace.
    #[must_use]
    pub fn with_stack_trace(mut self, stack_trace: impl Into<String>) -> Self {
        self.stack_trace = Some(stack_trace.into());
        self
    }
}
