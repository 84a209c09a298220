//! Rows of JSON text to cells.

use airbyte_protocol::codec::fields;
use airbyte_protocol::{Change, ChangeReason};

use super::Columns;
use super::cell::{Cell, Kind, Misfit};
use super::keys::Keys;
use crate::error::Result;

/// A value that does not fit its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldChange {
    /// Which column.
    pub column: usize,
    /// What became of it: it is null, or as much of it is left as the column holds.
    pub change: Change,
    /// Why.
    pub reason: ChangeReason,
}

impl FieldChange {
    /// A value that became null.
    pub fn nulled(column: usize, reason: ChangeReason) -> Self {
        Self {
            column,
            change: Change::Nulled,
            reason,
        }
    }

    /// A value that the column holds in part.
    pub fn truncated(column: usize, reason: ChangeReason) -> Self {
        Self {
            column,
            change: Change::Truncated,
            reason,
        }
    }
}

/// Maps the rows of one stream to cells.
#[derive(Debug, Clone)]
pub struct RowReader {
    kinds: Vec<Kind>,
    keys: Keys,
    changes: Vec<FieldChange>,
}

impl RowReader {
    /// A reader for rows with these columns.
    pub fn new(columns: &Columns) -> Self {
        let types = columns.as_slice().iter().map(|column| &column.data_type);
        Self {
            kinds: types.map(Kind::of).collect(),
            keys: Keys::new(columns),
            changes: Vec::new(),
        }
    }

    /// Fills `cells` with one cell per column, in column order. Fields without a column are ignored,
    /// absent ones are null; of duplicate keys the last counts.
    ///
    /// A row that is not a JSON object is a system error that names stream and field.
    pub fn read<'a>(&mut self, row: &'a str, cells: &mut Vec<Cell<'a>>) -> Result<()> {
        cells.clear();
        cells.resize(self.kinds.len(), Cell::Null);
        self.changes.clear();
        for (at, member) in fields(row).enumerate() {
            let (key, value) = member.map_err(|error| self.keys.broken_row(at, error))?;
            let Some(column) = self.keys.column(at, key) else {
                continue;
            };
            self.set(column, value, cells)?;
        }
        Ok(())
    }

    /// What became null in the last row, in the order of the row's fields.
    pub fn changes(&self) -> &[FieldChange] {
        &self.changes
    }

    fn set<'a>(&mut self, column: usize, value: &'a str, cells: &mut [Cell<'a>]) -> Result<()> {
        let (Some(kind), Some(cell)) = (self.kinds.get(column), cells.get_mut(column)) else {
            return Ok(());
        };
        if !self.changes.is_empty() {
            // A duplicate key replaces what came before it.
            self.changes.retain(|change| change.column != column);
        }
        *cell = match kind.cell(value) {
            Ok(cell) => cell,
            Err(Misfit::Nulled(reason)) => {
                self.changes.push(FieldChange::nulled(column, reason));
                Cell::Null
            }
            Err(Misfit::Broken(error)) => return Err(self.keys.broken_value(column, error)),
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use airbyte_protocol::StreamDescriptor;
    use airbyte_protocol::types::AirbyteType;

    use super::super::keys::MAX_REMEMBERED;
    use super::*;
    use crate::destination::columns::Column;

    fn reader() -> RowReader {
        let column = |name: &str, data_type| Column {
            name: name.to_owned(),
            data_type,
        };
        let list = vec![
            column("id", AirbyteType::Integer),
            column("name", AirbyteType::String),
            column("ok", AirbyteType::Boolean),
        ];
        RowReader::new(&Columns {
            stream: StreamDescriptor::new("s"),
            list,
        })
    }

    fn text(text: &str) -> Cell<'_> {
        Cell::Text(text.into())
    }

    #[test]
    fn cells_come_in_column_order_whatever_the_order_of_the_keys() {
        let mut reader = reader();
        let mut cells = Vec::new();
        for _ in 0..2 {
            reader
                .read(r#"{"id":1,"name":"a","ok":true}"#, &mut cells)
                .unwrap();
            assert_eq!(cells, [Cell::Integer(1), text("a"), Cell::Boolean(true)]);
            reader
                .read(r#"{"x":[],"ok":false,"name":"b"}"#, &mut cells)
                .unwrap();
            assert_eq!(cells, [Cell::Null, text("b"), Cell::Boolean(false)]);
        }
        reader.read("{}", &mut cells).unwrap();
        assert_eq!(cells, [Cell::Null, Cell::Null, Cell::Null]);
    }

    #[test]
    fn values_that_do_not_fit_become_null_and_a_change() {
        let mut reader = reader();
        let mut cells = Vec::new();
        reader
            .read(r#"{"id":"x","name":"\udc00","ok":true}"#, &mut cells)
            .unwrap();
        assert_eq!(cells, [Cell::Null, Cell::Null, Cell::Boolean(true)]);
        let changes = [
            FieldChange::nulled(0, ChangeReason::DestinationTypecastError),
            FieldChange::nulled(1, ChangeReason::DestinationSerializationError),
        ];
        assert_eq!(reader.changes(), changes);
        reader.read(r#"{"id":2}"#, &mut cells).unwrap();
        assert_eq!(reader.changes(), []);
    }

    #[test]
    fn of_duplicate_keys_the_last_counts() {
        let mut reader = reader();
        let mut cells = Vec::new();
        reader.read(r#"{"id":"x","id":7}"#, &mut cells).unwrap();
        assert_eq!((&cells[0], reader.changes()), (&Cell::Integer(7), &[][..]));
    }

    #[test]
    fn a_row_that_is_no_json_names_stream_and_field() {
        let mut reader = reader();
        let mut cells = Vec::new();
        let error = reader
            .read(r#"{"id":1,"name":oops}"#, &mut cells)
            .unwrap_err();
        assert!(
            error.message().contains("stream s") && error.message().contains("`id`"),
            "{error}"
        );
        let mut cells = Vec::new();
        let error = reader
            .read(r#"{"id":1,"name":"\x"}"#, &mut cells)
            .unwrap_err();
        assert!(error.message().contains("field `name`"), "{error}");
        let mut cells = Vec::new();
        let error = reader.read("[]", &mut cells).unwrap_err();
        assert!(error.message().contains("its start"), "{error}");
        assert_eq!(
            error.failure_type(),
            airbyte_protocol::FailureType::SystemError
        );
    }

    #[test]
    fn a_row_with_a_million_unknown_keys_is_not_remembered_whole() {
        let mut reader = reader();
        let keys: Vec<_> = (0..10_000).map(|at| format!("\"k{at}\":0")).collect();
        let row = format!("{{{},\"id\":3}}", keys.join(","));
        let mut cells = Vec::new();
        reader.read(&row, &mut cells).unwrap();
        assert_eq!(cells[0], Cell::Integer(3));
        assert_eq!(reader.keys.expected.len(), MAX_REMEMBERED);
    }
}
