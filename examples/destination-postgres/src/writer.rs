//! Rows of one stream in the form that the server copies in.

use std::ops::Range;

use airbyte_protocol::StreamDescriptor;
use cdk_core::arrow::ArrowRows;
use cdk_core::destination::columns::{Cell, Columns, FieldChange, RowReader};
use cdk_core::destination::meta_columns::{MetaWriter, RawIds};
use cdk_core::{ConnectorError, JsonRows, RecordBatch, Result, Row, Rows};

use crate::encode::{self, ArrowColumns, Encoder};
use crate::layout::{Layout, Role};
use crate::merge::Arrived;
use crate::names::list;
use crate::sanitize;
use crate::table::Table;
use crate::types::PgType;
use crate::watch::KeyWatch;

/// Writes rows for one table.
#[derive(Debug)]
pub(crate) struct Writer {
    stream: StreamDescriptor,
    layout: Layout,
    columns: Columns,
    /// The types of the fields' columns.
    types: Vec<PgType>,
    reader: RowReader,
    encoder: Encoder,
    meta: MetaWriter,
    ids: RawIds,
    generation_id: i64,
    /// Rows whose metadata is the table's default leave it out; the others are kept apart.
    leaves_out_meta: bool,
    apart: Apart,
    /// Where the row in hand begins, and how many columns it has with its metadata.
    row_start: usize,
    row_columns: i16,
    watch: Option<KeyWatch>,
    /// Values nulled since [`Writer::take_nulled`].
    nulled: u64,
    changes: Vec<FieldChange>,
    spans: Vec<Range<usize>>,
}

/// Rows that bring metadata of their own, for a statement of their own.
#[derive(Debug, Default)]
pub(crate) struct Apart {
    pub(crate) bytes: Vec<u8>,
    pub(crate) rows: u64,
}

impl Writer {
    pub(crate) fn new(
        table: &Table,
        columns: Columns,
        encoder: Encoder,
        meta: MetaWriter,
        generation_id: i64,
    ) -> Self {
        let mut types = vec![PgType::Text; columns.len()];
        for column in &table.shape.columns {
            if let Role::Field(at) = column.role
                && let Some(place) = types.get_mut(at)
            {
                *place = column.data_type;
            }
        }
        Self {
            stream: columns.stream().clone(),
            layout: table.shape.layout,
            reader: RowReader::new(&columns),
            columns,
            types,
            encoder,
            meta,
            ids: RawIds::new(),
            generation_id,
            leaves_out_meta: false,
            apart: Apart::default(),
            row_start: 0,
            row_columns: 0,
            watch: KeyWatch::of(table),
            nulled: 0,
            changes: Vec::new(),
            spans: Vec::new(),
        }
    }

    /// Ids grow from here on, whatever the clock says: they are above those of `unix_ms`.
    pub(crate) fn start_ids_at(&mut self, unix_ms: i64) {
        self.ids.set_time(unix_ms);
    }

    /// The metadata of a row that nobody changed.
    pub(crate) fn plain_meta(&self) -> &str {
        self.meta.plain()
    }

    /// The table's default is [`Writer::plain_meta`].
    pub(crate) fn leave_out_plain_meta(&mut self) {
        self.leaves_out_meta = true;
    }

    /// The statement that takes the rows: `into` is the table, quoted.
    pub(crate) fn copy_sql(&self, table: &Table, into: &str) -> String {
        Self::copy_columns(table, into, !self.leaves_out_meta)
    }

    /// The statement that takes the rows that were kept apart.
    pub(crate) fn copy_changed_sql(table: &Table, into: &str) -> String {
        Self::copy_columns(table, into, true)
    }

    fn copy_columns(table: &Table, into: &str, with_meta: bool) -> String {
        let fields = table
            .shape
            .columns
            .iter()
            .filter(|column| matches!(column.role, Role::Field(_)));
        // The record's own columns come first: what has become null is known when the metadata is written.
        let own = [
            Role::Record,
            Role::RawId,
            Role::ExtractedAt,
            Role::GenerationId,
            Role::Meta,
        ];
        let own = own.iter().filter_map(|role| {
            table
                .shape
                .columns
                .iter()
                .find(|column| column.role == *role)
        });
        let own = own.filter(|column| with_meta || column.role != Role::Meta);
        let names: Vec<_> = fields.chain(own).map(|column| &column.name).collect();
        format!("COPY {into} ({}) FROM STDIN (FORMAT binary)", list(names))
    }

