//! The scheduler of `read`: partitions of all streams on a bounded pool, one failing stream never stops the others.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use airbyte_protocol::{
    AirbyteMessage, AirbyteStreamStatus, ConfiguredAirbyteStream, FailureType, RawJson,
    StreamDescriptor, SyncMode,
};
use futures::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, JoinSet};
use tokio_util::task::AbortOnDropHandle;
use tracing::instrument::WithSubscriber;

use crate::context::Context;
use crate::error::{ConnectorError, Result};
use crate::source::erased::ReadArgs;
use crate::source::feed::{self, GlobalFeed, SharedState};
use crate::source::input_state::NO_CURSOR_KEY;
use crate::source::lane::Lane;
use crate::source::mode;
use crate::source::run::StreamRun;
use crate::source::settings::ReadSettings;
use crate::source::stream::{AnyPartition, BoxedStream, Partitions, StreamRequest};
use crate::source::{RecordSink, Source};

/// After a failure, what was read last has this long to find room in the queue.
const SALVAGE: Duration = Duration::from_secs(2);

pub(super) async fn run<S: Source>(
    source: &S,
    config: &S::Config,
    args: &ReadArgs,
    context: &Context,
) -> Result<()> {
    let settings = source
        .read_settings(config)
        .fit(context.events().budget().total_bytes());
    let streams = source.streams(config, context).await?;
    let by_name: HashMap<_, _> = streams
        .into_iter()
        .map(|stream| (stream.descriptor(), stream))
        .collect();
    let feed = source.global_feed(config, &args.catalog, context).await?;
    let in_feed = feed.as_ref().map(|feed| feed.streams()).unwrap_or_default();
    // GLOBAL and STREAM states must not be mixed in one sync.
    let shared = feed
        .is_some()
        .then(|| Arc::new(SharedState::new(&args.catalog.streams, &args.state)));

    let reader = Reader {
        context: context.clone(),
        pool: Arc::new(Semaphore::new(settings.concurrency)),
        open: Arc::new(Semaphore::new(
            settings.open_streams.min(Semaphore::MAX_PERMITS),
        )),
        settings,
    };
    let mut tasks = JoinSet::new();
    let (mut failures, mut seen) = (Vec::new(), HashSet::new());
    for configured in &args.catalog.streams {
        let descriptor = configured.stream.descriptor();
        if in_feed.contains(&descriptor) {
            continue;
        }
        let run = reader.run_of(&descriptor, shared.clone());
        match choose(&by_name, configured, &mut seen) {
            Ok((stream, configured)) => {
                let state = args.state.stream(&descriptor).cloned();
                let request = StreamRequest::new(configured, state, context.clone())
                    .with_concurrency(reader.settings.concurrency);
                let read = reader.clone().guarded(run, stream, request);
                tasks.spawn(read.with_current_subscriber());
            }
            Err(error) => failures.extend(report(&run, Err(error))?),
        }
    }
    if let (Some(feed), Some(shared)) = (feed, shared) {
        failures.extend(reader.read_feed(feed, args, shared).await?);
    }
    while let Some(joined) = tasks.join_next().await {
        let reported = joined.unwrap_or_else(|error| Err(crashed("", &error)));
        failures.extend(reported?);
    }
    summarise(&failures)
}

/// The source's stream for an entry of the catalog, and the entry as it can be read.
fn choose(
    streams: &HashMap<StreamDescriptor, BoxedStream>,
    configured: &ConfiguredAirbyteStream,
    seen: &mut HashSet<StreamDescriptor>,
) -> Result<(BoxedStream, ConfiguredAirbyteStream)> {
    let descriptor = configured.stream.descriptor();
    let stream = streams
        .get(&descriptor)
        .ok_or_else(|| unknown_stream(&descriptor, streams.keys()))?;
    if !seen.insert(descriptor.clone()) {
        return Err(ConnectorError::config(format!(
            "Stream {descriptor} stands in the catalog twice. Keep one entry."
        )));
    }
    let configured = mode::resolve(&stream.definition(), configured.clone())?;
    Ok((stream.clone(), configured))
}

/// Streams that did not complete, already reported to the host.
struct Failure {
    streams: String,
    error: ConnectorError,
}

#[derive(Clone)]
struct Reader {
    context: Context,
    /// Partitions being read.
    pool: Arc<Semaphore>,
    /// Streams begun and not ended.
    open: Arc<Semaphore>,
    settings: ReadSettings,
}

