//! Rows of any form to the typed columns of a stream.

use std::collections::HashMap;
use std::sync::Arc;

use airbyte_protocol::StreamDescriptor;
use airbyte_protocol::codec::fields;
use airbyte_protocol::types::AirbyteType;
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use crate::arrow::column::{Change, ColumnBuilder, field_of};
use crate::arrow::json::Cells;
use crate::arrow::json_field::is_json;
use crate::arrow::rows::ArrowRows;
use crate::batch::{JsonRows, Rows};
use crate::destination::columns::{Columns, FieldChange, Keys};
use crate::error::{ConnectorError, Result};

/// Turns batches into the typed columns of their stream, whatever form they came in.
///
/// | type of the field | Arrow type | what becomes null or shorter, with a change |
/// |---|---|---|
/// | `Boolean` | `Boolean` | |
/// | `Integer` | `Int64`; `Decimal128` where the source's column has more digits | beyond 64 bits: null |
/// | `Number` | `Float64`; `Decimal128` where the source's column is one | more digits than a double has: cut to the nearest double; beyond its range: null |
/// | `String`, `TimeWithTimezone` | `Utf8` | half of a surrogate pair: null |
/// | `Date` | `Date32` | `infinity`: null |
/// | `TimestampWithTimezone` | `Timestamp(µs, "UTC")` | `infinity`: null; nanoseconds: cut |
/// | `TimestampWithoutTimezone` | `Timestamp(µs)` | the same |
/// | `TimeWithoutTimezone` | `Time64(µs)` | `24:00:00`: null; nanoseconds: cut |
/// | `Binary` | `Binary` | no base64: null |
/// | others | `Utf8` with extension `arrow.json` | |
///
/// A value of another type becomes null everywhere, with the change `DESTINATION_TYPECAST_ERROR`.
#[derive(Debug)]
pub struct ColumnReader {
    stream: StreamDescriptor,
    schema: SchemaRef,
    builders: Vec<ColumnBuilder>,
    keys: Keys,
    changes: Vec<RowChange>,
}

/// A change to a value of row `row` of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowChange {
    /// The row, from 0.
    pub row: usize,
    /// What changed.
    pub change: FieldChange,
}

/// A batch as typed columns.
#[derive(Debug)]
pub struct TypedColumns {
    /// The columns, in the order of the stream's fields.
    pub batch: RecordBatch,
    /// What had to change, in the order of the rows.
    pub changes: Vec<RowChange>,
}

impl ColumnReader {
    /// A reader for a stream whose batches come as JSON, or as columns that are to be brought to the same types.
    pub fn new(columns: &Columns) -> Result<Self> {
        let fields = columns.as_slice().iter().map(field_of);
        Self::of(columns, fields.collect())
    }

    /// The same with types that lose nothing of batches like `first`: its decimals stay decimals.
    pub fn following(columns: &Columns, first: &crate::RecordBatch) -> Result<Self> {
        let Rows::Arrow(first) = first.rows() else {
            return Self::new(columns);
        };
        let schema = first.batch().schema_ref();
        let fields = columns.as_slice().iter().map(|column| {
            let field = field_of(column);
            let found = schema.field_with_name(&column.name).ok();
            match found.and_then(|found| wider(&column.data_type, found.data_type())) {
                Some(wider) => field.with_data_type(wider),
                None => field,
            }
        });
        Self::of(columns, fields.collect())
    }

    fn of(columns: &Columns, fields: Vec<Field>) -> Result<Self> {
        let builders = columns.as_slice().iter().zip(&fields);
        let builders =
            builders.map(|(column, field)| ColumnBuilder::new(column, field.data_type()));
        Ok(Self {
            stream: columns.stream().clone(),
            builders: builders.collect::<Result<_>>()?,
            schema: Arc::new(Schema::new(fields)),
            keys: Keys::new(columns),
            changes: Vec::new(),
        })
    }

