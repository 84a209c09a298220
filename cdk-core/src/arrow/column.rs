//! One column in the making.

use std::sync::Arc;

use airbyte_protocol::ChangeReason::{
    self, DestinationFieldSizeLimitation as TooLarge, DestinationTypecastError as Misfitting,
};
use airbyte_protocol::codec::StringError;
use airbyte_protocol::types::AirbyteType;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float64Type, Int64Type, Time64MicrosecondType,
    TimestampMicrosecondType,
};
use arrow_array::{ArrayRef, BinaryArray, BooleanArray, PrimitiveArray, StringArray};
use arrow_buffer::{BooleanBufferBuilder, Buffer, NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field, TimeUnit};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::arrow::json_field::json_field;
use crate::arrow::temporal;
use crate::destination::columns::decimal::{Decimal, exact_f64};
use crate::destination::columns::{Cell, Column, Kind, Misfit, NonFinite, whole_number};
use crate::error::{ConnectorError, Result};

/// What became of a value that its column doesn't hold as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Nulled(ChangeReason),
    Truncated(ChangeReason),
}

/// Where a stream's column goes: the Arrow field, nullable always.
pub(super) fn field_of(column: &Column) -> Field {
    let data_type = match &column.data_type {
        AirbyteType::Boolean => DataType::Boolean,
        AirbyteType::Integer => DataType::Int64,
        AirbyteType::Number => DataType::Float64,
        AirbyteType::Date => DataType::Date32,
        AirbyteType::TimestampWithTimezone => instant(),
        AirbyteType::TimestampWithoutTimezone => DataType::Timestamp(TimeUnit::Microsecond, None),
        AirbyteType::TimeWithoutTimezone => DataType::Time64(TimeUnit::Microsecond),
        AirbyteType::Binary => DataType::Binary,
        AirbyteType::String | AirbyteType::TimeWithTimezone => DataType::Utf8,
        AirbyteType::Array(_)
        | AirbyteType::Object(_)
        | AirbyteType::Union(_)
        | AirbyteType::Unknown => {
            return json_field(&column.name);
        }
    };
    Field::new(&column.name, data_type, true)
}

/// Microseconds in UTC.
pub(super) fn instant() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// A column that takes JSON values, one a row.
#[derive(Debug)]
pub(super) struct ColumnBuilder {
    kind: Kind,
    values: Values,
    nulls: NullBufferBuilder,
    /// What the last batch took, for the buffers of the next one.
    capacity: usize,
}

#[derive(Debug)]
enum Values {
    Boolean(BooleanBufferBuilder),
    Integer(Vec<i64>),
    Float(Vec<f64>),
    Decimal {
        list: Vec<i128>,
        precision: u8,
        scale: i8,
    },
    Text(Bytes),
    Binary(Bytes),
    Date(Vec<i32>),
    Timestamp {
        list: Vec<i64>,
        zone: Option<Arc<str>>,
    },
    Time(Vec<i64>),
}

/// Values of any length, end to end.
#[derive(Debug, Default)]
struct Bytes {
    data: Vec<u8>,
    /// The end of each.
    ends: Vec<i32>,
}

impl ColumnBuilder {
    /// A column of `data_type`, which is one that [`field_of`] gives or a decimal.
    pub(super) fn new(column: &Column, data_type: &DataType) -> Result<Self> {
        let values = match data_type {
            DataType::Boolean => Values::Boolean(BooleanBufferBuilder::new(0)),
            DataType::Int64 => Values::Integer(Vec::new()),
            DataType::Float64 => Values::Float(Vec::new()),
            DataType::Decimal128(precision, scale) => Values::Decimal {
                list: Vec::new(),
                precision: *precision,
                scale: *scale,
            },
            DataType::Utf8 => Values::Text(Bytes::default()),
            DataType::Binary => Values::Binary(Bytes::default()),
            DataType::Date32 => Values::Date(Vec::new()),
            DataType::Timestamp(TimeUnit::Microsecond, zone) => Values::Timestamp {
                list: Vec::new(),
                zone: zone.clone(),
            },
            DataType::Time64(TimeUnit::Microsecond) => Values::Time(Vec::new()),
            other => {
                let text = format!(
                    "Column `{}` can't be built as Arrow type {other}.",
                    column.name
                );
                return Err(ConnectorError::system(text));
            }
        };
        Ok(Self {
            kind: Kind::of(&column.data_type),
            values,
            nulls: NullBufferBuilder::new(0),
            capacity: 0,
        })
    }

