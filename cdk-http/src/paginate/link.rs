//! The `Link` header (RFC 8288, before RFC 5988).

use cdk_core::Result;
use serde_json::Value;

use crate::paginate::{Page, Paginator};
use crate::request::Request;
use crate::url;

/// The next page is where the `Link` header with `rel="next"` says.
#[derive(Debug, Clone, Copy, Default)]
pub struct LinkHeader;

impl Paginator for LinkHeader {
    fn apply(&self, token: Option<&Value>, request: &mut Request) -> Result<()> {
        super::kinds::go_to(token, request)
    }

    fn next(&self, page: &Page<'_>) -> Result<Option<Value>> {
        let headers = page.headers.get_all("link").iter();
        let values = headers.filter_map(|value| value.to_str().ok());
        let link = values.into_iter().find_map(|value| link_of(value, "next"));
        let next = link.map(|link| url::follow(page.url, &link)).transpose()?;
        Ok(next.map(|url| Value::from(url.as_str())))
    }
}

/// The target of the link with relation `rel` in the value of a `Link` header.
pub fn link_of(header: &str, rel: &str) -> Option<String> {
    let mut rest = header;
    while let Some((_, after)) = rest.split_once('<') {
        let (target, after) = after.split_once('>')?;
        // The parameters end where the next link begins.
        let end = after.find(",").and_then(|_| next_link(after));
        let (parameters, next) = after.split_at(end.unwrap_or(after.len()));
        let has_rel = parameters.split(';').any(|parameter| {
            let Some((name, value)) = parameter.split_once('=') else {
                return false;
            };
            let value = value.trim().trim_end_matches(',').trim().trim_matches('"');
            name.trim().eq_ignore_ascii_case("rel")
                && value
                    .split_ascii_whitespace()
                    .any(|one| one.eq_ignore_ascii_case(rel))
        });
        if has_rel {
            return Some(target.trim().to_owned());
        }
        rest = next;
    }
    None
}

/// Where the next link begins: a comma outside of quotes, then `<`.
fn next_link(parameters: &str) -> Option<usize> {
    let mut is_quoted = false;
    for (at, character) in parameters.char_indices() {
        match character {
            '"' => is_quoted = !is_quoted,
            '<' if !is_quoted => return Some(at),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_link_of_a_relation_is_found() {
        let header = r#"<https://a.example/?p=1,2>; title="x, <y>"; rel="prev", <?p=3>; rel=next , </last>; rel="last first""#;
        assert_eq!(
            link_of(header, "prev").as_deref(),
            Some("https://a.example/?p=1,2")
        );
        assert_eq!(link_of(header, "next").as_deref(), Some("?p=3"));
        assert_eq!(link_of(header, "first").as_deref(), Some("/last"));
        assert_eq!(link_of(header, "self"), None);
        assert_eq!(link_of("nonsense", "next"), None);
        assert_eq!(link_of("<unclosed", "next"), None);
    }
}
