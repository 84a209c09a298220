//! The positions of partitions, of which only so many are kept.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::datetime::Progress;

/// Positions kept in memory.
const LIMIT: usize = 25_000;

/// Positions by partition. The oldest make room for new ones.
#[derive(Debug, Default)]
pub(super) struct Positions {
    by_key: HashMap<Arc<str>, Progress>,
    /// The keys, oldest first.
    order: VecDeque<Arc<str>>,
}

impl Positions {
    pub(super) fn contains(&self, key: &str) -> bool {
        self.by_key.contains_key(key)
    }

    pub(super) fn get(&self, key: &str) -> Option<&Progress> {
        self.by_key.get(key)
    }

    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut Progress> {
        self.by_key.get_mut(key)
    }

    pub(super) fn insert(&mut self, key: &str, progress: Progress) {
        let key = Arc::<str>::from(key);
        if self.by_key.insert(Arc::clone(&key), progress).is_none() {
            self.order.push_back(key);
        }
    }

    /// All of them, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Progress)> {
        let keys = self.order.iter();
        keys.filter_map(|key| Some((&**key, self.by_key.get(key)?)))
    }

    /// Drops the oldest until one more can be kept: first those that are not in use. False if one in use was dropped.
    pub(super) fn make_room(&mut self, is_in_use: impl Fn(&str) -> bool) -> bool {
        let mut drops_unused = true;
        while self.order.len() >= LIMIT {
            let unused = self.order.iter().position(|key| !is_in_use(key));
            drops_unused &= unused.is_some();
            if let Some(key) = self.order.remove(unused.unwrap_or(0)) {
                self.by_key.remove(&key);
            }
        }
        drops_unused
    }
}
