//! The open batch of one reader, and the run of one stream that all its readers share.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use airbyte_protocol::{
    AirbyteMessage, AirbyteStateMessage, AirbyteStreamStatus, AirbyteStreamStatusTraceMessage,
    AirbyteTraceMessage, RawJson, StreamDescriptor,
};
use tokio::time::Instant;

use crate::batch::{JsonRows, RecordBatch};
use crate::context::Context;
use crate::error::Result;
use crate::source::checkpoint::PartitionTracker;
use crate::source::feed::SharedState;
use crate::source::read::ReadSettings;

/// What all readers of one stream share: its status, its counters, its state.
#[derive(Debug)]
pub(crate) struct StreamRun {
    pub(crate) descriptor: Arc<StreamDescriptor>,
    pub(crate) context: Context,
    pub(crate) settings: ReadSettings,
    is_running: AtomicBool,
    /// Rows and bytes queued since the last state.
    rows: AtomicU64,
    bytes: AtomicU64,
    state: tokio::sync::Mutex<StateRun>,
    /// Set when the stream's state is a part of a GLOBAL one.
    shared: Option<Arc<SharedState>>,
}

#[derive(Debug)]
struct StateRun {
    tracker: PartitionTracker,
    is_ordered: bool,
    /// Released, but not yet due.
    unsent: Option<RawJson>,
    is_any_sent: bool,
    sent_at: Instant,
}

impl StreamRun {
    pub(crate) fn new(
        descriptor: StreamDescriptor,
        context: Context,
        settings: ReadSettings,
        shared: Option<Arc<SharedState>>,
    ) -> Self {
        let state = StateRun {
            tracker: PartitionTracker::default(),
            is_ordered: shared.is_none(),
            unsent: None,
            is_any_sent: false,
            sent_at: Instant::now(),
        };
        Self {
            descriptor: Arc::new(descriptor),
            context,
            settings,
            is_running: AtomicBool::new(false),
            rows: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            state: tokio::sync::Mutex::new(state),
            shared,
        }
    }

    pub(crate) async fn set_ordered(&self, is_ordered: bool) {
        self.state.lock().await.is_ordered = is_ordered;
    }

    pub(crate) fn status(&self, status: AirbyteStreamStatus) -> Result<()> {
        let body = AirbyteStreamStatusTraceMessage::new(self.descriptor.as_ref().clone(), status);
        let trace = AirbyteTraceMessage::stream_status(self.context.now_ms() as f64, body);
        self.context.emit(AirbyteMessage::Trace(trace))
    }

    /// Queues a batch; the first one makes the stream RUNNING.
    pub(crate) async fn send(&self, batch: RecordBatch) -> Result<()> {
        if !self.is_running.swap(true, Ordering::Relaxed) {
            self.status(AirbyteStreamStatus::Running)?;
        }
        self.rows.fetch_add(batch.len() as u64, Ordering::Relaxed);
        self.bytes.fetch_add(batch.bytes() as u64, Ordering::Relaxed);
        self.context.events().records(batch).await
    }

    /// A reader's checkpoint; its records up to there are queued.
    async fn checkpoint(&self, partition: u64, state: RawJson, force: bool) -> Result<()> {
        let mut run = self.state.lock().await;
        let released = match run.is_ordered {
            true => run.tracker.checkpoint(partition, state),
            false => Some(state),
        };
        run.unsent = released.or(run.unsent.take());
        if force || self.is_due(run.sent_at) { self.send_state(&mut run) } else { Ok(()) }
    }

    pub(crate) async fn finish_partition(&self, partition: u64) -> Result<()> {
        let mut run = self.state.lock().await;
        let released = run.tracker.finish(partition, None);
        if run.is_ordered {
            run.unsent = released.or(run.unsent.take());
        }
        if self.is_due(run.sent_at) { self.send_state(&mut run) } else { Ok(()) }
    }

    /// Sends what is left unsent. A complete stream always ends with a state: `last_resort` if it never had one.
    pub(crate) async fn finish_states(&self, last_resort: Option<RawJson>) -> Result<()> {
        let mut run = self.state.lock().await;
        if run.unsent.is_none() && !run.is_any_sent {
            run.unsent = last_resort;
        }
        self.send_state(&mut run)
    }