    /// The fields of every batch that [`ColumnReader::read`] gives.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The columns of `batch`. Fields without a column are left out, absent ones are null, of duplicate
    /// keys the last counts.
    ///
    /// A system error that names stream and field when a row is no JSON object.
    pub fn read(&mut self, batch: &crate::RecordBatch) -> Result<TypedColumns> {
        let columns = match batch.rows() {
            Rows::Json(rows) => self.read_json(rows)?,
            Rows::Arrow(rows) => self.read_arrow(rows)?,
        };
        let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(batch.len()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(|error| self.unexpected(error))?;
        Ok(TypedColumns {
            batch,
            changes: std::mem::take(&mut self.changes),
        })
    }

    fn read_json(&mut self, rows: &JsonRows) -> Result<Vec<ArrayRef>> {
        // What a failed read has left behind.
        self.builders
            .iter_mut()
            .for_each(|builder| builder.truncate(0));
        self.changes.clear();
        for (row, record) in rows.iter().enumerate() {
            for (at, member) in fields(record.data).enumerate() {
                let (key, value) = member.map_err(|error| self.keys.broken_row(at, error))?;
                if let Some(column) = self.keys.column(at, key) {
                    self.push(row, column, value)?;
                }
            }
            for builder in &mut self.builders {
                if builder.len() == row {
                    builder.push_null();
                }
            }
        }
        Ok(self
            .builders
            .iter_mut()
            .map(ColumnBuilder::finish)
            .collect())
    }

    #[inline]
    fn push(&mut self, row: usize, column: usize, value: &str) -> Result<()> {
        let Some(builder) = self.builders.get_mut(column) else {
            return Ok(());
        };
        if builder.len() > row {
            builder.truncate(row);
            self.changes
                .retain(|changed| (changed.row, changed.change.column) != (row, column));
        }
        let change = builder
            .push(value)
            .map_err(|error| self.keys.broken_value(column, error))?;
        if let Some(change) = change {
            self.changes.push(RowChange {
                row,
                change: named(column, change),
            });
        }
        Ok(())
    }

    fn read_arrow(&mut self, rows: &ArrowRows) -> Result<Vec<ArrayRef>> {
        self.changes.clear();
        let found: HashMap<_, _> = rows
            .batch()
            .schema_ref()
            .fields()
            .iter()
            .zip(rows.batch().columns())
            .map(|(field, column)| (field.name().as_str(), (field.as_ref(), column)))
            .collect();
        let schema = Arc::clone(&self.schema);
        let columns = schema.fields().iter().enumerate().map(|(at, field)| {
            match found.get(field.name().as_str()) {
                Some((source, column)) if fits(source, field) => Ok(Arc::clone(column)),
                Some((source, column)) => self.convert(at, source, column),
                None => Ok(arrow_array::new_null_array(field.data_type(), rows.len())),
            }
        });
        let columns = columns.collect::<Result<_>>()?;
        self.changes.sort_by_key(|changed| changed.row);
        Ok(columns)
    }

    /// By way of the cells' JSON text, which is exact.
    fn convert(&mut self, at: usize, source: &Field, column: &ArrayRef) -> Result<ArrayRef> {
        let Some(builder) = self.builders.get_mut(at) else {
            return Ok(Arc::clone(column));
        };
        builder.truncate(0);
        let cells = Cells::new(source, column);
        let mut text = Vec::new();
        for row in 0..column.len() {
            text.clear();
            cells.write(row, &mut text);
            let text = std::str::from_utf8(&text).unwrap_or("null");
            let change = builder
                .push(text.trim())
                .map_err(|error| self.keys.broken_value(at, error))?;
            if let Some(change) = change {
                self.changes.push(RowChange {
                    row,
                    change: named(at, change),
                });
            }
        }
        Ok(builder.finish())
    }

    fn unexpected(&self, error: arrow_schema::ArrowError) -> ConnectorError {
        let text = format!(
            "The columns of stream {} don't fit together. Please report this.",
            self.stream
        );
        ConnectorError::system(text)
            .caused_by(error)
            .with_stream(&self.stream)
    }
}

fn named(column: usize, change: Change) -> FieldChange {
    match change {
        Change::Nulled(reason) => FieldChange::nulled(column, reason),
        Change::Truncated(reason) => FieldChange::truncated(column, reason),
    }
}

/// A type of the source that a column takes over since its own would lose digits.
fn wider(data_type: &AirbyteType, found: &DataType) -> Option<DataType> {
    match (data_type, found) {
        (AirbyteType::Number | AirbyteType::Integer, DataType::Decimal32(precision, scale))
        | (AirbyteType::Number | AirbyteType::Integer, DataType::Decimal64(precision, scale))
        | (AirbyteType::Number | AirbyteType::Integer, DataType::Decimal128(precision, scale)) => {
            Some(DataType::Decimal128(*precision, *scale))
        }
        (AirbyteType::Integer, DataType::UInt64) => Some(DataType::Decimal128(20, 0)),
        _ => None,
    }
}

/// Whether a column of the source can be taken as it is. JSON text stays JSON text, and nothing else becomes that.
fn fits(source: &Field, target: &Field) -> bool {
    source.data_type() == target.data_type() && is_json(source) == is_json(target)
}

#[cfg(test)]
mod tests {
    use airbyte_protocol::ChangeReason::{
        DestinationFieldSizeLimitation as TooLarge, DestinationSerializationError,
        DestinationTypecastError as Misfitting,
    };
    use airbyte_protocol::{AirbyteStream, ConfiguredAirbyteStream, DestinationSyncMode, SyncMode};
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Decimal128Type, Float64Type, Int64Type};
    use arrow_array::{Array, Decimal128Array, Int32Array, StringViewArray, UInt64Array};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn columns(properties: &Value) -> Columns {
        let schema = json!({"type": "object", "properties": properties});
        let stream = AirbyteStream::new("s", schema, vec![SyncMode::FullRefresh]);
        let mode = DestinationSyncMode::Append;
        Columns::of(&ConfiguredAirbyteStream::new(
            stream,
            SyncMode::FullRefresh,
            mode,
        ))
    }

