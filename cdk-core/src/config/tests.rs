//! What a user reads when a config is wrong, and what nobody may read.

use airbyte_protocol::FailureType;
use proptest::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::json;

use super::*;
use crate::secret::SecretString;
use crate::spec;

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
struct ShopConfig {
    #[schemars(length(min = 1))]
    host: String,
    port: u16,
    #[schemars(regex(pattern = "^[0-9]{4}$"), extend("airbyte_secret" = true))]
    pin: Option<String>,
    auth: Auth,
    #[serde(default)]
    streams: Vec<StreamConfig>,
    #[schemars(extend("format" = "date"))]
    start_date: Option<String>,
}

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(tag = "method", rename_all = "lowercase")]
enum Auth {
    None,
    Key {
        key: SecretString,
    },
    Login {
        user: String,
        password: SecretString,
        second: Second,
    },
}

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Second {
    Off,
    Code { digits: u8 },
}

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
struct StreamConfig {
    name: String,
    #[serde(default)]
    mode: Mode,
}

#[derive(Debug, PartialEq, Default, Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Mode {
    #[default]
    Fast,
    Careful,
}

fn good() -> Value {
    json!({"host": "h", "port": 1, "auth": {"method": "none"}})
}

/// `good` with `value` at the top-level key.
fn with(key: &str, value: Value) -> Value {
    let mut config = good();
    config[key] = value;
    config
}

fn message(spec: &ConnectorSpecification, config: &Value) -> String {
    let error = validate(spec, config).unwrap_err();
    assert_eq!(error.failure_type(), FailureType::ConfigError);
    assert_eq!(
        error.internal_message(),
        None,
        "the cause would quote values"
    );
    error.message().to_owned()
}

/// The only problem of a shop's config.
fn problem(config: &Value) -> String {
    let message = message(&spec::of::<ShopConfig>(), config);
    let problem = message.strip_prefix("The config has 1 problem: ");
    problem
        .and_then(|text| text.strip_suffix('.'))
        .unwrap_or(&message)
        .to_owned()
}

#[test]
fn a_good_config_is_read_and_its_secrets_are_known() {
    let auth =
        json!({"method": "login", "user": "u", "password": "hunter2", "second": {"kind": "off"}});
    let secrets = Secrets::default();
    let config: ShopConfig =
        parse(&spec::of::<ShopConfig>(), &with("auth", auth), &secrets).unwrap();
    assert_eq!(config.port, 1);
    assert_eq!(secrets.mask("pw hunter2"), "pw ****");
}

#[test]
fn nulls_of_optional_properties_count_as_left_out() {
    let config = json!({
        "host": "h", "port": 1, "pin": null, "start_date": null, "auth": {"method": "none"},
        "streams": [{"name": "s", "mode": null}]
    });
    let config: ShopConfig =
        parse(&spec::of::<ShopConfig>(), &config, &Secrets::default()).unwrap();
    assert_eq!((config.pin, config.start_date), (None, None));
    assert_eq!(config.streams[0].mode, Mode::Fast);
}

#[test]
fn every_problem_is_listed_with_its_path() {
    let config = json!({
        "port": 70000,
        "pin": "12",
        "auth": {"method": "key"},
        "streams": [{"name": 5}, {"mode": "slow"}, "x"],
        "start_date": "tomorrow"
    });
    let expected = "The config has 9 problems: \
        `port`: 70000 is greater than the maximum of 65535; \
        `pin` does not match the pattern `^[0-9]{4}$`; \
        `auth.key` is missing; \
        `streams[0].name` must be a string, not a number; \
        `streams[1].mode` must be one of `fast`, `careful`; \
        `streams[1].name` is missing; \
        `streams[2]` must be an object, not a string; \
        `start_date` is not a date such as 2026-01-31; \
        `host` is missing.";
    assert_eq!(message(&spec::of::<ShopConfig>(), &config), expected);
}

#[test]
fn the_root_is_called_the_config() {
    assert_eq!(
        problem(&json!("x")),
        "the config must be an object, not a string"
    );
}

#[test]
fn keywords_are_explained() {
    for (key, value, said) in [
        ("host", json!(""), "`host` is empty"),
        ("host", json!(null), "`host` must be a string, not null"),
        (
            "port",
            json!(-1),
            "`port`: -1 is less than the minimum of 0",
        ),
        (
            "port",
            json!(1.5),
            "`port` must be an integer, not a fraction",
        ),
        (
            "streams",
            json!({}),
            "`streams` must be a list, not an object",
        ),
    ] {
        assert_eq!(problem(&with(key, value)), said);
    }
}

#[test]
fn a_pattern_with_a_descriptor_is_explained_by_it() {
    let day = json!({"type": "string", "pattern": "^[0-9-]+$", "pattern_descriptor": "YYYY-MM-DD"});
    let spec = ConnectorSpecification::new(json!({"properties": {"day": day}}));
    let expected = "The config has 1 problem: `day` must look like YYYY-MM-DD.";
    assert_eq!(message(&spec, &json!({"day": "today"})), expected);
}

