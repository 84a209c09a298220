//! The whole way from config types to specs: one golden spec, and Airbyte's rules over many types.

use std::collections::{BTreeMap, HashSet};

use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use super::*;
use crate::secret::SecretString;

/// Where rows come from
#[derive(Deserialize, JsonSchema)]
#[schemars(extend("groups" = [{"id": "auth", "title": "Sign-in"}]))]
#[allow(dead_code)]
struct ShopConfig {
    /// Name of the server,
    /// without a scheme
    #[schemars(example = &"shop.example.com")]
    host: String,
    #[serde(default = "default_port")]
    port: u16,
    /// How to sign in.
    #[schemars(title = "Sign-in", extend("group" = "auth", "display_type" = "radio", "order" = 0))]
    auth: Auth,
    /// Reads rows from this day on
    #[schemars(
        regex(pattern = r"^\d{4}-\d{2}-\d{2}$"),
        extend("format" = "date", "pattern_descriptor" = "YYYY-MM-DD")
    )]
    start_date: Option<String>,
    #[serde(default)]
    compression: Compression,
    #[serde(default)]
    fallback: Option<Compression>,
    tunnel: Option<Tunnel>,
    /// What to read.
    #[schemars(length(min = 1))]
    streams: Vec<StreamConfig>,
    ratio: Option<f64>,
    #[schemars(extend("airbyte_hidden" = true, "always_show" = true))]
    debug_level: Option<i64>,
}

fn default_port() -> u16 {
    443
}

#[derive(Deserialize, JsonSchema)]
#[serde(tag = "method", rename_all = "snake_case")]
#[allow(dead_code)]
enum Auth {
    /// Nobody signs in
    None,
    #[schemars(title = "API key")]
    Key {
        #[schemars(extend("multiline" = true))]
        api_key: SecretString,
    },
    Login(Login),
}

#[derive(Deserialize, JsonSchema)]
#[allow(dead_code)]
struct Login {
    user: String,
    password: Option<SecretString>,
    #[serde(rename = "2fa")]
    second: Second,
}

#[derive(Deserialize, JsonSchema)]
#[serde(tag = "kind")]
#[allow(dead_code)]
enum Second {
    Off,
    Code { seed: SecretString },
}

#[derive(Deserialize, Serialize, JsonSchema, Default)]
#[serde(rename_all = "lowercase")]
#[allow(dead_code)]
enum Compression {
    #[default]
    None,
    /// Slow and small.
    Xz,
    Gzip,
}

