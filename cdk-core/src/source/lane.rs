//! The open batch of one reader.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use airbyte_protocol::{RawJson, StreamDescriptor};
use tokio::time::Instant;

use crate::batch::{JsonRows, RecordBatch};
use crate::error::Result;
use crate::source::run::StreamRun;

/// One reader's way into its stream's run.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) run: Arc<StreamRun>,
    rows: Arc<LaneRows>,
}

impl Lane {
    pub(super) fn new(run: Arc<StreamRun>, rows: Arc<LaneRows>) -> Self {
        Self { run, rows }
    }

    pub(crate) fn partition(&self) -> u64 {
        self.rows.partition
    }

    /// Adds one row by `add`; true when the batch is full and should be flushed.
    pub(crate) fn add(&self, add: impl FnOnce(&mut JsonRows) -> Result<()>) -> Result<bool> {
        let mut open = self.rows.lock();
        if open.opened.is_none() {
            open.opened = Some(Instant::now());
            // With room for the record that fills it.
            let bytes = self.run.settings.batch_bytes + (self.run.settings.batch_bytes >> 4);
            open.rows = JsonRows::with_buffer(self.run.context.events().budget().buffer(bytes));
            open.rows.stamp(self.run.context.now_ms());
        }
        add(&mut open.rows)?;
        Ok(open.rows.held_bytes() >= self.run.settings.batch_bytes)
    }

    /// Queues Arrow rows as a batch of their own, behind the open rows.
    #[cfg(feature = "arrow")]
    pub(crate) async fn send_arrow(&self, rows: crate::arrow::ArrowRows) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        self.flush(false).await?;
        let stream = Arc::clone(&self.run.descriptor);
        let batch = RecordBatch::from_arrow(stream, rows);
        self.run.send_batch(&self.rows, batch).await
    }

    /// Notes a checkpoint after the rows added so far; true when it should be flushed now.
    pub(super) fn note_checkpoint(&self, checkpoint: Checkpoint) -> bool {
        let mut open = self.rows.lock();
        open.checkpoint = Some(checkpoint);
        let since = *open.checkpointed_at.get_or_insert_with(Instant::now);
        self.run.is_state_due(open.rows.len(), open.rows.bytes())
            || since.elapsed() >= self.run.settings.checkpoint_interval
    }

    /// Queues the open rows, then hands on the checkpoint. `force` sends its state at once.
    pub(crate) async fn flush(&self, force: bool) -> Result<()> {
        self.run.flush(&self.rows).await?;
        self.run.publish(force).await
    }

    /// Flushes whenever the open batch is older than `age`, for as long as it is polled.
    pub(crate) async fn flush_by_age(&self, age: Duration) -> Result<()> {
        let mut tick = tokio::time::interval(age);
        loop {
            tick.tick().await;
            if self.rows.is_older_than(age) {
                self.flush(false).await?;
            }
        }
    }
}

/// A point to resume from. Numbers grow over all lanes of a stream.
#[derive(Debug, Clone)]
pub(super) struct Checkpoint {
    pub(super) number: u64,
    pub(super) state: RawJson,
}

/// The rows of one reader that are not queued yet.
#[derive(Debug)]
pub(crate) struct LaneRows {
    pub(super) partition: u64,
    open: Mutex<OpenBatch>,
    /// What is on its way out. It stays here until the budget has room, so that nothing is lost when
    /// whoever waits is dropped; the lock keeps batches in order.
    pub(super) outgoing: tokio::sync::Mutex<Outgoing>,
}

#[derive(Debug, Default)]
struct OpenBatch {
    rows: JsonRows,
    opened: Option<Instant>,
    /// The newest checkpoint; handed on once the rows before it are queued.
    checkpoint: Option<Checkpoint>,
    /// When the first checkpoint since the last flush was noted.
    checkpointed_at: Option<Instant>,
}

/// Rows and the checkpoint behind them.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    pub(super) batch: Option<RecordBatch>,
    pub(super) checkpoint: Option<Checkpoint>,
}

impl LaneRows {
    pub(super) fn new(partition: u64) -> Self {
        Self {
            partition,
            open: Mutex::default(),
            outgoing: tokio::sync::Mutex::default(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        let is_sent = |out: &Outgoing| out.batch.is_none() && out.checkpoint.is_none();
        let open = self.lock();
        let is_open = open.rows.is_empty() && open.checkpoint.is_none();
        is_open && self.outgoing.try_lock().is_ok_and(|out| is_sent(&out))
    }

    pub(super) fn is_older_than(&self, age: Duration) -> bool {
        self.lock()
            .opened
            .is_some_and(|opened| opened.elapsed() >= age)
    }

    /// Takes all that is open.
    pub(super) fn take(&self, stream: &Arc<StreamDescriptor>) -> Outgoing {
        let mut open = self.lock();
        let checkpoint = open.checkpoint.take();
        if checkpoint.is_some() {
            open.checkpointed_at = None;
        }
        if open.opened.take().is_none() {
            return Outgoing {
                batch: None,
                checkpoint,
            };
        }
        let rows = std::mem::take(&mut open.rows);
        let batch = Some(RecordBatch::new(Arc::clone(stream), rows));
        Outgoing { batch, checkpoint }
    }

    fn lock(&self) -> MutexGuard<'_, OpenBatch> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
