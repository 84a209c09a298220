//! One JSON value as a cell of a typed column.

use std::borrow::Cow;

use airbyte_protocol::ChangeReason;
use airbyte_protocol::codec::{StringError, decode_str};
use airbyte_protocol::types::AirbyteType;

/// A value of a typed column, borrowed from the row's text where possible.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell<'a> {
    /// No value: null, absent, or one that does not fit.
    Null,
    /// Of a `Boolean` column.
    Boolean(bool),
    /// Of an `Integer` column, within 64 bits.
    Integer(i64),
    /// Of an `Integer` column, beyond 64 bits: its exact decimal digits, perhaps after a `-`.
    BigInteger(Cow<'a, str>),
    /// Of a `Number` column: its exact JSON text.
    Number(&'a str),
    /// Of a `Number` column whose record gave it as text, since JSON has no number for it.
    NonFinite(NonFinite),
    /// Of a text, binary (base64) or temporal column; temporal text as it came. In a `String` column
    /// also the JSON text of a value that is no string.
    Text(Cow<'a, str>),
    /// Of an `Array`, `Object`, `Union` or `Unknown` column: its JSON text. Inside, only brackets and
    /// quotes were checked.
    Json(&'a str),
}

/// A value of a floating point type that is no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NonFinite {
    /// `NaN`.
    NaN,
    /// `Infinity`.
    Infinity,
    /// `-Infinity`.
    NegativeInfinity,
}

impl NonFinite {
    /// Its usual text, which PostgreSQL and Python understand.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NaN => "NaN",
            Self::Infinity => "Infinity",
            Self::NegativeInfinity => "-Infinity",
        }
    }

    /// What `value` is if it is no number.
    #[cfg(feature = "arrow")]
    pub(crate) fn of(value: f64) -> Option<Self> {
        match value {
            _ if value.is_nan() => Some(Self::NaN),
            f64::INFINITY => Some(Self::Infinity),
            f64::NEG_INFINITY => Some(Self::NegativeInfinity),
            _ => None,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let all = [Self::NaN, Self::Infinity, Self::NegativeInfinity];
        all.into_iter().find(|value| value.as_str() == text)
    }
}

/// Why a value is no cell of its column.
#[derive(Debug, PartialEq)]
pub(crate) enum Misfit {
    /// It becomes null.
    Nulled(ChangeReason),
    /// The row's text is no JSON.
    Broken(StringError),
}

impl From<StringError> for Misfit {
    fn from(error: StringError) -> Self {
        match error {
            // Valid JSON that no UTF-8 text can hold.
            StringError::UnpairedSurrogate(_) => {
                Self::Nulled(ChangeReason::DestinationSerializationError)
            }
            error => Self::Broken(error),
        }
    }
}

/// Reads JSON values of one type where there is no row of columns around them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CellReader(Kind);

impl CellReader {
    /// A reader for values of this type.
    pub fn of(data_type: &AirbyteType) -> Self {
        Self(Kind::of(data_type))
    }

    /// The cell of the JSON value `text`, which is complete and without white space around it. A value
    /// that does not fit the type is [`Cell::Null`], with the reason.
    ///
    /// An error when `text` is no JSON.
    pub fn read(self, text: &str) -> Result<(Cell<'_>, Option<ChangeReason>), StringError> {
        match self.0.cell(text) {
            Ok(cell) => Ok((cell, None)),
            Err(Misfit::Nulled(reason)) => Ok((Cell::Null, Some(reason))),
            Err(Misfit::Broken(error)) => Err(error),
        }
    }
}

/// How the JSON values of a column are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Boolean,
    Integer,
    Number,
    /// Takes every value, as text.
    String,
    /// Takes JSON strings only.
    Text,
    Array,
    Object,
    Any,
}

impl Kind {
    pub(crate) fn of(data_type: &AirbyteType) -> Self {
        match data_type {
            AirbyteType::Boolean => Self::Boolean,
            AirbyteType::Integer => Self::Integer,
            AirbyteType::Number => Self::Number,
            AirbyteType::String => Self::String,
            AirbyteType::Date
            | AirbyteType::TimestampWithTimezone
            | AirbyteType::TimestampWithoutTimezone
            | AirbyteType::TimeWithTimezone
            | AirbyteType::TimeWithoutTimezone
            | AirbyteType::Binary => Self::Text,
            AirbyteType::Array(_) => Self::Array,
            AirbyteType::Object(_) => Self::Object,
            AirbyteType::Union(_) | AirbyteType::Unknown => Self::Any,
        }
    }

