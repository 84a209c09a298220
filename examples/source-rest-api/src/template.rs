//! Values of the config in parameters: `{{ config['start_date'] }}`.

use cdk_core::{ConnectorError, Result};
use serde_json::Value;

/// `text` with each `{{ config['key'] }}` (also `config["key"]`, `config.key` and deeper ones) replaced by that value.
///
/// A text that is nothing but one of them is the value itself, of whatever type. `place` names the stream and the
/// parameter in errors.
pub(crate) fn render(text: &str, config: &Value, place: &str) -> Result<Value> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((expression, after)) = after.split_once("}}") else {
            break;
        };
        let value = lookup(expression.trim(), config, place)?;
        if before.is_empty() && out.is_empty() && after.is_empty() {
            return Ok(value);
        }
        out.push_str(before);
        match &value {
            Value::String(text) => out.push_str(text),
            other => out.push_str(&other.to_string()),
        }
        rest = after;
    }
    out.push_str(rest);
    Ok(Value::String(out))
}

fn lookup(expression: &str, config: &Value, place: &str) -> Result<Value> {
    let unknown = || {
        ConnectorError::config(format!(
            "{place} holds `{{{{ {expression} }}}}`, which is not understood. Write it like \
             `{{{{ config['start_date'] }}}}`."
        ))
    };
    let path = expression.strip_prefix("config").ok_or_else(unknown)?;
    let steps = steps(path)
        .filter(|steps| !steps.is_empty())
        .ok_or_else(unknown)?;
    let mut value = config;
    for step in &steps {
        value = value
            .get(step)
            .filter(|value| !value.is_null())
            .ok_or_else(|| {
                ConnectorError::config(format!(
                    "{place} needs the key `{}` of the config, which is missing. Add it.",
                    steps.join(".")
                ))
            })?;
    }
    Ok(value.clone())
}

/// The keys in `['a']["b"].c`.
fn steps(path: &str) -> Option<Vec<&str>> {
    let mut steps = Vec::new();
    let mut rest = path.trim_start();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('[') {
            let (quoted, after) = after.split_once(']')?;
            let quoted = quoted.trim();
            let key = ['\'', '"'].iter().find_map(|quote| {
                quoted
                    .strip_prefix(*quote)
                    .and_then(|text| text.strip_suffix(*quote))
            })?;
            steps.push(key);
            rest = after.trim_start();
        } else {
            let after = rest.strip_prefix('.')?;
            let end = after.find(['.', '[']).unwrap_or(after.len());
            let (key, after) = after.split_at(end);
            steps.push(key.trim());
            rest = after;
        }
    }
    Some(steps)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_of_the_config_are_put_in() {
        let config = json!({"start_date": "2024-01-01", "a": {"b c": 5}, "list": [1, "é"]});
        for (text, expected) in [
            ("plain", json!("plain")),
            ("{{ config['start_date'] }}", json!("2024-01-01")),
            ("from {{config.start_date}} on", json!("from 2024-01-01 on")),
            ("{{ config.a[\"b c\"] }}", json!(5)),
            ("{{ config['list'] }}", json!([1, "é"])),
            ("{{ open", json!("{{ open")),
        ] {
            assert_eq!(render(text, &config, "x").unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_missing_or_unknown_is_named() {
        let place = "Stream orders, parameter `start_date`,";
        let error = render("{{ config['since'] }}", &json!({"since": null}), place).unwrap_err();
        assert!(
            error.message().contains("parameter `start_date`"),
            "{error}"
        );
        assert!(error.message().contains("`since`"), "{error}");
        let error = render("{{ now() }}", &json!({}), place).unwrap_err();
        assert!(error.message().contains("now()"), "{error}");
    }
}
