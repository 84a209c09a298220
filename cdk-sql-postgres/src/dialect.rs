//! PostgreSQL for the SQL engine: snapshots that several sessions share, reads by place, marks of transactions.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use airbyte_protocol::StreamDescriptor;
use cdk_core::{ConnectorError, RecordSink, Result};
use cdk_sql::{Column, Comparison, Dialect, Extent, Select, Storage, Table, TextRow};

use crate::catalog::{PgTable, number, text};
use crate::connect::Connector;
use crate::quote;
use crate::rows::{self, RowEncoder};
use crate::session::Session;

/// Ranges of `ctid` are read as such, without a pass over the whole table, since this version.
const TID_RANGE_VERSION: u32 = 140_000;

/// One database, as tables are read from it.
#[derive(Debug)]
pub struct PgDialect {
    connector: Connector,
    tables: HashMap<StreamDescriptor, Arc<PgTable>>,
    /// Members of every record behind its columns.
    suffix: Vec<u8>,
    pages: u64,
}

impl PgDialect {
    /// The dialect for these tables.
    pub fn new(connector: Connector, tables: &[PgTable]) -> Self {
        let tables = tables
            .iter()
            .map(|table| (table.table.descriptor(), Arc::new(table.clone())));
        Self {
            connector,
            tables: tables.collect(),
            suffix: Vec::new(),
            // 32 MiB of a table.
            pages: 4096,
        }
    }

    /// Has every record end with these members, such as `,"a":1`.
    #[must_use]
    pub fn with_suffix(mut self, suffix: Vec<u8>) -> Self {
        self.suffix = suffix;
        self
    }

    /// Sets how many pages (of 8 KiB) are read at a time.
    #[must_use]
    pub fn with_pages(mut self, pages: u64) -> Self {
        self.pages = pages.max(1);
        self
    }

    pub(crate) fn table(&self, descriptor: &StreamDescriptor) -> Result<&Arc<PgTable>> {
        self.tables.get(descriptor).ok_or_else(|| {
            ConnectorError::system("A table is read that was not discovered.")
                .with_stream(descriptor)
        })
    }

    /// The COPY of a select, and the encoder of its rows.
    pub(crate) fn copy_of(
        &self,
        table: &PgTable,
        select: &Select<'_>,
        suffix: &[u8],
    ) -> (String, RowEncoder) {
        let kinds = select
            .columns
            .iter()
            .filter_map(|column| Some((*column, table.kind_of(&column.name)?)));
        let kinds: Vec<_> = kinds.collect();
        let expressions: Vec<String> = kinds
            .iter()
            .map(|(column, kind)| kind.expression(&quote::identifier(&column.name)))
            .collect();
        let sql = format!(
            "COPY (SELECT {} FROM {}{}) TO STDOUT (FORMAT binary)",
            expressions.join(", "),
            table.quoted(),
            select.where_clause()
        );
        #[cfg(feature = "arrow")]
        let types: Vec<&str> = kinds
            .iter()
            .map(|(column, _)| column.type_name.as_str())
            .collect();
        let columns = kinds
            .into_iter()
            .map(|(column, kind)| (column.name.as_str(), kind.clone()));
        let encoder = RowEncoder::new(columns, suffix);
        #[cfg(feature = "arrow")]
        let encoder = match suffix.is_empty() {
            true => encoder.with_columns(&types),
            false => encoder,
        };
        (sql, encoder)
    }
}

/// A snapshot of the database that several sessions read in.
///
/// Each session has a transaction open on it; the first of them exported it. While it lives, tables that were read
/// can't be altered and old row versions are kept.
#[derive(Debug)]
pub struct PgSnapshot {
    connector: Connector,
    id: String,
    idle: Mutex<Vec<Session>>,
}

const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

