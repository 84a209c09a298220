//! Scalars and merged mappings of YAML 1.1, as PyYAML reads them.

use saphyr_parser::{ScalarStyle, Tag};
use serde_json::Number;

use super::{Entry, Kind, Node, Problem};

/// What a scalar is.
pub(super) fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Kind {
    let tag = tag.filter(|tag| tag.is_yaml_core_schema());
    match tag.map(|tag| tag.suffix.as_str()) {
        Some("str" | "binary" | "timestamp") => Kind::Text(text.to_owned()),
        None if style != ScalarStyle::Plain => Kind::Text(text.to_owned()),
        Some("float") => match int(text)
            .or_else(|| float(text))
            .and_then(|number| number.as_f64())
        {
            Some(number) => Number::from_f64(number).map_or(Kind::Null, Kind::Number),
            None => Kind::Text(text.to_owned()),
        },
        _ => plain(text),
    }
}

fn plain(text: &str) -> Kind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Kind::Null,
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Kind::Bool(true);
        }
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Kind::Bool(false);
        }
        _ => {}
    }
    let may_be_number =
        text.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first));
    let number = may_be_number
        .then(|| int(text).or_else(|| float(text)))
        .flatten();
    number.map_or_else(|| Kind::Text(text.to_owned()), Kind::Number)
}

fn is_digits(text: &str, allowed: impl Fn(u8) -> bool) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte == b'_' || allowed(byte))
}

/// Binary, octal with a leading 0, decimal, hexadecimal, or base 60 with colons; `_` between digits.
fn int(text: &str) -> Option<Number> {
    let (is_negative, unsigned) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let value = unsigned_int(unsigned)?;
    let value = if is_negative { -value } else { value };
    match i64::try_from(value) {
        Ok(value) => Some(value.into()),
        Err(_) => u64::try_from(value).ok().map(Number::from),
    }
}

fn unsigned_int(text: &str) -> Option<i128> {
    let radix = |digits: &str, base: u32| {
        let known = |byte: u8| char::from(byte).is_digit(base);
        let digits = is_digits(digits, known).then(|| digits.replace('_', ""))?;
        i128::from_str_radix(&digits, base).ok()
    };
    if text == "0" {
        return Some(0);
    }
    if let Some(digits) = text.strip_prefix("0b") {
        return radix(digits, 2);
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return radix(digits, 16);
    }
    if let Some(digits) = text.strip_prefix('0') {
        return radix(digits, 8);
    }
    if !text.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let mut parts = text.split(':');
    let mut value = radix(parts.next()?, 10)?;
    for part in parts {
        let digit = (part.len() <= 2).then(|| radix(part, 10)).flatten()?;
        value = value
            .checked_mul(60)?
            .checked_add((digit < 60).then_some(digit)?)?;
    }
    Some(value)
}

/// A number needs a point, and its exponent a sign: `1e3` is a text.
fn float(text: &str) -> Option<Number> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let is_exponent = exponent.is_none_or(|exponent| {
        let digits = exponent.strip_prefix(['-', '+']);
        digits.is_some_and(|digits| {
            !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
        })
    });
    let (whole, fraction) = mantissa.split_once('.')?;
    let known = |byte: u8| byte.is_ascii_digit();
    if whole.contains(':') {
        return base_60(text, whole, fraction);
    }
    let is_mantissa = match whole.as_bytes().first() {
        None => {
            unsigned.len() == text.len()
                && fraction.starts_with(|first: char| first.is_ascii_digit())
        }
        Some(first) => first.is_ascii_digit() && is_digits(whole, known),
    };
    if !is_mantissa || !is_exponent || !(fraction.is_empty() || is_digits(fraction, known)) {
        return None;
    }
    text.replace('_', "")
        .parse()
        .ok()
        .and_then(Number::from_f64)
}

fn base_60(text: &str, whole: &str, fraction: &str) -> Option<Number> {
    if !(fraction.is_empty() || is_digits(fraction, |byte| byte.is_ascii_digit())) {
        return None;
    }
    let whole = unsigned_int(whole)? as f64;
    let fraction: f64 = format!("0.{}", fraction.replace('_', "")).parse().ok()?;
    let value = whole + fraction;
    Number::from_f64(if text.starts_with('-') { -value } else { value })
}

/// Adds what `<<` points to: a mapping, or a list of them whose first counts most.
pub(super) fn add_merged(merged: &mut Vec<Entry>, value: Node) -> Result<(), Problem> {
    match value.kind {
        Kind::Map(entries) => {
            for entry in entries {
                if !merged.iter().any(|known| known.key == entry.key) {
                    merged.push(entry);
                }
            }
            Ok(())
        }
        Kind::List(items) => items
            .into_iter()
            .try_for_each(|item| add_merged(merged, item)),
        _ => Err(value.expected("<<", "a mapping or a list of mappings to merge")),
    }
}

/// Own entries win over merged ones, which come first.
pub(super) fn merge(mut merged: Vec<Entry>, own: Vec<Entry>) -> Vec<Entry> {
    if merged.is_empty() {
        return own;
    }
    for entry in own {
        match merged.iter_mut().find(|known| known.key == entry.key) {
            Some(known) => *known = entry,
            None => merged.push(entry),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use crate::yaml::load_11;
    use serde_json::{Value, json};

    fn value_of(text: &str) -> Value {
        load_11(text).unwrap().into_json()
    }

    #[test]
    fn scalars_are_what_pyyaml_reads() {
        for (text, value) in [
            ("yes", json!(true)),
            ("Off", json!(false)),
            ("y", json!("y")),
            ("~", json!(null)),
            ("014", json!(12)),
            ("0o14", json!("0o14")),
            ("08", json!("08")),
            ("1_000", json!(1000)),
            ("0x1F", json!(31)),
            ("0b101", json!(5)),
            ("12:30:45", json!(45045)),
            ("12:99", json!("12:99")),
            ("1e3", json!("1e3")),
            ("1.0e3", json!("1.0e3")),
            ("1.0e+3", json!(1000.0)),
            ("1.", json!(1.0)),
            (".5", json!(0.5)),
            ("-.5", json!("-.5")),
            ("+1", json!(1)),
            ("1.5.2", json!("1.5.2")),
            ("2024-01-01", json!("2024-01-01")),
            ("'12'", json!("12")),
            ("!!str 12", json!("12")),
            ("!!float 1", json!(1.0)),
            ("123456789012345678901", json!("123456789012345678901")),
        ] {
            assert_eq!(value_of(text), value, "{text}");
        }
    }

    #[test]
    fn the_last_of_equal_keys_counts_and_merged_keys_count_less() {
        assert_eq!(value_of("a: 1\nb: 2\na: 3"), json!({"a": 3, "b": 2}));
        let text = "x: &x {a: 1, b: 2}\ny: &y {a: 0, c: 3}\nz:\n  b: 9\n  <<: [*x, *y]\n";
        assert_eq!(value_of(text)["z"], json!({"a": 1, "b": 9, "c": 3}));
        assert_eq!(value_of("on: 1"), json!({"true": 1}));
        assert!(load_11("<<: 5").is_err());
    }
}
