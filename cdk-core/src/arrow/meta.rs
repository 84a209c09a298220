//! The metadata columns of a typed table as Arrow columns.

use std::sync::Arc;

use airbyte_protocol::ConfiguredAirbyteStream;
use arrow_array::builder::StringBuilder;
use arrow_array::{ArrayRef, Int64Array, TimestampMillisecondArray};
use arrow_schema::{DataType, Field, TimeUnit};
use uuid::Uuid;

use crate::arrow::json_field::json_field;
use crate::arrow::reader::RowChange;
use crate::batch::{RecordBatch, Row};
use crate::destination::columns::{Columns, FieldChange};
use crate::destination::generation::Generation;
use crate::destination::meta_columns::{
    EXTRACTED_AT, GENERATION_ID, META, MetaWriter, RAW_ID, RawIds,
};
use crate::error::Result;

/// Makes the columns of [`META_COLUMNS`](crate::destination::meta_columns::META_COLUMNS), in their order.
#[derive(Debug)]
pub struct MetaColumns {
    columns: Columns,
    ids: RawIds,
    meta: MetaWriter,
    generation_id: i64,
}

impl MetaColumns {
    /// For the rows that this sync writes of `stream`.
    pub fn new(stream: &ConfiguredAirbyteStream) -> Self {
        Self {
            columns: Columns::of(stream),
            ids: RawIds::new(),
            meta: MetaWriter::new(stream),
            generation_id: Generation::of(stream).column_value(),
        }
    }

    /// Their fields: text, a timestamp in milliseconds and UTC, JSON text, and a whole number; none is null.
    pub fn fields() -> [Field; 4] {
        let utc = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
        [
            Field::new(RAW_ID, DataType::Utf8, false),
            Field::new(EXTRACTED_AT, utc, false),
            json_field(META).with_nullable(false),
            Field::new(GENERATION_ID, DataType::Int64, false),
        ]
    }

    /// The columns for the rows of `batch`, whose values changed as `changes` says. `now_ms` goes into the ids.
    ///
    /// A system error when the `meta` of a record is broken.
    pub fn of(
        &mut self,
        batch: &RecordBatch,
        changes: &[RowChange],
        now_ms: i64,
    ) -> Result<[ArrayRef; 4]> {
        let rows = batch.len();
        self.ids.set_time(now_ms);
        let mut ids = StringBuilder::with_capacity(rows, rows * uuid::fmt::Hyphenated::LENGTH);
        let mut metas = StringBuilder::with_capacity(rows, rows * self.meta.plain().len());
        let mut stamps = Vec::with_capacity(rows);
        let mut buffer = Uuid::encode_buffer();
        let mut of_row: Vec<FieldChange> = Vec::new();
        let mut changes = changes.iter().peekable();
        for (row, (emitted_at, extras)) in batch.envelopes().enumerate() {
            ids.append_value(self.ids.next_id().hyphenated().encode_lower(&mut buffer));
            stamps.push(emitted_at);
            of_row.clear();
            while let Some(changed) = changes.next_if(|changed| changed.row == row) {
                of_row.push(changed.change);
            }
            if extras.is_none() && of_row.is_empty() {
                metas.append_value(self.meta.plain());
                continue;
            }
            let record = Row {
                data: "",
                emitted_at,
                extras,
            };
            metas.append_value(self.meta.write(&record, &self.columns, &of_row)?);
        }
        Ok([
            Arc::new(ids.finish()),
            Arc::new(TimestampMillisecondArray::from(stamps).with_timezone("UTC")),
            Arc::new(metas.finish()),
            Arc::new(Int64Array::from_value(self.generation_id, rows)),
        ])
    }
}
