//! How long to wait before another try.

use std::fmt::Debug;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use cdk_core::{ConnectorError, ErrorContext, Result, RetryStatus};
use chrono::DateTime;
use regex::Regex;

use crate::errors::Attempt;

/// A strategy.
pub trait Backoff: Debug + Send + Sync + 'static {
    /// The wait before retry number `retry` (the first is 1), or `None` if this strategy has none. `now_ms` is the wall
    /// clock. An error gives up: the wait asked for is longer than allowed.
    fn wait(&self, attempt: &Attempt<'_>, retry: u32, now_ms: i64) -> Result<Option<Duration>>;
}

/// A random part of a wait, so that many clients don't come back at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Jitter(pub Duration);

impl Jitter {
    /// `wait` with up to twice the jitter added, evenly spread: on average `wait` plus the jitter.
    fn add_to(self, wait: Duration) -> Duration {
        let spread = u64::try_from(self.0.as_nanos())
            .unwrap_or(u64::MAX)
            .saturating_mul(2);
        // The standard library's hash keys are random; nothing here needs better.
        let random = RandomState::new().build_hasher().finish();
        wait + Duration::from_nanos(random.checked_rem(spread).unwrap_or(0))
    }
}

/// Always the same wait.
#[derive(Debug, Clone, Copy)]
pub struct Constant {
    /// The wait.
    pub wait: Duration,
    /// Its random part.
    pub jitter: Jitter,
}

impl Constant {
    /// A wait without a random part.
    pub fn new(wait: Duration) -> Self {
        Self {
            wait,
            jitter: Jitter::default(),
        }
    }
}

impl Backoff for Constant {
    fn wait(&self, _: &Attempt<'_>, _: u32, _: i64) -> Result<Option<Duration>> {
        Ok(Some(self.jitter.add_to(self.wait)))
    }
}

/// A wait that doubles: `first`, twice that, four times that…
#[derive(Debug, Clone, Copy)]
pub struct Exponential {
    /// The first wait.
    pub first: Duration,
    /// The random part.
    pub jitter: Jitter,
    /// No wait is longer.
    pub max: Duration,
}

impl Exponential {
    /// From 1 s to at most 10 min, with up to half a second of jitter.
    pub const DEFAULT: Self = Self {
        first: Duration::from_secs(1),
        jitter: Jitter(Duration::from_millis(250)),
        max: Duration::from_secs(600),
    };

    /// From `first` on.
    pub fn new(first: Duration) -> Self {
        Self {
            first,
            ..Self::DEFAULT
        }
    }
}

impl Backoff for Exponential {
    fn wait(&self, _: &Attempt<'_>, retry: u32, _: i64) -> Result<Option<Duration>> {
        let doubled = 1_u32 << retry.saturating_sub(1).min(20);
        let wait = self.first.saturating_mul(doubled).min(self.max);
        Ok(Some(self.jitter.add_to(wait)))
    }
}

/// The `Retry-After` header: seconds or a date. A longer wait than `max` is cut to it.
#[derive(Debug, Clone, Copy)]
pub struct RetryAfter {
    /// No wait is longer.
    pub max: Duration,
}

impl RetryAfter {
    /// At most ten minutes.
    pub const DEFAULT: Self = Self {
        max: Duration::from_secs(600),
    };
}

impl Backoff for RetryAfter {
    fn wait(&self, attempt: &Attempt<'_>, _: u32, now_ms: i64) -> Result<Option<Duration>> {
        let text = attempt
            .answer()
            .and_then(|answer| answer.header("retry-after"));
        let wait = text.and_then(|text| header_wait(text, now_ms));
        Ok(wait.map(|wait| wait.min(self.max)))
    }
}

/// A header that says how long to wait, in seconds.
#[derive(Debug, Clone)]
pub struct HeaderWait {
    header: String,
    regex: Option<Regex>,
    max: Option<Duration>,
}

impl HeaderWait {
    /// Reads `header`: seconds, an HTTP date or an epoch time, as [`header_wait`] tells them apart.
    pub fn new(header: impl Into<String>) -> Self {
        Self {
            header: header.into(),
            regex: None,
            max: None,
        }
    }

    /// Takes the part that `regex` matches at the start of the header's value.
    pub fn with_regex(mut self, regex: &str) -> Result<Self> {
        self.regex = Some(at_start(regex)?);
        Ok(self)
    }

