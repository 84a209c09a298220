//! The datetime cursor: windows from where the last sync came to until now.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cdk_core::{Clock, ConnectorError, Result};
use futures::stream::{self, BoxStream, StreamExt};
use serde_json::{Map, Value};

use super::clamping::Clamping;
use super::intervals::{Interval, Intervals};
use super::min_max::MinMax;
use super::point::{Formats, Point};
use crate::component::Component;
use crate::host::Host;
use crate::requester::inputs::RequestOption;
use crate::slice::{Additions, Cursor, StreamSlice};
use crate::template::Template;
use crate::time::Span;

/// Intervals that lie no farther apart than this are one, without a granularity.
const MILLISECOND_US: i64 = 1000;
const SECOND: Span = Span {
    months: 0,
    us: 1_000_000,
};

/// How a stream is cut by time; shared by the cursors of its partitions.
pub(crate) struct Windows {
    pub(super) field: String,
    pub(super) formats: Formats,
    pub(super) start: Option<Point>,
    end: Option<MinMax>,
    clock: Arc<dyn Clock>,
    host: Arc<Host>,
    step: Option<Span>,
    granularity: Option<Span>,
    lookback: Option<Span>,
    start_field: String,
    end_field: String,
    start_option: Option<RequestOption>,
    end_option: Option<RequestOption>,
    clamping: Option<Clamping>,
    is_strict: bool,
}

impl std::fmt::Debug for Windows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Windows({})", self.field)
    }
}

impl Windows {
    pub(super) fn build(sync: &Component<'_>, field: String, host: &Arc<Host>) -> Result<Self> {
        let config = host.config();
        let scope = host.scope(&config);
        let format = sync.need_text("datetime_format")?;
        let text = |key: &str| -> Result<Option<String>> {
            match sync.text(key)?.filter(|text| !text.is_empty()) {
                Some(text) => Template::new(text, sync)?.text(&scope).map(Some),
                None => Ok(None),
            }
        };
        let span = |key: &str| -> Result<Option<Span>> {
            let Some(text) = text(key)?.filter(|text| !text.is_empty() && text != "None") else {
                return Ok(None);
            };
            let span = Span::parse(&text).ok_or_else(|| {
                sync.error(format!(
                    "`{key}` is `{text}`, no ISO 8601 duration like P1D."
                ))
            })?;
            Ok(Some(span))
        };
        if sync.get("step").is_some() != sync.get("cursor_granularity").is_some() {
            return Err(
                sync.error("`step` and `cursor_granularity` go together: give both or none.")
            );
        }
        let option = |key: &str| -> Result<Option<RequestOption>> {
            sync.child(key)?
                .map(|at| RequestOption::build(&at))
                .transpose()
        };
        let start = MinMax::build(sync, "start_datetime", format)?;
        let start = start.map(|start| start.at(&scope, sync)).transpose()?;
        Ok(Self {
            formats: Formats::new(format, &sync.texts("cursor_datetime_formats")?),
            field,
            start,
            end: MinMax::build(sync, "end_datetime", format)?,
            clock: Arc::clone(&host.clock),
            host: Arc::clone(host),
            step: span("step")?,
            granularity: span("cursor_granularity")?.filter(|span| !span.is_zero()),
            lookback: span("lookback_window")?.filter(|span| !span.is_zero()),
            start_field: text("partition_field_start")?.unwrap_or_else(|| "start_time".to_owned()),
            end_field: text("partition_field_end")?.unwrap_or_else(|| "end_time".to_owned()),
            start_option: option("start_time_option")?,
            end_option: option("end_time_option")?,
            clamping: Clamping::build(sync, &scope)?,
            is_strict: sync.flag("is_compare_strictly", false)?,
        })
    }

    pub(super) fn increment_us(&self) -> i64 {
        let granularity = self.granularity.map(|span| span.us);
        granularity.filter(|us| *us != 0).unwrap_or(MILLISECOND_US)
    }

    /// How far a state has come: its own value, its ranges', or its global position's.
    pub(super) fn reached(&self, state: &Value) -> Option<i64> {
        let first = state.get("slices").and_then(|slices| slices.get(0));
        let range = first.and_then(|first| {
            let recent = first
                .get("most_recent_cursor_value")
                .filter(|value| !value.is_null());
            recent.or_else(|| first.get("end"))
        });
        let global = || {
            state
                .get("state")
                .and_then(|global| global.get(&self.field))
        };
        let value = range.or_else(|| state.get(&self.field)).or_else(global)?;
        self.formats.parse(value).map(|point| point.us)
    }

    /// Where windows end: now, or what the manifest says.
    fn end(&self) -> Result<Point> {
        let end = match &self.end {
            None => Point::of_us(self.clock.now_us()),
            Some(end) => {
                let config = self.host.config();
                end.parsed(&self.host.scope(&config))?
            }
        };
        let Some(clamping) = self.clamping else {
            return Ok(end);
        };
        // The period that is not over yet is left out.
        let floor = clamping.floor(end);
        let granularity = self.granularity.unwrap_or(SECOND);
        Ok(floor.minus(granularity).unwrap_or(floor))
    }

