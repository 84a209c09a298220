//! Who decides about answers, and for how long one request is tried.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use cdk_core::Result;

use crate::errors::{
    Attempt, Backoff, Exponential, Resolution, ResponseAction, ResponseFilter, RetryAfter,
    status_default, transport_default,
};

/// Decides what answers mean and how long to wait before another try.
///
/// Called by many tasks at once. [`DefaultErrorHandler`] covers most APIs.
pub trait ErrorHandler: Debug + Send + Sync + 'static {
    /// What to do about one try.
    fn resolve(&self, attempt: &Attempt<'_>) -> Resolution;

    /// Whether [`resolve`](Self::resolve) wants the body of answers with a status of success too. They are then read
    /// whole before they are handed on.
    fn inspects_success(&self) -> bool {
        false
    }

    /// How long to wait before retry number `retry` (the first is 1). An error gives up instead: the wait asked for is
    /// too long. `now_ms` is the wall clock.
    fn wait(&self, attempt: &Attempt<'_>, retry: u32, now_ms: i64) -> Result<Duration>;

    /// How often and how long one request is tried.
    fn limits(&self) -> RetryLimits {
        RetryLimits::default()
    }
}

/// How often and how long one request is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryLimits {
    /// Tries after the first.
    pub max_retries: u32,
    /// No further try is begun when its wait would end later than this after the first.
    pub max_time: Option<Duration>,
}

impl Default for RetryLimits {
    fn default() -> Self {
        Self {
            max_retries: 5,
            max_time: Some(Duration::from_secs(600)),
        }
    }
}

/// Filters first, then the [default table](status_default); waits as the strategies say.
///
/// The first filter that matches counts. Of the strategies, the first that gives a wait counts; behind them stand
/// `Retry-After` and an exponential wait from 1 s on.
#[derive(Debug, Clone, Default)]
pub struct DefaultErrorHandler {
    filters: Vec<ResponseFilter>,
    backoffs: Vec<Arc<dyn Backoff>>,
    limits: RetryLimits,
}

impl DefaultErrorHandler {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a filter behind the others.
    #[must_use]
    pub fn filter(mut self, filter: ResponseFilter) -> Self {
        self.filters.push(filter);
        self
    }

    /// Adds a strategy behind the others.
    #[must_use]
    pub fn backoff(mut self, backoff: impl Backoff) -> Self {
        self.backoffs.push(Arc::new(backoff));
        self
    }

    /// Sets how often a request is tried again.
    #[must_use]
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.limits.max_retries = retries;
        self
    }

    /// Sets how long a request is tried.
    #[must_use]
    pub fn max_time(mut self, time: Duration) -> Self {
        self.limits.max_time = Some(time);
        self
    }
}

impl ErrorHandler for DefaultErrorHandler {
    fn resolve(&self, attempt: &Attempt<'_>) -> Resolution {
        match attempt {
            Attempt::Failed(error) => transport_default(error),
            Attempt::Answered(answer) => self
                .filters
                .iter()
                .find_map(|filter| filter.resolve(answer))
                .unwrap_or_else(|| status_default(answer.status)),
        }
    }

    fn inspects_success(&self) -> bool {
        self.filters.iter().any(ResponseFilter::inspects_success)
    }

    fn wait(&self, attempt: &Attempt<'_>, retry: u32, now_ms: i64) -> Result<Duration> {
        let defaults: [&dyn Backoff; 2] = [&RetryAfter::DEFAULT, &Exponential::DEFAULT];
        let own = self.backoffs.iter().map(AsRef::as_ref);
        for backoff in own.chain(defaults) {
            if let Some(wait) = backoff.wait(attempt, retry, now_ms)? {
                return Ok(wait);
            }
        }
        Ok(Duration::ZERO)
    }

    fn limits(&self) -> RetryLimits {
        self.limits
    }
}

impl ResponseAction {
    /// True for the actions after which the same request is sent again.
    pub fn is_retry(self) -> bool {
        matches!(
            self,
            Self::Retry | Self::RateLimited | Self::RefreshTokenThenRetry
        )
    }
}
