//! A response as components see it.

use std::sync::Arc;

use bytes::Bytes;
use cdk_core::{ErrorContext, Result};
use cdk_http::header::HeaderMap;
use cdk_http::{StatusCode, Url};
use serde_json::{Map, Value};

use super::body::Body;
use crate::decoder::Decoder;

/// A response whose body is there.
#[derive(Debug, Clone)]
pub(crate) struct PageResponse {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) url: Url,
    pub(crate) body: Body,
    /// The headers it was asked for with.
    pub(crate) asked_with: Option<Arc<Map<String, Value>>>,
}

impl PageResponse {
    /// A page that came with something else, as if it had been fetched.
    pub(crate) fn of_json(page: &Value) -> Result<Self> {
        let url = Url::parse("http://parent.invalid/").system_error("A constant URL is valid.")?;
        Ok(Self {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            url,
            body: Bytes::from(page.to_string()).into(),
            asked_with: None,
        })
    }

    /// False for error statuses: their bodies hold no records.
    pub(crate) fn is_ok(&self) -> bool {
        self.status.as_u16() < 400
    }

    /// The first document of the body.
    pub(crate) fn first_document(&self, decoder: &Decoder) -> Result<Value> {
        decoder.first(&self.body)
    }

    /// The body as JSON, `{}` when it is none.
    pub(crate) fn json(&self) -> Value {
        let json = self.body.json();
        json.unwrap_or_else(|| Value::Object(Map::new()))
    }

    /// What templates of later requests see of it: its JSON, its headers, the headers of its request.
    pub(crate) fn context(&self) -> Value {
        let mut context = match self.json() {
            Value::Object(map) => map,
            _ => Map::new(),
        };
        let asked_with = self.asked_with.as_deref().cloned().unwrap_or_default();
        context.entry("headers").or_insert_with(|| self.headers());
        context
            .entry("request")
            .or_insert_with(|| serde_json::json!({ "headers": asked_with }));
        Value::Object(context)
    }

    /// Headers by name, in lower case and in the usual spelling: how the server spelled them is lost on the way.
    pub(crate) fn headers(&self) -> Value {
        let mut map = Map::with_capacity(self.headers.len());
        for name in self.headers.keys() {
            let values = self.headers.get_all(name).iter();
            let values: Vec<_> = values
                .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
                .collect();
            let values = Value::from(values.join(", "));
            map.insert(title_case(name.as_str()), values.clone());
            map.insert(name.as_str().to_owned(), values);
        }
        Value::Object(map)
    }

    /// The same with `link` replaced by its parsed links, by relation.
    pub(crate) fn headers_with_links(&self) -> Value {
        let mut headers = self.headers();
        let links = headers.get("link").and_then(Value::as_str).map(links);
        if let Value::Object(map) = &mut headers {
            map.insert("link".to_owned(), Value::Object(links.unwrap_or_default()));
        }
        headers
    }
}

/// `x-next-page` as `X-Next-Page`.
fn title_case(name: &str) -> String {
    let parts = name.split('-').map(|part| {
        let (first, rest) = part.split_at(part.len().min(1));
        first.to_ascii_uppercase() + rest
    });
    parts.collect::<Vec<_>>().join("-")
}

/// Parses a `Link` header as the `requests` library does.
fn links(header: &str) -> Map<String, Value> {
    let mut by_relation = Map::new();
    let is_quote = |c: char| c == '\'' || c == '"' || c == ' ';
    let header = header.trim_matches(is_quote);
    for link in split_links(header) {
        let (url, parameters) = link.split_once(';').unwrap_or((link, ""));
        let mut fields = Map::new();
        let url = url.trim_matches(['<', '>', ' ', '\'', '"']);
        fields.insert("url".to_owned(), url.into());
        for parameter in parameters.split(';') {
            let Some((name, value)) = parameter.split_once('=') else {
                break;
            };
            fields.insert(
                name.trim_matches(is_quote).to_owned(),
                value.trim_matches(is_quote).into(),
            );
        }
        let relation = fields.get("rel").or_else(|| fields.get("url"));
        if let Some(relation) = relation.and_then(Value::as_str).map(str::to_owned) {
            by_relation.insert(relation, Value::Object(fields));
        }
    }
    by_relation
}

/// Links are separated by a comma, blanks and `<`.
fn split_links(header: &str) -> Vec<&str> {
    let mut links = Vec::new();
    let mut start = 0;
    for (at, _) in header.match_indices(',') {
        let rest = header[at + 1..].trim_start_matches(' ');
        if rest.starts_with('<') {
            links.push(&header[start..at]);
            start = header.len() - rest.len() + 1;
        }
    }
    if start < header.len() {
        links.push(&header[start..]);
    }
    links
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn links_are_found_by_relation() {
        let header = r#"<https://x/a?p=2>; rel="next", <https://x/a?p=9,9>; rel="last"; title="t""#;
        assert_eq!(
            Value::Object(links(header)),
            json!({"next": {"url": "https://x/a?p=2", "rel": "next"},
                   "last": {"url": "https://x/a?p=9,9", "rel": "last", "title": "t"}})
        );
        assert!(links("").is_empty());
    }
}
