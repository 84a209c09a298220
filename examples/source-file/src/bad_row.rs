//! Rows that can't be read.

use cdk_core::ConnectorError;

/// A row that can't be read. It was passed over: the next row can be.
#[derive(Debug)]
pub(crate) struct BadRow {
    /// The line it starts on; the first is 1.
    pub(crate) line: u64,
    /// Where it starts in the text.
    pub(crate) offset: u64,
    /// What was expected and what was found, without the row's values.
    pub(crate) problem: String,
    /// What else than repairing or skipping may help.
    pub(crate) hint: &'static str,
}

impl BadRow {
    /// The error that ends a read of `file`.
    pub(crate) fn into_error(self, file: &str) -> ConnectorError {
        ConnectorError::config(format!(
            "{file}, line {} (byte {} of its text): {}. Rows before it were read. Repair the row, or \
             set `reader_options.on_bad_lines` to `skip` to leave such rows out{}.",
            self.line, self.offset, self.problem, self.hint
        ))
    }

    /// The warning when it is left out of `file`.
    pub(crate) fn warning(&self, file: &str) -> String {
        let Self {
            line,
            offset,
            problem,
            ..
        } = self;
        format!("{file}, line {line} (byte {offset} of its text): {problem}. The row is left out.")
    }
}

/// Why there is no next row.
#[derive(Debug)]
pub(crate) enum RowError {
    /// This row is bad; others may follow.
    Bad(BadRow),
    /// Nothing follows.
    Fatal(ConnectorError),
}

impl From<ConnectorError> for RowError {
    fn from(error: ConnectorError) -> Self {
        Self::Fatal(error)
    }
}

impl RowError {
    /// The error that ends a read of `file`.
    pub(crate) fn into_error(self, file: &str) -> ConnectorError {
        match self {
            Self::Bad(row) => row.into_error(file),
            Self::Fatal(error) => error,
        }
    }
}
