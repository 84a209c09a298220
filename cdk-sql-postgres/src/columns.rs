//! Rows of COPY as Arrow columns, for destinations in the same process that work on columns.
//!
//! A row with a value that its column's type can't hold (`infinity`, `NaN` in a `numeric(p,s)`, `24:00`) goes as JSON, behind the
//! rows before it, so that nothing is lost or changed.

use std::sync::Arc;

use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    Time64MicrosecondType, TimestampMicrosecondType, UInt32Type,
};
use arrow_array::{
    ArrayRef, ArrowPrimitiveType, BinaryArray, BooleanArray, PrimitiveArray, RecordBatch,
    StringArray,
};
use arrow_buffer::{BooleanBufferBuilder, Buffer, NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};
use cdk_core::arrow::json_field;

use crate::rows::Tuple;
use crate::value::{Kind, write_binary};

/// Days and microseconds from 1970-01-01 to 2000-01-01.
const EPOCH_DAYS: i32 = 10_957;
const EPOCH_MICROS: i64 = 946_684_800_000_000;
const DAY_MICROS: i64 = 86_400_000_000;

/// Columns that are being filled.
#[derive(Debug)]
pub(crate) struct Columns {
    schema: SchemaRef,
    columns: Vec<Column>,
    rows: usize,
    bytes: usize,
}

/// Why a row was not added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Misfit {
    /// A column can't hold its value.
    Value,
    /// The row is cut off.
    CutOff,
}

/// A value that the column can't hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Unfit;

#[derive(Debug)]
struct Column {
    values: Values,
    nulls: NullBufferBuilder,
}

#[derive(Debug)]
enum Values {
    Bool(BooleanBufferBuilder),
    Int16(Vec<i16>),
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    UInt32(Vec<u32>),
    Float32(Vec<f32>),
    Float64(Vec<f64>),
    Decimal {
        values: Vec<i128>,
        precision: u8,
        scale: i8,
    },
    Date(Vec<i32>),
    Time(Vec<i64>),
    Timestamp {
        values: Vec<i64>,
        is_utc: bool,
    },
    Text(Bytes),
    Binary(Bytes),
    /// Text of its own: uuid, time with zone.
    Quoted(Bytes, Kind),
    Json(Bytes, Kind),
}

/// Values of any length behind each other.
#[derive(Debug)]
struct Bytes {
    data: Vec<u8>,
    ends: Vec<i32>,
}

impl Bytes {
    fn new() -> Self {
        Self {
            data: Vec::new(),
            ends: vec![0],
        }
    }

    fn end(&mut self) -> Result<(), Unfit> {
        self.ends
            .push(i32::try_from(self.data.len()).map_err(|_| Unfit)?);
        Ok(())
    }

    fn parts(&mut self) -> (OffsetBuffer<i32>, Buffer) {
        let ends = std::mem::replace(&mut self.ends, vec![0]);
        (
            OffsetBuffer::new(ScalarBuffer::from(ends)),
            Buffer::from_vec(std::mem::take(&mut self.data)),
        )
    }
}

