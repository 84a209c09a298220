//! Cells as JSON values.

use airbyte_protocol::types::AirbyteType;

use crate::csv::CsvOptions;
use crate::json_text::push_string;

/// What the cells of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Boolean,
    Integer,
    Number,
    Text,
}

impl Kind {
    pub(crate) fn to_type(self) -> AirbyteType {
        match self {
            Self::Boolean => AirbyteType::Boolean,
            Self::Integer => AirbyteType::Integer,
            Self::Number => AirbyteType::Number,
            Self::Text => AirbyteType::String,
        }
    }

    /// The kind whose values fit `data_type`; what CSV has no form for stays text.
    pub(crate) fn of_type(data_type: &AirbyteType) -> Self {
        match data_type {
            AirbyteType::Boolean => Self::Boolean,
            AirbyteType::Integer => Self::Integer,
            AirbyteType::Number => Self::Number,
            _ => Self::Text,
        }
    }

    /// The kind that holds the values of both.
    pub(crate) fn widen(self, other: Self) -> Self {
        match (self, other) {
            (a, b) if a == b => a,
            (Self::Integer, Self::Number) | (Self::Number, Self::Integer) => Self::Number,
            _ => Self::Text,
        }
    }
}

/// The narrowest kind of a cell's text, for inference.
///
/// Text that a number would not give back stays text: `007`, `+15551234`.
pub(crate) fn kind_of(text: &str, options: &CsvOptions) -> Kind {
    let trimmed = text.trim_ascii();
    if boolean(text, options).is_some() {
        return Kind::Boolean;
    }
    match Digits::parse(trimmed) {
        Some(digits) if digits.is_changed_by_reading() => Kind::Text,
        Some(Digits {
            fraction: None,
            exponent: None,
            ..
        }) => Kind::Integer,
        Some(_) => Kind::Number,
        None => Kind::Text,
    }
}

/// Writes a cell as a value of `kind`, or as null; false if it is neither (null is written then).
pub(crate) fn write(
    out: &mut String,
    text: &str,
    kind: Kind,
    is_quoted: bool,
    options: &CsvOptions,
) -> bool {
    let is_value = !options.nulls.is_listed(text)
        && match kind {
            Kind::Text if options.nulls.is_null(text, kind, is_quoted) => false,
            Kind::Text => {
                push_string(out, text);
                true
            }
            Kind::Integer => write_integer(out, text),
            Kind::Number => write_number(out, text),
            Kind::Boolean => write_boolean(out, text, options),
        };
    if is_value {
        return true;
    }
    out.push_str("null");
    options.nulls.is_listed(text) || options.nulls.is_null(text, kind, is_quoted)
}

fn write_boolean(out: &mut String, text: &str, options: &CsvOptions) -> bool {
    let value = boolean(text, options);
    out.push_str(match value {
        Some(true) => "true",
        Some(false) => "false",
        None => "",
    });
    value.is_some()
}

fn boolean(text: &str, options: &CsvOptions) -> Option<bool> {
    match text.trim_ascii() {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        other if options.true_words.iter().any(|word| word == other) => Some(true),
        other if options.false_words.iter().any(|word| word == other) => Some(false),
        _ => None,
    }
}

/// Writes a whole number of any size. `007` and `7.00` are 7 here: the column's type says so.
fn write_integer(out: &mut String, text: &str) -> bool {
    if is_plain_integer(text) {
        out.push_str(text);
        return true;
    }
    let Some(digits) = Digits::parse(text.trim_ascii()) else {
        return false;
    };
    let is_whole = digits
        .fraction
        .is_none_or(|fraction| fraction.bytes().all(|b| b == b'0'));
    if !is_whole || digits.exponent.is_some() {
        return false;
    }
    digits.push_whole(out);
    true
}

/// Writes a decimal number with all its digits.
fn write_number(out: &mut String, text: &str) -> bool {
    if is_plain_integer(text) {
        out.push_str(text);
        return true;
    }
    let Some(digits) = Digits::parse(text.trim_ascii()) else {
        return false;
    };
    digits.push_whole(out);
    if let Some(fraction) = digits.fraction {
        out.push('.');
        out.push_str(if fraction.is_empty() { "0" } else { fraction });
    }
    out.push_str(digits.exponent.unwrap_or_default());
    true
}

/// Whether `text` is a JSON integer as it stands: the common case.
fn is_plain_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text).as_bytes();
    match digits {
        [b'0'] => true,
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

/// A number in its parts. More forms are taken than JSON allows: `.5`, `5.`, `+5`, `05`.
struct Digits<'a> {
    sign: Option<char>,
    whole: &'a str,
    /// After the point.
    fraction: Option<&'a str>,
    /// With its `e`.
    exponent: Option<&'a str>,
}

