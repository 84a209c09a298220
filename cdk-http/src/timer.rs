//! Waiting, as a parameter: back-off and rate limits run on it, so tests don't wait.

use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

/// Measures and waits. Not for wall-clock times: those are [`cdk_core::Clock`]'s.
#[async_trait]
pub trait Timer: Debug + Send + Sync + 'static {
    /// Time since some fixed moment; never goes back.
    fn now(&self) -> Duration;

    /// Waits that long.
    async fn sleep(&self, duration: Duration);
}

/// Real time, or real time made shorter.
#[derive(Debug)]
pub struct SystemTimer {
    start: Instant,
    scale: f64,
}

impl SystemTimer {
    /// Real time.
    pub fn new() -> Self {
        Self::scaled(1.0)
    }

    /// Waits take `scale` of their length, and time seems to pass that much faster. At least a millionth.
    pub fn scaled(scale: f64) -> Self {
        let scale = if scale.is_finite() { scale } else { 1.0 };
        Self {
            start: Instant::now(),
            scale: scale.clamp(1e-6, 1.0),
        }
    }

    /// Real time, shortened by the factor in the environment variable `CDK_SLEEP_SCALE` if that is set: for tests of
    /// whole programs.
    pub fn from_env() -> Self {
        let scale = std::env::var("CDK_SLEEP_SCALE").ok();
        Self::scaled(scale.and_then(|text| text.parse().ok()).unwrap_or(1.0))
    }
}

impl Default for SystemTimer {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Timer for SystemTimer {
    fn now(&self) -> Duration {
        self.start.elapsed().div_f64(self.scale)
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration.mul_f64(self.scale)).await;
    }
}

/// A timer for tests: a wait moves its hand and is over. Clones share the hand.
#[derive(Debug, Clone, Default)]
pub struct VirtualTimer(Arc<Hand>);

#[derive(Debug, Default)]
struct Hand {
    nanos: AtomicU64,
    waits: Mutex<Vec<Duration>>,
}

impl VirtualTimer {
    /// All waits so far, in order.
    pub fn waits(&self) -> Vec<Duration> {
        let waits = self.0.waits.lock().unwrap_or_else(PoisonError::into_inner);
        waits.clone()
    }
}

#[async_trait]
impl Timer for VirtualTimer {
    fn now(&self) -> Duration {
        Duration::from_nanos(self.0.nanos.load(Ordering::SeqCst))
    }

    async fn sleep(&self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.0.nanos.fetch_add(nanos, Ordering::SeqCst);
        let mut waits = self.0.waits.lock().unwrap_or_else(PoisonError::into_inner);
        waits.push(duration);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_scaled_timer_waits_less_and_sees_more_time() {
        let timer = SystemTimer::scaled(0.01);
        let before = Instant::now();
        timer.sleep(Duration::from_secs(100)).await;
        assert_eq!(before.elapsed(), Duration::from_secs(1));
        assert_eq!(timer.now(), Duration::from_secs(100));
    }

    #[tokio::test]
    async fn a_virtual_timer_keeps_its_waits() {
        let timer = VirtualTimer::default();
        timer.sleep(Duration::from_secs(3600)).await;
        assert_eq!(timer.now(), Duration::from_secs(3600));
        assert_eq!(timer.waits(), [Duration::from_secs(3600)]);
    }
}
