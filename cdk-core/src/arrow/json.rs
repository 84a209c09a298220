//! Arrow columns to JSON text.

use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowDictionaryKeyType, ArrowPrimitiveType, DecimalType};
use arrow_array::{Array, ArrayRef, PrimitiveArray, RecordBatch, downcast_dictionary_array};
use arrow_schema::{DataType, Field, TimeUnit};

use crate::arrow::json_field::is_json;
use crate::arrow::json_text::{push_base64, push_decimal, push_float, push_string, quoted};
use crate::arrow::temporal;

/// Writes rows of a batch as JSON objects.
pub(crate) struct RowWriter<'a>(Members<'a>);

impl<'a> RowWriter<'a> {
    /// For a batch whose fields were [checked](check).
    pub(crate) fn new(batch: &'a RecordBatch) -> Self {
        let fields = batch.schema_ref().fields().iter();
        Self(Members::new(fields.map(AsRef::as_ref).zip(batch.columns())))
    }

    /// Appends the object of row `at`.
    pub(crate) fn write(&self, at: usize, out: &mut Vec<u8>) {
        self.0.write(at, out);
    }
}

/// The members of an object: the text up to each value, and its column.
struct Members<'a>(Vec<(Vec<u8>, Cells<'a>)>);

impl<'a> Members<'a> {
    fn new(columns: impl Iterator<Item = (&'a Field, &'a ArrayRef)>) -> Self {
        let members = columns.enumerate().map(|(at, (field, column))| {
            let mut head = vec![if at == 0 { b'{' } else { b',' }];
            push_string(field.name(), &mut head);
            head.push(b':');
            (head, Cells::new(field, column))
        });
        Self(members.collect())
    }

    fn write(&self, at: usize, out: &mut Vec<u8>) {
        if self.0.is_empty() {
            out.push(b'{');
        }
        for (head, cells) in &self.0 {
            out.extend_from_slice(head);
            cells.write(at, out);
        }
        out.push(b'}');
    }
}

/// Writes the cells of one column. The closures know the column's type, so that a cell costs one call.
pub(crate) struct Cells<'a> {
    column: &'a dyn Array,
    has_nulls: bool,
    write: WriteCell<'a>,
}

type WriteCell<'a> = Box<dyn Fn(usize, &mut Vec<u8>) + 'a>;

impl<'a> Cells<'a> {
    /// Of a column whose field was [checked](check).
    pub(crate) fn new(field: &'a Field, column: &'a ArrayRef) -> Self {
        let write = if is_json(field) { raw(column) } else { None };
        Self {
            column: column.as_ref(),
            has_nulls: column.logical_null_count() > 0,
            write: write.unwrap_or_else(|| writer(column)),
        }
    }

    /// Appends the JSON value of row `at`.
    pub(crate) fn write(&self, at: usize, out: &mut Vec<u8>) {
        if self.has_nulls && self.column.is_null(at) {
            out.extend_from_slice(b"null");
        } else {
            (self.write)(at, out);
        }
    }
}

/// Copies JSON text. An empty text, which is no JSON, is a null.
fn raw(column: &ArrayRef) -> Option<WriteCell<'_>> {
    fn push(text: &str, out: &mut Vec<u8>) {
        let text = if text.is_empty() { "null" } else { text };
        out.extend_from_slice(airbyte_protocol::codec::single_line(text).as_bytes());
    }
    Some(match column.data_type() {
        DataType::Utf8 => {
            let column = column.as_string::<i32>();
            Box::new(|at, out| push(column.value(at), out))
        }
        DataType::LargeUtf8 => {
            let column = column.as_string::<i64>();
            Box::new(|at, out| push(column.value(at), out))
        }
        DataType::Utf8View => {
            let column = column.as_string_view();
            Box::new(|at, out| push(column.value(at), out))
        }
        _ => return None,
    })
}

