//! The Arrow form of a batch.

use std::sync::OnceLock;

use arrow_array::{Array, RecordBatch};

use crate::arrow::json::RowWriter;
use crate::arrow::json_field;
use crate::batch::{JsonRows, RowExtras};
use crate::error::Result;

/// Records as Arrow columns, one column a field, with what some of them carry besides.
#[derive(Debug)]
pub struct ArrowRows {
    batch: RecordBatch,
    emitted_at: i64,
    /// What the few rows that have more than data carry, in the order of the rows.
    extras: Vec<(usize, RowExtras)>,
    bytes: usize,
    /// The same rows as JSON, once somebody asked for it.
    json: OnceLock<Box<JsonRows>>,
}

impl ArrowRows {
    /// Rows that were read at `emitted_at`, in milliseconds since the Unix epoch.
    ///
    /// A system error when a column has a type that the table in [`crate::arrow`] does not list.
    pub fn try_new(batch: RecordBatch, emitted_at: i64) -> Result<Self> {
        batch
            .schema_ref()
            .fields()
            .iter()
            .try_for_each(|field| json_field::check(field))?;
        let bytes = batch.columns().iter().map(bytes_of).sum();
        Ok(Self {
            batch,
            emitted_at,
            extras: Vec::new(),
            bytes,
            json: OnceLock::new(),
        })
    }

    /// Says what rows carry besides their data. Rows are counted from 0 and come in order.
    #[must_use]
    pub fn with_extras(mut self, extras: Vec<(usize, RowExtras)>) -> Self {
        debug_assert!(extras.is_sorted_by_key(|(row, _)| *row));
        self.extras = extras;
        self
    }

    /// The columns.
    pub fn batch(&self) -> &RecordBatch {
        &self.batch
    }

    /// When the rows were read, in milliseconds since the Unix epoch.
    pub fn emitted_at(&self) -> i64 {
        self.emitted_at
    }

    /// What rows carry besides their data, in order, for the few that do.
    pub fn extras(&self) -> &[(usize, RowExtras)] {
        &self.extras
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.batch.num_rows()
    }

    /// True when there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of the columns in memory.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The rows as JSON; made at the first call.
    pub fn json(&self) -> &JsonRows {
        self.json.get_or_init(|| Box::new(self.to_json()))
    }

    fn to_json(&self) -> JsonRows {
        let mut rows = JsonRows::with_buffer(Vec::with_capacity(self.bytes * 2));
        rows.stamp(self.emitted_at);
        let writer = RowWriter::new(&self.batch);
        let mut extras = self.extras.iter().peekable();
        for at in 0..self.len() {
            rows.push_with(|out| writer.write(at, out));
            if let Some((_, extras)) = extras.next_if(|(row, _)| *row == at) {
                rows.set_extras(extras.clone());
            }
        }
        rows
    }
}

/// Bytes of the rows of a column, not of what its buffers hold besides.
fn bytes_of(column: &arrow_array::ArrayRef) -> usize {
    let data = column.to_data();
    data.get_slice_memory_size()
        .unwrap_or_else(|_| column.get_array_memory_size())
}
