//! Values of a selection: the server's text form to JSON.

use airbyte_protocol::codec::single_line;
use serde::de::IgnoredAny;

use super::text::{push_base64, push_text};
use crate::column::Kind;

/// What was written is not all of the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// The value has no form in JSON of its column's type; `null` stands for it.
    Nulled,
    /// A boolean that is neither 0 nor 1; `true` stands for it, as MySQL sees it.
    Truncated,
}

/// Appends the JSON of a value that the server wrote as text.
///
/// # Errors
/// When a part of the value was lost, as with a date whose day is 0.
pub fn push_selected(kind: &Kind, value: &[u8], out: &mut Vec<u8>) -> Result<(), Loss> {
    let written = match kind {
        Kind::Integer { .. } | Kind::Year | Kind::Decimal | Kind::Double => push_number(value, out),
        Kind::Text { .. }
        | Kind::Enum(_)
        | Kind::Set(_)
        | Kind::Uuid
        | Kind::Inet4
        | Kind::Inet6 => {
            push_text(value, out);
            Ok(())
        }
        Kind::Date => push_date(value, b"", out),
        Kind::DateTime => push_date(value, b"", out),
        Kind::Timestamp => push_date(value, b"Z", out),
        Kind::Time => push_time(value, out),
        Kind::Boolean => push_boolean(value, out),
        Kind::Bit { width: 1 } => push_boolean(value, out),
        Kind::Float => push_float(value, out),
        Kind::Json => {
            push_json(value, out);
            Ok(())
        }
        Kind::Bit { .. } | Kind::Binary { .. } | Kind::Geometry => {
            push_base64(value, out);
            Ok(())
        }
    };
    if written == Err(Loss::Nulled) {
        out.extend_from_slice(b"null");
    }
    written
}

/// The server's numbers are JSON but for the zeros that ZEROFILL puts in front.
#[inline]
fn push_number(value: &[u8], out: &mut Vec<u8>) -> Result<(), Loss> {
    let (sign, digits) = match value {
        [b'-', digits @ ..] => (&b"-"[..], digits),
        digits => (&b""[..], digits),
    };
    let digits = match digits {
        [b'0', b'0'..=b'9', ..] => without_zeros(digits),
        digits => digits,
    };
    if !digits.first().is_some_and(u8::is_ascii_digit) || !digits.is_ascii() {
        return Err(Loss::Nulled);
    }
    out.extend_from_slice(sign);
    out.extend_from_slice(digits);
    Ok(())
}

#[cold]
fn without_zeros(mut digits: &[u8]) -> &[u8] {
    while let [b'0', rest @ ..] = digits
        && rest.first().is_some_and(u8::is_ascii_digit)
    {
        digits = rest;
    }
    digits
}

/// A 32-bit float, selected as a 64-bit one so that the server does not round it.
fn push_float(value: &[u8], out: &mut Vec<u8>) -> Result<(), Loss> {
    let text = std::str::from_utf8(value).map_err(|_| Loss::Nulled)?;
    let number: f64 = text.parse().map_err(|_| Loss::Nulled)?;
    // Exact: every 32-bit float is a 64-bit one too.
    super::push_f32(number as f32, out)
}

pub(super) fn push_boolean(value: &[u8], out: &mut Vec<u8>) -> Result<(), Loss> {
    let (text, result): (&[u8], _) = match value {
        b"0" | [0] => (b"false", Ok(())),
        b"1" | [1] => (b"true", Ok(())),
        _ => (b"true", Err(Loss::Truncated)),
    };
    out.extend_from_slice(text);
    result
}

