//! The usual ways from page to page.

use cdk_core::Result;
use serde_json::Value;

use crate::json;
use crate::paginate::{Page, Paginator};
use crate::request::{Placement, Request};
use crate::url;

/// One page only.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoPages;

impl Paginator for NoPages {
    fn apply(&self, _: Option<&Value>, _: &mut Request) -> Result<()> {
        Ok(())
    }

    fn next(&self, _: &Page<'_>) -> Result<Option<Value>> {
        Ok(None)
    }
}

/// How many records a page shall have, and where that is said.
#[derive(Debug, Clone)]
struct Size {
    placement: Option<Placement>,
    records: u64,
}

impl Size {
    fn apply(&self, request: &mut Request) -> Result<()> {
        match &self.placement {
            Some(placement) => placement.set(request, &Value::from(self.records)),
            None => Ok(()),
        }
    }
}

/// The last page is the one with fewer records than asked for; without a size, the one without records.
fn is_last(page: &Page<'_>, size: Option<&Size>) -> bool {
    page.records < size.map_or(1, |size| size.records.max(1))
}

/// Pages are numbered.
///
/// ```
/// use cdk_http::Placement;
/// use cdk_http::paginate::PageNumbers;
///
/// let pages = PageNumbers::new(Placement::query("page")).size(Placement::query("per_page"), 100);
/// ```
#[derive(Debug, Clone)]
pub struct PageNumbers {
    placement: Placement,
    start: u64,
    size: Option<Size>,
    stops_at_empty: bool,
}

impl PageNumbers {
    /// Numbers from 1 on; the read ends at the first page without records.
    pub fn new(placement: Placement) -> Self {
        Self {
            placement,
            start: 1,
            size: None,
            stops_at_empty: false,
        }
    }

    /// Sets the first number.
    #[must_use]
    pub fn start(mut self, start: u64) -> Self {
        self.start = start;
        self
    }

    /// Asks for pages of so many records; the read ends at the first shorter page.
    #[must_use]
    pub fn size(mut self, placement: Placement, records: u64) -> Self {
        let placement = Some(placement);
        self.size = Some(Size { placement, records });
        self
    }

    /// The API gives pages of so many records without being asked; the read ends at the first shorter page.
    #[must_use]
    pub fn expect_size(mut self, records: u64) -> Self {
        let placement = None;
        self.size = Some(Size { placement, records });
        self
    }

    /// Ends the read at the first page without records, not at a short one: for APIs that filter pages after they cut
    /// them.
    #[must_use]
    pub fn until_empty(mut self) -> Self {
        self.stops_at_empty = true;
        self
    }
}

impl Paginator for PageNumbers {
    fn first(&self) -> Option<Value> {
        Some(Value::from(self.start))
    }

    fn apply(&self, token: Option<&Value>, request: &mut Request) -> Result<()> {
        if let Some(token) = token {
            self.placement.set(request, token)?;
        }
        self.size
            .as_ref()
            .map_or(Ok(()), |size| size.apply(request))
    }

    fn next(&self, page: &Page<'_>) -> Result<Option<Value>> {
        let size = self.size.as_ref().filter(|_| !self.stops_at_empty);
        if is_last(page, size) {
            return Ok(None);
        }
        let number = page.token.and_then(Value::as_u64).unwrap_or(self.start);
        Ok(Some(Value::from(number + 1)))
    }

    /// They grow, so there is nothing to remember.
    fn has_unique_tokens(&self) -> bool {
        false
    }
}

/// Pages begin at an offset in the whole list.
#[derive(Debug, Clone)]
pub struct OffsetPages {
    placement: Placement,
    size: Size,
    stops_at_empty: bool,
}

impl OffsetPages {
    /// Offsets from 0 on, pages of `records` records; the read ends at the first shorter page.
    pub fn new(offset: Placement, limit: Placement, records: u64) -> Self {
        let placement = Some(limit);
        Self {
            placement: offset,
            size: Size { placement, records },
            stops_at_empty: false,
        }
    }

    /// Ends the read at the first page without records, not at a short one: for APIs that cap the size of pages below
    /// what was asked for.
    #[must_use]
    pub fn until_empty(mut self) -> Self {
        self.stops_at_empty = true;
        self
    }
}

impl Paginator for OffsetPages {
    fn first(&self) -> Option<Value> {
        Some(Value::from(0))
    }

    fn apply(&self, token: Option<&Value>, request: &mut Request) -> Result<()> {
        if let Some(token) = token {
            self.placement.set(request, token)?;
        }
        self.size.apply(request)
    }

