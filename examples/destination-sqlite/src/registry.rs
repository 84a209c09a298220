//! `_airbyte_streams`: which stream a table belongs to, and which generation its rows are.

use airbyte_protocol::{ConfiguredAirbyteStream, StreamDescriptor};
use cdk_core::{ConnectorError, Result};
use rusqlite::{Connection, OptionalExtension, params};

use crate::error::SqliteContext;

/// What is remembered of a table.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    /// The generation that its rows were swapped in with.
    pub(crate) generation_id: Option<i64>,
    /// The generation of the rows that wait aside, if any do.
    pub(crate) staging_generation_id: Option<i64>,
    /// Every column that the stream ever had.
    pub(crate) columns: Vec<String>,
}

/// Creates the table of entries.
pub(crate) fn create(connection: &Connection) -> Result<()> {
    let sql = "CREATE TABLE IF NOT EXISTS _airbyte_streams (
        table_name TEXT PRIMARY KEY COLLATE NOCASE,
        namespace TEXT,
        stream TEXT NOT NULL,
        sync_mode TEXT NOT NULL,
        generation_id INTEGER,
        staging_generation_id INTEGER,
        columns TEXT NOT NULL)";
    connection
        .execute_batch(sql)
        .sqlite(|| "create table `_airbyte_streams`".to_owned())
}

/// What is remembered of `table`. A config error when it belongs to another stream.
pub(crate) fn find(
    connection: &Connection,
    table: &str,
    stream: &StreamDescriptor,
) -> Result<Option<Entry>> {
    let sql = "SELECT namespace, stream, generation_id, staging_generation_id, columns \
               FROM _airbyte_streams WHERE table_name = ?1";
    let doing = || format!("look up table `{table}` in `_airbyte_streams`");
    let found = connection
        .prepare_cached(sql)
        .and_then(|mut statement| {
            let row = statement.query_row([table], |row| {
                let owner = StreamDescriptor::from_parts(row.get::<_, String>(1)?, row.get(0)?);
                Ok((owner, row.get(2)?, row.get(3)?, row.get::<_, String>(4)?))
            });
            row.optional()
        })
        .sqlite(doing)?;
    let Some((owner, generation_id, staging_generation_id, columns)) = found else {
        return Ok(None);
    };
    if owner != *stream {
        return Err(ConnectorError::config(format!(
            "Stream {stream} would be written to table `{table}`, which belongs to stream {owner}. Set \
             `table_prefix`, or drop that table and its row in `_airbyte_streams`."
        )));
    }
    let columns = serde_json::from_str(&columns).map_err(|error| {
        ConnectorError::config(format!(
            "Column `columns` of table `_airbyte_streams` is no list for `{table}`; set it to '[]'."
        ))
        .caused_by(error)
    })?;
    Ok(Some(Entry {
        generation_id,
        staging_generation_id,
        columns,
    }))
}

/// Remembers what a sync is about to do.
pub(crate) fn save(
    connection: &Connection,
    table: &str,
    stream: &ConfiguredAirbyteStream,
    entry: &Entry,
) -> Result<()> {
    let sql = "INSERT OR REPLACE INTO _airbyte_streams VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let StreamDescriptor {
        name, namespace, ..
    } = stream.descriptor();
    let mode = stream.destination_sync_mode.to_string();
    let columns = serde_json::Value::from(entry.columns.clone()).to_string();
    connection
        .prepare_cached(sql)
        .and_then(|mut statement| {
            statement.execute(params![
                table,
                namespace,
                name,
                mode,
                entry.generation_id,
                entry.staging_generation_id,
                columns
            ])
        })
        .map(drop)
        .sqlite(|| format!("remember table `{table}` in `_airbyte_streams`"))
}

/// Remembers that the staged rows of a generation are now the table's.
pub(crate) fn swapped(connection: &Connection, table: &str, generation: Option<i64>) -> Result<()> {
    let sql = "UPDATE _airbyte_streams SET generation_id = ?2, staging_generation_id = NULL \
               WHERE table_name = ?1";
    connection
        .prepare_cached(sql)
        .and_then(|mut statement| statement.execute(params![table, generation]))
        .map(drop)
        .sqlite(|| format!("remember the generation of table `{table}`"))
}