    /// The windows that are left to read, as pairs of written values.
    pub(super) fn windows(
        &self,
        intervals: &mut Intervals,
        lookback: Option<Span>,
    ) -> Result<Vec<(String, String)>> {
        intervals.merge(self);
        let end = self.end()?;
        let list = &intervals.list;
        let mut windows = Vec::new();
        let (Some(first), Some(last)) = (list.first(), list.last()) else {
            return Ok(windows);
        };
        if let Some(start) = self.start
            && start.us < first.start.us
        {
            self.split(start, first.start, false, &mut windows);
        }
        for pair in list.windows(2) {
            let lower = match self.granularity {
                Some(granularity) => pair[0].end.plus(granularity).unwrap_or(pair[0].end),
                None => pair[0].end,
            };
            self.split(lower, pair[1].start, false, &mut windows);
        }
        let lower = match lookback {
            Some(lookback) => last.end.minus(lookback).unwrap_or_else(Point::earliest),
            None => last.end,
        };
        self.split(lower, end, true, &mut windows);
        Ok(windows)
    }

    /// Cuts a range by steps. `is_end` for the range that ends now: its end is part of it.
    fn split(&self, lower: Point, upper: Point, is_end: bool, out: &mut Vec<(String, String)>) {
        let nothing = |lower: Point, upper: Point, if_equal: bool| {
            lower.us > upper.us || (lower.us == upper.us && if_equal)
        };
        if nothing(lower, upper, self.granularity.is_none()) {
            return;
        }
        if self.start.is_some_and(|start| upper.us < start.us) {
            return;
        }
        let lower = self.start.map_or(lower, |start| lower.max(start));
        let lower = self.clamped(lower);
        if nothing(lower, upper, self.is_strict || !is_end) {
            return;
        }
        let whole = self.step.and_then(|step| lower.plus(step));
        let mut push = |lower: Point, upper: Point, with_end: bool| {
            let upper = match self.granularity {
                Some(granularity) if !with_end => upper.minus(granularity).unwrap_or(upper),
                _ => upper,
            };
            out.push((self.formats.write(lower), self.formats.write(upper)));
        };
        if whole.is_none_or(|whole| whole.us >= upper.us) {
            let keeps = is_end && self.granularity.is_some();
            let upper = if keeps { upper } else { self.clamped(upper) };
            return push(lower, upper, is_end);
        }
        let mut at = lower;
        loop {
            let step = self.step.and_then(|step| at.plus(step)).unwrap_or(upper);
            let next = step.min(upper);
            let clamped = if next.us == upper.us {
                next
            } else {
                self.clamped(next)
            };
            let is_last = next.us >= upper.us || clamped.us == upper.us;
            let from = self.clamped(at);
            if from.us >= clamped.us {
                return;
            }
            push(from, clamped, is_end && is_last);
            at = clamped;
            if is_last {
                return;
            }
        }
    }

    fn clamped(&self, point: Point) -> Point {
        self.clamping
            .map_or(point, |clamping| clamping.ceiling(point))
    }

    pub(super) fn slice(
        &self,
        partition: Map<String, Value>,
        window: &(String, String),
    ) -> StreamSlice {
        let mut cursor = Map::with_capacity(2);
        cursor.insert(self.start_field.clone(), window.0.as_str().into());
        cursor.insert(self.end_field.clone(), window.1.as_str().into());
        StreamSlice::new(partition, cursor)
    }

    /// A window is known by where it starts.
    pub(super) fn key<'a>(&self, slice: &'a StreamSlice) -> &'a str {
        slice
            .cursor()
            .get(&self.start_field)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    pub(super) fn interval(&self, slice: &StreamSlice, recent: Option<Point>) -> Result<Interval> {
        let bound = |field: &str| {
            let value = slice.cursor().get(field).unwrap_or(&Value::Null);
            self.formats.parse(value).ok_or_else(|| {
                ConnectorError::system(format!("The slice has no usable `{field}`: {value}."))
            })
        };
        Ok(Interval {
            start: bound(&self.start_field)?,
            end: bound(&self.end_field)?,
            recent,
        })
    }

    pub(super) fn additions(&self, slice: &StreamSlice) -> Result<Additions> {
        let mut additions = Additions::default();
        let config = self.host.config();
        let scope = self.host.scope(&config);
        for (option, field) in [
            (&self.start_option, &self.start_field),
            (&self.end_option, &self.end_field),
        ] {
            let value = slice
                .fields()
                .get(field)
                .filter(|value| crate::extract::is_true(value));
            if let (Some(option), Some(value)) = (option, value) {
                additions.inject(option, value.clone(), &scope)?;
            }
        }
        Ok(additions)
    }

    /// Whether a value lies in what is read now.
    pub(super) fn includes(&self, point: Point, from: Point, lookback: Option<Span>) -> bool {
        let lowest = match lookback {
            None => from,
            Some(lookback) => match from.minus(lookback) {
                None => from,
                Some(lower) => match self.start {
                    Some(start) => lower.max(start.min(from)),
                    None => lower,
                },
            },
        };
        lowest.us <= point.us && self.end().is_ok_and(|end| point.us <= end.us)
    }

    pub(super) fn shortened(&self, slice: &StreamSlice, recent: Option<Point>) -> StreamSlice {
        let Some(recent) = recent else {
            return slice.clone();
        };
        let mut cursor = slice.cursor().clone();
        cursor.insert(self.start_field.clone(), self.formats.write(recent).into());
        StreamSlice::new(slice.partition().clone(), cursor)
            .with_extra_fields(slice.extra_fields().clone())
    }
}

