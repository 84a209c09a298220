//! Places in the text of a file.

use serde::{Deserialize, Serialize};

/// A place between two rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// Bytes of text before it (unpacked, as UTF-8, without a byte order mark).
    pub(crate) offset: u64,
    /// Lines before it.
    pub(crate) lines: u64,
    /// Rows emitted before it.
    pub(crate) rows: u64,
}

impl Position {
    /// The start of the text.
    pub(crate) const START: Self = Self {
        offset: 0,
        lines: 0,
        rows: 0,
    };
}
