//! The columns that change data capture adds to every record.

use airbyte_protocol::AirbyteStream;
use serde_json::{Value, json};

use super::lsn::Lsn;
use crate::value::{nullable, write_timestamp};

/// The column with the position of the change in the log.
const LSN: &str = "_ab_cdc_lsn";
const UPDATED_AT: &str = "_ab_cdc_updated_at";
const DELETED_AT: &str = "_ab_cdc_deleted_at";

/// Whether a column is one of ours.
pub(super) fn is_meta(name: &str) -> bool {
    [LSN, UPDATED_AT, DELETED_AT].contains(&name)
}

/// Adds the three columns to a stream's schema and makes the position its cursor. All columns but the key may be null:
/// they are in the records of deletes.
pub fn add_meta_columns(stream: &mut AirbyteStream) {
    let key: Vec<String> = stream
        .source_defined_primary_key
        .iter()
        .flatten()
        .flatten()
        .cloned()
        .collect();
    let time = json!({"type": ["null", "string"], "format": "date-time", "airbyte_type": "timestamp_with_timezone"});
    if let Some(Value::Object(properties)) = stream.json_schema.get_mut("properties") {
        for (_, schema) in properties
            .iter_mut()
            .filter(|(name, _)| !key.contains(name))
        {
            *schema = nullable(schema.take());
        }
        properties.insert(LSN.to_owned(), json!({"type": ["null", "number"]}));
        properties.insert(UPDATED_AT.to_owned(), time.clone());
        properties.insert(DELETED_AT.to_owned(), time);
    }
    stream.source_defined_cursor = Some(true);
    stream.default_cursor_field = Some(vec![LSN.to_owned()]);
}

/// The members behind a record's columns. `at` is in microseconds since 2000-01-01.
pub(super) fn write_members(lsn: Lsn, at: i64, is_deleted: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"_ab_cdc_lsn\":");
    out.extend_from_slice(itoa::Buffer::new().format(lsn.0).as_bytes());
    out.extend_from_slice(b",\"_ab_cdc_updated_at\":");
    write_timestamp(at, true, out);
    out.extend_from_slice(b",\"_ab_cdc_deleted_at\":");
    match is_deleted {
        true => write_timestamp(at, true, out),
        false => out.extend_from_slice(b"null"),
    }
}

/// The members of records that come from no change.
pub const NO_CHANGE: &[u8] =
    b",\"_ab_cdc_lsn\":null,\"_ab_cdc_updated_at\":null,\"_ab_cdc_deleted_at\":null";

/// Microseconds since 2000-01-01 of a time in milliseconds since 1970-01-01.
pub(super) fn micros(unix_ms: i64) -> i64 {
    (unix_ms - 946_684_800_000) * 1000
}