    /// The cell of the JSON value `text`, which is complete and without white space around it.
    pub(crate) fn cell(self, text: &str) -> Result<Cell<'_>, Misfit> {
        if text == "null" {
            return Ok(Cell::Null);
        }
        let first = text.as_bytes().first();
        let misfit = Misfit::Nulled(ChangeReason::DestinationTypecastError);
        match (self, first) {
            (Self::Boolean, Some(b't')) => Ok(Cell::Boolean(true)),
            (Self::Boolean, Some(b'f')) => Ok(Cell::Boolean(false)),
            (Self::Integer, Some(b'"')) => {
                // `big_integer` travels as a string.
                let inner = unquoted(text)
                    .filter(|inner| is_number(inner))
                    .ok_or(misfit)?;
                integer(inner).ok_or(Misfit::Nulled(ChangeReason::DestinationTypecastError))
            }
            (Self::Integer, Some(b'-' | b'0'..=b'9')) => integer(text).ok_or(misfit),
            (Self::Number, Some(b'"')) => {
                let inner = unquoted(text).ok_or(misfit)?;
                number_of_text(inner).ok_or(Misfit::Nulled(ChangeReason::DestinationTypecastError))
            }
            (Self::Number, Some(b'-' | b'0'..=b'9')) => Ok(Cell::Number(text)),
            (Self::String | Self::Text, Some(b'"')) => Ok(Cell::Text(decode_str(text)?)),
            (Self::String, _) => Ok(Cell::Text(Cow::Borrowed(text))),
            (Self::Array, Some(b'[')) | (Self::Object, Some(b'{')) | (Self::Any, _) => {
                Ok(Cell::Json(text))
            }
            _ => Err(misfit),
        }
    }
}

/// The cell of a whole number, given as a JSON number.
#[cfg(feature = "arrow")]
pub(crate) fn whole_number(text: &str) -> Option<Cell<'_>> {
    integer(text)
}

fn unquoted(text: &str) -> Option<&str> {
    text.strip_prefix('"')?.strip_suffix('"')
}

fn number_of_text(inner: &str) -> Option<Cell<'_>> {
    if is_number(inner) {
        return Some(Cell::Number(inner));
    }
    NonFinite::parse(inner).map(Cell::NonFinite)
}

/// Whether `text` is a JSON number (RFC 8259, section 6).
fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let exponent = exponent.map(|text| text.strip_prefix(['+', '-']).unwrap_or(text));
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(digits)
}

/// Whole numbers written with an exponent are spelled out up to this many digits.
const MAX_DIGITS: usize = 1000;

/// The whole number that the JSON number `text` stands for: `5`, `5.0` and `50e-1` are the same.
fn integer(text: &str) -> Option<Cell<'_>> {
    if let Ok(small) = text.parse() {
        return Some(Cell::Integer(small));
    }
    if !text.contains(['.', 'e', 'E']) {
        return Some(Cell::BigInteger(Cow::Borrowed(text)));
    }
    let digits = whole_digits(text)?;
    Some(match digits.parse() {
        Ok(small) => Cell::Integer(small),
        Err(_) => Cell::BigInteger(Cow::Owned(digits)),
    })
}

