//! The JSON Schema of manifests, for completion in editors.

use serde_json::{Map, Value, json};

use super::components::{ComponentType, Components, Shape, Tag};

/// The JSON Schema (draft 7) of a manifest. Editors complete and check manifests with it.
pub fn json_schema() -> Value {
    let all = Components::all();
    let mut definitions = Map::new();
    for kind in all.types() {
        definitions.insert(kind.name.clone(), component(kind));
    }
    for (name, shape) in all.aliases() {
        definitions.insert(name.clone(), schema_of(shape));
    }
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Manifest of a low-code connector",
        "$ref": "#/definitions/DeclarativeSource",
        "definitions": definitions,
    })
}

fn component(kind: &ComponentType) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    match &kind.tag {
        Tag::Required(tag) | Tag::Optional(tag) => {
            drop(properties.insert("type".to_owned(), json!({"const": tag})))
        }
        Tag::None => {}
    }
    for field in &kind.fields {
        properties.insert(field.name.clone(), or_reference(&field.shape));
        if field.is_required {
            required.push(field.name.as_str());
        }
    }
    properties.insert("$parameters".to_owned(), json!({"type": "object"}));
    properties.insert("$ref".to_owned(), json!({"type": "string"}));
    let mut schema =
        json!({"type": "object", "description": kind.description, "properties": properties});
    // Parameters of an outer component or a reference may give what is missing, so only the root insists.
    if kind.name == "DeclarativeSource" {
        schema["required"] = json!(required);
        schema["additionalProperties"] = json!(false);
        schema["anyOf"] = json!([{"required": ["streams"]}, {"required": ["dynamic_streams"]}]);
    }
    schema
}

/// The shape, or a reference to where it is defined.
fn or_reference(shape: &Shape) -> Value {
    let schema = schema_of(shape);
    match shape {
        Shape::Any | Shape::Text | Shape::Object => schema,
        _ => json!({"anyOf": [schema, {"type": "string", "pattern": "^#/"}]}),
    }
}

fn schema_of(shape: &Shape) -> Value {
    match shape {
        Shape::Any => json!({}),
        Shape::Text => json!({"type": "string"}),
        Shape::Integer => json!({"type": "integer"}),
        Shape::Number => json!({"type": "number"}),
        Shape::Boolean => json!({"type": "boolean"}),
        Shape::Null => json!({"type": "null"}),
        Shape::Object => json!({"type": "object"}),
        Shape::Array => json!({"type": "array"}),
        Shape::Constant(text) => json!({"const": text}),
        Shape::Named(name) => json!({"$ref": format!("#/definitions/{name}")}),
        Shape::List(item) => json!({"type": "array", "items": or_reference(item)}),
        Shape::Map(value) => json!({"type": "object", "additionalProperties": or_reference(value)}),
        Shape::Union(shapes) => {
            let constants = shapes.iter().map(|shape| match shape {
                Shape::Constant(text) => Some(text.as_str()),
                _ => None,
            });
            match constants.collect::<Option<Vec<_>>>() {
                Some(constants) => json!({"enum": constants}),
                None => json!({"anyOf": shapes.iter().map(schema_of).collect::<Vec<_>>()}),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_names_all_types_and_their_fields() {
        let schema = json_schema();
        let definitions = schema["definitions"].as_object().unwrap();
        assert_eq!(
            definitions.len(),
            Components::all().types().len() + Components::all().aliases().len()
        );
        let requester = &definitions["HttpRequester"]["properties"];
        assert_eq!(requester["type"], json!({"const": "HttpRequester"}));
        assert_eq!(
            requester["http_method"]["anyOf"][0],
            json!({"enum": ["GET", "POST"]})
        );
        assert_eq!(
            definitions["RecordSelector"]["description"],
            "Makes records of a response."
        );
    }
}
