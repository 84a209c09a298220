//! Rows of COPY as records, written straight into the batch.

use std::collections::BTreeMap;

use airbyte_protocol::{AirbyteRecordMessageMetaChange, Change, ChangeReason};
#[cfg(feature = "arrow")]
use cdk_core::ErrorContext;
use cdk_core::{CancellationToken, ConnectorError, RecordSink, RecordWriter, Result};

#[cfg(feature = "arrow")]
use crate::columns::{Columns, Misfit};
use crate::error::unexpected;
use crate::session::{CopyOut, Session};
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
    /// Set where rows may go as Arrow columns.
    #[cfg(feature = "arrow")]
    columns: Option<Columns>,
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
            #[cfg(feature = "arrow")]
            columns: None,
        }
    }

    /// Writes the next tuple as a record.
    #[inline]
    fn write_tuple(&mut self, tuple: &mut Tuple<'_>, writer: &mut RecordWriter<'_>) -> Result<()> {
        for at in 0..self.fields.len() {
            let value = tuple.value().ok_or_else(cut_off)?;
            self.write_field(at, value, writer.text());
        }
        self.end(writer)
    }

    /// Lets rows go as columns where the destination prefers that: with the types of the fields in the server's words.
    #[cfg(feature = "arrow")]
    pub(crate) fn with_columns(mut self, type_names: &[&str]) -> Self {
        let fields = self.fields.iter().zip(type_names);
        self.columns =
            Some(Columns::new(fields.map(|(field, name)| {
                (field.name.as_str(), &field.kind, *name)
            })));
        self
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

/// The tuples in the data of one COPY message, value by value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tuple<'a>(&'a [u8]);

impl<'a> Tuple<'a> {
    /// The values that begin here.
    #[cfg(all(test, feature = "arrow"))]
    pub(crate) fn of(data: &'a [u8]) -> Self {
        Self(data)
    }

    /// Steps to the next tuple, which must have so many values; false behind the last.
    #[inline]
    fn next(&mut self, fields: usize) -> Result<bool> {
        let Some((count, rest)) = self.0.split_first_chunk::<2>() else {
            return if self.0.is_empty() {
                Ok(false)
            } else {
                Err(cut_off())
            };
        };
        self.0 = rest;
        match i16::from_be_bytes(*count) {
            // The trailer.
            -1 => Ok(false),
            count if usize::try_from(count) == Ok(fields) => Ok(true),
            _ => Err(unexpected("a row of a COPY with another number of columns")),
        }
    }

    /// The next value, `Some(None)` for null; `None` when it is cut off.
    #[inline]
    pub(crate) fn value(&mut self) -> Option<Option<&'a [u8]>> {
        let (length, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
            return Some(None);
        };
        let (value, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(Some(value))
    }
}

#[cold]
fn cut_off() -> ConnectorError {
    unexpected("a row of a COPY that is cut off")
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
    let mut rows = CopyRows {
        copy: session.copy_out(sql, &doing).await?,
        has_header: false,
    };
    #[cfg(feature = "arrow")]
    if let Some(columns) = encoder.columns.take().filter(|_| sink.prefers_arrow()) {
        return rows.read_columns(encoder, columns, stop, sink).await;
    }
    rows.read_json(encoder, stop, sink).await
}

/// The rows of a COPY that is under way.
struct CopyRows<'a> {
    copy: CopyOut<'a>,
    has_header: bool,
}

impl CopyRows<'_> {
    /// The tuples of the next message that was received already.
    #[inline]
    fn next_received(&mut self) -> Result<Option<Tuple<'_>>> {
        let Some(data) = self.copy.next_received()? else {
            return Ok(None);
        };
        if self.has_header {
            return Ok(Some(Tuple(data)));
        }
        self.has_header = true;
        let rows = after_header(data).ok_or_else(|| unexpected("a COPY without its header"))?;
        Ok(Some(Tuple(rows)))
    }

    async fn read_json(
        &mut self,
        encoder: &mut RowEncoder,
        stop: &CancellationToken,
        sink: &mut RecordSink,
    ) -> Result<()> {
        let fields = encoder.fields.len();
        loop {
            let is_full = sink
                .write(|writer| {
                    while let Some(mut tuple) = self.next_received()? {
                        while tuple.next(fields)? {
                            encoder.write_tuple(&mut tuple, writer)?;
                        }
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
            if !is_full && !self.copy.receive().await? {
                return Ok(());
            }
        }
    }

    /// The same into columns; a row that does not fit them goes as JSON.
    #[cfg(feature = "arrow")]
    async fn read_columns(
        &mut self,
        encoder: &mut RowEncoder,
        mut columns: Columns,
        stop: &CancellationToken,
        sink: &mut RecordSink,
    ) -> Result<()> {
        let fields = encoder.fields.len();
        loop {
            while let Some(mut tuple) = self.next_received()? {
                while tuple.next(fields)? {
                    let mut same = tuple;
                    match columns.push(&mut tuple) {
                        Ok(()) => {}
                        Err(Misfit::CutOff) => return Err(cut_off()),
                        Err(Misfit::Value) => {
                            emit(&mut columns, sink).await?;
                            sink.write(|writer| encoder.write_tuple(&mut same, writer))
                                .await?;
                            tuple = same;
                        }
                    }
                }
                if columns.bytes() >= BATCH_BYTES {
                    emit(&mut columns, sink).await?;
                }
            }
            if stop.is_cancelled() {
                return Err(ConnectorError::stopped());
            }
            if !self.copy.receive().await? {
                return emit(&mut columns, sink).await;
            }
        }
    }
}

/// About what a batch of columns holds.
#[cfg(feature = "arrow")]
const BATCH_BYTES: usize = 1 << 20;

#[cfg(feature = "arrow")]
async fn emit(columns: &mut Columns, sink: &mut RecordSink) -> Result<()> {
    if columns.is_empty() {
        return Ok(());
    }
    let batch = columns
        .take()
        .system_error("Columns of a table could not be put together.")?;
    sink.arrow(batch).await
}

/// What is behind the signature, the flags and the extensions.
fn after_header(data: &[u8]) -> Option<&[u8]> {
    let rest = data.strip_prefix(SIGNATURE)?;
    let (_flags, rest) = rest.split_first_chunk::<4>()?;
    let (extensions, rest) = rest.split_first_chunk::<4>()?;
    rest.get(usize::try_from(i32::from_be_bytes(*extensions)).ok()?..)
}
