//! How far the children of each parent record are read.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use airbyte_protocol::RawJson;
use cdk_core::{ErrorContext, Result, StreamRequest};
use chrono::DateTime;
use serde_json::{Map, Value, json};

use crate::stream::DatetimeCursor;
use crate::stream::cursor::Seen;

/// With more parent records than this, one time stands for the children of all.
const MAX_PARENTS: usize = 10_000;

/// The times of a run, by parent record.
///
/// The state has the shape that Airbyte's Python CDK gives it: `states`, each a `partition` and its `cursor`. Parents
/// that it lacks are new and read from the start; with `use_global_cursor`, from the time in `state`.
#[derive(Debug, Default)]
pub(super) struct Children(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    saved: HashMap<String, Seen>,
    /// The time that parents without one of their own go on from.
    from: Option<Seen>,
    /// By key; those of earlier runs too.
    parents: BTreeMap<String, Child>,
    /// There are too many parents.
    is_global: bool,
    /// The latest time of any.
    latest: Option<Seen>,
}

/// The children of one parent record.
#[derive(Debug)]
struct Child {
    values: Map<String, Value>,
    at: Option<Seen>,
    /// The first window that is not read; none of an earlier run is.
    next: Option<usize>,
    /// Windows that are read behind it.
    ended: BTreeMap<usize, Option<Seen>>,
}

/// What stands for a parent record in states.
pub(super) fn key_of(values: &Map<String, Value>) -> String {
    let sorted: BTreeMap<_, _> = values.iter().collect();
    json!(sorted).to_string()
}

impl Children {
    /// Begins a run at the saved state.
    pub(super) fn restart(&self, cursor: &DatetimeCursor, request: &StreamRequest) -> Result<()> {
        let state: Option<Value> = match request.is_incremental() {
            true => request.state_as()?,
            false => None,
        };
        let mut inner = Inner::default();
        if let Some(state) = &state {
            inner.load(cursor, state)?;
        }
        *self.lock() = inner;
        Ok(())
    }

    /// Begins with a parent record: the time to go on from. `Err` when it was begun before.
    pub(super) fn begin(
        &self,
        key: &str,
        values: &Map<String, Value>,
    ) -> std::result::Result<Option<Seen>, Known> {
        let mut inner = self.lock();
        let at = inner.saved.get(key).or(inner.from.as_ref()).cloned();
        if inner.is_global {
            return Ok(at);
        }
        if inner.parents.get(key).is_some_and(|it| it.next.is_some()) {
            return Err(Known);
        }
        let child = Child {
            values: values.clone(),
            at: at.clone(),
            next: Some(0),
            ended: BTreeMap::new(),
        };
        inner.parents.insert(key.to_owned(), child);
        if inner.parents.len() > MAX_PARENTS {
            inner.is_global = true;
            inner.parents.clear();
        }
        Ok(at)
    }

    /// Notes that a window of a parent's children is read, and the latest time of its records.
    pub(super) fn end(&self, key: &str, window: usize, latest: Option<Seen>) {
        let mut inner = self.lock();
        if let Some(latest) = &latest {
            inner.latest = Some(latest.clone().max(inner.latest.take()));
        }
        let Some(child) = inner.parents.get_mut(key) else {
            return;
        };
        child.ended.insert(window, latest);
        while let Some(next) = child.next
            && let Some(latest) = child.ended.remove(&next)
        {
            child.next = Some(next + 1);
            if let Some(latest) = latest {
                child.at = Some(latest.max(child.at.take()));
            }
        }
    }

    /// The state while children are read; none while it would lose what an earlier one held.
    pub(super) fn snapshot(&self, cursor: &DatetimeCursor) -> Option<Value> {
        let inner = self.lock();
        match (&inner.from, inner.is_global) {
            (None, true) => None,
            (from, _) => Some(inner.state(cursor, from.as_ref())),
        }
    }

