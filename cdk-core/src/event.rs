//! The queue between whoever reads and whoever writes: ordered, counted, bounded in bytes.

use std::collections::HashMap;
use std::sync::Arc;

use airbyte_protocol::{
    AirbyteMessage, AirbyteStateMessage, AirbyteStateStats, AirbyteStateType, StreamDescriptor,
};
use tokio::sync::{mpsc, oneshot};

use crate::batch::RecordBatch;
use crate::budget::MemoryBudget;
use crate::error::{ConnectorError, Result};
use crate::watchdog::Progress;

/// What flows from a source to a destination or to stdout.
#[derive(Debug)]
pub enum Event {
    /// Records of one stream.
    Records(RecordBatch),
    /// Any other protocol message.
    Message(Box<AirbyteMessage>),
    /// Answered by the consumer once everything before it was handled (written and flushed).
    Delivered(Delivery),
}

/// Somebody waits for this; see [`EventSender::delivered`].
#[derive(Debug)]
pub struct Delivery(oneshot::Sender<()>);

impl Delivery {
    /// Everything queued before was handled.
    pub fn confirm(self) {
        // The waiting side may have gone; then nobody needs the answer.
        let _ = self.0.send(());
    }
}

/// Opens a queue. Record batches wait for `budget`; other messages are small and pass at once.
pub fn channel(budget: MemoryBudget, progress: Progress) -> (EventSender, EventReceiver) {
    let (tx, rx) = mpsc::unbounded_channel();
    let received = EventReceiver {
        rx,
        counts: HashMap::new(),
        is_counting: true,
    };
    let sender = EventSender {
        tx,
        budget,
        progress,
    };
    (sender, received)
}

/// The sending end. Cheap to clone; order is kept per sender.
#[derive(Debug, Clone)]
pub struct EventSender {
    tx: mpsc::UnboundedSender<Event>,
    budget: MemoryBudget,
    progress: Progress,
}

impl EventSender {
    /// Queues a batch once the budget has room for it: this is where a slow reader is slowed down.
    ///
    /// Errors with [`ConnectorError::stopped`] when nobody receives any more.
    pub async fn records(&self, mut batch: RecordBatch) -> Result<()> {
        self.admit(&mut batch).await;
        self.send_admitted(batch)
    }

    /// Waits until the budget has room for `batch`. Whoever is dropped while waiting keeps the batch.
    pub(crate) async fn admit(&self, batch: &mut RecordBatch) {
        if batch.is_empty() || batch.is_held() {
            return;
        }
        let wait = self.progress.wait(|| {
            format!(
                "stream {} waits for the destination to take records",
                batch.stream()
            )
        });
        let reservation = self.budget.reserve(batch.held_bytes()).await;
        drop(wait);
        batch.hold(reservation);
    }

    /// Queues a batch that was admitted.
    pub(crate) fn send_admitted(&self, batch: RecordBatch) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        self.send(Event::Records(batch))
    }

    /// Queues a message behind everything this sender queued before.
    pub fn message(&self, message: impl Into<Box<AirbyteMessage>>) -> Result<()> {
        self.send(Event::Message(message.into()))
    }

    /// Waits until everything queued so far was handled, e.g. written to stdout and flushed.
    pub async fn delivered(&self) -> Result<()> {
        let (tx, rx) = oneshot::channel();
        self.send(Event::Delivered(Delivery(tx)))?;
        rx.await.map_err(|_| ConnectorError::stopped())
    }

    /// The watchdog's view of this queue.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// The budget that batches wait for.
    pub fn budget(&self) -> &MemoryBudget {
        &self.budget
    }

    /// Waits until nobody receives any more.
    pub(crate) async fn closed(&self) {
        self.tx.closed().await;
    }

    fn send(&self, event: Event) -> Result<()> {
        // Talk moves nothing: a stalled run may log, and the watchdog does.
        let is_log = matches!(&event, Event::Message(message) if matches!(**message, AirbyteMessage::Log(_)));
        if !is_log {
            self.progress.step();
        }
        self.tx.send(event).map_err(|_| ConnectorError::stopped())
    }
}

/// The receiving end. It counts records as they pass and completes `sourceStats` of passing states,
/// so that the counts are exact whatever the order in which partitions were queued.
#[derive(Debug)]
pub struct EventReceiver {
    rx: mpsc::UnboundedReceiver<Event>,
    counts: HashMap<Arc<StreamDescriptor>, u64>,
    is_counting: bool,
}

impl EventReceiver {
    /// States pass as they are: for queues on which a destination gets states or gives them back.
    #[must_use]
    pub(crate) fn without_counting(mut self) -> Self {
        self.is_counting = false;
        self
    }

