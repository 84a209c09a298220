//! What the database has: read from its catalog.

use cdk_core::{ConnectorError, Result};
use cdk_sql_postgres::tokio_postgres::Client;

use crate::error::PgContext;
use crate::names::{KEY_INDEX, TableName};
use crate::types::PgType;

/// A column as the database has it.
#[derive(Debug)]
pub(crate) struct Existing {
    pub(crate) name: String,
    /// `None` for types that this connector does not write.
    pub(crate) data_type: Option<PgType>,
    pub(crate) is_not_null: bool,
}

/// The columns of a table, in its order; `None` if there is no such table. A config error for a view and the like.
pub(crate) async fn columns(client: &Client, table: &TableName) -> Result<Option<Vec<Existing>>> {
    let doing = || format!("looking up table {table}");
    let kind = client
        .query_opt(
            "SELECT c.relkind::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = $1 AND c.relname = $2",
            &[&table.schema, &table.table],
        )
        .await
        .pg(doing)?;
    let Some(kind) = kind else { return Ok(None) };
    let kind: String = kind.try_get(0).pg(doing)?;
    if !matches!(kind.as_str(), "r" | "p") {
        return Err(ConnectorError::config(format!(
            "`{table}` is no table (a view, perhaps), but the stream is to be written to one of that name. Rename it, \
             or give the connection a stream prefix."
        )));
    }
    let rows = client
        .query(
            "SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull FROM pg_attribute a \
             JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
            &[&table.schema, &table.table],
        )
        .await
        .pg(doing)?;
    let column = |row: &cdk_sql_postgres::tokio_postgres::Row| {
        let format: String = row.try_get(1)?;
        Ok(Existing {
            name: row.try_get(0)?,
            data_type: PgType::of_existing(&format),
            is_not_null: row.try_get(2)?,
        })
    };
    let columns: std::result::Result<Vec<_>, _> = rows.iter().map(column).collect();
    columns.pg(doing).map(Some)
}

/// A unique index that may arbitrate between rows of one key, or one of ours that does not.
#[derive(Debug)]
pub(crate) struct UniqueIndex {
    pub(crate) name: String,
    pub(crate) columns: Vec<String>,
}

impl UniqueIndex {
    pub(crate) fn is_ours(&self) -> bool {
        self.name.starts_with(KEY_INDEX)
    }
}

/// The plain unique indexes of a table: over columns, not partial, valid.
pub(crate) async fn unique_indexes(client: &Client, table: &TableName) -> Result<Vec<UniqueIndex>> {
    let doing = || format!("looking up the indexes of table {table}");
    let rows = client
        .query(
            "SELECT ic.relname::text, (SELECT array_agg(a.attname::text ORDER BY k.ord) FROM unnest(i.indkey) \
             WITH ORDINALITY k(attnum, ord) JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum \
             WHERE k.ord <= i.indnkeyatts) FROM pg_index i JOIN pg_class ic ON ic.oid = i.indexrelid \
             JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = $1 AND c.relname = $2 AND i.indisunique AND i.indisvalid AND i.indpred IS NULL \
             AND i.indexprs IS NULL",
            &[&table.schema, &table.table],
        )
        .await
        .pg(doing)?;
    let index = |row: &cdk_sql_postgres::tokio_postgres::Row| {
        Ok(UniqueIndex {
            name: row.try_get(0)?,
            columns: row
                .try_get::<_, Option<Vec<String>>>(1)?
                .unwrap_or_default(),
        })
    };
    let indexes: std::result::Result<Vec<_>, _> = rows.iter().map(index).collect();
    indexes.pg(doing)
}

