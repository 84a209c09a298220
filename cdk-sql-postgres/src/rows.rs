//! Rows of COPY as records, written straight into the batch.

use std::collections::BTreeMap;

use airbyte_protocol::{AirbyteRecordMessageMetaChange, Change, ChangeReason};
use cdk_core::{CancellationToken, ConnectorError, RecordSink, RecordWriter, Result};

use crate::error::unexpected;
use crate::session::Session;
use crate::value::{Kind, write_binary, write_text};

/// What a binary COPY begins with, before flags and extensions.
const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";

/// Writes rows as JSON objects. One for each reader.
#[derive(Debug)]
pub struct RowEncoder {
    fields: Vec<Field>,
    /// What every record ends in.
    suffix: Vec<u8>,
    changes: Vec<AirbyteRecordMessageMetaChange>,
    /// Values that became null because they could not be read, by column.
    lost: BTreeMap<String, u64>,
}

#[derive(Debug)]
struct Field {
    name: String,
    /// `{"name":` or `,"name":`.
    prefix: Vec<u8>,
    kind: Kind,
}

impl RowEncoder {
    /// An encoder for these columns. Every record ends with the members in `suffix` (such as `,"a":1`), if any.
    pub fn new<'a>(columns: impl IntoIterator<Item = (&'a str, Kind)>, suffix: &[u8]) -> Self {
        let fields = columns.into_iter().enumerate().map(|(at, (name, kind))| {
            let start = if at == 0 { "{" } else { "," };
            let key = serde_json::Value::from(name);
            Field {
                name: name.to_owned(),
                prefix: format!("{start}{key}:").into_bytes(),
                kind,
            }
        });
        Self {
            fields: fields.collect(),
            suffix: [suffix, b"}"].concat(),
            changes: Vec::new(),
            lost: BTreeMap::new(),
        }
    }

    /// Writes the tuples in the data of one COPY message; `None` when they are cut off.
    #[inline]
    fn write_tuples(
        &mut self,
        mut data: &[u8],
        writer: &mut RecordWriter<'_>,
    ) -> Option<Result<()>> {
        while !data.is_empty() {
            let (count, rest) = data.split_first_chunk::<2>()?;
            data = rest;
            let count = i16::from_be_bytes(*count);
            if count == -1 {
                break;
            }
            if usize::try_from(count) != Ok(self.fields.len()) {
                return None;
            }
            for at in 0..self.fields.len() {
                let (length, rest) = data.split_first_chunk::<4>()?;
                data = rest;
                let value = match usize::try_from(i32::from_be_bytes(*length)) {
                    Ok(length) => {
                        let (value, rest) = data.split_at_checked(length)?;
                        data = rest;
                        Some(value)
                    }
                    Err(_) => None,
                };
                self.write_field(at, value, writer.text());
            }
            if let Err(error) = self.end(writer) {
                return Some(Err(error));
            }
        }
        Some(Ok(()))
    }

    #[inline]
    fn write_field(&mut self, at: usize, value: Option<&[u8]>, out: &mut Vec<u8>) {
        let field = &self.fields[at];
        out.extend_from_slice(&field.prefix);
        let start = out.len();
        match value {
            None => out.extend_from_slice(b"null"),
            Some(value) => {
                if write_binary(&field.kind, value, out).is_err() {
                    self.lose(at, start, out);
                }
            }
        }
    }

    /// Writes a value of a change event, in its text form; `None` is null.
    pub fn write_text_field(&mut self, at: usize, value: Option<&[u8]>, out: &mut Vec<u8>) {
        let Some(field) = self.fields.get(at) else {
            return;
        };
        out.extend_from_slice(&field.prefix);
        let start = out.len();
        match value {
            None => out.extend_from_slice(b"null"),
            Some(value) => {
                if write_text(&field.kind, value, out).is_err() {
                    self.lose(at, start, out);
                }
            }
        }
    }

    /// A value that can't be read becomes null, and the record says so.
    #[cold]
    fn lose(&mut self, at: usize, start: usize, out: &mut Vec<u8>) {
        out.truncate(start);
        out.extend_from_slice(b"null");
        let name = self.fields[at].name.clone();
        *self.lost.entry(name.clone()).or_default() += 1;
        let change = AirbyteRecordMessageMetaChange::new(
            name,
            Change::Nulled,
            ChangeReason::SourceSerializationError,
        );
        self.changes.push(change);
    }

    /// A field that was written as null because its value could not be had; the record says so.
    pub fn note_missing(&mut self, at: usize) {
        let Some(field) = self.fields.get(at) else {
            return;
        };
        let change = AirbyteRecordMessageMetaChange::new(
            field.name.clone(),
            Change::Nulled,
            ChangeReason::SourceRetrievalError,
        );
        self.changes.push(change);
    }

    #[inline]
    fn end(&mut self, writer: &mut RecordWriter<'_>) -> Result<()> {
        writer.text().extend_from_slice(&self.suffix);
        match self.changes.is_empty() {
            true => writer.end(),
            false => writer.end_with(std::mem::take(&mut self.changes)),
        }
    }

    /// Ends a record whose fields were written one by one, with these members behind them.
    pub fn end_with_members(
        &mut self,
        members: &[u8],
        writer: &mut RecordWriter<'_>,
    ) -> Result<()> {
        writer.text().extend_from_slice(members);
        self.end(writer)
    }

    /// Names the columns whose values could not be read, once at the end of a read.
    pub fn warn_of_losses(&self, stream: &airbyte_protocol::StreamDescriptor) {
        for (column, count) in &self.lost {
            tracing::warn!(
                "Stream {stream}, column {column}: {count} values could not be read and became null (each such record says \
                 so in its `meta`). Text that is no valid UTF-8 is the usual reason."
            );
        }
    }
}

/// Runs a binary COPY and writes its rows into `sink`.
pub(crate) async fn copy(
    session: &mut Session,
    sql: &str,
    encoder: &mut RowEncoder,
    stop: &CancellationToken,
    sink: &mut RecordSink,
) -> Result<()> {
    let doing = format!("reading {}", sink.stream());
    let mut copy = session.copy_out(sql, &doing).await?;
    let mut has_header = false;
    loop {
        let is_full = sink
            .write(|writer| {
                while let Some(mut data) = copy.next_received()? {
                    if !has_header {
                        data = after_header(data)
                            .ok_or_else(|| unexpected("a COPY without its header"))?;
                        has_header = true;
                    }
                    let written = encoder.write_tuples(data, writer);
                    written.ok_or_else(|| unexpected("a row of a COPY that is cut off"))??;
                    if writer.is_full() {
                        return Ok(true);
                    }
                }
                Ok(false)
            })
            .await?;
        if stop.is_cancelled() {
            return Err(ConnectorError::stopped());
        }
        if !is_full && !copy.receive().await? {
            return Ok(());
        }
    }
}

/// What is behind the signature, the flags and the extensions.
fn after_header(data: &[u8]) -> Option<&[u8]> {
    let rest = data.strip_prefix(SIGNATURE)?;
    let (_flags, rest) = rest.split_first_chunk::<4>()?;
    let (extensions, rest) = rest.split_first_chunk::<4>()?;
    rest.get(usize::try_from(i32::from_be_bytes(*extensions)).ok()?..)
}
