//! The encoder of one stream: from batches to files of any format.

use std::io::Write;

use airbyte_protocol::ConfiguredAirbyteStream;
use cdk_core::destination::columns::Columns;
use cdk_core::{ConnectorError, RecordBatch, Result};
use flate2::write::GzEncoder;

#[cfg(feature = "avro")]
use crate::format::avro::AvroFile;
#[cfg(feature = "columns")]
use crate::format::columns::{ColumnLayout, FileColumns};
#[cfg(feature = "parquet")]
use crate::format::parquet::ParquetFile;
use crate::format::{FileFormat, FileOptions, Flattener, Flattening, TextRows};

/// Writes the rows of one stream, file after file.
#[derive(Debug)]
pub(crate) struct Encoder {
    options: FileOptions,
    flattener: Option<Flattener>,
    rows: Rows,
    text: String,
    nulled: u64,
}

#[derive(Debug)]
enum Rows {
    Text(Box<TextRows>),
    #[cfg(feature = "columns")]
    Columns(Box<ColumnLayout>),
}

/// A file in the making.
pub(crate) enum OpenFile<W: Write + Send> {
    Plain(W),
    Gzip(Box<GzEncoder<W>>),
    #[cfg(feature = "parquet")]
    Parquet(Box<ParquetFile<W>>, FileColumns),
    #[cfg(feature = "avro")]
    Avro(Box<AvroFile<W>>, FileColumns),
}

impl Encoder {
    pub(crate) fn new(options: &FileOptions, stream: &ConfiguredAirbyteStream) -> Self {
        let flattener = (options.flattening == Flattening::Nested).then(|| Flattener::new(stream));
        let columns = flattener.as_ref().map_or_else(
            || Columns::of(stream),
            |flattener| flattener.columns().clone(),
        );
        let rows = match &options.format {
            FileFormat::Text { format, .. } => Rows::Text(Box::new(TextRows::new(
                *format,
                options.flattening,
                stream,
                columns,
            ))),
            #[cfg(feature = "columns")]
            _ => {
                let is_flat = options.flattening != Flattening::None;
                Rows::Columns(Box::new(ColumnLayout::new(
                    stream,
                    columns,
                    is_flat,
                    options.with_emitted_at,
                )))
            }
        };
        Self {
            options: options.clone(),
            flattener,
            rows,
            text: String::new(),
            nulled: 0,
        }
    }

    /// Begins a file whose first rows are those of `first`.
    pub(crate) fn open<W: Write + Send>(
        &mut self,
        first: &RecordBatch,
        mut sink: W,
    ) -> Result<OpenFile<W>> {
        match (&self.options.format, &self.rows) {
            (FileFormat::Text { is_gzip, .. }, Rows::Text(rows)) => {
                let mut header = String::new();
                rows.header(&mut header);
                if !*is_gzip {
                    sink.write_all(header.as_bytes()).map_err(unwritten)?;
                    return Ok(OpenFile::Plain(sink));
                }
                let mut gzip = GzEncoder::new(sink, flate2::Compression::default());
                gzip.write_all(header.as_bytes()).map_err(unwritten)?;
                Ok(OpenFile::Gzip(Box::new(gzip)))
            }
            #[cfg(feature = "parquet")]
            (FileFormat::Parquet(options), Rows::Columns(layout)) => {
                let columns = layout.open(first)?;
                let file =
                    ParquetFile::create(sink, std::sync::Arc::clone(columns.schema()), options);
                Ok(OpenFile::Parquet(
                    Box::new(file.map_err(unwritten)?),
                    columns,
                ))
            }
            #[cfg(feature = "avro")]
            (FileFormat::Avro(codec), Rows::Columns(layout)) => {
                let columns = layout.open(first)?;
                let file = AvroFile::create(sink, columns.schema(), *codec).map_err(unwritten)?;
                Ok(OpenFile::Avro(Box::new(file), columns))
            }
            #[cfg(feature = "columns")]
            _ => Err(ConnectorError::system(
                "The format of a file changed. Please report this.",
            )),
        }
    }

