//! Schemas of records.

use std::borrow::Borrow;

use airbyte_protocol::types::{AirbyteType, widen};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

/// The schema of a type, as Airbyte writes schemas.
pub fn schema_of<T: JsonSchema>() -> Value {
    let mut settings = SchemaSettings::draft07();
    settings.inline_subschemas = true;
    let schema = settings.into_generator().into_root_schema_for::<T>();
    let (data_type, is_nullable) = AirbyteType::from_json_schema(schema.as_value());
    open(data_type.to_json_schema(is_nullable))
}

/// The schema that all of `records` fit, as far as they tell. An object of any kind when there are none.
pub fn schema_of_records<V: Borrow<Value>>(records: impl IntoIterator<Item = V>) -> Value {
    let types = records
        .into_iter()
        .filter_map(|record| AirbyteType::of_value(record.borrow()));
    let whole = types.reduce(widen);
    let whole = whole.unwrap_or(AirbyteType::Object(Some(Vec::new())));
    open(whole.to_json_schema(false))
}

/// APIs add fields without asking.
fn open(mut schema: Value) -> Value {
    if schema.is_object() {
        schema["additionalProperties"] = json!(true);
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_widen_the_schema() {
        let records = [
            json!({"id": 1, "a": 1}),
            json!({"id": 2, "a": 1.5, "b": {"c": "x"}}),
        ];
        let schema = schema_of_records(&records);
        assert_eq!(schema["properties"]["a"]["type"], json!(["null", "number"]));
        assert_eq!(
            schema["properties"]["b"]["properties"]["c"]["type"],
            json!(["null", "string"])
        );
        assert_eq!(schema["additionalProperties"], json!(true));
    }
}