fn writer(column: &ArrayRef) -> WriteCell<'_> {
    use DataType::*;
    use arrow_array::types::*;
    match column.data_type() {
        Boolean => {
            let column = column.as_boolean();
            Box::new(|at, out| {
                out.extend_from_slice(if column.value(at) { b"true" } else { b"false" })
            })
        }
        Int8 => integers::<Int8Type>(column),
        Int16 => integers::<Int16Type>(column),
        Int32 => integers::<Int32Type>(column),
        Int64 => integers::<Int64Type>(column),
        UInt8 => integers::<UInt8Type>(column),
        UInt16 => integers::<UInt16Type>(column),
        UInt32 => integers::<UInt32Type>(column),
        UInt64 => integers::<UInt64Type>(column),
        Float16 => of::<Float16Type>(column, |value, out| {
            push_float(f64::from(value), f32::from(value), out)
        }),
        Float32 => of::<Float32Type>(column, |value, out| {
            push_float(f64::from(value), value, out)
        }),
        Float64 => of::<Float64Type>(column, |value, out| push_float(value, value, out)),
        Decimal32(_, scale) => decimals::<Decimal32Type>(column, *scale),
        Decimal64(_, scale) => decimals::<Decimal64Type>(column, *scale),
        Decimal128(_, scale) => decimals::<Decimal128Type>(column, *scale),
        Decimal256(_, scale) => decimals::<Decimal256Type>(column, *scale),
        Utf8 => {
            let column = column.as_string::<i32>();
            Box::new(|at, out| push_string(column.value(at), out))
        }
        LargeUtf8 => {
            let column = column.as_string::<i64>();
            Box::new(|at, out| push_string(column.value(at), out))
        }
        Utf8View => {
            let column = column.as_string_view();
            Box::new(|at, out| push_string(column.value(at), out))
        }
        Binary => {
            let column = column.as_binary::<i32>();
            Box::new(|at, out| push_base64(column.value(at), out))
        }
        LargeBinary => {
            let column = column.as_binary::<i64>();
            Box::new(|at, out| push_base64(column.value(at), out))
        }
        BinaryView => {
            let column = column.as_binary_view();
            Box::new(|at, out| push_base64(column.value(at), out))
        }
        FixedSizeBinary(_) => {
            let column = column.as_fixed_size_binary();
            Box::new(|at, out| push_base64(column.value(at), out))
        }
        Date32 => of::<Date32Type>(column, |days, out| {
            quoted(out, |out| temporal::push_date(days.into(), out))
        }),
        Date64 => of::<Date64Type>(column, |ms, out| {
            quoted(out, |out| {
                temporal::push_date(ms.div_euclid(86_400_000), out)
            });
        }),
        Timestamp(unit, zone) => {
            let is_instant = zone.is_some();
            let (unit, column) = (*unit, int64s(column));
            Box::new(move |at, out| {
                quoted(out, |out| {
                    temporal::push_timestamp(column(at), unit, is_instant, out)
                });
            })
        }
        Time32(TimeUnit::Second) => of::<Time32SecondType>(column, |time, out| {
            quoted(out, |out| {
                temporal::push_time(time.into(), TimeUnit::Second, out)
            });
        }),
        Time32(_) => of::<Time32MillisecondType>(column, |time, out| {
            quoted(out, |out| {
                temporal::push_time(time.into(), TimeUnit::Millisecond, out)
            });
        }),
        Time64(TimeUnit::Nanosecond) => of::<Time64NanosecondType>(column, |time, out| {
            quoted(out, |out| {
                temporal::push_time(time, TimeUnit::Nanosecond, out)
            });
        }),
        Time64(_) => of::<Time64MicrosecondType>(column, |time, out| {
            quoted(out, |out| {
                temporal::push_time(time, TimeUnit::Microsecond, out)
            });
        }),
        _ => nested(column),
    }
}

