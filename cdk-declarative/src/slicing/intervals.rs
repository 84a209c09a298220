//! What a datetime cursor has read: closed intervals, and the most recent record in each.

use cdk_core::{ConnectorError, Result};
use serde_json::{Map, Value, json};

use super::datetime::Windows;
use super::point::Point;

#[derive(Debug, Clone, Copy)]
pub(super) struct Interval {
    pub(super) start: Point,
    pub(super) end: Point,
    pub(super) recent: Option<Point>,
}

/// Intervals in order, and the state they were made of.
#[derive(Debug, Clone)]
pub(super) struct Intervals {
    pub(super) list: Vec<Interval>,
    /// Other members of the state are kept.
    kept: Map<String, Value>,
    /// Where reading begins.
    pub(super) start: Point,
}

impl Intervals {
    /// The state of an earlier run, or the start.
    pub(super) fn of_state(windows: &Windows, state: Option<&Value>, stream: &str) -> Result<Self> {
        let state = state
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        if state.get("state_type").and_then(Value::as_str) == Some("date-range") {
            return Self::of_ranges(windows, &state, stream);
        }
        let begin = windows.start.unwrap_or_else(Point::earliest);
        let start = match state.get(&windows.field) {
            None => begin,
            Some(value) => {
                let reached = windows.formats.parse(value);
                let reached = reached.ok_or_else(|| unreadable(windows, value, stream))?;
                if reached.us >= begin.us {
                    reached
                } else {
                    begin
                }
            }
        };
        let first = Interval {
            start: windows.start.unwrap_or(start),
            end: start,
            recent: Some(start),
        };
        Ok(Self {
            list: vec![first],
            kept: state,
            start,
        })
    }

    fn of_ranges(windows: &Windows, state: &Map<String, Value>, stream: &str) -> Result<Self> {
        let ranges = state.get("slices").and_then(Value::as_array);
        let parse = |value: Option<&Value>| {
            let value = value.unwrap_or(&Value::Null);
            windows
                .formats
                .parse(value)
                .ok_or_else(|| unreadable(windows, value, stream))
        };
        let mut list = Vec::new();
        for range in ranges.into_iter().flatten() {
            let recent = range
                .get("most_recent_cursor_value")
                .filter(|value| !value.is_null());
            list.push(Interval {
                start: parse(range.get("start"))?,
                end: parse(range.get("end"))?,
                recent: recent.map(|recent| parse(Some(recent))).transpose()?,
            });
        }
        let first = list.first().map(|first| first.recent.unwrap_or(first.end));
        let start = first.or(windows.start).unwrap_or_else(Point::earliest);
        let mut kept = state.clone();
        kept.retain(|key, _| key == "legacy");
        let kept = match kept.shift_remove("legacy") {
            Some(Value::Object(legacy)) => legacy,
            _ => Map::new(),
        };
        Ok(Self { list, kept, start })
    }

    /// Adds what was read.
    pub(super) fn add(&mut self, windows: &Windows, interval: Interval) {
        self.list.push(interval);
        self.merge(windows);
    }

    /// Joins intervals that touch.
    pub(super) fn merge(&mut self, windows: &Windows) {
        self.list
            .sort_by_key(|interval| (interval.start.us, interval.end.us));
        let mut merged: Vec<Interval> = Vec::with_capacity(self.list.len());
        for next in self.list.drain(..) {
            let Some(last) = merged.last_mut() else {
                merged.push(next);
                continue;
            };
            let reach = last.end.us.saturating_add(windows.increment_us());
            if reach < next.start.us {
                merged.push(next);
                continue;
            }
            last.end = last.end.max(next.end);
            last.recent = match (last.recent, next.recent) {
                // Of equal values the later one's spelling counts.
                (Some(last), Some(next)) => Some(next.max(last)),
                (last, next) => next.or(last),
            };
        }
        self.list = merged;
    }

    /// The state: up to where everything was read.
    pub(super) fn state(&self, windows: &Windows) -> Map<String, Value> {
        let mut state = self.kept.clone();
        if let Some(first) = self.list.first() {
            let reached = first.recent.unwrap_or(first.start);
            state.insert(windows.field.clone(), json!(windows.formats.write(reached)));
        }
        state
    }
}

fn unreadable(windows: &Windows, value: &Value, stream: &str) -> ConnectorError {
    ConnectorError::system(format!(
        "The state of stream {stream} has the cursor value {value}, which has none of the formats {}. Reset the \
         stream, or add the format to `cursor_datetime_formats`.",
        windows.formats.shown()
    ))
}
