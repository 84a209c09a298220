//! Requests as Python's `requests` library would send them.

use cdk_core::{ConnectorError, ErrorContext, Result};
use cdk_http::{Request, Url};
use serde_json::{Map, Value};

use crate::template::python_text;

/// The URL of a request. Not naming a scheme is an error of the manifest or the config.
pub(crate) fn url(text: &str) -> Result<Url> {
    let url = Url::parse(text.trim()).system_error(
        "The URL of a request is not valid. Check the URL in the manifest and the config values it is made of.",
    )?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        scheme => Err(ConnectorError::config(format!(
            "The URL of a request starts with `{scheme}:`, but only http and https can be read."
        ))),
    }
}

/// The URL of `path` below `base`, as `urljoin` has it: a path with a scheme replaces the base.
pub(crate) fn join(base: &str, path: &str) -> Result<Url> {
    if path.is_empty() {
        return url(base);
    }
    let base = match base.ends_with('/') {
        true => base.to_owned(),
        false => format!("{base}/"),
    };
    if base == "/" {
        return url(path);
    }
    let joined = url(&base)?.join(path).system_error(
        "The URL of a request is not valid. Check `path` in the manifest and the config values it is made of.",
    )?;
    let mut joined = url(joined.as_str())?;
    if !path.starts_with('/') && !path.contains("://") {
        without_empty_steps(&mut joined);
    }
    Ok(joined)
}

/// Python's `urljoin` drops empty steps inside of the path.
fn without_empty_steps(url: &mut Url) {
    let steps: Vec<&str> = url.path().split('/').collect();
    let last = steps.len() - 1;
    let kept = steps.iter().enumerate();
    let kept = kept.filter(|(at, step)| *at == 0 || *at == last || !step.is_empty());
    let kept: Vec<&str> = kept.map(|(_, step)| *step).collect();
    if kept.len() < steps.len() {
        let path = kept.join("/");
        url.set_path(&path);
    }
}

/// Parameters that the URL has already with the same value are not sent twice.
pub(crate) fn without_repeats(url: &Url, params: Map<String, Value>) -> Map<String, Value> {
    let mut params = params;
    let mut seen: Vec<String> = Vec::new();
    for (name, value) in url.query_pairs() {
        // Of several values of a name the first counts; empty ones don't.
        if value.is_empty() || seen.iter().any(|seen| *seen == name) {
            continue;
        }
        if params
            .get(name.as_ref())
            .is_some_and(|own| python_text(own) == value)
        {
            params.shift_remove(name.as_ref());
        }
        seen.push(name.into_owned());
    }
    params
}

/// Pairs of a query or form: lists repeat the name, also lists and keys inside of them; nulls are left out.
pub(crate) fn pairs(fields: &Map<String, Value>) -> Vec<(String, String)> {
    let mut pairs = Vec::with_capacity(fields.len());
    for (name, value) in fields {
        match value {
            Value::Null => {}
            Value::Array(items) => {
                let items = items.iter().filter(|item| !item.is_null());
                let texts = items.flat_map(|item| match item {
                    Value::Array(items) => items.iter().map(python_text).collect(),
                    Value::Object(map) => map.keys().cloned().collect(),
                    item => vec![python_text(item)],
                });
                pairs.extend(texts.map(|text| (name.clone(), text)));
            }
            // Python iterates an object's keys here.
            Value::Object(map) => pairs.extend(map.keys().map(|key| (name.clone(), key.clone()))),
            other => pairs.push((name.clone(), python_text(other))),
        }
    }
    pairs
}

/// Adds parameters behind those the URL has.
pub(crate) fn add_params(url: &mut Url, params: &Map<String, Value>) {
    let pairs = pairs(params);
    if !pairs.is_empty() {
        url.query_pairs_mut().extend_pairs(pairs);
    }
}

/// Sets headers; blanks around values are dropped.
pub(crate) fn set_headers(request: &mut Request, headers: &Map<String, Value>) -> Result<()> {
    for (name, value) in headers {
        request.set_header(name, python_text(value).trim())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[allow(clippy::needless_pass_by_value)] // So that a call may say `json!({…})`.
    fn object(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn paths_join_like_urljoin() {
        for (base, path, expected) in [
            ("https://x.example/v1", "a/b", "https://x.example/v1/a/b"),
            (
                "https://x.example/v1/",
                "a?b=1",
                "https://x.example/v1/a?b=1",
            ),
            ("https://x.example/v1", "", "https://x.example/v1"),
            (
                "https://x.example/v1",
                "https://y.example/z",
                "https://y.example/z",
            ),
            ("https://x.example/v1", "../w", "https://x.example/w"),
            (
                "https://x.example//v1/",
                "a//b/",
                "https://x.example/v1/a/b/",
            ),
        ] {
            assert_eq!(join(base, path).unwrap().as_str(), expected);
        }
        assert!(join("x.example", "a").is_err());
        assert!(join("ftp://x.example", "a").is_err());
    }

    #[test]
    fn parameters_of_the_url_are_not_repeated() {
        let url = url("https://x.example/?a=1&b=2&c=").unwrap();
        let params = object(json!({"a": 1, "b": 3, "c": ""}));
        assert_eq!(
            Value::Object(without_repeats(&url, params)),
            json!({"b": 3, "c": ""})
        );
    }

    #[test]
    fn lists_repeat_the_name_and_booleans_are_pythons() {
        let fields =
            object(json!({"a": [1, "x", ["y"], {"k": 2}, []], "b": true, "c": null, "d": ""}));
        let expected = [
            ("a", "1"),
            ("a", "x"),
            ("a", "y"),
            ("a", "k"),
            ("b", "True"),
            ("d", ""),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(pairs(&fields), expected);
    }
}