    /// Rows so far.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.nulls.len()
    }

    /// Adds the JSON value `text`. An error when it is no JSON.
    #[inline]
    pub(super) fn push(&mut self, text: &str) -> std::result::Result<Option<Change>, StringError> {
        match self.kind.cell(text) {
            Ok(cell) => Ok(self.push_cell(&cell)),
            Err(Misfit::Nulled(reason)) => {
                self.push_null();
                Ok(Some(Change::Nulled(reason)))
            }
            Err(Misfit::Broken(error)) => Err(error),
        }
    }

    fn push_cell(&mut self, cell: &Cell<'_>) -> Option<Change> {
        if *cell == Cell::Null {
            self.push_null();
            return None;
        }
        match self.values.push(cell) {
            Ok(is_cut) => {
                self.nulls.append_non_null();
                is_cut.then_some(Change::Truncated(TooLarge))
            }
            Err(reason) => {
                self.push_null();
                Some(Change::Nulled(reason))
            }
        }
    }

    /// Adds a null.
    #[inline]
    pub(super) fn push_null(&mut self) {
        self.nulls.append_null();
        match &mut self.values {
            Values::Boolean(list) => list.append(false),
            Values::Integer(list) | Values::Timestamp { list, .. } | Values::Time(list) => {
                list.push(0)
            }
            Values::Float(list) => list.push(0.0),
            Values::Decimal { list, .. } => list.push(0),
            Values::Text(bytes) | Values::Binary(bytes) => bytes.end(),
            Values::Date(list) => list.push(0),
        }
    }

    /// Takes out all rows from `len` on.
    pub(super) fn truncate(&mut self, len: usize) {
        self.nulls.truncate(len);
        match &mut self.values {
            Values::Boolean(list) => list.truncate(len),
            Values::Integer(list) | Values::Timestamp { list, .. } | Values::Time(list) => {
                list.truncate(len)
            }
            Values::Float(list) => list.truncate(len),
            Values::Decimal { list, .. } => list.truncate(len),
            Values::Text(bytes) | Values::Binary(bytes) => bytes.truncate(len),
            Values::Date(list) => list.truncate(len),
        }
    }

    /// The rows as an array; the column is empty again.
    pub(super) fn finish(&mut self) -> ArrayRef {
        let rows = self.len();
        let nulls = self.nulls.finish();
        self.nulls = NullBufferBuilder::new(rows);
        let room = rows.max(self.capacity);
        self.capacity = rows;
        match &mut self.values {
            Values::Boolean(list) => Arc::new(BooleanArray::new(list.finish(), nulls)),
            Values::Integer(list) => array::<Int64Type>(list, nulls, room),
            Values::Float(list) => array::<Float64Type>(list, nulls, room),
            Values::Decimal {
                list,
                precision,
                scale,
            } => {
                let data_type = DataType::Decimal128(*precision, *scale);
                Arc::new(primitive::<Decimal128Type>(list, nulls, room).with_data_type(data_type))
            }
            Values::Text(bytes) => {
                let (offsets, data) = bytes.take();
                // Text comes from text: checking it again costs less than one copy of it.
                let array = StringArray::try_new(offsets, data, nulls);
                Arc::new(array.expect("cells of text are UTF-8"))
            }
            Values::Binary(bytes) => {
                let (offsets, data) = bytes.take();
                Arc::new(BinaryArray::new(offsets, data, nulls))
            }
            Values::Date(list) => array::<Date32Type>(list, nulls, room),
            Values::Timestamp { list, zone } => {
                let array = primitive::<TimestampMicrosecondType>(list, nulls, room);
                Arc::new(array.with_timezone_opt(zone.clone()))
            }
            Values::Time(list) => array::<Time64MicrosecondType>(list, nulls, room),
        }
    }
}

impl Values {
    /// Adds a cell that is not null; says whether the column holds only a part of it. On error nothing was added.
    #[inline]
    fn push(&mut self, cell: &Cell<'_>) -> std::result::Result<bool, ChangeReason> {
        match (self, cell) {
            (Self::Text(bytes), cell) => return bytes.push_text(cell),
            (Self::Integer(list), Cell::Integer(value)) => list.push(*value),
            (Self::Float(list), cell) => {
                let (value, is_exact) = float(cell)?;
                list.push(value);
                return Ok(!is_exact);
            }
            (Self::Boolean(list), Cell::Boolean(value)) => list.append(*value),
            (Self::Date(list), Cell::Text(text)) => {
                let day = temporal::read_date(text)?;
                list.push(i32::try_from(day.value).map_err(|_| TooLarge)?);
            }
            (Self::Timestamp { list, zone }, Cell::Text(text)) => {
                let read = temporal::read_timestamp(text, zone.is_some())?;
                list.push(read.value);
                return Ok(read.is_cut);
            }
            (Self::Time(list), Cell::Text(text)) => {
                let read = temporal::read_time(text)?;
                list.push(read.value);
                return Ok(read.is_cut);
            }
            (Self::Binary(bytes), Cell::Text(text)) => bytes.push_base64(text)?,
            (
                Self::Decimal {
                    list,
                    precision,
                    scale,
                },
                cell,
            ) => {
                list.push(decimal(cell, *precision, *scale)?);
            }
            (Self::Integer(list), Cell::Number(text)) => match whole_number(text) {
                Some(Cell::Integer(value)) => list.push(value),
                Some(_) => return Err(TooLarge),
                None => return Err(Misfitting),
            },
            (Self::Integer(_), Cell::BigInteger(_) | Cell::NonFinite(_)) => return Err(TooLarge),
            _ => return Err(Misfitting),
        }
        Ok(false)
    }
}

