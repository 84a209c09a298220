//! Which Arrow fields have a JSON form, and which hold JSON text.

use std::collections::HashMap;

use arrow_schema::{DataType, Field};

use crate::error::{ConnectorError, Result};

/// Under which a field's metadata names its extension type (Arrow columnar format, "Extension types").
const EXTENSION: &str = "ARROW:extension:name";
/// The canonical extension type of JSON text.
const JSON: &str = "arrow.json";

/// A nullable text field whose cells are JSON text: of numbers beyond every Arrow type, of objects and lists.
pub fn json_field(name: impl Into<String>) -> Field {
    let metadata = HashMap::from([
        (EXTENSION.to_owned(), JSON.to_owned()),
        ("ARROW:extension:metadata".to_owned(), String::new()),
    ]);
    Field::new(name, DataType::Utf8, true).with_metadata(metadata)
}

/// Whether the cells of `field` are JSON text.
pub(crate) fn is_json(field: &Field) -> bool {
    field
        .metadata()
        .get(EXTENSION)
        .is_some_and(|name| name == JSON)
}

/// Refuses what has no JSON form.
pub(crate) fn check(field: &Field) -> Result<()> {
    check_type(field.data_type()).map_err(|unknown| {
        ConnectorError::system(format!(
            "Column `{}` has Arrow type {unknown}, which has no JSON form here. Convert it first.",
            field.name()
        ))
    })
}

fn check_type(data_type: &DataType) -> std::result::Result<(), &DataType> {
    use DataType::*;
    match data_type {
        Null | Boolean | Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32 | UInt64
        | Float16 | Float32 | Float64 | Decimal32(..) | Decimal64(..) | Decimal128(..)
        | Decimal256(..) | Utf8 | LargeUtf8 | Utf8View | Binary | LargeBinary | BinaryView
        | FixedSizeBinary(_) | Date32 | Date64 | Timestamp(..) | Time32(_) | Time64(_) => Ok(()),
        List(field) | LargeList(field) | FixedSizeList(field, _) => check_type(field.data_type()),
        Struct(fields) => fields
            .iter()
            .try_for_each(|field| check_type(field.data_type())),
        Map(entries, _) => match entries.data_type() {
            Struct(fields) => match fields.as_ref() {
                [key, value] if matches!(key.data_type(), Utf8 | LargeUtf8 | Utf8View) => {
                    check_type(value.data_type())
                }
                _ => Err(data_type),
            },
            _ => Err(data_type),
        },
        Dictionary(_, values) => check_type(values),
        _ => Err(data_type),
    }
}
