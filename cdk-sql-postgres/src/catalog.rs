//! Discovery: what the system catalogs say about tables, columns, types and keys.

use std::collections::{BTreeMap, HashMap, HashSet};

use cdk_core::Result;
use cdk_sql::{Column, Table};

use crate::quote;
use crate::session::{Session, TextRow};
use crate::value::{Kind, TypeInfo, TypeMap, nullable};

/// A table, and what only PostgreSQL knows about it.
#[derive(Debug, Clone)]
pub struct PgTable {
    /// The table for the engine.
    pub table: Table,
    /// `pg_class.oid`.
    pub oid: u32,
    /// `pg_class.relkind`: `r` table, `p` partitioned table, `v` view, `m` materialised view, `f` foreign table.
    pub kind: char,
    /// How values of each column are read, in the order of the columns.
    pub kinds: Vec<Kind>,
    /// `pg_class.relreplident`: `d`efault, `n`othing, `f`ull, `i`ndex.
    pub replica_identity: char,
}

impl PgTable {
    /// The kind of the column of this name.
    pub fn kind_of(&self, column: &str) -> Option<&Kind> {
        let at = self
            .table
            .columns
            .iter()
            .position(|known| known.name == column)?;
        self.kinds.get(at)
    }

    /// Its name for SQL.
    pub fn quoted(&self) -> String {
        quote::table(&self.table.namespace, &self.table.name)
    }
}

const DOING: &str = "reading the system catalogs";

/// The types of the database.
///
/// # Errors
/// When the catalogs can't be read.
pub async fn types(session: &mut Session) -> Result<TypeMap> {
    // Row types of tables and their arrays are left out: there are as many as tables.
    let sql = "SELECT t.oid, t.typname, t.typtype, t.typbasetype, CASE WHEN t.typcategory = 'A' THEN t.typelem ELSE 0 END \
        FROM pg_catalog.pg_type t LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem \
        WHERE t.typtype <> 'c' AND coalesce(e.typtype, 'b') <> 'c'";
    let types = session.query(sql, DOING).await?;
    let types = types.iter().filter_map(|row| {
        Some(TypeInfo {
            oid: number(row, 0)?,
            name: text(row, 1)?.to_owned(),
            class: text(row, 2)?.chars().next()?,
            base: number(row, 3)?,
            element: number(row, 4)?,
        })
    });
    let sql = "SELECT opcintype FROM pg_catalog.pg_opclass WHERE opcdefault AND opcmethod = 403";
    let ordered = session.query(sql, DOING).await?;
    Ok(TypeMap::new(
        types,
        ordered.iter().filter_map(|row| number(row, 0)),
    ))
}

/// The tables and views that the user may read in `schemas`; in all but the system's when the list is empty.
///
/// Partitions are left out: their rows come with the table they are part of. Columns that may not be read are left out.
///
/// # Errors
/// When the catalogs can't be read.
pub async fn tables(session: &mut Session, schemas: &[String]) -> Result<Vec<PgTable>> {
    let types = types(session).await?;
    let sql = format!(
        "SELECT c.oid, n.nspname, c.relname, c.relkind, c.relreplident, c.reltuples::bigint, c.relpages::bigint * 8192, \
            a.attname, a.atttypid, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid \
         WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped \
            AND {} AND pg_catalog.has_schema_privilege(n.oid, 'USAGE') \
            AND pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT') \
         ORDER BY n.nspname, c.relname, c.oid, a.attnum",
        in_schemas(schemas)
    );
    let rows = session.query(&sql, DOING).await?;
    let mut tables: Vec<PgTable> = Vec::new();
    for row in &rows {
        let Some((oid, column, kind)) = column(row, &types) else {
            continue;
        };
        if tables.last().is_none_or(|last| last.oid != oid) {
            tables.extend(table(row, oid));
        }
        if let Some(last) = tables.last_mut() {
            last.table.columns.push(column);
            last.kinds.push(kind);
        }
    }
    add_keys(session, &mut tables, schemas).await?;
    Ok(tables)
}

/// A condition on `n.nspname`.
pub(crate) fn in_schemas(schemas: &[String]) -> String {
    if schemas.is_empty() {
        return "n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'".to_owned();
    }
    let names: Vec<String> = schemas.iter().map(|name| quote::literal(name)).collect();
    format!("n.nspname IN ({})", names.join(", "))
}