/// The double nearest to a cell, and whether it prints as the same number.
#[inline]
fn float(cell: &Cell<'_>) -> std::result::Result<(f64, bool), ChangeReason> {
    let text = match cell {
        Cell::Number(text) => *text,
        Cell::Integer(value) => return float_of(&value.to_string()),
        Cell::BigInteger(text) => text.as_ref(),
        Cell::NonFinite(NonFinite::NaN) => return Ok((f64::NAN, true)),
        Cell::NonFinite(NonFinite::Infinity) => return Ok((f64::INFINITY, true)),
        Cell::NonFinite(NonFinite::NegativeInfinity) => return Ok((f64::NEG_INFINITY, true)),
        _ => return Err(Misfitting),
    };
    float_of(text)
}

#[inline]
fn float_of(text: &str) -> std::result::Result<(f64, bool), ChangeReason> {
    let value: f64 = text.parse().map_err(|_| Misfitting)?;
    // At most 15 digits, and no exponent that leads out of the range of doubles.
    if text.len() <= 16
        && !text.bytes().any(|byte| matches!(byte, b'e' | b'E'))
        && digits(text) <= 15
    {
        return Ok((value, true));
    }
    if value.is_infinite() {
        return Err(TooLarge);
    }
    Ok((value, exact_f64(text).is_some()))
}

fn digits(text: &str) -> usize {
    text.bytes().filter(u8::is_ascii_digit).count()
}

fn decimal(cell: &Cell<'_>, precision: u8, scale: i8) -> std::result::Result<i128, ChangeReason> {
    let of_text = |text: &str| Decimal::parse(text)?.scaled(precision, scale);
    match cell {
        Cell::Number(text) => of_text(text),
        Cell::Integer(value) => of_text(&value.to_string()),
        Cell::BigInteger(text) => of_text(text),
        Cell::NonFinite(_) => None,
        _ => return Err(Misfitting),
    }
    .ok_or(TooLarge)
}

impl Bytes {
    #[inline]
    fn end(&mut self) {
        let end = i32::try_from(self.data.len());
        self.ends
            .push(end.expect("a batch is flushed long before it holds 2 GiB"));
    }

    fn truncate(&mut self, len: usize) {
        self.ends.truncate(len);
        let end = self.ends.last().map_or(0, |end| *end as usize);
        self.data.truncate(end);
    }

    #[inline]
    fn push_text(&mut self, cell: &Cell<'_>) -> std::result::Result<bool, ChangeReason> {
        let mut buffer = itoa::Buffer::new();
        let text = match cell {
            Cell::Text(text) | Cell::BigInteger(text) => text.as_ref(),
            Cell::Json(text) | Cell::Number(text) => text,
            Cell::Integer(value) => buffer.format(*value),
            Cell::Boolean(true) => "true",
            Cell::Boolean(false) => "false",
            Cell::NonFinite(value) => value.as_str(),
            Cell::Null => return Err(Misfitting),
        };
        self.data.extend_from_slice(text.as_bytes());
        self.end();
        Ok(false)
    }

    fn push_base64(&mut self, text: &str) -> std::result::Result<(), ChangeReason> {
        let start = self.data.len();
        if STANDARD.decode_vec(text, &mut self.data).is_err() {
            self.data.truncate(start);
            return Err(Misfitting);
        }
        self.end();
        Ok(())
    }

    fn take(&mut self) -> (OffsetBuffer<i32>, Buffer) {
        let (rows, bytes) = (self.ends.len(), self.data.len());
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        offsets.extend_from_slice(&self.ends);
        self.ends.clear();
        let data = std::mem::replace(&mut self.data, Vec::with_capacity(bytes));
        (
            OffsetBuffer::new(ScalarBuffer::from(offsets)),
            Buffer::from_vec(data),
        )
    }
}

fn primitive<T: ArrowPrimitiveType>(
    list: &mut Vec<T::Native>,
    nulls: Option<arrow_buffer::NullBuffer>,
    room: usize,
) -> PrimitiveArray<T> {
    let list = std::mem::replace(list, Vec::with_capacity(room));
    PrimitiveArray::new(ScalarBuffer::from(list), nulls)
}

fn array<T: ArrowPrimitiveType>(
    list: &mut Vec<T::Native>,
    nulls: Option<arrow_buffer::NullBuffer>,
    room: usize,
) -> ArrayRef {
    Arc::new(primitive::<T>(list, nulls, room))
}
