//! Which requests a policy counts.

use cdk_core::{ErrorContext, Result};
use regex::Regex;
use reqwest::Method;

use crate::request::Request;

/// Matches requests by their parts; all that are given must fit.
#[derive(Debug, Clone)]
pub struct RequestMatcher {
    method: Option<Method>,
    base: Option<String>,
    path: Option<Regex>,
    params: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    weight: u32,
}

impl Default for RequestMatcher {
    fn default() -> Self {
        Self {
            method: None,
            base: None,
            path: None,
            params: Vec::new(),
            headers: Vec::new(),
            weight: 1,
        }
    }
}

impl RequestMatcher {
    /// Matches all requests.
    pub fn new() -> Self {
        Self::default()
    }

    /// Matches this method.
    #[must_use]
    pub fn method(mut self, method: Method) -> Self {
        self.method = Some(method);
        self
    }

    /// Matches URLs of this scheme, host and port, as in `https://api.example.com`.
    #[must_use]
    pub fn base(mut self, base: impl Into<String>) -> Self {
        self.base = Some(base.into().trim_end_matches('/').to_owned());
        self
    }

    /// Matches paths in which `regex` is found.
    ///
    /// # Panics
    /// If `regex`, which is part of a connector's code, is not valid. For patterns from outside there is
    /// [`try_path`](Self::try_path).
    #[must_use]
    pub fn path(self, regex: &str) -> Self {
        self.try_path(regex)
            .expect("a connector's own pattern is valid")
    }

    /// Matches paths in which `regex` is found; one that is not valid is a config error.
    pub fn try_path(mut self, regex: &str) -> Result<Self> {
        let regex = Regex::new(regex).config_error(format!(
            "`{regex}` is no valid regular expression for a path."
        ))?;
        self.path = Some(regex);
        Ok(self)
    }

    /// Matches URLs with this query parameter.
    #[must_use]
    pub fn param(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.params.push((name.into(), value.into()));
        self
    }

    /// Matches requests with this header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Counts each of its requests as so many.
    #[must_use]
    pub fn weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }

    /// How many requests `request` counts as, if it matches.
    pub fn weight_of(&self, request: &Request) -> Option<u32> {
        let url = &request.url;
        let has_param = |(name, value): &(String, String)| {
            url.query_pairs()
                .any(|(key, text)| key == *name && text == *value)
        };
        let has_header = |(name, value): &(String, String)| {
            let header = request.headers.get(name);
            header.is_some_and(|header| header.as_bytes() == value.as_bytes())
        };
        let matches = self.method.as_ref().is_none_or(|it| *it == request.method)
            && self.is_base_of(request)
            && self.path.as_ref().is_none_or(|it| it.is_match(url.path()))
            && self.params.iter().all(has_param)
            && self.headers.iter().all(has_header);
        matches.then_some(self.weight)
    }

    fn is_base_of(&self, request: &Request) -> bool {
        let Some(base) = &self.base else { return true };
        let url = request.url.as_str();
        url.strip_prefix(base.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::Url;

    #[test]
    fn all_given_parts_must_fit() {
        let matcher = RequestMatcher::new()
            .method(Method::GET)
            .base("https://api.example.com/")
            .path("^/v1/users$")
            .param("active", "true")
            .header("x-kind", "full")
            .weight(3);
        let mut request =
            Request::get(Url::parse("https://api.example.com/v1/users?active=true").unwrap());
        assert_eq!(matcher.weight_of(&request), None);
        request.set_header("x-kind", "full").unwrap();
        assert_eq!(matcher.weight_of(&request), Some(3));
        request.url = Url::parse("https://api.example.com.evil.example/v1/users").unwrap();
        assert_eq!(matcher.weight_of(&request), None);
    }
}
