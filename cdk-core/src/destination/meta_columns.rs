//! The columns that every typed table or file has besides the data (Airbyte's direct-load layout).

use std::fmt::Write as _;

use airbyte_protocol::codec::fields;
use airbyte_protocol::{ConfiguredAirbyteStream, StreamDescriptor};
use uuid::Uuid;

use crate::batch::Row;
use crate::calendar::civil;
use crate::destination::columns::{Columns, FieldChange};
use crate::error::{ConnectorError, Result};

/// A UUID of version 7 that is new for each write of a row.
pub const RAW_ID: &str = "_airbyte_raw_id";
/// When the source read the row: the record's `emitted_at`.
pub const EXTRACTED_AT: &str = "_airbyte_extracted_at";
/// A JSON object: `sync_id` and the `changes` made to the row's values.
pub const META: &str = "_airbyte_meta";
/// The generation that the row belongs to; 0 where the platform knows none.
pub const GENERATION_ID: &str = "_airbyte_generation_id";
/// All of them, in the order of the tables.
pub const META_COLUMNS: [&str; 4] = [RAW_ID, EXTRACTED_AT, META, GENERATION_ID];

/// The field that says when a row was deleted, in streams of change data capture.
pub const CDC_DELETED_AT: &str = "_ab_cdc_deleted_at";

/// Makes ids for rows: UUIDs of version 7, growing within a run (RFC 9562, section 6.2, method 2).
///
/// 72 random bits are drawn for each millisecond and counted up inside it.
#[derive(Debug, Default)]
pub struct RawIds {
    unix_ms: u64,
    counter: u128,
}

impl RawIds {
    /// No id yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the time of the ids from here on, in milliseconds since the Unix epoch. A time before the
    /// one set last is ignored, so that ids keep growing when the clock is set back.
    pub fn set_time(&mut self, now_ms: i64) {
        let now_ms = u64::try_from(now_ms).unwrap_or(0);
        if now_ms > self.unix_ms || self.counter == 0 {
            self.unix_ms = now_ms.max(self.unix_ms);
            // 72 random bits: the free top bits are room to count.
            self.counter = Uuid::new_v4().as_u128() & ((1 << 61) - 1) | 1;
            self.counter |= (Uuid::new_v4().as_u128() & ((1 << 11) - 1)) << 62;
        }
    }

    /// The next id.
    pub fn next_id(&mut self) -> Uuid {
        self.counter += 1;
        let low = self.counter & ((1 << 62) - 1);
        let high = (self.counter >> 62) & ((1 << 12) - 1);
        let time = u128::from(self.unix_ms) & ((1 << 48) - 1);
        Uuid::from_u128(time << 80 | 7 << 76 | high << 64 | 0b10 << 62 | low)
    }
}

/// Writes `unix_ms` as `2024-01-31T23:59:59.123Z` to the end of `out`.
///
/// The text sorts as the time does from year 0 to 9999; years outside have a sign, as ISO 8601 allows.
pub fn push_utc(out: &mut String, unix_ms: i64) {
    const DAY_MS: i64 = 86_400_000;
    let (year, month, day) = civil(unix_ms.div_euclid(DAY_MS));
    let ms = unix_ms.rem_euclid(DAY_MS);
    let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    let written = match year {
        0..=9999 => write!(out, "{year:04}"),
        _ => write!(out, "{year:+07}"),
    };
    let rest = format_args!(
        "-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z",
        ms % 1000
    );
    written
        .and_then(|()| out.write_fmt(rest))
        .expect("writing to a string does not fail");
}

/// Writes the text of `_airbyte_meta`.
#[derive(Debug, Clone)]
pub struct MetaWriter {
    stream: StreamDescriptor,
    /// Up to and with the bracket that opens the changes.
    head: String,
    plain: String,
    text: String,
}

impl MetaWriter {
    /// For the rows that this sync writes of `stream`.
    pub fn new(stream: &ConfiguredAirbyteStream) -> Self {
        let head = match stream.sync_id {
            Some(sync_id) => format!("{{\"sync_id\":{sync_id},\"changes\":["),
            None => "{\"changes\":[".to_owned(),
        };
        let plain = format!("{head}]}}");
        Self {
            stream: stream.descriptor(),
            head,
            plain,
            text: String::new(),
        }
    }

    /// The text for a row that nobody changed.
    pub fn plain(&self) -> &str {
        &self.plain
    }

    /// The text for a row: changes that the record brought come first, then those made here. Other
    /// fields of the record's `meta` are kept.
    ///
    /// A system error when the record's `meta` is broken.
    pub fn write(
        &mut self,
        row: &Row<'_>,
        columns: &Columns,
        changes: &[FieldChange],
    ) -> Result<&str> {
        if row.meta().is_none() && changes.is_empty() {
            return Ok(&self.plain);
        }
        let mut others = String::new();
        self.text.clone_from(&self.head);
        if let Some(meta) = row.meta() {
            self.brought(meta, &mut others)?;
        }
        for change in changes {
            let Some(column) = columns.as_slice().get(change.column) else {
                continue;
            };
            let field = json_string(&column.name);
            let (change, reason) = (change.change, change.reason);
            self.push_change(&format!(
                "{{\"field\":{field},\"change\":\"{change}\",\"reason\":\"{reason}\"}}"
            ));
        }
        self.text.push(']');
        self.text.push_str(&others);
        self.text.push('}');
        Ok(&self.text)
    }

