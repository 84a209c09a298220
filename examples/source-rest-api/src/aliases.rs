//! Other spellings of the config: keys in words, and types of authentication as people call them.

use serde_json::{Map, Value, json};

/// Brings a config to the keys and values of the spec, so that it can be validated against it.
///
/// - Keys in words (`URL Base`, `Authentication`) get their canonical names, at the top, in the authentication and in
///   endpoints. Parameters and headers keep theirs.
/// - `Bearer Token`, `API Key`… become the types of the spec.
/// - A secret given as a list of one text (`[API_TOKEN]` in YAML) is that text.
/// - Methods are found whatever their case.
/// - Parameters and headers may be an object of names and values, body and schema any JSON.
///
/// A canonical key wins over its aliases; what is unknown stays as it is.
pub fn normalize(config: Value) -> Value {
    let Value::Object(members) = config else {
        return config;
    };
    let mut members = renamed(members);
    if let Some(Value::Object(authentication)) = members.get_mut("authentication") {
        normalize_authentication(authentication);
    }
    if let Some(Value::Array(endpoints)) = members.get_mut("endpoints") {
        endpoints.iter_mut().for_each(normalize_endpoint);
    }
    Value::Object(members)
}

fn normalize_authentication(members: &mut Map<String, Value>) {
    *members = renamed(std::mem::take(members));
    if let Some(Value::String(kind)) = members.get_mut("type") {
        let known = match canonical(kind).as_str() {
            "none" | "no_auth" | "no_authentication" => "none",
            "bearer" | "bearer_token" | "token" => "bearer",
            "api_key" | "apikey" => "api_key",
            "basic" | "basic_auth" | "basic_http" => "basic",
            "oauth2" | "oauth" | "oauth_2.0" | "oauth2.0" => "oauth2",
            _ => return,
        };
        *kind = known.to_owned();
    }
    for secret in ["token", "api_key", "password", "client_secret"] {
        if let Some(Value::Array(items)) = members.get_mut(secret)
            && let [Value::String(text)] = items.as_slice()
        {
            let text = Value::from(text.as_str());
            members.insert(secret.to_owned(), text);
        }
    }
}

fn normalize_endpoint(endpoint: &mut Value) {
    let Value::Object(members) = endpoint else {
        return;
    };
    let mut own = renamed(std::mem::take(members));
    if let Some(Value::String(method)) = own.get_mut("http_method") {
        method.make_ascii_uppercase();
    }
    for key in ["params", "headers"] {
        if let Some(named) = own.get_mut(key) {
            *named = listed(std::mem::take(named));
        }
    }
    for key in ["body", "json_schema"] {
        if let Some(json) = own
            .get_mut(key)
            .filter(|json| !json.is_string() && !json.is_null())
        {
            *json = Value::String(json.to_string());
        }
    }
    *members = own;
}

/// An object of names and values as a list of both; a list of values as several.
fn listed(named: Value) -> Value {
    let Value::Object(members) = named else {
        return named;
    };
    let mut list = Vec::new();
    for (name, value) in members {
        let values = match value {
            Value::Array(values) => values,
            Value::Null => Vec::new(),
            value => vec![value],
        };
        for value in values {
            let text = match value {
                Value::String(text) => text,
                other => other.to_string(),
            };
            list.push(json!({"name": name, "value": text}));
        }
    }
    Value::Array(list)
}

fn canonical(name: &str) -> String {
    name.trim().to_ascii_lowercase().replace([' ', '-'], "_")
}

/// Keys of one word, which are found whatever their case.
const WORDS: [&str; 14] = [
    "name",
    "authentication",
    "endpoints",
    "concurrency",
    "type",
    "token",
    "username",
    "password",
    "scopes",
    "path",
    "params",
    "headers",
    "body",
    "pagination",
];

/// Gives members whose names are words their canonical names; those that are there already win. A name of one word that
/// the spec doesn't know is the user's own (`startDate`) and stays.
fn renamed(members: Map<String, Value>) -> Map<String, Value> {
    let is_ours = |key: &str| key.contains([' ', '-']) || WORDS.contains(&canonical(key).as_str());
    let (exact, others): (Vec<_>, Vec<_>) = members
        .into_iter()
        .partition(|(key, _)| canonical(key) == *key || !is_ours(key));
    let mut renamed: Map<_, _> = exact.into_iter().collect();
    for (key, value) in others {
        renamed.entry(canonical(&key)).or_insert(value);
    }
    renamed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guides_words_become_the_keys_of_the_spec() {
        let config = json!({
            "Name": "External API",
            "URL Base": "https://api.example.com/v1",
            "Authentication": {"Type": "Bearer Token", "Token": ["API_TOKEN"]},
            "Endpoints": [{"name": "orders", "path": "/orders", "HTTP Method": "get",
                "params": {"Start Date": "{{ config['start_date'] }}", "n": [1, "a"]}, "body": {"a": 1}}]
        });
        let expected = json!({
            "name": "External API",
            "url_base": "https://api.example.com/v1",
            "authentication": {"type": "bearer", "token": "API_TOKEN"},
            "endpoints": [{"name": "orders", "path": "/orders", "http_method": "GET",
                "params": [{"name": "Start Date", "value": "{{ config['start_date'] }}"},
                    {"name": "n", "value": "1"}, {"name": "n", "value": "a"}], "body": "{\"a\":1}"}]
        });
        assert_eq!(normalize(config), expected);
    }

    #[test]
    fn canonical_keys_win_and_unknown_types_stay() {
        let config = json!({"URL Base": "a", "url_base": "b", "startDate": 1, "authentication": {"type": "Magic"}});
        assert_eq!(
            normalize(config),
            json!({"url_base": "b", "startDate": 1, "authentication": {"type": "Magic"}})
        );
    }
}
