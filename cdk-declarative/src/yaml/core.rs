//! Scalars of YAML 1.2's core schema.

use saphyr_parser::{ScalarStyle, Tag};
use serde_json::Number;

use super::{Kind, Place, Problem};

/// What a scalar is in the core schema.
pub(super) fn scalar(
    text: &str,
    style: ScalarStyle,
    tag: Option<&Tag>,
    place: Place,
) -> Result<Kind, Problem> {
    let tag = tag
        .filter(|tag| tag.is_yaml_core_schema())
        .map(|tag| tag.suffix.as_str());
    if tag == Some("str") || (style != ScalarStyle::Plain && tag.is_none()) {
        return Ok(Kind::Text(text.to_owned()));
    }
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Kind::Null,
        "true" | "True" | "TRUE" => Kind::Bool(true),
        "false" | "False" | "FALSE" => Kind::Bool(false),
        text if is_integer(text) => match integer(text) {
            Some(number) => Kind::Number(number),
            None => {
                let text =
                    format!("{text} does not fit into 64 bits. Quote it to keep its digits.");
                return Err(Problem::new(place, text));
            }
        },
        text if is_decimal(text) => match text.parse().ok().and_then(Number::from_f64) {
            Some(number) => Kind::Number(number),
            None => {
                return Err(Problem::new(
                    place,
                    format!("{text} is too large for a number."),
                ));
            }
        },
        text => Kind::Text(text.to_owned()),
    })
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if let Some(digits) = text.strip_prefix("0x") {
        return !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return !digits.is_empty() && digits.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    }
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn integer(text: &str) -> Option<Number> {
    let text = text.strip_prefix('+').unwrap_or(text);
    let unsigned = match (text.strip_prefix("0x"), text.strip_prefix("0o")) {
        (Some(digits), _) => u64::from_str_radix(digits, 16),
        (_, Some(digits)) => u64::from_str_radix(digits, 8),
        _ => text.parse(),
    };
    let signed = || text.parse::<i64>().ok().map(Number::from);
    unsigned.ok().map(Number::from).or_else(signed)
}

/// `[-+]?(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?`
fn is_decimal(text: &str) -> bool {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_exponent = |text: &str| {
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        !digits.is_empty() && are_digits(digits)
    };
    !(whole.is_empty() && fraction.is_empty())
        && are_digits(whole)
        && are_digits(fraction)
        && exponent.is_none_or(is_exponent)
}
