//! What each keyword of JSON schema asks for, in words. Texts of a config never appear, numbers only where
//! they are not secret.

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use serde_json::Value;

/// Longer lists of allowed values are cut.
const MAX_VALUES: usize = 20;

/// The problem that `error` reports, to be read behind its path. `owner` is the schema with the keyword.
pub(super) fn of(error: &ValidationError<'_>, owner: Option<&Value>, hidden: bool) -> String {
    let value = error.instance().as_ref();
    let number = |text: String| match value {
        Value::Number(number) if !hidden => format!(": {number} {text}"),
        _ => format!(" {text}"),
    };
    match error.kind() {
        Kind::Type { kind } => wrong_type(&type_names(kind), value),
        Kind::Enum { options } => match options.as_array() {
            Some(options) => format!(" must be {}", one_of(options)),
            None => " is not one of the allowed values".to_owned(),
        },
        Kind::Constant { expected_value } => format!(" must be {}", literal(expected_value)),
        Kind::Maximum { limit } => number(format!("is greater than the maximum of {limit}")),
        Kind::Minimum { limit } => number(format!("is less than the minimum of {limit}")),
        Kind::ExclusiveMaximum { limit } => number(format!("must be less than {limit}")),
        Kind::ExclusiveMinimum { limit } => number(format!("must be greater than {limit}")),
        Kind::MultipleOf { multiple_of } => number(format!("is not a multiple of {multiple_of}")),
        Kind::MinLength { .. } if value == "" => " is empty".to_owned(),
        Kind::MinLength { limit } => format!(" needs at least {}", count(*limit, "character")),
        Kind::MaxLength { limit } => format!(" has more than {}", count(*limit, "character")),
        Kind::MinItems { limit } => format!(" needs at least {}", count(*limit, "item")),
        Kind::MaxItems { limit } => format!(" has more than {}", count(*limit, "item")),
        Kind::MinProperties { limit } => format!(" needs at least {}", count(*limit, "key")),
        Kind::MaxProperties { limit } => format!(" has more than {}", count(*limit, "key")),
        Kind::UniqueItems => " has the same item twice".to_owned(),
        Kind::Pattern { pattern } => wrong_pattern(pattern, owner),
        Kind::Format { format } => format!(" is not {}", format_name(format)),
        Kind::FalseSchema => " is not allowed".to_owned(),
        Kind::AdditionalProperties { unexpected } => {
            format!(" has unknown keys: `{}`", unexpected.join("`, `"))
        }
        // Rare keywords of foreign specs. The validator's own text would quote the value.
        kind => format!(" breaks the rule `{}` of the spec", kind.keyword()),
    }
}

/// A value of another type than `expected`, such as "an object".
pub(super) fn wrong_type(expected: &str, value: &Value) -> String {
    let found = match value {
        // "must be an integer, not a number" would leave the reader guessing.
        Value::Number(number) if !number.is_i64() && !number.is_u64() => "a fraction",
        Value::Number(_) => "a number",
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    format!(" must be {expected}, not {found}")
}

/// A JSON type with its article.
pub(super) fn type_name(name: &str) -> &'static str {
    match name {
        "array" => "a list",
        "boolean" => "true or false",
        "integer" => "an integer",
        "null" => "null",
        "number" => "a number",
        "object" => "an object",
        _ => "a string",
    }
}

/// The allowed values for a reader, "one of" only where there is a choice.
pub(super) fn one_of<V: std::borrow::Borrow<Value>>(values: &[V]) -> String {
    let prefix = if values.len() == 1 { "" } else { "one of " };
    format!("{prefix}{}", list(values))
}

/// Values side by side.
pub(super) fn list<V: std::borrow::Borrow<Value>>(values: &[V]) -> String {
    let shown: Vec<String> = values
        .iter()
        .take(MAX_VALUES)
        .map(|value| literal(value.borrow()))
        .collect();
    let more = if values.len() > MAX_VALUES {
        ", …"
    } else {
        ""
    };
    format!("{}{more}", shown.join(", "))
}

fn literal(value: &Value) -> String {
    match value {
        Value::String(text) => format!("`{text}`"),
        other => format!("`{other}`"),
    }
}

fn type_names(kind: &TypeKind) -> String {
    match kind {
        TypeKind::Single(name) => type_name(name.as_str()).to_owned(),
        TypeKind::Multiple(names) => {
            let names: Vec<&str> = names.iter().map(|name| type_name(name.as_str())).collect();
            names.join(" or ")
        }
    }
}

fn count(limit: u64, thing: &str) -> String {
    format!("{limit} {thing}{}", if limit == 1 { "" } else { "s" })
}

fn wrong_pattern(pattern: &str, owner: Option<&Value>) -> String {
    // The form shows this text instead of the expression, too.
    let descriptor = owner.and_then(|owner| owner.get("pattern_descriptor")?.as_str());
    match descriptor.filter(|text| !text.is_empty()) {
        Some(descriptor) => format!(" must look like {descriptor}"),
        None => format!(" does not match the pattern `{pattern}`"),
    }
}

fn format_name(format: &str) -> String {
    match format {
        "date" => "a date such as 2026-01-31".to_owned(),
        "date-time" => "a time such as 2026-01-31T12:30:00Z".to_owned(),
        "email" => "an e-mail address".to_owned(),
        "hostname" => "a host name".to_owned(),
        "uri" => "an address such as https://example.com/path".to_owned(),
        "regex" => "a regular expression".to_owned(),
        other => format!("of the format `{other}`"),
    }
}
