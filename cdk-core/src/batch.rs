//! The unit that moves: records of one stream, held as JSON text or as Arrow columns.

use std::ops::Range;
use std::sync::Arc;

use airbyte_protocol::{AirbyteRecordMessageMeta, StreamDescriptor};
use serde::Serialize;

#[cfg(feature = "arrow")]
use crate::arrow::ArrowRows;
use crate::budget::Reservation;

/// Records of one stream, in the order they were read.
#[derive(Debug)]
pub struct RecordBatch {
    stream: Arc<StreamDescriptor>,
    rows: Rows,
    reservation: Option<Reservation>,
}

/// How a batch holds its records.
#[derive(Debug)]
#[non_exhaustive]
pub enum Rows {
    /// Record data as JSON text, one object a row.
    Json(JsonRows),
    /// Record data as Arrow columns.
    #[cfg(feature = "arrow")]
    Arrow(ArrowRows),
}

impl RecordBatch {
    /// A batch of JSON rows.
    pub fn new(stream: Arc<StreamDescriptor>, rows: JsonRows) -> Self {
        Self {
            stream,
            rows: Rows::Json(rows),
            reservation: None,
        }
    }

    /// A batch of Arrow columns.
    #[cfg(feature = "arrow")]
    pub fn from_arrow(stream: Arc<StreamDescriptor>, rows: ArrowRows) -> Self {
        Self {
            stream,
            rows: Rows::Arrow(rows),
            reservation: None,
        }
    }

    /// The stream the records belong to.
    pub fn stream(&self) -> &Arc<StreamDescriptor> {
        &self.stream
    }

    /// The records.
    pub fn rows(&self) -> &Rows {
        &self.rows
    }

    /// The records as JSON rows. Arrow columns are converted at the first call.
    pub fn json(&self) -> &JsonRows {
        match &self.rows {
            Rows::Json(rows) => rows,
            #[cfg(feature = "arrow")]
            Rows::Arrow(rows) => rows.json(),
        }
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        match &self.rows {
            Rows::Json(rows) => rows.len(),
            #[cfg(feature = "arrow")]
            Rows::Arrow(rows) => rows.len(),
        }
    }

    /// True when there is no record.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of record data: of its JSON text, or of its columns in memory.
    pub fn bytes(&self) -> usize {
        match &self.rows {
            Rows::Json(rows) => rows.bytes(),
            #[cfg(feature = "arrow")]
            Rows::Arrow(rows) => rows.bytes(),
        }
    }

    /// Bytes of memory, about.
    pub fn held_bytes(&self) -> usize {
        match &self.rows {
            Rows::Json(rows) => rows.held_bytes(),
            #[cfg(feature = "arrow")]
            Rows::Arrow(rows) => rows.bytes(),
        }
    }

    /// When each record was read, and what it carries besides its data, in order.
    pub fn envelopes(&self) -> Box<dyn Iterator<Item = (i64, Option<&RowExtras>)> + '_> {
        match &self.rows {
            Rows::Json(rows) => Box::new(rows.spans().map(|(_, at, extras)| (at, extras))),
            #[cfg(feature = "arrow")]
            Rows::Arrow(rows) => {
                let mut extras = rows.extras().iter().peekable();
                Box::new((0..rows.len()).map(move |row| {
                    let of_row = extras.next_if(|(at, _)| *at == row);
                    (rows.emitted_at(), of_row.map(|(_, extras)| extras))
                }))
            }
        }
    }

    /// The same records under another stream name (namespace mapping, prefixes).
    #[must_use]
    pub fn renamed(mut self, stream: Arc<StreamDescriptor>) -> Self {
        self.stream = stream;
        self
    }

    pub(crate) fn hold(&mut self, reservation: Reservation) {
        self.reservation = Some(reservation);
    }

    pub(crate) fn is_held(&self) -> bool {
        self.reservation.is_some()
    }
}