impl<'a> Digits<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let sign = text.chars().next().filter(|c| matches!(c, '+' | '-'));
        let unsigned = if sign.is_some() { text.get(1..)? } else { text };
        let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
            Some(at) => (unsigned.get(..at)?, Some(unsigned.get(at..)?)),
            None => (unsigned, None),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (mantissa, None),
        };
        let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let fraction_digits = fraction.unwrap_or_default();
        let is_number = is_digits(whole)
            && is_digits(fraction_digits)
            && whole.len() + fraction_digits.len() > 0
            && exponent.is_none_or(is_exponent);
        is_number.then_some(Self {
            sign,
            whole,
            fraction,
            exponent,
        })
    }

    /// Whether the number says less than the text: a sign or zeros that only an identifier has.
    fn is_changed_by_reading(&self) -> bool {
        self.sign == Some('+') || (self.whole.len() > 1 && self.whole.starts_with('0'))
    }

    /// Writes sign and whole part as JSON wants them.
    fn push_whole(&self, out: &mut String) {
        if self.sign == Some('-') {
            out.push('-');
        }
        let whole = self.whole.trim_start_matches('0');
        out.push_str(if whole.is_empty() { "0" } else { whole });
    }
}

/// Whether `text`, which starts with its `e`, is an exponent.
fn is_exponent(text: &str) -> bool {
    let digits = text.get(1..).unwrap_or_default();
    let digits = digits.strip_prefix(['+', '-']).unwrap_or(digits);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::FileFormat;
    use crate::reader_options::ReaderOptions;

    fn options(text: &str) -> CsvOptions {
        ReaderOptions::parse(Some(text), FileFormat::Csv)
            .unwrap()
            .csv
    }

    fn written(text: &str, kind: Kind) -> (String, bool) {
        let mut out = String::new();
        let fits = write(&mut out, text, kind, false, &options("{}"));
        (out, fits)
    }

    #[test]
    fn kinds_are_the_narrowest_that_lose_nothing() {
        let options = options(r#"{"true_values": ["oui"]}"#);
        for (text, kind) in [
            ("1", Kind::Integer),
            ("-0", Kind::Integer),
            (" 12 ", Kind::Integer),
            ("123456789012345678901234567890", Kind::Integer),
            ("1.50", Kind::Number),
            (".5", Kind::Number),
            ("5.", Kind::Number),
            ("1E-400", Kind::Number),
            ("True", Kind::Boolean),
            ("oui", Kind::Boolean),
            ("yes", Kind::Text),
            ("007", Kind::Text),
            ("+15551234", Kind::Text),
            ("1_000", Kind::Text),
            ("1,5", Kind::Text),
            ("0x1f", Kind::Text),
            ("inf", Kind::Text),
            ("1e", Kind::Text),
            (".", Kind::Text),
            ("-", Kind::Text),
            ("٣", Kind::Text),
        ] {
            assert_eq!(kind_of(text, &options), kind, "{text:?}");
        }
    }

    #[test]
    fn numbers_keep_their_digits_and_become_json() {
        for (text, kind, json) in [
            (
                "123456789012345678901234567890",
                Kind::Integer,
                "123456789012345678901234567890",
            ),
            ("-007", Kind::Integer, "-7"),
            ("+7.00", Kind::Integer, "7"),
            ("000", Kind::Integer, "0"),
            ("1.10", Kind::Number, "1.10"),
            ("-.5", Kind::Number, "-0.5"),
            ("5.", Kind::Number, "5.0"),
            (" 1E+5", Kind::Number, "1E+5"),
            ("5.e3", Kind::Number, "5.0e3"),
            (
                "0.1000000000000000055511151231257827",
                Kind::Number,
                "0.1000000000000000055511151231257827",
            ),
            ("FALSE", Kind::Boolean, "false"),
            ("a\"b", Kind::Text, r#""a\"b""#),
        ] {
            assert_eq!(written(text, kind), (json.to_owned(), true), "{text:?}");
            assert!(serde_json::from_str::<&serde_json::value::RawValue>(json).is_ok());
        }
    }

    #[test]
    fn nulls_fit_and_other_values_do_not() {
        let null = |fits| ("null".to_owned(), fits);
        assert_eq!(written("", Kind::Integer), null(true));
        assert_eq!(written("NaN", Kind::Number), null(true));
        assert_eq!(written("", Kind::Text), null(true));
        assert_eq!(written("1.5", Kind::Integer), null(false));
        assert_eq!(written("1e3", Kind::Integer), null(false));
        assert_eq!(written("abc", Kind::Number), null(false));
        assert_eq!(written("2", Kind::Boolean), null(false));
    }

    #[test]
    fn listed_values_are_null_in_every_kind() {
        let options = options(r#"{"na_values": ["-999", "?"]}"#);
        for kind in [Kind::Integer, Kind::Number, Kind::Text, Kind::Boolean] {
            for text in ["-999", "?"] {
                let mut out = String::new();
                assert!(write(&mut out, text, kind, true, &options));
                assert_eq!(out, "null");
            }
        }
    }
}
