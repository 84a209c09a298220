//! Requests that a test expects.

use serde_json::Value;

use crate::http::SeenRequest;

/// A request that shall come. What is not said may be anything; query parameters that are not named must not be there
/// once one is named, or [`no_query`](Self::no_query) says so.
#[derive(Debug, Clone)]
pub struct Expect {
    method: String,
    path: String,
    query: Option<Vec<(String, String)>>,
    headers: Vec<(String, String)>,
    json: Option<Value>,
    form: Option<Vec<(String, String)>>,
    pub(super) times: usize,
}

impl Expect {
    /// A request with this method and path.
    pub fn new(method: &str, path: &str) -> Self {
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            query: None,
            headers: Vec::new(),
            json: None,
            form: None,
            times: 1,
        }
    }

    /// A GET request of this path.
    pub fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    /// A POST request to this path.
    pub fn post(path: &str) -> Self {
        Self::new("POST", path)
    }

    /// With this query parameter.
    pub fn query(mut self, name: &str, value: &str) -> Self {
        let query = self.query.get_or_insert_default();
        query.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Without any query parameter.
    pub fn no_query(mut self) -> Self {
        self.query.get_or_insert_default();
        self
    }

    /// With this header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers
            .push((name.to_ascii_lowercase(), value.to_owned()));
        self
    }

    /// With this JSON body.
    pub fn json(mut self, body: Value) -> Self {
        self.json = Some(body);
        self
    }

    /// With a form body of exactly these pairs, in any order.
    pub fn form<'a>(mut self, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let pairs = pairs.into_iter();
        self.form = Some(
            pairs
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        );
        self
    }

    /// So many times; once by default.
    pub fn times(mut self, times: usize) -> Self {
        self.times = times;
        self
    }

    /// Why `request` is not the one; `None` if it is.
    pub(super) fn mismatch(&self, request: &SeenRequest) -> Option<String> {
        if self.method != request.method || self.path != request.path {
            return Some(format!("expected {} {}", self.method, self.path));
        }
        if let Some(query) = &self.query
            && sorted(query) != sorted(&request.query)
        {
            return Some(format!(
                "expected the query {query:?}, got {:?}",
                request.query
            ));
        }
        for (name, value) in &self.headers {
            if request.header(name) != Some(value) {
                return Some(format!("expected another `{name}` header"));
            }
        }
        if let Some(json) = &self.json
            && request.json().as_ref() != Some(json)
        {
            return Some(format!("expected the body {json}"));
        }
        if let Some(form) = &self.form
            && sorted(form) != sorted(&request.form())
        {
            return Some("expected another form body".to_owned());
        }
        None
    }
}

fn sorted(pairs: &[(String, String)]) -> Vec<&(String, String)> {
    let mut pairs: Vec<_> = pairs.iter().collect();
    pairs.sort();
    pairs
}