    /// Adds rows to a file. `now_ms` goes into their ids.
    pub(crate) fn write<W: Write + Send>(
        &mut self,
        file: &mut OpenFile<W>,
        batch: &RecordBatch,
        now_ms: i64,
    ) -> Result<()> {
        let flat;
        let batch = match &self.flattener {
            Some(flattener) => {
                let rows = flattener.flatten(batch.json())?;
                flat = RecordBatch::new(std::sync::Arc::clone(batch.stream()), rows);
                &flat
            }
            None => batch,
        };
        match (&mut self.rows, file) {
            (Rows::Text(rows), OpenFile::Plain(sink)) => {
                write_text(rows, batch, now_ms, &mut self.text, sink)?
            }
            (Rows::Text(rows), OpenFile::Gzip(sink)) => {
                write_text(rows, batch, now_ms, &mut self.text, sink)?
            }
            #[cfg(feature = "parquet")]
            (Rows::Columns(layout), OpenFile::Parquet(file, columns)) => {
                let (columns, nulled) = layout.read(columns, batch, now_ms)?;
                self.nulled += nulled;
                file.write(&columns).map_err(unwritten)?;
            }
            #[cfg(feature = "avro")]
            (Rows::Columns(layout), OpenFile::Avro(file, columns)) => {
                let (columns, nulled) = layout.read(columns, batch, now_ms)?;
                self.nulled += nulled;
                file.write(&columns).map_err(unwritten)?;
            }
            #[cfg(feature = "columns")]
            _ => {
                return Err(ConnectorError::system(
                    "The format of a file changed. Please report this.",
                ));
            }
        }
        Ok(())
    }

    /// How many values were nulled or cut since the last call.
    pub(crate) fn take_nulled(&mut self) -> u64 {
        let of_text = match &mut self.rows {
            Rows::Text(rows) => rows.take_nulled(),
            #[cfg(feature = "columns")]
            Rows::Columns(_) => 0,
        };
        of_text + std::mem::take(&mut self.nulled)
    }
}

impl<W: Write + Send> OpenFile<W> {
    /// Bytes that wait in memory until more rows come or [`OpenFile::relieve`] is called.
    pub(crate) fn held_bytes(&self) -> usize {
        match self {
            Self::Plain(_) | Self::Gzip(_) => 0,
            #[cfg(feature = "parquet")]
            Self::Parquet(file, _) => file.held_bytes(),
            #[cfg(feature = "avro")]
            Self::Avro(..) => 0,
        }
    }

    /// Writes out what waits in memory.
    pub(crate) fn relieve(&mut self) -> Result<()> {
        match self {
            #[cfg(feature = "parquet")]
            Self::Parquet(file, _) => file.end_row_group().map_err(unwritten),
            _ => Ok(()),
        }
    }

    /// Ends the file; gives back where its bytes went.
    pub(crate) fn finish(self) -> Result<W> {
        match self {
            Self::Plain(sink) => Ok(sink),
            Self::Gzip(gzip) => gzip.finish().map_err(unwritten),
            #[cfg(feature = "parquet")]
            Self::Parquet(file, _) => file.finish().map_err(unwritten),
            #[cfg(feature = "avro")]
            Self::Avro(file, _) => file.finish().map_err(unwritten),
        }
    }
}

fn write_text(
    rows: &mut TextRows,
    batch: &RecordBatch,
    now_ms: i64,
    text: &mut String,
    sink: &mut impl Write,
) -> Result<()> {
    rows.write(batch.json(), now_ms, text, |text| {
        sink.write_all(text.as_bytes()).map_err(unwritten)
    })
}

/// The sink knows better what failed, if it was the sink.
fn unwritten(error: impl std::error::Error + Send + Sync + 'static) -> ConnectorError {
    ConnectorError::system("A file could not be written.").caused_by(error)
}
