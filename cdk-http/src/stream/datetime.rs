//! Times in the formats of APIs.

use chrono::{DateTime, Datelike, Months, NaiveDate, NaiveDateTime, TimeDelta, Utc};

/// How an API writes times.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimeFormat {
    /// `2024-05-01T12:00:00Z`; any offset and any fraction are read.
    Rfc3339,
    /// `2024-05-01`.
    Date,
    /// Seconds since the Unix epoch.
    EpochSeconds,
    /// Milliseconds since the Unix epoch.
    EpochMillis,
    /// A `strftime` format; without an offset in it, times are UTC.
    Pattern(String),
}

impl TimeFormat {
    /// Reads a time; RFC 3339 and plain dates are read whatever the format.
    pub fn parse(&self, text: &str) -> Option<DateTime<Utc>> {
        let text = text.trim();
        let own = match self {
            Self::Rfc3339 | Self::Date => None,
            Self::EpochSeconds => epoch(text, 1_000_000.0),
            Self::EpochMillis => epoch(text, 1_000.0),
            Self::Pattern(format) => pattern(text, format),
        };
        own.or_else(|| general(text))
    }

    /// Writes a time.
    pub fn format(&self, time: DateTime<Utc>) -> String {
        match self {
            Self::Rfc3339 if time.timestamp_subsec_micros() == 0 => {
                time.format("%Y-%m-%dT%H:%M:%SZ").to_string()
            }
            Self::Rfc3339 => time.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string(),
            Self::Date => time.format("%Y-%m-%d").to_string(),
            Self::EpochSeconds => time.timestamp().to_string(),
            Self::EpochMillis => time.timestamp_millis().to_string(),
            Self::Pattern(format) => time.format(format).to_string(),
        }
    }
}

/// A number with as many units as there are microseconds in `unit`.
fn epoch(text: &str, unit_micros: f64) -> Option<DateTime<Utc>> {
    if let Ok(whole) = text.parse::<i64>() {
        return DateTime::from_timestamp_micros(whole.checked_mul(unit_micros as i64)?);
    }
    let number: f64 = text.parse().ok()?;
    DateTime::from_timestamp_micros((number * unit_micros).round() as i64)
}

fn pattern(text: &str, format: &str) -> Option<DateTime<Utc>> {
    if let Ok(time) = DateTime::parse_from_str(text, format) {
        return Some(time.to_utc());
    }
    if let Ok(time) = NaiveDateTime::parse_from_str(text, format) {
        return Some(time.and_utc());
    }
    let date = NaiveDate::parse_from_str(text, format).ok()?;
    date.and_hms_opt(0, 0, 0).map(|time| time.and_utc())
}

fn general(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.to_utc());
    }
    const NAIVE: [&str; 4] = [
        "%Y-%m-%dT%H:%M:%S%.f",
        "%Y-%m-%d %H:%M:%S%.f",
        "%Y-%m-%dT%H:%M:%S%.f%z",
        "%Y-%m-%d",
    ];
    NAIVE.iter().find_map(|format| pattern(text, format))
}

/// How much time a slice covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// A span of time.
    Time(TimeDelta),
    /// Calendar months, counted from the start.
    Months(u32),
}

impl Step {
    /// So many days.
    pub fn days(days: u32) -> Self {
        Self::Time(TimeDelta::days(i64::from(days.max(1))))
    }

    /// So many hours.
    pub fn hours(hours: u32) -> Self {
        Self::Time(TimeDelta::hours(i64::from(hours.max(1))))
    }

    fn after(self, time: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Self::Time(span) => time.checked_add_signed(span),
            Self::Months(months) => time.checked_add_months(Months::new(months.max(1))),
        }
    }
}

/// A slice in time; both ends belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Its first moment.
    pub start: DateTime<Utc>,
    /// Its last moment.
    pub end: DateTime<Utc>,
}

/// Cuts `start` to `end` into windows of `step`. Each ends one `granularity` before the next begins; the last at `end`.
/// Without a step it is one window.
pub fn windows(
    start: DateTime<Utc>,
    end: DateTime<Utc>,
    step: Option<Step>,
    granularity: TimeDelta,
) -> Vec<Window> {
    let mut windows = Vec::new();
    let mut from = start;
    while from <= end {
        let next = step
            .and_then(|step| step.after(from))
            .filter(|next| *next > from);
        let Some(next) = next.filter(|next| *next <= end) else {
            windows.push(Window { start: from, end });
            break;
        };
        let last = next.checked_sub_signed(granularity).unwrap_or(next);
        windows.push(Window {
            start: from,
            end: last.max(from),
        });
        from = next;
    }
    windows
}

/// True if `year` is one that every format can write.
pub(super) fn is_writable(time: DateTime<Utc>) -> bool {
    (0..=9999).contains(&time.year())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> DateTime<Utc> {
        TimeFormat::Rfc3339.parse(text).unwrap()
    }

    #[test]
    fn times_are_read_and_written_in_the_formats_of_apis() {
        let expected = time("2024-05-01T12:00:00Z");
        for (format, text) in [
            (TimeFormat::Rfc3339, "2024-05-01T12:00:00Z"),
            (TimeFormat::EpochSeconds, "1714564800"),
            (TimeFormat::EpochMillis, "1714564800000"),
            (
                TimeFormat::Pattern("%d/%m/%Y %H:%M".into()),
                "01/05/2024 12:00",
            ),
        ] {
            assert_eq!(format.parse(text), Some(expected), "{text}");
            assert_eq!(format.format(expected), text);
        }
        assert_eq!(time("2024-05-01T14:00:00+02:00"), expected);
        assert_eq!(time("2024-05-01 12:00:00.000"), expected);
        assert_eq!(TimeFormat::Date.format(expected), "2024-05-01");
        assert_eq!(
            TimeFormat::Rfc3339.format(time("2024-05-01T12:00:00.5Z")),
            "2024-05-01T12:00:00.500000Z"
        );
        assert_eq!(TimeFormat::Rfc3339.parse("yesterday"), None);
    }

    #[test]
    fn windows_meet_without_overlap() {
        let (start, end) = (time("2024-01-01"), time("2024-01-03T12:00:00Z"));
        let cut = windows(start, end, Some(Step::days(1)), TimeDelta::seconds(1));
        let shown: Vec<_> = cut
            .iter()
            .map(|window| (window.start.to_rfc3339(), window.end.to_rfc3339()))
            .collect();
        assert_eq!(shown.len(), 3);
        assert_eq!(shown[0].1, "2024-01-01T23:59:59+00:00");
        assert_eq!(shown[1].0, "2024-01-02T00:00:00+00:00");
        assert_eq!(shown[2].1, "2024-01-03T12:00:00+00:00");
        assert_eq!(
            windows(start, end, None, TimeDelta::zero()),
            [Window { start, end }]
        );
        assert_eq!(windows(end, start, None, TimeDelta::zero()), []);
        let exact = windows(
            start,
            time("2024-01-02"),
            Some(Step::days(1)),
            TimeDelta::seconds(1),
        );
        assert_eq!(exact[1].start, exact[1].end);
    }

    #[test]
    fn months_follow_the_calendar() {
        let cut = windows(
            time("2024-01-31"),
            time("2024-04-01"),
            Some(Step::Months(1)),
            TimeDelta::days(1),
        );
        let starts: Vec<_> = cut
            .iter()
            .map(|window| window.start.format("%m-%d").to_string())
            .collect();
        assert_eq!(starts, ["01-31", "02-29", "03-29"]);
    }
}
