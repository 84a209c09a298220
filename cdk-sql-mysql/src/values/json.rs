//! MySQL's binary JSON as text, with the spaces that the server writes.

use super::selected::Loss;
use super::temporal::{push_clock, push_day};
use super::text::{push_base64, push_text};
use super::{push_f64, push_integer};
use crate::binlog::decimal::push_decimal;
use crate::binlog::reader::{Reader, little_endian};
use crate::binlog::table_map as stored;

/// The server nests up to 100 deep.
const MAX_DEPTH: usize = 120;

/// Appends a value: its type, then its bytes.
pub(super) fn push_binary_json(value: &[u8], out: &mut Vec<u8>) -> Result<(), Loss> {
    let (kind, body) = value.split_first().ok_or(Loss::Nulled)?;
    push_value(*kind, body, 0, out)
}

fn push_value(kind: u8, body: &[u8], depth: usize, out: &mut Vec<u8>) -> Result<(), Loss> {
    let number = |bytes: usize| body.get(..bytes).map(little_endian).ok_or(Loss::Nulled);
    match kind {
        0x00 | 0x01 => push_container(body, Width::of(kind), true, depth, out)?,
        0x02 | 0x03 => push_container(body, Width::of(kind), false, depth, out)?,
        0x04 => out.extend_from_slice(match body.first() {
            Some(0) => b"null",
            Some(1) => b"true",
            Some(2) => b"false",
            _ => return Err(Loss::Nulled),
        }),
        0x05 => push_integer(number(2)? as i16, out),
        0x06 => push_integer(number(2)?, out),
        0x07 => push_integer(number(4)? as i32, out),
        0x08 => push_integer(number(4)?, out),
        0x09 => push_integer(number(8)? as i64, out),
        0x0a => push_integer(number(8)?, out),
        0x0b => push_f64(f64::from_bits(number(8)?), out)?,
        0x0c => push_text(sized(&mut Reader::new(body)).ok_or(Loss::Nulled)?, out),
        0x0f => push_opaque(body, out)?,
        _ => return Err(Loss::Nulled),
    }
    Ok(())
}

/// Containers of up to 64 KiB count and point in two bytes, larger ones in four.
#[derive(Clone, Copy)]
struct Width(usize);

impl Width {
    fn of(kind: u8) -> Self {
        Self(if kind & 1 == 0 { 2 } else { 4 })
    }

    fn read(self, reader: &mut Reader<'_>) -> Option<usize> {
        usize::try_from(little_endian(reader.take(self.0)?)).ok()
    }

    /// Small values stand where larger ones have a pointer.
    fn is_inline(self, kind: u8) -> bool {
        matches!(kind, 0x04..=0x06) || self.0 == 4 && matches!(kind, 0x07 | 0x08)
    }
}

fn push_container(
    body: &[u8],
    width: Width,
    is_object: bool,
    depth: usize,
    out: &mut Vec<u8>,
) -> Result<(), Loss> {
    if depth > MAX_DEPTH {
        return Err(Loss::Nulled);
    }
    let mut reader = Reader::new(body);
    let count = width.read(&mut reader).ok_or(Loss::Nulled)?;
    let _bytes = width.read(&mut reader).ok_or(Loss::Nulled)?;
    let key_bytes = if is_object {
        count.saturating_mul(width.0 + 2)
    } else {
        0
    };
    let mut keys = Reader::new(reader.take(key_bytes).ok_or(Loss::Nulled)?);
    let (open, close) = if is_object {
        (b'{', b'}')
    } else {
        (b'[', b']')
    };
    out.push(open);
    for at in 0..count {
        if at > 0 {
            out.extend_from_slice(b", ");
        }
        if is_object {
            let key = width.read(&mut keys).zip(keys.u16()).ok_or(Loss::Nulled)?;
            let key = body
                .get(key.0..)
                .and_then(|rest| rest.get(..usize::from(key.1)));
            push_text(key.ok_or(Loss::Nulled)?, out);
            out.extend_from_slice(b": ");
        }
        let kind = reader.u8().ok_or(Loss::Nulled)?;
        let entry = reader.take(width.0).ok_or(Loss::Nulled)?;
        let value = match width.is_inline(kind) {
            true => entry,
            false => body
                .get(little_endian(entry) as usize..)
                .ok_or(Loss::Nulled)?,
        };
        push_value(kind, value, depth + 1, out)?;
    }
    out.push(close);
    Ok(())
}

/// Bytes behind a length of seven bits a byte.
fn sized<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    let (mut length, mut shift) = (0_usize, 0);
    loop {
        let byte = reader.u8()?;
        length |= usize::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return reader.take(length);
        }
        shift += 7;
    }
}

