//! The columns that tell where in the log a row comes from.

use serde_json::{Map, Value, json};

use super::position::Place;
use crate::row_writer::key;
use crate::values::{push_instant, push_integer, push_text};

/// The log file that the row's change is in.
pub const LOG_FILE: &str = "_ab_cdc_log_file";
/// Where in that file.
pub const LOG_POS: &str = "_ab_cdc_log_pos";
/// File and position as one number that grows with every change.
pub const CURSOR: &str = "_ab_cdc_cursor";
/// When the row was changed.
pub const UPDATED_AT: &str = "_ab_cdc_updated_at";
/// When the row was deleted; null unless it was.
pub const DELETED_AT: &str = "_ab_cdc_deleted_at";

/// Adds the columns to the schema of a table.
pub fn add_to_schema(properties: &mut Map<String, Value>) {
    let instant = json!({
        "type": ["null", "string"], "format": "date-time", "airbyte_type": "timestamp_with_timezone"
    });
    properties.insert(CURSOR.to_owned(), json!({"type": ["null", "integer"]}));
    properties.insert(LOG_POS.to_owned(), json!({"type": ["null", "number"]}));
    properties.insert(LOG_FILE.to_owned(), json!({"type": ["null", "string"]}));
    properties.insert(UPDATED_AT.to_owned(), instant.clone());
    properties.insert(DELETED_AT.to_owned(), instant);
}

/// Which of the columns a stream has, and how they are written.
#[derive(Debug, Clone)]
pub(crate) struct Meta(Vec<(Part, Vec<u8>)>);

#[derive(Debug, Clone, Copy)]
enum Part {
    Cursor,
    LogFile,
    LogPos,
    UpdatedAt,
    DeletedAt,
}

/// What the columns say of one record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin<'a> {
    pub(crate) place: Place<'a>,
    pub(crate) cursor: u64,
    /// Seconds since the Unix epoch.
    pub(crate) changed_at: u64,
    pub(crate) is_deleted: bool,
}

impl Meta {
    /// The columns that the configured schema names; all when it names no column at all.
    pub(crate) fn of(schema: &Value) -> Self {
        let properties = schema
            .get("properties")
            .and_then(Value::as_object)
            .filter(|all| !all.is_empty());
        let parts = [
            (Part::Cursor, CURSOR),
            (Part::LogFile, LOG_FILE),
            (Part::LogPos, LOG_POS),
            (Part::UpdatedAt, UPDATED_AT),
            (Part::DeletedAt, DELETED_AT),
        ];
        let is_wanted = |name: &str| properties.is_none_or(|all| all.contains_key(name));
        let wanted = parts.into_iter().filter(|(_, name)| is_wanted(name));
        Self(
            wanted
                .map(|(part, name)| (part, key(name, false)))
                .collect(),
        )
    }

    /// Appends the members, each with a comma before it.
    pub(crate) fn push(&self, origin: &Origin<'_>, out: &mut Vec<u8>) {
        for (part, key) in &self.0 {
            out.extend_from_slice(key);
            match part {
                Part::Cursor => push_integer(origin.cursor, out),
                Part::LogFile => push_text(origin.place.file.as_bytes(), out),
                Part::LogPos => push_integer(origin.place.position, out),
                Part::UpdatedAt => push_time(origin.changed_at, out),
                Part::DeletedAt if origin.is_deleted => push_time(origin.changed_at, out),
                Part::DeletedAt => out.extend_from_slice(b"null"),
            }
        }
    }
}

fn push_time(seconds: u64, out: &mut Vec<u8>) {
    let start = out.len();
    out.push(b'"');
    match push_instant(seconds, 0, 6, out) {
        Ok(()) => out.push(b'"'),
        // A log without times.
        Err(_) => {
            out.truncate(start);
            out.extend_from_slice(b"null");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_columns_of_the_schema_are_written() {
        let origin = Origin {
            place: Place {
                file: "binlog.000002",
                position: 7,
            },
            cursor: 9,
            changed_at: 1_709_251_200,
            is_deleted: true,
        };
        let written = |schema: &Value| {
            let mut out = Vec::new();
            Meta::of(schema).push(&origin, &mut out);
            String::from_utf8(out).unwrap()
        };
        let some =
            json!({"properties": {"id": {}, "_ab_cdc_deleted_at": {}, "_ab_cdc_log_pos": {}}});
        assert_eq!(
            written(&some),
            r#","_ab_cdc_log_pos":7,"_ab_cdc_deleted_at":"2024-03-01T00:00:00.000000Z""#
        );
        let all: Value =
            serde_json::from_str(&format!("{{\"x\":1{}}}", written(&json!({})))).unwrap();
        assert_eq!(all[CURSOR], 9);
        assert_eq!(all[LOG_FILE], "binlog.000002");
    }
}
