//! Batches as Apache Arrow columns, and the way between them and JSON rows.
//!
//! A source that can make columns asks [`RecordSink::prefers_arrow`](crate::RecordSink::prefers_arrow) and emits
//! [`RecordSink::arrow`](crate::RecordSink::arrow); a destination that works on columns says so in its
//! [`Capabilities`](crate::Capabilities) and finds them in [`Rows::Arrow`](crate::Rows::Arrow). Whoever wants the
//! other form gets it: [`RecordBatch::json`](crate::RecordBatch::json) writes columns as JSON text, exactly and once, and a
//! [`ColumnReader`] makes typed columns of either form, without a tree per record.
//!
//! # Types
//!
//! What the columns of a source may be, and the JSON value of a cell:
//!
//! | Arrow | JSON |
//! |---|---|
//! | `Null`, null in any column | `null` |
//! | `Boolean` | `true`, `false` |
//! | `Int8`…`Int64`, `UInt8`…`UInt64` | number |
//! | `Float16`, `Float32`, `Float64` | the shortest number that reads back the same; `"NaN"`, `"Infinity"`, `"-Infinity"` |
//! | `Decimal32`…`Decimal256` | number with all its digits |
//! | `Utf8`, `LargeUtf8`, `Utf8View` | string |
//! | the same with extension `arrow.json` ([`json_field`]) | the cell is JSON text itself: a number of any size, an object, … |
//! | `Binary`, `LargeBinary`, `BinaryView`, `FixedSizeBinary` | string: base64 |
//! | `Date32`, `Date64` | string: `2024-01-31`, ` BC` behind it before year 1 |
//! | `Timestamp` without zone | string: `2024-01-31T23:59:59.123456`; the fraction has 3, 6 or 9 digits or is left out when 0 |
//! | `Timestamp` with a zone | the same in UTC, with a `Z`; the zone's name is not kept |
//! | `Time32`, `Time64` | string: `23:59:59.123456` |
//! | `List`, `LargeList`, `FixedSizeList` | array |
//! | `Struct`, `Map` with text keys | object |
//! | `Dictionary` of one of these | as its values |
//!
//! Numbers, dates and times that no Arrow type holds (a `numeric` without limits, `infinity`) travel in an
//! `arrow.json` column.

mod column;
mod json;
mod json_field;
mod json_text;
mod meta;
mod reader;
mod rows;
mod temporal;

pub use json_field::json_field;
pub use meta::MetaColumns;
pub use reader::{ColumnReader, RowChange, TypedColumns};
pub use rows::ArrowRows;