impl Reader {
    fn run_of(
        &self,
        descriptor: &StreamDescriptor,
        shared: Option<Arc<SharedState>>,
    ) -> Arc<StreamRun> {
        let (context, settings) = (self.context.clone(), self.settings.clone());
        Arc::new(StreamRun::new(
            descriptor.clone(),
            context,
            settings,
            shared,
        ))
    }

    /// Reads one stream and reports how it ended.
    async fn guarded(
        self,
        run: Arc<StreamRun>,
        stream: BoxedStream,
        request: StreamRequest,
    ) -> Result<Option<Failure>> {
        let read = self.read_stream(Arc::clone(&run), stream, request);
        let task = AbortOnDropHandle::new(tokio::spawn(read.with_current_subscriber()));
        let ended = joined(&run, task.await);
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
        // Before the place in the pool: whoever waits here must not keep an open stream from reading on.
        let _open = self.permit(&self.open).await?;
        let permit = self.permit(&self.pool).await?;
        run.status(AirbyteStreamStatus::Started)?;
        let partitions = stream.0.partitions_dyn(&request);
        let partitions = self.context.unless_overdue(partitions).await??;
        run.set_ordered(partitions.is_ordered);
        let is_independent = partitions.is_independent;
        let request = Arc::new(request);
        let mut tasks = JoinSet::new();
        let reader = PartitionReader {
            run: Arc::clone(&run),
            stream,
            request,
            is_independent,
        };
        let started = self
            .start_partitions(&reader, partitions, permit, &mut tasks)
            .await;
        // Partitions that were started already may go on when no more can be found.
        let (started, unfound) = match started {
            Err(error) if is_independent && !error.is_stop() => (Ok(()), Err(error)),
            started => (started, Ok(())),
        };
        join_partitions(&run, started, tasks).await?;
        if let Some(state) = reader.stream.0.final_state_dyn(&reader.request)? {
            run.set_final(state)?;
        }
        run.first_failure().map_or(Ok(()), Err).and(unfound)?;
        run.finish_states(Some(last_resort(&reader.request))).await
    }

    /// Starts partition by partition as the pool has room, until the last one or the first failure.
    async fn start_partitions(
        &self,
        reader: &PartitionReader,
        mut partitions: Partitions<AnyPartition>,
        first: OwnedSemaphorePermit,
        tasks: &mut JoinSet<Result<()>>,
    ) -> Result<()> {
        let mut free = Some(first);
        let mut number = 0;
        while let Some(partition) = self.context.unless_overdue(partitions.items.next()).await? {
            let partition = partition?;
            let permit = match free.take() {
                Some(permit) => permit,
                None => self.permit(&self.pool).await?,
            };
            while let Some(ended) = tasks.try_join_next() {
                joined(&reader.run, ended)?;
            }
            if reader.run.has_failed() {
                return Ok(());
            }
            let read = reader.clone().read(number, partition, permit);
            tasks.spawn(read.with_current_subscriber());
            number += 1;
        }
        Ok(())
    }

    async fn read_feed(
        &self,
        feed: Box<dyn GlobalFeed>,
        args: &ReadArgs,
        state: Arc<SharedState>,
    ) -> Result<Vec<Failure>> {
        let members = feed.streams();
        let streams = args.catalog.streams.iter();
        let streams: Vec<ConfiguredAirbyteStream> = streams
            .filter(|stream| members.contains(&stream.stream.descriptor()))
            .cloned()
            .collect();
        let runs: Vec<_> = streams
            .iter()
            .map(|stream| self.run_of(&stream.stream.descriptor(), Some(Arc::clone(&state))))
            .collect();
        runs.iter()
            .try_for_each(|run| run.status(AirbyteStreamStatus::Started))?;
        let context = self.context.clone();
        let read = feed::run(
            feed,
            streams,
            runs.clone(),
            args.state.clone(),
            state,
            context,
        );
        let mut read = AbortOnDropHandle::new(tokio::spawn(read.with_current_subscriber()));
        let ended = match self.context.unless_overdue(&mut read).await {
            Ok(ended) => ended.unwrap_or_else(|error| Err(crashed("of the change feed", &error))),
            Err(stopped) => {
                read.abort();
                // Nothing may be emitted any more once the streams are INCOMPLETE.
                drop(read.await);
                Err(stopped)
            }
        };
        report_feed(&self.context, &runs, ended)
    }

