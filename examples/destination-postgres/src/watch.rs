//! What rows of a deduplicated table say about their merge, seen from their encoded bytes.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::ops::Range;

use crate::layout::Role;
use crate::merge::Arrived;
use crate::table::Table;
use crate::types::PgType;

/// Bytes of a null: its length alone.
const NULL_BYTES: usize = 4;

/// Watches the keys of the rows that go into one merge.
#[derive(Debug)]
pub(crate) struct KeyWatch {
    /// Fields of the key, and the one that marks deleted rows.
    key: Vec<usize>,
    deleted_at: Option<usize>,
    /// Equal values may have different bytes (1.0 and 1): repeats can't be ruled out.
    is_blind: bool,
    seen: HashSet<u64>,
    hasher: RandomState,
    arrived: Arrived,
}

impl KeyWatch {
    /// For the rows of `table`; `None` if it is not deduplicated.
    pub(crate) fn of(table: &Table) -> Option<Self> {
        let key = table
            .shape
            .key
            .as_ref()
            .filter(|_| table.shape.is_deduped)?;
        let field = |name: &String| match table.column(name)?.role {
            Role::Field(at) => Some(at),
            _ => None,
        };
        let is_unclear = |name: &String| {
            matches!(
                table.type_of(name),
                Some(PgType::Numeric | PgType::Jsonb | PgType::TimeTz)
            )
        };
        Some(Self {
            key: key.iter().filter_map(field).collect(),
            deleted_at: table.shape.deleted_at.as_ref().and_then(field),
            is_blind: key.iter().any(is_unclear),
            seen: HashSet::new(),
            hasher: RandomState::new(),
            arrived: Arrived::default(),
        })
    }

    /// Looks at a row; `spans` are the bytes of its fields in `row`.
    pub(crate) fn row(&mut self, row: &[u8], spans: &[Range<usize>]) {
        let bytes = |at: &usize| row.get(spans.get(*at)?.clone());
        let is_null = |at: &usize| {
            bytes(at).is_none_or(|bytes| bytes.len() == NULL_BYTES && is_null_mark(bytes))
        };
        self.arrived.has_null_keys |= self.key.iter().any(is_null);
        self.arrived.has_deleted |= self.deleted_at.as_ref().is_some_and(|at| !is_null(at));
        if self.is_blind || self.arrived.has_repeats {
            self.arrived.has_repeats = true;
            return;
        }
        let mut hasher = self.hasher.build_hasher();
        for bytes in self.key.iter().filter_map(bytes) {
            hasher.write(bytes);
        }
        self.arrived.has_repeats = !self.seen.insert(hasher.finish());
    }

    /// Whether the field belongs to the key.
    pub(crate) fn is_key(&self, field: usize) -> bool {
        self.key.contains(&field)
    }

    /// What arrived since the last call.
    pub(crate) fn take(&mut self) -> Arrived {
        self.seen.clear();
        std::mem::take(&mut self.arrived)
    }
}

/// Empty text has four bytes too.
fn is_null_mark(bytes: &[u8]) -> bool {
    bytes.first() == Some(&0xff)
}
