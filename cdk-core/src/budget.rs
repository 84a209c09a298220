//! One byte budget per process: every queued batch holds a share of it until it was written or loaded.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes that may be queued between all sources and destinations of a process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct MemoryBudget {
    free: Arc<Semaphore>,
    total_bytes: usize,
    /// Buffers of finished batches. Fresh ones of a megabyte cost more in page faults than in copying, and
    /// freed by another thread they stay with the allocator for long.
    buffers: Arc<Mutex<Vec<Vec<u8>>>>,
}

/// Bytes taken from a [`MemoryBudget`]; given back on drop.
#[derive(Debug)]
pub struct Reservation {
    _permit: OwnedSemaphorePermit,
    budget: MemoryBudget,
}

impl Reservation {
    /// Hands a buffer on to the next batch that is opened, if the budget has room for it meanwhile. A few
    /// are kept even when it has none: that is when they are asked for at once.
    pub(crate) fn recycle(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let mut buffers = self.budget.lock_buffers();
        let kept: usize = buffers.iter().map(Vec::capacity).sum();
        let has_room = kept + buffer.capacity() <= self.budget.free.available_permits();
        if has_room || (buffers.len() < ALWAYS_KEPT && buffer.capacity() <= ALWAYS_KEPT_BYTES) {
            buffers.push(buffer);
        }
    }
}

/// Kept beside a full budget, so they are few and none of them is huge.
const ALWAYS_KEPT: usize = 4;
const ALWAYS_KEPT_BYTES: usize = 2 << 20;

impl MemoryBudget {
    /// The default: 64 MiB.
    pub const DEFAULT_BYTES: usize = 64 << 20;

    /// A budget of `total_bytes`, at least 1 MiB and at most 4 GiB.
    pub fn new(total_bytes: usize) -> Self {
        let total_bytes = total_bytes.clamp(1 << 20, u32::MAX as usize);
        Self {
            free: Arc::new(Semaphore::new(total_bytes)),
            total_bytes,
            buffers: Arc::default(),
        }
    }

    /// The whole budget in bytes.
    pub fn total_bytes(&self) -> usize {
        self.total_bytes
    }

    /// Bytes that are reserved now.
    pub fn used_bytes(&self) -> usize {
        self.total_bytes - self.free.available_permits()
    }

    /// Waits until `bytes` are free and takes them, first come first served.
    ///
    /// More than the whole budget takes all of it: one oversized record passes alone instead of never.
    pub async fn reserve(&self, bytes: usize) -> Reservation {
        let wanted = u32::try_from(bytes.clamp(1, self.total_bytes)).unwrap_or(u32::MAX);
        let permit = Arc::clone(&self.free).acquire_many_owned(wanted).await;
        Reservation {
            _permit: permit.expect("the semaphore of a budget is never closed"),
            budget: self.clone(),
        }
    }

    /// An empty buffer, used before if there is one, else with room for `bytes`.
    pub(crate) fn buffer(&self, bytes: usize) -> Vec<u8> {
        let used = self.lock_buffers().pop();
        used.unwrap_or_else(|| Vec::with_capacity(bytes))
    }

    fn lock_buffers(&self) -> std::sync::MutexGuard<'_, Vec<Vec<u8>>> {
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryBudget {
    fn default() -> Self {
        Self::new(Self::DEFAULT_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[tokio::test]
    async fn a_full_budget_blocks_until_bytes_come_back() {
        let budget = MemoryBudget::new(1 << 20);
        let first = budget.reserve(1 << 20).await;
        assert!(budget.reserve(1).now_or_never().is_none());
        drop(first);
        assert!(budget.reserve(1).now_or_never().is_some());
    }

    #[tokio::test]
    async fn an_oversized_reservation_passes_alone() {
        let budget = MemoryBudget::new(1 << 20);
        let huge = budget.reserve(1 << 30).await;
        assert_eq!(budget.used_bytes(), 1 << 20);
        drop(huge);
        assert_eq!(budget.used_bytes(), 0);
    }
}
