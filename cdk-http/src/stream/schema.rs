//! Schemas of records.

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

/// The schema that all of `records` fit.
pub(super) fn inferred(records: &[String]) -> Value {
    let types = records.iter().filter_map(|record| {
        let value: Value = serde_json::from_str(record).ok()?;
        AirbyteType::of_value(&value)
    });
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
        let records = [r#"{"id":1,"a":1}"#, r#"{"id":2,"a":1.5,"b":{"c":"x"}}"#];
        let schema = inferred(&records.map(str::to_owned));
        assert_eq!(schema["properties"]["a"]["type"], json!(["null", "number"]));
        assert_eq!(
            schema["properties"]["b"]["properties"]["c"]["type"],
            json!(["null", "string"])
        );
        assert_eq!(schema["additionalProperties"], json!(true));
    }
}