    /// Copies the changes that a record brought, and its other fields to `others`.
    fn brought(&mut self, meta: &str, others: &mut String) -> Result<()> {
        for member in fields(meta) {
            let (key, value) = member.map_err(|error| self.broken(error))?;
            match key.as_ref() {
                "changes" if value == "null" => {}
                "changes" => {
                    let list = value
                        .strip_prefix('[')
                        .and_then(|rest| rest.strip_suffix(']'));
                    let list = list.ok_or_else(|| self.broken("`changes` is not a list"))?;
                    self.push_change(list.trim());
                }
                // Ours counts.
                "sync_id" => {}
                _ => {
                    others.push(',');
                    others.push_str(&json_string(&key));
                    others.push(':');
                    others.push_str(value);
                }
            }
        }
        Ok(())
    }

    fn push_change(&mut self, change: &str) {
        if !change.is_empty() && !self.text.ends_with('[') {
            self.text.push(',');
        }
        self.text.push_str(change);
    }

    fn broken(&self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ConnectorError {
        let text = format!(
            "The `meta` of a record of stream {} is broken. Fix the source that wrote it.",
            self.stream
        );
        ConnectorError::system(text)
            .caused_by(cause)
            .with_stream(&self.stream)
    }
}

fn json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use airbyte_protocol::{AirbyteStream, ChangeReason, DestinationSyncMode, SyncMode};
    use serde_json::{Value, json};

    use super::*;
    use crate::batch::RowExtras;

    fn utc(ms: i64) -> String {
        let mut out = String::new();
        push_utc(&mut out, ms);
        out
    }

    #[test]
    fn times_are_written_in_utc_with_milliseconds() {
        assert_eq!(utc(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(utc(951_868_799_999), "2000-02-29T23:59:59.999Z");
        assert_eq!(utc(-1), "1969-12-31T23:59:59.999Z");
        assert_eq!(utc(1_735_689_600_123), "2025-01-01T00:00:00.123Z");
        assert_eq!(utc(4_107_542_400_000), "2100-03-01T00:00:00.000Z");
        assert_eq!(utc(253_402_300_800_000), "+010000-01-01T00:00:00.000Z");
        assert_eq!(utc(-62_198_755_200_000), "-000001-01-01T00:00:00.000Z");
        assert!(utc(i64::MIN).starts_with('-') && utc(i64::MAX).starts_with('+'));
    }

    #[test]
    fn raw_ids_are_version_7_and_grow() {
        let mut ids = RawIds::new();
        ids.set_time(1_735_689_600_123);
        let mut list: Vec<_> = (0..1000).map(|_| ids.next_id()).collect();
        // The clock was set back.
        ids.set_time(1_735_689_600_000);
        list.push(ids.next_id());
        ids.set_time(1_735_689_600_124);
        list.push(ids.next_id());
        assert!(list.is_sorted_by(|a, b| a < b));
        assert!(list.iter().all(|id| id.get_version_num() == 7));
        assert!(
            list.iter()
                .all(|id| id.get_variant() == uuid::Variant::RFC4122)
        );
        assert!(
            list[0].to_string().starts_with("01941f29-7c7b-7"),
            "{}",
            list[0]
        );
    }

    fn configured(sync_id: Option<i64>) -> ConfiguredAirbyteStream {
        let schema = json!({"properties": {"a\"b": {"type": "integer"}}});
        let stream = AirbyteStream::new("s", schema, vec![SyncMode::FullRefresh]);
        let mode = DestinationSyncMode::Append;
        let mut stream = ConfiguredAirbyteStream::new(stream, SyncMode::FullRefresh, mode);
        stream.sync_id = sync_id;
        stream
    }

    fn written(meta: Option<&str>, changes: &[FieldChange], sync_id: Option<i64>) -> Result<Value> {
        let stream = configured(sync_id);
        let extras = RowExtras {
            meta: meta.map(str::to_owned),
            file_reference: None,
        };
        let row = Row {
            data: "{}",
            emitted_at: 0,
            extras: Some(&extras),
        };
        let mut writer = MetaWriter::new(&stream);
        let text = writer.write(&row, &Columns::of(&stream), changes)?;
        Ok(serde_json::from_str(text).expect("meta is JSON"))
    }

    #[test]
    fn changes_made_here_follow_those_that_the_record_brought() {
        let reason = ChangeReason::DestinationTypecastError;
        let ours = [FieldChange::nulled(0, reason)];
        let change =
            json!({"field": "a\"b", "change": "NULLED", "reason": "DESTINATION_TYPECAST_ERROR"});
        let none = json!({"sync_id": 7, "changes": []});
        assert_eq!(written(None, &[], Some(7)).unwrap(), none);
        assert_eq!(written(Some("{}"), &[], Some(7)).unwrap(), none);
        assert_eq!(
            written(Some(r#"{"changes":null}"#), &[], Some(7)).unwrap(),
            none
        );
        assert_eq!(
            written(None, &ours, None).unwrap(),
            json!({"changes": [change]})
        );
        let brought = r#"{"changes":[ {"field":"x"} ],"sync_id":1,"more":{"y":2}}"#;
        let expected = json!({"sync_id": 7, "changes": [{"field": "x"}, change], "more": {"y": 2}});
        assert_eq!(written(Some(brought), &ours, Some(7)).unwrap(), expected);
    }

    #[test]
    fn a_broken_meta_is_an_error_that_names_the_stream() {
        let error = written(Some(r#"{"changes":1}"#), &[], None).unwrap_err();
        assert!(error.message().contains("record of stream s"), "{error}");
        assert!(written(Some("[]"), &[], None).is_err());
    }
}