/// Whether anything but its own parts hangs on a table: views, rules, triggers, policies, foreign keys, publications,
/// indexes and constraints that are not ours, functions, rights on columns. A new table in its place would lose them.
pub(crate) async fn has_dependents(client: &Client, table: &TableName) -> Result<bool> {
    let doing = || format!("looking up what depends on table {table}");
    let row = client
        .query_one(
            "WITH t AS (SELECT c.oid, c.reltype, c.relrowsecurity, c.relreplident, c.reloptions, c.relispartition, \
                        c.relhassubclass, c.relkind \
                        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                        WHERE n.nspname = $1 AND c.relname = $2) \
             SELECT EXISTS (SELECT FROM t WHERE relrowsecurity OR relreplident <> 'd' OR reloptions IS NOT NULL \
                            OR relispartition OR relhassubclass OR relkind <> 'r') \
                 OR EXISTS (SELECT FROM t JOIN pg_attribute a ON a.attrelid = t.oid WHERE a.attnum > 0 \
                            AND NOT a.attisdropped AND (a.attacl IS NOT NULL OR (a.atthasdef AND a.attname <> '_airbyte_meta'))) \
                 OR EXISTS (SELECT FROM t JOIN pg_description d ON d.objoid = t.oid AND d.objsubid > 0) \
                 OR EXISTS (SELECT FROM t JOIN pg_constraint c ON t.oid IN (c.conrelid, c.confrelid)) \
                 OR EXISTS (SELECT FROM t JOIN pg_publication_rel p ON p.prrelid = t.oid) \
                 OR EXISTS (SELECT FROM t JOIN pg_depend d ON (d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid) \
                              OR (d.refclassid = 'pg_type'::regclass AND d.refobjid = t.reltype) \
                            LEFT JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid \
                            WHERE d.deptype <> 'i' AND d.classid <> 'pg_attrdef'::regclass AND NOT (c.relkind = 'i' AND starts_with(c.relname::text, $3)) \
                            IS TRUE)",
            &[&table.schema, &table.table, &KEY_INDEX],
        )
        .await
        .pg(doing)?;
    row.try_get(0).pg(doing)
}

/// The statements that give `to` the owner, the rights and the comment of `from`, as far as they differ from those
/// of a new table.
pub(crate) async fn privileges(
    client: &Client,
    from: &TableName,
    to: &TableName,
) -> Result<Vec<String>> {
    let doing = || format!("looking up the rights on table {from}");
    let rows = client
        .query(
            "WITH t AS (SELECT c.oid, c.relowner, c.relacl FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                        WHERE n.nspname = $1 AND c.relname = $2), \
                  acl AS (SELECT a.* FROM t, aclexplode(t.relacl) a WHERE a.grantee <> t.relowner) \
             SELECT format('GRANT %s ON %s TO %s%s', privilege_type, $3::text, \
                           CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END, \
                           CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END) FROM acl \
             UNION ALL \
             SELECT format('COMMENT ON TABLE %s IS %L', $3::text, d.description) FROM t \
                 JOIN pg_description d ON d.objoid = t.oid AND d.objsubid = 0 AND d.classoid = 'pg_class'::regclass \
             UNION ALL \
             SELECT format('ALTER TABLE %s OWNER TO %I', $3::text, pg_get_userbyid(relowner)) FROM t \
                 WHERE pg_get_userbyid(relowner) <> current_user",
            &[&from.schema, &from.table, &to.quoted()],
        )
        .await
        .pg(doing)?;
    let statements: std::result::Result<Vec<String>, _> =
        rows.iter().map(|row| row.try_get(0)).collect();
    statements.pg(doing)
}

/// The views that depend on a table, materialised ones too, quoted.
pub(crate) async fn views_on(client: &Client, table: &TableName) -> Result<Vec<(String, bool)>> {
    let doing = || format!("looking up the views on table {table}");
    let rows = client
        .query(
            "SELECT DISTINCT format('%I.%I', vn.nspname, v.relname), v.relkind = 'm' FROM pg_class c \
             JOIN pg_namespace n ON n.oid = c.relnamespace \
             JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid \
             JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid \
             JOIN pg_class v ON v.oid = r.ev_class JOIN pg_namespace vn ON vn.oid = v.relnamespace \
             WHERE n.nspname = $1 AND c.relname = $2 AND v.relkind IN ('v', 'm')",
            &[&table.schema, &table.table],
        )
        .await
        .pg(doing)?;
    let views: std::result::Result<Vec<_>, _> = rows
        .iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .collect();
    views.pg(doing)
}
