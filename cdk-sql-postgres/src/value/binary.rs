//! The binary form, as COPY sends it.

use super::escape::{write_base64, write_json, write_string, write_uuid};
use super::kind::Kind;
use super::{Malformed, Written, array, datetime, hstore, numeric};

#[inline]
fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Malformed> {
    bytes
        .try_into()
        .map_err(|_| Malformed("a value of another length than its type has"))
}

/// Writes a value that is not null as JSON.
///
/// # Errors
/// When the bytes do not have the form of the type; what was written until then stays.
#[inline]
pub fn write_binary(kind: &Kind, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    match kind {
        Kind::Int4 => write_int(i32::from_be_bytes(fixed(bytes)?), out),
        Kind::Int8 => write_int(i64::from_be_bytes(fixed(bytes)?), out),
        Kind::Int2 => write_int(i16::from_be_bytes(fixed(bytes)?), out),
        Kind::Text | Kind::Inet | Kind::Cast => write_string(bytes, out)?,
        Kind::Numeric | Kind::Money => numeric::write(bytes, out)?,
        Kind::Bool => write_bool(fixed::<1>(bytes)? != [0], out),
        Kind::Float8 => write_float8(f64::from_be_bytes(fixed(bytes)?), out),
        Kind::Float4 => write_float4(f32::from_be_bytes(fixed(bytes)?), out),
        Kind::TimestampTz => {
            datetime::write_timestamp(i64::from_be_bytes(fixed(bytes)?), true, out)
        }
        Kind::Timestamp => datetime::write_timestamp(i64::from_be_bytes(fixed(bytes)?), false, out),
        Kind::Date => datetime::write_date(i32::from_be_bytes(fixed(bytes)?), out),
        Kind::Oid => write_int(u32::from_be_bytes(fixed(bytes)?), out),
        Kind::Jsonb => match bytes.split_first() {
            Some((1, json)) => write_json(json, out)?,
            _ => return Err(Malformed("jsonb of an unknown version")),
        },
        Kind::Json => write_json(bytes, out)?,
        Kind::Uuid => write_uuid(bytes, out)?,
        Kind::Bytea => write_base64(bytes, out)?,
        Kind::Time => datetime::write_time(i64::from_be_bytes(fixed(bytes)?), out)?,
        Kind::TimeTz => write_timetz(bytes, out)?,
        Kind::Hstore => hstore::write_binary(bytes, out)?,
        Kind::Array(items) if items.is_text_only() => array::write_text_array(items, bytes, out)?,
        Kind::Array(items) => array::write_binary_array(items, bytes, out)?,
    }
    Ok(())
}

fn write_timetz(bytes: &[u8], out: &mut Vec<u8>) -> Written {
    let (micros, zone) = bytes
        .split_at_checked(8)
        .ok_or(Malformed("a time that is cut off"))?;
    datetime::write_timetz(
        i64::from_be_bytes(fixed(micros)?),
        i32::from_be_bytes(fixed(zone)?),
        out,
    )
}

#[inline]
fn write_int(value: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

pub(super) fn write_bool(value: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

#[inline]
pub(super) fn write_float8(value: f64, out: &mut Vec<u8>) {
    match value.is_finite() {
        true => out.extend_from_slice(ryu::Buffer::new().format_finite(value).as_bytes()),
        false => write_not_finite(value, out),
    }
}

#[inline]
pub(super) fn write_float4(value: f32, out: &mut Vec<u8>) {
    match value.is_finite() {
        true => out.extend_from_slice(ryu::Buffer::new().format_finite(value).as_bytes()),
        false => write_not_finite(f64::from(value), out),
    }
}

/// JSON has no number for these; destinations read the usual texts.
fn write_not_finite(value: f64, out: &mut Vec<u8>) {
    out.extend_from_slice(match value {
        f64::INFINITY => b"\"Infinity\"".as_slice(),
        f64::NEG_INFINITY => b"\"-Infinity\"",
        _ => b"\"NaN\"",
    });
}
