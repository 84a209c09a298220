//! JSON schema → type.

use serde_json::{Map, Value};

use super::{AirbyteType, Field, widen};

/// Schemas nested deeper than this are `Unknown` below it; `serde_json` reads 128 levels of JSON.
const MAX_DEPTH: usize = 64;

type Schema = Map<String, Value>;
/// A type, and whether null is allowed beside it.
type Typed = (AirbyteType, bool);

/// The fields of the records that `schema` describes: its top-level properties, in their order. A
/// field is nullable if its schema allows null or if it isn't `required`.
#[must_use]
pub fn fields_of(schema: &Value) -> Vec<Field> {
    schema
        .as_object()
        .and_then(|schema| properties(schema, 0))
        .unwrap_or_default()
}

impl AirbyteType {
    /// The type that `schema` describes, and whether null is allowed beside it. Never fails: what
    /// has no meaning in Airbyte's type system is `Unknown`, which is always nullable.
    #[must_use]
    pub fn from_json_schema(schema: &Value) -> (Self, bool) {
        typed(schema, 0)
    }

    /// The type of a JSON value; `None` for null, which says nothing. Text is `String` whatever it
    /// looks like.
    #[must_use]
    pub fn of_value(value: &Value) -> Option<Self> {
        Some(match value {
            Value::Null => return None,
            Value::Bool(_) => Self::Boolean,
            Value::Number(n) if n.is_i64() || n.is_u64() => Self::Integer,
            Value::Number(_) => Self::Number,
            Value::String(_) => Self::String,
            Value::Array(items) => Self::Array(
                items
                    .iter()
                    .filter_map(Self::of_value)
                    .reduce(widen)
                    .map(Box::new),
            ),
            Value::Object(members) => Self::Object(Some(
                members
                    .iter()
                    .filter_map(|(name, value)| Some(Field::new(name, Self::of_value(value)?)))
                    .collect(),
            )),
        })
    }
}

fn typed(schema: &Value, depth: usize) -> Typed {
    let Some(schema) = schema.as_object().filter(|_| depth < MAX_DEPTH) else {
        return (AirbyteType::Unknown, true);
    };
    if let Some(reference) = text(schema, "$ref") {
        return well_known(reference).map_or((AirbyteType::Unknown, true), |known| (known, false));
    }
    if let Some(options) = list(schema, "oneOf").or_else(|| list(schema, "anyOf")) {
        return union(options.iter().map(|option| typed_option(option, depth + 1)));
    }
    match schema.get("type") {
        Some(Value::String(name)) => named(name, schema, depth),
        Some(Value::Array(names)) => {
            let names = names.iter().filter_map(Value::as_str);
            union(names.map(|name| named_option(name, schema, depth)))
        }
        _ => untyped(schema, depth),
    }
}

/// An option of a union; no type for null alone.
fn typed_option(option: &Value, depth: usize) -> (Option<AirbyteType>, bool) {
    if option.get("type").and_then(Value::as_str) == Some("null") {
        return (None, true);
    }
    let (data_type, nullable) = typed(option, depth);
    (Some(data_type), nullable)
}

fn named_option(name: &str, schema: &Schema, depth: usize) -> (Option<AirbyteType>, bool) {
    if name == "null" {
        return (None, true);
    }
    let (data_type, nullable) = named(name, schema, depth);
    (Some(data_type), nullable)
}

/// Flattens, drops repetitions, and unpacks a union of one.
fn union(options: impl Iterator<Item = (Option<AirbyteType>, bool)>) -> Typed {
    let mut types: Vec<AirbyteType> = Vec::new();
    let mut nullable = false;
    for (option, option_nullable) in options {
        nullable |= option_nullable;
        let members = match option {
            Some(AirbyteType::Union(members)) => members,
            option => option.into_iter().collect(),
        };
        for member in members {
            if !types.contains(&member) {
                types.push(member);
            }
        }
    }
    if types.contains(&AirbyteType::Unknown) || types.is_empty() {
        return (AirbyteType::Unknown, true);
    }
    match <[AirbyteType; 1]>::try_from(types) {
        Ok([only]) => (only, nullable),
        Err(types) => (AirbyteType::Union(types), nullable),
    }
}