impl Drop for RecordBatch {
    fn drop(&mut self) {
        if let (Rows::Json(rows), Some(reservation)) = (&mut self.rows, &self.reservation) {
            reservation.recycle(std::mem::take(&mut rows.text));
        }
    }
}

/// Record data as JSON text in one buffer, with the end of each row.
#[derive(Debug, Default)]
pub struct JsonRows {
    text: Vec<u8>,
    ends: Vec<u32>,
    /// From which row on which `emitted_at` holds, in milliseconds since the Unix epoch.
    stamps: Vec<(usize, i64)>,
    /// What the few rows that have more than data carry.
    extras: Vec<(usize, RowExtras)>,
    extras_bytes: usize,
}

/// What a record may carry besides its data, each as the text of a JSON object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RowExtras {
    /// Changes made on the way (`meta`).
    pub meta: Option<String>,
    /// The file the record describes (`file_reference`).
    pub file_reference: Option<String>,
}

/// One record of a [`JsonRows`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row<'a> {
    /// The record's data: the text of a JSON object.
    pub data: &'a str,
    /// When it was read, in milliseconds since the Unix epoch.
    pub emitted_at: i64,
    /// What it carries besides, for the few that do.
    pub extras: Option<&'a RowExtras>,
}

impl Row<'_> {
    /// The text of the record's `meta` object, if it has one.
    pub fn meta(&self) -> Option<&str> {
        self.extras?.meta.as_deref()
    }
}

impl JsonRows {
    /// No rows yet; `buffer` is emptied and takes their data.
    pub(crate) fn with_buffer(mut buffer: Vec<u8>) -> Self {
        buffer.clear();
        Self {
            text: buffer,
            ..Self::default()
        }
    }

    /// Sets when the rows from here on were read, in milliseconds since the Unix epoch.
    pub fn stamp(&mut self, emitted_at: i64) {
        if self
            .stamps
            .last()
            .is_none_or(|(_, last)| *last != emitted_at)
        {
            self.stamps.push((self.len(), emitted_at));
        }
    }

    /// Serialises `record` as the next row. On error the rows are as before.
    pub fn push<T: Serialize + ?Sized>(&mut self, record: &T) -> serde_json::Result<()> {
        let start = self.text.len();
        if let Err(error) = serde_json::to_writer(&mut self.text, record) {
            self.text.truncate(start);
            return Err(error);
        }
        self.end_row();
        Ok(())
    }

