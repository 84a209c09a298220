//! Incremental reads by a time that records carry.

use cdk_core::{ConnectorError, Result};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value};

use crate::json;
use crate::request::Placement;
use crate::stream::datetime::{Step, TimeFormat, Window, is_writable, windows};

/// The time that says when a record was last changed, and how the API is asked for a span of it.
///
/// ```
/// use cdk_http::Placement;
/// use cdk_http::stream::{DatetimeCursor, Step};
///
/// let cursor = DatetimeCursor::new("updated_at")
///     .start("2024-01-01T00:00:00Z")
///     .step(Step::days(30))
///     .params(Placement::query("updated_since"), Placement::query("updated_until"));
/// ```
#[derive(Debug, Clone)]
pub struct DatetimeCursor {
    pub(super) field: Vec<String>,
    format: TimeFormat,
    param_format: Option<TimeFormat>,
    start: Option<String>,
    end: Option<String>,
    step: Option<Step>,
    lookback: TimeDelta,
    granularity: TimeDelta,
    start_param: Option<Placement>,
    end_param: Option<Placement>,
    pub(super) filters: bool,
    pub(super) is_sorted: bool,
}

impl DatetimeCursor {
    /// Records carry their time in this field; dots separate the steps of its path.
    pub fn new(field: &str) -> Self {
        Self {
            field: json::path(field),
            format: TimeFormat::Rfc3339,
            param_format: None,
            start: None,
            end: None,
            step: None,
            lookback: TimeDelta::zero(),
            granularity: TimeDelta::seconds(1),
            start_param: None,
            end_param: None,
            filters: false,
            is_sorted: false,
        }
    }

    /// Sets how times are written, in records and parameters.
    #[must_use]
    pub fn format(mut self, format: TimeFormat) -> Self {
        self.format = format;
        self
    }

    /// Sets how times are written in parameters, if differently.
    #[must_use]
    pub fn param_format(mut self, format: TimeFormat) -> Self {
        self.param_format = Some(format);
        self
    }

    /// Sets from when on to read the first time; without it, everything.
    #[must_use]
    pub fn start(mut self, start: impl Into<String>) -> Self {
        self.start = Some(start.into());
        self
    }

    /// Sets until when to read; the time of the run by default.
    #[must_use]
    pub fn end(mut self, end: impl Into<String>) -> Self {
        self.end = Some(end.into());
        self
    }

    /// Reads in slices of this length, each with its own state; it needs a start.
    #[must_use]
    pub fn step(mut self, step: Step) -> Self {
        self.step = Some(step);
        self
    }

    /// Reads this much again before the last state, for records that appear late.
    #[must_use]
    pub fn lookback(mut self, lookback: TimeDelta) -> Self {
        self.lookback = lookback;
        self
    }

    /// Sets the smallest difference between two times of the API, one second by default: slices end that much before
    /// the next begins.
    #[must_use]
    pub fn granularity(mut self, granularity: TimeDelta) -> Self {
        self.granularity = granularity;
        self
    }

    /// Sets where the API is told the first moment of a slice.
    #[must_use]
    pub fn start_param(mut self, placement: Placement) -> Self {
        self.start_param = Some(placement);
        self
    }

    /// Sets where the API is told both ends of a slice.
    #[must_use]
    pub fn params(mut self, start: Placement, end: Placement) -> Self {
        self.end_param = Some(end);
        self.start_param(start)
    }

    /// Drops records outside of the slice: for APIs that can't be asked for a span.
    #[must_use]
    pub fn filtering(mut self) -> Self {
        self.filters = true;
        self
    }

