//! The run of one stream, which all its readers share: its status, its counters, its state.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use airbyte_protocol::{
    AirbyteMessage, AirbyteStateMessage, AirbyteStreamStatus, AirbyteStreamStatusTraceMessage,
    AirbyteTraceMessage, RawJson, StreamDescriptor,
};
use tokio::time::Instant;

use crate::context::Context;
use crate::error::{ConnectorError, Result};
use crate::source::checkpoint::PartitionTracker;
use crate::source::feed::SharedState;
use crate::source::lane::{Checkpoint, Lane, LaneRows, Outgoing};
use crate::source::settings::ReadSettings;

#[derive(Debug)]
pub(crate) struct StreamRun {
    pub(crate) descriptor: Arc<StreamDescriptor>,
    pub(crate) context: Context,
    pub(crate) settings: ReadSettings,
    is_running: AtomicBool,
    has_failed: AtomicBool,
    /// Of partitions that fail without ending the others.
    first_failure: Mutex<Option<ConnectorError>>,
    /// Rows and bytes queued since a checkpoint was last handed on for them.
    rows: AtomicU64,
    bytes: AtomicU64,
    /// Checkpoints so far.
    checkpoints: Mutex<u64>,
    state: Mutex<StateRun>,
    lanes: Mutex<Vec<Arc<LaneRows>>>,
    /// Held while a self-contained state is made good and sent.
    publishing: tokio::sync::Mutex<()>,
    /// Set when the stream's state is a part of a GLOBAL one.
    shared: Option<Arc<SharedState>>,
}

