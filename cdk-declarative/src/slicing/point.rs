//! Values of a datetime cursor: parsed by several formats, written in one.

use serde_json::Value;

use crate::time::{Format, Moment, Span};

/// A value with its place in the order of values.
#[derive(Debug, Clone, Copy)]
pub(super) struct Point {
    pub(super) moment: Moment,
    /// Microseconds since the Unix epoch.
    pub(super) us: i64,
}

impl Point {
    pub(super) fn new(moment: Moment) -> Self {
        Self {
            moment,
            us: moment.us(),
        }
    }

    pub(super) fn earliest() -> Self {
        Self::new(Moment::earliest())
    }

    pub(super) fn of_us(us: i64) -> Self {
        Moment::from_us(us).map_or_else(Self::earliest, Self::new)
    }

    /// This point moved by a span; `None` beyond the years 1 to 9999.
    pub(super) fn plus(self, span: Span) -> Option<Self> {
        span.after(self.moment).map(Self::new)
    }

    pub(super) fn minus(self, span: Span) -> Option<Self> {
        self.plus(span.negated())
    }

    pub(super) fn max(self, other: Self) -> Self {
        if other.us > self.us { other } else { self }
    }

    pub(super) fn min(self, other: Self) -> Self {
        if other.us < self.us { other } else { self }
    }
}

/// Reads and writes values.
#[derive(Debug)]
pub(super) struct Formats {
    input: Vec<Format>,
    output: Format,
}

impl Formats {
    /// `more` are tried before the format that values are written in.
    pub(super) fn new(output: &str, more: &[String]) -> Self {
        let more = more.iter().map(String::as_str);
        Self {
            input: more.chain([output]).map(Format::new).collect(),
            output: Format::new(output),
        }
    }

    pub(super) fn parse(&self, value: &Value) -> Option<Point> {
        if value.is_null() {
            return None;
        }
        let mut parsed = self
            .input
            .iter()
            .filter_map(|format| format.parse_value(value).ok());
        parsed.next().map(|moment| Point::new(moment.or_utc()))
    }

    pub(super) fn write(&self, point: Point) -> String {
        self.output.format(&point.moment)
    }

    pub(super) fn shown(&self) -> String {
        let names: Vec<&str> = self.input.iter().map(Format::text).collect();
        names.join(", ")
    }
}