impl PgSnapshot {
    async fn open(connector: &Connector, table: &PgTable) -> Result<Self> {
        let doing = format!("opening a snapshot for {}", table.table.descriptor());
        let mut session = connector.session().await?;
        // The lock comes first: what is altered afterwards waits, so that the snapshot sees the table as it is.
        let lock = match table.kind {
            'r' | 'p' => format!("LOCK TABLE {} IN ACCESS SHARE MODE; ", table.quoted()),
            _ => String::new(),
        };
        let sql = format!("{BEGIN}; {lock}SELECT pg_catalog.pg_export_snapshot()");
        let id = session.value(&sql, &doing).await?.unwrap_or_default();
        Ok(Self {
            connector: connector.clone(),
            id,
            idle: Mutex::new(vec![session]),
        })
    }

    /// A session in the snapshot; give it back by [`PgSnapshot::put`].
    async fn take(&self) -> Result<Session> {
        let idle = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        if let Some(session) = idle {
            return Ok(session);
        }
        let mut session = self.connector.session().await?;
        let sql = format!(
            "{BEGIN}; SET TRANSACTION SNAPSHOT {}",
            quote::literal(&self.id)
        );
        session.query(&sql, "joining a snapshot").await?;
        Ok(session)
    }

    fn put(&self, session: Session) {
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(session);
    }
}

impl Dialect for PgDialect {
    type Snapshot = PgSnapshot;

    fn quote(&self, name: &str) -> String {
        quote::identifier(name)
    }

    fn text_of(&self, column: &Column) -> String {
        format!("{}::text", quote::identifier(&column.name))
    }

    fn literal(&self, column: &Column, text: &str) -> String {
        format!("{}::{}", quote::literal(text), column.type_name)
    }

    fn compares(&self, columns: &[&Column], comparison: Comparison, texts: &[String]) -> String {
        let names: Vec<String> = columns
            .iter()
            .map(|column| quote::identifier(&column.name))
            .collect();
        let values: Vec<String> = columns
            .iter()
            .zip(texts)
            .map(|(column, text)| self.literal(column, text))
            .collect();
        let sign = match comparison {
            Comparison::After => ">",
            Comparison::UpTo => "<=",
        };
        format!("({}) {sign} ({})", names.join(", "), values.join(", "))
    }

    async fn snapshot(&self, table: &Table) -> Result<PgSnapshot> {
        let descriptor = table.descriptor();
        let opened = PgSnapshot::open(&self.connector, self.table(&descriptor)?).await;
        opened.map_err(|error| error.with_stream(&descriptor))
    }

    async fn fetch(&self, snapshot: &PgSnapshot, sql: &str, doing: &str) -> Result<Vec<TextRow>> {
        let mut session = snapshot.take().await?;
        let rows = session.query(sql, doing).await?;
        snapshot.put(session);
        Ok(rows)
    }

    async fn read(
        &self,
        snapshot: &PgSnapshot,
        select: &Select<'_>,
        sink: &mut RecordSink,
    ) -> Result<()> {
        let table = self.table(&select.table.descriptor())?;
        let (sql, mut encoder) = self.copy_of(table, select, &self.suffix);
        let mut session = snapshot.take().await?;
        rows::copy(&mut session, &sql, &mut encoder, select.stop, sink).await?;
        snapshot.put(session);
        encoder.warn_of_losses(sink.stream());
        Ok(())
    }

    async fn extent(&self, snapshot: &PgSnapshot, table: &Table) -> Result<Option<Extent>> {
        let mut session = snapshot.take().await?;
        let table = self.table(&table.descriptor())?;
        let extent = extent(&mut session, table, self.pages).await?;
        snapshot.put(session);
        Ok(extent)
    }

    fn within(&self, from: u64, to: Option<u64>) -> String {
        within(from, to)
    }

    async fn mark(&self, snapshot: &PgSnapshot, table: &Table) -> Result<Option<String>> {
        let table = self.table(&table.descriptor())?;
        if !matches!(table.kind, 'r' | 'p' | 'm') {
            return Ok(None);
        }
        let sql = "SELECT pg_catalog.txid_snapshot_xmin(pg_catalog.txid_current_snapshot())";
        let rows = self
            .fetch(snapshot, sql, "reading the transaction horizon")
            .await?;
        Ok(rows
            .into_iter()
            .next()
            .and_then(|row| row.into_iter().next())
            .flatten())
    }

