//! Values of row images: the log's binary form to JSON, with the same result as the text form of a selection.

use super::json::push_binary_json;
use super::selected::Loss;
use super::temporal::{push_clock, push_day, push_instant};
use super::text::{push_base64, push_text};
use super::{push_f32, push_f64, push_integer};
use crate::binlog::charset::Charset;
use crate::binlog::decimal::push_decimal;
use crate::binlog::reader::{big_endian, little_endian};
use crate::binlog::table_map::{self as stored, Stored};
use crate::column::Kind;

/// Appends the JSON of a value of a row image.
///
/// # Errors
/// When a part of the value was lost.
pub(crate) fn push_logged(
    kind: &Kind,
    stored: Stored,
    charset: &Charset,
    value: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Loss> {
    let start = out.len();
    let written = push(kind, stored, charset, value, out);
    if written == Err(Loss::Nulled) {
        out.truncate(start);
        out.extend_from_slice(b"null");
    }
    written
}

fn push(
    kind: &Kind,
    stored: Stored,
    charset: &Charset,
    value: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Loss> {
    match kind {
        Kind::Integer { is_unsigned } => push_whole(*is_unsigned, value, out),
        Kind::Decimal => {
            push_decimal(value, stored.precision(), stored.scale(), out).ok_or(Loss::Nulled)?
        }
        Kind::Text { .. } => push_characters(charset, value, out),
        Kind::Enum(labels) => push_label(labels, value, out)?,
        Kind::Set(labels) => push_labels(labels, value, out)?,
        Kind::Boolean | Kind::Bit { width: 1 } => super::selected::push_boolean(value, out)?,
        Kind::Bit { .. } | Kind::Geometry => push_base64(value, out),
        Kind::Binary { padded } => push_padded(value, *padded, out),
        Kind::Year => push_integer(
            value.first().map_or(0, |year| {
                if *year == 0 {
                    0
                } else {
                    1900 + u16::from(*year)
                }
            }),
            out,
        ),
        Kind::Float => push_f32(
            f32::from_le_bytes(value.try_into().map_err(|_| Loss::Nulled)?),
            out,
        )?,
        Kind::Double => push_f64(
            f64::from_le_bytes(value.try_into().map_err(|_| Loss::Nulled)?),
            out,
        )?,
        Kind::Date | Kind::DateTime | Kind::Timestamp | Kind::Time => {
            push_temporal(stored, value, out)?
        }
        Kind::Json if stored.kind == stored::JSON => push_json(value, out)?,
        // MariaDB: text with a check.
        Kind::Json => super::selected::push_json(value, out),
        Kind::Uuid => push_uuid(value, out)?,
        Kind::Inet4 => push_address::<4, std::net::Ipv4Addr>(value, out)?,
        Kind::Inet6 => push_address::<16, std::net::Ipv6Addr>(value, out)?,
    }
    Ok(())
}

fn push_whole(is_unsigned: bool, value: &[u8], out: &mut Vec<u8>) {
    let number = little_endian(value);
    let unused = 64 - 8 * value.len().min(8) as u32;
    match is_unsigned || value.is_empty() {
        true => push_integer(number, out),
        // The sign bit moves up, and back down over all bits above it.
        false => push_integer((number << unused) as i64 >> unused, out),
    }
}

fn push_characters(charset: &Charset, value: &[u8], out: &mut Vec<u8>) {
    push_text(&charset.decode(value), out);
}

/// Number 0 is the empty text that stands for an invalid one.
fn push_label(labels: &[String], value: &[u8], out: &mut Vec<u8>) -> Result<(), Loss> {
    let number = usize::try_from(little_endian(value)).map_err(|_| Loss::Nulled)?;
    let label = match number.checked_sub(1) {
        None => "",
        Some(at) => labels.get(at).ok_or(Loss::Nulled)?,
    };
    push_text(label.as_bytes(), out);
    Ok(())
}

fn push_labels(labels: &[String], value: &[u8], out: &mut Vec<u8>) -> Result<(), Loss> {
    let bits = little_endian(value);
    let is_known = labels.len() >= 64 || bits >> labels.len() == 0;
    if !is_known {
        return Err(Loss::Nulled);
    }
    let chosen = labels
        .iter()
        .enumerate()
        .filter(|(at, _)| bits >> at & 1 == 1);
    let chosen: Vec<_> = chosen.map(|(_, label)| label.as_str()).collect();
    push_text(chosen.join(",").as_bytes(), out);
    Ok(())
}

/// The log leaves out the zeros at the end of a `BINARY(n)`.
fn push_padded(value: &[u8], padded: Option<u16>, out: &mut Vec<u8>) {
    match padded.map(usize::from) {
        Some(length) if length > value.len() => {
            let mut whole = value.to_vec();
            whole.resize(length, 0);
            push_base64(&whole, out);
        }
        _ => push_base64(value, out),
    }
}

fn push_temporal(stored: Stored, value: &[u8], out: &mut Vec<u8>) -> Result<(), Loss> {
    out.push(b'"');
    let digits = stored.meta.min(6) as u8;
    match stored.kind {
        stored::DATE | stored::NEWDATE => {
            let packed = little_endian(value) as u32;
            push_day(packed >> 9, packed >> 5 & 15, packed & 31, out)?;
        }
        stored::DATETIME2 => push_datetime(value, digits, out)?,
        stored::TIMESTAMP2 => {
            let (seconds, fraction) = value.split_at_checked(4).ok_or(Loss::Nulled)?;
            push_instant(big_endian(seconds), micros(fraction), digits, out)?;
        }
        stored::TIME2 => push_time(value, digits, out)?,
        stored::TIMESTAMP => push_instant(little_endian(value), 0, 0, out)?,
        stored::DATETIME => {
            let packed = little_endian(value);
            let (day, time) = ((packed / 1_000_000) as u32, (packed % 1_000_000) as u32);
            push_day(day / 10_000, day / 100 % 100, day % 100, out)?;
            out.push(b'T');
            push_clock(time / 10_000, time / 100 % 100, time % 100, 0, 0, out);
        }
        stored::TIME => {
            let packed = little_endian(value) as i32;
            let packed = packed << 8 >> 8;
            if packed < 0 {
                out.push(b'-');
            }
            let time = packed.unsigned_abs();
            push_clock(time / 10_000, time / 100 % 100, time % 100, 0, 0, out);
        }
        _ => return Err(Loss::Nulled),
    }
    out.push(b'"');
    Ok(())
}

/// Five bytes: year and month in base 13, day, hour, minute, second; then the fraction.
fn push_datetime(value: &[u8], digits: u8, out: &mut Vec<u8>) -> Result<(), Loss> {
    let (packed, fraction) = value.split_at_checked(5).ok_or(Loss::Nulled)?;
    let packed = big_endian(packed)
        .checked_sub(0x80_0000_0000)
        .ok_or(Loss::Nulled)?;
    let months = (packed >> 22) as u32;
    let part = |shift: u32, bits: u32| (packed >> shift) as u32 & ((1 << bits) - 1);
    push_day(months / 13, months % 13, part(17, 5), out)?;
    out.push(b'T');
    push_clock(
        part(12, 5),
        part(6, 6),
        part(0, 6),
        micros(fraction),
        digits,
        out,
    );
    Ok(())
}

/// Three bytes and the fraction as one number around a middle, so that negative times sort before positive ones.
fn push_time(value: &[u8], digits: u8, out: &mut Vec<u8>) -> Result<(), Loss> {
    let fraction_bytes = value.len().checked_sub(3).ok_or(Loss::Nulled)?;
    let shift = 8 * fraction_bytes as u32;
    let number = big_endian(value) as i64 - (0x80_0000 << shift);
    if number < 0 {
        out.push(b'-');
    }
    let number = number.unsigned_abs();
    let (time, fraction) = ((number >> shift) as u32, number & ((1 << shift) - 1));
    let bytes = fraction.to_be_bytes();
    let fraction = bytes.get(8 - fraction_bytes..).unwrap_or_default();
    push_clock(
        time >> 12 & 0x3ff,
        time >> 6 & 63,
        time & 63,
        micros(fraction),
        digits,
        out,
    );
    Ok(())
}

/// Hundredths, ten-thousandths or millionths of a second in one to three bytes.
fn micros(fraction: &[u8]) -> u32 {
    let unit = [0, 10_000, 100, 1]
        .get(fraction.len())
        .copied()
        .unwrap_or(1);
    big_endian(fraction) as u32 * unit
}

/// MySQL's binary JSON as text.
fn push_json(value: &[u8], out: &mut Vec<u8>) -> Result<(), Loss> {
    if value.is_empty() {
        // What a row holds that was there before the column was added without a default.
        out.extend_from_slice(b"null");
        return Ok(());
    }
    push_binary_json(value, out)
}

/// 16 bytes in the order of the text.
fn push_uuid(value: &[u8], out: &mut Vec<u8>) -> Result<(), Loss> {
    let mut bytes = [0_u8; 16];
    // Zeros at the end are left out.
    bytes
        .get_mut(..value.len())
        .ok_or(Loss::Nulled)?
        .copy_from_slice(value);
    out.push(b'"');
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            out.push(b'-');
        }
        out.extend([byte >> 4, byte & 15].map(|digit| b"0123456789abcdef"[usize::from(digit)]));
    }
    out.push(b'"');
    Ok(())
}

fn push_address<const N: usize, A: From<[u8; N]> + ToString>(
    value: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Loss> {
    let mut bytes = [0; N];
    bytes
        .get_mut(..value.len())
        .ok_or(Loss::Nulled)?
        .copy_from_slice(value);
    push_text(A::from(bytes).to_string().as_bytes(), out);
    Ok(())
}
