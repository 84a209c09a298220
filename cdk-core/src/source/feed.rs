//! Streams that share one position, as in a database's change log: one reader, one GLOBAL state.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use airbyte_protocol::{
    AirbyteMessage, AirbyteStateMessage, AirbyteStreamState, ConfiguredAirbyteStream, RawJson,
    StreamDescriptor,
};
use async_trait::async_trait;

use crate::context::Context;
use crate::error::{ConnectorError, Result};
use crate::source::InputState;
use crate::source::run::StreamRun;
use crate::source::sink::RecordSink;

/// Reads several streams that share one position.
#[async_trait]
pub trait GlobalFeed: Send + Sync + 'static {
    /// The streams this feed reads; those the configured catalog does not name are left alone.
    fn streams(&self) -> Vec<StreamDescriptor>;

    /// Reads until the feed has caught up with where the log stood at the start.
    ///
    /// `state` is the shared part and the state of each stream as last saved. Called once per run, in
    /// parallel with the streams outside the feed, whose states travel in the same GLOBAL state: a sync must not mix
    /// kinds of states. When it returns, all its streams are COMPLETE, or INCOMPLETE after an error. Dropped at an
    /// await point when the run is aborted.
    async fn read(
        &self,
        streams: &[ConfiguredAirbyteStream],
        state: &InputState,
        sink: GlobalSink,
    ) -> Result<()>;
}

/// Takes records of all streams of a feed. Cheap to clone; clones write to the same feed.
#[derive(Debug, Clone)]
pub struct GlobalSink(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    context: Context,
    runs: HashMap<StreamDescriptor, Arc<StreamRun>>,
    state: Arc<SharedState>,
}

impl GlobalSink {
    /// A writer of its own for one stream; `None` when the stream is not part of this feed.
    ///
    /// Records of one writer keep their order; several writers for one stream may run in parallel.
    /// A checkpoint of a writer replaces the stream's part of the GLOBAL state; it covers what all
    /// writers of the stream were given before it.
    pub fn stream(&self, descriptor: &StreamDescriptor) -> Option<RecordSink> {
        let run = self.0.runs.get(descriptor)?;
        Some(RecordSink::new(Arc::new(run.open_lane(0))))
    }

    /// Emits a GLOBAL state behind everything written so far by any writer.
    ///
    /// `shared` and the named streams' states replace what stood there; the others stay. Errors with
    /// [`ConnectorError::stopped`] when the run should end here, the state being emitted; return it.
    pub async fn checkpoint(
        &self,
        shared: Option<RawJson>,
        streams: Vec<(StreamDescriptor, RawJson)>,
    ) -> Result<()> {
        // The writers' checkpoints are taken before the flush, so that their rows go with it.
        let (mut turns, mut waiting) = (Vec::new(), Vec::new());
        for (name, run) in &self.0.runs {
            let (turn, checkpoint) = run.take_turn().await;
            turns.push(turn);
            waiting.extend(checkpoint.map(|checkpoint| (name, run, checkpoint)));
        }
        for run in self.0.runs.values() {
            run.flush_all().await?;
        }
        let parts = waiting
            .iter()
            .map(|(name, _, checkpoint)| ((*name).clone(), checkpoint.state.clone()));
        let parts = parts.chain(streams).collect();
        self.0.state.update(&self.0.context, shared, parts)?;
        waiting
            .iter()
            .for_each(|(_, run, checkpoint)| run.was_sent(checkpoint));
        drop(turns);
        match self.0.context.stop().is_cancelled() {
            true => Err(ConnectorError::stopped()),
            false => Ok(()),
        }
    }

    /// The host of this run.
    pub fn context(&self) -> &Context {
        &self.0.context
    }

    /// Sends all open batches on.
    pub async fn flush(&self) -> Result<()> {
        for run in self.0.runs.values() {
            run.flush_all().await?;
            run.publish(false).await?;
        }
        Ok(())
    }

    /// Sends open batches on before they grow old, for as long as it is polled.
    async fn flush_by_age(&self) -> Result<()> {
        let ages = self.0.runs.values().map(|run| run.settings.batch_age);
        let mut tick = tokio::time::interval(ages.min().unwrap_or(Duration::from_secs(1)));
        loop {
            tick.tick().await;
            self.flush().await?;
        }
    }
}

/// The GLOBAL state of a run with a feed: every message carries all of it, the streams outside the feed too.
#[derive(Debug)]
pub(crate) struct SharedState(Mutex<Parts>);

#[derive(Debug)]
struct Parts {
    shared: Option<RawJson>,
    streams: BTreeMap<StreamDescriptor, Option<RawJson>>,
    is_any_sent: bool,
}

impl SharedState {
    pub(super) fn new(streams: &[ConfiguredAirbyteStream], state: &InputState) -> Self {
        let names = streams.iter().map(|stream| stream.stream.descriptor());
        let streams = names
            .map(|name| (name.clone(), state.stream(&name).cloned()))
            .collect();
        Self(Mutex::new(Parts {
            shared: state.shared().cloned(),
            streams,
            is_any_sent: false,
        }))
    }

    /// Replaces parts and emits the whole, under one lock so that states leave in order.
    pub(crate) fn update(
        &self,
        context: &Context,
        shared: Option<RawJson>,
        streams: Vec<(StreamDescriptor, RawJson)>,
    ) -> Result<()> {
        let mut parts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if shared.is_some() {
            parts.shared = shared;
        }
        for (descriptor, new) in streams {
            parts.streams.insert(descriptor, Some(new));
        }
        parts.send(context)
    }

    /// A complete feed always ends with a state, be it the one it started from.
    fn update_if_never(&self, context: &Context) -> Result<()> {
        let mut parts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match parts.is_any_sent {
            true => Ok(()),
            false => parts.send(context),
        }
    }
}

impl Parts {
    fn send(&mut self, context: &Context) -> Result<()> {
        self.is_any_sent = true;
        let streams = self.streams.iter();
        let streams =
            streams.map(|(name, state)| AirbyteStreamState::new(name.clone(), state.clone()));
        let message = AirbyteStateMessage::global(self.shared.clone(), streams.collect());
        context.emit(AirbyteMessage::State(message))
    }
}

/// Runs a feed over its streams' `runs`, which share `state`.
pub(super) async fn run(
    feed: Box<dyn GlobalFeed>,
    streams: Vec<ConfiguredAirbyteStream>,
    runs: Vec<Arc<StreamRun>>,
    input: InputState,
    state: Arc<SharedState>,
    context: Context,
) -> Result<()> {
    let by_name = runs
        .iter()
        .map(|run| (run.descriptor.as_ref().clone(), Arc::clone(run)));
    let sink = GlobalSink(Arc::new(Inner {
        context: context.clone(),
        runs: by_name.collect(),
        state: Arc::clone(&state),
    }));
    let ended = tokio::select! {
        biased;
        ended = feed.read(&streams, &input, sink.clone()) => ended,
        Err(error) = sink.flush_by_age() => Err(error),
    };
    // Also after an error: what was read and marked until then is good.
    let flushed = finish(&sink, &runs).await;
    ended.and(flushed)?;
    state.update_if_never(&context)
}

async fn finish(sink: &GlobalSink, runs: &[Arc<StreamRun>]) -> Result<()> {
    sink.flush().await?;
    for run in runs {
        run.finish_states(None).await?;
    }
    Ok(())
}
