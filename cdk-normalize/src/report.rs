//! What a normalization did.

use std::collections::BTreeMap;

/// What was done for one stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Normalized {
    /// The stream, by its name for people.
    pub stream: String,
    /// Raw rows that were read.
    pub raw_rows: u64,
    /// Rows that they became, by table.
    pub tables: BTreeMap<String, u64>,
}
