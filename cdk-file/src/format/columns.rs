//! Rows as the columns of a file: metadata first, then the data.

use std::sync::Arc;

use airbyte_protocol::ConfiguredAirbyteStream;
use arrow_array::{Array, ArrayRef, RecordBatch as Columns, StringArray};
use arrow_schema::{Field, Schema, SchemaRef};
use cdk_core::arrow::{ColumnReader, MetaColumns, json_field};
use cdk_core::destination::columns::Columns as StreamColumns;
use cdk_core::{ConnectorError, RecordBatch, Result};

use crate::format::DATA;

/// The old name of `_airbyte_extracted_at`.
const EMITTED_AT: &str = "_airbyte_emitted_at";

/// Makes the columns of one stream's files.
#[derive(Debug)]
pub(crate) struct ColumnLayout {
    stream: StreamColumns,
    meta: MetaColumns,
    with_emitted_at: bool,
    /// Fields beside the metadata, or all in one column.
    is_flat: bool,
}

/// The columns of one file: the types of all its batches.
#[derive(Debug)]
pub(crate) struct FileColumns {
    reader: Option<ColumnReader>,
    schema: SchemaRef,
}

impl ColumnLayout {
    pub(crate) fn new(
        stream: &ConfiguredAirbyteStream,
        columns: StreamColumns,
        is_flat: bool,
        with_emitted_at: bool,
    ) -> Self {
        Self {
            stream: columns,
            meta: MetaColumns::new(stream),
            with_emitted_at,
            is_flat,
        }
    }

    /// The columns of a file whose first batch is `first`.
    pub(crate) fn open(&self, first: &RecordBatch) -> Result<FileColumns> {
        let reader = self
            .is_flat
            .then(|| ColumnReader::following(&self.stream, first))
            .transpose()?;
        let mut fields = MetaColumns::fields().to_vec();
        if self.with_emitted_at {
            let extracted_at = fields[1].clone();
            fields.push(extracted_at.with_name(EMITTED_AT));
        }
        match &reader {
            Some(reader) => {
                let taken: Vec<_> = fields.iter().map(|field| field.name().clone()).collect();
                let data = reader.schema().fields().iter();
                fields.extend(
                    data.filter(|field| !taken.contains(field.name()))
                        .map(|field| field.as_ref().clone()),
                );
            }
            None => fields.push(json_field(DATA)),
        }
        Ok(FileColumns {
            reader,
            schema: Arc::new(Schema::new(fields)),
        })
    }

    /// The columns of a batch, and how many values had to change.
    pub(crate) fn read(
        &mut self,
        file: &mut FileColumns,
        batch: &RecordBatch,
        now_ms: i64,
    ) -> Result<(Columns, u64)> {
        let (data, changes) = match &mut file.reader {
            Some(reader) => {
                let typed = reader.read(batch)?;
                let fields = typed.batch.schema();
                let data: Vec<(Arc<Field>, ArrayRef)> = fields
                    .fields()
                    .iter()
                    .cloned()
                    .zip(typed.batch.columns().iter().cloned())
                    .collect();
                (data, typed.changes)
            }
            None => {
                let text = StringArray::from_iter_values(batch.json().iter().map(|row| row.data));
                (
                    vec![(Arc::new(json_field(DATA)), Arc::new(text) as ArrayRef)],
                    Vec::new(),
                )
            }
        };
        let meta = self.meta.of(batch, &changes, now_ms)?;
        let emitted_at = self.with_emitted_at.then(|| Arc::clone(&meta[1]));
        let mut columns: Vec<ArrayRef> = meta.into_iter().chain(emitted_at).collect();
        let metadata = columns.len();
        let names = file
            .schema
            .fields()
            .iter()
            .take(metadata)
            .map(|field| field.name());
        let names: Vec<_> = names.cloned().collect();
        // Our columns have the right to their names.
        columns.extend(
            data.into_iter()
                .filter(|(field, _)| !names.contains(field.name()))
                .map(|(_, column)| column),
        );
        debug_assert!(columns.iter().all(|column| column.len() == batch.len()));
        let columns = Columns::try_new(Arc::clone(&file.schema), columns).map_err(|error| {
            ConnectorError::system("The columns of a batch don't fit together. Please report this.")
                .caused_by(error)
        })?;
        Ok((columns, changes.len() as u64))
    }
}

impl FileColumns {
    /// The fields of the file.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }
}