/// The digits of a JSON number with fraction or exponent, if it is whole.
fn whole_digits(text: &str) -> Option<String> {
    let (sign, unsigned) = text
        .strip_prefix('-')
        .map_or(("", text), |rest| ("-", rest));
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{fraction}");
    let significant = all.trim_start_matches('0').trim_end_matches('0');
    if significant.is_empty() {
        return Some("0".to_owned());
    }
    // Digits of the number, counted from its first significant one to the decimal point.
    let leading_zeros = all.len() - all.trim_start_matches('0').len();
    let exponent: i64 = exponent.parse().ok()?;
    let point = i64::try_from(whole.len()).ok()?.checked_add(exponent)?;
    let length = point.checked_sub(i64::try_from(leading_zeros).ok()?)?;
    let length = usize::try_from(length).ok()?;
    if length < significant.len() || length > MAX_DIGITS {
        return None;
    }
    Some(format!(
        "{sign}{significant}{}",
        "0".repeat(length - significant.len())
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TYPECAST: Misfit = Misfit::Nulled(ChangeReason::DestinationTypecastError);

    fn text(text: &str) -> Cell<'_> {
        Cell::Text(Cow::Borrowed(text))
    }

    #[test]
    fn values_that_fit_keep_their_exact_value() {
        let big = "12345678901234567890123456789012345678.000000000000000000001";
        let cases = [
            (Kind::Boolean, "true", Cell::Boolean(true)),
            (
                Kind::Integer,
                "-9223372036854775808",
                Cell::Integer(i64::MIN),
            ),
            (
                Kind::Integer,
                "9223372036854775808",
                Cell::BigInteger("9223372036854775808".into()),
            ),
            (
                Kind::Integer,
                "\"9223372036854775808\"",
                Cell::BigInteger("9223372036854775808".into()),
            ),
            (Kind::Integer, "5.0", Cell::Integer(5)),
            (Kind::Integer, "50e-1", Cell::Integer(5)),
            (Kind::Integer, "0.000", Cell::Integer(0)),
            (Kind::Integer, "-0.12e2", Cell::Integer(-12)),
            (
                Kind::Integer,
                "1e20",
                Cell::BigInteger("100000000000000000000".into()),
            ),
            (Kind::Number, big, Cell::Number(big)),
            (Kind::Number, "\"1.10\"", Cell::Number("1.10")),
            (
                Kind::Number,
                "\"-Infinity\"",
                Cell::NonFinite(NonFinite::NegativeInfinity),
            ),
            (Kind::String, "\"a\\u0000b\"", text("a\0b")),
            (Kind::String, "{\"a\": 1}", text("{\"a\": 1}")),
            (Kind::String, "1.10", text("1.10")),
            (Kind::Text, "\"2024-01-01 BC\"", text("2024-01-01 BC")),
            (Kind::Array, "[1, 2]", Cell::Json("[1, 2]")),
            (Kind::Object, "{}", Cell::Json("{}")),
            (Kind::Any, "\"x\"", Cell::Json("\"x\"")),
            (Kind::Object, "null", Cell::Null),
        ];
        for (kind, json, expected) in cases {
            assert_eq!(kind.cell(json), Ok(expected), "{kind:?} {json}");
        }
    }

    #[test]
    fn values_that_do_not_fit_are_nulled() {
        let cases = [
            (Kind::Boolean, "1"),
            (Kind::Boolean, "\"true\""),
            (Kind::Integer, "1.5"),
            (Kind::Integer, "1e-3"),
            (Kind::Integer, "1e1001"),
            (Kind::Integer, "1e99999999999999999999"),
            (Kind::Integer, "\"01\""),
            (Kind::Integer, "\"\""),
            (Kind::Integer, "true"),
            (Kind::Number, "\"1.\""),
            (Kind::Number, "[1]"),
            (Kind::Text, "5"),
            (Kind::Array, "{}"),
            (Kind::Object, "\"{}\""),
        ];
        for (kind, json) in cases {
            assert_eq!(kind.cell(json), Err(TYPECAST), "{kind:?} {json}");
        }
    }

    #[test]
    fn a_reader_of_single_values_gives_the_reason_of_a_null() {
        let reader = CellReader::of(&AirbyteType::Integer);
        assert_eq!(reader.read("5"), Ok((Cell::Integer(5), None)));
        assert_eq!(reader.read("null"), Ok((Cell::Null, None)));
        let reason = ChangeReason::DestinationTypecastError;
        assert_eq!(reader.read("[]"), Ok((Cell::Null, Some(reason))));
        assert!(CellReader::of(&AirbyteType::Date).read("\"\\x\"").is_err());
    }

    #[test]
    fn an_unpaired_surrogate_is_nulled_and_a_broken_escape_is_an_error() {
        let reason = ChangeReason::DestinationSerializationError;
        assert_eq!(
            Kind::String.cell("\"\\ud800\""),
            Err(Misfit::Nulled(reason))
        );
        let broken = Kind::String.cell("\"\\x\"");
        assert!(
            matches!(broken, Err(Misfit::Broken(StringError::BadEscape(1)))),
            "{broken:?}"
        );
    }

    proptest! {
        #[test]
        fn whole_numbers_read_the_same_in_every_spelling(n in any::<i64>(), zeros in 0usize..5) {
            let zeros = "0".repeat(zeros);
            for text in [format!("{n}.{zeros}0"), format!("{n}{zeros}e-{}", zeros.len()), format!("{n}E+0")] {
                prop_assert_eq!(integer(&text), Some(Cell::Integer(n)));
            }
        }
    }
}