    /// Appends all rows to `out`, but for those that are kept apart; returns how many. `now_ms` is the time of the ids.
    pub(crate) fn write(
        &mut self,
        batch: &RecordBatch,
        now_ms: i64,
        out: &mut Vec<u8>,
    ) -> Result<u64> {
        self.ids.set_time(now_ms);
        let apart = self.apart.rows;
        self.write_rows(batch, out)?;
        Ok(batch.len() as u64 - (self.apart.rows - apart))
    }

    fn write_rows(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        if self.layout == Layout::Typed
            && let Rows::Arrow(rows) = batch.rows()
            && let Some(columns) = ArrowColumns::of(&self.columns, &self.types, rows.batch())
        {
            return self.write_arrow(rows, &columns, out);
        }
        self.write_json(batch.json(), out)
    }

    /// Rows that came as columns and go on as they are.
    fn write_arrow(
        &mut self,
        rows: &ArrowRows,
        columns: &ArrowColumns<'_>,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let count =
            i16::try_from(self.types.len() + 4).map_err(|_| too_many_fields(&self.stream))?;
        let mut extras = rows.extras().iter().peekable();
        for at in 0..rows.len() {
            self.begin_row(count, out);
            self.changes.clear();
            self.spans.clear();
            for (column, data_type) in self.types.iter().enumerate() {
                let start = out.len();
                let written = columns.write(column, at, *data_type, &mut self.encoder, out);
                if let Err(reason) = written {
                    self.changes.push(FieldChange::nulled(column, reason));
                }
                self.spans.push(start..out.len());
            }
            self.end_fields(out)?;
            let extras = extras.next_if(|(row, _)| *row == at);
            let row = Row {
                data: "{}",
                emitted_at: rows.emitted_at(),
                extras: extras.map(|(_, extras)| extras),
            };
            self.own_columns(&row, out)?;
        }
        Ok(())
    }

    fn write_json(&mut self, rows: &JsonRows, out: &mut Vec<u8>) -> Result<()> {
        let fields = match self.layout {
            Layout::Typed => self.columns.len(),
            Layout::RawV1 | Layout::RawV2 => 1,
        };
        let own = match self.layout {
            Layout::RawV1 => 2,
            Layout::Typed | Layout::RawV2 => 4,
        };
        let count = i16::try_from(fields + own).map_err(|_| too_many_fields(&self.stream))?;
        let mut cells = Vec::with_capacity(self.columns.len());
        for row in rows.iter() {
            self.begin_row(count, out);
            match self.layout {
                Layout::Typed => {
                    self.reader.read(row.data, &mut cells)?;
                    self.fields(&cells, out)?;
                    self.own_columns(&row, out)?;
                }
                Layout::RawV1 | Layout::RawV2 => self.record(&row, out)?,
            }
        }
        Ok(())
    }

    /// Begins a row of `columns` columns, that of the metadata among them.
    fn begin_row(&mut self, columns: i16, out: &mut Vec<u8>) {
        self.row_start = out.len();
        self.row_columns = columns;
        let written = columns - i16::from(self.leaves_out_meta);
        out.extend_from_slice(&written.to_be_bytes());
    }

    /// Takes the row in hand out of `out`: it goes on among those that are kept apart.
    fn set_apart(&mut self, out: &mut Vec<u8>) {
        let row = out.split_off(self.row_start);
        let rest = row.get(size_of::<i16>()..).unwrap_or_default();
        self.apart
            .bytes
            .extend_from_slice(&self.row_columns.to_be_bytes());
        self.apart.bytes.extend_from_slice(rest);
        self.apart.rows += 1;
    }

    /// Bytes of the rows that are kept apart.
    pub(crate) fn apart_bytes(&self) -> usize {
        self.apart.bytes.len()
    }

    /// The rows that were kept apart since the last call.
    pub(crate) fn take_apart(&mut self) -> Apart {
        std::mem::take(&mut self.apart)
    }