impl Columns {
    /// Columns for these fields: name, kind, and the type in the server's words.
    pub(crate) fn new<'a>(fields: impl IntoIterator<Item = (&'a str, &'a Kind, &'a str)>) -> Self {
        let (fields, columns): (Vec<Field>, Vec<Column>) = fields
            .into_iter()
            .map(|(name, kind, type_name)| {
                let values = Values::new(kind, type_name);
                let field = values.field(name);
                (
                    field,
                    Column {
                        values,
                        nulls: NullBufferBuilder::new(1024),
                    },
                )
            })
            .unzip();
        Self {
            schema: Arc::new(Schema::new(fields)),
            columns,
            rows: 0,
            bytes: 0,
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Adds a row; on error the columns are as before.
    #[inline]
    pub(crate) fn push(&mut self, tuple: &mut Tuple<'_>) -> Result<(), Misfit> {
        for at in 0..self.columns.len() {
            let pushed = match tuple.value() {
                None => Err(Misfit::CutOff),
                Some(value) => {
                    self.bytes += value.map_or(1, <[u8]>::len);
                    self.columns[at].push(value).map_err(|Unfit| Misfit::Value)
                }
            };
            if let Err(misfit) = pushed {
                self.columns
                    .iter_mut()
                    .for_each(|column| column.truncate(self.rows));
                return Err(misfit);
            }
        }
        self.rows += 1;
        Ok(())
    }

    /// Takes the rows out.
    pub(crate) fn take(&mut self) -> Result<RecordBatch, ArrowError> {
        let arrays: Result<Vec<ArrayRef>, ArrowError> =
            self.columns.iter_mut().map(Column::take).collect();
        (self.rows, self.bytes) = (0, 0);
        RecordBatch::try_new(Arc::clone(&self.schema), arrays?)
    }
}

impl Values {
    fn new(kind: &Kind, type_name: &str) -> Self {
        match kind {
            Kind::Bool => Self::Bool(BooleanBufferBuilder::new(1024)),
            Kind::Int2 => Self::Int16(Vec::new()),
            Kind::Int4 => Self::Int32(Vec::new()),
            Kind::Int8 => Self::Int64(Vec::new()),
            Kind::Oid => Self::UInt32(Vec::new()),
            Kind::Float4 => Self::Float32(Vec::new()),
            Kind::Float8 => Self::Float64(Vec::new()),
            Kind::Date => Self::Date(Vec::new()),
            Kind::Time => Self::Time(Vec::new()),
            Kind::Timestamp => Self::Timestamp {
                values: Vec::new(),
                is_utc: false,
            },
            Kind::TimestampTz => Self::Timestamp {
                values: Vec::new(),
                is_utc: true,
            },
            Kind::Text | Kind::Inet | Kind::Cast => Self::Text(Bytes::new()),
            Kind::Bytea => Self::Binary(Bytes::new()),
            Kind::Uuid | Kind::TimeTz => Self::Quoted(Bytes::new(), kind.clone()),
            Kind::Numeric => match decimal(type_name) {
                Some((precision, scale)) => Self::Decimal {
                    values: Vec::new(),
                    precision,
                    scale,
                },
                None => Self::Json(Bytes::new(), Kind::Numeric),
            },
            Kind::Money | Kind::Json | Kind::Jsonb | Kind::Hstore | Kind::Array(_) => {
                Self::Json(Bytes::new(), kind.clone())
            }
        }
    }

    fn field(&self, name: &str) -> Field {
        let data_type = match self {
            Self::Json(..) => return json_field(name),
            Self::Bool(_) => DataType::Boolean,
            Self::Int16(_) => DataType::Int16,
            Self::Int32(_) => DataType::Int32,
            Self::Int64(_) => DataType::Int64,
            Self::UInt32(_) => DataType::UInt32,
            Self::Float32(_) => DataType::Float32,
            Self::Float64(_) => DataType::Float64,
            Self::Decimal {
                precision, scale, ..
            } => DataType::Decimal128(*precision, *scale),
            Self::Date(_) => DataType::Date32,
            Self::Time(_) => DataType::Time64(TimeUnit::Microsecond),
            Self::Timestamp { is_utc, .. } => {
                DataType::Timestamp(TimeUnit::Microsecond, is_utc.then(|| "UTC".into()))
            }
            Self::Text(_) | Self::Quoted(..) => DataType::Utf8,
            Self::Binary(_) => DataType::Binary,
        };
        Field::new(name, data_type, true)
    }

    #[inline]
    fn push(&mut self, bytes: &[u8]) -> Result<(), Unfit> {
        match self {
            Self::Int32(values) => values.push(i32::from_be_bytes(fixed(bytes)?)),
            Self::Int64(values) => values.push(i64::from_be_bytes(fixed(bytes)?)),
            Self::Int16(values) => values.push(i16::from_be_bytes(fixed(bytes)?)),
            Self::UInt32(values) => values.push(u32::from_be_bytes(fixed(bytes)?)),
            Self::Float64(values) => values.push(f64::from_be_bytes(fixed(bytes)?)),
            Self::Float32(values) => values.push(f32::from_be_bytes(fixed(bytes)?)),
            Self::Bool(values) => values.append(fixed::<1>(bytes)? != [0]),
            Self::Date(values) => values.push(date(i32::from_be_bytes(fixed(bytes)?))?),
            Self::Time(values) => values.push(time(i64::from_be_bytes(fixed(bytes)?))?),
            Self::Timestamp { values, .. } => {
                values.push(timestamp(i64::from_be_bytes(fixed(bytes)?))?)
            }
            Self::Decimal {
                values,
                precision,
                scale,
            } => values.push(unscaled(bytes, *precision, *scale)?),
            Self::Text(text) => {
                std::str::from_utf8(bytes).map_err(|_| Unfit)?;
                text.data.extend_from_slice(bytes);
                text.end()?;
            }
            Self::Binary(values) => {
                values.data.extend_from_slice(bytes);
                values.end()?;
            }
            Self::Quoted(text, kind) => {
                let start = text.data.len();
                write_binary(kind, bytes, &mut text.data).map_err(|_| Unfit)?;
                // Neither has anything to escape: the text is what stands between the quotes.
                text.data.pop();
                text.data.remove(start);
                text.end()?;
            }
            Self::Json(text, kind) => {
                write_binary(kind, bytes, &mut text.data).map_err(|_| Unfit)?;
                text.end()?;
            }
        }
        Ok(())
    }

    fn push_null(&mut self) -> Result<(), Unfit> {
        match self {
            Self::Bool(values) => values.append(false),
            Self::Int16(values) => values.push(0),
            Self::Int32(values) | Self::Date(values) => values.push(0),
            Self::Int64(values) | Self::Time(values) | Self::Timestamp { values, .. } => {
                values.push(0)
            }
            Self::UInt32(values) => values.push(0),
            Self::Float32(values) => values.push(0.0),
            Self::Float64(values) => values.push(0.0),
            Self::Decimal { values, .. } => values.push(0),
            Self::Text(text) | Self::Binary(text) | Self::Quoted(text, _) | Self::Json(text, _) => {
                text.end()?
            }
        }
        Ok(())
    }

    /// Back to so many values, of which the last may be half-written.
    fn truncate(&mut self, rows: usize) {
        match self {
            Self::Bool(values) => values.truncate(rows),
            Self::Int16(values) => values.truncate(rows),
            Self::Int32(values) | Self::Date(values) => values.truncate(rows),
            Self::Int64(values) | Self::Time(values) | Self::Timestamp { values, .. } => {
                values.truncate(rows)
            }
            Self::UInt32(values) => values.truncate(rows),
            Self::Float32(values) => values.truncate(rows),
            Self::Float64(values) => values.truncate(rows),
            Self::Decimal { values, .. } => values.truncate(rows),
            Self::Text(text) | Self::Binary(text) | Self::Quoted(text, _) | Self::Json(text, _) => {
                text.ends.truncate(rows + 1);
                let end = text.ends.last().and_then(|end| usize::try_from(*end).ok());
                text.data.truncate(end.unwrap_or_default());
            }
        }
    }
}

impl Column {
    #[inline]
    fn push(&mut self, value: Option<&[u8]>) -> Result<(), Unfit> {
        match value {
            Some(bytes) => self.values.push(bytes)?,
            None => self.values.push_null()?,
        }
        self.nulls.append(value.is_some());
        Ok(())
    }

    fn truncate(&mut self, rows: usize) {
        self.values.truncate(rows);
        self.nulls.truncate(rows);
    }

    fn take(&mut self) -> Result<ArrayRef, ArrowError> {
        let nulls = self.nulls.finish();
        Ok(match &mut self.values {
            Values::Bool(values) => Arc::new(BooleanArray::new(values.finish(), nulls)),
            Values::Int16(values) => primitive::<Int16Type>(values, nulls)?,
            Values::Int32(values) => primitive::<Int32Type>(values, nulls)?,
            Values::Int64(values) => primitive::<Int64Type>(values, nulls)?,
            Values::UInt32(values) => primitive::<UInt32Type>(values, nulls)?,
            Values::Float32(values) => primitive::<Float32Type>(values, nulls)?,
            Values::Float64(values) => primitive::<Float64Type>(values, nulls)?,
            Values::Date(values) => primitive::<Date32Type>(values, nulls)?,
            Values::Time(values) => primitive::<Time64MicrosecondType>(values, nulls)?,
            Values::Timestamp { values, is_utc } => {
                let values = ScalarBuffer::from(std::mem::take(values));
                let array = PrimitiveArray::<TimestampMicrosecondType>::try_new(values, nulls)?;
                Arc::new(array.with_timezone_opt(is_utc.then_some("UTC")))
            }
            Values::Decimal {
                values,
                precision,
                scale,
            } => {
                let values = ScalarBuffer::from(std::mem::take(values));
                let array = PrimitiveArray::<Decimal128Type>::try_new(values, nulls)?;
                Arc::new(array.with_precision_and_scale(*precision, *scale)?)
            }
            Values::Binary(values) => {
                let (ends, data) = values.parts();
                Arc::new(BinaryArray::try_new(ends, data, nulls)?)
            }
            Values::Text(text) | Values::Quoted(text, _) | Values::Json(text, _) => {
                let (ends, data) = text.parts();
                Arc::new(StringArray::try_new(ends, data, nulls)?)
            }
        })
    }
}

fn primitive<T: ArrowPrimitiveType>(
    values: &mut Vec<T::Native>,
    nulls: Option<arrow_buffer::NullBuffer>,
) -> Result<ArrayRef, ArrowError> {
    let values = ScalarBuffer::from(std::mem::take(values));
    Ok(Arc::new(PrimitiveArray::<T>::try_new(values, nulls)?))
}

#[inline]
fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Unfit> {
    bytes.try_into().map_err(|_| Unfit)
}

fn date(days: i32) -> Result<i32, Unfit> {
    match days {
        i32::MAX | i32::MIN => Err(Unfit),
        days => days.checked_add(EPOCH_DAYS).ok_or(Unfit),
    }
}

fn timestamp(micros: i64) -> Result<i64, Unfit> {
    match micros {
        i64::MAX | i64::MIN => Err(Unfit),
        micros => micros.checked_add(EPOCH_MICROS).ok_or(Unfit),
    }
}

/// Arrow's day ends before 24:00.
fn time(micros: i64) -> Result<i64, Unfit> {
    match (0..DAY_MICROS).contains(&micros) {
        true => Ok(micros),
        false => Err(Unfit),
    }
}

/// Precision and scale of `numeric(p,s)`, if Arrow has such a type.
fn decimal(type_name: &str) -> Option<(u8, i8)> {
    let (precision, scale) = type_name
        .strip_prefix("numeric(")?
        .strip_suffix(')')?
        .split_once(',')?;
    let (precision, scale): (u8, i8) = (precision.parse().ok()?, scale.parse().ok()?);
    let is_plain = (1..=38).contains(&precision) && scale >= 0 && scale.unsigned_abs() <= precision;
    is_plain.then_some((precision, scale))
}

/// A `numeric` of this scale as a whole number: `12.30` of scale 2 is 1230.
#[inline]
fn unscaled(bytes: &[u8], precision: u8, scale: i8) -> Result<i128, Unfit> {
    let (head, digits) = bytes.split_first_chunk::<8>().ok_or(Unfit)?;
    let word = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
    let (weight, sign) = (i32::from(word(2).cast_signed()), word(4));
    if sign != 0 && sign != 0x4000 {
        return Err(Unfit);
    }
    let mut value: i128 = 0;
    let mut groups = 0;
    for pair in digits.chunks_exact(2) {
        let group = i128::from(u16::from_be_bytes([pair[0], pair[1]]));
        value = value
            .checked_mul(10_000)
            .and_then(|value| value.checked_add(group))
            .ok_or(Unfit)?;
        groups += 1;
    }
    // The last group stands for ten thousand to this power; shift to the scale.
    let shift = (weight + 1 - groups) * 4 + i32::from(scale);
    let power = 10_i128.checked_pow(shift.unsigned_abs()).ok_or(Unfit)?;
    let value = match shift >= 0 {
        true => value.checked_mul(power).ok_or(Unfit)?,
        false if value % power == 0 => value / power,
        false => return Err(Unfit),
    };
    let limit = 10_i128.checked_pow(u32::from(precision)).ok_or(Unfit)?;
    match value < limit {
        true => Ok(if sign == 0 { value } else { -value }),
        false => Err(Unfit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numeric(weight: i16, sign: u16, digits: &[u16]) -> Vec<u8> {
        let head = [digits.len() as u16, weight.cast_unsigned(), sign, 0];
        head.iter()
            .chain(digits)
            .flat_map(|word| word.to_be_bytes())
            .collect()
    }

    #[test]
    fn decimals_are_whole_numbers_of_their_scale() {
        assert_eq!(unscaled(&numeric(0, 0, &[12, 3400]), 15, 2), Ok(1234));
        assert_eq!(
            unscaled(&numeric(0, 0x4000, &[12, 3400]), 15, 4),
            Ok(-123_400)
        );
        assert_eq!(unscaled(&numeric(1, 0, &[1]), 15, 2), Ok(1_000_000));
        assert_eq!(unscaled(&numeric(-1, 0, &[5000]), 15, 2), Ok(50));
        assert_eq!(unscaled(&numeric(0, 0, &[]), 15, 2), Ok(0));
        assert_eq!(
            unscaled(&numeric(0, 0, &[12, 3450]), 15, 2),
            Err(Unfit),
            "a digit behind the scale"
        );
        assert_eq!(unscaled(&numeric(0, 0xc000, &[]), 15, 2), Err(Unfit), "NaN");
        assert_eq!(
            unscaled(&numeric(0, 0, &[1000]), 3, 0),
            Err(Unfit),
            "beyond the precision"
        );
    }

    #[test]
    fn only_plain_precisions_become_decimals() {
        assert_eq!(decimal("numeric(15,2)"), Some((15, 2)));
        for other in [
            "numeric",
            "numeric(39,2)",
            "numeric(3,5)",
            "numeric(3,-2)",
            "money",
        ] {
            assert_eq!(decimal(other), None, "{other}");
        }
    }

    #[test]
    fn a_row_that_does_not_fit_leaves_nothing_behind() {
        let kinds = [("a", Kind::Text, "text"), ("b", Kind::Date, "date")];
        let mut columns = Columns::new(
            kinds
                .iter()
                .map(|(name, kind, type_name)| (*name, kind, *type_name)),
        );
        let row = |values: [Option<&[u8]>; 2]| -> Vec<u8> {
            let value = |value: Option<&[u8]>| match value {
                Some(value) => [&(value.len() as i32).to_be_bytes(), value].concat(),
                None => (-1_i32).to_be_bytes().to_vec(),
            };
            values.into_iter().flat_map(value).collect()
        };
        let (day, infinity) = (0_i32.to_be_bytes(), i32::MAX.to_be_bytes());
        let mut push = |row: Vec<u8>| columns.push(&mut Tuple::of(&row));
        assert_eq!(push(row([Some(b"one"), Some(&day)])), Ok(()));
        assert_eq!(
            push(row([Some(b"two"), Some(&infinity)])),
            Err(Misfit::Value)
        );
        assert_eq!(push(row([None, None])), Ok(()));
        assert_eq!(push(row([None, None])[..6].to_vec()), Err(Misfit::CutOff));
        let batch = columns.take().unwrap();
        assert_eq!((batch.num_rows(), batch.column(0).null_count()), (2, 1));
        assert!(columns.is_empty());
    }
}
