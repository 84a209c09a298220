//! A record on its way from a response to the sync.

use std::ops::Range;
use std::sync::Arc;

use bytestring::ByteString;
use cdk_core::{ConnectorError, Result};
use serde_json::Value;

use crate::raw_json::{self, Item, Span};

/// A record.
#[derive(Debug, Clone)]
pub(crate) enum Record {
    /// As it stands in a response.
    Slice(Slice),
    /// The text of an object some of whose members have changed.
    Text(Changed),
    /// A tree.
    Tree(Value),
}

/// A part of a page.
#[derive(Debug, Clone)]
pub(crate) struct Slice {
    page: Arc<Page>,
    item: Item,
}

/// A response that is JSON, and where the members of its records are that something looks at.
#[derive(Debug)]
struct Page {
    text: ByteString,
    spans: Vec<Span>,
    wanted: Arc<[String]>,
}

/// The text of a changed object.
#[derive(Debug, Clone, Default)]
pub(crate) struct Changed {
    pub(crate) text: String,
    /// Where values of the members are that something looks at, with the members' names by number.
    pub(crate) values: Vec<(usize, Range<usize>)>,
    pub(crate) wanted: Arc<[String]>,
    pub(crate) has_nulls: bool,
}

impl Record {
    /// Its text, unless it is a tree.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Slice(slice) => Some(slice.text()),
            Self::Text(changed) => Some(&changed.text),
            Self::Tree(_) => None,
        }
    }

    /// False when no member at the top is null.
    pub(crate) fn may_have_nulls(&self) -> bool {
        match self {
            Self::Slice(slice) => slice.item.has_nulls,
            Self::Text(changed) => changed.has_nulls,
            Self::Tree(_) => true,
        }
    }

    /// A top-level field.
    pub(crate) fn get(&self, key: &str) -> Option<Value> {
        let text = match self {
            Self::Tree(value) => return value.get(key).cloned(),
            Self::Slice(slice) => slice.member(key)?,
            Self::Text(changed) => changed.member(key)?,
        };
        serde_json::from_str(text).ok()
    }

    /// The record as a tree.
    pub(crate) fn into_value(self) -> Result<Value> {
        match self {
            Self::Tree(value) => Ok(value),
            text => parse(text.text().unwrap_or_default()),
        }
    }
}

/// The tree of a text that was checked.
pub(crate) fn parse(text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|error| {
        ConnectorError::system(
            "A record in the API's answer can't be read: it is nested too deeply.",
        )
        .caused_by(error)
    })
}

impl Slice {
    pub(crate) fn text(&self) -> &str {
        &self.page.text[self.item.range.clone()]
    }

    /// The members that were looked for, in their order; ranges are those of the page.
    pub(crate) fn spans(&self) -> &[Span] {
        &self.page.spans[self.item.spans.clone()]
    }

    /// The whole page.
    pub(crate) fn page(&self) -> &str {
        &self.page.text
    }

    /// Where the slice is in the page.
    pub(crate) fn range(&self) -> Range<usize> {
        self.item.range.clone()
    }

    pub(crate) fn has_nulls(&self) -> bool {
        self.item.has_nulls
    }

    /// The names of the members that were looked for.
    pub(crate) fn wanted(&self) -> &Arc<[String]> {
        &self.page.wanted
    }

    /// True if these were the members to look for.
    pub(crate) fn notes(&self, members: &Arc<[String]>) -> bool {
        Arc::ptr_eq(&self.page.wanted, members)
    }

    /// The text of a member's value. Of equal keys the last counts.
    fn member(&self, key: &str) -> Option<&str> {
        let Some(key) = position(&self.page.wanted, key) else {
            return raw_json::get(self.text(), key);
        };
        let mut spans = self.spans().iter().rev();
        let span = spans.find(|span| span.key == key)?;
        Some(&self.page.text[span.value.clone()])
    }
}

impl Changed {
    fn member(&self, key: &str) -> Option<&str> {
        let Some(key) = position(&self.wanted, key) else {
            return raw_json::get(&self.text, key);
        };
        let mut values = self.values.iter().rev();
        let (_, range) = values.find(|(wanted, _)| *wanted == key)?;
        Some(&self.text[range.clone()])
    }
}

fn position(wanted: &[String], key: &str) -> Option<usize> {
    wanted.iter().position(|wanted| wanted == key)
}

/// The records of a page, one at a time.
#[derive(Debug)]
pub(crate) struct Slices {
    page: Arc<Page>,
    items: std::vec::IntoIter<Item>,
}

impl Slices {
    pub(crate) fn new(
        text: ByteString,
        items: Vec<Item>,
        spans: Vec<Span>,
        wanted: Arc<[String]>,
    ) -> Self {
        let page = Arc::new(Page {
            text,
            spans,
            wanted,
        });
        Self {
            page,
            items: items.into_iter(),
        }
    }
}

impl Iterator for Slices {
    type Item = Slice;

    fn next(&mut self) -> Option<Slice> {
        let item = self.items.next()?;
        let page = Arc::clone(&self.page);
        Some(Slice { page, item })
    }
}