    fn next(&self, page: &Page<'_>) -> Result<Option<Value>> {
        if is_last(page, Some(&self.size).filter(|_| !self.stops_at_empty)) {
            return Ok(None);
        }
        let offset = page.token.and_then(Value::as_u64).unwrap_or(0);
        Ok(Some(Value::from(offset + page.records)))
    }

    /// They grow, so there is nothing to remember.
    fn has_unique_tokens(&self) -> bool {
        false
    }
}

/// Where an answer says what comes next.
#[derive(Debug, Clone)]
enum Found {
    Body(Vec<String>),
    Header(String),
    LastRecord(Vec<String>),
}

impl Found {
    /// The value there; `None` when it is missing, null, false or an empty text.
    fn value(&self, page: &Page<'_>) -> Option<Value> {
        let value = match self {
            Self::Body(path) => json::value_at(page.envelope?, path)?,
            Self::LastRecord(path) => json::value_at(page.last_record?, path)?,
            Self::Header(name) => Value::from(page.headers.get(name)?.to_str().ok()?),
        };
        let is_nothing = match &value {
            Value::Null | Value::Bool(false) => true,
            Value::String(text) => text.is_empty(),
            _ => false,
        };
        (!is_nothing).then_some(value)
    }
}

/// Each answer holds a token for the next page.
///
/// ```
/// use cdk_http::Placement;
/// use cdk_http::paginate::CursorPages;
///
/// // {"items": […], "meta": {"cursor": "abc", "has_more": true}}
/// let pages = CursorPages::in_body("meta.cursor", Placement::query("after")).while_true("meta.has_more");
/// ```
#[derive(Debug, Clone)]
pub struct CursorPages {
    found: Found,
    placement: Placement,
    more: Option<Vec<String>>,
    size: Option<Size>,
}

impl CursorPages {
    fn new(found: Found, placement: Placement) -> Self {
        Self {
            found,
            placement,
            more: None,
            size: None,
        }
    }

    /// The token is at this path of the body; the read ends when it is missing, null or empty.
    pub fn in_body(path: &str, placement: Placement) -> Self {
        Self::new(Found::Body(json::path(path)), placement)
    }

    /// The token is in this header.
    pub fn in_header(name: impl Into<String>, placement: Placement) -> Self {
        Self::new(Found::Header(name.into()), placement)
    }

    /// The token is at this path of the last record; the read ends at a page without records.
    pub fn in_last_record(path: &str, placement: Placement) -> Self {
        Self::new(Found::LastRecord(json::path(path)), placement)
    }

    /// Ends the read unless the value at this path of the body is true.
    #[must_use]
    pub fn while_true(mut self, path: &str) -> Self {
        self.more = Some(json::path(path));
        self
    }

    /// Asks for pages of so many records.
    #[must_use]
    pub fn size(mut self, placement: Placement, records: u64) -> Self {
        let placement = Some(placement);
        self.size = Some(Size { placement, records });
        self
    }
}

impl Paginator for CursorPages {
    fn apply(&self, token: Option<&Value>, request: &mut Request) -> Result<()> {
        if let Some(token) = token {
            self.placement.set(request, token)?;
        }
        self.size
            .as_ref()
            .map_or(Ok(()), |size| size.apply(request))
    }

    fn next(&self, page: &Page<'_>) -> Result<Option<Value>> {
        if let Some(more) = &self.more {
            let envelope = page.envelope.unwrap_or_default();
            if json::value_at::<bool, _>(envelope, more) != Some(true) {
                return Ok(None);
            }
        }
        Ok(self.found.value(page))
    }
}

/// Each answer holds the URL of the next page, whole or relative.
#[derive(Debug, Clone)]
pub struct NextUrl {
    found: Found,
    size: Option<Size>,
}

impl NextUrl {
    /// The URL is at this path of the body; the read ends when it is missing, null or empty.
    pub fn in_body(path: &str) -> Self {
        Self::at(json::path(path))
    }

    /// The same for the path of these steps, whose names may hold dots.
    pub fn at(path: Vec<String>) -> Self {
        Self {
            found: Found::Body(path),
            size: None,
        }
    }

    /// The URL is in this header.
    pub fn in_header(name: impl Into<String>) -> Self {
        Self {
            found: Found::Header(name.into()),
            size: None,
        }
    }

