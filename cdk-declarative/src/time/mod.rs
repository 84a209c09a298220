//! Dates and times as manifests write them: Python's `strftime` and `strptime` codes with Airbyte's own, ISO 8601
//! texts and durations, and a clock that tests can pin.

mod airbyte;
mod clock;
mod format;
mod iso;
mod parse;
mod span;

pub use airbyte::{format_airbyte, parse_airbyte};
pub use clock::{PinnedClock, wall_clock};
pub use format::Format;
pub use iso::parse_iso;
pub use span::Span;

pub(crate) use format::{isoformat, isoformat_to, strftime, strptime};
pub(crate) use span::plus_months;

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};

/// Microseconds of a second.
pub(crate) const SECOND_US: i64 = 1_000_000;

/// A date and time to the microsecond, years 1 to 9999, with or without an offset from UTC: a Python `datetime`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Moment {
    local: NaiveDateTime,
    /// Seconds east of UTC.
    offset: Option<i32>,
}

impl Moment {
    /// The wall time `local`, which is `offset` seconds ahead of UTC; `None` outside of the years 1 to 9999.
    pub fn new(local: NaiveDateTime, offset: Option<i32>) -> Option<Self> {
        (1..=9999)
            .contains(&local.year())
            .then_some(Self { local, offset })
    }

    /// Microseconds since the Unix epoch, shown in UTC.
    pub fn from_us(us: i64) -> Option<Self> {
        Self::new(DateTime::from_timestamp_micros(us)?.naive_utc(), Some(0))
    }

    /// The first moment there is.
    pub fn earliest() -> Self {
        let date = NaiveDate::from_ymd_opt(1, 1, 1).unwrap_or(NaiveDate::MIN);
        Self {
            local: date.and_time(NaiveTime::MIN),
            offset: Some(0),
        }
    }

    /// Microseconds since the Unix epoch; without an offset, UTC is meant.
    pub fn us(&self) -> i64 {
        let offset = i64::from(self.offset.unwrap_or(0)) * SECOND_US;
        self.local.and_utc().timestamp_micros() - offset
    }

    /// Seconds since the Unix epoch as Python computes them.
    pub fn timestamp(&self) -> f64 {
        self.us() as f64 / 1e6
    }

    /// The wall time.
    pub fn local(&self) -> NaiveDateTime {
        self.local
    }

    /// Seconds east of UTC.
    pub fn offset(&self) -> Option<i32> {
        self.offset
    }

    /// The same wall time, of no place.
    #[must_use]
    pub fn naive(self) -> Self {
        Self {
            offset: None,
            ..self
        }
    }

    /// The same wall time, in UTC when it has no offset.
    #[must_use]
    pub fn or_utc(self) -> Self {
        Self {
            offset: self.offset.or(Some(0)),
            ..self
        }
    }

    /// The same moment shown in UTC.
    pub fn to_utc(self) -> Option<Self> {
        Self::from_us(self.us())
    }

    /// The wall time moved by microseconds; `None` when it leaves the years 1 to 9999.
    pub fn plus_us(self, us: i64) -> Option<Self> {
        let local = self.local.checked_add_signed(TimeDelta::microseconds(us))?;
        Self::new(local, self.offset)
    }

    /// The same offset with another wall time.
    #[must_use]
    pub fn with_local(self, local: NaiveDateTime) -> Self {
        Self { local, ..self }
    }
}