    /// Sent under the lock, so that states of a stream leave in the order in which they were released.
    fn send_state(&self, run: &mut StateRun) -> Result<()> {
        let Some(state) = run.unsent.take() else { return Ok(()) };
        run.is_any_sent = true;
        run.sent_at = Instant::now();
        self.rows.store(0, Ordering::Relaxed);
        self.bytes.store(0, Ordering::Relaxed);
        let descriptor = self.descriptor.as_ref().clone();
        if let Some(shared) = &self.shared {
            return shared.update(&self.context, None, vec![(descriptor, state)]);
        }
        let message = AirbyteStateMessage::stream(descriptor, Some(state));
        self.context.emit(AirbyteMessage::State(message))
    }

    fn is_due(&self, sent_at: Instant) -> bool {
        let every = &self.settings;
        self.rows.load(Ordering::Relaxed) >= every.checkpoint_rows
            || self.bytes.load(Ordering::Relaxed) >= every.checkpoint_bytes
            || sent_at.elapsed() >= every.checkpoint_interval
    }
}

/// The open batch of one reader.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) run: Arc<StreamRun>,
    partition: u64,
    open: Mutex<OpenBatch>,
    /// Held while a batch is sent: a timed flush and a full batch must not overtake each other.
    sending: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
pub(crate) struct OpenBatch {
    pub(crate) rows: JsonRows,
    opened: Option<Instant>,
    /// The newest checkpoint; handed on once the rows before it are queued.
    checkpoint: Option<RawJson>,
    /// When the first checkpoint since the last flush was noted.
    checkpointed_at: Option<Instant>,
}

impl Lane {
    pub(crate) fn new(run: Arc<StreamRun>, partition: u64) -> Self {
        Self { run, partition, open: Mutex::default(), sending: tokio::sync::Mutex::new(()) }
    }

    pub(crate) fn partition(&self) -> u64 {
        self.partition
    }

    pub(crate) fn is_empty(&self) -> bool {
        let open = self.lock();
        open.rows.is_empty() && open.checkpoint.is_none()
    }

    /// Adds one row by `add`; true when the batch is full and should be flushed.
    pub(crate) fn add(&self, add: impl FnOnce(&mut JsonRows) -> Result<()>) -> Result<bool> {
        let mut open = self.lock();
        if open.opened.is_none() {
            open.opened = Some(Instant::now());
            open.rows.stamp(self.run.context.now_ms());
        }
        add(&mut open.rows)?;
        Ok(open.rows.bytes() >= self.run.settings.batch_bytes)
    }

    /// Notes a checkpoint after the rows added so far; true when it should be flushed now.
    pub(crate) fn note_checkpoint(&self, state: RawJson) -> bool {
        let every = &self.run.settings;
        let mut open = self.lock();
        open.checkpoint = Some(state);
        let since = *open.checkpointed_at.get_or_insert_with(Instant::now);
        let rows = self.run.rows.load(Ordering::Relaxed) + open.rows.len() as u64;
        rows >= every.checkpoint_rows || since.elapsed() >= every.checkpoint_interval
    }

    /// Queues the open rows, then hands on the checkpoint. `force` sends its state at once.
    pub(crate) async fn flush(&self, force: bool) -> Result<()> {
        let guard = self.sending.lock().await;
        self.flush_holding(&guard, force).await
    }

    /// Flushes when the open batch is older than `age`, unless a flush is under way.
    pub(crate) async fn flush_older_than(&self, age: Duration) -> Result<()> {
        let is_old = self.lock().opened.is_some_and(|opened| opened.elapsed() >= age);
        match self.sending.try_lock() {
            Ok(guard) if is_old => self.flush_holding(&guard, false).await,
            _ => Ok(()),
        }
    }

    async fn flush_holding(
        &self,
        _sending: &tokio::sync::MutexGuard<'_, ()>,
        force: bool,
    ) -> Result<()> {
        let (batch, checkpoint) = self.take();
        if let Some(batch) = batch {
            self.run.send(batch).await?;
        }
        match checkpoint {
            Some(state) => self.run.checkpoint(self.partition, state, force).await,
            None => Ok(()),
        }
    }

    fn take(&self) -> (Option<RecordBatch>, Option<RawJson>) {
        let mut open = self.lock();
        let checkpoint = open.checkpoint.take();
        if checkpoint.is_some() {
            open.checkpointed_at = None;
        }
        if open.opened.take().is_none() {
            return (None, checkpoint);
        }
        // The next batch most likely grows to the same size.
        let fresh = JsonRows::with_capacity(open.rows.bytes());
        let rows = std::mem::replace(&mut open.rows, fresh);
        let batch = RecordBatch::new(Arc::clone(&self.run.descriptor), rows);
        (Some(batch), checkpoint)
    }

    fn lock(&self) -> MutexGuard<'_, OpenBatch> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
