//! The text form, as change events bring it: the server's output in ISO style, UTC, with hex bytea and full floats.

use std::str::FromStr;

use super::binary::{write_bool, write_float4, write_float8};
use super::escape::{write_base64, write_json, write_string};
use super::kind::Kind;
use super::{Malformed, Written, array, datetime, hstore};

/// Writes a value that is not null as JSON, the same that [`write_binary`](super::write_binary) writes for it.
///
/// # Errors
/// When the text does not have the form of the type; what was written until then stays.
pub fn write_text(kind: &Kind, text: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    match kind {
        Kind::Bool => match text {
            b"t" => write_bool(true, out),
            b"f" => write_bool(false, out),
            _ => return Err(Malformed("a boolean that is neither t nor f")),
        },
        Kind::Int2 | Kind::Int4 | Kind::Int8 | Kind::Oid | Kind::Numeric => {
            write_number(text, out)?
        }
        Kind::Float4 => write_float4(parsed(text)?, out),
        Kind::Float8 => write_float8(parsed(text)?, out),
        Kind::Money => write_money(text, out)?,
        Kind::Text | Kind::Inet | Kind::Cast | Kind::Uuid => write_string(text, out)?,
        Kind::Bytea => write_base64(&unhex(text)?, out)?,
        Kind::Date => datetime::write_plain(text, out)?,
        Kind::Time => datetime::write_time_text(text, out)?,
        Kind::TimeTz => datetime::write_timetz_text(text, out)?,
        Kind::Timestamp => datetime::write_timestamp_text(text, false, out)?,
        Kind::TimestampTz => datetime::write_timestamp_text(text, true, out)?,
        Kind::Json | Kind::Jsonb => write_json(text, out)?,
        Kind::Hstore => hstore::write_text(text, out)?,
        Kind::Array(items) => array::write_text_array(items, text, out)?,
    }
    Ok(())
}

/// Digits as they are; `NaN` and infinities as strings.
fn write_number(text: &[u8], out: &mut Vec<u8>) -> Written {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    if matches!(digits, b"NaN" | b"Infinity") {
        return write_string(text, out);
    }
    let dots = digits.iter().filter(|byte| **byte == b'.').count();
    // JSON has no numbers with zeros in front.
    let is_padded = matches!(digits, [b'0', next, ..] if *next != b'.');
    let is_number = digits.first().is_some_and(u8::is_ascii_digit)
        && digits.last().is_some_and(u8::is_ascii_digit)
        && digits
            .iter()
            .all(|byte| byte.is_ascii_digit() || *byte == b'.')
        && dots <= 1
        && !is_padded;
    if !is_number {
        return Err(Malformed("a number that is none"));
    }
    out.extend_from_slice(text);
    Ok(())
}

fn parsed<T: FromStr>(text: &[u8]) -> Result<T, Malformed> {
    let text = std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse().ok());
    text.ok_or(Malformed("a floating point number that is none"))
}

/// `-$1,234.50`, as `lc_monetary = C` prints it.
fn write_money(text: &[u8], out: &mut Vec<u8>) -> Written {
    let digits: Vec<u8> = text
        .iter()
        .copied()
        .filter(|byte| !matches!(byte, b'$' | b','))
        .collect();
    write_number(&digits, out)
}

/// `\x0aff`.
fn unhex(text: &[u8]) -> Result<Vec<u8>, Malformed> {
    const FORM: Malformed = Malformed("bytes that are not hexadecimal");
    let digits = text
        .strip_prefix(b"\\x")
        .filter(|digits| digits.len() % 2 == 0)
        .ok_or(FORM)?;
    let value = |digit: u8| char::from(digit).to_digit(16).ok_or(FORM);
    digits
        .chunks_exact(2)
        .map(|pair| Ok((value(pair[0])? * 16 + value(pair[1])?) as u8))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(kind: &Kind, text: &str) -> String {
        let mut out = Vec::new();
        write_text(kind, text.as_bytes(), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn texts_of_the_server_become_json() {
        let array = |items| Kind::Array(Box::new(items));
        for (kind, text, json) in [
            (Kind::Bool, "t", "true"),
            (Kind::Numeric, "-0.10", "-0.10"),
            (Kind::Numeric, "Infinity", "\"Infinity\""),
            (Kind::Float8, "1e+22", "1e22"),
            (Kind::Float4, "-Infinity", "\"-Infinity\""),
            (Kind::Money, "-$1,234.50", "-1234.50"),
            (Kind::Bytea, "\\x00ff", "\"AP8=\""),
            (
                Kind::Timestamp,
                "2024-01-02 03:04:05.5",
                "\"2024-01-02T03:04:05.500000\"",
            ),
            (
                Kind::TimestampTz,
                "0044-03-15 00:00:00+00 BC",
                "\"0044-03-15T00:00:00.000000Z BC\"",
            ),
            (Kind::TimestampTz, "-infinity", "\"-infinity\""),
            (Kind::TimeTz, "12:00:00-05:30", "\"12:00:00.000000-05:30\""),
            (Kind::TimeTz, "12:00:00.25+02", "\"12:00:00.250000+02:00\""),
            (Kind::Json, "{\n\"a\": 1}", "{ \"a\": 1}"),
            (
                Kind::Hstore,
                r#""a"=>"1", "b\""=>NULL"#,
                r#"{"a":"1","b\"":null}"#,
            ),
            (
                array(Kind::Int4),
                "[0:1]={{1,NULL},{3,4}}",
                "[[1,null],[3,4]]",
            ),
            (
                array(Kind::Text),
                r#"{"NULL",NULL,"a\"b\\",x}"#,
                r#"["NULL",null,"a\"b\\","x"]"#,
            ),
            (array(Kind::Text), "{}", "[]"),
        ] {
            assert_eq!(written(&kind, text), json, "{kind:?} {text}");
        }
    }

    #[test]
    fn what_has_another_form_is_an_error() {
        let array = Kind::Array(Box::new(Kind::Int4));
        for (kind, text) in [
            (&Kind::Bool, "true"),
            (&Kind::Int4, "1x"),
            (&Kind::Numeric, "."),
            (&Kind::Bytea, "\\x0"),
            (&Kind::TimestampTz, "2024-01-01 00:00:00+02"),
            (&array, "{1,2"),
            (&array, "1}"),
        ] {
            assert!(
                write_text(kind, text.as_bytes(), &mut Vec::new()).is_err(),
                "{text}"
            );
        }
    }
}
