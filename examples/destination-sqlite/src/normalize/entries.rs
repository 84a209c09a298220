//! `_airbyte_normalizations`: which raw tables are normalized, how, and how far.

use std::collections::BTreeMap;

use airbyte_protocol::ConfiguredAirbyteStream;
use cdk_core::{ConnectorError, ErrorContext, Result};
use cdk_normalize::{Mode, Settings};
use rusqlite::{Connection, OptionalExtension, params};

use super::flat_table::FlatTable;
use crate::error::SqliteContext;
use crate::table;

const TABLE: &str = "_airbyte_normalizations";

/// How far a raw table was normalized, and by which plan.
#[derive(Debug, Default)]
pub(super) struct Entry {
    pub(super) fingerprint: Option<String>,
    pub(super) watermark: Option<String>,
}

/// Creates the table of entries.
pub(super) fn create(connection: &Connection) -> Result<()> {
    let create = "CREATE TABLE IF NOT EXISTS _airbyte_normalizations (
        raw_table TEXT PRIMARY KEY COLLATE NOCASE,
        stream TEXT NOT NULL,
        mode TEXT NOT NULL,
        max_depth INTEGER NOT NULL,
        stream_group TEXT NOT NULL,
        fingerprint TEXT,
        watermark TEXT,
        tables TEXT NOT NULL)";
    connection
        .execute_batch(create)
        .sqlite(|| format!("create table `{TABLE}`"))
}

/// Notes how a raw table is normalized.
pub(super) fn save(
    connection: &Connection,
    raw: &str,
    stream: &ConfiguredAirbyteStream,
    settings: &Settings,
    group: &str,
) -> Result<()> {
    let stream =
        serde_json::to_string(stream).system_error("The stream can't be written as JSON.")?;
    let mode = match settings.mode {
        Mode::Guide => "guide",
        Mode::Classic => "classic",
    };
    let max_depth = i64::try_from(settings.max_depth).unwrap_or(i64::MAX);
    let insert = "INSERT INTO _airbyte_normalizations VALUES (?1, ?2, ?3, ?4, ?5, NULL, NULL, '[]') \
                  ON CONFLICT (raw_table) DO UPDATE SET stream = excluded.stream, mode = excluded.mode, \
                  max_depth = excluded.max_depth, stream_group = excluded.stream_group";
    let saved = connection.execute(insert, params![raw, stream, mode, max_depth, group]);
    saved
        .map(drop)
        .sqlite(|| format!("note the normalization of `{raw}`"))
}

/// The raw rows were replaced: the next normalization does everything again. Nothing is to be done where no sync
/// ever normalized.
pub(crate) fn reset(connection: &Connection, raw: &str) -> Result<()> {
    let doing = || format!("note that `{raw}` was replaced");
    if !table::exists(connection, TABLE).sqlite(doing)? {
        return Ok(());
    }
    let update = "UPDATE _airbyte_normalizations SET watermark = NULL, fingerprint = NULL WHERE raw_table = ?1";
    connection.execute(update, [raw]).map(drop).sqlite(doing)
}

/// How far the raw table was normalized.
pub(super) fn find(connection: &Connection, raw: &str) -> Result<Entry> {
    let select = "SELECT fingerprint, watermark FROM _airbyte_normalizations WHERE raw_table = ?1";
    let entry = |row: &rusqlite::Row<'_>| {
        Ok(Entry {
            fingerprint: row.get(0)?,
            watermark: row.get(1)?,
        })
    };
    let found = connection.query_row(select, [raw], entry).optional();
    let found = found.sqlite(|| format!("look up the normalization of `{raw}`"))?;
    Ok(found.unwrap_or_default())
}

/// Refuses to write to a table that another raw table is normalized into.
pub(super) fn check_owner(connection: &Connection, raw: &str, tables: &[FlatTable]) -> Result<()> {
    let select = "SELECT raw_table FROM _airbyte_normalizations, json_each(tables) \
                  WHERE raw_table <> ?1 COLLATE NOCASE AND value = ?2 COLLATE NOCASE";
    for table in tables {
        let found: Option<String> = connection
            .query_row(select, [raw, &table.name], |row| row.get(0))
            .optional()
            .sqlite(|| format!("look up the tables in `{TABLE}`"))?;
        if let Some(owner) = found {
            return Err(ConnectorError::config(format!(
                "`{raw}` would be normalized into table `{}`, into which `{owner}` is normalized already. Set \
                 `table_prefix`, or drop that table and the row of `{owner}` in `{TABLE}`.",
                table.name
            )));
        }
    }
    Ok(())
}

/// Notes how far it came.
pub(super) fn done(
    connection: &Connection,
    raw: &str,
    fingerprint: &str,
    watermark: Option<&str>,
    tables: &[FlatTable],
) -> Result<()> {
    let names: Vec<_> = tables.iter().map(|table| table.name.as_str()).collect();
    let names = serde_json::Value::from(names).to_string();
    let update = "UPDATE _airbyte_normalizations SET fingerprint = ?2, watermark = ?3, tables = ?4 WHERE raw_table = ?1";
    let updated = connection.execute(update, params![raw, fingerprint, watermark, names]);
    updated
        .map(drop)
        .sqlite(|| format!("note the normalization of `{raw}`"))
}

/// Everything that was noted: the streams that are planned together, and how.
pub(super) fn catalogs(
    connection: &Connection,
) -> Result<Vec<(Vec<ConfiguredAirbyteStream>, Settings)>> {
    let doing = || format!("read table `{TABLE}`");
    if !table::exists(connection, TABLE).sqlite(doing)? {
        return Err(ConnectorError::config(
            "No sync with normalization wrote to this file yet. Set `normalization` in the destination's config and \
             run one.",
        ));
    }
    let select = "SELECT stream_group, mode, max_depth, stream FROM _airbyte_normalizations ORDER BY raw_table";
    let rows: Vec<(String, String, i64, String)> = connection
        .prepare(select)
        .and_then(|mut statement| {
            let row =
                |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
            statement.query_map([], row)?.collect()
        })
        .sqlite(doing)?;
    let mut groups: BTreeMap<(String, String, i64), Vec<ConfiguredAirbyteStream>> = BTreeMap::new();
    for (group, mode, max_depth, stream) in rows {
        let stream = serde_json::from_str(&stream).config_error(format!(
            "Table `{TABLE}` holds a stream that this version can't read. Run a sync, which writes it anew."
        ))?;
        groups
            .entry((group, mode, max_depth))
            .or_default()
            .push(stream);
    }
    let catalogs = groups.into_iter().map(|((_, mode, max_depth), streams)| {
        let mode = if mode == "classic" {
            Mode::Classic
        } else {
            Mode::Guide
        };
        let max_depth = usize::try_from(max_depth).unwrap_or(Settings::DEFAULT_DEPTH);
        (streams, Settings { mode, max_depth })
    });
    Ok(catalogs.collect())
}
