//! The cursor of a partitioned stream: a position per partition while they are few, one for all when they are many.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cdk_core::{ConnectorError, Result};
use futures::StreamExt;
use futures::stream::BoxStream;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::datetime::{Progress, Windows};
use super::positions::Positions;
use super::router::{Routed, Router};
use crate::feed::{Out, feed};
use crate::host::Host;
use crate::slice::{Additions, Cursor, StreamSlice};
use crate::time::Span;

/// With more partitions than this, one position for all takes over.
const GLOBAL_LIMIT: usize = 10_000;

pub(super) struct Partitioned {
    windows: Arc<Windows>,
    router: Arc<Router>,
    name: String,
    host: Arc<Host>,
    inner: Mutex<Inner>,
}

/// None for routers without parents.
type ParentState = Option<Arc<Map<String, Value>>>;

struct Inner {
    is_global: bool,
    positions: Positions,
    /// Partitions that are being read.
    open: HashMap<String, Open>,
    /// Numbers of those.
    numbers: BTreeSet<u64>,
    next_number: u64,
    count: usize,
    /// What the global position was when the run began.
    global: Option<String>,
    /// What it will be when all partitions are read.
    new_global: Option<String>,
    lookback_seconds: i64,
    /// States of the parents, each with the partition it was found with.
    found_parents: VecDeque<(u64, ParentState)>,
    parents: Option<Map<String, Value>>,
    started: Option<Instant>,
    has_data: bool,
    seen_duplicate: bool,
    warned: bool,
}

struct Open {
    number: u64,
    slices: u32,
    is_complete: bool,
}

