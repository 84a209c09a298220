//! URLs: parsed, joined, and shown without what may be secret.

use cdk_core::{ConnectorError, ErrorContext, Result};
use reqwest::Url;

/// Parses the URL of an API. Without a scheme it is an `https` one.
///
/// The error does not repeat the text: it may hold a password.
pub fn parse(text: &str) -> Result<Url> {
    let text = text.trim();
    let with_scheme = match text.contains("://") {
        true => text.to_owned(),
        false => format!("https://{text}"),
    };
    let url = Url::parse(&with_scheme).config_error(
        "The URL is not valid. Write it like https://api.example.com/v1, with nothing but letters, digits, dots and \
         hyphens in the host.",
    )?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        scheme => Err(ConnectorError::config(format!(
            "The URL starts with {scheme}://, but only https:// and http:// can be read."
        ))),
    }
}

/// The URL of `path` below `base`.
///
/// A whole URL replaces the base. `/customers` and `customers` both go below the base's path, and its query stays
/// unless the path brings its own.
pub fn join(base: &Url, path: &str) -> Result<Url> {
    let path = path.trim();
    if path.starts_with("https://") || path.starts_with("http://") {
        return parse(path);
    }
    let (path, query) = match path.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (path, None),
    };
    let mut url = base.clone();
    if !path.is_empty() {
        let whole = format!(
            "{}/{}",
            base.path().trim_end_matches('/'),
            path.trim_start_matches('/')
        );
        url.set_path(&whole);
    }
    if query.is_some() {
        url.set_query(query);
    }
    Ok(url)
}

/// The URL of a link found in an answer to a request for `from`: whole, or relative as in a web page.
pub fn follow(from: &Url, link: &str) -> Result<Url> {
    from.join(link.trim()).config_error(format!(
        "The API names a next page whose URL is not valid, in its answer to {}.",
        display(from)
    ))
}

/// The URL as messages may show it: without user, password and query.
pub fn display(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url
        .port()
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    let query = if url.query().is_some() { "?…" } else { "" };
    format!("{}://{host}{port}{}{query}", url.scheme(), url.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_go_below_the_base() {
        let base = parse("api.example.com/v1/?k=1").unwrap();
        for (path, expected) in [
            ("/customers", "https://api.example.com/v1/customers?k=1"),
            ("customers?a=b", "https://api.example.com/v1/customers?a=b"),
            ("", "https://api.example.com/v1/?k=1"),
            ("http://other.example/x", "http://other.example/x"),
        ] {
            assert_eq!(join(&base, path).unwrap().as_str(), expected, "{path}");
        }
    }

    #[test]
    fn links_are_relative_to_where_they_were_found() {
        let from = parse("https://api.example.com/v1/customers?page=1").unwrap();
        for (link, expected) in [
            ("?page=2", "https://api.example.com/v1/customers?page=2"),
            ("/v2/x", "https://api.example.com/v2/x"),
            ("https://b.example/", "https://b.example/"),
        ] {
            assert_eq!(follow(&from, link).unwrap().as_str(), expected);
        }
    }

    #[test]
    fn messages_show_no_credentials() {
        let url = parse("https://user:pass@x.example:8443/a?X-Signature=abc#part").unwrap();
        assert_eq!(display(&url), "https://x.example:8443/a?…");
        for bad in ["s3://user:pass@bucket/a", "https://user:pass@:x"] {
            let error = parse(bad).unwrap_err();
            assert!(!error.message().contains("pass"), "{error}");
        }
    }
}
