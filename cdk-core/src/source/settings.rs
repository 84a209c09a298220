//! The rhythm of `read`: how much at a time, how often.

use std::time::Duration;

/// How `read` runs.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ReadSettings {
    /// Partitions read at the same time, over all streams.
    pub concurrency: usize,
    /// Streams open at the same time: for sources that hold a connection or a snapshot per stream.
    pub open_streams: usize,
    /// A batch goes on when it holds this many bytes…
    pub batch_bytes: usize,
    /// …or is this old.
    pub batch_age: Duration,
    /// A state is emitted at the first checkpoint after this many rows of its stream…
    pub checkpoint_rows: u64,
    /// …or this many bytes…
    pub checkpoint_bytes: u64,
    /// …or this long.
    pub checkpoint_interval: Duration,
    /// A larger record loses its largest fields, see [`RecordSink`](crate::RecordSink). The protocol's documentation
    /// puts the limit of a message at about 20 MB.
    pub max_record_bytes: usize,
}

impl Default for ReadSettings {
    fn default() -> Self {
        Self {
            concurrency: std::thread::available_parallelism().map_or(2, usize::from),
            open_streams: usize::MAX,
            batch_bytes: 1 << 20,
            batch_age: Duration::from_secs(1),
            checkpoint_rows: 100_000,
            checkpoint_bytes: 64 << 20,
            checkpoint_interval: Duration::from_secs(5),
            max_record_bytes: 20_000_000,
        }
    }
}

impl ReadSettings {
    /// Sets how many partitions are read at the same time (at least one).
    #[must_use]
    pub fn with_concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = concurrency.max(1);
        self
    }

    /// Sets how many streams are open at the same time (at least one).
    #[must_use]
    pub fn with_open_streams(mut self, streams: usize) -> Self {
        self.open_streams = streams.max(1);
        self
    }

    /// Sets after how many rows of a stream a checkpoint's state is emitted.
    #[must_use]
    pub fn with_checkpoint_rows(mut self, rows: u64) -> Self {
        self.checkpoint_rows = rows;
        self
    }

    /// All open batches together may take half of the budget.
    pub(super) fn fit(mut self, budget_bytes: usize) -> Self {
        let share = budget_bytes / 2 / self.concurrency.max(1);
        self.batch_bytes = self.batch_bytes.min(share.max(4096));
        self
    }
}
