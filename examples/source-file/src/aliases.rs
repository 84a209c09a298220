//! Other spellings of the config: keys in words, and the URL nested in the provider.

use serde_json::{Map, Value};

/// Brings a config to the keys and values of the spec, so that it can be validated against it.
///
/// - Keys in words (`Dataset Name`, `URL`, `User Agent`) get their canonical names.
/// - `format` and `storage` are found whatever their case (`CSV`, `https`); `provider: HTTPS` is
///   short for `provider: {storage: HTTPS}`.
/// - `provider.user_provided_storage.url` moves to `url`.
/// - `reader_options` given as an object becomes its text.
///
/// A canonical key wins over its aliases (`url` over a nested one that differs, with a warning); what is
/// unknown stays as it is.
pub fn normalize(config: Value) -> Value {
    let Value::Object(members) = config else {
        return config;
    };
    let mut config = renamed(
        members,
        &[
            "dataset_name",
            "format",
            "reader_options",
            "url",
            "provider",
        ],
    );
    if let Some(Value::String(format)) = config.get_mut("format") {
        *format = format.to_ascii_lowercase();
    }
    if let Some(options @ Value::Object(_)) = config.get_mut("reader_options") {
        *options = Value::String(options.to_string());
    }
    let nested = match config.get_mut("provider") {
        Some(provider) => normalize_provider(provider),
        None => None,
    };
    if let Some(nested) = nested {
        match config.get("url") {
            Some(url) if *url != nested => tracing::warn!(
                "The config holds two different URLs: `url` is read, the one in \
                 `provider.user_provided_storage` is not."
            ),
            Some(_) => {}
            None => drop(config.insert("url".to_owned(), nested)),
        }
    }
    Value::Object(config)
}

/// Normalises the provider in place and takes the URL out of it.
fn normalize_provider(provider: &mut Value) -> Option<Value> {
    if let Value::String(storage) = provider {
        let storage = Value::String(std::mem::take(storage));
        *provider = Value::Object(Map::from_iter([("storage".to_owned(), storage)]));
    }
    let Value::Object(members) = provider else {
        return None;
    };
    let mut members = renamed(
        std::mem::take(members),
        &["storage", "user_agent", "user_provided_storage"],
    );
    if let Some(Value::String(storage)) = members.get_mut("storage") {
        match storage.to_ascii_lowercase().as_str() {
            "https" | "http" => *storage = "HTTPS".to_owned(),
            "local" => *storage = "local".to_owned(),
            _ => {}
        }
    }
    let nested = match members.remove("user_provided_storage") {
        Some(Value::Object(nested)) => renamed(nested, &["url"]).remove("url"),
        _ => None,
    };
    *provider = Value::Object(members);
    nested
}

/// Gives the members whose names are spellings of one in `names` that name.
fn renamed(members: Map<String, Value>, names: &[&str]) -> Map<String, Value> {
    let canonical = |key: &str| {
        let spelled = key.trim().to_ascii_lowercase().replace([' ', '-'], "_");
        names
            .iter()
            .find(|name| **name == spelled)
            .map(|name| (*name).to_owned())
    };
    let (exact, others): (Vec<_>, Vec<_>) = members
        .into_iter()
        .partition(|(key, _)| names.contains(&key.as_str()));
    let mut renamed: Map<_, _> = exact.into_iter().collect();
    for (key, value) in others {
        match canonical(&key) {
            Some(name) => drop(renamed.entry(name).or_insert(value)),
            None => drop(renamed.insert(key, value)),
        }
    }
    renamed
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_guides_words_become_canonical_keys() {
        let config = json!({
            "Dataset Name": "sales_data",
            "URL": "https://x.example/sales.csv",
            "Format": "CSV",
            "Provider": {
                "Storage": "HTTPS",
                "User Provided Storage": {"URL": "https://x.example/sales.csv"}
            }
        });
        let expected = json!({
            "dataset_name": "sales_data",
            "url": "https://x.example/sales.csv",
            "format": "csv",
            "provider": {"storage": "HTTPS"}
        });
        assert_eq!(normalize(config), expected);
    }

    #[test]
    fn a_nested_url_alone_becomes_the_url() {
        let config = json!({"dataset_name": "a", "provider": {
            "storage": "https", "user_provided_storage": {"url": "https://x.example/a"}}});
        let normal = normalize(config);
        assert_eq!(normal["url"], "https://x.example/a");
        assert_eq!(normal["provider"], json!({"storage": "HTTPS"}));
    }

    #[test]
    fn of_two_different_urls_the_canonical_one_is_read() {
        let config = json!({"url": "https://a.example/", "provider": {
            "user_provided_storage": {"url": "https://b.example/"}}});
        assert_eq!(normalize(config)["url"], "https://a.example/");
    }

    #[test]
    fn canonical_keys_win_and_unknown_ones_stay() {
        let config = json!({"Format": "jsonl", "format": "csv", "Colour": 1,
            "reader_options": {"sep": ";"}, "provider": "LOCAL"});
        let expected = json!({"format": "csv", "Colour": 1,
            "reader_options": r#"{"sep":";"}"#, "provider": {"storage": "local"}});
        assert_eq!(normalize(config), expected);
    }
}