#[derive(Debug)]
struct StateRun {
    tracker: PartitionTracker,
    is_ordered: bool,
    /// Released, but not sent yet.
    unsent: Option<Checkpoint>,
    /// The newest self-contained checkpoint.
    newest: u64,
    /// Enough rows have passed: the next state that is released is sent.
    is_due: bool,
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
            newest: 0,
            is_due: false,
            is_any_sent: false,
            sent_at: Instant::now(),
        };
        Self {
            descriptor: Arc::new(descriptor),
            context,
            settings,
            is_running: AtomicBool::new(false),
            has_failed: AtomicBool::new(false),
            first_failure: Mutex::default(),
            rows: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            checkpoints: Mutex::new(0),
            state: Mutex::new(state),
            lanes: Mutex::default(),
            publishing: tokio::sync::Mutex::default(),
            shared,
        }
    }

    pub(crate) fn set_ordered(&self, is_ordered: bool) {
        self.lock().is_ordered = is_ordered;
    }

    /// No further partition is started after this.
    pub(crate) fn fail(&self) {
        self.has_failed.store(true, Ordering::Release);
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Acquire)
    }

    /// Keeps the first failure of a partition for the end of the stream; a further one is given back.
    pub(crate) fn note_failure(&self, error: ConnectorError) -> Option<ConnectorError> {
        let mut first = self
            .first_failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if first.is_some() {
            return Some(error);
        }
        *first = Some(error);
        None
    }

    /// Takes what [`StreamRun::note_failure`] kept.
    pub(crate) fn first_failure(&self) -> Option<ConnectorError> {
        let mut first = self
            .first_failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        first.take()
    }

    pub(crate) fn status(&self, status: AirbyteStreamStatus) -> Result<()> {
        let body = AirbyteStreamStatusTraceMessage::new(self.descriptor.as_ref().clone(), status);
        let trace = AirbyteTraceMessage::stream_status(self.context.now_ms() as f64, body);
        self.context.emit(AirbyteMessage::Trace(trace))
    }

    /// A lane for one more reader.
    pub(crate) fn open_lane(self: &Arc<Self>, partition: u64) -> Lane {
        let rows = Arc::new(LaneRows::new(partition));
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        // A lane whose reader is gone and whose rows were sent needs no flush any more.
        lanes.retain(|lane| Arc::strong_count(lane) > 1 || !lane.is_empty());
        lanes.push(Arc::clone(&rows));
        Lane::new(Arc::clone(self), rows)
    }

    /// Queues the open rows of a lane and hands on the checkpoint behind them.
    pub(super) async fn flush(&self, lane: &LaneRows) -> Result<()> {
        let mut outgoing = lane.outgoing.lock().await;
        // What an earlier flush left behind when it was dropped.
        self.send(lane.partition, &mut outgoing).await?;
        *outgoing = lane.take(&self.descriptor);
        self.send(lane.partition, &mut outgoing).await
    }

    /// Queues a whole batch of a lane behind everything that it was given before.
    #[cfg(feature = "arrow")]
    pub(super) async fn send_batch(
        &self,
        lane: &LaneRows,
        batch: crate::batch::RecordBatch,
    ) -> Result<()> {
        let mut outgoing = lane.outgoing.lock().await;
        self.send(lane.partition, &mut outgoing).await?;
        outgoing.batch = Some(batch);
        self.send(lane.partition, &mut outgoing).await
    }

    /// The same for all lanes.
    pub(super) async fn flush_all(&self) -> Result<()> {
        let lanes = {
            let lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
            lanes.clone()
        };
        for lane in lanes {
            self.flush(&lane).await?;
        }
        Ok(())
    }

    /// Queues a batch, the first of which makes the stream RUNNING. Drop-safe: `outgoing` keeps what was not sent.
    async fn send(&self, partition: u64, outgoing: &mut Outgoing) -> Result<()> {
        if let Some(batch) = &mut outgoing.batch {
            if !self.is_running.swap(true, Ordering::Relaxed) {
                self.status(AirbyteStreamStatus::Running)?;
            }
            self.context.events().admit(batch).await;
        }
        if let Some(batch) = outgoing.batch.take() {
            self.rows.fetch_add(batch.len() as u64, Ordering::Relaxed);
            self.bytes
                .fetch_add(batch.bytes() as u64, Ordering::Relaxed);
            self.context.events().send_admitted(batch)?;
        }
        if let Some(checkpoint) = outgoing.checkpoint.take() {
            self.checkpoint(partition, checkpoint);
        }
        Ok(())
    }

    /// A reader's checkpoint; its records up to there are queued.
    fn checkpoint(&self, partition: u64, checkpoint: Checkpoint) {
        let mut run = self.lock();
        if self.is_state_due(0, 0) {
            run.is_due = true;
            self.rows.store(0, Ordering::Relaxed);
            self.bytes.store(0, Ordering::Relaxed);
        }
        if !run.is_ordered {
            // Lanes may hand on in another order than that in which the states were made.
            if checkpoint.number >= run.newest {
                run.newest = checkpoint.number;
                run.unsent = Some(checkpoint);
            }
            return;
        }
        let Checkpoint { number, state } = checkpoint;
        if let Some(state) = run.tracker.checkpoint(partition, state) {
            run.unsent = Some(Checkpoint { number, state });
        }
    }

    pub(crate) async fn finish_partition(&self, partition: u64) -> Result<()> {
        {
            let mut run = self.lock();
            let released = run.tracker.finish(partition, None);
            if let (Some(state), true) = (released, run.is_ordered) {
                run.unsent = Some(Checkpoint { number: 0, state });
            }
        }
        self.publish(false).await
    }

    /// Sends what is left unsent. A complete stream always ends with a state: `last_resort` if it never had one.
    pub(crate) async fn finish_states(&self, last_resort: Option<RawJson>) -> Result<()> {
        {
            let mut run = self.lock();
            if run.unsent.is_none() && !run.is_any_sent {
                run.unsent = last_resort.map(|state| Checkpoint { number: 0, state });
            }
        }
        self.publish(true).await
    }

    /// Replaces what waits to be sent by the state that the stream ends with.
    pub(crate) fn set_final(&self, state: RawJson) -> Result<()> {
        let checkpoint = self.number(|| Ok::<_, ConnectorError>(state))?;
        let mut run = self.lock();
        run.newest = checkpoint.number;
        run.unsent = Some(checkpoint);
        Ok(())
    }

    /// Takes the state that waits to be sent, for a GLOBAL state that is about to be.
    /// What waits to be sent, and the turn to send it: nobody else sends a state of this stream meanwhile.
    pub(super) async fn take_turn(&self) -> (tokio::sync::MutexGuard<'_, ()>, Option<Checkpoint>) {
        let turn = self.publishing.lock().await;
        (turn, self.lock().unsent.clone())
    }

    /// A checkpoint was sent; a newer one keeps waiting.
    pub(super) fn was_sent(&self, checkpoint: &Checkpoint) {
        self.lock()
            .unsent
            .take_if(|waiting| waiting.number == checkpoint.number);
    }

    /// Sends the released state if it is due or `force` says so.
    pub(super) async fn publish(&self, force: bool) -> Result<()> {
        {
            let mut run = self.lock();
            let is_old = || run.sent_at.elapsed() >= self.settings.checkpoint_interval;
            if run.unsent.is_none() || !(force || run.is_due || is_old()) {
                return Ok(());
            }
            if run.is_ordered {
                return self.send_state(&mut run);
            }
        }
        self.publish_self_contained().await
    }

    /// A self-contained state covers what every reader gave before it was made, so the rows of all lanes
    /// go first.
    async fn publish_self_contained(&self) -> Result<()> {
        let _turn = self.publishing.lock().await;
        let Some(checkpoint) = self.lock().unsent.clone() else {
            return Ok(());
        };
        self.flush_all().await?;
        let mut run = self.lock();
        let Some(waiting) = run.unsent.take() else {
            // A GLOBAL state took it along.
            return Ok(());
        };
        let newer = (waiting.number > checkpoint.number).then_some(waiting);
        run.unsent = Some(checkpoint);
        let sent = self.send_state(&mut run);
        run.unsent = newer;
        sent
    }

    /// Sent under the lock, so that states of a stream leave in the order in which they were released.
    fn send_state(&self, run: &mut StateRun) -> Result<()> {
        let Some(Checkpoint { state, .. }) = run.unsent.take() else {
            return Ok(());
        };
        run.is_any_sent = true;
        run.is_due = false;
        run.sent_at = Instant::now();
        let descriptor = self.descriptor.as_ref().clone();
        if let Some(shared) = &self.shared {
            return shared.update(&self.context, None, vec![(descriptor, state)]);
        }
        let message = AirbyteStateMessage::stream(descriptor, Some(state));
        self.context.emit(AirbyteMessage::State(message))
    }

    /// Whether a state is wanted, counting rows that are not queued yet.
    pub(super) fn is_state_due(&self, open_rows: usize, open_bytes: usize) -> bool {
        let every = &self.settings;
        self.rows.load(Ordering::Relaxed) + open_rows as u64 >= every.checkpoint_rows
            || self.bytes.load(Ordering::Relaxed) + open_bytes as u64 >= every.checkpoint_bytes
    }

    /// Whether a state should be sent now: enough was read, or enough time has passed since the last one.
    pub(super) fn is_checkpoint_due(&self) -> bool {
        let run = self.lock();
        run.is_due
            || self.is_state_due(0, 0)
            || run.sent_at.elapsed() >= self.settings.checkpoint_interval
    }

    /// Makes a checkpoint of the state that `make` returns; no other is numbered meanwhile.
    pub(super) fn number<E>(
        &self,
        make: impl FnOnce() -> Result<RawJson, E>,
    ) -> Result<Checkpoint, E> {
        let mut last = self
            .checkpoints
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let state = make()?;
        *last += 1;
        Ok(Checkpoint {
            number: *last,
            state,
        })
    }

    fn lock(&self) -> MutexGuard<'_, StateRun> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::MemoryBudget;
    use crate::event::{self, Event, EventReceiver};
    use crate::watchdog::Progress;

    fn run(is_ordered: bool) -> (Arc<StreamRun>, EventReceiver) {
        let (events, received) = event::channel(MemoryBudget::default(), Progress::default());
        let (name, context) = (StreamDescriptor::new("a"), Context::new(events));
        let run = StreamRun::new(name, context, ReadSettings::default(), None);
        run.set_ordered(is_ordered);
        (Arc::new(run), received)
    }

    fn add(lane: &Lane, state: u64) {
        lane.add(|rows| {
            rows.push_raw("{}");
            Ok(())
        })
        .unwrap();
        let made = lane.run.number(|| RawJson::from_serialize(&state));
        lane.note_checkpoint(made.unwrap());
    }

    /// `r` for each batch, the number for each state.
    fn seen(received: &mut EventReceiver) -> Vec<String> {
        let mut seen = Vec::new();
        while let Some(event) = received.try_recv() {
            match event {
                Event::Records(_) => seen.push("r".to_owned()),
                Event::Message(message) => {
                    if let AirbyteMessage::State(state) = *message {
                        let state = state.stream.and_then(|stream| stream.stream_state);
                        seen.push(state.unwrap().get().to_owned());
                    }
                }
                Event::Delivered(_) => {}
            }
        }
        seen
    }

    #[tokio::test]
    async fn the_newest_self_contained_state_wins_whatever_lane_hands_on_first() {
        let (run, mut received) = run(false);
        let (first, second) = (run.open_lane(0), run.open_lane(1));
        add(&first, 1);
        add(&second, 2);
        second.flush(false).await.unwrap();
        first.flush(false).await.unwrap();
        run.finish_states(None).await.unwrap();
        assert_eq!(seen(&mut received), ["r", "r", "2"]);
    }

    #[tokio::test]
    async fn a_self_contained_state_takes_the_rows_of_dead_readers_along() {
        let (run, mut received) = run(false);
        let (dead, alive) = (run.open_lane(0), run.open_lane(1));
        add(&dead, 1);
        drop(dead);
        add(&alive, 2);
        alive.flush(true).await.unwrap();
        assert_eq!(seen(&mut received), ["r", "r", "2"]);
    }

    #[tokio::test]
    async fn a_flush_that_is_dropped_while_it_waits_loses_nothing() {
        let (events, mut received) = event::channel(MemoryBudget::new(1), Progress::default());
        let taken = events.budget().reserve(usize::MAX).await;
        let name = StreamDescriptor::new("a");
        let run = StreamRun::new(name, Context::new(events), ReadSettings::default(), None);
        let run = Arc::new(run);
        let lane = run.open_lane(0);
        add(&lane, 1);
        tokio::select! {
            biased;
            _ = lane.flush(true) => panic!("the budget is used up"),
            () = tokio::task::yield_now() => {}
        }
        add(&lane, 2);
        drop(taken);
        lane.flush(true).await.unwrap();
        assert_eq!(seen(&mut received), ["r", "r", "2"]);
    }

    #[tokio::test]
    async fn rows_far_ahead_of_the_first_partition_are_not_flushed_one_by_one() {
        let (run, mut received) = run(true);
        let (_slow, fast) = (run.open_lane(0), run.open_lane(1));
        let every = run.settings.checkpoint_rows;
        for row in 0..every * 2 {
            fast.add(|rows| {
                rows.push_raw("{}");
                Ok(())
            })
            .unwrap();
            let made = run.number(|| RawJson::from_serialize(&row));
            if fast.note_checkpoint(made.unwrap()) {
                fast.flush(false).await.unwrap();
            }
        }
        assert_eq!(seen(&mut received), ["r", "r"]);
    }
}