/// The type for one name in `type`.
fn named(name: &str, schema: &Schema, depth: usize) -> Typed {
    let data_type = match name {
        "string" => string(schema),
        "boolean" => AirbyteType::Boolean,
        "integer" => AirbyteType::Integer,
        "number" if text(schema, "airbyte_type") == Some("integer") => AirbyteType::Integer,
        "number" => AirbyteType::Number,
        "array" => array(schema, depth),
        "object" => AirbyteType::Object(properties(schema, depth)),
        _ => return (AirbyteType::Unknown, true),
    };
    (data_type, false)
}

fn string(schema: &Schema) -> AirbyteType {
    let airbyte_type = text(schema, "airbyte_type").unwrap_or_default();
    match (text(schema, "format").unwrap_or_default(), airbyte_type) {
        (_, "timestamp_with_timezone") => AirbyteType::TimestampWithTimezone,
        (_, "timestamp_without_timezone") => AirbyteType::TimestampWithoutTimezone,
        (_, "time_with_timezone") => AirbyteType::TimeWithTimezone,
        (_, "time_without_timezone") => AirbyteType::TimeWithoutTimezone,
        (_, "big_integer") => AirbyteType::Integer,
        (_, "big_number") => AirbyteType::Number,
        ("date", _) => AirbyteType::Date,
        ("date-time", _) => AirbyteType::TimestampWithTimezone,
        ("time", _) => AirbyteType::TimeWithTimezone,
        _ if text(schema, "contentEncoding") == Some("base64") => AirbyteType::Binary,
        _ => AirbyteType::String,
    }
}

fn array(schema: &Schema, depth: usize) -> AirbyteType {
    let items = match schema.get("items") {
        Some(Value::Array(items)) if !items.is_empty() => {
            union(items.iter().map(|item| typed_option(item, depth + 1))).0
        }
        Some(items @ Value::Object(_)) => typed(items, depth + 1).0,
        _ => AirbyteType::Unknown,
    };
    let known = (items != AirbyteType::Unknown).then(|| Box::new(items));
    AirbyteType::Array(known)
}

fn properties(schema: &Schema, depth: usize) -> Option<Vec<Field>> {
    let properties = schema.get("properties")?.as_object()?;
    let required = list(schema, "required").unwrap_or_default();
    let required: std::collections::HashSet<&str> =
        required.iter().filter_map(Value::as_str).collect();
    let field = |(name, schema): (&String, &Value)| {
        let (data_type, nullable) = typed(schema, depth + 1);
        let nullable = nullable || !required.contains(name.as_str());
        Field {
            name: name.clone(),
            data_type,
            nullable,
        }
    };
    Some(properties.iter().map(field).collect())
}

/// A schema without a usable `type`.
fn untyped(schema: &Schema, depth: usize) -> Typed {
    if schema.contains_key("properties") {
        return named("object", schema, depth);
    }
    if schema.contains_key("items") {
        return named("array", schema, depth);
    }
    if let Some([only]) = list(schema, "allOf") {
        return typed(only, depth + 1);
    }
    let values = match (schema.get("const"), list(schema, "enum")) {
        (Some(value), _) => std::slice::from_ref(value),
        (None, Some(values)) => values,
        (None, None) => return (AirbyteType::Unknown, true),
    };
    let nullable = values.iter().any(Value::is_null);
    let data_type = values
        .iter()
        .filter_map(AirbyteType::of_value)
        .reduce(widen);
    data_type.map_or((AirbyteType::Unknown, true), |data_type| {
        (data_type, nullable)
    })
}

/// `WellKnownTypes.json#/definitions/…`
fn well_known(reference: &str) -> Option<AirbyteType> {
    let (file, name) = reference.split_once("#/definitions/")?;
    if !file.ends_with("WellKnownTypes.json") {
        return None;
    }
    Some(match name {
        "String" => AirbyteType::String,
        "BinaryData" => AirbyteType::Binary,
        "Date" => AirbyteType::Date,
        "TimestampWithTimezone" => AirbyteType::TimestampWithTimezone,
        "TimestampWithoutTimezone" => AirbyteType::TimestampWithoutTimezone,
        "TimeWithTimezone" => AirbyteType::TimeWithTimezone,
        "TimeWithoutTimezone" => AirbyteType::TimeWithoutTimezone,
        "Number" => AirbyteType::Number,
        "Integer" => AirbyteType::Integer,
        "Boolean" => AirbyteType::Boolean,
        _ => return None,
    })
}

