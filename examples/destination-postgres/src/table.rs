//! A stream's table: created, and brought to the stream's schema.

use cdk_core::destination::meta_columns::META;
use cdk_core::{ConnectorError, Result};
use cdk_sql_postgres::tokio_postgres::Client;

use crate::catalog::{self, Existing};
use crate::error::PgContext;
use crate::layout::{Layout, Shape, TableColumn};
use crate::names::{KEY_INDEX, TableName, list, literal, quoted};
use crate::types::PgType;

/// A table that is ready for rows.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub(crate) name: TableName,
    /// What the stream wants; the types of columns are those that the table has.
    pub(crate) shape: Shape,
    /// Columns that an earlier schema of the stream had.
    pub(crate) removed: Vec<String>,
}

impl Table {
    pub(crate) fn new(name: TableName, shape: Shape) -> Self {
        Self {
            name,
            shape,
            removed: Vec::new(),
        }
    }

    /// As in a statement.
    pub(crate) fn quoted(&self) -> String {
        self.name.quoted()
    }

    /// Creates the table, or brings the existing one to the stream's schema: new columns are added, changed types
    /// widened, removed columns kept. `known` are all columns the stream ever had.
    ///
    /// Returns what changed, for people. The index over the key is not made here.
    pub(crate) async fn ensure(
        &mut self,
        client: &Client,
        known: &[String],
        drop_cascade: bool,
    ) -> Result<Vec<String>> {
        let Some(existing) = catalog::columns(client, &self.name).await? else {
            let created = client.batch_execute(&self.create_sql()).await;
            created.pg(|| format!("creating table {}", self.name))?;
            return Ok(Vec::new());
        };
        self.check_ours(&self.name, &existing)?;
        let changes = self.alter(client, &existing, drop_cascade).await?;
        let is_there = |name: &&String| existing.iter().any(|column| column.name == **name);
        let removed = known.iter().filter(is_there);
        let removed = removed.filter(|name| !self.shape.names().any(|other| other == *name));
        self.removed = removed.cloned().collect();
        Ok(changes)
    }

    /// Refuses to write to a table that this connector did not make for such a stream.
    pub(crate) fn check_ours(&self, name: &TableName, existing: &[Existing]) -> Result<()> {
        let required = self
            .shape
            .columns
            .iter()
            .filter(|column| column.is_required());
        let missing = required
            .filter(|column| !existing.iter().any(|other| other.name == column.name))
            .map(|column| format!("`{}`", column.name));
        let missing: Vec<_> = missing.collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(ConnectorError::config(format!(
            "Table `{name}` exists already and was not made by this connector: it has no column {}. Rename or drop it, \
             or give the connection a stream prefix or another schema.",
            missing.join(", ")
        )))
    }

    fn create_sql(&self) -> String {
        let columns = self.shape.columns.iter().map(|column| {
            let required = if column.is_required() {
                " NOT NULL"
            } else {
                ""
            };
            format!(
                "{} {}{required}",
                quoted(&column.name),
                column.data_type.sql()
            )
        });
        let columns: Vec<_> = columns.collect();
        format!("CREATE TABLE {} ({})", self.quoted(), columns.join(", "))
    }

    async fn alter(
        &mut self,
        client: &Client,
        existing: &[Existing],
        drop_cascade: bool,
    ) -> Result<Vec<String>> {
        let (mut actions, mut changes, mut has_new_type) = (Vec::new(), Vec::new(), false);
        for column in &mut self.shape.columns {
            let name = quoted(&column.name);
            let Some(old) = existing.iter().find(|old| old.name == column.name) else {
                actions.push(format!("ADD COLUMN {name} {}", column.data_type.sql()));
                changes.push(format!("column `{}` was added", column.name));
                continue;
            };
            let wanted = old
                .data_type
                .map_or(column.data_type, |old| old.widen(column.data_type));
            column.data_type = wanted;
            if old.data_type != Some(wanted) {
                let (sql, using) = (wanted.sql(), wanted.converted(&name));
                actions.push(format!("ALTER COLUMN {name} TYPE {sql} USING {using}"));
                changes.push(format!("column `{}` was changed to {sql}", column.name));
                has_new_type = true;
            }
            if old.is_not_null && !column.is_required() {
                actions.push(format!("ALTER COLUMN {name} DROP NOT NULL"));
            }
        }
        if actions.is_empty() {
            return Ok(changes);
        }
        if has_new_type && drop_cascade {
            changes.extend(self.drop_views(client).await?);
        }
        let alter = format!("ALTER TABLE {} {}", self.quoted(), actions.join(", "));
        let altered = client.batch_execute(&alter).await;
        altered.pg(|| {
            format!(
                "changing columns of table {} ({})",
                self.name,
                changes.join("; ")
            )
        })?;
        Ok(changes)
    }

