//! Other spellings of the config: the keys of the integration guide (`Default Schema`, `SSL Mode: prefer`,
//! `Normalization: {Mode: Basic}`).

use cdk_normalize::Normalization;
use serde_json::{Map, Value, json};

/// Keys in words, folded, and the key of the spec.
const KEYS: [(&str, &str); 8] = [
    ("defaultschema", "schema"),
    ("user", "username"),
    ("utilisateur", "username"),
    ("motdepasse", "password"),
    ("dbname", "database"),
    ("hote", "host"),
    ("modessl", "ssl_mode"),
    ("normalisation", "normalization"),
];

/// The keys of the spec that are also found in other spellings (`SSL Mode`, `raw-data-schema`).
const SPEC: [&str; 18] = [
    "host",
    "port",
    "database",
    "schema",
    "username",
    "password",
    "ssl",
    "ssl_mode",
    "jdbc_url_params",
    "tunnel_method",
    "raw_data_schema",
    "cdc_deletion_mode",
    "disable_type_dedupe",
    "drop_cascade",
    "unconstrained_number",
    "raw_tables",
    "normalization",
    "max_connections",
];

/// Brings a config to the keys and values of the spec. What is unknown stays as it is; a key of the spec wins over
/// other spellings of it.
pub(crate) fn normalize(config: Value) -> Value {
    let Value::Object(members) = config else {
        return config;
    };
    let mut config = renamed(members);
    if let Some(mode @ Value::String(_)) = config.get_mut("ssl_mode") {
        *mode = json!({"mode": mode.take()});
    }
    if let Some(normalization) = config.get_mut("normalization") {
        *normalization = Normalization::spelt_out(normalization.take());
    }
    if let Some(Value::String(version)) = config.get_mut("raw_tables") {
        *version = version.to_ascii_lowercase();
    }
    Value::Object(config)
}

fn renamed(members: Map<String, Value>) -> Map<String, Value> {
    let mut config = Map::new();
    for (key, value) in members.clone() {
        if SPEC.contains(&key.as_str()) {
            config.insert(key, value);
        }
    }
    for (key, value) in members {
        if SPEC.contains(&key.as_str()) {
            continue;
        }
        let folded = fold(&key);
        let known = SPEC.iter().find(|name| fold(name) == folded);
        let alias = || {
            KEYS.iter()
                .find(|(other, _)| *other == folded)
                .map(|(_, name)| name)
        };
        let name = known.or_else(alias).map_or(key, |name| (*name).to_owned());
        config.entry(name).or_insert(value);
    }
    config
}

/// Letters and digits, in lower case and without accents of French.
fn fold(text: &str) -> String {
    let letters = text
        .chars()
        .flat_map(char::to_lowercase)
        .filter_map(|char| {
            Some(match char {
                'é' | 'è' | 'ê' => 'e',
                'ô' => 'o',
                char if char.is_alphanumeric() => char,
                _ => return None,
            })
        });
    letters.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_config_of_the_guide_is_understood() {
        let guide = json!({
            "Host": "postgres", "Port": 5432, "Database": "analytics_db", "Username": "analytics_user",
            "Password": "secret", "Default Schema": "public", "SSL Mode": "prefer", "Normalization": {"Mode": "Basic"},
        });
        let expected = json!({
            "host": "postgres", "port": 5432, "database": "analytics_db", "username": "analytics_user",
            "password": "secret", "schema": "public", "ssl_mode": {"mode": "prefer"}, "normalization": {"mode": "basic"},
        });
        assert_eq!(normalize(guide), expected);
        assert_eq!(normalize(expected.clone()), expected);
    }

    #[test]
    fn a_key_of_the_spec_wins() {
        let config = normalize(json!({"Default Schema": "a", "schema": "b", "other": 1}));
        assert_eq!(config, json!({"schema": "b", "other": 1}));
    }
}