fn text<'a>(schema: &'a Schema, key: &str) -> Option<&'a str> {
    schema.get(key)?.as_str()
}

fn list<'a>(schema: &'a Schema, key: &str) -> Option<&'a [Value]> {
    Some(schema.get(key)?.as_array()?.as_slice())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_every_form_found_in_catalogs() {
        use AirbyteType::*;
        let known =
            |name: &str| json!({"$ref": format!("WellKnownTypes.json#/definitions/{name}")});
        let cases = [
            (json!({"type": ["null", "string"]}), (String, true)),
            (
                json!({"type": "number", "airbyte_type": "integer"}),
                (Integer, false),
            ),
            (
                json!({"type": "string", "airbyte_type": "big_integer"}),
                (Integer, false),
            ),
            (
                json!({"type": "string", "format": "date-time"}),
                (TimestampWithTimezone, false),
            ),
            (
                json!({"type": "string", "format": "date-time", "airbyte_type": "timestamp_without_timezone"}),
                (TimestampWithoutTimezone, false),
            ),
            (
                json!({"type": "string", "airbyte_type": "time_without_timezone"}),
                (TimeWithoutTimezone, false),
            ),
            (
                json!({"type": "string", "format": "time"}),
                (TimeWithTimezone, false),
            ),
            (
                json!({"type": ["string", "null"], "contentEncoding": "base64"}),
                (Binary, true),
            ),
            (
                json!({"type": ["integer", "string", "null"]}),
                (Union(vec![Integer, String]), true),
            ),
            (
                json!({"oneOf": [{"type": "null"}, {"type": "integer"}]}),
                (Integer, true),
            ),
            (
                json!({"anyOf": [known("Date"), {"type": ["null", "boolean"]}]}),
                (Union(vec![Date, Boolean]), true),
            ),
            (known("BinaryData"), (Binary, false)),
            (
                json!({"items": {"type": "number"}}),
                (Array(Some(Box::new(Number))), false),
            ),
            (json!({"type": "array", "items": {}}), (Array(None), false)),
            (json!({"type": "object"}), (Object(None), false)),
            (json!({"properties": {}}), (Object(Some(vec![])), false)),
            (json!({"enum": ["a", null]}), (String, true)),
            (json!({"const": 1}), (Integer, false)),
            (json!({"allOf": [{"type": "string"}]}), (String, false)),
            (json!({"$ref": "#/definitions/other"}), (Unknown, true)),
            (json!({"type": "null"}), (Unknown, true)),
            (json!({"oneOf": [{"type": "string"}, {}]}), (Unknown, true)),
            (json!(true), (Unknown, true)),
            (json!({}), (Unknown, true)),
        ];
        for (schema, expected) in cases {
            assert_eq!(AirbyteType::from_json_schema(&schema), expected, "{schema}");
        }
    }

    #[test]
    fn fields_keep_their_order_and_are_nullable_unless_required() {
        let schema = json!({"type": "object", "required": ["z", "n"], "properties": {
            "z": {"type": "integer"}, "a": {"type": "integer"}, "n": {"type": ["null", "integer"]}}});
        let seen: Vec<_> = fields_of(&schema)
            .into_iter()
            .map(|f| (f.name, f.nullable))
            .collect();
        assert_eq!(
            seen,
            [("z".into(), false), ("a".into(), true), ("n".into(), true)]
        );
        assert_eq!(fields_of(&json!({"type": "object"})), []);
    }

    #[test]
    fn very_deep_schemas_end_in_unknown() {
        let mut schema = json!({"type": "string"});
        for _ in 0..200 {
            schema = Value::Object([("items".to_owned(), schema)].into_iter().collect());
        }
        let (mut data_type, _) = AirbyteType::from_json_schema(&schema);
        let mut depth = 0;
        while let AirbyteType::Array(Some(items)) = data_type {
            data_type = *items;
            depth += 1;
        }
        assert_eq!(
            (depth, data_type),
            (MAX_DEPTH - 1, AirbyteType::Array(None))
        );
    }
}