    /// Asks for a first page of so many records; the URLs of the others say it themselves.
    #[must_use]
    pub fn size(mut self, placement: Placement, records: u64) -> Self {
        let placement = Some(placement);
        self.size = Some(Size { placement, records });
        self
    }
}

impl Paginator for NextUrl {
    fn apply(&self, token: Option<&Value>, request: &mut Request) -> Result<()> {
        match (&self.size, token) {
            (Some(size), None) => size.apply(request),
            _ => go_to(token, request),
        }
    }

    fn next(&self, page: &Page<'_>) -> Result<Option<Value>> {
        let Some(Value::String(link)) = self.found.value(page) else {
            return Ok(None);
        };
        let next = url::follow(page.url, &link)?;
        Ok(Some(Value::from(next.as_str())))
    }
}

/// Sends the request to the URL that the token is, which brings its own query.
pub(super) fn go_to(token: Option<&Value>, request: &mut Request) -> Result<()> {
    if let Some(Value::String(next)) = token {
        request.url = url::parse(next)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderMap;
    use reqwest::{StatusCode, Url};

    /// Token and query of each page, walked over `pages` (records and envelope of each).
    fn walk(paginator: &dyn Paginator, pages: &[(u64, &str)]) -> Vec<String> {
        let url = Url::parse("https://x.example/list?a=1").unwrap();
        let headers = HeaderMap::new();
        let mut token = paginator.first();
        let mut seen = Vec::new();
        for (records, envelope) in pages {
            let mut request = Request::get(url.clone());
            paginator.apply(token.as_ref(), &mut request).unwrap();
            let shown = request.url.as_str().strip_prefix("https://x.example");
            seen.push(shown.unwrap().to_owned());
            let page = Page {
                token: token.as_ref(),
                status: StatusCode::OK,
                headers: &headers,
                url: &request.url,
                envelope: Some(envelope),
                records: *records,
                last_record: Some(r#"{"id":"r7"}"#),
            };
            match paginator.next(&page).unwrap() {
                Some(next) => token = Some(next),
                None => {
                    seen.push("end".to_owned());
                    break;
                }
            }
        }
        seen
    }

    #[test]
    fn numbered_pages_end_at_a_short_or_an_empty_one() {
        let pages = PageNumbers::new(Placement::query("page"));
        let sized = pages.clone().size(Placement::query("n"), 2).start(0);
        assert_eq!(
            walk(&sized, &[(2, ""), (1, "")]),
            ["/list?a=1&page=0&n=2", "/list?a=1&page=1&n=2", "end"]
        );
        assert_eq!(
            walk(&pages, &[(2, ""), (1, ""), (0, "")]),
            [
                "/list?a=1&page=1",
                "/list?a=1&page=2",
                "/list?a=1&page=3",
                "end"
            ]
        );
        assert_eq!(walk(&sized.until_empty(), &[(1, ""), (0, "")]).len(), 3);
    }

    #[test]
    fn offsets_grow_by_what_came() {
        let pages = OffsetPages::new(Placement::query("o"), Placement::query("l"), 3);
        assert_eq!(
            walk(&pages, &[(3, ""), (3, ""), (0, "")]),
            [
                "/list?a=1&o=0&l=3",
                "/list?a=1&o=3&l=3",
                "/list?a=1&o=6&l=3",
                "end"
            ]
        );
    }

    #[test]
    fn tokens_are_found_in_body_and_last_record() {
        let pages = CursorPages::in_body("m.next", Placement::query("c"));
        assert_eq!(
            walk(
                &pages,
                &[(1, r#"{"m":{"next":5}}"#), (1, r#"{"m":{"next":""}}"#)]
            ),
            ["/list?a=1", "/list?a=1&c=5", "end"]
        );
        let guarded = pages.while_true("more");
        assert_eq!(
            walk(&guarded, &[(1, r#"{"m":{"next":5},"more":false}"#)]).len(),
            2
        );
        let last = CursorPages::in_last_record("id", Placement::query("after"));
        assert_eq!(walk(&last, &[(1, ""), (1, "")])[1], "/list?a=1&after=r7");
    }

    #[test]
    fn next_urls_are_followed_with_their_own_query() {
        let pages = NextUrl::in_body("next").size(Placement::query("n"), 9);
        assert_eq!(
            walk(
                &pages,
                &[
                    (1, r#"{"next":"?p=2"}"#),
                    (1, r#"{"next":"https://x.example/b?p=3"}"#),
                    (1, "{}")
                ]
            ),
            ["/list?a=1&n=9", "/list?p=2", "/b?p=3", "end"]
        );
    }
}