    async fn permit(&self, of: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit> {
        tokio::select! {
            biased;
            () = self.context.stop().cancelled() => Err(ConnectorError::stopped()),
            permit = Arc::clone(of).acquire_owned() => {
                Ok(permit.expect("no semaphore of ours is ever closed"))
            }
        }
    }
}

/// Reads partitions of one stream.
#[derive(Clone)]
struct PartitionReader {
    run: Arc<StreamRun>,
    stream: BoxedStream,
    request: Arc<StreamRequest>,
    /// A failing partition leaves the others alone.
    is_independent: bool,
}

impl PartitionReader {
    async fn read(
        self,
        number: u64,
        partition: AnyPartition,
        permit: OwnedSemaphorePermit,
    ) -> Result<()> {
        let run = Arc::clone(&self.run);
        let is_independent = self.is_independent;
        match self.read_all(number, partition, permit).await {
            Err(error) if is_independent && !error.is_stop() => {
                let error = error.with_stream(&run.descriptor);
                match run.note_failure(error) {
                    Some(further) => emit_failure(&run.context, &further),
                    None => Ok(()),
                }
            }
            ended => ended,
        }
    }

    async fn read_all(
        self,
        number: u64,
        partition: AnyPartition,
        _permit: OwnedSemaphorePermit,
    ) -> Result<()> {
        let run = &self.run;
        let lane = Arc::new(run.open_lane(number));
        let _wait = run.context.events().progress().wait(|| {
            format!(
                "stream {} waits for the source to yield records",
                run.descriptor
            )
        });
        if let Err(error) = self.read_into(&lane, partition).await {
            if !self.is_independent {
                run.fail();
            }
            // What was read and marked until then is good. A destination that hangs must not hold up a stop.
            let salvage = tokio::time::timeout(SALVAGE, lane.flush(true));
            if let Ok(Err(lost)) = salvage.await {
                tracing::debug!(
                    "What stream {} had read last was not sent: {lost}",
                    run.descriptor
                );
            }
            return Err(error);
        }
        lane.flush(false).await?;
        run.finish_partition(lane.partition()).await
    }

    async fn read_into(&self, lane: &Arc<Lane>, partition: AnyPartition) -> Result<()> {
        let mut sink = RecordSink::new(Arc::clone(lane));
        let read = self.stream.0.read_dyn(partition, &self.request, &mut sink);
        tokio::select! {
            biased;
            ended = self.run.context.unless_overdue(read) => ended?,
            Err(error) = lane.flush_by_age(self.run.settings.batch_age) => Err(error),
        }
    }
}

/// Waits for all partitions; the first failure, or that of starting them, ends the others.
async fn join_partitions(
    run: &StreamRun,
    started: Result<()>,
    mut tasks: JoinSet<Result<()>>,
) -> Result<()> {
    let mut ended = started;
    while ended.as_ref().err().is_none_or(ConnectorError::is_stop) {
        let Some(next) = tasks.join_next().await else {
            break;
        };
        // On a stop, all readers get to their next checkpoint.
        ended = match (ended, joined(run, next)) {
            (Err(stop), Ok(())) => Err(stop),
            (_, next) => next,
        };
    }
    // Nothing may be emitted any more once the stream is INCOMPLETE.
    tasks.shutdown().await;
    ended
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
    let failure = ended.err().map(|error| Failure {
        streams: names.join(", "),
        error,
    });
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
    Ok(Some(Failure {
        streams: run.descriptor.to_string(),
        error,
    }))
}

/// One error for all failed streams; it is of the type that asks most of the user.
fn summarise(failures: &[Failure]) -> Result<()> {
    if failures.is_empty() {
        return Ok(());
    }
    if failures.iter().all(|failure| failure.error.is_stop()) {
        return Err(ConnectorError::stopped());
    }
    let failed: Vec<_> = failures
        .iter()
        .filter(|failure| !failure.error.is_stop())
        .collect();
    let has = |kind| {
        failed
            .iter()
            .any(|failure| failure.error.failure_type() == kind)
    };
    let kind = [FailureType::ConfigError, FailureType::SystemError]
        .into_iter()
        .find(|kind| has(*kind))
        .unwrap_or(FailureType::TransientError);
    let list: Vec<_> = failed
        .iter()
        .map(|failure| format!("{}: {}", failure.streams, failure.error))
        .collect();
    let text = format!(
        "These streams did not sync successfully. {}",
        list.join(" | ")
    );
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
