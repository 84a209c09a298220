//! Arrow columns in PostgreSQL's binary COPY format: the same bytes as by way of JSON, without the JSON.

use std::fmt::Write as _;

use airbyte_protocol::ChangeReason;
use airbyte_protocol::types::AirbyteType;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    Time64MicrosecondType, TimestampMicrosecondType, UInt32Type,
};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, PrimitiveArray, RecordBatch, StringArray,
};
use arrow_schema::{DataType, Field, TimeUnit};
use cdk_core::destination::columns::{Cell, CellReader, Columns, NonFinite};

use super::{Encoder, bytes, numeric, temporal};
use crate::types::PgType;

/// The columns of a batch, in the order of the stream's fields.
#[derive(Debug)]
pub(crate) struct ArrowColumns<'a>(Vec<Column<'a>>);

/// A column whose values have a binary form in their PostgreSQL column.
#[derive(Debug)]
enum Column<'a> {
    /// The batch has no such column.
    Absent,
    Boolean(&'a BooleanArray),
    Int16(&'a PrimitiveArray<Int16Type>),
    Int32(&'a PrimitiveArray<Int32Type>),
    Int64(&'a PrimitiveArray<Int64Type>),
    UInt32(&'a PrimitiveArray<UInt32Type>),
    Float32(&'a PrimitiveArray<Float32Type>),
    Float64(&'a PrimitiveArray<Float64Type>),
    Decimal(&'a PrimitiveArray<Decimal128Type>),
    Text(&'a StringArray),
    /// Text that is JSON.
    Json(&'a StringArray, CellReader),
    /// Days since 1970.
    Date(&'a PrimitiveArray<Date32Type>),
    /// Microseconds since 1970.
    Timestamp(&'a PrimitiveArray<TimestampMicrosecondType>),
    /// Microseconds since midnight.
    Time(&'a PrimitiveArray<Time64MicrosecondType>),
    Binary(&'a BinaryArray),
}

impl<'a> ArrowColumns<'a> {
    /// The columns for these fields; `None` when one has a type that only its JSON form can be written of.
    pub(crate) fn of(columns: &Columns, types: &[PgType], batch: &'a RecordBatch) -> Option<Self> {
        let schema = batch.schema_ref();
        let found = columns
            .as_slice()
            .iter()
            .zip(types)
            .map(
                |(column, pg_type)| match schema.column_with_name(&column.name) {
                    None => Some(Column::Absent),
                    Some((at, field)) => {
                        Column::of(field, batch.columns().get(at)?, &column.data_type, *pg_type)
                    }
                },
            );
        found.collect::<Option<Vec<_>>>().map(Self)
    }

    /// Writes one value: its length, then its bytes.
    #[inline]
    pub(crate) fn write(
        &self,
        column: usize,
        row: usize,
        pg_type: PgType,
        encoder: &mut Encoder,
        out: &mut Vec<u8>,
    ) -> Result<(), ChangeReason> {
        let null = || Cell::Null;
        let cell = match self.0.get(column) {
            None | Some(Column::Absent) => null(),
            Some(Column::Boolean(values)) if values.is_valid(row) => {
                Cell::Boolean(values.value(row))
            }
            Some(Column::Int16(values)) if values.is_valid(row) => {
                Cell::Integer(values.value(row).into())
            }
            Some(Column::Int32(values)) if values.is_valid(row) => {
                Cell::Integer(values.value(row).into())
            }
            Some(Column::Int64(values)) if values.is_valid(row) => Cell::Integer(values.value(row)),
            Some(Column::Text(values)) if values.is_valid(row) => {
                Cell::Text(values.value(row).into())
            }
            Some(Column::Json(values, reader)) if values.is_valid(row) => {
                let read = reader.read(values.value(row).trim_ascii());
                let broken = ChangeReason::DestinationSerializationError;
                match read.map_err(|_| broken) {
                    Ok((cell, None)) => cell,
                    Ok((_, Some(reason))) | Err(reason) => {
                        encoder.cell(out, pg_type, &Cell::Null)?;
                        return Err(reason);
                    }
                }
            }
            Some(Column::UInt32(values)) if values.is_valid(row) => {
                Cell::Integer(values.value(row).into())
            }
            Some(Column::Decimal(values)) if values.is_valid(row) => {
                let digits = values.value_as_string(row);
                return encoder.cell(out, pg_type, &Cell::Number(&digits));
            }
            Some(Column::Float32(values)) if values.is_valid(row) => {
                let value = values.value(row);
                return float(value.into(), &value, pg_type, encoder, out);
            }
            Some(Column::Float64(values)) if values.is_valid(row) => {
                let value = values.value(row);
                return float(value, &value, pg_type, encoder, out);
            }
            Some(Column::Binary(values)) if values.is_valid(row) => {
                bytes(out, values.value(row));
                return Ok(());
            }
            Some(Column::Time(values)) if values.is_valid(row) => {
                bytes(out, &values.value(row).to_be_bytes());
                return Ok(());
            }
            Some(Column::Date(values)) if values.is_valid(row) => {
                let days = temporal::of_unix_days(values.value(row));
                return fixed(days.map(i32::to_be_bytes), encoder, out);
            }
            Some(Column::Timestamp(values)) if values.is_valid(row) => {
                let micros = temporal::of_unix_micros(values.value(row));
                return fixed(micros.map(i64::to_be_bytes), encoder, out);
            }
            Some(_) => null(),
        };
        encoder.cell(out, pg_type, &cell)
    }
}

/// Writes a value of fixed length; one that the server does not have becomes null.
fn fixed<const N: usize>(
    value: Option<[u8; N]>,
    encoder: &mut Encoder,
    out: &mut Vec<u8>,
) -> Result<(), ChangeReason> {
    match value {
        Some(value) => {
            bytes(out, &value);
            Ok(())
        }
        None => {
            encoder.cell(out, PgType::Text, &Cell::Null)?;
            Err(ChangeReason::DestinationTypecastError)
        }
    }
}

/// Writes a float; `shown` is the same in its own precision.
fn float(
    value: f64,
    shown: &dyn std::fmt::LowerExp,
    pg_type: PgType,
    encoder: &mut Encoder,
    out: &mut Vec<u8>,
) -> Result<(), ChangeReason> {
    let non_finite = match value {
        f64::INFINITY => Some(NonFinite::Infinity),
        f64::NEG_INFINITY => Some(NonFinite::NegativeInfinity),
        value if value.is_nan() => Some(NonFinite::NaN),
        _ => None,
    };
    if let Some(value) = non_finite {
        return encoder.cell(out, pg_type, &Cell::NonFinite(value));
    }
    let mut text = std::mem::take(&mut encoder.text);
    text.clear();
    // The shortest text that reads back the same.
    let written = write!(text, "{shown:e}");
    written.expect("writing to a string does not fail");
    let done = numeric::write(out, &text, &mut encoder.scratch);
    encoder.text = text;
    done.map_err(|_| ChangeReason::DestinationFieldSizeLimitation)
}

impl<'a> Column<'a> {
    fn of(
        field: &Field,
        array: &'a ArrayRef,
        data_type: &AirbyteType,
        pg_type: PgType,
    ) -> Option<Self> {
        let takes_text = matches!(
            data_type,
            AirbyteType::String
                | AirbyteType::Date
                | AirbyteType::TimestampWithTimezone
                | AirbyteType::TimestampWithoutTimezone
                | AirbyteType::TimeWithTimezone
                | AirbyteType::TimeWithoutTimezone
                | AirbyteType::Binary
        );
        let is_number = matches!(data_type, AirbyteType::Integer | AirbyteType::Number);
        let numbers = matches!(pg_type, PgType::Bigint | PgType::Numeric);
        Some(match (field.data_type(), pg_type) {
            (DataType::Utf8, _) if field.extension_type_name() == Some("arrow.json") => {
                Self::Json(array.as_string(), CellReader::of(data_type))
            }
            (DataType::Utf8, _) if takes_text => Self::Text(array.as_string()),
            (DataType::Boolean, PgType::Boolean) => Self::Boolean(array.as_boolean()),
            (DataType::Int16, _) if numbers && is_number => Self::Int16(array.as_primitive()),
            (DataType::Int32, _) if numbers && is_number => Self::Int32(array.as_primitive()),
            (DataType::Int64, _) if numbers && is_number => Self::Int64(array.as_primitive()),
            (DataType::UInt32, _) if numbers && is_number => Self::UInt32(array.as_primitive()),
            (DataType::Float32, PgType::Numeric) => Self::Float32(array.as_primitive()),
            (DataType::Float64, PgType::Numeric) => Self::Float64(array.as_primitive()),
            (DataType::Decimal128(..), PgType::Numeric) if is_number => {
                Self::Decimal(array.as_primitive())
            }
            (DataType::Date32, PgType::Date) => Self::Date(array.as_primitive()),
            (DataType::Timestamp(TimeUnit::Microsecond, Some(_)), PgType::TimestampTz)
            | (DataType::Timestamp(TimeUnit::Microsecond, None), PgType::Timestamp) => {
                Self::Timestamp(array.as_primitive())
            }
            (DataType::Time64(TimeUnit::Microsecond), PgType::Time) => {
                Self::Time(array.as_primitive())
            }
            (DataType::Binary, PgType::Bytea) => Self::Binary(array.as_binary()),
            _ => return None,
        })
    }
}
