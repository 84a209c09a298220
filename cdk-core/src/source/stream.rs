//! One stream of a source.

use std::any::Any;
use std::future::Future;
use std::sync::Arc;

use airbyte_protocol::{
    AirbyteStream, ConfiguredAirbyteStream, RawJson, StreamDescriptor, SyncMode,
};
use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};
use serde::de::DeserializeOwned;

use crate::context::Context;
use crate::error::{ErrorContext, Result};
use crate::source::sink::RecordSink;

/// One stream: what it is, how it is cut into partitions, how one partition is read.
pub trait Stream: Send + Sync + 'static {
    /// What one call of [`Stream::read`] covers (a date range, a parent, a key range); `()` when the
    /// stream is read in one go.
    type Partition: Send + 'static;

    /// Name, JSON schema, sync modes, cursor and key, as in the catalog.
    fn definition(&self) -> AirbyteStream;

    /// Cuts what is left to read, given the state in `request`, into partitions.
    ///
    /// Called once per run. A stream of partitions is pulled only as fast as partitions are read.
    /// An empty list completes the stream.
    fn partitions(
        &self,
        request: &StreamRequest,
    ) -> impl Future<Output = Result<Partitions<Self::Partition>>> + Send;

    /// Reads one partition into `sink`.
    ///
    /// Called in parallel for partitions of this stream, up to the source's concurrency. Records are
    /// emitted in the order they are given. Dropped at an await point when the run is aborted. After
    /// an error the stream ends INCOMPLETE and no further partition of it is started.
    fn read(
        &self,
        partition: Self::Partition,
        request: &StreamRequest,
        sink: &mut RecordSink,
    ) -> impl Future<Output = Result<()>> + Send;

    /// The state to end with, for a stream that knows better than its last checkpoint.
    ///
    /// Called once, after the last partition was read, also when [independent](Partitions::with_independent_failures)
    /// ones failed. `None` leaves it at the last checkpoint.
    fn final_state(&self, _request: &StreamRequest) -> Result<Option<RawJson>> {
        Ok(None)
    }

    /// The stream behind the object-safe twin, for [`Source::streams`](crate::Source::streams).
    fn boxed(self) -> BoxedStream
    where
        Self: Sized,
    {
        BoxedStream(Arc::new(self))
    }
}

/// What one run wants of a stream.
#[derive(Debug)]
pub struct StreamRequest {
    configured: ConfiguredAirbyteStream,
    state: Option<RawJson>,
    context: Context,
    concurrency: usize,
}

impl StreamRequest {
    /// A request as the runtime makes it; public so that streams can be tested alone.
    pub fn new(
        configured: ConfiguredAirbyteStream,
        state: Option<RawJson>,
        context: Context,
    ) -> Self {
        Self {
            configured,
            state,
            context,
            concurrency: 1,
        }
    }

    /// Sets how much may be read at the same time; 1 by default.
    #[must_use]
    pub fn with_concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = concurrency.max(1);
        self
    }

    /// How many partitions the run reads at the same time: a bound for what a stream does at once to find its own.
    pub fn concurrency(&self) -> usize {
        self.concurrency
    }

    /// The stream as configured: schema (with deselected columns left out), modes, cursor, key.
    pub fn configured(&self) -> &ConfiguredAirbyteStream {
        &self.configured
    }

    /// True for an incremental read.
    pub fn is_incremental(&self) -> bool {
        self.configured.sync_mode == SyncMode::Incremental
    }

    /// The stream's state as it was stored, if there is one.
    pub fn state(&self) -> Option<&RawJson> {
        self.state.as_ref()
    }

    /// The stream's state as the connector's own type.
    ///
    /// A state of another shape is a config error that says to reset the stream.
    pub fn state_as<T: DeserializeOwned>(&self) -> Result<Option<T>> {
        let Some(state) = &self.state else {
            return Ok(None);
        };
        let descriptor = self.configured.stream.descriptor();
        let parsed = state.parse_as().config_error(format!(
            "The saved state of stream {descriptor} has a shape this connector does not know. \
             Reset the stream to read it from the start."
        ));
        parsed
            .map(Some)
            .map_err(|error| error.with_stream(&descriptor))
    }

    /// The host of this run.
    pub fn context(&self) -> &Context {
        &self.context
    }
}

