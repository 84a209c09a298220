//! The part of the text that is in memory.

use cdk_core::Result;

use crate::encoding::read_retrying;
use crate::text::{Bytes, from_io};

/// How much one read asks for at least.
const READ_BYTES: usize = 256 << 10;
/// A buffer that grew beyond this for a long row is given back once it is empty.
const KEEP_BYTES: usize = 4 << 20;

/// A sliding window over text: rows are looked at in place and consumed from the front.
pub(crate) struct Window {
    source: Bytes,
    buffer: Vec<u8>,
    start: usize,
    filled: usize,
    /// Where the window starts in the text.
    offset: u64,
    is_end: bool,
}

impl Window {
    /// A window over `source`, which begins at `offset` of the text.
    pub(crate) fn new(source: Bytes, offset: u64) -> Self {
        Self {
            source,
            buffer: Vec::new(),
            start: 0,
            filled: 0,
            offset,
            is_end: false,
        }
    }

    /// What is in memory and not consumed.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.buffer.get(self.start..self.filled).unwrap_or_default()
    }

    /// Where [`Window::bytes`] starts in the text.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// True when the text ends with [`Window::bytes`].
    pub(crate) fn is_end(&self) -> bool {
        self.is_end
    }

    /// Moves the front over `bytes` bytes.
    pub(crate) fn consume(&mut self, bytes: usize) {
        let bytes = bytes.min(self.filled - self.start);
        self.start += bytes;
        self.offset += bytes as u64;
    }

    /// Reads more behind what is there, or finds the end. Reads as much as is there already, so that
    /// a row that is looked at again after each read costs no more than twice its length.
    pub(crate) fn fill(&mut self) -> Result<()> {
        if self.is_end {
            return Ok(());
        }
        let held = self.filled - self.start;
        self.buffer.copy_within(self.start..self.filled, 0);
        (self.start, self.filled) = (0, held);
        if held == 0 && self.buffer.len() > KEEP_BYTES {
            self.buffer = Vec::new();
        }
        let wanted = held + held.max(READ_BYTES);
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        }
        let spare = self.buffer.get_mut(held..wanted).unwrap_or_default();
        let read = read_retrying(&mut self.source, spare).map_err(from_io)?;
        self.filled += read;
        self.is_end = read == 0;
        Ok(())
    }
}
