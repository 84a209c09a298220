//! Which column a key of a record belongs to.

use std::borrow::Cow;
use std::collections::HashMap;

use airbyte_protocol::StreamDescriptor;

use super::Columns;
use crate::error::ConnectorError;

/// Positions whose keys are remembered; rows with more fields look the rest up.
pub(super) const MAX_REMEMBERED: usize = 4096;

/// Finds the columns of a record's keys.
///
/// Records of a stream mostly have the same keys in the same order, so the keys of the row before are
/// expected and a key is looked up only where it differs.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    stream: StreamDescriptor,
    index: HashMap<String, usize>,
    /// Key and column at each position of the row before; no column for unknown keys.
    pub(super) expected: Vec<(String, Option<usize>)>,
}

impl Keys {
    pub(crate) fn new(columns: &Columns) -> Self {
        let names = columns.as_slice().iter().map(|column| column.name.clone());
        Self {
            stream: columns.stream().clone(),
            index: names.enumerate().map(|(at, name)| (name, at)).collect(),
            expected: Vec::new(),
        }
    }

    /// The column of `key`, the record's key number `at`.
    #[inline]
    pub(crate) fn column(&mut self, at: usize, key: Cow<'_, str>) -> Option<usize> {
        if let Some((expected, column)) = self.expected.get(at)
            && *expected == key
        {
            return *column;
        }
        self.look_up(at, key)
    }

    #[cold]
    fn look_up(&mut self, at: usize, key: Cow<'_, str>) -> Option<usize> {
        let column = self.index.get(key.as_ref()).copied();
        match self.expected.get_mut(at) {
            Some(expected) => *expected = (key.into_owned(), column),
            None if at < MAX_REMEMBERED => self.expected.push((key.into_owned(), column)),
            None => {}
        }
        column
    }

    /// The value of a column is no JSON.
    pub(crate) fn broken_value(
        &self,
        column: usize,
        error: impl std::error::Error + Send + Sync + 'static,
    ) -> ConnectorError {
        let name = self.index.iter().find(|(_, at)| **at == column);
        let name = name.map_or("", |(name, _)| name);
        self.broken(&format!("field `{name}`"), error)
    }

    /// The text stops being JSON at field number `at`; its predecessors were remembered.
    pub(crate) fn broken_row(
        &self,
        at: usize,
        error: impl std::error::Error + Send + Sync + 'static,
    ) -> ConnectorError {
        let before = at
            .checked_sub(1)
            .and_then(|before| self.expected.get(before));
        let place = match before {
            Some((name, _)) => format!("the text after the key `{name}`"),
            None => "its start".to_owned(),
        };
        self.broken(&place, error)
    }

    fn broken(
        &self,
        place: &str,
        error: impl std::error::Error + Send + Sync + 'static,
    ) -> ConnectorError {
        ConnectorError::system(format!(
            "A record of stream {} is not a JSON object: {place} is broken. Fix the source that wrote it.",
            self.stream
        ))
        .caused_by(error)
        .with_stream(&self.stream)
    }
}
