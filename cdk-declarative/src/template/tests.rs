//! What stands behind `is` in templates.

use super::eval::Given;
use super::ops;
use super::value::{Eval, Val, other_fault};

/// A test, by its name in templates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Test(&'static str);

const NAMES: [&str; 38] = [
    "!=",
    "<",
    "<=",
    "==",
    ">",
    ">=",
    "boolean",
    "callable",
    "defined",
    "divisibleby",
    "eq",
    "equalto",
    "even",
    "false",
    "filter",
    "float",
    "ge",
    "greaterthan",
    "gt",
    "in",
    "integer",
    "iterable",
    "le",
    "lessthan",
    "lower",
    "lt",
    "mapping",
    "ne",
    "none",
    "number",
    "odd",
    "sameas",
    "sequence",
    "string",
    "test",
    "true",
    "undefined",
    "upper",
];

impl Test {
    pub(crate) fn of(name: &str) -> Result<Self, String> {
        let known = NAMES.iter().find(|known| **known == name);
        known
            .map(|known| Self(known))
            .ok_or_else(|| format!("there is no test `is {name}`"))
    }
}

/// `value is test(args)`.
pub(crate) fn holds(test: Test, value: &Val<'_>, args: &Given<'_>) -> Eval<bool> {
    use std::cmp::Ordering::{Greater, Less};
    let other = || args.need(0, "other", test.0);
    // As Python divides: the remainder has the sign of the divisor.
    let remainder = |by: f64| match (value.as_int(), value.clone().defined()?.as_float()) {
        (Some(int), _) if by.fract() == 0.0 => Ok(int.rem_euclid(by as i128) as f64),
        (_, Some(float)) => Ok(float - by * (float / by).floor()),
        _ => {
            let name = value.type_name();
            super::value::type_fault(format!("'{name}' is no number"))
        }
    };
    let compared = || ops::compare(value, &other()?);
    Ok(match test.0 {
        "defined" => !matches!(value, Val::Undefined(_)),
        "undefined" => matches!(value, Val::Undefined(_)),
        "none" => matches!(value, Val::None),
        "true" => matches!(value, Val::Bool(true)),
        "false" => matches!(value, Val::Bool(false)),
        "boolean" => matches!(value, Val::Bool(_)),
        "integer" => matches!(value, Val::Int(_)),
        "float" => matches!(value, Val::Float(_)),
        "number" => value.as_float().is_some(),
        "string" => matches!(value, Val::Str(_)),
        "mapping" => value.entries().is_some(),
        "iterable" => value.items().is_ok(),
        "sequence" => value.len().is_ok(),
        "callable" => matches!(value, Val::Function(_) | Val::Method(..)),
        "odd" => remainder(2.0)? == 1.0,
        "even" => remainder(2.0)? == 0.0,
        "filter" => matches!(value, Val::Str(name) if super::filters::Filter::of(name).is_ok()),
        "test" => matches!(value, Val::Str(name) if Test::of(name).is_ok()),
        "divisibleby" => match other()?.as_float() {
            Some(by) if by != 0.0 => remainder(by)? == 0.0,
            _ => return other_fault("divisibleby needs a number other than 0"),
        },
        "in" => ops::contains(&other()?, value)?,
        "eq" | "==" | "equalto" => value.equals(&other()?),
        "sameas" => value.type_name() == other()?.type_name() && value.equals(&other()?),
        "ne" | "!=" => !value.equals(&other()?),
        "lt" | "<" | "lessthan" => compared()? == Some(Less),
        "gt" | ">" | "greaterthan" => compared()? == Some(Greater),
        "le" | "<=" => compared()?.is_some_and(|order| order != Greater),
        "ge" | ">=" => compared()?.is_some_and(|order| order != Less),
        "lower" => is_cased(&value.to_text(), char::is_uppercase),
        _ => is_cased(&value.to_text(), char::is_lowercase),
    })
}

/// True when the text has letters with case and none that `other_case` accepts.
fn is_cased(text: &str, other_case: fn(char) -> bool) -> bool {
    let has_case = text
        .chars()
        .any(|letter| letter.is_lowercase() || letter.is_uppercase());
    has_case && !text.chars().any(other_case)
}
