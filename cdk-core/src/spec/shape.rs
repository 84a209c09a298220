//! Schemars' schema in the subset of JSON schema that Airbyte accepts: no `$ref`, no `null`, no
//! `anyOf` or `allOf`, one type per property, enums as `enum` or as `oneOf` of objects.
//!
//! Whatever a derive produces is rewritten. What an author wrote by hand and Airbyte forbids is
//! rejected, never dropped: a dropped branch may hold secrets, which are masked by what the spec says.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::{Object, children};

/// Keywords that the acceptance tests forbid and no derive produces.
const FORBIDDEN: [&str; 8] = [
    "not",
    "if",
    "then",
    "else",
    "dependencies",
    "dependentSchemas",
    "dependentRequired",
    "prefixItems",
];

/// Rewrites a schema and all below it; `place` names it in the error.
pub(super) fn reshape(schema: &mut Value, place: &str) -> Result<(), String> {
    if *schema == Value::Bool(true) {
        *schema = json!({});
    }
    let Value::Object(object) = schema else {
        return Ok(());
    };
    fold(object, place)?;
    for (name, child) in children(object) {
        reshape(child, &format!("{place}, {name}"))?;
    }
    collapse_unit_enum(object);
    tidy(object);
    Ok(())
}

/// Turns the combining keywords of one schema into `oneOf`, or into nothing.
fn fold(object: &mut Object, place: &str) -> Result<(), String> {
    reject_forbidden(object, place)?;
    drop_null(object, place)?;
    map_of_patterns(object, place)?;
    for keyword in ["oneOf", "anyOf"] {
        fold_choice(object, keyword, place)?;
    }
    if let Some(Value::Array(parts)) = object.remove("allOf") {
        for part in parts {
            merge(object, part, place)?;
        }
    }
    Ok(())
}

fn reject_forbidden(object: &Object, place: &str) -> Result<(), String> {
    // Everything is inlined, so a reference is left only where a type contains itself.
    if object.contains_key("$ref") {
        return Err(format!(
            "{place}: the type contains itself. Give the field `#[schemars(with = \"serde_json::Value\")]`."
        ));
    }
    match FORBIDDEN
        .iter()
        .find(|keyword| object.contains_key(**keyword))
    {
        Some(keyword) => Err(format!("{place}: Airbyte forbids the keyword `{keyword}`.")),
        None => Ok(()),
    }
}

/// An optional value is one that may be left out; Airbyte has no nulls in configs.
fn drop_null(object: &mut Object, place: &str) -> Result<(), String> {
    if object.get("default") == Some(&Value::Null) {
        object.remove("default");
    }
    if let Some(Value::Array(values)) = object.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    let Some(Value::Array(types)) = object.get_mut("type") else {
        return Ok(());
    };
    types.retain(|name| name != "null");
    match types.as_mut_slice() {
        [only] => {
            let only = only.take();
            object.insert("type".to_owned(), only);
            Ok(())
        }
        _ => Err(format!(
            "{place}: a property has exactly one type. Use an enum for alternatives."
        )),
    }
}

/// A map with numbers as keys comes with a pattern for them; Airbyte only knows free keys.
fn map_of_patterns(object: &mut Object, place: &str) -> Result<(), String> {
    let Some(Value::Object(patterns)) = object.remove("patternProperties") else {
        return Ok(());
    };
    let mut schemas = patterns.into_iter().map(|(_, schema)| schema);
    match (schemas.next(), schemas.next()) {
        (Some(schema), None) => {
            object.insert("additionalProperties".to_owned(), schema);
            Ok(())
        }
        _ => Err(format!(
            "{place}: Airbyte forbids the keyword `patternProperties`."
        )),
    }
}

