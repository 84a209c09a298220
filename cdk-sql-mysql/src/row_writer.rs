//! Rows of a selection as records.

use airbyte_protocol::{AirbyteRecordMessageMetaChange, Change, ChangeReason};
use cdk_core::{RecordWriter, Result};

use crate::column::Kind;
use crate::error::{Place, explain};
use crate::literal::name;
use crate::values::{Loss, push_selected, push_text};
use crate::wire::TextRow;

/// Writes rows of one selection as JSON objects.
#[derive(Debug)]
pub(crate) struct RowWriter {
    columns: Vec<Target>,
    /// What follows the columns in every record.
    tail: Vec<u8>,
    place: Place,
}

#[derive(Debug)]
struct Target {
    name: String,
    kind: Kind,
    /// `{"name":` or `,"name":`.
    key: Vec<u8>,
}

/// A member's name with what stands before it.
pub(crate) fn key(name: &str, is_first: bool) -> Vec<u8> {
    let mut key = vec![if is_first { b'{' } else { b',' }];
    push_text(name.as_bytes(), &mut key);
    key.push(b':');
    key
}

impl RowWriter {
    /// Writes these columns of the table at `place`, and `tail` behind them: more members, each with a comma before it.
    pub(crate) fn new(columns: &[(&str, Kind)], tail: &[u8], place: Place) -> Self {
        let target = |(at, (name, kind)): (usize, &(&str, Kind))| Target {
            name: (*name).to_owned(),
            kind: kind.clone(),
            key: key(name, at == 0),
        };
        Self {
            columns: columns.iter().enumerate().map(target).collect(),
            tail: tail.to_vec(),
            place,
        }
    }

    /// What to select, in this order.
    pub(crate) fn expressions(&self) -> String {
        let expression = |column: &Target| match column.kind {
            // As a 64-bit float: the text of a 32-bit one is rounded to six digits.
            Kind::Float => format!("{} + 0e0", name(&column.name)),
            _ => name(&column.name),
        };
        let expressions: Vec<_> = self.columns.iter().map(expression).collect();
        expressions.join(", ")
    }

    /// Makes a record of a row, with a note for each value that is not all there. Values behind the columns stay in
    /// `row`.
    #[inline]
    pub(crate) fn write(&self, row: &mut TextRow<'_>, out: &mut RecordWriter<'_>) -> Result<()> {
        let mut losses = Vec::new();
        let text = out.text();
        for column in &self.columns {
            text.extend_from_slice(&column.key);
            let value = row.next().transpose();
            match value
                .map_err(|failure| explain(failure, &self.place))?
                .flatten()
            {
                None => text.extend_from_slice(b"null"),
                Some(value) => {
                    if let Err(loss) = push_selected(&column.kind, value, text) {
                        losses.push(noted(&column.name, loss));
                    }
                }
            }
        }
        text.extend_from_slice(&self.tail);
        text.push(b'}');
        match losses.is_empty() {
            true => out.end(),
            false => out.end_with(losses),
        }
    }
}

/// The note that a field's value is not all there.
pub(crate) fn noted(field: &str, loss: Loss) -> AirbyteRecordMessageMetaChange {
    let change = match loss {
        Loss::Nulled => Change::Nulled,
        Loss::Truncated => Change::Truncated,
    };
    AirbyteRecordMessageMetaChange::new(field, change, ChangeReason::SourceSerializationError)
}
