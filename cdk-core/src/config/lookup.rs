//! Finding things in the spec's schema, whoever wrote it: specs of foreign connectors use `$ref`, `anyOf`
//! and `allOf` too.

use serde_json::Value;

use super::path::{Path, Step};

/// Longer chains of references and alternatives are cycles.
pub(super) const MAX_DEPTH: usize = 32;

/// Whether the spec marks the place, or one above it, as secret in any of its alternatives.
pub(super) fn is_secret(schema: &Value, path: &Path) -> bool {
    is_secret_below(schema, schema, path.steps(), 0)
}

/// The texts and numbers of `config` that stand where its `schema` says `airbyte_secret`, wherever that is:
/// below alternatives, references, lists and maps too. Register them with
/// [`Secrets::add_all`](crate::Secrets::add_all).
pub fn secrets_of(schema: &Value, config: &Value) -> Vec<String> {
    let mut found = Vec::new();
    collect_secrets(schema, config, &Path::default(), &mut found);
    found
}

fn collect_secrets(schema: &Value, value: &Value, path: &Path, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => members
            .iter()
            .for_each(|(key, member)| collect_secrets(schema, member, &path.key(key), found)),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(at, item)| collect_secrets(schema, item, &path.index(at), found)),
        Value::String(text) if is_secret(schema, path) => found.push(text.clone()),
        Value::Number(number) if is_secret(schema, path) => found.push(number.to_string()),
        _ => {}
    }
}

fn is_secret_below(root: &Value, schema: &Value, steps: &[Step], depth: usize) -> bool {
    if depth > MAX_DEPTH {
        // Nobody knows what is down there.
        return true;
    }
    if schema.get("airbyte_secret").and_then(Value::as_bool) == Some(true) {
        return true;
    }
    let below = |schema: &Value, steps: &[Step]| is_secret_below(root, schema, steps, depth + 1);
    let alternatives = ["oneOf", "anyOf", "allOf"].into_iter();
    let alternatives = alternatives
        .filter_map(|name| schema.get(name)?.as_array())
        .flatten();
    if alternatives
        .chain(referenced(root, schema))
        .any(|one| below(one, steps))
    {
        return true;
    }
    let Some((step, rest)) = steps.split_first() else {
        return false;
    };
    child(schema, step).is_some_and(|schema| below(schema, rest))
}

pub(super) fn child<'a>(schema: &'a Value, step: &Step) -> Option<&'a Value> {
    match step {
        Step::Key(key) => {
            let property = schema.get("properties").and_then(|all| all.get(key));
            property.or_else(|| schema.get("additionalProperties"))
        }
        Step::Index(index) => match schema.get("items")? {
            Value::Array(all) => all.get(*index).or_else(|| schema.get("additionalItems")),
            every => Some(every),
        },
    }
}

/// What a schema refers to inside its own document.
pub(super) fn referenced<'a>(root: &'a Value, schema: &Value) -> Option<&'a Value> {
    root.pointer(schema.get("$ref")?.as_str()?.strip_prefix('#')?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jsonschema::paths::Location;
    use serde_json::json;

    fn is_secret_at(schema: &Value, keys: &[&str]) -> bool {
        let root = Path::new(&Location::new(), &Value::Null);
        is_secret(schema, &keys.iter().fold(root, |path, key| path.key(key)))
    }

    #[test]
    fn secrets_are_found_below_every_kind_of_schema() {
        let secret = json!({"type": "string", "airbyte_secret": true});
        let schema = json!({
            "definitions": {"key": secret},
            "properties": {
                "plain": {"type": "string"},
                "direct": secret,
                "referenced": {"$ref": "#/definitions/key"},
                "branch": {"oneOf": [{"properties": {"a": {}}}, {"properties": {"a": secret}}]},
                "free": {"additionalProperties": secret},
                "whole": {"type": "object", "airbyte_secret": true}
            }
        });
        assert!(!is_secret_at(&schema, &["plain"]));
        assert!(!is_secret_at(&schema, &["branch"]));
        for path in [
            &["direct"][..],
            &["referenced"],
            &["branch", "a"],
            &["free", "x"],
            &["whole", "x"],
        ] {
            assert!(is_secret_at(&schema, path), "{path:?}");
        }
    }

    #[test]
    fn an_endless_reference_counts_as_secret() {
        assert!(is_secret_at(&json!({"$ref": "#"}), &["a"]));
    }

    #[test]
    fn secrets_are_found_wherever_they_stand() {
        let spec = json!({"properties": {
            "auth": {"oneOf": [
                {"properties": {"token": {"airbyte_secret": true}}},
                {"properties": {"pair": {"type": "object", "airbyte_secret": true}}}
            ]},
            "keys": {"items": {"properties": {"key": {"airbyte_secret": true}}}},
            "headers": {"additionalProperties": {"$ref": "#/definitions/header"}}
        }, "definitions": {"header": {"type": "string", "airbyte_secret": true}}});
        let config = json!({
            "auth": {"token": "tok-1", "pair": {"a": "left-2", "b": 31337}},
            "keys": [{"key": "key-3"}],
            "headers": {"X-Token": "four-4"}
        });
        let expected = ["tok-1", "left-2", "31337", "key-3", "four-4"];
        assert_eq!(secrets_of(&spec, &config), expected);
    }
}
