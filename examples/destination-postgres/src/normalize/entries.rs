//! `_airbyte_normalizations`: which raw tables are normalized, how, and how far.

use std::collections::BTreeMap;

use airbyte_protocol::{ConfiguredAirbyteCatalog, ConfiguredAirbyteStream};
use cdk_core::{ConnectorError, ErrorContext, Result};
use cdk_normalize::{Mode, Settings};
use cdk_sql_postgres::tokio_postgres::Client;

use crate::error::PgContext;
use crate::layout::Layout;
use crate::names::TableName;

/// How a raw table is normalized.
#[derive(Debug)]
pub(super) struct Entry {
    /// The configured stream, as JSON. Kept as `json`: the order of its fields is that of the columns.
    pub(super) stream: String,
    pub(super) mode: Mode,
    pub(super) max_depth: i32,
    pub(super) layout: Layout,
    /// Streams of one group are planned together: none of their tables share a name.
    pub(super) group: String,
}

/// The table of entries.
#[derive(Debug, Clone)]
pub(crate) struct Entries {
    table: String,
}

impl Entries {
    pub(crate) fn new(internal: &str) -> Self {
        Self {
            table: TableName::new(internal, "_airbyte_normalizations").quoted(),
        }
    }

    /// Creates the table, unless it is there. Its schema is.
    pub(crate) async fn create(&self, client: &Client) -> Result<()> {
        let create = format!(
            "CREATE TABLE IF NOT EXISTS {} (raw_schema varchar NOT NULL, raw_table varchar NOT NULL, \
             stream json NOT NULL, mode varchar NOT NULL, max_depth int NOT NULL, raw_version int NOT NULL, \
             stream_group varchar NOT NULL, fingerprint varchar, watermark varchar, tables varchar[] NOT NULL, \
             PRIMARY KEY (raw_schema, raw_table))",
            self.table
        );
        client
            .batch_execute(&create)
            .await
            .pg(|| format!("creating table {}", self.table))
    }

    pub(super) async fn save(&self, client: &Client, raw: &TableName, entry: &Entry) -> Result<()> {
        let insert = format!(
            "INSERT INTO {} VALUES ($1, $2, $3::text::json, $4, $5, $6, $7, NULL, NULL, '{{}}') \
             ON CONFLICT (raw_schema, raw_table) DO UPDATE SET stream = excluded.stream, mode = excluded.mode, \
             max_depth = excluded.max_depth, raw_version = excluded.raw_version, stream_group = excluded.stream_group",
            self.table
        );
        let mode = match entry.mode {
            Mode::Guide => "guide",
            Mode::Classic => "classic",
        };
        let version: i32 = if entry.layout == Layout::RawV2 { 2 } else { 1 };
        let saved = client
            .execute(
                &insert,
                &[
                    &raw.schema,
                    &raw.table,
                    &entry.stream,
                    &mode,
                    &entry.max_depth,
                    &version,
                    &entry.group,
                ],
            )
            .await;
        saved
            .pg(|| format!("noting the normalization of {raw}"))
            .map(drop)
    }

    /// The raw rows were replaced: the next normalization does everything again. Part of the transaction that
    /// replaces them. Nothing is to be done where no sync ever normalized.
    pub(crate) async fn reset(&self, client: &Client, raw: &TableName) -> Result<()> {
        let doing = || format!("noting that {raw} was replaced");
        let found = client
            .query_one("SELECT to_regclass($1) IS NOT NULL", &[&self.table])
            .await
            .pg(doing)?;
        if !found.try_get::<_, bool>(0).pg(doing)? {
            return Ok(());
        }
        let update = format!(
            "UPDATE {} SET watermark = NULL, fingerprint = NULL WHERE raw_schema = $1 AND raw_table = $2",
            self.table
        );
        let reset = client.execute(&update, &[&raw.schema, &raw.table]).await;
        reset.pg(doing).map(drop)
    }

