//! Binds a row to the parameters of a statement.

use cdk_core::destination::columns::Cell;
use cdk_core::destination::meta_columns::{META_COLUMNS, push_utc};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection};

use crate::table::TableColumn;

// The metadata columns among the parameters, in the order of `META_COLUMNS`.
const RAW_ID: usize = 1;
const EXTRACTED_AT: usize = 2;
const META: usize = 3;
const GENERATION_ID: usize = 4;
const FIRST_COLUMN: usize = META_COLUMNS.len() + 1;

/// The values of one row.
#[derive(Debug)]
pub(crate) struct RowValues<'a> {
    pub(crate) raw_id: &'a str,
    /// Milliseconds since the Unix epoch.
    pub(crate) extracted_at: i64,
    /// `None` for the text that most rows have.
    pub(crate) changed_meta: Option<&'a str>,
    pub(crate) cells: &'a [Cell<'a>],
}

/// What the rows of a sync have in common.
#[derive(Debug)]
pub(crate) struct SameForAll {
    pub(crate) generation_id: i64,
    /// `_airbyte_meta` of a row that nobody changed.
    pub(crate) plain_meta: String,
}

/// Why a row could not be written.
#[derive(Debug)]
pub(crate) enum Refused {
    /// Its value does not fit the storage of this column.
    Column(usize),
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Refused {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// A statement that writes rows. Values that are the same for most rows stay bound from row to row.
pub(crate) struct RowStatement<'c> {
    statement: CachedStatement<'c>,
    plain_meta: &'c str,
    is_plain_bound: bool,
    /// What is bound as the time of extraction.
    stamp: Option<i64>,
    stamp_text: String,
}

impl<'c> RowStatement<'c> {
    pub(crate) fn new(
        connection: &'c Connection,
        sql: &str,
        same: &'c SameForAll,
    ) -> rusqlite::Result<Self> {
        let mut statement = connection.prepare_cached(sql)?;
        statement.raw_bind_parameter(GENERATION_ID, same.generation_id)?;
        Ok(Self {
            statement,
            plain_meta: &same.plain_meta,
            is_plain_bound: false,
            stamp: None,
            stamp_text: String::new(),
        })
    }

    /// Runs the statement for one row.
    pub(crate) fn write(
        &mut self,
        row: &RowValues<'_>,
        columns: &[TableColumn],
    ) -> Result<(), Refused> {
        for (at, (column, cell)) in columns.iter().zip(row.cells).enumerate() {
            let value = column.storage.bind(cell).ok_or(Refused::Column(at))?;
            self.statement
                .raw_bind_parameter(FIRST_COLUMN + at, value)?;
        }
        self.statement
            .raw_bind_parameter(RAW_ID, text(row.raw_id))?;
        self.bind_meta(row)?;
        self.statement.raw_execute()?;
        Ok(())
    }

    fn bind_meta(&mut self, row: &RowValues<'_>) -> rusqlite::Result<()> {
        if self.stamp != Some(row.extracted_at) {
            self.stamp_text.clear();
            push_utc(&mut self.stamp_text, row.extracted_at);
            self.statement
                .raw_bind_parameter(EXTRACTED_AT, text(&self.stamp_text))?;
            self.stamp = Some(row.extracted_at);
        }
        match row.changed_meta {
            Some(meta) => self.statement.raw_bind_parameter(META, text(meta))?,
            None if self.is_plain_bound => {}
            None => self
                .statement
                .raw_bind_parameter(META, text(self.plain_meta))?,
        }
        self.is_plain_bound = row.changed_meta.is_none();
        Ok(())
    }
}

fn text(text: &str) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes()))
}