    /// Gives up with a transient error when the wait would be this long or longer.
    #[must_use]
    pub fn with_max(mut self, max: Duration) -> Self {
        self.max = Some(max);
        self
    }
}

impl Backoff for HeaderWait {
    fn wait(&self, attempt: &Attempt<'_>, _: u32, now_ms: i64) -> Result<Option<Duration>> {
        let value = header_value(attempt, &self.header, self.regex.as_ref());
        let wait = value.and_then(|value| header_wait(value, now_ms));
        wait.map(|wait| allowed(wait, self.max)).transpose()
    }
}

/// A header that says until when to wait: seconds since the Unix epoch, or an HTTP date.
#[derive(Debug, Clone)]
pub struct UntilHeader {
    header: String,
    regex: Option<Regex>,
    min: Duration,
    max: Option<Duration>,
}

impl UntilHeader {
    /// Reads `header`.
    pub fn new(header: impl Into<String>) -> Self {
        Self {
            header: header.into(),
            regex: None,
            min: Duration::ZERO,
            max: None,
        }
    }

    /// Takes the part that `regex` matches at the start of the header's value.
    pub fn with_regex(mut self, regex: &str) -> Result<Self> {
        self.regex = Some(at_start(regex)?);
        Ok(self)
    }

    /// Waits at least this long.
    #[must_use]
    pub fn with_min(mut self, min: Duration) -> Self {
        self.min = min;
        self
    }

    /// Gives up with a transient error when the wait would be this long or longer.
    #[must_use]
    pub fn with_max(mut self, max: Duration) -> Self {
        self.max = Some(max);
        self
    }
}

impl Backoff for UntilHeader {
    fn wait(&self, attempt: &Attempt<'_>, _: u32, now_ms: i64) -> Result<Option<Duration>> {
        let Some(value) = header_value(attempt, &self.header, self.regex.as_ref()) else {
            return Ok((!self.min.is_zero()).then_some(self.min));
        };
        let seconds: Option<f64> = value.trim().parse().ok();
        let until_ms = seconds.map(|seconds| (seconds * 1000.0) as i64);
        let until_ms = until_ms.or_else(|| http_date_ms(value));
        let Some(until_ms) = until_ms else {
            return Ok((!self.min.is_zero()).then_some(self.min));
        };
        let wait = Duration::from_millis(until_ms.saturating_sub(now_ms).max(0) as u64);
        allowed(wait.max(self.min), self.max).map(Some)
    }
}

/// The wait that the value of a header asks for: seconds, an HTTP date, or (numbers too large for a wait) a time in
/// seconds or milliseconds since the Unix epoch. What lies in the past is no wait at all.
pub fn header_wait(text: &str, now_ms: i64) -> Option<Duration> {
    const EPOCH_SECONDS: f64 = 1e9;
    const EPOCH_MILLIS: f64 = 1e12;
    let text = text.trim();
    let Ok(number) = text.parse::<f64>() else {
        let until_ms = http_date_ms(text)?;
        return Some(Duration::from_millis(
            until_ms.saturating_sub(now_ms).max(0) as u64,
        ));
    };
    if !number.is_finite() || number < 0.0 {
        return None;
    }
    let seconds = if number >= EPOCH_MILLIS {
        (number - now_ms as f64) / 1000.0
    } else if number >= EPOCH_SECONDS {
        number - now_ms as f64 / 1000.0
    } else {
        number
    };
    Duration::try_from_secs_f64(seconds.max(0.0)).ok()
}

fn http_date_ms(text: &str) -> Option<i64> {
    let date = DateTime::parse_from_rfc2822(text.trim()).ok()?;
    Some(date.timestamp_millis())
}

fn header_value<'a>(attempt: &Attempt<'a>, header: &str, regex: Option<&Regex>) -> Option<&'a str> {
    let Attempt::Answered(answer) = attempt else {
        return None;
    };
    let value = answer.headers.get(header)?.to_str().ok()?;
    match regex {
        Some(regex) => regex.find(value).map(|found| found.as_str()),
        None => Some(value),
    }
}

fn at_start(regex: &str) -> Result<Regex> {
    Regex::new(&format!("^(?:{regex})")).config_error(format!(
        "`{regex}` is no valid regular expression for the value of a header."
    ))
}

