//! Bodies that can't be decoded.

use std::fmt;

/// What is wrong with a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// It ends in the middle.
    Truncated,
    /// It is a web page.
    WebPage,
    /// It is not of the expected format.
    Invalid,
    /// What stands where the records should be is no record.
    NotRecords,
    /// Its text is not of the expected encoding.
    Encoding,
    /// One record, or what stands around the records, is too large.
    TooLarge,
    /// It can't be unpacked.
    Packed,
    /// The machine failed: a temporary file could not be written.
    Machine,
}

/// A body can't be decoded. The text names places and kinds, never values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeError {
    kind: DecodeErrorKind,
    detail: String,
}

impl DecodeError {
    /// An error with its place.
    pub fn new(kind: DecodeErrorKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
        }
    }

    /// What is wrong.
    pub fn kind(&self) -> DecodeErrorKind {
        self.kind
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            DecodeErrorKind::Truncated => "the answer ends in the middle",
            DecodeErrorKind::WebPage => "the answer is a web page",
            DecodeErrorKind::Invalid => "the answer is not of the expected format",
            DecodeErrorKind::NotRecords => "the answer holds something else than records",
            DecodeErrorKind::Encoding => "the answer's text is not in the expected encoding",
            DecodeErrorKind::TooLarge => "a part of the answer is too large",
            DecodeErrorKind::Packed => "the answer can't be unpacked",
            DecodeErrorKind::Machine => "the answer could not be kept in a temporary file",
        })?;
        match self.detail.as_str() {
            "" => Ok(()),
            detail => write!(f, ": {detail}"),
        }
    }
}

impl std::error::Error for DecodeError {}