    /// The API gives records in the order of their times, so a state is good after every page.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        self.is_sorted = true;
        self
    }

    /// The name of the state's only member.
    pub(super) fn state_key(&self) -> String {
        self.field.join(".")
    }

    /// The state that stands for `value`, in the format of the API.
    pub(super) fn state_of(&self, value: &str) -> Value {
        let as_number = match self.format {
            TimeFormat::EpochSeconds | TimeFormat::EpochMillis => value.parse::<i64>().ok(),
            _ => None,
        };
        let value = as_number.map_or_else(|| Value::from(value), Value::from);
        Value::Object(Map::from_iter([(self.state_key(), value)]))
    }

    /// The time in a saved state.
    pub(super) fn saved(&self, state: Option<&Value>) -> Result<Option<Seen>> {
        let Some(value) = state.and_then(|state| state.get(self.state_key())) else {
            return Ok(None);
        };
        let text = crate::request::text_of(value);
        match self.format.parse(&text) {
            Some(time) => Ok(Some(Seen { time, text })),
            None => Err(ConnectorError::config(format!(
                "The saved state's `{}` is no time that this connector knows. Reset the stream to read it from the start.",
                self.state_key()
            ))),
        }
    }

    /// What is left to read, given the saved time.
    pub(super) fn windows(&self, saved: Option<&Seen>, now_ms: i64) -> Result<Vec<Option<Window>>> {
        let start = self.configured(self.start.as_deref(), "start")?;
        let end = self.configured(self.end.as_deref(), "end")?;
        let now = DateTime::from_timestamp_millis(now_ms).unwrap_or_default();
        let end = end.unwrap_or(now);
        let resumed = saved.map(|seen| seen.time - self.lookback);
        let from = match (start, resumed) {
            (Some(start), Some(resumed)) => Some(start.max(resumed)),
            (start, resumed) => start.or(resumed),
        };
        let Some(from) = from else {
            return Ok(vec![None]);
        };
        if !is_writable(from) || !is_writable(end) {
            return Err(ConnectorError::config(
                "The start or the end of the span to read lies outside of the years 0 to 9999.",
            ));
        }
        let windows = windows(from, end, self.step, self.granularity);
        Ok(windows.into_iter().map(Some).collect())
    }

    fn configured(&self, text: Option<&str>, what: &str) -> Result<Option<DateTime<Utc>>> {
        let Some(text) = text.filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        let parsed = self.format.parse(text);
        parsed.map(Some).ok_or_else(|| {
            ConnectorError::config(format!(
                "The {what} of the span to read, {text:?}, is no time. Write it like 2024-01-31T00:00:00Z."
            ))
        })
    }

    /// Tells the API which span is wanted.
    pub(super) fn apply(&self, window: &Window, request: &mut crate::Request) -> Result<()> {
        let format = self.param_format.as_ref().unwrap_or(&self.format);
        for (placement, time) in [
            (&self.start_param, window.start),
            (&self.end_param, window.end),
        ] {
            if let Some(placement) = placement {
                placement.set(request, &Value::from(format.format(time)))?;
            }
        }
        Ok(())
    }

    /// The time of a record, if it has one that can be read.
    pub(super) fn of_record(&self, record: &str) -> Option<Seen> {
        let text = json::scalar_at(record, &self.field)?;
        let time = self.format.parse(&text)?;
        Some(Seen { time, text })
    }

    /// A time as the state of a slice without records.
    pub(super) fn seen(&self, time: DateTime<Utc>) -> Seen {
        let text = self.format.format(time);
        Seen { time, text }
    }
}

/// A time with the text it was written as, which keeps its full precision.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) time: DateTime<Utc>,
    pub(super) text: String,
}

impl Seen {
    pub(super) fn max(self, other: Option<Self>) -> Self {
        match other {
            Some(other) if other.time > self.time => other,
            _ => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn cursor() -> DatetimeCursor {
        DatetimeCursor::new("at")
            .start("2024-01-01")
            .step(Step::days(10))
    }

    const NOW_MS: i64 = 1_706_745_600_000; // 2024-02-01

    #[test]
    fn a_state_moves_the_start_but_not_before_the_configured_one() {
        let windows = |saved: Option<&str>, cursor: &DatetimeCursor| {
            let state = saved.map(|at| json!({"at": at}));
            let saved = cursor.saved(state.as_ref()).unwrap();
            let cut = cursor.windows(saved.as_ref(), NOW_MS).unwrap();
            let first = cut[0].unwrap().start.format("%m-%d").to_string();
            (cut.len(), first)
        };
        assert_eq!(windows(None, &cursor()), (4, "01-01".to_owned()));
        assert_eq!(
            windows(Some("2024-01-25T00:00:00Z"), &cursor()),
            (1, "01-25".to_owned())
        );
        let late = cursor().lookback(TimeDelta::days(2));
        assert_eq!(windows(Some("2024-01-25"), &late).1, "01-23");
        assert_eq!(windows(Some("2024-01-02"), &late).1, "01-01");
    }

    #[test]
    fn without_start_and_state_everything_is_one_slice() {
        let cursor = DatetimeCursor::new("at");
        assert_eq!(cursor.windows(None, NOW_MS).unwrap(), [None]);
    }

    #[test]
    fn states_keep_the_text_of_the_record() {
        let cursor = DatetimeCursor::new("m.at");
        let seen = cursor
            .of_record(r#"{"m":{"at":"2024-01-01T00:00:00.123456789Z"}}"#)
            .unwrap();
        assert_eq!(
            cursor.state_of(&seen.text),
            json!({"m.at": "2024-01-01T00:00:00.123456789Z"})
        );
        let epoch = DatetimeCursor::new("at").format(TimeFormat::EpochSeconds);
        let seen = epoch.of_record(r#"{"at":1700000000}"#).unwrap();
        assert_eq!(epoch.state_of(&seen.text), json!({"at": 1_700_000_000}));
    }

    #[test]
    fn bad_times_are_config_errors() {
        assert!(cursor().saved(Some(&json!({"at": "soon"}))).is_err());
        let error = cursor().start("soon").windows(None, NOW_MS).unwrap_err();
        assert!(error.message().contains("soon"), "{error}");
    }
}