    /// The state behind all children of all parents.
    ///
    /// The time that stands for all is not after the run began: what changes while the parents are gone through is
    /// then read again.
    pub(super) fn last(&self, cursor: &DatetimeCursor, now_ms: i64) -> Result<RawJson> {
        let inner = self.lock();
        let seen = inner.parents.values().filter_map(|child| child.at.clone());
        let latest = seen
            .chain(inner.latest.clone())
            .reduce(|a, b| a.max(Some(b)));
        let began = DateTime::from_timestamp_millis(now_ms);
        let latest = latest.map(|latest| match began {
            Some(began) if began < latest.time => cursor.seen(began),
            _ => latest,
        });
        let all = match (latest, inner.from.clone()) {
            (Some(latest), from) => Some(latest.max(from)),
            (None, from) => from,
        };
        let mut state = inner.state(cursor, all.as_ref());
        state["use_global_cursor"] = json!(inner.is_global);
        RawJson::from_serialize(&state).system_error("A state could not be written as JSON.")
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A parent record that came before.
pub(super) struct Known;

impl Inner {
    fn load(&mut self, cursor: &DatetimeCursor, state: &Value) -> Result<()> {
        let Some(states) = state.get("states").and_then(Value::as_array) else {
            // One time for all, as this stream wrote it without a parent.
            self.from = cursor.saved(Some(state))?;
            return Ok(());
        };
        for child in states {
            let values = child.get("partition").and_then(Value::as_object);
            let (Some(values), Some(at)) = (values, cursor.saved(child.get("cursor"))?) else {
                continue;
            };
            let key = key_of(values);
            self.saved.insert(key.clone(), at.clone());
            let child = Child {
                values: values.clone(),
                at: Some(at),
                next: None,
                ended: BTreeMap::new(),
            };
            self.parents.insert(key, child);
        }
        if state.get("use_global_cursor") == Some(&json!(true)) {
            self.from = cursor.saved(state.get("state"))?;
        }
        Ok(())
    }

    fn state(&self, cursor: &DatetimeCursor, all: Option<&Seen>) -> Value {
        let states: Vec<Value> = self
            .parents
            .values()
            .filter_map(|child| {
                let at = child.at.as_ref()?;
                Some(json!({"partition": child.values, "cursor": cursor.state_of(&at.text)}))
            })
            .collect();
        let mut state = json!({"use_global_cursor": self.from.is_some(), "states": states});
        if let Some(all) = all {
            state["state"] = cursor.state_of(&all.text);
        }
        state
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor() -> DatetimeCursor {
        DatetimeCursor::new("at")
    }

    fn seen(day: u32) -> Seen {
        let at = format!("2024-01-{day:02}T00:00:00Z");
        cursor().saved(Some(&json!({"at": at}))).unwrap().unwrap()
    }

    fn begin(children: &Children, id: usize) -> String {
        let values = Map::from_iter([("id".to_owned(), json!(id))]);
        let key = key_of(&values);
        assert!(children.begin(&key, &values).is_ok());
        key
    }

    #[test]
    fn a_parent_moves_over_the_windows_that_are_read_without_a_gap() {
        let children = Children::default();
        let key = begin(&children, 1);
        let at = |children: &Children| {
            let state = children.snapshot(&cursor()).unwrap();
            state["states"][0]["cursor"]["at"].clone()
        };
        children.end(&key, 1, Some(seen(9)));
        assert_eq!(at(&children), Value::Null);
        children.end(&key, 0, Some(seen(3)));
        assert_eq!(at(&children), "2024-01-09T00:00:00Z");
    }

    #[test]
    fn a_parent_that_comes_twice_is_read_once() {
        let children = Children::default();
        let key = begin(&children, 1);
        assert!(children.begin(&key, &Map::new()).is_err());
    }

    #[test]
    fn too_many_parents_share_a_time_and_no_state_comes_before_all_are_read() {
        let children = Children::default();
        for id in 0..=MAX_PARENTS {
            let key = begin(&children, id);
            children.end(&key, 0, Some(seen(2)));
        }
        assert_eq!(children.snapshot(&cursor()), None);
        let last = children
            .last(&cursor(), i64::from(i32::MAX) * 1000)
            .unwrap();
        let last: Value = last.parse_as().unwrap();
        assert_eq!(
            last,
            json!({"use_global_cursor": true, "states": [], "state": {"at": "2024-01-02T00:00:00Z"}})
        );
    }

    #[test]
    fn an_old_state_of_one_time_lasts_until_all_parents_have_their_own() {
        let children = Children::default();
        let mut inner = Inner::default();
        inner
            .load(&cursor(), &json!({"at": "2024-01-05T00:00:00Z"}))
            .unwrap();
        *children.lock() = inner;
        let key = begin(&children, 1);
        children.end(&key, 0, Some(seen(7)));
        let state = children.snapshot(&cursor()).unwrap();
        assert_eq!(state["use_global_cursor"], true);
        assert_eq!(state["state"]["at"], "2024-01-05T00:00:00Z");
        let mut resumed = Inner::default();
        resumed.load(&cursor(), &state).unwrap();
        assert_eq!(resumed.saved[&key].text, "2024-01-07T00:00:00Z");
        assert_eq!(resumed.from.unwrap().text, "2024-01-05T00:00:00Z");
    }
}
