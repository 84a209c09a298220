//! The way to the next page, when the config doesn't say.

use cdk_core::Result;
use cdk_http::paginate::{LinkHeader, NextUrl, Page, Paginator};
use cdk_http::{Request, json};
use serde_json::Value;

/// Where APIs put the URL of the next page.
const PLACES: [&str; 12] = [
    "next",
    "next_url",
    "next_page",
    "next_page_url",
    "nextLink",
    "@odata.nextLink",
    "links.next",
    "_links.next.href",
    "meta.next",
    "paging.next",
    "pagination.next",
    "pagination.next_url",
];

/// Follows a `Link` header, or a URL at a usual place. What is no URL there is left alone.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct AutoPages;

impl Paginator for AutoPages {
    fn apply(&self, token: Option<&Value>, request: &mut Request) -> Result<()> {
        LinkHeader.apply(token, request)
    }

    fn next(&self, page: &Page<'_>) -> Result<Option<Value>> {
        if let Some(next) = LinkHeader.next(page)? {
            return Ok(Some(next));
        }
        let envelope = page.envelope.unwrap_or_default();
        for place in PLACES {
            let steps = match place.starts_with('@') {
                true => vec![place.to_owned()],
                false => json::path(place),
            };
            let link = json::scalar_at(envelope, &steps);
            let is_url = |link: &String| {
                ["http://", "https://", "/", "?"]
                    .iter()
                    .any(|start| link.starts_with(start))
            };
            if link.as_ref().is_some_and(is_url) {
                return NextUrl::at(steps).next(page);
            }
        }
        Ok(None)
    }
}