fn nested(column: &ArrayRef) -> WriteCell<'_> {
    match column.data_type() {
        DataType::List(field) => {
            let list = column.as_list::<i32>();
            let cells = Cells::new(field, list.values());
            let offsets = list.value_offsets();
            Box::new(move |at, out| {
                push_list(&cells, offsets[at] as usize..offsets[at + 1] as usize, out)
            })
        }
        DataType::LargeList(field) => {
            let list = column.as_list::<i64>();
            let cells = Cells::new(field, list.values());
            let offsets = list.value_offsets();
            Box::new(move |at, out| {
                push_list(&cells, offsets[at] as usize..offsets[at + 1] as usize, out)
            })
        }
        DataType::FixedSizeList(field, _) => {
            let list = column.as_fixed_size_list();
            let cells = Cells::new(field, list.values());
            Box::new(move |at, out| {
                let start = list.value_offset_at(at);
                push_list(&cells, start..start + list.value_length() as usize, out);
            })
        }
        DataType::Struct(fields) => {
            let columns = column.as_struct().columns();
            let members = Members::new(fields.iter().map(AsRef::as_ref).zip(columns));
            Box::new(move |at, out| members.write(at, out))
        }
        DataType::Map(entries, _) => {
            let DataType::Struct(fields) = entries.data_type() else {
                return null();
            };
            let map = column.as_map();
            let (keys, values) = (
                Cells::new(&fields[0], map.keys()),
                Cells::new(&fields[1], map.values()),
            );
            let offsets = map.value_offsets();
            Box::new(move |at, out| {
                out.push(b'{');
                for entry in offsets[at] as usize..offsets[at + 1] as usize {
                    if entry > offsets[at] as usize {
                        out.push(b',');
                    }
                    keys.write(entry, out);
                    out.push(b':');
                    values.write(entry, out);
                }
                out.push(b'}');
            })
        }
        _ => downcast_dictionary_array!(
            column => dictionary(column),
            _ => null()
        ),
    }
}

fn dictionary<K: ArrowDictionaryKeyType>(
    column: &arrow_array::DictionaryArray<K>,
) -> WriteCell<'_> {
    let values = writer(column.values());
    let has_nulls = column.values().logical_null_count() > 0;
    Box::new(move |at, out| match column.key(at) {
        Some(key) if !(has_nulls && column.values().is_null(key)) => values(key, out),
        _ => out.extend_from_slice(b"null"),
    })
}

fn null<'a>() -> WriteCell<'a> {
    Box::new(|_, out| out.extend_from_slice(b"null"))
}

fn push_list(cells: &Cells<'_>, range: std::ops::Range<usize>, out: &mut Vec<u8>) {
    out.push(b'[');
    for at in range.clone() {
        if at > range.start {
            out.push(b',');
        }
        cells.write(at, out);
    }
    out.push(b']');
}

fn of<T: ArrowPrimitiveType>(
    column: &ArrayRef,
    write: impl Fn(T::Native, &mut Vec<u8>) + 'static,
) -> WriteCell<'_> {
    let values = column.as_primitive::<T>().values();
    Box::new(move |at, out| write(values[at], out))
}

fn integers<T: ArrowPrimitiveType<Native: itoa::Integer>>(column: &ArrayRef) -> WriteCell<'_> {
    of::<T>(column, |value, out| {
        out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes())
    })
}

/// The values of a timestamp column of any unit.
fn int64s(column: &ArrayRef) -> impl Fn(usize) -> i64 + '_ {
    use arrow_array::types::*;
    let values = match column.data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => {
            column.as_primitive::<TimestampSecondType>().values()
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            column.as_primitive::<TimestampMillisecondType>().values()
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            column.as_primitive::<TimestampMicrosecondType>().values()
        }
        _ => column.as_primitive::<TimestampNanosecondType>().values(),
    };
    |at| values[at]
}

