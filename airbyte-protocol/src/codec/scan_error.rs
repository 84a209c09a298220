//! Why a line that must not be lost can't be read.

use std::fmt;

use super::cursor::Syntax;
use crate::MessageType;

/// A line that is, or holds, a RECORD or STATE message but can't be read. Whoever reads must stop:
/// skipping the line would lose data without a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineError {
    pub(super) message: Option<MessageType>,
    pub(super) offset: usize,
    pub(super) kind: LineErrorKind,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LineErrorKind {
    /// The line ends inside the message.
    Truncated,
    /// JSON syntax: what was expected at the offset.
    Syntax(&'static str),
    /// The bytes at the offset aren't UTF-8.
    NotUtf8,
    /// A required field is absent or null.
    MissingField(&'static str),
    /// A field holds something else than it must: the field and what it must be.
    WrongType(&'static str, &'static str),
    /// Other output stands on the same line before a message.
    OutputBeforeMessage,
}

impl LineError {
    pub(super) fn syntax(message: Option<MessageType>, syntax: Syntax) -> Self {
        let kind = syntax
            .expected
            .map_or(LineErrorKind::Truncated, LineErrorKind::Syntax);
        Self {
            message,
            offset: syntax.offset,
            kind,
        }
    }

    /// The type of the broken message, if the line got as far as naming it.
    #[must_use]
    pub fn message_type(&self) -> Option<MessageType> {
        self.message
    }

    /// Where in the line, in bytes from its start.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> &LineErrorKind {
        &self.kind
    }
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.message.map_or("RECORD or STATE", MessageType::as_str);
        let at = self.offset;
        match &self.kind {
            LineErrorKind::Truncated => write!(
                f,
                "{name} message ends too early, at byte {at} of the line: its writer was \
                 interrupted; run the sync again"
            ),
            LineErrorKind::Syntax(expected) => write!(
                f,
                "{name} message is broken: expected {expected} at byte {at} of the line; check \
                 that the connector writes nothing else to stdout"
            ),
            LineErrorKind::NotUtf8 => write!(
                f,
                "{name} message is not UTF-8 at byte {at} of the line; make the connector encode \
                 its output as UTF-8"
            ),
            LineErrorKind::MissingField(field) => {
                write!(
                    f,
                    "{name} message has no `{field}`, which is required; fix the connector"
                )
            }
            LineErrorKind::WrongType(field, expected) => write!(
                f,
                "{name} message: `{field}` at byte {at} of the line is not {expected}; fix the \
                 connector"
            ),
            LineErrorKind::OutputBeforeMessage => write!(
                f,
                "{name} message begins at byte {at} of a line that starts with other output; make \
                 the connector print logs to stderr or as LOG messages"
            ),
        }
    }
}

impl std::error::Error for LineError {}