#[test]
fn a_one_of_reports_the_branch_that_the_constant_picks() {
    let login = json!({"method": "login", "user": 1, "password": "p", "second": {"kind": "off"}});
    assert_eq!(
        problem(&with("auth", login)),
        "`auth.user` must be a string, not a number"
    );
    let nested = json!({"kind": "code", "digits": 256});
    let nested = json!({"method": "login", "user": "u", "password": "p", "second": nested});
    let expected = "`auth.second.digits`: 256 is greater than the maximum of 255";
    assert_eq!(problem(&with("auth", nested)), expected);
}

#[test]
fn a_one_of_without_a_known_constant_lists_the_constants() {
    let unknown = json!({"method": "oauth", "key": "hunter2"});
    let expected = "`auth.method` must be one of `none`, `key`, `login`";
    assert_eq!(problem(&with("auth", unknown)), expected);
    let expected = "`auth.method` is missing and must be one of `none`, `key`, `login`";
    assert_eq!(problem(&with("auth", json!({"key": "hunter2"}))), expected);
    assert_eq!(
        problem(&with("auth", json!("key"))),
        "`auth` must be an object, not a string"
    );
}

#[test]
fn alternatives_without_a_constant_are_explained_by_the_one_that_nearly_fits() {
    let spec = ConnectorSpecification::new(json!({"properties": {"v": {"anyOf": [
        {"type": "string"},
        {"title": "Range", "type": "object", "required": ["from"],
         "properties": {"from": {"type": "integer"}}}
    ]}}}));
    let expected = "The config has 1 problem: `v.from` must be an integer, not a string.";
    assert_eq!(message(&spec, &json!({"v": {"from": "x"}})), expected);
    let expected = "The config has 1 problem: `v` must be exactly one of: a string, \"Range\".";
    assert_eq!(message(&spec, &json!({"v": 5})), expected);
}

#[test]
fn constants_behind_references_of_foreign_specs_pick_the_branch_too() {
    let branch = |mode: &str, key: &str| {
        json!({"type": "object", "required": [key], "properties": {
            // The same in every branch, so it picks nothing.
            "version": {"type": "integer", "const": 1},
            "mode": {"type": "string", "const": mode, "default": mode, "enum": [mode]},
            key: {"type": "integer"}
        }})
    };
    let spec = ConnectorSpecification::new(json!({
        "definitions": {"a": branch("a", "x"), "b": branch("b", "y"),
                        "both": {"oneOf": [{"$ref": "#/definitions/a"}, {"$ref": "#/definitions/b"}]}},
        "properties": {"m": {"$ref": "#/definitions/both"}}
    }));
    let expected = "The config has 1 problem: `m.y` is missing.";
    assert_eq!(message(&spec, &json!({"m": {"mode": "b"}})), expected);
    // Without the constant both branches fit, because they do not require it.
    let expected = "The config has 1 problem: `m.mode` is missing and must be one of `a`, `b`.";
    assert_eq!(message(&spec, &json!({"m": {"x": 1, "y": 1}})), expected);
}

#[test]
fn unknown_keys_are_fine() {
    let mut config = with("from_the_future", json!({"a": 1}));
    config["auth"]["more"] = json!(true);
    validate(&spec::of::<ShopConfig>(), &config).unwrap();
}

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Strict {
    a: u16,
    #[serde(default)]
    _b: u16,
}