    /// The fields' values; what became null is in `changes` then.
    fn fields(&mut self, cells: &[Cell<'_>], out: &mut Vec<u8>) -> Result<()> {
        self.changes.clear();
        self.changes.extend_from_slice(self.reader.changes());
        self.spans.clear();
        for (column, (data_type, cell)) in self.types.iter().zip(cells).enumerate() {
            let start = out.len();
            if let Err(reason) = self.encoder.cell(out, *data_type, cell) {
                self.changes.push(FieldChange::nulled(column, reason));
            }
            self.spans.push(start..out.len());
        }
        self.end_fields(out)
    }

    /// Looks at the fields of the row that were just written.
    fn end_fields(&mut self, out: &[u8]) -> Result<()> {
        if let Some(watch) = &mut self.watch {
            check_key(watch, &self.changes, &self.columns)?;
            watch.row(out, &self.spans);
        }
        self.nulled += self.changes.len() as u64;
        Ok(())
    }

    /// Id, time, generation and metadata.
    fn own_columns(&mut self, row: &Row<'_>, out: &mut Vec<u8>) -> Result<()> {
        self.id_and_time(row, out)?;
        encode::bytes(out, &self.generation_id.to_be_bytes());
        if row.meta().is_none() && self.changes.is_empty() {
            if !self.leaves_out_meta {
                encode::plain_jsonb(out, self.meta.plain());
            }
            return Ok(());
        }
        let out = if self.leaves_out_meta {
            self.set_apart(out);
            &mut self.apart.bytes
        } else {
            out
        };
        let text = self.meta.write(row, &self.columns, &self.changes)?;
        if encode::jsonb(out, text).is_err() {
            // The record brought metadata that can't be kept: what was done here still is.
            let row = Row {
                extras: None,
                ..*row
            };
            let text = self.meta.write(&row, &self.columns, &self.changes)?;
            encode::plain_jsonb(out, text);
        }
        Ok(())
    }

    fn id_and_time(&mut self, row: &Row<'_>, out: &mut Vec<u8>) -> Result<()> {
        let mut id = [0; 36];
        encode::plain_text(out, self.ids.next_id().hyphenated().encode_lower(&mut id));
        let micros = encode::of_unix_ms(row.emitted_at).ok_or_else(|| {
            let text = format!(
                "A record of stream {} has an `emitted_at` that is no time in milliseconds. Fix the source.",
                self.stream
            );
            ConnectorError::system(text).with_stream(&self.stream)
        })?;
        encode::bytes(out, &micros.to_be_bytes());
        Ok(())
    }

    /// A row of a raw table.
    fn record(&mut self, row: &Row<'_>, out: &mut Vec<u8>) -> Result<()> {
        self.changes.clear();
        let mut others = Vec::new();
        if encode::jsonb(out, row.data).is_err() {
            let sanitized = sanitize::record(row.data).map_err(|error| {
                let text = format!(
                    "A record of stream {} is not a JSON object. Fix the source that wrote it.",
                    self.stream
                );
                ConnectorError::system(text)
                    .caused_by(error)
                    .with_stream(&self.stream)
            })?;
            encode::plain_jsonb(out, &sanitized.text);
            self.nulled += sanitized.nulled.len() as u64;
            others = sanitized.nulled;
        }
        for (field, reason) in &others {
            // Fields that the schema does not name have no column to report.
            if let Some(column) = self.columns.position(field) {
                self.changes.push(FieldChange::nulled(column, *reason));
            }
        }
        match self.layout {
            Layout::RawV1 => self.id_and_time(row, out),
            Layout::Typed | Layout::RawV2 => self.own_columns(row, out),
        }
    }

    /// What the rows since the last call need for their merge.
    pub(crate) fn take_arrived(&mut self) -> Arrived {
        self.watch.as_mut().map(KeyWatch::take).unwrap_or_default()
    }

    /// How many values were nulled since the last call.
    pub(crate) fn take_nulled(&mut self) -> u64 {
        std::mem::take(&mut self.nulled)
    }
}

/// A key that was nulled because it does not fit its column would merge the row with strangers.
fn check_key(watch: &KeyWatch, changes: &[FieldChange], columns: &Columns) -> Result<()> {
    let misfit = changes.iter().find(|change| watch.is_key(change.column));
    let Some(column) = misfit.and_then(|misfit| columns.as_slice().get(misfit.column)) else {
        return Ok(());
    };
    Err(ConnectorError::config(format!(
        "A row has a value in its primary key field `{}` that its column can't hold (the schema declares {:?}), so it \
         can't be told from other rows. Mend the schema or the data, or sync the stream without deduplication.",
        column.name, column.data_type
    )))
}

fn too_many_fields(stream: &StreamDescriptor) -> ConnectorError {
    ConnectorError::config(format!(
        "Stream {stream} has more fields than a PostgreSQL table can have columns (1600). Leave fields out."
    ))
    .with_stream(stream)
}
