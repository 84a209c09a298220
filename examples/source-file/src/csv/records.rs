//! CSV rows as JSON records.

use std::collections::HashMap;

use airbyte_protocol::types::Field;

use crate::bad_row::RowError;
use crate::block::Block;
use crate::csv::head::CsvHead;
use crate::csv::rows::CsvRows;
use crate::csv::{CsvOptions, Kind, value};
use crate::json_text::push_string;
use crate::position::Position;
use crate::window::Window;

/// Reads rows and writes them as records.
pub(crate) struct CsvRecords {
    rows: CsvRows,
    options: CsvOptions,
    /// In the order of the file; `None` for those not asked for.
    columns: Vec<Option<Column>>,
    scratch: String,
}

struct Column {
    name: String,
    /// What stands before the value: separator, name and colon.
    prefix: String,
    kind: Kind,
}

impl CsvRecords {
    /// Records with the fields that are in `wanted` and their types; an empty list means all, with
    /// the types of `head`. `window` begins between rows, at `lines` lines into the text.
    pub(crate) fn new(
        window: Window,
        lines: u64,
        head: &CsvHead,
        wanted: &[Field],
        options: &CsvOptions,
        max_row_bytes: usize,
    ) -> Self {
        let mut rows = CsvRows::new(window, lines, options, max_row_bytes);
        rows.set_width(head.columns.len());
        let columns = columns(head, wanted);
        Self {
            rows,
            options: options.clone(),
            columns,
            scratch: String::new(),
        }
    }

    /// The place behind the last row, without a count of rows.
    pub(crate) fn position(&self) -> Position {
        self.rows.position()
    }

    /// Writes the next record to `block`; false at the end of the text.
    pub(crate) fn next_into(&mut self, block: &mut Block) -> Result<bool, RowError> {
        let Some(row) = self.rows.next_row()? else {
            return Ok(false);
        };
        block.text().push('{');
        for (column, cell) in self.columns.iter().zip(row.cells()) {
            let Some(column) = column else { continue };
            let text = row.value(*cell, &mut self.scratch);
            let out = block.text();
            out.push_str(&column.prefix);
            if !value::write(out, text, column.kind, cell.is_quoted(), &self.options) {
                block.note_null(&column.name);
            }
        }
        block.text().push('}');
        block.end_record();
        Ok(true)
    }
}

fn columns(head: &CsvHead, wanted: &[Field]) -> Vec<Option<Column>> {
    let kinds: HashMap<&str, Kind> = wanted
        .iter()
        .map(|field| (field.name.as_str(), Kind::of_type(&field.data_type)))
        .collect();
    let mut is_first = true;
    let column = |(name, inferred): &(String, Kind)| {
        let kind = match wanted {
            [] => *inferred,
            _ => *kinds.get(name.as_str())?,
        };
        let mut prefix = String::from(if is_first { "" } else { "," });
        is_first = false;
        push_string(&mut prefix, name);
        prefix.push(':');
        Some(Column {
            name: name.clone(),
            prefix,
            kind,
        })
    };
    head.columns.iter().map(column).collect()
}
