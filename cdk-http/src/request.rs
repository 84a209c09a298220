//! A request, kept in parts until it is sent: authenticators and paginators add to the parts.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use cdk_core::{ConnectorError, ErrorContext, Result};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};
use serde_json::{Map, Value};

use crate::url::display;

/// One request.
#[derive(Clone)]
pub struct Request {
    /// Its method.
    pub method: Method,
    /// Where it goes, with the query.
    pub url: Url,
    /// Its headers. `Content-Type` is set from the body when it is missing.
    pub headers: HeaderMap,
    /// What it carries.
    pub body: RequestBody,
    /// How long the whole exchange may take; the transport's setting when it is `None`.
    pub timeout: Option<Duration>,
}

/// What a request carries.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum RequestBody {
    /// Nothing.
    #[default]
    Empty,
    /// Text or bytes as they are.
    Bytes(Bytes),
    /// `application/x-www-form-urlencoded` pairs.
    Form(Vec<(String, String)>),
    /// A JSON document.
    Json(Value),
}

impl Request {
    /// A request without headers and body.
    pub fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            body: RequestBody::Empty,
            timeout: None,
        }
    }

    /// A GET request.
    pub fn get(url: Url) -> Self {
        Self::new(Method::GET, url)
    }

    /// Adds a query parameter behind those that are there.
    pub fn add_query(&mut self, name: &str, value: &str) {
        self.url.query_pairs_mut().append_pair(name, value);
    }

    /// Sets a query parameter, over one of the same name.
    pub fn set_query(&mut self, name: &str, value: &str) {
        if self.url.query_pairs().any(|(key, _)| key == name) {
            let kept: Vec<(String, String)> = self
                .url
                .query_pairs()
                .filter(|(key, _)| key != name)
                .map(|(key, value)| (key.into_owned(), value.into_owned()))
                .collect();
            self.url.query_pairs_mut().clear().extend_pairs(kept);
        }
        self.add_query(name, value);
    }

    /// Sets a header; a name or value that HTTP does not allow is a config error.
    pub fn set_header(&mut self, name: &str, value: &str) -> Result<()> {
        let key = HeaderName::from_bytes(name.as_bytes())
            .config_error(format!("`{name}` is no valid name of a header."))?;
        // Values beyond ASCII go out as UTF-8, as most clients send them.
        let value = HeaderValue::from_bytes(value.as_bytes()).config_error(format!(
            "The value of header `{name}` holds a line break or another control character."
        ))?;
        self.headers.insert(key, value);
        Ok(())
    }

    /// The members of a JSON body, which an empty body becomes.
    pub fn json_object(&mut self) -> Result<&mut Map<String, Value>> {
        if matches!(self.body, RequestBody::Empty) {
            self.body = RequestBody::Json(Value::Object(Map::new()));
        }
        match &mut self.body {
            RequestBody::Json(Value::Object(members)) => Ok(members),
            _ => Err(ConnectorError::config(
                "A field is to be put into the JSON body of a request whose body is no JSON object.",
            )),
        }
    }

    /// The pairs of a form body, which an empty body becomes.
    pub fn form(&mut self) -> Result<&mut Vec<(String, String)>> {
        if matches!(self.body, RequestBody::Empty) {
            self.body = RequestBody::Form(Vec::new());
        }
        match &mut self.body {
            RequestBody::Form(pairs) => Ok(pairs),
            _ => Err(ConnectorError::config(
                "A field is to be put into the form body of a request whose body is no form.",
            )),
        }
    }

    /// Sets `Content-Type` from the body and returns the body's bytes: what goes over the wire.
    pub fn encoded_body(&mut self) -> Option<Bytes> {
        let (bytes, content_type) = match &self.body {
            RequestBody::Empty => return None,
            RequestBody::Bytes(bytes) => return Some(bytes.clone()),
            RequestBody::Form(pairs) => {
                let text = reqwest::Url::parse("http://form.invalid/")
                    .map(|mut url| {
                        url.query_pairs_mut().extend_pairs(pairs);
                        url.query().unwrap_or_default().to_owned()
                    })
                    .unwrap_or_default();
                (Bytes::from(text), "application/x-www-form-urlencoded")
            }
            RequestBody::Json(value) => (Bytes::from(value.to_string()), "application/json"),
        };
        self.headers
            .entry(CONTENT_TYPE)
            .or_insert(HeaderValue::from_static(content_type));
        Some(bytes)
    }

    /// How messages call it: method and URL, without credentials and query.
    pub fn display(&self) -> String {
        format!("{} {}", self.method, display(&self.url))
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither query, headers nor body: any of them may hold secrets.
        f.write_str(&self.display())
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "Empty",
            Self::Bytes(_) => "Bytes",
            Self::Form(_) => "Form",
            Self::Json(_) => "Json",
        })
    }
}

