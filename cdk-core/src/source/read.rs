//! The scheduler of `read`: partitions of all streams on a bounded pool, one failing stream never stops the others.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use airbyte_protocol::{
    AirbyteMessage, AirbyteStreamStatus, ConfiguredAirbyteStream, FailureType, RawJson,
    StreamDescriptor, SyncMode,
};
use futures::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, JoinSet};
use tracing::instrument::WithSubscriber;

use crate::context::Context;
use crate::error::{ConnectorError, Result};
use crate::source::erased::ReadArgs;
use crate::source::feed::{self, GlobalFeed, SharedState};
use crate::source::input_state::NO_CURSOR_KEY;
use crate::source::lane::{Lane, StreamRun};
use crate::source::stream::{AnyPartition, BoxedStream, Partitions, StreamRequest};
use crate::source::{RecordSink, Source};

/// How `read` runs.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ReadSettings {
    /// Partitions read at the same time, over all streams.
    pub concurrency: usize,
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
    /// A larger record loses its largest fields, see [`RecordSink`]. The protocol's documentation
    /// puts the limit of a message at about 20 MB.
    pub max_record_bytes: usize,
}

impl Default for ReadSettings {
    fn default() -> Self {
        Self {
            concurrency: std::thread::available_parallelism().map_or(2, usize::from),
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

    /// Sets after how many rows of a stream a checkpoint's state is emitted.
    #[must_use]
    pub fn with_checkpoint_rows(mut self, rows: u64) -> Self {
        self.checkpoint_rows = rows;
        self
    }

    /// All open batches together may take half of the budget.
    fn fit(mut self, budget_bytes: usize) -> Self {
        let share = budget_bytes / 2 / self.concurrency.max(1);
        self.batch_bytes = self.batch_bytes.min(share.max(4096));
        self
    }
}

/// After a stop signal, readers have this long to reach a checkpoint. The process exits within 10 s.
const GRACE: Duration = Duration::from_secs(6);

pub(super) async fn run<S: Source>(
    source: &S,
    config: &S::Config,
    args: &ReadArgs,
    context: &Context,
) -> Result<()> {
    let settings = source.read_settings(config).fit(context.events().budget().total_bytes());
    let streams = source.streams(config, context).await?;
    let mut by_name: HashMap<_, _> =
        streams.into_iter().map(|stream| (stream.descriptor(), stream)).collect();
    let feed = source.global_feed(config, &args.catalog, context).await?;
    let in_feed = feed.as_ref().map(|feed| feed.streams()).unwrap_or_default();

    let reader = Reader {
        context: context.clone(),
        pool: Arc::new(Semaphore::new(settings.concurrency)),
        settings,
    };
    let mut tasks = JoinSet::new();
    let mut failures = Vec::new();
    for configured in &args.catalog.streams {
        let descriptor = configured.stream.descriptor();
        if in_feed.contains(&descriptor) {
            continue;
        }
        match by_name.remove(&descriptor) {
            Some(stream) => {
                let run = reader.run_of(&descriptor, None);
                let state = args.state.stream(&descriptor).cloned();
                let request = StreamRequest::new(configured.clone(), state, context.clone());
                tasks.spawn(reader.clone().guarded(run, stream, request).with_current_subscriber());
            }
            None => {
                let run = reader.run_of(&descriptor, None);
                let error = unknown_stream(&descriptor, by_name.keys());
                failures.extend(report(&run, Err(error))?);
            }
        }
    }
    if let Some(feed) = feed {
        failures.extend(reader.read_feed(feed, args).await?);
    }
    while let Some(joined) = tasks.join_next().await {
        let reported = joined.unwrap_or_else(|error| Err(crashed("", &error)));
        failures.extend(reported?);
    }
    summarise(failures)
}

/// Streams that did not complete, already reported to the host.
struct Failure {
    streams: String,
    error: ConnectorError,
}

#[derive(Clone)]
struct Reader {
    context: Context,
    pool: Arc<Semaphore>,
    settings: ReadSettings,
}

impl Reader {
    fn run_of(
        &self,
        descriptor: &StreamDescriptor,
        shared: Option<Arc<SharedState>>,
    ) -> Arc<StreamRun> {
        let (context, settings) = (self.context.clone(), self.settings.clone());
        Arc::new(StreamRun::new(descriptor.clone(), context, settings, shared))
    }

    /// Reads one stream and reports how it ended.
    async fn guarded(
        self,
        run: Arc<StreamRun>,
        stream: BoxedStream,
        request: StreamRequest,
    ) -> Result<Option<Failure>> {
        let read = self.read_stream(Arc::clone(&run), stream, request);
        let ended = match tokio::spawn(read.with_current_subscriber()).await {
            Ok(ended) => ended,
            Err(error) => Err(crashed(&run.descriptor.to_string(), &error)),
        };
        if ended.is_err() {
            // Progress of the finished partitions is worth keeping.
            run.finish_states(None).await?;
        }
        report(&run, ended)
    }

    async fn read_stream(
        self,
        run: Arc<StreamRun>,
        stream: BoxedStream,
        request: StreamRequest,
    ) -> Result<()> {
        let permit = self.permit().await?;
        run.status(AirbyteStreamStatus::Started)?;
        let partitions = stream.0.partitions_dyn(&request).await?;
        run.set_ordered(partitions.is_ordered).await;
        let request = Arc::new(request);
        self.read_partitions(&run, &stream, &request, partitions, permit).await?;
        run.finish_states(Some(last_resort(&request))).await
    }

    async fn read_partitions(
        &self,
        run: &Arc<StreamRun>,
        stream: &BoxedStream,
        request: &Arc<StreamRequest>,
        mut partitions: Partitions<AnyPartition>,
        first: OwnedSemaphorePermit,
    ) -> Result<()> {
        let mut tasks = JoinSet::new();
        let mut free = Some(first);
        let mut number = 0;
        while let Some(partition) = partitions.items.next().await {
            let permit = match free.take() {
                Some(permit) => permit,
                None => tokio::select! {
                    permit = self.permit() => permit?,
                    Some(ended) = tasks.join_next() => { joined(run, ended)?; self.permit().await? }
                },
            };
            let lane = Arc::new(Lane::new(Arc::clone(run), number));
            let read = read_partition(lane, stream.clone(), partition?, Arc::clone(request), permit);
            tasks.spawn(read.with_current_subscriber());
            number += 1;
        }
        // Without this a stream of no partition would keep its place in the pool.
        drop(free);
        while let Some(ended) = tasks.join_next().await {
            joined(run, ended)?;
        }
        Ok(())
    }

    async fn read_feed(&self, feed: Box<dyn GlobalFeed>, args: &ReadArgs) -> Result<Vec<Failure>> {
        let members = feed.streams();
        let streams = args.catalog.streams.iter();
        let streams: Vec<ConfiguredAirbyteStream> =
            streams.filter(|stream| members.contains(&stream.stream.descriptor())).cloned().collect();
        let state = Arc::new(SharedState::new(&streams, &args.state));
        let runs: Vec<_> = streams
            .iter()
            .map(|stream| self.run_of(&stream.stream.descriptor(), Some(Arc::clone(&state))))
            .collect();
        runs.iter().try_for_each(|run| run.status(AirbyteStreamStatus::Started))?;
        let context = self.context.clone();
        let read = feed::run(feed, streams, runs.clone(), args.state.clone(), state, context);
        let mut read = tokio::spawn(read.with_current_subscriber());
        let overdue = overdue(&self.context);
        let ended = tokio::select! {
            biased;
            ended = &mut read => ended.unwrap_or_else(|error| Err(crashed("of the change feed", &error))),
            () = overdue => { read.abort(); Err(ConnectorError::stopped()) }
        };
        report_feed(&self.context, &runs, ended)
    }

    async fn permit(&self) -> Result<OwnedSemaphorePermit> {
        tokio::select! {
            biased;
            () = self.context.stop().cancelled() => Err(ConnectorError::stopped()),
            permit = Arc::clone(&self.pool).acquire_owned() => {
                Ok(permit.expect("the pool is never closed"))
            }
        }
    }
}

async fn read_partition(
    lane: Arc<Lane>,
    stream: BoxedStream,
    partition: AnyPartition,
    request: Arc<StreamRequest>,
    _permit: OwnedSemaphorePermit,
) -> Result<()> {
    let run = Arc::clone(&lane.run);
    let _wait = run.context.events().progress().wait(|| {
        format!("stream {} waits for the source to yield records", run.descriptor)
    });
    let mut sink = RecordSink::new(Arc::clone(&lane));
    let read = stream.0.read_dyn(partition, &request, &mut sink);
    tokio::pin!(read);
    let mut tick = tokio::time::interval(run.settings.batch_age);
    let overdue = overdue(&run.context);
    tokio::pin!(overdue);
    loop {
        tokio::select! {
            biased;
            ended = &mut read => { ended?; break; }
            _ = tick.tick() => lane.flush_older_than(run.settings.batch_age).await?,
            () = &mut overdue => return Err(ConnectorError::stopped()),
        }
    }
    lane.flush(false).await?;
    run.finish_partition(lane.partition()).await
}

/// Ends when the run was asked to stop and did not within [`GRACE`].
async fn overdue(context: &Context) {
    context.stop().cancelled().await;
    tokio::time::sleep(GRACE).await;
}

/// Tells the host how a feed ended: one error for all its streams.
fn report_feed(
    context: &Context,
    runs: &[Arc<StreamRun>],
    ended: Result<()>,
) -> Result<Vec<Failure>> {
    let status = match &ended {
        Ok(()) => AirbyteStreamStatus::Complete,
        Err(_) => AirbyteStreamStatus::Incomplete,
    };
    if let Err(error) = &ended {
        emit_failure(context, error)?;
    }
    runs.iter().try_for_each(|run| run.status(status))?;
    let names: Vec<_> = runs.iter().map(|run| run.descriptor.to_string()).collect();
    let failure = ended.err().map(|error| Failure { streams: names.join(", "), error });
    Ok(failure.into_iter().collect())
}

/// An ERROR trace, unless the run was merely stopped.
fn emit_failure(context: &Context, error: &ConnectorError) -> Result<()> {
    if error.is_stop() {
        return Ok(());
    }
    let trace = error.to_trace(context.now_ms() as f64);
    context.emit(AirbyteMessage::Trace(trace))
}

/// Tells the host how a stream ended; a failure is handed back for the summary.
fn report(run: &StreamRun, ended: Result<()>) -> Result<Option<Failure>> {
    let Err(error) = ended else {
        run.status(AirbyteStreamStatus::Complete)?;
        return Ok(None);
    };
    let error = error.with_stream(&run.descriptor);
    emit_failure(&run.context, &error)?;
    run.status(AirbyteStreamStatus::Incomplete)?;
    Ok(Some(Failure { streams: run.descriptor.to_string(), error }))
}

/// One error for all failed streams; it is of the type that asks most of the user.
fn summarise(failures: Vec<Failure>) -> Result<()> {
    if failures.is_empty() {
        return Ok(());
    }
    if failures.iter().all(|failure| failure.error.is_stop()) {
        return Err(ConnectorError::stopped());
    }
    let failed: Vec<_> = failures.iter().filter(|failure| !failure.error.is_stop()).collect();
    let has = |kind| failed.iter().any(|failure| failure.error.failure_type() == kind);
    let kind = [FailureType::ConfigError, FailureType::SystemError]
        .into_iter()
        .find(|kind| has(*kind))
        .unwrap_or(FailureType::TransientError);
    let list: Vec<_> =
        failed.iter().map(|failure| format!("{}: {}", failure.streams, failure.error)).collect();
    let text = format!("These streams did not sync successfully. {}", list.join(" | "));
    Err(ConnectorError::new(kind, text))
}

fn joined(run: &StreamRun, ended: std::result::Result<Result<()>, JoinError>) -> Result<()> {
    ended.unwrap_or_else(|error| Err(crashed(&run.descriptor.to_string(), &error)))
}

fn crashed(stream: &str, error: &JoinError) -> ConnectorError {
    ConnectorError::system(format!(
        "The connector crashed while reading stream {stream}. This is a bug of the connector; the \
         log shows where."
    ))
    .with_internal(error.to_string())
}

fn unknown_stream<'a>(
    wanted: &StreamDescriptor,
    known: impl Iterator<Item = &'a StreamDescriptor>,
) -> ConnectorError {
    let mut known: Vec<_> = known.map(ToString::to_string).collect();
    known.sort_unstable();
    known.truncate(10);
    ConnectorError::config(format!(
        "The catalog asks for stream {wanted}, which this source does not have. Refresh the schema \
         or take the stream out. Among the streams it has: {}.",
        known.join(", ")
    ))
}

/// The state of a completed stream that never had one: as it came in, or the marker for "no cursor".
fn last_resort(request: &StreamRequest) -> RawJson {
    match (request.state(), request.configured().sync_mode) {
        (Some(state), _) => state.clone(),
        (None, SyncMode::Incremental) => RawJson::empty_object(),
        (None, SyncMode::FullRefresh) => RawJson::from(serde_json::json!({NO_CURSOR_KEY: true})),
    }
}