/// SQL values inside JSON, as the server writes them.
fn push_opaque(body: &[u8], out: &mut Vec<u8>) -> Result<(), Loss> {
    let mut reader = Reader::new(body);
    let kind = reader.u8().ok_or(Loss::Nulled)?;
    let data = sized(&mut reader).ok_or(Loss::Nulled)?;
    match kind {
        stored::NEWDECIMAL => {
            let (precision, scale, digits) = match data {
                [precision, scale, digits @ ..] => {
                    (usize::from(*precision), usize::from(*scale), digits)
                }
                _ => return Err(Loss::Nulled),
            };
            push_decimal(digits, precision, scale, out).ok_or(Loss::Nulled)
        }
        stored::DATE | stored::DATETIME | stored::TIMESTAMP | stored::TIME => {
            let packed: [u8; 8] = data.try_into().map_err(|_| Loss::Nulled)?;
            out.push(b'"');
            push_packed(kind, i64::from_le_bytes(packed), out)?;
            out.push(b'"');
            Ok(())
        }
        _ => {
            let mut base64 = Vec::new();
            push_base64(data, &mut base64);
            out.extend_from_slice(format!("\"base64:type{kind}:").as_bytes());
            out.extend_from_slice(base64.get(1..).unwrap_or_default());
            Ok(())
        }
    }
}

/// Dates and times packed into one number: a day and time of 40 bits, and 24 bits of microseconds.
fn push_packed(kind: u8, packed: i64, out: &mut Vec<u8>) -> Result<(), Loss> {
    if packed < 0 {
        out.push(b'-');
    }
    let packed = packed.unsigned_abs();
    let (high, micros) = (packed >> 24, (packed & 0xff_ffff) as u32);
    let part = |shift: u32, bits: u32| (high >> shift) as u32 & ((1 << bits) - 1);
    if kind == stored::TIME {
        push_clock(part(12, 10), part(6, 6), part(0, 6), micros, 6, out);
        return Ok(());
    }
    let months = (high >> 22) as u32;
    push_day(months / 13, months % 13, part(17, 5), out)?;
    if kind != stored::DATE {
        out.push(b' ');
        push_clock(part(12, 5), part(6, 6), part(0, 6), micros, 6, out);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> Result<String, Loss> {
        let mut out = Vec::new();
        push_binary_json(bytes, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    /// `{"a": 1, "b": ["x", null, 2.5]}` as MySQL 8.0 stores it.
    #[test]
    fn a_small_object_of_mysql_is_read() {
        let array: &[u8] = &[
            3, 0, 23, 0, // three elements, 23 bytes
            0x0c, 13, 0, 0x04, 0, 0, 0x0b, 15,
            0, // a string at 13, null inline, a double at 15
            1, b'x', 0, 0, 0, 0, 0, 0, 4, 64,
        ];
        let mut bytes = vec![0x00];
        bytes.extend([2, 0, 43, 0]); // two members, 43 bytes
        bytes.extend([18, 0, 1, 0, 19, 0, 1, 0]); // keys at 18 and 19, one byte each
        bytes.extend([0x05, 1, 0, 0x02, 20, 0]); // 1 inline, an array at 20
        bytes.extend(*b"ab");
        bytes.extend_from_slice(array);
        assert_eq!(
            text(&bytes).as_deref(),
            Ok(r#"{"a": 1, "b": ["x", null, 2.5]}"#)
        );
    }

    #[test]
    fn scalars_and_sql_values_are_written_as_the_server_does() {
        let cases: [(&[u8], &str); 6] = [
            (&[0x04, 1], "true"),
            (
                &[0x0a, 255, 255, 255, 255, 255, 255, 255, 255],
                "18446744073709551615",
            ),
            (&[0x09, 254, 255, 255, 255, 255, 255, 255, 255], "-2"),
            (&[0x0f, 246, 4, 4, 2, 0x80, 0x05], "0.05"),
            (
                &[0x0f, 10, 8, 0, 0, 0, 0, 0, 0x7e, 0xb2, 0x19],
                r#""2024-01-31""#,
            ),
            (&[0x0f, 252, 2, 1, 2], r#""base64:type252:AQI=""#),
        ];
        for (bytes, expected) in cases {
            assert_eq!(text(bytes).as_deref(), Ok(expected), "{bytes:?}");
        }
    }

    #[test]
    fn pointers_out_of_the_value_and_endless_nesting_are_refused() {
        assert_eq!(text(&[0x02, 1, 0, 7, 0, 0x0c, 200, 0]), Err(Loss::Nulled));
        // An array whose only element is itself.
        assert_eq!(text(&[0x02, 1, 0, 7, 0, 0x02, 0, 0]), Err(Loss::Nulled));
        assert_eq!(text(&[]), Err(Loss::Nulled));
    }
}
