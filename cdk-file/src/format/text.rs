//! Rows as lines of JSON or CSV.

use airbyte_protocol::ConfiguredAirbyteStream;
use airbyte_protocol::codec::fields;
use cdk_core::destination::columns::{Cell, Columns, NonFinite, RowReader};
use cdk_core::destination::generation::Generation;
use cdk_core::destination::meta_columns::{META_COLUMNS, MetaWriter, RawIds, push_utc};
use cdk_core::{ConnectorError, JsonRows, Result, Row};

use crate::format::{DATA, Flattening};

/// The two formats of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextFormat {
    /// One JSON object per line.
    Jsonl,
    /// Comma-separated values with a header line (RFC 4180).
    Csv,
}

/// Writes the rows of one stream as text.
#[derive(Debug)]
pub struct TextRows {
    layout: Layout,
    columns: Columns,
    reader: RowReader,
    meta: MetaWriter,
    ids: RawIds,
    generation_id: i64,
    /// The time of extraction of the row before, and its text.
    stamp: (i64, String),
    nulled: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    JsonRoot,
    JsonData,
    CsvRoot,
    CsvData,
}

impl TextRows {
    /// For the rows that a sync writes of `stream`, which has these columns.
    pub fn new(
        format: TextFormat,
        flattening: Flattening,
        stream: &ConfiguredAirbyteStream,
        columns: Columns,
    ) -> Self {
        let layout = match (format, flattening) {
            (TextFormat::Jsonl, Flattening::None) => Layout::JsonData,
            (TextFormat::Jsonl, _) => Layout::JsonRoot,
            (TextFormat::Csv, Flattening::None) => Layout::CsvData,
            (TextFormat::Csv, _) => Layout::CsvRoot,
        };
        let mut stamp = String::new();
        push_utc(&mut stamp, 0);
        Self {
            layout,
            reader: RowReader::new(&columns),
            columns,
            meta: MetaWriter::new(stream),
            ids: RawIds::new(),
            generation_id: Generation::of(stream).column_value(),
            stamp: (0, stamp),
            nulled: 0,
        }
    }

    /// The first line of a file.
    pub fn header(&self, out: &mut String) {
        let names = self
            .columns
            .as_slice()
            .iter()
            .map(|column| column.name.as_str());
        let list: Vec<&str> = match self.layout {
            Layout::JsonRoot | Layout::JsonData => return,
            Layout::CsvRoot => META_COLUMNS.into_iter().chain(names).collect(),
            Layout::CsvData => META_COLUMNS.into_iter().chain([DATA]).collect(),
        };
        for (at, name) in list.into_iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            push_csv(out, name);
        }
        out.push_str("\r\n");
    }

    /// Writes the rows to `out`, which is handed to `full` and cleared whenever it is large enough, and
    /// at the end. `now_ms` is the time of the rows' ids.
    pub fn write(
        &mut self,
        rows: &JsonRows,
        now_ms: i64,
        out: &mut String,
        mut full: impl FnMut(&str) -> Result<()>,
    ) -> Result<()> {
        const FULL_BYTES: usize = 128 << 10;
        self.ids.set_time(now_ms);
        let mut cells = Vec::with_capacity(self.columns.len());
        for row in rows.iter() {
            match self.layout {
                Layout::JsonRoot | Layout::JsonData => self.json(&row, out)?,
                Layout::CsvRoot => {
                    self.reader.read(row.data, &mut cells)?;
                    self.csv(&row, out, |out| push_cells(out, &cells))?;
                }
                Layout::CsvData => {
                    check_object(&row, &self.columns)?;
                    self.csv(&row, out, |out| {
                        out.push(',');
                        push_csv(out, row.data);
                    })?;
                }
            }
            if out.len() >= FULL_BYTES {
                full(out)?;
                out.clear();
            }
        }
        full(out)?;
        out.clear();
        Ok(())
    }

    /// How many values were nulled since the last call.
    pub fn take_nulled(&mut self) -> u64 {
        std::mem::take(&mut self.nulled)
    }

    fn json(&mut self, row: &Row<'_>, out: &mut String) -> Result<()> {
        let has_own_names = check_object(row, &self.columns)?;
        let [raw_id, extracted_at, meta, generation_id] = META_COLUMNS;
        let mut id = [0; 36];
        let id = self.ids.next_id().hyphenated().encode_lower(&mut id);
        set_stamp(&mut self.stamp, row.emitted_at);
        let meta_text = self.meta.write(row, &self.columns, &[])?;
        let parts = [
            "{\"",
            raw_id,
            "\":\"",
            id,
            "\",\"",
            extracted_at,
            "\":\"",
            &self.stamp.1,
        ];
        parts.into_iter().for_each(|part| out.push_str(part));
        let generation = self.generation_id.to_string();
        let parts = [
            "\",\"",
            meta,
            "\":",
            meta_text,
            ",\"",
            generation_id,
            "\":",
            &generation,
        ];
        parts.into_iter().for_each(|part| out.push_str(part));
        let start = out.len();
        match self.layout {
            Layout::JsonData => {
                let parts = [",\"", DATA, "\":", row.data];
                parts.into_iter().for_each(|part| out.push_str(part));
            }
            _ if has_own_names => push_other_members(row.data, out),
            _ => push_members(row.data, out),
        }
        // Only white space between tokens can be a line break: inside a string it is escaped.
        if memchr::memchr2(b'\n', b'\r', &out.as_bytes()[start..]).is_some() {
            let line = out.split_off(start).replace(['\n', '\r'], " ");
            out.push_str(&line);
        }
        out.push_str("}\n");
        Ok(())
    }

    fn csv(
        &mut self,
        row: &Row<'_>,
        out: &mut String,
        data: impl FnOnce(&mut String),
    ) -> Result<()> {
        let is_typed = self.layout == Layout::CsvRoot;
        let changes = if is_typed { self.reader.changes() } else { &[] };
        self.nulled += changes.len() as u64;
        let mut id = [0; 36];
        out.push_str(self.ids.next_id().hyphenated().encode_lower(&mut id));
        out.push(',');
        set_stamp(&mut self.stamp, row.emitted_at);
        out.push_str(&self.stamp.1);
        out.push(',');
        push_csv(out, self.meta.write(row, &self.columns, changes)?);
        out.push(',');
        out.push_str(&self.generation_id.to_string());
        data(out);
        out.push_str("\r\n");
        Ok(())
    }
}