#[derive(Deserialize, JsonSchema)]
#[allow(dead_code)]
struct Tunnel {
    jump_host: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct StreamConfig {
    name: String,
    #[serde(default)]
    key: Vec<String>,
}

fn golden_second_factor() -> Value {
    json!({
        "title": "2fa", "type": "object", "order": 3,
        "oneOf": [
            {"title": "Off", "type": "object", "required": ["kind"], "properties": {
                "kind": {"title": "Kind", "type": "string", "order": 0, "const": "Off"}
            }},
            {"title": "Code", "type": "object", "required": ["kind", "seed"], "properties": {
                "kind": {"title": "Kind", "type": "string", "order": 0, "const": "Code"},
                "seed": {"title": "Seed", "type": "string", "order": 1, "airbyte_secret": true}
            }}
        ]
    })
}

fn golden_auth() -> Value {
    json!({
        "title": "Sign-in", "description": "How to sign in.", "type": "object", "order": 0,
        "group": "auth", "display_type": "radio",
        "oneOf": [
            {"title": "None", "description": "Nobody signs in.", "type": "object", "required": ["method"],
             "properties": {
                "method": {"title": "Method", "type": "string", "order": 0, "const": "none"}
            }},
            {"title": "API key", "type": "object", "required": ["method", "api_key"], "properties": {
                "method": {"title": "Method", "type": "string", "order": 0, "const": "key"},
                "api_key": {"title": "API Key", "type": "string", "order": 1,
                            "airbyte_secret": true, "multiline": true}
            }},
            {"title": "Login", "type": "object", "required": ["method", "user", "2fa"], "properties": {
                "method": {"title": "Method", "type": "string", "order": 0, "const": "login"},
                "user": {"title": "User", "type": "string", "order": 1},
                "password": {"title": "Password", "type": "string", "order": 2, "airbyte_secret": true},
                "2fa": golden_second_factor()
            }}
        ]
    })
}

#[test]
fn a_config_type_becomes_this_spec() {
    let expected = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Shop Config",
        "description": "Where rows come from.",
        "type": "object",
        "groups": [{"id": "auth", "title": "Sign-in"}],
        "required": ["host", "auth", "streams"],
        "properties": {
            "host": {"title": "Host", "description": "Name of the server, without a scheme.",
                     "type": "string", "order": 1, "examples": ["shop.example.com"]},
            "port": {"title": "Port", "type": "integer", "order": 2,
                     "minimum": 0, "maximum": 65535, "default": 443},
            "auth": golden_auth(),
            "start_date": {"title": "Start Date", "description": "Reads rows from this day on.",
                           "type": "string", "order": 3, "pattern": r"^\d{4}-\d{2}-\d{2}$",
                           "format": "date", "pattern_descriptor": "YYYY-MM-DD"},
            "compression": {"title": "Compression", "type": "string", "order": 4,
                            "default": "none", "enum": ["none", "gzip", "xz"]},
            "fallback": {"title": "Fallback", "type": "string", "order": 5,
                         "enum": ["none", "gzip", "xz"]},
            "tunnel": {"title": "Tunnel", "type": "object", "order": 6, "required": ["jump_host"],
                       "properties": {"jump_host": {"title": "Jump Host", "type": "string", "order": 0}}},
            "streams": {"title": "Streams", "description": "What to read.", "type": "array", "order": 7,
                        "minItems": 1, "items": {
                "type": "object", "required": ["name"], "properties": {
                    "name": {"title": "Name", "type": "string", "order": 0},
                    "key": {"title": "Key", "type": "array", "order": 1, "default": [],
                            "items": {"type": "string"}}
                }
            }},
            "ratio": {"title": "Ratio", "type": "number", "order": 8},
            "debug_level": {"title": "Debug Level", "type": "integer", "order": 9,
                            "airbyte_hidden": true, "always_show": true}
        },
        "additionalProperties": true
    });
    let spec = of::<ShopConfig>();
    assert_eq!(spec.connection_specification, expected);
    assert_eq!(
        spec.protocol_version.as_deref(),
        Some(airbyte_protocol::PROTOCOL_VERSION)
    );
}

#[test]
fn keywords_stand_in_reading_order() {
    let text = of::<Tunnel>().connection_specification.to_string();
    let expected = concat!(
        r#"{"$schema":"http://json-schema.org/draft-07/schema#","title":"Tunnel","type":"object","#,
        r#""required":["jump_host"],"properties":{"jump_host":{"title":"Jump Host","type":"string","#,
        r#""order":0}},"additionalProperties":true}"#
    );
    assert_eq!(text, expected);
}

#[derive(Deserialize, JsonSchema)]
struct Nothing {}

#[test]
fn a_config_without_fields_is_still_an_object() {
    let schema = of::<Nothing>().connection_specification;
    assert_eq!(schema["type"], "object");
    assert_eq!(schema["properties"], json!({}));
    assert_eq!(schema["required"], json!([]));
}

#[derive(Deserialize, JsonSchema)]
#[allow(dead_code)]
struct Flat {
    #[serde(flatten)]
    tunnel: Tunnel,
    #[serde(flatten)]
    auth: Auth,
    map: BTreeMap<u32, SecretString>,
    free: Option<serde_json::Value>,
    pair: Option<(String, u8)>,
    either: Either,
    outside: Outside,
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[allow(dead_code)]
enum Either {
    Text(String),
    Number(i64),
}

#[derive(Deserialize, JsonSchema)]
#[allow(dead_code)]
enum Outside {
    Unit,
    Text(String),
    Struct { a: u32 },
}

#[test]
fn flattened_structs_and_enums_keep_their_fields() {
    let schema = of::<Flat>().connection_specification;
    assert_eq!(schema["properties"]["jump_host"]["type"], "string");
    assert_eq!(
        schema["oneOf"][1]["properties"]["api_key"]["airbyte_secret"],
        true
    );
    assert_eq!(
        schema["properties"]["map"]["additionalProperties"]["airbyte_secret"],
        true
    );
}

#[derive(Deserialize, JsonSchema)]
#[allow(dead_code)]
struct Tree {
    children: Vec<Tree>,
}

#[test]
#[should_panic(
    expected = "The config type Tree has no Airbyte spec: the config, children, items: \
                           the type contains itself."
)]
fn a_recursive_config_type_is_refused_with_its_place() {
    of::<Tree>();
}