fn allowed(wait: Duration, max: Option<Duration>) -> Result<Duration> {
    match max {
        Some(max) if wait >= max => Err(ConnectorError::transient(format!(
            "The API asks to wait {} s, longer than the {} s that are allowed. Run the sync again later.",
            wait.as_secs(),
            max.as_secs()
        ))
        .with_retry(RetryStatus::Persistent)),
        _ => Ok(wait),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::errors::Answer;
    use reqwest::StatusCode;
    use reqwest::header::HeaderMap;

    const NOW_MS: i64 = 1_700_000_000_000;

    fn wait_of(
        backoff: &dyn Backoff,
        headers: &[(&'static str, &str)],
        retry: u32,
    ) -> Result<Option<f64>> {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        let answer = Answer {
            status: StatusCode::TOO_MANY_REQUESTS,
            headers: &headers,
            body: b"",
        };
        let wait = backoff.wait(&Attempt::Answered(answer), retry, NOW_MS)?;
        Ok(wait.map(|wait| wait.as_secs_f64()))
    }

    #[test]
    fn waits_of_headers_are_seconds_dates_or_epochs() {
        for (text, expected) in [
            ("7", Some(7.0)),
            (" 0.5 ", Some(0.5)),
            ("1700000009", Some(9.0)),
            ("1700000009500", Some(9.5)),
            ("Tue, 14 Nov 2023 22:13:25 GMT", Some(5.0)),
            ("Tue, 14 Nov 2023 22:13:15 GMT", Some(0.0)),
            ("soon", None),
            ("-1", None),
        ] {
            let wait = header_wait(text, NOW_MS).map(|wait| wait.as_secs_f64());
            assert_eq!(wait, expected, "{text}");
        }
    }

    #[test]
    fn exponential_waits_double_up_to_the_limit() {
        let mut backoff = Exponential::new(Duration::from_secs(1));
        backoff.jitter = Jitter::default();
        backoff.max = Duration::from_secs(5);
        let waits: Vec<_> = (1..5)
            .map(|retry| wait_of(&backoff, &[], retry).unwrap())
            .collect();
        assert_eq!(waits, [1.0, 2.0, 4.0, 5.0].map(Some));
    }

    #[test]
    fn jitter_adds_at_most_twice_itself() {
        for _ in 0..100 {
            let wait = Jitter(Duration::from_secs(1)).add_to(Duration::from_secs(3));
            assert!((3.0..5.0).contains(&wait.as_secs_f64()), "{wait:?}");
        }
    }

    #[test]
    fn retry_after_is_honoured_and_capped() {
        let backoff = RetryAfter::DEFAULT;
        assert_eq!(
            wait_of(&backoff, &[("retry-after", "3")], 1).unwrap(),
            Some(3.0)
        );
        assert_eq!(
            wait_of(&backoff, &[("retry-after", "9999")], 1).unwrap(),
            Some(600.0)
        );
        assert_eq!(wait_of(&backoff, &[], 1).unwrap(), None);
    }

    #[test]
    fn a_header_that_asks_for_too_long_a_wait_gives_up() {
        let backoff = HeaderWait::new("x-wait").with_regex(r"\d+").unwrap();
        let backoff = backoff.with_max(Duration::from_secs(60));
        assert_eq!(
            wait_of(&backoff, &[("x-wait", "12 s")], 1).unwrap(),
            Some(12.0)
        );
        assert_eq!(
            wait_of(&backoff, &[("x-wait", "in 12 s")], 1).unwrap(),
            None
        );
        let error = wait_of(&backoff, &[("x-wait", "60")], 1).unwrap_err();
        assert_eq!(error.retry(), RetryStatus::Persistent);
    }

    #[test]
    fn a_header_says_until_when_to_wait() {
        let backoff = UntilHeader::new("x-reset").with_min(Duration::from_secs(2));
        assert_eq!(
            wait_of(&backoff, &[("x-reset", "1700000030")], 1).unwrap(),
            Some(30.0)
        );
        assert_eq!(
            wait_of(&backoff, &[("x-reset", "1600000000")], 1).unwrap(),
            Some(2.0)
        );
        assert_eq!(wait_of(&backoff, &[], 1).unwrap(), Some(2.0));
    }
}