    /// Appends a row that `write` puts at the end of the text: one JSON object.
    #[cfg(feature = "arrow")]
    pub(crate) fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.text);
        self.end_row();
    }

    /// Copies the JSON text of an object as the next row. It is not parsed.
    pub fn push_raw(&mut self, data: &str) {
        self.text.extend_from_slice(data.as_bytes());
        self.end_row();
    }

    /// The text of the rows, to write the next one at its end.
    #[inline]
    pub(crate) fn text_mut(&mut self) -> &mut Vec<u8> {
        &mut self.text
    }

    /// Drops text behind the last row.
    pub(crate) fn drop_open_text(&mut self) {
        let end = self.ends.last().map_or(0, |end| *end as usize);
        self.text.truncate(end);
    }

    /// Sets what the last row carries besides its data.
    pub fn set_extras(&mut self, extras: RowExtras) {
        if let Some(row) = self.len().checked_sub(1) {
            self.extras.pop_if(|(last, _)| *last == row);
            let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
            self.extras_bytes +=
                size_of::<(usize, RowExtras)>() + text(&extras.meta) + text(&extras.file_reference);
            self.extras.push((row, extras));
        }
    }

    /// Attaches changes to the last row.
    pub fn set_meta(&mut self, meta: &AirbyteRecordMessageMeta) -> serde_json::Result<()> {
        let meta = Some(serde_json::to_string(meta)?);
        self.set_extras(RowExtras {
            meta,
            file_reference: None,
        });
        Ok(())
    }

    /// Takes the last row out again.
    pub(crate) fn pop(&mut self) -> Option<(String, RowExtras)> {
        self.ends.pop()?;
        let start = self.ends.last().map_or(0, |end| *end as usize);
        let data = String::from_utf8_lossy(&self.text[start..]).into_owned();
        self.text.truncate(start);
        let rows = self.ends.len();
        let extras = self.extras.pop_if(|(at, _)| *at >= rows);
        Some((data, extras.map(|(_, extras)| extras).unwrap_or_default()))
    }

    /// Bytes of the last row.
    pub(crate) fn last_len(&self) -> usize {
        let before = self
            .ends
            .len()
            .checked_sub(2)
            .map_or(0, |at| self.ends[at] as usize);
        self.text.len() - before
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// True when there is no row.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes of data.
    pub fn bytes(&self) -> usize {
        self.text.len()
    }

    /// Bytes of memory, about: data, what rows carry besides, and the bookkeeping of rows.
    pub fn held_bytes(&self) -> usize {
        self.text.len() + self.extras_bytes + self.ends.len() * 4 + self.stamps.len() * 16
    }

    /// The rows in order.
    pub fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        // Checked once per batch: a row can then be cut out in constant time.
        let text = std::str::from_utf8(&self.text).expect("rows are only built from JSON text");
        self.spans().map(|(span, emitted_at, extras)| Row {
            data: &text[span],
            emitted_at,
            extras,
        })
    }

    /// Data, time and extras of the rows in order, for writers that only copy bytes.
    pub(crate) fn iter_bytes(&self) -> impl Iterator<Item = (&[u8], i64, Option<&RowExtras>)> {
        self.spans()
            .map(|(span, emitted_at, extras)| (&self.text[span], emitted_at, extras))
    }

    fn spans(&self) -> impl Iterator<Item = (Range<usize>, i64, Option<&RowExtras>)> {
        let mut stamps = self.stamps.iter().peekable();
        let mut extras = self.extras.iter().peekable();
        let (mut start, mut emitted_at) = (0, 0);
        self.ends.iter().enumerate().map(move |(row, end)| {
            let span = start..*end as usize;
            start = span.end;
            if let Some((_, stamp)) = stamps.next_if(|(from, _)| *from == row) {
                emitted_at = *stamp;
            }
            let extras = extras.next_if(|(at, _)| *at == row);
            (span, emitted_at, extras.map(|(_, extras)| extras))
        })
    }

    pub(crate) fn end_row(&mut self) {
        let end = u32::try_from(self.text.len());
        self.ends
            .push(end.expect("a batch is flushed long before it holds 4 GiB"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_in_order_with_their_stamp_and_meta() {
        let mut rows = JsonRows::default();
        rows.stamp(7);
        rows.push(&serde_json::json!({"id": 1})).unwrap();
        rows.stamp(7);
        rows.push_raw(r#"{"id":2}"#);
        rows.set_meta(&AirbyteRecordMessageMeta::default()).unwrap();
        rows.stamp(8);
        rows.push_raw(r#"{"id":3}"#);
        let seen: Vec<_> = rows
            .iter()
            .map(|row| (row.data, row.emitted_at, row.meta().is_some()))
            .collect();
        let expected = [
            (r#"{"id":1}"#, 7, false),
            (r#"{"id":2}"#, 7, true),
            (r#"{"id":3}"#, 8, false),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn a_failed_push_leaves_the_rows_as_they_were() {
        let mut rows = JsonRows::default();
        rows.push_raw("{}");
        // JSON has no map with non-text keys: serde_json fails after it wrote the bracket.
        let bad = std::collections::BTreeMap::from([(vec![1], 2)]);
        assert!(rows.push(&bad).is_err());
        assert_eq!(rows.iter().map(|row| row.data).collect::<Vec<_>>(), ["{}"]);
    }
}