fn fold_choice(object: &mut Object, keyword: &str, place: &str) -> Result<(), String> {
    let Some(Value::Array(all)) = object.remove(keyword) else {
        return Ok(());
    };
    let total = all.len();
    let is_null = |branch: &Value| branch.get("type").is_some_and(|name| name == "null");
    let mut branches: Vec<Value> = all.into_iter().filter(|branch| !is_null(branch)).collect();
    // `Option<Enum>` is `anyOf: [Enum, null]`. An enum of one variant stays a `oneOf` of one.
    let is_optional = branches.len() < total || keyword == "anyOf";
    if is_optional && branches.len() == 1 {
        return branches
            .pop()
            .map_or(Ok(()), |only| merge(object, only, place));
    }
    if branches.is_empty() {
        return Ok(());
    }
    if branches
        .iter()
        .any(|branch| branch.as_object().is_none_or(Object::is_empty))
    {
        return Err(format!(
            "{place}: an optional enum is flattened into it. Give the enum a field of its own."
        ));
    }
    add_choice(object, branches.into(), place)
}

fn add_choice(object: &mut Object, branches: Value, place: &str) -> Result<(), String> {
    match object.insert("oneOf".to_owned(), branches) {
        None => Ok(()),
        Some(_) => Err(format!(
            "{place}: two enums are flattened into it. Give one of them a field of its own."
        )),
    }
}

/// Adds what `part` says to `object`, whose own words count more: they are nearer to the field.
fn merge(object: &mut Object, part: Value, place: &str) -> Result<(), String> {
    let Value::Object(mut part) = part else {
        return Ok(());
    };
    fold(&mut part, place)?;
    for (keyword, theirs) in part {
        match (keyword.as_str(), object.get_mut(&keyword), theirs) {
            ("oneOf", _, theirs) => add_choice(object, theirs, place)?,
            ("properties", Some(Value::Object(ours)), Value::Object(theirs)) => {
                for (name, property) in theirs {
                    ours.entry(name).or_insert(property);
                }
            }
            ("required", Some(Value::Array(ours)), Value::Array(theirs)) => {
                ours.extend(theirs);
                let mut seen = HashSet::new();
                ours.retain(|name| seen.insert(name.clone()));
            }
            (_, None, theirs) => {
                object.insert(keyword, theirs);
            }
            (_, Some(_), _) => {}
        }
    }
    Ok(())
}

/// Variants with docs of their own come as `oneOf` of constants; Airbyte wants one `enum`.
fn collapse_unit_enum(object: &mut Object) {
    let Some(Value::Array(branches)) = object.get("oneOf") else {
        return;
    };
    let mut types = branches.iter().map(|branch| branch.get("type"));
    let first = types.next().flatten().cloned();
    let literals: Option<Vec<Vec<Value>>> = branches.iter().map(literals).collect();
    if let (Some(first), Some(literals)) = (first, literals)
        && types.all(|other| other == Some(&first))
    {
        object.remove("oneOf");
        object.insert("type".to_owned(), first);
        object.insert("enum".to_owned(), literals.concat().into());
    }
}

fn literals(branch: &Value) -> Option<Vec<Value>> {
    let constant = branch.get("const").map(|value| vec![value.clone()]);
    constant.or_else(|| branch.get("enum")?.as_array().cloned())
}

