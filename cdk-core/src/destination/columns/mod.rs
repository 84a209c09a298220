//! The typed column layer: a row's JSON text becomes typed cells in column order, without a tree.
//!
//! [`Columns`] are the typed top-level fields of a stream; a [`RowReader`] maps rows to one [`Cell`] per
//! column. Numbers keep every digit, text is borrowed where it holds no escapes. What does not fit the
//! column's type becomes [`Cell::Null`] and a [`FieldChange`], for the row's `_airbyte_meta`.

mod cell;
pub mod decimal;
mod keys;
mod reader;

pub use cell::{Cell, CellReader, NonFinite};
#[cfg(feature = "arrow")]
pub(crate) use cell::{Kind, Misfit, whole_number};
#[cfg(feature = "arrow")]
pub(crate) use keys::Keys;
pub use reader::{FieldChange, RowReader};

use airbyte_protocol::types::{AirbyteType, fields_of};
use airbyte_protocol::{ConfiguredAirbyteStream, StreamDescriptor};

use crate::error::{ConnectorError, Result};

/// One typed column of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// The field's name in the records.
    pub name: String,
    /// The field's type.
    pub data_type: AirbyteType,
}

/// The typed columns of a stream: the top-level fields of its schema, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    stream: StreamDescriptor,
    list: Vec<Column>,
}

impl Columns {
    /// The columns that the stream's JSON schema declares.
    pub fn of(stream: &ConfiguredAirbyteStream) -> Self {
        let fields = fields_of(&stream.stream.json_schema).into_iter();
        let list = fields.map(|field| Column {
            name: field.name,
            data_type: field.data_type,
        });
        Self {
            stream: stream.descriptor(),
            list: list.collect(),
        }
    }

    /// Columns made in another way, e.g. of the fields inside a record's objects.
    pub fn from_list(stream: StreamDescriptor, list: Vec<Column>) -> Self {
        Self { stream, list }
    }

    /// The stream they belong to.
    pub fn stream(&self) -> &StreamDescriptor {
        &self.stream
    }

    /// The columns in order.
    pub fn as_slice(&self) -> &[Column] {
        &self.list
    }

    /// Number of columns.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// True when the schema declares no field.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Where the column of the field `name` stands.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.list.iter().position(|column| column.name == name)
    }

    /// Where the columns of the stream's key stand. `None` when it has no key.
    ///
    /// A config error when the key names a nested field or one that the schema does not declare.
    pub fn key(&self, stream: &ConfiguredAirbyteStream) -> Result<Option<Vec<usize>>> {
        let Some(paths) = stream.key() else {
            return Ok(None);
        };
        let positions = paths.iter().map(|path| self.of_path(path, "primary key"));
        positions.collect::<Result<Vec<_>>>().map(Some)
    }

    /// Where the column of the stream's cursor stands. `None` when it has no cursor.
    ///
    /// A config error when the cursor is a nested field or one that the schema does not declare.
    pub fn cursor(&self, stream: &ConfiguredAirbyteStream) -> Result<Option<usize>> {
        stream
            .cursor()
            .map(|path| self.of_path(path, "cursor"))
            .transpose()
    }

    fn of_path(&self, path: &[String], role: &str) -> Result<usize> {
        let found = match path {
            [name] => self.position(name),
            _ => None,
        };
        found.ok_or_else(|| {
            ConnectorError::config(format!(
                "The {role} of stream {} is `{}`, but this destination needs a top-level field of the \
                 stream's schema. Choose another {role} or refresh the schema.",
                self.stream,
                path.join(".")
            ))
            .with_stream(&self.stream)
        })
    }
}

#[cfg(test)]
mod tests {
    use airbyte_protocol::{AirbyteStream, DestinationSyncMode, SyncMode};
    use serde_json::json;

    use super::*;

    fn stream() -> ConfiguredAirbyteStream {
        let schema = json!({"type": "object", "properties": {
            "b": {"type": "integer"}, "a": {"type": ["null", "string"]}}});
        let stream = AirbyteStream::new("s", schema, vec![SyncMode::FullRefresh]);
        ConfiguredAirbyteStream::new(stream, SyncMode::FullRefresh, DestinationSyncMode::Append)
    }

    #[test]
    fn columns_keep_the_order_of_the_schema() {
        let columns = Columns::of(&stream());
        let names: Vec<_> = columns
            .as_slice()
            .iter()
            .map(|column| column.name.as_str())
            .collect();
        assert_eq!(names, ["b", "a"]);
    }

    #[test]
    fn key_and_cursor_are_columns_or_config_errors() {
        let stream = stream().with_primary_key(["a", "b"]).with_cursor("b");
        let columns = Columns::of(&stream);
        assert_eq!(columns.key(&stream).unwrap(), Some(vec![1, 0]));
        assert_eq!(columns.cursor(&stream).unwrap(), Some(0));
        let wrong = stream.with_primary_key(["c"]);
        let error = columns.key(&wrong).unwrap_err();
        assert!(
            error.message().contains("primary key of stream s is `c`"),
            "{error}"
        );
        let mut nested = wrong;
        nested.cursor_field = Some(vec!["a".to_owned(), "x".to_owned()]);
        assert!(
            columns
                .cursor(&nested)
                .unwrap_err()
                .message()
                .contains("`a.x`")
        );
    }
}
