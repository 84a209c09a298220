//! Values cast to the types of a schema, by the conversions of Python.

use serde_json::{Number, Value};

use crate::extract::is_true;
use crate::template::python_text;

/// Casts the fields of a record to the types that `schema` names. What can't be cast stays as it is.
pub(crate) fn normalize(record: &mut Value, schema: &Value) {
    walk(record, schema, schema, 0);
}

/// References may go in circles; nothing real is nested deeper.
const MAX_DEPTH: usize = 100;

fn walk(value: &mut Value, schema: &Value, root: &Value, depth: usize) {
    if depth > MAX_DEPTH {
        return;
    }
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let target = reference.strip_prefix('#').and_then(|at| root.pointer(at));
        if let Some(target) = target {
            walk(value, target, root, depth + 1);
        }
        return;
    }
    match value {
        Value::Object(map) => {
            let Some(Value::Object(properties)) = schema.get("properties") else {
                return;
            };
            for (key, schema) in properties {
                if let Some(value) = map.get_mut(key) {
                    convert(value, schema);
                    walk(value, schema, root, depth + 1);
                }
            }
        }
        Value::Array(items) => {
            if let Some(schema @ Value::Object(_)) = schema.get("items") {
                for item in items {
                    convert(item, schema);
                    walk(item, schema, root, depth + 1);
                }
            }
        }
        _ => {}
    }
}

fn convert(value: &mut Value, schema: &Value) {
    let Some(target) = target(value, schema) else {
        return;
    };
    let converted = match target {
        "string" if value.is_string() => None,
        "string" => Some(Value::String(python_text(value))),
        "number" => number(value),
        "integer" => integer(value),
        "boolean" => match &*value {
            Value::String(text) => boolean(text).map(Value::Bool),
            other => Some(Value::Bool(is_true(other))),
        },
        "array" if is_simple(value) && takes_simple_items(schema) => {
            Some(Value::Array(vec![value.take()]))
        }
        _ => None,
    };
    if let Some(converted) = converted {
        *value = converted;
    }
}

/// The one type a value should have; none when several would do.
fn target<'a>(value: &Value, schema: &'a Value) -> Option<&'a str> {
    match schema.get("type")? {
        Value::String(target) => {
            (!(value.is_null() && target == "null")).then_some(target.as_str())
        }
        Value::Array(types) => {
            let mut others = types
                .iter()
                .filter_map(Value::as_str)
                .filter(|kind| *kind != "null");
            let has_null = types.iter().any(|kind| kind == "null");
            match (others.next(), others.next()) {
                (Some(_), None) if value.is_null() && has_null => None,
                (Some(one), None) => Some(one),
                _ => None,
            }
        }
        _ => None,
    }
}

fn number(value: &Value) -> Option<Value> {
    let number = match value {
        Value::Number(number) if number.is_f64() => return None,
        Value::Number(number) => number.as_f64()?,
        Value::Bool(flag) => f64::from(u8::from(*flag)),
        Value::String(text) => float(text)?,
        _ => return None,
    };
    // A number without a JSON form (NaN, infinity) stays a text.
    Number::from_f64(number).map(Value::Number)
}

fn integer(value: &Value) -> Option<Value> {
    match value {
        Value::Number(number) => {
            let float = number.as_f64().filter(|_| number.is_f64())?;
            let whole = float.trunc();
            // Beyond 2^63 an integer would not be exact here.
            (whole.abs() < 9.2e18).then(|| Value::from(whole as i64))
        }
        Value::Bool(flag) => Some(Value::from(u8::from(*flag))),
        Value::String(text) => {
            let digits = python_digits(text)?;
            let signed = digits.parse::<i64>().map(Value::from);
            let unsigned = || digits.parse::<u64>().map(Value::from);
            signed.or_else(|_| unsigned()).ok()
        }
        _ => None,
    }
}

