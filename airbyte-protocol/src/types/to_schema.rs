//! Type → JSON schema.

use serde_json::{Map, Value, json};

use super::{AirbyteType, Field};

impl AirbyteType {
    /// The JSON schema of the type, in the form that the platform and its destinations know (see
    /// the table of the [module](super)); with `nullable` it allows null too.
    ///
    /// [`AirbyteType::from_json_schema`] gives the same type back, provided that unions have at
    /// least two different members that are neither unions nor `Unknown`, that the items of arrays
    /// aren't `Some(Unknown)`, and that `Unknown` counts as nullable.
    #[must_use]
    pub fn to_json_schema(&self, nullable: bool) -> Value {
        let mut schema = match self {
            Self::String => json!({"type": "string"}),
            Self::Boolean => json!({"type": "boolean"}),
            Self::Integer => json!({"type": "integer"}),
            Self::Number => json!({"type": "number"}),
            Self::Date => json!({"type": "string", "format": "date"}),
            Self::TimestampWithTimezone => time("date-time", "timestamp_with_timezone"),
            Self::TimestampWithoutTimezone => time("date-time", "timestamp_without_timezone"),
            Self::TimeWithTimezone => time("time", "time_with_timezone"),
            Self::TimeWithoutTimezone => time("time", "time_without_timezone"),
            Self::Binary => json!({"type": "string", "contentEncoding": "base64"}),
            Self::Array(None) => json!({"type": "array"}),
            Self::Array(Some(items)) => {
                json!({"type": "array", "items": items.to_json_schema(false)})
            }
            Self::Object(None) => json!({"type": "object"}),
            Self::Object(Some(fields)) => object(fields),
            Self::Union(options) => return union(options, nullable),
            Self::Unknown => json!({}),
        };
        if let Some(name) = schema.get_mut("type").filter(|_| nullable) {
            *name = json!(["null", name.take()]);
        }
        schema
    }
}

fn time(format: &str, airbyte_type: &str) -> Value {
    json!({"type": "string", "format": format, "airbyte_type": airbyte_type})
}

fn object(fields: &[Field]) -> Value {
    let schema = |field: &Field| field.data_type.to_json_schema(field.nullable);
    let properties: Map<String, Value> = fields
        .iter()
        .map(|field| (field.name.clone(), schema(field)))
        .collect();
    let required: Vec<&str> = fields
        .iter()
        .filter(|field| !field.nullable)
        .map(|field| field.name.as_str())
        .collect();
    if required.is_empty() {
        return json!({"type": "object", "properties": properties});
    }
    json!({"type": "object", "properties": properties, "required": required})
}

fn union(options: &[AirbyteType], nullable: bool) -> Value {
    let null = nullable.then(|| json!({"type": "null"}));
    let options = options.iter().map(|option| option.to_json_schema(false));
    let all: Vec<Value> = null.into_iter().chain(options).collect();
    json!({ "oneOf": all })
}
