//! Raw tables: every record as it came, with an id and the time it was read.

use airbyte_protocol::ConfiguredAirbyteStream;
use cdk_core::destination::meta_columns::{RawIds, push_utc};
use cdk_core::{ConnectorError, JsonRows, Result};
use rusqlite::{Connection, OptionalExtension, params};

use crate::error::SqliteContext;
use crate::names::quoted;

/// The columns of a raw table, in its order.
pub(crate) const COLUMNS: [&str; 3] = ["_airbyte_ab_id", "_airbyte_emitted_at", "_airbyte_data"];

/// Writes the records of one stream to its raw table.
#[derive(Debug)]
pub(crate) struct RawTable {
    pub(crate) name: String,
    ids: RawIds,
    /// The values by which records are the same, as expressions of SQL.
    key: Option<Vec<String>>,
}

impl RawTable {
    /// Creates the table, or goes on in the one that is there. A config error when that is none of ours.
    pub(crate) fn open(
        connection: &Connection,
        stream: &ConfiguredAirbyteStream,
        name: String,
    ) -> Result<Self> {
        let doing = || format!("prepare table `{name}`");
        let create = format!(
            "CREATE TABLE IF NOT EXISTS {} (_airbyte_ab_id TEXT PRIMARY KEY NOT NULL, \
             _airbyte_emitted_at TEXT NOT NULL, _airbyte_data TEXT NOT NULL)",
            quoted(&name)
        );
        connection.execute_batch(&create).sqlite(doing)?;
        check_ours(connection, &name)?;
        let mut ids = RawIds::new();
        // Ids grow from run to run, even when the clock is set back.
        ids.set_time(last_id_ms(connection, &name)? + 1);
        let key = stream
            .key()
            .map(|key| key.iter().map(|path| in_record(path)).collect());
        Ok(Self { name, ids, key })
    }

    /// Appends all rows. `now_ms` is the time of the ids.
    pub(crate) fn write(
        &mut self,
        connection: &Connection,
        rows: &JsonRows,
        now_ms: i64,
    ) -> Result<()> {
        self.ids.set_time(now_ms);
        let doing = || format!("write to table `{}`", self.name);
        let insert = format!("INSERT INTO {} VALUES (?1, ?2, ?3)", quoted(&self.name));
        let mut statement = connection.prepare_cached(&insert).sqlite(doing)?;
        let (mut id, mut at) = ([0; 36], String::new());
        for row in rows.iter() {
            at.clear();
            push_utc(&mut at, row.emitted_at);
            let id: &str = self.ids.next_id().hyphenated().encode_lower(&mut id);
            statement.execute(params![id, at, row.data]).sqlite(doing)?;
        }
        Ok(())
    }

    /// Keeps the record of each key that was read last: an overwrite that goes on may bring records twice.
    pub(crate) fn merge(&self, connection: &Connection) -> Result<()> {
        let Some(key) = &self.key else { return Ok(()) };
        let (table, key) = (quoted(&self.name), key.join(", "));
        let merge = format!(
            "DELETE FROM {table} WHERE rowid IN (SELECT id FROM (SELECT rowid AS id, row_number() OVER \
             (PARTITION BY {key} ORDER BY _airbyte_emitted_at DESC, _airbyte_ab_id DESC) AS rank FROM {table}) \
             WHERE rank > 1)"
        );
        connection
            .execute_batch(&merge)
            .sqlite(|| format!("merge rows of table `{}`", self.name))
    }
}

/// The value at this path of a record.
fn in_record(path: &[String]) -> String {
    let steps: String = path
        .iter()
        .map(|key| format!(".\"{}\"", key.replace('"', "\\\"")))
        .collect();
    format!(
        "json_extract(_airbyte_data, '${}')",
        steps.replace('\'', "''")
    )
}

/// Refuses a table that this connector did not make.
pub(crate) fn check_ours(connection: &Connection, name: &str) -> Result<()> {
    let doing = || format!("read the columns of table `{name}`");
    let columns: Vec<String> = connection
        .prepare("SELECT name FROM pragma_table_info(?1)")
        .and_then(|mut statement| statement.query_map([name], |row| row.get(0))?.collect())
        .sqlite(doing)?;
    if columns == COLUMNS {
        return Ok(());
    }
    Err(ConnectorError::config(format!(
        "`{name}` exists already and is no raw table of this connector. Set `table_prefix`, or rename or drop it."
    )))
}

/// The time in the greatest id, in milliseconds since the Unix epoch.
fn last_id_ms(connection: &Connection, name: &str) -> Result<i64> {
    let select = format!("SELECT max(_airbyte_ab_id) FROM {}", quoted(name));
    let id: Option<Option<String>> = connection
        .query_row(&select, [], |row| row.get(0))
        .optional()
        .sqlite(|| format!("look up the last id of table `{name}`"))?;
    let id = id.flatten().unwrap_or_default();
    let digits: String = id.chars().filter(|char| *char != '-').take(12).collect();
    Ok(i64::from_str_radix(&digits, 16).unwrap_or(0))
}