/// `2024-01-31` or `2024-01-31 10:20:30.123456`. Month or day 0 is MySQL's own.
#[inline]
fn push_date(value: &[u8], zone: &[u8], out: &mut Vec<u8>) -> Result<(), Loss> {
    let [_, _, _, _, b'-', month @ ..] = value else {
        return Err(Loss::Nulled);
    };
    if let [b'0', b'0', ..] | [_, _, _, b'0', b'0', ..] = month {
        return Err(Loss::Nulled);
    }
    if !value.is_ascii() {
        return Err(Loss::Nulled);
    }
    out.push(b'"');
    match value.split_at_checked(11) {
        Some((date, time)) => {
            out.extend_from_slice(date.get(..10).unwrap_or_default());
            out.push(b'T');
            out.extend_from_slice(time);
            out.extend_from_slice(zone);
        }
        None => out.extend_from_slice(value),
    }
    out.push(b'"');
    Ok(())
}

/// `10:20:30.5`, `-838:59:59`.
fn push_time(value: &[u8], out: &mut Vec<u8>) -> Result<(), Loss> {
    if !value.is_ascii() {
        return Err(Loss::Nulled);
    }
    out.push(b'"');
    out.extend_from_slice(value);
    out.push(b'"');
    Ok(())
}

/// JSON as it stands, on one line. What only the server takes for JSON (MariaDB is generous) becomes a string.
pub(super) fn push_json(value: &[u8], out: &mut Vec<u8>) {
    let text = std::str::from_utf8(value).ok();
    match text.filter(|text| serde_json::from_str::<IgnoredAny>(text).is_ok()) {
        Some(json) => out.extend_from_slice(single_line(json).as_bytes()),
        None => push_text(value, out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(kind: &Kind, value: &str) -> String {
        let mut out = Vec::new();
        // Tests look at what was written.
        let _ = push_selected(kind, value.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_keep_every_digit_and_lose_only_fill_zeros() {
        let cases = [
            ("18446744073709551615", "18446744073709551615"),
            ("0000000042", "42"),
            ("0000", "0"),
            ("-0.50", "-0.50"),
            ("0000001.50", "1.50"),
            ("000.00", "0.00"),
            (
                "99999999999999999999999999999999999.999999999999999999999999999999",
                "",
            ),
        ];
        for (text, expected) in cases {
            let expected = if expected.is_empty() { text } else { expected };
            assert_eq!(json(&Kind::Decimal, text), expected);
        }
    }

    #[test]
    fn dates_without_a_day_are_nulled() {
        for bad in ["0000-00-00", "2024-00-10", "2024-10-00"] {
            assert_eq!(json(&Kind::Date, bad), "null");
        }
        assert_eq!(json(&Kind::DateTime, "0000-00-00 00:00:00"), "null");
        assert_eq!(
            json(&Kind::DateTime, "2024-10-10 01:02:03.5"),
            r#""2024-10-10T01:02:03.5""#
        );
        assert_eq!(
            json(&Kind::Timestamp, "2024-10-10 01:02:03"),
            r#""2024-10-10T01:02:03Z""#
        );
        assert_eq!(json(&Kind::Time, "-838:59:59"), r#""-838:59:59""#);
    }

    #[test]
    fn floats_are_the_shortest_text_of_the_same_float() {
        assert_eq!(json(&Kind::Float, "0.10000000149011612"), "0.1");
        assert_eq!(json(&Kind::Float, "16777216"), "16777216.0");
        assert_eq!(json(&Kind::Double, "1e20"), "1e20");
    }

    #[test]
    fn a_boolean_that_is_neither_is_true_and_noted() {
        assert_eq!(json(&Kind::Boolean, "1"), "true");
        assert_eq!(
            push_selected(&Kind::Boolean, b"2", &mut Vec::new()),
            Err(Loss::Truncated)
        );
        assert_eq!(json(&Kind::Boolean, "2"), "true");
        assert_eq!(json(&Kind::Bit { width: 1 }, "\u{1}"), "true");
    }

    #[test]
    fn json_is_passed_on_and_what_is_none_is_a_string() {
        assert_eq!(json(&Kind::Json, r#"{"a": 1.10}"#), r#"{"a": 1.10}"#);
        assert_eq!(json(&Kind::Json, "{a: 1}"), r#""{a: 1}""#);
    }
}