    fn json_batch<'a>(rows: impl IntoIterator<Item = &'a str>) -> crate::RecordBatch {
        let mut json = JsonRows::default();
        rows.into_iter().for_each(|row| json.push_raw(row));
        crate::RecordBatch::new(Arc::new(StreamDescriptor::new("s")), json)
    }

    fn arrow_batch(columns: Vec<(&str, ArrayRef)>) -> crate::RecordBatch {
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let rows = ArrowRows::try_new(batch, 0).unwrap();
        crate::RecordBatch::from_arrow(Arc::new(StreamDescriptor::new("s")), rows)
    }

    /// The rows as they would be written as JSON again.
    fn as_json(batch: RecordBatch) -> Vec<String> {
        let rows = ArrowRows::try_new(batch, 0).unwrap();
        rows.json().iter().map(|row| row.data.to_owned()).collect()
    }

    fn all_types() -> Columns {
        columns(&json!({
            "ok": {"type": "boolean"}, "id": {"type": "integer"}, "price": {"type": "number"},
            "name": {"type": "string"}, "day": {"type": "string", "format": "date"},
            "at": {"type": "string", "format": "date-time"},
            "local": {"type": "string", "format": "date-time", "airbyte_type": "timestamp_without_timezone"},
            "time": {"type": "string", "format": "time", "airbyte_type": "time_without_timezone"},
            "timetz": {"type": "string", "format": "time"},
            "bytes": {"type": "string", "contentEncoding": "base64"},
            "list": {"type": "array"}, "any": {},
        }))
    }

    #[test]
    fn every_type_arrives_exactly() {
        let row = r#"{"ok":true,"id":-9223372036854775808,"price":0.1,"name":"a\u0000b","day":"0044-03-15 BC","at":"2024-02-29T23:59:59.999999Z","local":"2024-01-01T00:00:00","time":"23:59:59.000001","timetz":"23:59:59+02:00","bytes":"AP8=","list":[1, {"a":2}],"any":12345678901234567890123.1}"#;
        let mut reader = ColumnReader::new(&all_types()).unwrap();
        for _ in 0..2 {
            let typed = reader.read(&json_batch([row, "{}"])).unwrap();
            assert_eq!(typed.changes, []);
            let written = as_json(typed.batch);
            assert_eq!(written[0], row);
            assert!(
                !written[1].contains(|c: char| c.is_ascii_digit()),
                "{}",
                written[1]
            );
        }
    }

    #[test]
    fn what_a_column_does_not_hold_is_null_or_cut_and_says_so() {
        let cases = [
            (
                "id",
                "9223372036854775808",
                "null",
                FieldChange::nulled(1, TooLarge),
            ),
            ("id", "1.5", "null", FieldChange::nulled(1, Misfitting)),
            ("ok", "\"true\"", "null", FieldChange::nulled(0, Misfitting)),
            ("price", "1e999", "null", FieldChange::nulled(2, TooLarge)),
            (
                "price",
                "0.12345678901234567890",
                "0.12345678901234568",
                FieldChange::truncated(2, TooLarge),
            ),
            (
                "name",
                "\"\\ud800\"",
                "null",
                FieldChange::nulled(3, DestinationSerializationError),
            ),
            (
                "day",
                "\"infinity\"",
                "null",
                FieldChange::nulled(4, TooLarge),
            ),
            (
                "day",
                "\"2023-02-29\"",
                "null",
                FieldChange::nulled(4, Misfitting),
            ),
            (
                "at",
                "\"2024-01-01T00:00:00.0000001Z\"",
                "\"2024-01-01T00:00:00Z\"",
                FieldChange::truncated(5, TooLarge),
            ),
            (
                "local",
                "\"2024-01-01T00:00:00+05:00\"",
                "null",
                FieldChange::nulled(6, Misfitting),
            ),
            (
                "time",
                "\"24:00:00\"",
                "null",
                FieldChange::nulled(7, Misfitting),
            ),
            ("bytes", "\"%\"", "null", FieldChange::nulled(9, Misfitting)),
            ("list", "{}", "null", FieldChange::nulled(10, Misfitting)),
        ];
        let mut reader = ColumnReader::new(&all_types()).unwrap();
        for (field, value, left, change) in cases {
            let row = format!("{{\"{field}\":{value}}}");
            let typed = reader.read(&json_batch(["{}", &row])).unwrap();
            assert_eq!(typed.changes, [RowChange { row: 1, change }], "{row}");
            let written = &as_json(typed.batch)[1];
            assert!(
                written.contains(&format!("\"{field}\":{left}")),
                "{row} became {written}"
            );
        }
    }

    #[test]
    fn numbers_that_json_has_no_form_for_are_doubles() {
        let mut reader = ColumnReader::new(&columns(&json!({"n": {"type": "number"}}))).unwrap();
        let rows = [
            r#"{"n":"NaN"}"#,
            r#"{"n":"-Infinity"}"#,
            r#"{"n":-0.0}"#,
            r#"{"n":0.30000000000000004}"#,
        ];
        let typed = reader.read(&json_batch(rows)).unwrap();
        assert_eq!(typed.changes, []);
        let column = typed.batch.column(0).as_primitive::<Float64Type>();
        assert!(column.value(0).is_nan());
        assert_eq!(column.value(1), f64::NEG_INFINITY);
        assert!(column.value(2).is_sign_negative());
        assert_eq!(column.value(3), 0.30000000000000004);
    }

    #[test]
    fn of_duplicate_keys_the_last_counts() {
        let mut reader = ColumnReader::new(&columns(
            &json!({"id": {"type": "integer"}, "n": {"type": "string"}}),
        ))
        .unwrap();
        let typed = reader
            .read(&json_batch([
                r#"{"id":"x","n":"long","id":7,"n":"s"}"#,
                r#"{"n":"t","id":8}"#,
            ]))
            .unwrap();
        assert_eq!(typed.changes, []);
        assert_eq!(
            as_json(typed.batch),
            [r#"{"id":7,"n":"s"}"#, r#"{"id":8,"n":"t"}"#]
        );
    }

    #[test]
    fn a_row_that_is_no_json_names_its_field_and_leaves_the_reader_usable() {
        let mut reader = ColumnReader::new(&columns(&json!({"id": {"type": "integer"}}))).unwrap();
        let error = reader
            .read(&json_batch([r#"{"id":1}"#, r#"{"id":1"#]))
            .unwrap_err();
        assert!(
            error.message().contains("stream s") && error.message().contains("`id`"),
            "{error}"
        );
        let typed = reader.read(&json_batch([r#"{"id":2}"#])).unwrap();
        assert_eq!(
            typed.batch.column(0).as_primitive::<Int64Type>().values(),
            &[2]
        );
    }

    #[test]
    fn columns_of_the_source_are_taken_as_they_are_or_brought_to_the_stream_s_types() {
        let columns = columns(&json!({
            "id": {"type": "integer"}, "n": {"type": "string"}, "price": {"type": "number"}, "big": {"type": "integer"}, "gone": {"type": "boolean"},
        }));
        let price = Decimal128Array::from(vec![Some(1999), None])
            .with_precision_and_scale(12, 2)
            .unwrap();
        let batch = arrow_batch(vec![
            ("more", Arc::new(Int32Array::from(vec![0, 0]))),
            ("big", Arc::new(UInt64Array::from(vec![u64::MAX, 1]))),
            ("price", Arc::new(price)),
            ("n", Arc::new(StringViewArray::from(vec!["x", "y"]))),
            ("id", Arc::new(Int32Array::from(vec![1, 2]))),
        ]);
        let mut reader = ColumnReader::following(&columns, &batch).unwrap();
        let typed = reader.read(&batch).unwrap();
        assert_eq!(typed.changes, []);
        let expected = [
            r#"{"id":1,"n":"x","price":19.99,"big":18446744073709551615,"gone":null}"#,
            r#"{"id":2,"n":"y","price":null,"big":1,"gone":null}"#,
        ];
        assert_eq!(as_json(typed.batch), expected);
        // JSON rows come into the same columns.
        let typed = reader
            .read(&json_batch([
                r#"{"price":1.005,"big":3}"#,
                r#"{"price":1.5}"#,
            ]))
            .unwrap();
        assert_eq!(
            typed.changes,
            [RowChange {
                row: 0,
                change: FieldChange::nulled(2, TooLarge)
            }]
        );
        assert_eq!(
            typed
                .batch
                .column(2)
                .as_primitive::<Decimal128Type>()
                .value(1),
            150
        );
        // A reader that doesn't follow keeps to its own types, and says what it lost.
        let mut reader = ColumnReader::new(&columns).unwrap();
        let typed = reader.read(&batch).unwrap();
        assert_eq!(
            typed.changes,
            [RowChange {
                row: 0,
                change: FieldChange::nulled(3, TooLarge)
            }]
        );
        assert_eq!(
            typed.batch.column(2).as_primitive::<Float64Type>().value(0),
            19.99
        );
    }

    proptest! {
        #[test]
        fn random_rows_come_back_as_they_were(
            rows in proptest::collection::vec((any::<Option<i64>>(), any::<Option<bool>>(), any::<Option<String>>(), any::<Option<f64>>()), 1..20)
        ) {
            let columns = columns(&json!({
                "i": {"type": "integer"}, "b": {"type": "boolean"}, "s": {"type": "string"}, "f": {"type": "number"},
            }));
            let rows: Vec<_> = rows.into_iter()
                .map(|(i, b, s, f)| json!({"i": i, "b": b, "s": s, "f": f.filter(|f| f.is_normal())}).to_string())
                .collect();
            let mut reader = ColumnReader::new(&columns).unwrap();
            let typed = reader.read(&json_batch(rows.iter().map(String::as_str))).unwrap();
            prop_assert_eq!(&typed.changes, &[]);
            prop_assert_eq!(as_json(typed.batch), rows);
        }
    }

    #[test]
    fn a_stream_without_fields_keeps_its_rows() {
        let mut reader = ColumnReader::new(&columns(&json!({}))).unwrap();
        let typed = reader.read(&json_batch(["{}", r#"{"x":1}"#])).unwrap();
        assert_eq!((typed.batch.num_rows(), typed.batch.num_columns()), (2, 0));
        assert!(typed.batch.columns().iter().all(|column| column.is_empty()));
    }
}
