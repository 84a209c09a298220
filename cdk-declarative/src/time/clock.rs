//! The wall clock, which tests can pin.

use std::sync::Arc;

use cdk_core::{Clock, ConnectorError, Result, SystemClock};

use super::parse_iso;

/// A clock that shows one instant, to the microsecond.
#[derive(Debug, Clone, Copy)]
pub struct PinnedClock(i64);

impl PinnedClock {
    /// Shows `us` microseconds since the Unix epoch.
    pub fn new(us: i64) -> Self {
        Self(us)
    }
}

impl Clock for PinnedClock {
    fn now_ms(&self) -> i64 {
        self.0.div_euclid(1000)
    }

    fn now_us(&self) -> i64 {
        self.0
    }
}

/// The clock of the system, or the instant that the environment variable `CDK_NOW` (RFC 3339) pins it to.
///
/// `CDK_NOW` is for tests: with it, the same manifest sends the same requests every day.
pub fn wall_clock() -> Result<Arc<dyn Clock>> {
    let Ok(text) = std::env::var("CDK_NOW") else {
        return Ok(Arc::new(SystemClock));
    };
    match parse_iso(text.trim()) {
        Some(moment) => Ok(Arc::new(PinnedClock::new(moment.us()))),
        None => Err(ConnectorError::config(format!(
            "CDK_NOW is `{text}`, which is no RFC 3339 time such as 2024-06-15T12:00:00Z. Correct or unset it."
        ))),
    }
}