    /// Drops the views on the table, which would not let a column change its type.
    async fn drop_views(&self, client: &Client) -> Result<Vec<String>> {
        let mut dropped = Vec::new();
        for (view, is_materialized) in catalog::views_on(client, &self.name).await? {
            let kind = if is_materialized {
                "MATERIALIZED VIEW"
            } else {
                "VIEW"
            };
            // One may have gone with another.
            let drop = format!("DROP {kind} IF EXISTS {view} CASCADE");
            let done = client.batch_execute(&drop).await;
            done.pg(|| format!("dropping view {view} on table {}", self.name))?;
            dropped.push(format!("view {view} was dropped (`drop_cascade`)"));
        }
        Ok(dropped)
    }

    /// Makes the unique index that the table needs, and drops ours that are not wanted any more.
    pub(crate) async fn ensure_key_index(&self, client: &Client) -> Result<()> {
        let wanted = self.shape.unique_columns();
        let indexes = catalog::unique_indexes(client, &self.name).await?;
        for index in indexes.iter().filter(|index| index.is_ours()) {
            if wanted.as_ref() != Some(&index.columns) {
                let schema = quoted(&self.name.schema);
                let drop = format!("DROP INDEX {schema}.{}", quoted(&index.name));
                let dropped = client.batch_execute(&drop).await;
                dropped.pg(|| format!("dropping the old key's index of table {}", self.name))?;
            }
        }
        let Some(key) = wanted else { return Ok(()) };
        if indexes
            .iter()
            .any(|index| same_columns(&index.columns, &key))
        {
            return Ok(());
        }
        // Ids are found in the order of their bytes; a key may have any order.
        let collation = match self.shape.layout {
            Layout::Typed => "",
            Layout::RawV1 | Layout::RawV2 => " COLLATE \"C\"",
        };
        let create = format!(
            "CREATE UNIQUE INDEX {} ON {} ({}{collation})",
            quoted(&format!("{KEY_INDEX}{}", self.oid(client).await?)),
            self.quoted(),
            list(&key)
        );
        let created = client.batch_execute(&create).await;
        created.pg(|| format!("indexing the key of table {}", self.name))
    }

    /// The number by which the database knows the table; no other one has it, whatever their names become.
    async fn oid(&self, client: &Client) -> Result<u32> {
        let doing = || format!("looking up table {}", self.name);
        let row = client
            .query_one("SELECT to_regclass($1)::oid", &[&self.quoted()])
            .await
            .pg(doing)?;
        row.try_get(0).pg(doing)
    }

    /// Lets `meta` be the metadata of rows that bring none: the server need not read the same JSON for every row. False
    /// when the table is not free at this moment, since nobody should wait for that.
    pub(crate) async fn set_default_meta(&self, client: &Client, meta: &str) -> Result<bool> {
        let doing = || format!("setting the default metadata of table {}", self.name);
        let select = "SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d JOIN pg_attribute a ON a.attrelid = d.adrelid \
                      AND a.attnum = d.adnum WHERE d.adrelid = to_regclass($1) AND a.attname = $2";
        let found = client
            .query_opt(select, &[&self.quoted(), &META])
            .await
            .pg(doing)?;
        let found: Option<String> = match found {
            Some(row) => row.try_get(0).pg(doing)?,
            None => None,
        };
        let wanted = format!("{}::jsonb", literal(meta));
        if found.as_deref() == Some(&wanted) {
            return Ok(true);
        }
        let alter = format!(
            "SAVEPOINT meta; SET LOCAL lock_timeout = '200ms'; ALTER TABLE {} ALTER COLUMN {} SET DEFAULT {wanted}",
            self.quoted(),
            quoted(META)
        );
        let altered = client.batch_execute(&alter).await;
        let end = match &altered {
            Ok(()) => "SET LOCAL lock_timeout = '10min'; RELEASE meta",
            Err(_) => "ROLLBACK TO meta; RELEASE meta",
        };
        client.batch_execute(end).await.pg(doing)?;
        Ok(altered.is_ok())
    }

    /// Whether there is a unique index over the key.
    pub(crate) async fn has_key_index(&self, client: &Client) -> Result<bool> {
        let Some(key) = self.shape.unique_columns() else {
            return Ok(false);
        };
        let indexes = catalog::unique_indexes(client, &self.name).await?;
        Ok(indexes
            .iter()
            .any(|index| same_columns(&index.columns, &key)))
    }

    /// Drops the table, if it is there.
    pub(crate) async fn drop(client: &Client, name: &TableName) -> Result<()> {
        let drop = format!("DROP TABLE IF EXISTS {}", name.quoted());
        client
            .batch_execute(&drop)
            .await
            .pg(|| format!("dropping table {name}"))
    }

    /// The column of this name.
    pub(crate) fn column(&self, name: &str) -> Option<&TableColumn> {
        self.shape.columns.iter().find(|column| column.name == name)
    }

    /// The type of the column of this name.
    pub(crate) fn type_of(&self, name: &str) -> Option<PgType> {
        self.column(name).map(|column| column.data_type)
    }
}

/// `ON CONFLICT` takes an index over the same columns in any order.
fn same_columns(a: &[String], b: &[String]) -> bool {
    a.len() == b.len() && a.iter().all(|name| b.contains(name))
}