    /// The next event; `None` when all senders are gone.
    pub async fn recv(&mut self) -> Option<Event> {
        let event = self.rx.recv().await;
        self.count(event)
    }

    /// The same for a thread outside the runtime.
    pub fn blocking_recv(&mut self) -> Option<Event> {
        let event = self.rx.blocking_recv();
        self.count(event)
    }

    /// Refuses further events; those queued already still come.
    pub fn close(&mut self) {
        self.rx.close();
    }

    /// The next event if one is queued already.
    pub fn try_recv(&mut self) -> Option<Event> {
        let event = self.rx.try_recv().ok();
        self.count(event)
    }

    fn count(&mut self, event: Option<Event>) -> Option<Event> {
        let mut event = event?;
        if !self.is_counting {
            return Some(event);
        }
        match &mut event {
            Event::Records(batch) => {
                let rows = batch.len() as u64;
                match self.counts.get_mut(batch.stream()) {
                    Some(count) => *count += rows,
                    None => drop(self.counts.insert(Arc::clone(batch.stream()), rows)),
                }
            }
            Event::Message(message) => {
                if let AirbyteMessage::State(state) = message.as_mut() {
                    self.complete_stats(state);
                }
            }
            Event::Delivered(_) => {}
        }
        Some(event)
    }

    /// `recordCount`: records since the previous state of the stream (STREAM), of the streams that are
    /// named (GLOBAL), or of any stream (LEGACY, or GLOBAL without names).
    fn complete_stats(&mut self, state: &mut AirbyteStateMessage) {
        let counted = match (state.kind(), &state.stream, &state.global) {
            (AirbyteStateType::Stream, Some(stream), _) => self.take(&stream.stream_descriptor),
            (AirbyteStateType::Global, _, Some(global)) if !global.stream_states.is_empty() => {
                let named = global.stream_states.iter();
                named
                    .map(|stream| self.take(&stream.stream_descriptor))
                    .sum()
            }
            _ => self.counts.drain().map(|(_, count)| count).sum(),
        };
        let stats = state
            .source_stats
            .get_or_insert_with(AirbyteStateStats::default);
        stats.record_count.get_or_insert(counted as f64);
    }

    fn take(&mut self, stream: &StreamDescriptor) -> u64 {
        self.counts.remove(stream).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::JsonRows;
    use airbyte_protocol::RawJson;

    fn batch(stream: &Arc<StreamDescriptor>, rows: usize) -> RecordBatch {
        let mut json = JsonRows::default();
        (0..rows).for_each(|_| json.push_raw("{}"));
        RecordBatch::new(Arc::clone(stream), json)
    }

    fn counted(event: Option<Event>) -> f64 {
        match event {
            Some(Event::Message(message)) => match *message {
                AirbyteMessage::State(state) => state
                    .source_stats
                    .and_then(|stats| stats.record_count)
                    .unwrap(),
                other => panic!("expected a state, got {other:?}"),
            },
            other => panic!("expected a message, got {other:?}"),
        }
    }

    #[tokio::test]
    async fn states_carry_the_records_since_the_previous_state_of_their_stream() {
        let (tx, mut rx) = channel(MemoryBudget::default(), Progress::default());
        let a = Arc::new(StreamDescriptor::new("a"));
        let b = Arc::new(StreamDescriptor::new("b"));
        let state = |of: &Arc<StreamDescriptor>| {
            AirbyteMessage::State(AirbyteStateMessage::stream(
                of.as_ref().clone(),
                Some(RawJson::empty_object()),
            ))
        };
        tx.records(batch(&a, 3)).await.unwrap();
        tx.records(batch(&b, 2)).await.unwrap();
        tx.message(state(&a)).unwrap();
        tx.records(batch(&a, 1)).await.unwrap();
        tx.message(AirbyteMessage::State(AirbyteStateMessage::global(
            None,
            vec![],
        )))
        .unwrap();
        tx.message(state(&b)).unwrap();
        rx.recv().await;
        rx.recv().await;
        assert_eq!(counted(rx.recv().await), 3.0);
        rx.recv().await;
        assert_eq!(counted(rx.recv().await), 3.0);
        assert_eq!(counted(rx.recv().await), 0.0);
    }

    #[tokio::test]
    async fn sending_to_nobody_is_a_stop() {
        let (tx, rx) = channel(MemoryBudget::default(), Progress::default());
        drop(rx);
        let stream = Arc::new(StreamDescriptor::new("a"));
        assert!(tx.records(batch(&stream, 1)).await.unwrap_err().is_stop());
        assert!(tx.delivered().await.unwrap_err().is_stop());
    }
}
