//! Says who waits on what when nothing moves.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Counts the steps of a run and knows its open waits. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Progress(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    steps: AtomicU64,
    next_wait: AtomicU64,
    waits: Mutex<BTreeMap<u64, (String, Instant)>>,
}

/// An open wait; it ends on drop.
#[derive(Debug)]
pub struct Wait {
    progress: Progress,
    id: u64,
}

impl Progress {
    /// Something moved: a batch or a message went on.
    pub fn step(&self) {
        self.0.steps.fetch_add(1, Ordering::Relaxed);
    }

    /// Steps so far.
    pub fn steps(&self) -> u64 {
        self.0.steps.load(Ordering::Relaxed)
    }

    /// Opens a wait. `what` reads "who waits for what".
    pub fn wait(&self, what: impl FnOnce() -> String) -> Wait {
        let id = self.0.next_wait.fetch_add(1, Ordering::Relaxed);
        let mut waits = self.0.waits.lock().unwrap_or_else(PoisonError::into_inner);
        waits.insert(id, (what(), Instant::now()));
        Wait {
            progress: self.clone(),
            id,
        }
    }

    /// The open waits, oldest first, each with its age.
    pub fn waits(&self) -> Vec<(String, Duration)> {
        let waits = self.0.waits.lock().unwrap_or_else(PoisonError::into_inner);
        waits
            .values()
            .map(|(what, since)| (what.clone(), since.elapsed()))
            .collect()
    }

    fn report(&self) -> String {
        let lines: Vec<String> = self
            .waits()
            .into_iter()
            .map(|(what, age)| format!("{what} ({} s)", age.as_secs()))
            .collect();
        if lines.is_empty() {
            "no open wait is known".to_owned()
        } else {
            lines.join("; ")
        }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let mut waits = self
            .progress
            .0
            .waits
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        waits.remove(&self.id);
    }
}

/// How often a stalled run says so.
pub const STALL_INTERVAL: Duration = Duration::from_secs(60);

/// Warns whenever nothing moved for `interval`, for as long as it is polled.
pub async fn watch(progress: Progress, interval: Duration) {
    let mut seen = progress.steps();
    let mut still = Duration::ZERO;
    loop {
        tokio::time::sleep(interval).await;
        let steps = progress.steps();
        if steps == seen {
            still += interval;
            tracing::warn!(
                "Nothing moved for {} s: {}",
                still.as_secs(),
                progress.report()
            );
        } else {
            still = Duration::ZERO;
            seen = steps;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn open_waits_are_reported_with_their_age() {
        let progress = Progress::default();
        let wait = progress.wait(|| "stream users waits for the source".to_owned());
        tokio::time::advance(Duration::from_secs(90)).await;
        assert_eq!(
            progress.report(),
            "stream users waits for the source (90 s)"
        );
        drop(wait);
        assert_eq!(progress.waits().len(), 0);
    }
}
