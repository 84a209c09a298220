//! From page to page, until there is none.

mod kinds;
mod link;

use std::fmt::Debug;

use cdk_core::Result;
use reqwest::header::HeaderMap;
use reqwest::{StatusCode, Url};
use serde_json::Value;

use crate::request::Request;

pub use kinds::{CursorPages, NextUrl, NoPages, OffsetPages, PageNumbers};
pub use link::{LinkHeader, link_of};

/// Knows the way from one page to the next.
///
/// A token stands for a page; it is saved in states, so that an interrupted read goes on at its page. Called by many
/// tasks at once.
pub trait Paginator: Debug + Send + Sync + 'static {
    /// The token of the first page, if it has one.
    fn first(&self) -> Option<Value> {
        None
    }

    /// Asks for the page of `token` (the first page if it is `None`).
    fn apply(&self, token: Option<&Value>, request: &mut Request) -> Result<()>;

    /// The token of the page behind `page`, or `None` if it is the last.
    fn next(&self, page: &Page<'_>) -> Result<Option<Value>>;

    /// Whether tokens are to be remembered: one that comes twice on the way through the pages then ends the read with an
    /// error instead of going on for ever. No need for tokens that grow.
    fn has_unique_tokens(&self) -> bool {
        true
    }
}

/// A page that was read.
#[derive(Debug, Clone, Copy)]
pub struct Page<'a> {
    /// The token it was asked for with.
    pub token: Option<&'a Value>,
    /// The status of the answer.
    pub status: StatusCode,
    /// The headers of the answer.
    pub headers: &'a HeaderMap,
    /// Where the answer came from.
    pub url: &'a Url,
    /// What stands in the body around the records, as JSON text.
    pub envelope: Option<&'a str>,
    /// Records on the page, before any filter.
    pub records: u64,
    /// The last of them.
    pub last_record: Option<&'a str>,
}