fn table(row: &TextRow, oid: u32) -> Option<PgTable> {
    let kind = text(row, 3)?.chars().next()?;
    let statistic = |at: usize| {
        text(row, at)?
            .parse::<i64>()
            .ok()
            .and_then(|count| u64::try_from(count).ok())
    };
    Some(PgTable {
        oid,
        kind,
        kinds: Vec::new(),
        replica_identity: text(row, 4)?.chars().next()?,
        table: Table {
            namespace: text(row, 1)?.to_owned(),
            name: text(row, 2)?.to_owned(),
            columns: Vec::new(),
            primary_key: Vec::new(),
            is_view: matches!(kind, 'v' | 'f'),
            indexed: Vec::new(),
            estimated_rows: statistic(5),
            estimated_bytes: statistic(6),
        },
    })
}

fn column(row: &TextRow, types: &TypeMap) -> Option<(u32, Column, Kind)> {
    let type_oid = number(row, 8)?;
    let kind = types.kind(type_oid);
    let column = Column {
        name: text(row, 7)?.to_owned(),
        type_name: text(row, 9)?.to_owned(),
        schema: match text(row, 10) == Some("t") {
            true => kind.schema(),
            false => nullable(kind.schema()),
        },
        is_ordered: types.is_ordered(type_oid),
    };
    Some((number(row, 0)?, column, kind))
}

async fn add_keys(session: &mut Session, tables: &mut [PgTable], schemas: &[String]) -> Result<()> {
    let sql = format!(
        "SELECT i.indrelid, i.indexrelid, i.indisprimary, i.indpred IS NULL, a.attname \
         FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indrelid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, ord) \
         LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum AND a.attnum > 0 \
         WHERE i.indisvalid AND k.ord <= i.indnkeyatts AND {} ORDER BY i.indrelid, i.indexrelid, k.ord",
        in_schemas(schemas)
    );
    let rows = session.query(&sql, DOING).await?;
    let mut by_table: HashMap<u32, &mut Table> = tables
        .iter_mut()
        .map(|table| (table.oid, &mut table.table))
        .collect();
    let mut seen: HashSet<u32> = HashSet::new();
    for row in &rows {
        let (Some(oid), Some(index), Some(name)) = (number(row, 0), number(row, 1), text(row, 4))
        else {
            // The key is an expression; an index that begins with one leads by no column.
            seen.extend(number::<u32>(row, 1));
            continue;
        };
        let Some(table) = by_table.get_mut(&oid) else {
            continue;
        };
        if text(row, 2) == Some("t") {
            table.primary_key.push(name.to_owned());
        }
        if seen.insert(index) && text(row, 3) == Some("t") {
            table.indexed.push(name.to_owned());
        }
    }
    // A key of which a column may not be read is no key for us.
    for table in by_table.into_values() {
        let is_readable = table
            .primary_key
            .iter()
            .all(|name| table.column(name).is_some());
        if !is_readable {
            table.primary_key.clear();
        }
    }
    Ok(())
}

/// The tables in `schemas` that the user may not read, by schema.
///
/// # Errors
/// When the catalogs can't be read.
pub async fn unreadable(
    session: &mut Session,
    schemas: &[String],
) -> Result<BTreeMap<String, Vec<String>>> {
    let sql = format!(
        "SELECT n.nspname, c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition AND {} AND NOT \
            (pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_any_column_privilege(c.oid, 'SELECT')) \
         ORDER BY 1, 2",
        in_schemas(schemas)
    );
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in session.query(&sql, DOING).await? {
        if let (Some(namespace), Some(name)) = (text(&row, 0), text(&row, 1)) {
            found
                .entry(namespace.to_owned())
                .or_default()
                .push(name.to_owned());
        }
    }
    Ok(found)
}

pub(crate) fn text(row: &TextRow, at: usize) -> Option<&str> {
    row.get(at)?.as_deref()
}

pub(crate) fn number<T: std::str::FromStr>(row: &TextRow, at: usize) -> Option<T> {
    text(row, at)?.parse().ok()
}