    /// Keeps other normalizations of the same table out until the transaction ends. Returns the last id that was
    /// normalized, and whether that was done in the same way as now.
    pub(super) async fn lock(
        &self,
        client: &Client,
        raw: &TableName,
        fingerprint: &str,
    ) -> Result<(Option<String>, bool)> {
        let doing = || format!("looking up the normalization of {raw}");
        let select = format!(
            "SELECT watermark, fingerprint FROM {} WHERE raw_schema = $1 AND raw_table = $2 FOR UPDATE",
            self.table
        );
        let row = client
            .query_opt(&select, &[&raw.schema, &raw.table])
            .await
            .pg(doing)?;
        let Some(row) = row else {
            return Ok((None, false));
        };
        let known: Option<String> = row.try_get(1).pg(doing)?;
        Ok((
            row.try_get(0).pg(doing)?,
            known.as_deref() == Some(fingerprint),
        ))
    }

    /// Refuses to write to a table that another raw table is normalized into.
    pub(super) async fn check_owner(
        &self,
        client: &Client,
        raw: &TableName,
        tables: impl Iterator<Item = &TableName>,
    ) -> Result<()> {
        let doing = || {
            format!(
                "looking up the tables of other normalizations in {}",
                self.table
            )
        };
        let select = format!(
            "SELECT raw_schema || '.' || raw_table FROM {} WHERE $1 = ANY (tables) AND \
             coalesce(stream->'stream'->>'namespace', '') = (SELECT coalesce(stream->'stream'->>'namespace', '') \
             FROM {} WHERE raw_schema = $2 AND raw_table = $3) AND (raw_schema, raw_table) <> ($2, $3)",
            self.table, self.table
        );
        for table in tables {
            let found = client
                .query_opt(&select, &[&table.table, &raw.schema, &raw.table])
                .await
                .pg(doing)?;
            if let Some(row) = found {
                let owner: String = row.try_get(0).pg(doing)?;
                return Err(ConnectorError::config(format!(
                    "{raw} would be normalized into table `{table}`, into which {owner} is normalized already. Give \
                     one of the connections a stream prefix or another schema, or drop that table and the row of \
                     {owner} in {}.",
                    self.table
                )));
            }
        }
        Ok(())
    }

    /// Notes how far it came.
    pub(super) async fn done(
        &self,
        client: &Client,
        raw: &TableName,
        fingerprint: &str,
        watermark: Option<String>,
        tables: Vec<String>,
    ) -> Result<()> {
        let update = format!(
            "UPDATE {} SET fingerprint = $3, watermark = $4, tables = $5 WHERE raw_schema = $1 AND raw_table = $2",
            self.table
        );
        let updated = client
            .execute(
                &update,
                &[&raw.schema, &raw.table, &fingerprint, &watermark, &tables],
            )
            .await;
        updated
            .pg(|| format!("noting the normalization of {raw}"))
            .map(drop)
    }

    /// Everything that was noted: the streams that are planned together, how, and what their raw tables are like.
    pub(super) async fn catalogs(
        &self,
        client: &Client,
    ) -> Result<Vec<(ConfiguredAirbyteCatalog, Settings, Layout)>> {
        let doing = || format!("reading {}", self.table);
        let select = format!(
            "SELECT stream::text, mode, max_depth, raw_version, stream_group FROM {} ORDER BY raw_schema, raw_table",
            self.table
        );
        let rows = client.query(&select, &[]).await.pg(doing)?;
        let mut groups: BTreeMap<(String, String, i32, i32), Vec<ConfiguredAirbyteStream>> =
            BTreeMap::new();
        for row in rows {
            let stream: String = row.try_get(0).pg(doing)?;
            let stream = serde_json::from_str(&stream).config_error(format!(
                "Table {} holds a stream that this version can't read. Run a sync, which writes it anew.",
                self.table
            ))?;
            let key = (
                row.try_get(4).pg(doing)?,
                row.try_get(1).pg(doing)?,
                row.try_get(2).pg(doing)?,
                row.try_get(3).pg(doing)?,
            );
            groups.entry(key).or_default().push(stream);
        }
        let catalogs = groups
            .into_iter()
            .map(|((_, mode, max_depth, version), streams)| {
                let mode = if mode == "classic" {
                    Mode::Classic
                } else {
                    Mode::Guide
                };
                let max_depth = usize::try_from(max_depth).unwrap_or(Settings::DEFAULT_DEPTH);
                let layout = if version == 2 {
                    Layout::RawV2
                } else {
                    Layout::RawV1
                };
                (
                    ConfiguredAirbyteCatalog::new(streams),
                    Settings { mode, max_depth },
                    layout,
                )
            });
        Ok(catalogs.collect())
    }
}
