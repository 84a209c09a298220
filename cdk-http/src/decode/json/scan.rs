//! The part of a document that is there, and where the walk is in it.

use std::ops::Range;

use airbyte_protocol::codec::{self, ValueEndError};

use crate::decode::{DecodeError, DecodeErrorKind as Kind};

/// What is looked at: bytes, and where the walk is in them.
pub(super) struct Scan<'a> {
    pub(super) text: &'a [u8],
    pub(super) at: usize,
    pub(super) is_end: bool,
    pub(super) spans: Vec<Range<usize>>,
}

/// A step could not be completed with the bytes that are there.
pub(super) enum Halt {
    NeedMore,
    Failed(DecodeError),
}

impl From<DecodeError> for Halt {
    fn from(error: DecodeError) -> Self {
        Self::Failed(error)
    }
}

impl Scan<'_> {
    /// Moves over white space and shows the byte after it.
    pub(super) fn token(&mut self) -> Result<u8, Halt> {
        while let Some(byte) = self.text.get(self.at) {
            if !byte.is_ascii_whitespace() {
                return Ok(*byte);
            }
            self.at += 1;
        }
        Err(Halt::NeedMore)
    }

    /// Moves over one value.
    pub(super) fn value(&mut self) -> Result<Range<usize>, Halt> {
        let first = self.token()?;
        let start = self.at;
        let end = codec::value_end(self.text, start).map_err(|error| match error {
            ValueEndError::Incomplete => Halt::NeedMore,
            ValueEndError::Invalid(at) => Halt::Failed(invalid(at, "a JSON value")),
        })?;
        let is_number = first == b'-' || first.is_ascii_digit();
        if is_number && end == self.text.len() && !self.is_end {
            return Err(Halt::NeedMore);
        }
        self.at = end;
        Ok(start..end)
    }

    pub(super) fn slice(&self, range: Range<usize>) -> &[u8] {
        self.text.get(range).unwrap_or_default()
    }
}

/// What was expected at a byte.
pub(super) fn invalid(at: usize, expected: &str) -> DecodeError {
    DecodeError::new(Kind::Invalid, format!("expected {expected} at byte {at}"))
}