#[test]
fn specs_of_all_kinds_of_types_keep_airbytes_rules() {
    for schema in [
        of::<ShopConfig>(),
        of::<Flat>(),
        of::<Nothing>(),
        of::<Auth>(),
        of::<StreamConfig>(),
    ] {
        let schema = schema.connection_specification;
        assert_eq!(broken_rules(&schema), Vec::<String>::new());
        assert!(jsonschema::draft7::meta::is_valid(&schema));
    }
}

/// Airbyte's acceptance rules that hold for every schema of a spec.
fn broken_rules(schema: &Value) -> Vec<String> {
    const FORBIDDEN: [&str; 13] = [
        "$ref",
        "definitions",
        "not",
        "anyOf",
        "allOf",
        "patternProperties",
        "prefixItems",
        "if",
        "then",
        "else",
        "dependentSchemas",
        "dependentRequired",
        "unevaluatedProperties",
    ];
    let mut schema = schema.clone();
    let Value::Object(object) = &mut schema else {
        return vec![format!("not an object: {schema}")];
    };
    let mut broken: Vec<String> = FORBIDDEN
        .iter()
        .filter(|key| object.contains_key(**key))
        .map(|key| key.to_string())
        .collect();
    let mut rule = |name: &str, is_kept: bool| {
        if !is_kept {
            broken.push(format!("{name}: {object:?}"));
        }
    };
    rule("one type", !object.get("type").is_some_and(Value::is_array));
    rule(
        "no null default",
        object.get("default") != Some(&Value::Null),
    );
    rule(
        "open objects",
        object.get("additionalProperties") != Some(&json!(false)),
    );
    rule(
        "const alone",
        !object.contains_key("const") || !object.contains_key("enum"),
    );
    if let Some(Value::Object(properties)) = object.get("properties") {
        let orders: HashSet<_> = properties
            .values()
            .filter_map(|one| one["order"].as_u64())
            .collect();
        rule("unique orders", orders.len() == properties.len());
        rule(
            "titles",
            properties.values().all(|one| one["title"].is_string()),
        );
    }
    for (_, child) in children(object) {
        broken.extend(broken_rules(child));
    }
    broken
}

/// Schemas as derives nest them: optional, documented, tagged, flattened.
fn derived_schema() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(true)),
        Just(json!({"type": "string", "default": null})),
        Just(json!({"type": ["integer", "null"], "format": "int64"})),
        Just(json!({"type": ["string", "null"], "enum": ["a", null]})),
        Just(
            json!({"oneOf": [{"type": "string", "const": "a"}, {"type": "string", "enum": ["b"]}]})
        ),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let object =
            prop::collection::btree_map("[a-z_]{1,6}", inner.clone(), 0..4).prop_map(|all| {
                let required: Vec<_> = all.keys().cloned().collect();
                json!({"type": "object", "properties": all, "required": required})
            });
        let tagged = object.clone().prop_map(|mut branch| {
            branch["properties"]["tag"] = json!({"type": "string", "const": "one"});
            let other = json!({"type": "object", "properties": {"tag": {"const": "two"}}});
            json!({"oneOf": [branch, other]})
        });
        prop_oneof![
            object.clone(),
            tagged,
            inner
                .clone()
                .prop_map(|one| json!({"anyOf": [one, {"type": "null"}], "default": null})),
            inner
                .clone()
                .prop_map(|one| json!({"type": "array", "items": one})),
            (object.clone(), object)
                .prop_map(|(a, b)| json!({"allOf": [a, b], "description": "d"})),
            inner.prop_map(
                |one| json!({"patternProperties": {"^\\d+$": one}, "additionalProperties": false})
            ),
        ]
    })
}

proptest! {
    #[test]
    fn no_derived_schema_breaks_airbytes_rules(mut schema in derived_schema()) {
        let before = schema.clone();
        shape::reshape(&mut schema, "the config").map_err(TestCaseError::fail)?;
        annotate::annotate(&mut schema);
        prop_assert_eq!(broken_rules(&schema), Vec::<String>::new(), "{}", before);
        prop_assert!(jsonschema::draft7::meta::is_valid(&schema), "{}", schema);
    }
}
