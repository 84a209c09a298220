//! What a database must tell and do so that its tables become streams.

use std::future::Future;

use cdk_core::{CancellationToken, RecordSink, Result};

use crate::state::Storage;
use crate::table::{Column, Table};

/// A row of a small query: every value as the database's text.
pub type TextRow = Vec<Option<String>>;

/// A database, as [`TableStream`](crate::TableStream) reads it.
///
/// Required are names, literals and three ways to query. The rest are abilities: the defaults say that there
/// is none, and reading does without.
///
/// Values that travel into states and back into conditions do so as text: [`Dialect::text_of`] gives a
/// column's exact text, [`Dialect::literal`] makes a typed literal of it again.
pub trait Dialect: Send + Sync + 'static {
    /// A point in time that several connections read at, held until it is dropped; `()` where there is none.
    type Snapshot: Send + Sync + 'static;

    /// An identifier, quoted.
    fn quote(&self, name: &str) -> String;

    /// An expression for the exact text of `column`.
    fn text_of(&self, column: &Column) -> String;

    /// A literal of the column's type out of such a text. `text` may hold any character.
    fn literal(&self, column: &Column, text: &str) -> String;

    /// Opens a view on `table` that all reads of one run share. No row that is there for the whole run may be
    /// missed by reading the table part by part in it.
    fn snapshot(&self, table: &Table) -> impl Future<Output = Result<Self::Snapshot>> + Send;

    /// Runs a query of few rows in the snapshot. `doing` completes "… while", as in "looking up the newest row".
    fn fetch(
        &self,
        snapshot: &Self::Snapshot,
        sql: &str,
        doing: &str,
    ) -> impl Future<Output = Result<Vec<TextRow>>> + Send;

    /// Reads rows in the snapshot and writes each into `sink`, in any order.
    ///
    /// Called in parallel for parts of one table. Errors with [`ConnectorError::stopped`](cdk_core::ConnectorError::stopped)
    /// soon after `select.stop` is cancelled.
    fn read(
        &self,
        snapshot: &Self::Snapshot,
        select: &Select<'_>,
        sink: &mut RecordSink,
    ) -> impl Future<Output = Result<()>> + Send;

    /// The condition that the row of these columns compares to the row of these texts.
    ///
    /// By default spelled out column by column, `a > 1 OR (a = 1 AND b > 2)`; databases that use an index for
    /// `(a, b) > (1, 2)` say that instead.
    fn compares(&self, columns: &[&Column], comparison: Comparison, texts: &[String]) -> String {
        let mut alternatives = Vec::new();
        for (at, (column, text)) in columns.iter().zip(texts).enumerate() {
            let is_last = at + 1 == columns.len();
            let sign = match comparison {
                Comparison::After => ">",
                Comparison::UpTo if is_last => "<=",
                Comparison::UpTo => "<",
            };
            let equal = columns.iter().zip(texts).take(at);
            let mut terms: Vec<String> = equal
                .map(|(column, text)| {
                    format!(
                        "{} = {}",
                        self.quote(&column.name),
                        self.literal(column, text)
                    )
                })
                .collect();
            terms.push(format!(
                "{} {sign} {}",
                self.quote(&column.name),
                self.literal(column, text)
            ));
            alternatives.push(format!("({})", terms.join(" AND ")));
        }
        format!("({})", alternatives.join(" OR "))
    }

    /// How far the table reaches, for databases that can read it by physical place. Without it, tables are read by
    /// their primary key, and those that have none in one go.
    fn extent(
        &self,
        _snapshot: &Self::Snapshot,
        _table: &Table,
    ) -> impl Future<Output = Result<Option<Extent>>> + Send {
        async { Ok(None) }
    }

    /// The condition for the rows at places from `from` up to, but not including, `to`.
    fn within(&self, _from: u64, _to: Option<u64>) -> String {
        "FALSE".to_owned()
    }

    /// A mark of the snapshot's time; [`Dialect::changed_since`] finds what transactions changed that were not
    /// finished then. It makes cursors safe against rows that appear late behind the cursor.
    fn mark(
        &self,
        _snapshot: &Self::Snapshot,
        _table: &Table,
    ) -> impl Future<Output = Result<Option<String>>> + Send {
        async { Ok(None) }
    }

    /// The condition for rows written since `mark`, `now` being the mark of the running snapshot. It may let older
    /// rows through, never leave newer ones out. `None` when the mark is too old to tell.
    fn changed_since(&self, _mark: &str, _now: &str) -> Option<String> {
        None
    }
}

/// How two rows compare, in the order of their columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// The row lies behind the other.
    After,
    /// The row lies before the other or is equal to it.
    UpTo,
}

/// How far a table reaches in units of its storage (pages).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extent {
    /// Number of units.
    pub units: u64,
    /// Names the storage: when it is rewritten, places lose their meaning and this changes.
    pub file: Storage,
    /// Units to read at a time.
    pub step: u64,
}

/// A read of one table.
#[derive(Debug)]
pub struct Select<'a> {
    /// The table.
    pub table: &'a Table,
    /// The columns of the records, in their order; at least one.
    pub columns: &'a [&'a Column],
    /// What rows must fulfil, all of it; empty for all rows.
    pub conditions: &'a [String],
    /// Asks to end soon.
    pub stop: &'a CancellationToken,
}

impl Select<'_> {
    /// ` WHERE …`, or nothing.
    pub fn where_clause(&self) -> String {
        where_clause(self.conditions)
    }
}

pub(crate) fn where_clause(conditions: &[String]) -> String {
    match conditions.is_empty() {
        true => String::new(),
        false => format!(" WHERE {}", conditions.join(" AND ")),
    }
}