impl Partitioned {
    pub(super) fn new(
        windows: Arc<Windows>,
        router: Router,
        name: &str,
        state: Option<&Value>,
        is_global: bool,
        host: &Arc<Host>,
    ) -> Result<Self> {
        let mut inner = Inner {
            is_global,
            positions: Positions::default(),
            open: HashMap::new(),
            numbers: BTreeSet::new(),
            next_number: 0,
            count: 0,
            global: None,
            new_global: None,
            lookback_seconds: 0,
            found_parents: VecDeque::new(),
            parents: None,
            started: None,
            has_data: false,
            seen_duplicate: false,
            warned: false,
        };
        if let Some(state) = state
            .and_then(Value::as_object)
            .filter(|state| !state.is_empty())
        {
            inner.resume(&windows, state, name)?;
        }
        Ok(Self {
            windows,
            router: Arc::new(router),
            name: name.to_owned(),
            host: Arc::clone(host),
            inner: Mutex::new(inner),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn feed(self: Arc<Self>, mut out: Out<Result<Arc<StreamSlice>>>) {
        self.lock().started = Some(Instant::now());
        let mut partitions = Arc::clone(&self.router).partitions();
        // A partition is begun when the next one is found, as in the reference: that is when its parents' state is
        // known.
        let mut held = partitions.next().await;
        while let Some(routed) = held {
            held = match routed.is_ok() {
                true => partitions.next().await,
                false => None,
            };
            let slices = match routed.and_then(|routed| self.begin(&routed)) {
                Ok(slices) => slices,
                Err(error) => {
                    out.send(Err(error)).await;
                    return;
                }
            };
            for slice in slices {
                out.send(Ok(Arc::new(slice))).await;
            }
        }
    }

    /// The slices of one partition; none of one that came before.
    fn begin(&self, routed: &Routed) -> Result<Vec<StreamSlice>> {
        let key = key(&routed.partition);
        let mut inner = self.lock();
        inner.make_room(&self.name);
        if inner.open.contains_key(&key) {
            if !std::mem::replace(&mut inner.seen_duplicate, true) {
                tracing::warn!(
                    "Stream {} has the same partition twice; it is read once.",
                    self.name
                );
            }
            return Ok(Vec::new());
        }
        if !inner.positions.contains(&key) {
            let progress = inner.fresh(&self.windows, &self.name)?;
            inner.positions.insert(&key, progress);
            inner.count += 1;
        }
        let number = inner.next_number;
        inner.next_number += 1;
        inner.numbers.insert(number);
        if inner
            .found_parents
            .back()
            .is_none_or(|(_, last)| *last != routed.parents)
        {
            inner
                .found_parents
                .push_back((number, routed.parents.clone()));
        }
        let Some(progress) = inner.positions.get_mut(&key) else {
            return Ok(Vec::new());
        };
        let lookback = progress.lookback;
        let windows = self.windows.windows(&mut progress.intervals, lookback)?;
        let slices: Vec<StreamSlice> = windows
            .iter()
            .map(|window| {
                let slice = self.windows.slice(routed.partition.clone(), window);
                slice.with_extra_fields(routed.extra.clone())
            })
            .collect();
        let open = Open {
            number,
            slices: u32::try_from(slices.len()).unwrap_or(u32::MAX),
            is_complete: !slices.is_empty(),
        };
        inner.open.insert(key, open);
        Ok(slices)
    }
}

impl Inner {
    /// A position for a partition that has none: the global one, a little earlier.
    fn fresh(&self, windows: &Windows, name: &str) -> Result<Progress> {
        let lookback = Span::from_us(self.lookback_seconds.saturating_mul(1_000_000));
        // What the last run took comes on top of the manifest's own lookback.
        let earlier = |global: &String| {
            let point = windows.formats.parse(&Value::from(global.as_str()));
            let point = point.and_then(|point| point.minus(lookback));
            let start = point.map(|point| windows.formats.write(point));
            json!({ &windows.field: start.as_ref().unwrap_or(global) })
        };
        let state = self.global.as_ref().map(earlier);
        Progress::new(windows, state.as_ref(), name)
    }

    fn resume(&mut self, windows: &Windows, state: &Map<String, Value>, name: &str) -> Result<()> {
        if !state.contains_key("states") && !state.contains_key("state") {
            self.set_global(windows, state, name)?;
        } else {
            self.is_global = state
                .get("use_global_cursor")
                .and_then(Value::as_bool)
                .unwrap_or(false);
            let lookback = state.get("lookback_window");
            self.lookback_seconds = lookback
                .and_then(Value::as_f64)
                .map_or(0, |seconds| seconds as i64);
            let states = state.get("states").and_then(Value::as_array);
            for one in states.into_iter().flatten() {
                let Some(partition) = one.get("partition").and_then(Value::as_object) else {
                    continue;
                };
                let progress = Progress::new(windows, one.get("cursor"), name)?;
                self.positions.insert(&key(partition), progress);
                self.count += 1;
            }
            if let Some(Value::Object(global)) = state.get("state") {
                self.set_global(windows, global, name)?;
            }
        }
        let parents = state.get("parent_state").and_then(Value::as_object);
        self.parents = parents.filter(|parents| !parents.is_empty()).cloned();
        Ok(())
    }

    fn set_global(
        &mut self,
        windows: &Windows,
        state: &Map<String, Value>,
        name: &str,
    ) -> Result<()> {
        let Some(value) = state.get(&windows.field) else {
            return Ok(());
        };
        let point = windows.formats.parse(value).ok_or_else(|| {
            ConnectorError::system(format!(
                "The state of stream {name} has the cursor value {value}, which has none of the formats {}. Reset the \
                 stream, or add the format to `cursor_datetime_formats`.",
                windows.formats.shown()
            ))
        })?;
        let written = windows.formats.write(point);
        self.global = Some(written.clone());
        self.new_global = Some(written);
        Ok(())
    }

    fn make_room(&mut self, name: &str) {
        if !self.is_global && self.count > GLOBAL_LIMIT {
            tracing::info!(
                "Stream {name} has more than {GLOBAL_LIMIT} partitions: one position for all is kept."
            );
            self.is_global = true;
        }
        let Self {
            positions, open, ..
        } = self;
        if !positions.make_room(|key| open.contains_key(key)) {
            tracing::warn!(
                "Stream {name} has too many partitions at once: the oldest position is dropped."
            );
        }
    }

    fn reach(&mut self, written: String) {
        if self
            .new_global
            .as_ref()
            .is_none_or(|global| *global < written)
        {
            self.new_global = Some(written);
        }
    }

    /// Parents move on when all partitions found with their state, and before, are read.
    fn move_parents(&mut self) {
        while let Some((number, _)) = self.found_parents.front() {
            if self.numbers.first().is_some_and(|first| first <= number) {
                return;
            }
            if let Some((_, Some(state))) = self.found_parents.pop_front() {
                self.parents = Some(state.as_ref().clone());
            }
        }
    }
}

impl Cursor for Partitioned {
    fn slices(self: Arc<Self>) -> BoxStream<'static, Result<Arc<StreamSlice>>> {
        feed(|out| self.feed(out))
    }

    fn cursor_field(&self) -> Option<&str> {
        Some(&self.windows.field)
    }

    fn observe(&self, slice: &StreamSlice, value: Option<&Value>) {
        let Some(value) = value else {
            return;
        };
        let Some(point) = self.windows.formats.parse(value) else {
            let mut inner = self.lock();
            if !std::mem::replace(&mut inner.warned, true) {
                tracing::warn!(
                    "A record of stream {} has the cursor value {value}, which has none of the formats {}.",
                    self.name,
                    self.windows.formats.shown()
                );
            }
            return;
        };
        let written = self.windows.formats.write(point);
        let mut inner = self.lock();
        inner.has_data = true;
        inner.reach(written);
        if !inner.is_global
            && let Some(progress) = inner.positions.get_mut(slice.partition_key(key))
        {
            progress.observe(self.windows.key(slice), point);
        }
    }

    fn should_be_synced(&self, slice: &StreamSlice, value: Option<&Value>) -> bool {
        let Some(point) = value.and_then(|value| self.windows.formats.parse(value)) else {
            return true;
        };
        let inner = self.lock();
        let own = match inner.is_global {
            true => None,
            false => inner.positions.get(slice.partition_key(key)),
        };
        let (start, lookback) = match own {
            Some(progress) => (progress.intervals.start, progress.lookback),
            None => match inner.fresh(&self.windows, &self.name) {
                Ok(progress) => (progress.intervals.start, progress.lookback),
                Err(_) => return true,
            },
        };
        drop(inner);
        self.windows.includes(point, start, lookback)
    }

    fn close(&self, slice: &StreamSlice) -> Result<()> {
        let key = slice.partition_key(key).to_owned();
        let mut inner = self.lock();
        let Some(open) = inner.open.get_mut(&key) else {
            return Ok(());
        };
        open.slices = open.slices.saturating_sub(1);
        let is_done = open.is_complete && open.slices == 0;
        let number = open.number;
        if !inner.is_global
            && let Some(progress) = inner.positions.get_mut(&key)
        {
            progress.close(&self.windows, slice)?;
            if is_done {
                let reached = progress.intervals.state(&self.windows);
                if let Some(Value::String(reached)) = reached.get(&self.windows.field) {
                    let reached = reached.clone();
                    inner.reach(reached);
                }
            }
        }
        if is_done {
            inner.open.remove(&key);
            inner.numbers.remove(&number);
        }
        inner.move_parents();
        Ok(())
    }

    fn finish(&self) {
        let mut inner = self.lock();
        if inner.open.values().any(|open| open.slices > 0) {
            return;
        }
        if inner.has_data {
            inner.global = inner.new_global.clone();
            let took = inner
                .started
                .map_or(Duration::ZERO, |started| started.elapsed());
            inner.lookback_seconds = took.as_secs_f64().ceil() as i64;
        }
        inner.parents = self.router.parent_state();
    }

    fn state(&self) -> Option<Value> {
        let inner = self.lock();
        let mut state = Map::new();
        state.insert("use_global_cursor".to_owned(), inner.is_global.into());
        if !inner.is_global {
            let states = inner.positions.iter().map(|(key, progress)| {
                let partition: Value = serde_json::from_str(key).unwrap_or(Value::Null);
                json!({"partition": partition, "cursor": progress.intervals.state(&self.windows)})
            });
            state.insert("states".to_owned(), states.collect::<Vec<_>>().into());
        }
        if let Some(global) = &inner.global {
            state.insert("state".to_owned(), json!({ &self.windows.field: global }));
        }
        state.insert("lookback_window".to_owned(), inner.lookback_seconds.into());
        if let Some(parents) = &inner.parents {
            state.insert("parent_state".to_owned(), Value::Object(parents.clone()));
        }
        Some(Value::Object(state))
    }

    fn additions(&self, slice: &StreamSlice) -> Result<Additions> {
        let own = self.router.additions(slice, &self.host)?;
        own.merged(self.windows.additions(slice)?)
    }

    fn shortened(&self, slice: &StreamSlice) -> Result<StreamSlice> {
        let inner = self.lock();
        let progress = inner.positions.get(slice.partition_key(key));
        let recent = progress.and_then(|progress| progress.recent(self.windows.key(slice)));
        drop(inner);
        Ok(self.windows.shortened(slice, recent))
    }
}

/// A partition as text, whatever the order of its keys.
fn key(partition: &Map<String, Value>) -> String {
    let mut text = String::new();
    write_sorted(&Value::Object(partition.clone()), &mut text);
    text
}

fn write_sorted(value: &Value, text: &mut String) {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort_unstable();
            text.push('{');
            for (at, key) in keys.into_iter().enumerate() {
                if at > 0 {
                    text.push(',');
                }
                text.push_str(&Value::from(key.as_str()).to_string());
                text.push(':');
                if let Some(value) = map.get(key) {
                    write_sorted(value, text);
                }
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    text.push(',');
                }
                write_sorted(item, text);
            }
            text.push(']');
        }
        other => text.push_str(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_equal_whatever_the_order_of_keys() {
        let a = json!({"b": {"y": 1, "x": [1, {"d": 1, "c": 2}]}, "a": "t"});
        let b = json!({"a": "t", "b": {"x": [1, {"c": 2, "d": 1}], "y": 1}});
        let text = |value: &Value| key(value.as_object().unwrap());
        assert_eq!(text(&a), text(&b));
        assert_eq!(text(&a), r#"{"a":"t","b":{"x":[1,{"c":2,"d":1}],"y":1}}"#);
    }
}
