//! Nulls that mean "not given": forms and platforms write every field of a config, and an optional one
//! that nobody filled in comes as null.

use serde_json::Value;

use super::branch;
use super::lookup::{self, MAX_DEPTH};
use super::path::Step;

/// Whether there is a null anywhere.
pub(super) fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().any(has_null),
        Value::Object(members) => members.values().any(has_null),
        _ => false,
    }
}

/// Removes the members of `config` that are null where its `schema` declares an optional property that
/// cannot be null, at every depth. A null that is required, allowed or undeclared stays.
pub(super) fn drop_nulls(schema: &Value, config: &mut Value) {
    drop_below(schema, &[schema], config);
}

fn drop_below(root: &Value, schemas: &[&Value], value: &mut Value) {
    let mut applying = Vec::new();
    for schema in schemas {
        collect(root, schema, value, 0, &mut applying);
    }
    match value {
        Value::Object(members) => {
            members.retain(|name, member| !(member.is_null() && is_absent(root, &applying, name)));
            for (name, member) in members {
                drop_below(root, &children(&applying, &Step::Key(name.clone())), member);
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter_mut().enumerate() {
                drop_below(root, &children(&applying, &Step::Index(at)), item);
            }
        }
        _ => {}
    }
}

fn children<'a>(schemas: &[&'a Value], step: &Step) -> Vec<&'a Value> {
    let children = schemas.iter().map(|schema| lookup::child(schema, step));
    children.flatten().collect()
}

fn is_absent(root: &Value, schemas: &[&Value], name: &str) -> bool {
    let requires = |schema: &&Value| {
        let keys = schema.get("required").and_then(Value::as_array);
        keys.is_some_and(|keys| keys.iter().any(|key| key == name))
    };
    let mut declared = schemas
        .iter()
        .filter_map(|schema| schema.get("properties")?.get(name))
        .peekable();
    declared.peek().is_some()
        && !schemas.iter().any(requires)
        && !declared.any(|property| accepts_null(root, property, 0))
}

/// Adds the schemas that apply to `value`: of alternatives those whose constants it has.
fn collect<'a>(
    root: &'a Value,
    schema: &'a Value,
    value: &Value,
    depth: usize,
    found: &mut Vec<&'a Value>,
) {
    if depth > MAX_DEPTH {
        return;
    }
    found.push(schema);
    let all = parts(schema, "allOf").chain(lookup::referenced(root, schema));
    let alternatives = parts(schema, "oneOf").chain(parts(schema, "anyOf"));
    let alternatives = alternatives.filter(|one| is_chosen(branch::target(root, one), value));
    for part in all.chain(alternatives) {
        collect(root, part, value, depth + 1, found);
    }
}

fn is_chosen(alternative: &Value, value: &Value) -> bool {
    let properties = alternative.get("properties").and_then(Value::as_object);
    let mut names = properties.into_iter().flat_map(|all| all.keys());
    names.all(
        |name| match (branch::constant(alternative, name), value.get(name)) {
            (Some(constant), Some(given)) => constant == given,
            _ => true,
        },
    )
}

fn accepts_null(root: &Value, schema: &Value, depth: usize) -> bool {
    if depth > MAX_DEPTH {
        return true;
    }
    let below = |one: &Value| accepts_null(root, one, depth + 1);
    let has = |keyword: &str| schema.get(keyword).is_some();
    let type_fits = schema.get("type").is_none_or(|types| match types {
        Value::Array(types) => types.iter().any(|one| one == "null"),
        one => one == "null",
    });
    type_fits
        && schema != &Value::Bool(false)
        && schema.get("const").is_none_or(Value::is_null)
        && (!has("enum") || parts(schema, "enum").any(Value::is_null))
        && parts(schema, "allOf")
            .chain(lookup::referenced(root, schema))
            .all(below)
        && (!has("oneOf") || parts(schema, "oneOf").any(below))
        && (!has("anyOf") || parts(schema, "anyOf").any(below))
}

fn parts<'a>(schema: &'a Value, keyword: &str) -> impl Iterator<Item = &'a Value> {
    schema
        .get(keyword)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn dropped(schema: &Value, mut config: Value) -> Value {
        drop_nulls(schema, &mut config);
        config
    }

    #[test]
    fn optional_nulls_go_at_every_depth() {
        let text = json!({"type": "string"});
        let pair =
            json!({"type": "object", "required": ["a"], "properties": {"a": text, "b": text}});
        let schema = json!({
            "properties": {"plain": text, "list": {"items": pair}, "map": {"additionalProperties": pair},
                "ref": {"$ref": "#/definitions/pair"}, "all": {"allOf": [pair]}},
            "definitions": {"pair": pair}
        });
        let null = json!({"a": "1", "b": null});
        let config =
            json!({"plain": null, "list": [null], "map": {"k": null}, "ref": null, "all": null});
        // Only members of objects can be left out: items, and entries of maps, mean something.
        assert_eq!(
            dropped(&schema, config),
            json!({"list": [null], "map": {"k": null}})
        );
        let config = json!({"list": [null, null], "map": {"k": null}, "ref": null, "all": null});
        let filled = config.to_string().replace("null", &null.to_string());
        let expected = config.to_string().replace("null", r#"{"a":"1"}"#);
        let filled: Value = serde_json::from_str(&filled).unwrap();
        let expected: Value = serde_json::from_str(&expected).unwrap();
        assert_eq!(dropped(&schema, filled), expected);
    }

    #[test]
    fn nulls_that_mean_something_stay() {
        let schema = json!({"required": ["key"], "properties": {
            "key": {"type": "string"},
            "typed": {"type": ["string", "null"]},
            "listed": {"enum": ["a", null]},
            "either": {"oneOf": [{"type": "string"}, {"type": "null"}]},
            "any": {}
        }});
        let config = json!({"key": null, "typed": null, "listed": null, "either": null, "any": null,
            "undeclared": null});
        assert_eq!(dropped(&schema, config.clone()), config);
    }

    #[test]
    fn the_chosen_alternative_says_what_is_optional() {
        let schema = json!({"properties": {"auth": {"oneOf": [
            {"required": ["kind", "x"], "properties": {"kind": {"const": "a"}, "x": {"type": "string"}}},
            {"required": ["kind"], "properties": {"kind": {"const": "b"}, "x": {"type": "string"}}}
        ]}}});
        let required = json!({"auth": {"kind": "a", "x": null}});
        assert_eq!(dropped(&schema, required.clone()), required);
        let optional = json!({"auth": {"kind": "b", "x": null}});
        assert_eq!(dropped(&schema, optional), json!({"auth": {"kind": "b"}}));
    }

    #[test]
    fn an_endless_reference_ends() {
        let schema = json!({"$ref": "#", "properties": {"a": {"$ref": "#"}}});
        let config = json!({"a": {"a": null}});
        assert_eq!(dropped(&schema, config.clone()), config);
    }
}