/// Partitions of a stream, in the order in which state moves over them.
pub struct Partitions<P> {
    pub(crate) items: BoxStream<'static, Result<P>>,
    pub(crate) is_ordered: bool,
    pub(crate) is_independent: bool,
}

impl<P: Send + 'static> Partitions<P> {
    /// The whole stream as one partition.
    pub fn one(partition: P) -> Self {
        Self::list(vec![partition])
    }

    /// A known list.
    pub fn list(partitions: Vec<P>) -> Self {
        Self::lazy(stream::iter(partitions.into_iter().map(Ok)))
    }

    /// Partitions that are found while others are read; pulled one at a time.
    pub fn lazy(items: impl futures::Stream<Item = Result<P>> + Send + 'static) -> Self {
        Self {
            items: items.boxed(),
            is_ordered: true,
            is_independent: false,
        }
    }

    /// States stand for themselves: each checkpoint covers all that was emitted before it, whichever
    /// partitions are finished (the stream keeps one state per partition inside its own).
    ///
    /// The rows of all partitions go out before a state. A state that partitions share is handed over by
    /// [`RecordSink::checkpoint_with`], so that no older snapshot overtakes a newer one.
    ///
    /// Without it, a checkpoint of a partition is held until all partitions before it are finished.
    #[must_use]
    pub fn with_self_contained_states(mut self) -> Self {
        self.is_ordered = false;
        self
    }
}

impl<P> Partitions<P> {
    /// A partition that fails does not end the others: each failure is reported in an ERROR trace of its own, and
    /// the stream ends INCOMPLETE once all are read.
    #[must_use]
    pub fn with_independent_failures(mut self) -> Self {
        self.is_independent = true;
        self
    }
}

impl<P> std::fmt::Debug for Partitions<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Partitions")
            .field("is_ordered", &self.is_ordered)
            .finish_non_exhaustive()
    }
}

/// A partition whose type was erased.
pub(crate) type AnyPartition = Box<dyn Any + Send>;

/// The object-safe twin of [`Stream`].
#[async_trait]
pub(crate) trait DynStream: Send + Sync {
    fn definition_dyn(&self) -> AirbyteStream;
    async fn partitions_dyn(&self, request: &StreamRequest) -> Result<Partitions<AnyPartition>>;
    async fn read_dyn(
        &self,
        partition: AnyPartition,
        request: &StreamRequest,
        sink: &mut RecordSink,
    ) -> Result<()>;
    fn final_state_dyn(&self, request: &StreamRequest) -> Result<Option<RawJson>>;
}

#[async_trait]
impl<S: Stream> DynStream for S {
    fn definition_dyn(&self) -> AirbyteStream {
        self.definition()
    }

    async fn partitions_dyn(&self, request: &StreamRequest) -> Result<Partitions<AnyPartition>> {
        let Partitions {
            items,
            is_ordered,
            is_independent,
        } = self.partitions(request).await?;
        let items = items.map(|item| item.map(|partition| Box::new(partition) as AnyPartition));
        Ok(Partitions {
            items: items.boxed(),
            is_ordered,
            is_independent,
        })
    }

    fn final_state_dyn(&self, request: &StreamRequest) -> Result<Option<RawJson>> {
        self.final_state(request)
    }

    async fn read_dyn(
        &self,
        partition: AnyPartition,
        request: &StreamRequest,
        sink: &mut RecordSink,
    ) -> Result<()> {
        let partition = partition.downcast::<S::Partition>();
        let partition = partition.expect("the runtime hands back what partitions() of S gave it");
        self.read(*partition, request, sink).await
    }
}

/// A [`Stream`] whose type was erased. Cheap to clone.
#[derive(Clone)]
pub struct BoxedStream(pub(crate) Arc<dyn DynStream>);

impl BoxedStream {
    /// The stream's entry in the catalog.
    pub fn definition(&self) -> AirbyteStream {
        self.0.definition_dyn()
    }

    /// Name and namespace.
    pub fn descriptor(&self) -> StreamDescriptor {
        self.definition().descriptor()
    }
}

impl std::fmt::Debug for BoxedStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BoxedStream({})", self.descriptor())
    }
}