fn float(text: &str) -> Option<f64> {
    let text = python_digits(text)?;
    text.parse().ok()
}

/// Python reads numbers with blanks around and single underscores between digits.
fn python_digits(text: &str) -> Option<String> {
    let text = text.trim();
    let bytes = text.as_bytes();
    let is_digit = |at: Option<usize>| {
        at.and_then(|at| bytes.get(at))
            .is_some_and(u8::is_ascii_digit)
    };
    let stray = |at: usize| !(is_digit(at.checked_sub(1)) && is_digit(Some(at + 1)));
    let mut underscores = memchr::memchr_iter(b'_', bytes);
    if underscores.any(stray) {
        return None;
    }
    Some(text.replace('_', ""))
}

fn boolean(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "y" | "yes" | "t" | "true" | "on" | "1" => Some(true),
        "n" | "no" | "f" | "false" | "off" | "0" => Some(false),
        _ => None,
    }
}

fn is_simple(value: &Value) -> bool {
    !value.is_object() && !value.is_array()
}

/// As in the reference, one type as plain text does not count, only a list of types or none.
fn takes_simple_items(schema: &Value) -> bool {
    match schema.get("items").and_then(|items| items.get("type")) {
        None => true,
        Some(Value::Array(types)) => types.iter().all(|kind| {
            matches!(
                kind.as_str(),
                Some("string" | "number" | "integer" | "boolean" | "null")
            )
        }),
        Some(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[allow(clippy::needless_pass_by_value)] // So that a call may say `json!({…})`.
    fn cast(value: Value, schema: Value) -> Value {
        let mut record = json!({ "x": value });
        normalize(&mut record, &json!({"properties": {"x": schema}}));
        record["x"].take()
    }

    #[test]
    fn values_are_cast_as_python_would() {
        let one = |kind: &str| json!({ "type": kind });
        let nullable = |kind: &str| json!({"type": ["null", kind]});
        for (value, schema, expected) in [
            (json!(1.0), one("string"), json!("1.0")),
            (json!(true), nullable("string"), json!("True")),
            (json!(null), one("string"), json!("None")),
            (json!(null), nullable("string"), json!(null)),
            (
                json!({"a": [1, null]}),
                one("string"),
                json!("{'a': [1, None]}"),
            ),
            (json!("1.5"), one("number"), json!(1.5)),
            (json!(5), one("number"), json!(5.0)),
            (json!("x"), one("number"), json!("x")),
            (json!(" 1_000 "), one("integer"), json!(1000)),
            (json!("5.0"), one("integer"), json!("5.0")),
            (json!(5.7), one("integer"), json!(5)),
            (json!("Yes"), one("boolean"), json!(true)),
            (json!("maybe"), one("boolean"), json!("maybe")),
            (json!(0), one("boolean"), json!(false)),
            (json!("a"), one("array"), json!(["a"])),
            (
                json!(1),
                json!({"type": "array", "items": {"type": ["string", "null"]}}),
                json!(["1"]),
            ),
            (
                json!(1),
                json!({"type": "array", "items": {"type": "string"}}),
                json!(1),
            ),
            (json!(1), json!({"type": ["string", "integer"]}), json!(1)),
            (json!("1"), json!({}), json!("1")),
        ] {
            let shown = format!("{value} as {schema}");
            assert_eq!(cast(value, schema), expected, "{shown}");
        }
    }

    #[test]
    fn nested_objects_and_items_are_cast_too() {
        let schema = json!({"type": "object", "properties": {
            "a": {"type": "object", "properties": {"n": {"type": "integer"}}},
            "l": {"type": "array", "items": {"properties": {"s": {"type": "string"}}}}}});
        let mut record = json!({"a": {"n": "7"}, "l": [{"s": 1}]});
        normalize(&mut record, &schema);
        assert_eq!(record, json!({"a": {"n": 7}, "l": [{"s": "1"}]}));
    }
}
