//! Streams that share one position, as in a database's change log: one reader, one GLOBAL state.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use airbyte_protocol::{
    AirbyteMessage, AirbyteStateMessage, AirbyteStreamState, ConfiguredAirbyteStream, RawJson,
    StreamDescriptor,
};
use async_trait::async_trait;

use crate::context::Context;
use crate::error::Result;
use crate::source::InputState;
use crate::source::lane::{Lane, StreamRun};
use crate::source::sink::RecordSink;

/// Reads several streams that share one position.
#[async_trait]
pub trait GlobalFeed: Send + Sync + 'static {
    /// The streams this feed reads; those the configured catalog does not name are left alone.
    fn streams(&self) -> Vec<StreamDescriptor>;

    /// Reads until the feed has caught up with where the log stood at the start.
    ///
    /// `state` is the shared part and the state of each stream as last saved. Called once per run, in
    /// parallel with the streams outside the feed. When it returns, all its streams are COMPLETE, or
    /// INCOMPLETE after an error. Dropped at an await point when the run is aborted.
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
    lanes: Mutex<Vec<Arc<Lane>>>,
    state: Arc<SharedState>,
}

impl GlobalSink {
    /// A writer of its own for one stream; `None` when the stream is not part of this feed.
    ///
    /// Records of one writer keep their order; several writers for one stream may run in parallel.
    /// A checkpoint of the writer replaces the stream's part of the GLOBAL state.
    pub fn stream(&self, descriptor: &StreamDescriptor) -> Option<RecordSink> {
        let run = self.0.runs.get(descriptor)?;
        let lane = Arc::new(Lane::new(Arc::clone(run), 0));
        let mut lanes = self.0.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        // A lane whose writer is gone and whose rows were sent needs no flush any more.
        lanes.retain(|lane| Arc::strong_count(lane) > 1 || !lane.is_empty());
        lanes.push(Arc::clone(&lane));
        Some(RecordSink::new(lane))
    }

    /// Emits a GLOBAL state behind everything written so far by any writer.
    ///
    /// `shared` and the named streams' states replace what stood there; the others stay.
    pub async fn checkpoint(
        &self,
        shared: Option<RawJson>,
        streams: Vec<(StreamDescriptor, RawJson)>,
    ) -> Result<()> {
        self.flush().await?;
        self.0.state.update(&self.0.context, shared, streams)
    }

    /// The host of this run.
    pub fn context(&self) -> &Context {
        &self.0.context
    }

    /// Sends all open batches on.
    pub async fn flush(&self) -> Result<()> {
        let lanes = self.0.lanes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for lane in lanes {
            lane.flush(false).await?;
        }
        Ok(())
    }
}

/// The GLOBAL state of a feed: every message carries all of it.
#[derive(Debug)]
pub(crate) struct SharedState(Mutex<Parts>);

#[derive(Debug)]
struct Parts {
    shared: Option<RawJson>,
    streams: Vec<(StreamDescriptor, Option<RawJson>)>,
}

impl SharedState {
    pub(super) fn new(streams: &[ConfiguredAirbyteStream], state: &InputState) -> Self {
        let names = streams.iter().map(|stream| stream.stream.descriptor());
        let streams = names.map(|name| (name.clone(), state.stream(&name).cloned())).collect();
        Self(Mutex::new(Parts { shared: state.shared().cloned(), streams }))
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
            match parts.streams.iter_mut().find(|(name, _)| *name == descriptor) {
                Some((_, old)) => *old = Some(new),
                None => parts.streams.push((descriptor, Some(new))),
            }
        }
        let streams = parts.streams.iter().cloned();
        let streams = streams.map(|(name, state)| AirbyteStreamState::new(name, state)).collect();
        let message = AirbyteStateMessage::global(parts.shared.clone(), streams);
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
    let runs = runs.into_iter().map(|run| (run.descriptor.as_ref().clone(), run)).collect();
    let sink = GlobalSink(Arc::new(Inner { context, runs, lanes: Mutex::default(), state }));
    feed.read(&streams, &input, sink.clone()).await?;
    sink.flush().await
}
