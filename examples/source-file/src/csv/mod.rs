//! CSV: text to rows, rows to JSON records.
//!
//! The reader is our own and not the `csv` crate's because it must tell what that one passes over in
//! silence: where exactly a row starts, that a quote was never closed, that a cell was quoted (an
//! empty cell is null, `""` is not), and that a row is too long. The `csv` crate is its oracle in tests.

mod head;
mod header;
mod nulls;
mod records;
mod rows;
mod scan;
mod types;
mod value;

pub(crate) use head::{CsvHead, inspect};
pub(crate) use nulls::Nulls;
pub(crate) use records::CsvRecords;
pub(crate) use scan::Dialect;
pub(crate) use types::TypeOverrides;
pub(crate) use value::Kind;

/// How a CSV file is written, and what its cells mean.
#[derive(Debug, Clone)]
pub(crate) struct CsvOptions {
    pub(crate) dialect: Dialect,
    pub(crate) header: HeaderOption,
    /// Names to use instead of the file's.
    pub(crate) names: Option<Vec<String>>,
    /// Lines before anything else.
    pub(crate) skip_rows: u64,
    /// Whether empty lines are passed over.
    pub(crate) skips_blank: bool,
    pub(crate) nulls: Nulls,
    /// Words for true and false besides `true` and `false`.
    pub(crate) true_words: Vec<String>,
    pub(crate) false_words: Vec<String>,
    pub(crate) types: TypeOverrides,
}

/// Where the column names are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeaderOption {
    /// In this row; rows before it are passed over.
    Row(u64),
    /// Nowhere.
    Absent,
}