/// Where a value goes into a request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Placement {
    /// A query parameter.
    Query(String),
    /// A header.
    Header(String),
    /// A cookie.
    Cookie(String),
    /// A pair of a form body.
    Form(String),
    /// A member of a JSON body, by its path.
    Json(Vec<String>),
    /// The value is the URL, or a path on the same server.
    Url,
}

impl Placement {
    /// A query parameter.
    pub fn query(name: impl Into<String>) -> Self {
        Self::Query(name.into())
    }

    /// A header.
    pub fn header(name: impl Into<String>) -> Self {
        Self::Header(name.into())
    }

    /// A member of a JSON body; dots separate the steps of its path.
    pub fn json(path: &str) -> Self {
        Self::Json(path.split('.').map(str::to_owned).collect())
    }

    /// Puts `value` there, over an earlier one.
    ///
    /// In a JSON body, the value keeps its type; everywhere else a string is its content and anything else its JSON
    /// text.
    pub fn set(&self, request: &mut Request, value: &Value) -> Result<()> {
        match self {
            Self::Query(name) => {
                request.set_query(name, &text_of(value));
                Ok(())
            }
            Self::Header(name) => request.set_header(name, &text_of(value)),
            Self::Cookie(name) => set_cookie(request, name, &text_of(value)),
            Self::Form(name) => {
                let pairs = request.form()?;
                pairs.retain(|(key, _)| key != name);
                pairs.push((name.clone(), text_of(value)));
                Ok(())
            }
            Self::Json(path) => set_member(request.json_object()?, path, value),
            Self::Url => {
                request.url = crate::url::join(&request.url, &text_of(value))?;
                Ok(())
            }
        }
    }
}

/// A JSON value as the text of a parameter.
pub fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn set_cookie(request: &mut Request, name: &str, value: &str) -> Result<()> {
    let before = request
        .headers
        .get(reqwest::header::COOKIE)
        .and_then(|cookies| cookies.to_str().ok());
    let others = before.into_iter().flat_map(|cookies| cookies.split("; "));
    let mut cookies: Vec<String> = others
        .filter(|cookie| cookie.split('=').next() != Some(name))
        .map(str::to_owned)
        .collect();
    cookies.push(format!("{name}={value}"));
    request.set_header("cookie", &cookies.join("; "))
}

fn set_member(members: &mut Map<String, Value>, path: &[String], value: &Value) -> Result<()> {
    match path {
        [] => Ok(()),
        [last] => {
            members.insert(last.clone(), value.clone());
            Ok(())
        }
        [first, rest @ ..] => {
            let inner = members
                .entry(first.clone())
                .or_insert_with(|| Value::Object(Map::new()));
            match inner {
                Value::Object(inner) => set_member(inner, rest, value),
                _ => Err(ConnectorError::config(format!(
                    "`{first}` in the request's JSON body is no object, so nothing can be put into it."
                ))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn request() -> Request {
        Request::get(Url::parse("https://user:pw@x.example/a?b=1&c=2").unwrap())
    }

    #[test]
    fn debug_shows_neither_credentials_nor_query() {
        let mut request = request();
        request.set_header("authorization", "Bearer abc").unwrap();
        assert_eq!(format!("{request:?}"), "GET https://x.example/a?…");
    }

    #[test]
    fn a_value_goes_where_it_is_told() {
        let mut request = request();
        let set = |request: &mut Request, place: Placement, value: Value| {
            place.set(request, &value).unwrap();
        };
        set(&mut request, Placement::query("b"), json!("é&"));
        set(&mut request, Placement::header("x-key"), json!(5));
        set(&mut request, Placement::Cookie("s".into()), json!("1"));
        set(&mut request, Placement::Cookie("t".into()), json!("2"));
        set(&mut request, Placement::Cookie("s".into()), json!("3"));
        set(&mut request, Placement::json("page.after"), json!(7));
        assert_eq!(request.url.query(), Some("c=2&b=%C3%A9%26"));
        assert_eq!(request.headers["x-key"], "5");
        assert_eq!(request.headers["cookie"], "t=2; s=3");
        assert_eq!(
            request.encoded_body().unwrap(),
            r#"{"page":{"after":7}}"#.as_bytes()
        );
        assert_eq!(request.headers["content-type"], "application/json");
    }

    #[test]
    fn a_form_is_encoded_and_takes_no_json() {
        let mut request = request();
        Placement::Form("a b".into())
            .set(&mut request, &json!("1+1"))
            .unwrap();
        assert_eq!(request.encoded_body().unwrap(), "a+b=1%2B1".as_bytes());
        assert!(
            Placement::json("x").set(&mut request, &json!(1)).is_err(),
            "a form is no JSON"
        );
    }

    #[test]
    fn a_header_with_a_line_break_is_refused() {
        let error = request().set_header("x", "a\r\nb: c").unwrap_err();
        assert!(error.message().contains("line break"), "{error}");
    }
}