fn decimals<T: DecimalType>(column: &ArrayRef, scale: i8) -> WriteCell<'_>
where
    T::Native: std::fmt::Display,
{
    let column: &PrimitiveArray<T> = column.as_primitive();
    let values = column.values();
    Box::new(move |at, out| push_decimal(&values[at], scale, out))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::builder::{FixedSizeBinaryBuilder, Int32Builder, MapBuilder, StringBuilder};
    use arrow_array::types::*;
    use arrow_array::*;
    use arrow_buffer::i256;
    use arrow_schema::Schema;

    use super::*;
    use crate::arrow::json_field::{check, json_field};

    /// The JSON texts of the cells of one column.
    fn cells(column: impl Array + 'static) -> Vec<String> {
        let column: ArrayRef = Arc::new(column);
        let field = Field::new("c", column.data_type().clone(), true);
        check(&field).unwrap();
        texts(&field, &column)
    }

    fn texts(field: &Field, column: &ArrayRef) -> Vec<String> {
        let cells = Cells::new(field, column);
        let text = |at| {
            let mut out = Vec::new();
            cells.write(at, &mut out);
            String::from_utf8(out).unwrap()
        };
        (0..column.len()).map(text).collect()
    }

    #[test]
    fn numbers_keep_every_digit() {
        assert_eq!(
            cells(Int64Array::from(vec![Some(i64::MIN), None])),
            ["-9223372036854775808", "null"]
        );
        assert_eq!(
            cells(UInt64Array::from(vec![u64::MAX])),
            ["18446744073709551615"]
        );
        assert_eq!(
            cells(Float32Array::from(vec![0.1, f32::MAX])),
            ["0.1", "3.4028235e+38"]
        );
        assert_eq!(
            cells(Float64Array::from(vec![
                0.1,
                f64::NAN,
                f64::INFINITY,
                f64::NEG_INFINITY
            ])),
            ["0.1", "\"NaN\"", "\"Infinity\"", "\"-Infinity\""]
        );
        let decimals = Decimal128Array::from(vec![-5, 0, 12345, i128::MAX]);
        assert_eq!(
            cells(decimals.clone().with_precision_and_scale(38, 3).unwrap()),
            [
                "-0.005",
                "0.000",
                "12.345",
                "170141183460469231731687303715884105.727"
            ]
        );
        assert_eq!(
            cells(decimals.with_precision_and_scale(38, -2).unwrap())[..3],
            ["-500", "0", "1234500"]
        );
        let wide = Decimal256Array::from(vec![i256::MIN])
            .with_precision_and_scale(76, 76)
            .unwrap();
        let text =
            "-5.7896044618658097711785492504343953926634992332820282019728792003956564819968";
        assert_eq!(cells(wide), [text]);
    }

    #[test]
    fn text_is_escaped_and_bytes_are_base64() {
        let text = StringArray::from(vec!["a\0\"\n\u{1f600}", ""]);
        assert_eq!(cells(text), ["\"a\\u0000\\\"\\n\u{1f600}\"", "\"\""]);
        assert_eq!(cells(StringViewArray::from(vec!["x"])), ["\"x\""]);
        assert_eq!(
            cells(BinaryArray::from(vec![&b"\x00\xff"[..], b""])),
            ["\"AP8=\"", "\"\""]
        );
        let mut fixed = FixedSizeBinaryBuilder::new(3);
        fixed.append_value(b"abc").unwrap();
        assert_eq!(cells(fixed.finish()), ["\"YWJj\""]);
    }

    #[test]
    fn dates_and_times_keep_microseconds_and_years_before_christ() {
        let days = Date32Array::from(vec![0, -719_163, -719_162 - 366 - 365, 2_932_897]);
        let dates = [
            "\"1970-01-01\"",
            "\"0001-12-31 BC\"",
            "\"0003-01-01 BC\"",
            "\"10000-01-01\"",
        ];
        assert_eq!(cells(days)[..2], dates[..2]);
        assert_eq!(cells(Date32Array::from(vec![2_932_897])), dates[3..]);
        let micros = TimestampMicrosecondArray::from(vec![0, -1, 1_700_000_000_000_001]);
        assert_eq!(
            cells(micros.clone()),
            [
                "\"1970-01-01T00:00:00\"",
                "\"1969-12-31T23:59:59.999999\"",
                "\"2023-11-14T22:13:20.000001\""
            ]
        );
        assert_eq!(
            cells(micros.with_timezone("Europe/Paris"))[0],
            "\"1970-01-01T00:00:00Z\""
        );
        let first = TimestampSecondArray::from(vec![-62_135_596_801]).with_timezone("UTC");
        assert_eq!(cells(first), ["\"0001-12-31T23:59:59Z BC\""]);
        assert_eq!(
            cells(TimestampNanosecondArray::from(vec![1])),
            ["\"1970-01-01T00:00:00.000000001\""]
        );
        assert_eq!(
            cells(Time64MicrosecondArray::from(vec![86_399_999_999])),
            ["\"23:59:59.999999\""]
        );
        assert_eq!(
            cells(Time32SecondArray::from(vec![3_661])),
            ["\"01:01:01\""]
        );
    }

    #[test]
    fn nested_columns_are_arrays_and_objects() {
        let lists = vec![Some(vec![Some(1), None]), Some(vec![]), None];
        assert_eq!(
            cells(ListArray::from_iter_primitive::<Int32Type, _, _>(lists)),
            ["[1,null]", "[]", "null"]
        );
        let field = |name: &str, of: DataType| Arc::new(Field::new(name, of, true));
        let a: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), None]));
        let b: ArrayRef = Arc::new(StringArray::from(vec!["x", "y"]));
        let fields = vec![
            (field("a", DataType::Int32), a),
            (field("b\"", DataType::Utf8), b),
        ];
        assert_eq!(
            cells(StructArray::from(fields)),
            ["{\"a\":1,\"b\\\"\":\"x\"}", "{\"a\":null,\"b\\\"\":\"y\"}"]
        );
        let mut map = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
        map.keys().append_value("k");
        map.values().append_value(7);
        map.append(true).unwrap();
        assert_eq!(cells(map.finish()), ["{\"k\":7}"]);
        let words: DictionaryArray<Int8Type> =
            vec![Some("x"), None, Some("x")].into_iter().collect();
        assert_eq!(cells(words), ["\"x\"", "null", "\"x\""]);
    }

    #[test]
    fn json_columns_are_copied_as_they_are() {
        let column: ArrayRef = Arc::new(StringArray::from(vec![
            Some("1.10"),
            Some("{\"a\":\n1}"),
            None,
            Some(""),
        ]));
        assert_eq!(
            texts(&json_field("c"), &column),
            ["1.10", "{\"a\":1}", "null", "null"]
        );
    }

    #[test]
    fn a_type_without_a_json_form_is_refused_by_name() {
        let list = DataType::List(Arc::new(Field::new(
            "item",
            DataType::Duration(TimeUnit::Second),
            true,
        )));
        let error = check(&Field::new("wait", list, true)).unwrap_err();
        assert!(
            error.message().contains("`wait`") && error.message().contains("Duration"),
            "{error}"
        );
    }

    #[test]
    fn rows_are_objects_in_the_order_of_the_columns() {
        let schema = Schema::new(vec![
            Field::new("b", DataType::Int32, true),
            Field::new("a", DataType::Utf8, true),
        ]);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int32Array::from(vec![1, 2])),
            Arc::new(StringArray::from(vec!["x", "y"])),
        ];
        let batch = RecordBatch::try_new(Arc::new(schema), columns).unwrap();
        let rows = crate::arrow::ArrowRows::try_new(batch.slice(1, 1), 5).unwrap();
        let seen: Vec<_> = rows
            .json()
            .iter()
            .map(|row| (row.data, row.emitted_at))
            .collect();
        assert_eq!(seen, [("{\"b\":2,\"a\":\"y\"}", 5)]);
    }
}