/// The windows of one stream, or of one partition of it.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) intervals: Intervals,
    /// The most recent value by window.
    recent: HashMap<String, Point>,
    pub(super) lookback: Option<Span>,
}

impl Progress {
    pub(super) fn new(windows: &Windows, state: Option<&Value>, stream: &str) -> Result<Self> {
        Ok(Self {
            intervals: Intervals::of_state(windows, state, stream)?,
            recent: HashMap::new(),
            lookback: windows.lookback,
        })
    }

    pub(super) fn observe(&mut self, key: &str, point: Point) {
        match self.recent.get_mut(key) {
            Some(recent) if recent.us < point.us => *recent = point,
            Some(_) => {}
            None => drop(self.recent.insert(key.to_owned(), point)),
        }
    }

    pub(super) fn close(&mut self, windows: &Windows, slice: &StreamSlice) -> Result<()> {
        let recent = self.recent.remove(windows.key(slice));
        let interval = windows.interval(slice, recent)?;
        self.intervals.add(windows, interval);
        Ok(())
    }

    pub(super) fn recent(&self, key: &str) -> Option<Point> {
        self.recent.get(key).copied()
    }
}

/// The cursor of a stream without partitions.
pub(super) struct DatetimeCursor {
    windows: Arc<Windows>,
    name: String,
    progress: Mutex<Progress>,
    has_warned: AtomicBool,
}

impl DatetimeCursor {
    pub(super) fn new(windows: Arc<Windows>, name: &str, state: Option<&Value>) -> Result<Self> {
        let progress = Progress::new(&windows, state, name)?;
        Ok(Self {
            windows,
            name: name.to_owned(),
            progress: Mutex::new(progress),
            has_warned: AtomicBool::new(false),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn parsed(&self, value: Option<&Value>) -> Option<Point> {
        let parsed = value.and_then(|value| self.windows.formats.parse(value));
        if parsed.is_none() && !self.has_warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "A record of stream {} has no usable cursor field `{}`; such records are taken to belong to the sync. Check \
                 `cursor_field`, `datetime_format` and `cursor_datetime_formats` of its `incremental_sync`.",
                self.name,
                self.windows.field
            );
        }
        parsed
    }
}

impl Cursor for DatetimeCursor {
    fn slices(self: Arc<Self>) -> BoxStream<'static, Result<Arc<StreamSlice>>> {
        let windows = {
            let mut progress = self.lock();
            let lookback = progress.lookback;
            self.windows.windows(&mut progress.intervals, lookback)
        };
        let slices: Vec<Result<Arc<StreamSlice>>> = match windows {
            Ok(windows) => windows
                .iter()
                .map(|window| Ok(Arc::new(self.windows.slice(Map::new(), window))))
                .collect(),
            Err(error) => vec![Err(error)],
        };
        stream::iter(slices).boxed()
    }

    fn cursor_field(&self) -> Option<&str> {
        Some(&self.windows.field)
    }

    fn observe(&self, slice: &StreamSlice, value: Option<&Value>) {
        if let Some(point) = self.parsed(value) {
            self.lock().observe(self.windows.key(slice), point);
        }
    }

    fn should_be_synced(&self, _: &StreamSlice, value: Option<&Value>) -> bool {
        let Some(point) = self.parsed(value) else {
            return true;
        };
        let (start, lookback) = {
            let progress = self.lock();
            (progress.intervals.start, progress.lookback)
        };
        self.windows.includes(point, start, lookback)
    }

    fn close(&self, slice: &StreamSlice) -> Result<()> {
        self.lock().close(&self.windows, slice)
    }

    fn finish(&self) {}

    fn state(&self) -> Option<Value> {
        Some(Value::Object(self.lock().intervals.state(&self.windows)))
    }

    fn additions(&self, slice: &StreamSlice) -> Result<Additions> {
        self.windows.additions(slice)
    }

    fn shortened(&self, slice: &StreamSlice) -> Result<StreamSlice> {
        let recent = self.lock().recent(self.windows.key(slice));
        Ok(self.windows.shortened(slice, recent))
    }
}