fn set_stamp(stamp: &mut (i64, String), emitted_at: i64) {
    if stamp.0 != emitted_at {
        stamp.0 = emitted_at;
        stamp.1.clear();
        push_utc(&mut stamp.1, emitted_at);
    }
}

/// Makes sure that the row is a JSON object. Tells whether a field has the name of a metadata column.
fn check_object(row: &Row<'_>, columns: &Columns) -> Result<bool> {
    let mut has_own_names = false;
    for member in fields(row.data) {
        let (key, _) = member.map_err(|error| {
            let stream = columns.stream();
            ConnectorError::system(format!(
                "A record of stream {stream} is not a JSON object. Fix the source that wrote it."
            ))
            .caused_by(error)
            .with_stream(stream)
        })?;
        has_own_names |= META_COLUMNS.contains(&key.as_ref());
    }
    Ok(has_own_names)
}

/// The members of an object behind others.
fn push_members(object: &str, out: &mut String) {
    let object = object.trim();
    let inner = object
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'))
        .unwrap_or_default();
    if !inner.trim().is_empty() {
        out.push(',');
        out.push_str(inner);
    }
}

/// The same without fields that have the name of a metadata column.
fn push_other_members(object: &str, out: &mut String) {
    for (key, value) in fields(object).flatten() {
        if !META_COLUMNS.contains(&key.as_ref()) {
            out.push(',');
            out.push_str(&serde_json::Value::from(key.as_ref()).to_string());
            out.push(':');
            out.push_str(value);
        }
    }
}

/// Cells of a CSV line, each behind a comma. Null is empty, empty text is quoted.
fn push_cells(out: &mut String, cells: &[Cell<'_>]) {
    for cell in cells {
        out.push(',');
        match cell {
            Cell::Null => {}
            Cell::Boolean(value) => out.push_str(if *value { "true" } else { "false" }),
            Cell::Integer(value) => out.push_str(&value.to_string()),
            Cell::BigInteger(digits) => out.push_str(digits),
            Cell::Number(number) => out.push_str(number),
            Cell::NonFinite(value) => out.push_str(NonFinite::as_str(*value)),
            Cell::Text(text) => push_csv(out, text),
            Cell::Json(text) => push_csv(out, text),
        }
    }
}

/// One field of a CSV line (RFC 4180). Empty text is quoted, so that it differs from null.
fn push_csv(out: &mut String, text: &str) {
    let is_plain = !text.is_empty()
        && !text
            .bytes()
            .any(|b| matches!(b, b',' | b'"' | b'\r' | b'\n'));
    if is_plain {
        return out.push_str(text);
    }
    out.push('"');
    for (at, part) in text.split('"').enumerate() {
        if at > 0 {
            out.push_str("\"\"");
        }
        out.push_str(part);
    }
    out.push('"');
}