fn tidy(object: &mut Object) {
    if let Some(Value::Array(branches)) = object.get("oneOf") {
        let is_object = |branch: &Value| branch.get("type").is_some_and(|name| name == "object");
        if branches.iter().all(is_object) {
            object.insert("type".to_owned(), json!("object"));
        }
    }
    // `int64`, `double` and the like are Rust's, not JSON schema's.
    if object
        .get("type")
        .is_some_and(|name| name == "integer" || name == "number")
    {
        object.remove("format");
    }
    // Configs come with keys of newer and older versions; unknown ones are never an error.
    object.remove("unevaluatedProperties");
    if object.get("additionalProperties") == Some(&Value::Bool(false)) {
        object.remove("additionalProperties");
    }
    // A constant needs nothing beside it, and the acceptance tests accept nothing.
    if object.contains_key("const") {
        object.remove("enum");
        object.remove("default");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reshaped(mut schema: Value) -> Value {
        reshape(&mut schema, "the config").unwrap();
        schema
    }

    fn rejected(mut schema: Value) -> String {
        reshape(&mut schema, "the config").unwrap_err()
    }

    #[test]
    fn formats_of_numbers_go_and_formats_of_text_stay() {
        for (kind, format) in [
            ("integer", "uint32"),
            ("integer", "int64"),
            ("number", "double"),
        ] {
            let schema = json!({"type": kind, "format": format, "minimum": 0});
            assert_eq!(reshaped(schema), json!({"type": kind, "minimum": 0}));
        }
        for format in ["date", "date-time", "password", "uri"] {
            let schema = json!({"type": "string", "format": format});
            assert_eq!(reshaped(schema.clone()), schema);
        }
    }

    #[test]
    fn null_disappears_from_types_defaults_enums_and_alternatives() {
        let optional = json!({"type": ["string", "null"], "enum": ["a", null], "default": null});
        assert_eq!(reshaped(optional), json!({"type": "string", "enum": ["a"]}));
        let struct_or_null = json!({
            "description": "Of the field",
            "anyOf": [{"description": "Of the type", "type": "object"}, {"type": "null"}],
            "default": null
        });
        let expected = json!({"description": "Of the field", "type": "object"});
        assert_eq!(reshaped(struct_or_null), expected);
    }

    #[test]
    fn all_of_is_merged_and_the_outer_words_win() {
        let schema = json!({
            "title": "Outer", "required": ["a"], "properties": {"a": {"type": "string"}},
            "allOf": [
                {"title": "Inner", "type": "object", "required": ["a", "b"],
                 "properties": {"a": {"type": "integer"}, "b": {"type": "boolean"}}}
            ]
        });
        let expected = json!({
            "title": "Outer", "required": ["a", "b"], "type": "object",
            "properties": {"a": {"type": "string"}, "b": {"type": "boolean"}}
        });
        assert_eq!(reshaped(schema), expected);
    }

    #[test]
    fn constants_with_docs_become_one_enum() {
        let schema = json!({"default": "b", "oneOf": [
            {"type": "string", "enum": ["a", "c"]},
            {"description": "The letter b", "type": "string", "const": "b"}
        ]});
        let expected = json!({"default": "b", "type": "string", "enum": ["a", "c", "b"]});
        assert_eq!(reshaped(schema), expected);
    }

    #[test]
    fn a_constant_stands_alone() {
        let schema = json!({"type": "string", "const": "a", "default": "a", "enum": ["a"]});
        assert_eq!(reshaped(schema), json!({"type": "string", "const": "a"}));
    }

    #[test]
    fn unknown_keys_stay_allowed_at_every_depth() {
        for keyword in ["additionalProperties", "unevaluatedProperties"] {
            let schema = json!({"properties": {"a": {"type": "object", keyword: false}}});
            assert_eq!(
                reshaped(schema),
                json!({"properties": {"a": {"type": "object"}}})
            );
        }
    }

    #[test]
    fn a_map_with_numbers_as_keys_becomes_a_free_map() {
        let schema = json!({
            "type": "object", "additionalProperties": false,
            "patternProperties": {"^\\d+$": {"type": "string"}}
        });
        let expected = json!({"type": "object", "additionalProperties": {"type": "string"}});
        assert_eq!(reshaped(schema), expected);
    }

    #[test]
    fn alternatives_without_a_tag_become_one_of() {
        let schema = json!({"anyOf": [{"type": "string"}, {"type": "integer", "format": "int64"}]});
        let expected = json!({"oneOf": [{"type": "string"}, {"type": "integer"}]});
        assert_eq!(reshaped(schema), expected);
    }

    #[test]
    fn what_airbyte_cannot_express_is_rejected_with_its_place() {
        let branch = json!({"oneOf": [{"type": "object", "properties": {"a": {}}}]});
        for (schema, said) in [
            (
                json!({"properties": {"a": {"$ref": "#"}}}),
                "the config, a: the type contains itself",
            ),
            (
                json!({"items": {"not": {}}}),
                "the config, items: Airbyte forbids the keyword `not`",
            ),
            (
                json!({"type": ["string", "integer"]}),
                "the config: a property has exactly one type",
            ),
            (
                json!({"allOf": [branch, branch]}),
                "the config: two enums are flattened",
            ),
            (
                json!({"anyOf": [branch, {}]}),
                "the config: an optional enum is flattened",
            ),
            (
                json!({"patternProperties": {"a": {}, "b": {}}}),
                "keyword `patternProperties`",
            ),
        ] {
            let error = rejected(schema);
            assert!(error.contains(said), "{error}");
        }
    }
}