    fn changed_since(&self, mark: &str, now: &str) -> Option<String> {
        changed_since(mark.parse().ok()?, now.parse().ok()?)
    }
}

/// Rows on pages from `from` up to, but not including, `to`.
pub(crate) fn within(from: u64, to: Option<u64>) -> String {
    let lower = format!("ctid >= '({from},0)'::pg_catalog.tid");
    match to {
        Some(to) => format!("{lower} AND ctid < '({to},0)'::pg_catalog.tid"),
        None => lower,
    }
}

/// Transaction numbers are compared in a circle of 2³²; beyond half of it, old looks new.
const HALF_CIRCLE: u64 = 1 << 31;
/// Kept between "still fine" and "wrong", for what is written while this is read.
const MARGIN: u64 = 50_000_000;

fn changed_since(mark: u64, now: u64) -> Option<String> {
    if now < mark || now - mark > HALF_CIRCLE - MARGIN {
        return None;
    }
    // The numbers below 3 are special and never given to a transaction.
    let xid = (mark & u64::from(u32::MAX)).max(3);
    Some(format!(
        "pg_catalog.age(xmin) <= pg_catalog.age('{xid}'::pg_catalog.xid)"
    ))
}

/// How many pages the table has, or the longest of its partitions: a range of pages is read in all of them.
pub(crate) async fn extent(
    session: &mut Session,
    table: &PgTable,
    pages: u64,
) -> Result<Option<Extent>> {
    let version = session
        .value("SHOW server_version_num", "asking for the version")
        .await?;
    let is_ranged = version
        .and_then(|version| version.parse::<u32>().ok())
        .is_some_and(|it| it >= TID_RANGE_VERSION);
    if !is_ranged || !matches!(table.kind, 'r' | 'p' | 'm') {
        return Ok(None);
    }
    let sql = format!(
        "WITH RECURSIVE part(oid) AS (SELECT {}::pg_catalog.oid UNION ALL \
            SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN part ON part.oid = i.inhparent), \
         leaf AS (SELECT c.oid, c.relkind, pg_catalog.pg_relation_filenode(c.oid) AS file, \
            pg_catalog.pg_relation_size(c.oid) / pg_catalog.current_setting('block_size')::bigint AS pages \
            FROM part JOIN pg_catalog.pg_class c ON c.oid = part.oid WHERE c.relkind <> 'p') \
         SELECT coalesce(max(pages), 0), count(*), min(file), \
            pg_catalog.md5(pg_catalog.string_agg(oid || ':' || file, ',' ORDER BY oid)), \
            coalesce(pg_catalog.bool_or(relkind = 'f'), false) FROM leaf",
        table.oid
    );
    let rows = session.query(&sql, "measuring the table").await?;
    let measured = rows.first().and_then(|row| {
        let file = match (number::<u64>(row, 1)?, number(row, 2), text(row, 3)) {
            (1, Some(file), _) => Storage::Number(file),
            (_, _, Some(names)) => Storage::Name(names.to_owned()),
            _ => Storage::Name("empty".to_owned()),
        };
        let has_foreign_part = text(row, 4)? == "t";
        (!has_foreign_part).then_some(Extent {
            units: number(row, 0)?,
            file,
            step: pages,
        })
    });
    Ok(measured)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transactions_are_compared_only_within_half_the_circle() {
        assert!(changed_since(1000, 2000).unwrap().contains("'1000'"));
        let wrapped = (1 << 32) + 1;
        assert!(changed_since(wrapped, wrapped + 5).unwrap().contains("'3'"));
        assert!(changed_since(5, HALF_CIRCLE).is_none());
        assert!(changed_since(9, 8).is_none());
    }
}