#[test]
fn exactly_the_two_internal_keys_are_removed() {
    let spec = spec::of::<Strict>();
    let config = json!({"a": 1, "_limit": "x", "_page_size": [], "_b": 2});
    let secrets = Secrets::default();
    assert_eq!(
        parse::<Strict>(&spec, &config, &secrets).unwrap(),
        Strict { a: 1, _b: 2 }
    );
    let error = parse::<Strict>(&spec, &json!({"a": 1, "_c": 2}), &secrets).unwrap_err();
    assert!(error.message().contains("unknown field `_c`"), "{error}");

    let mut config = json!({"z": 1, "_limit": 1, "y": {"_limit": 1}, "_page_size": 1, "_x": 1});
    strip_internal(&mut config);
    assert_eq!(config.to_string(), r#"{"z":1,"y":{"_limit":1},"_x":1}"#);
}

#[test]
fn secrets_never_appear_in_problems() {
    let secret = json!({"airbyte_secret": true});
    let rules = [
        json!({"type": "integer"}),
        json!({"pattern": "^a$"}),
        json!({"maxLength": 2}),
        json!({"format": "uri"}),
        json!({"enum": ["x", "y"]}),
        json!({"const": "x"}),
        json!({"not": {}}),
        json!({"oneOf": [{"type": "integer"}, {"const": 1}]}),
        json!({"type": "object", "properties": {"v": {"type": "object"}}}),
    ];
    for mut rule in rules {
        rule["airbyte_secret"] = secret["airbyte_secret"].clone();
        let spec = ConnectorSpecification::new(json!({"properties": {"k": rule}}));
        for value in [
            json!("hunter2"),
            json!({"v": "hunter2"}),
            json!(["hunter2"]),
        ] {
            if let Err(error) = validate(&spec, &json!({"k": value})) {
                assert!(
                    !format!("{error:?}").contains("hunter2"),
                    "{rule}: {error:?}"
                );
            }
        }
    }
    let spec = ConnectorSpecification::new(
        json!({"properties": {"pin": {"type": "integer", "maximum": 9, "airbyte_secret": true}}}),
    );
    let expected = "The config has 1 problem: `pin` is greater than the maximum of 9.";
    assert_eq!(message(&spec, &json!({"pin": 31337})), expected);
}

#[derive(Debug)]
struct Zone;

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Err(D::Error::custom(format!("no time zone is called {name:?}")))
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[allow(dead_code)]
struct Zoned {
    password: Option<SecretString>,
    #[schemars(with = "Vec<String>")]
    #[serde(default)]
    zones: Vec<Zone>,
    #[schemars(with = "Option<String>", extend("airbyte_secret" = true))]
    hidden_zone: Option<Zone>,
    seats: Option<u16>,
}

fn parse_error(config: &Value) -> String {
    let error = parse::<Zoned>(&spec::of::<Zoned>(), config, &Secrets::default()).unwrap_err();
    assert_eq!(error.failure_type(), FailureType::ConfigError);
    assert_eq!(error.internal_message(), None);
    error.message().to_owned()
}

#[test]
fn a_type_stricter_than_its_schema_names_the_path() {
    let expected = "The config has 1 problem: `zones[0]`: no time zone is called \"Atlantis\".";
    assert_eq!(parse_error(&json!({"zones": ["Atlantis"]})), expected);
    // JSON schema takes 5.0 for an integer, serde does not.
    let error = parse_error(&json!({"seats": 5.0}));
    assert!(
        error.starts_with("The config has 1 problem: `seats`: invalid type: floating point"),
        "{error}"
    );
}

#[test]
fn serde_errors_never_show_secrets() {
    let withheld = "the value is not usable (it is not shown because it may be a secret)";
    let at_the_path = parse_error(&json!({"hidden_zone": "hunter2"}));
    assert_eq!(
        at_the_path,
        format!("The config has 1 problem: `hidden_zone`: {withheld}.")
    );
    let same_text_elsewhere = parse_error(&json!({"password": "hunter2", "zones": ["my hunter2"]}));
    assert!(
        same_text_elsewhere.ends_with("no time zone is called \"my ****\"."),
        "{same_text_elsewhere}"
    );
    let escaped = parse_error(&json!({"password": "p\u{200b}w", "zones": ["p\u{200b}w"]}));
    assert_eq!(
        escaped,
        format!("The config has 1 problem: `zones[0]`: {withheld}.")
    );
}

#[test]
fn secrets_are_registered_even_if_the_config_is_wrong() {
    let secrets = Secrets::default();
    let config = json!({"password": "hunter2", "seats": "x"});
    parse::<Zoned>(&spec::of::<Zoned>(), &config, &secrets).unwrap_err();
    assert_eq!(secrets.mask("hunter2"), "****");
}

#[test]
fn a_schema_that_is_no_schema_is_a_system_error() {
    for schema in [
        json!({"type": "text"}),
        json!({"required": true}),
        json!({"properties": {"a": {"pattern": "((("}}}),
        json!({"$ref": "https://example.com/schema.json"}),
    ] {
        let error = validate(&ConnectorSpecification::new(schema), &json!({})).unwrap_err();
        assert_eq!(error.failure_type(), FailureType::SystemError);
        assert!(
            error.message().contains("not a valid JSON schema"),
            "{error}"
        );
        assert!(error.internal_message().is_some());
    }
}

#[test]
fn a_flood_of_problems_is_counted() {
    let config = with("streams", json!(vec![1; 130]));
    let message = message(&spec::of::<ShopConfig>(), &config);
    assert!(
        message.starts_with("The config has 130 problems: `streams[0]` must be an object"),
        "{message}"
    );
    assert!(
        message.ends_with("`streams[99]` must be an object, not a number; and 30 more."),
        "{message}"
    );
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!("hunter2")),
        Just(json!(null)),
        any::<i64>().prop_map(|number| json!(number)),
        Just(json!("login")),
    ];
    let key = prop::sample::select(vec![
        "host", "port", "pin", "auth", "method", "key", "second", "kind",
    ]);
    leaf.prop_recursive(4, 32, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::hash_map(key.clone(), inner, 0..6).prop_map(|all| json!(all)),
        ]
    })
}

proptest! {
    #[test]
    fn no_config_text_is_ever_quoted_and_what_is_valid_is_readable(config in any_json()) {
        let spec = spec::of::<ShopConfig>();
        match validate(&spec, &config) {
            Ok(()) => {
                let read = parse::<ShopConfig>(&spec, &config, &Secrets::default());
                prop_assert!(read.is_ok(), "{:?}", read);
            }
            Err(error) => prop_assert!(!format!("{error:?}").contains("hunter2"), "{error:?}"),
        }
    }
}
