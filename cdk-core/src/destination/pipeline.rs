//! The runtime of `write`: a router, one loader task per stream, and the ledger that releases states.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use airbyte_protocol::{
    AirbyteMessage, AirbyteStateMessage, AirbyteStreamStatus, AirbyteTraceMessage,
    ConfiguredAirbyteCatalog, ConfiguredAirbyteStream, DestinationSyncMode, StreamDescriptor,
};
use futures::future::join_all;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use tracing::instrument::WithSubscriber;

use crate::batch::RecordBatch;
use crate::context::Context;
use crate::destination::ledger::StateLedger;
use crate::destination::{
    CommitStats, Destination, StreamEnd, StreamLoader, StreamReport, WriteReport,
};
use crate::error::{ConnectorError, Result};
use crate::event::{Event, EventReceiver};

/// When `write` commits.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct WriteSettings {
    /// A loader commits after this many bytes of record data…
    pub commit_bytes: u64,
    /// …or when its oldest uncommitted record is this old.
    pub commit_interval: Duration,
}

impl WriteSettings {
    /// Commits after this many bytes, or when the oldest uncommitted record is this old.
    pub fn new(commit_bytes: u64, commit_interval: Duration) -> Self {
        Self {
            commit_bytes,
            commit_interval,
        }
    }
}

impl Default for WriteSettings {
    fn default() -> Self {
        Self {
            commit_bytes: 64 << 20,
            commit_interval: Duration::from_secs(5),
        }
    }
}

pub(super) async fn run<D: Destination>(
    destination: &D,
    config: &D::Config,
    catalog: &ConfiguredAirbyteCatalog,
    settings: WriteSettings,
    events: EventReceiver,
    context: &Context,
) -> Result<WriteReport> {
    validate(catalog, &destination.capabilities().sync_modes)?;
    let loaders = destination.open(config, catalog, context).await?;
    if loaders.len() != catalog.streams.len() {
        return Err(ConnectorError::system(
            "The destination opened another number of loaders than the catalog has streams.",
        ));
    }
    let names: Vec<_> = catalog
        .streams
        .iter()
        .map(|stream| stream.descriptor())
        .collect();
    let ledger = Arc::new(Mutex::new(StateLedger::new(names.clone())));
    let lanes = names
        .iter()
        .zip(loaders)
        .enumerate()
        .map(|(at, (name, loader))| {
            let run = LoaderRun {
                at,
                name: name.clone(),
                ledger: Arc::clone(&ledger),
                context: context.clone(),
                settings: settings.clone(),
                loaded: Loaded::default(),
            };
            let (queue, works) = mpsc::unbounded_channel();
            let task = tokio::spawn(run.run(loader, works).with_current_subscriber());
            let task = AbortOnDropHandle::new(task);
            StreamLane {
                queue,
                task,
                end: None,
            }
        });
    let lanes: Vec<_> = lanes.collect();
    let router = Router {
        index: names
            .iter()
            .cloned()
            .enumerate()
            .map(|(at, name)| (name, at))
            .collect(),
        names,
        lanes,
        ledger,
        context: context.clone(),
    };
    router.run(events).await
}

/// Modes and keys that can't work are refused before anything is touched.
fn validate(catalog: &ConfiguredAirbyteCatalog, modes: &[DestinationSyncMode]) -> Result<()> {
    let mut seen = HashSet::new();
    for stream in &catalog.streams {
        let name = stream.descriptor();
        let problem = match seen.insert(name.clone()) {
            true => problem_of(stream, modes),
            false => Some("it stands in the catalog twice.".to_owned()),
        };
        if let Some(problem) = problem {
            let text = format!("Stream {name} can't be written as configured: {problem}");
            return Err(ConnectorError::config(text).with_stream(&name));
        }
    }
    Ok(())
}

fn problem_of(stream: &ConfiguredAirbyteStream, modes: &[DestinationSyncMode]) -> Option<String> {
    let mode = stream.destination_sync_mode;
    if !modes.contains(&mode) {
        let known: Vec<_> = modes.iter().map(ToString::to_string).collect();
        let known = known.join(", ");
        return Some(format!(
            "this destination has no mode {mode}; choose one of {known}."
        ));
    }
    let has_key = stream.key().is_some_and(|key| !key.is_empty());
    let needs_key = [
        DestinationSyncMode::AppendDedup,
        DestinationSyncMode::OverwriteDedup,
    ];
    if needs_key.contains(&mode) && !has_key {
        return Some(format!(
            "mode {mode} needs a primary key; set `primary_key`."
        ));
    }
    match (stream.minimum_generation_id, stream.generation_id) {
        (Some(minimum), Some(current)) if minimum != 0 && minimum != current => Some(format!(
            "`minimum_generation_id` is {minimum}; only 0 or the `generation_id` ({current}) is possible."
        )),
        (Some(minimum), None) if minimum != 0 => {
            Some("`minimum_generation_id` is set without `generation_id`.".to_owned())
        }
        _ => None,
    }
}

/// What a loader task is given.
enum Work {
    Batch(RecordBatch),
    End(StreamEnd),
}

struct StreamLane {
    queue: mpsc::UnboundedSender<Work>,
    task: AbortOnDropHandle<Result<StreamReport>>,
    end: Option<StreamEnd>,
}

/// Takes the events in order and hands them to the loaders.
struct Router {
    index: HashMap<StreamDescriptor, usize>,
    names: Vec<StreamDescriptor>,
    lanes: Vec<StreamLane>,
    ledger: Arc<Mutex<StateLedger>>,
    context: Context,
}

impl Router {
    async fn run(mut self, mut events: EventReceiver) -> Result<WriteReport> {
        let routed = self.route_all(&mut events).await;
        drop(events);
        let ended = self.end_all().await;
        routed.and(ended)
    }

    async fn route_all(&mut self, events: &mut EventReceiver) -> Result<()> {
        loop {
            let event = tokio::select! {
                biased;
                () = self.context.stop().cancelled() => return Err(ConnectorError::stopped()),
                event = events.recv() => event,
            };
            match event {
                None => return Ok(()),
                Some(Event::Records(batch)) => self.records(batch)?,
                Some(Event::Message(message)) => self.message(*message)?,
                Some(Event::Delivered(delivery)) => delivery.confirm(),
            }
            if self
                .lanes
                .iter()
                .all(|lane| lane.task.is_finished() && lane.end.is_none())
                && !self.lanes.is_empty()
            {
                // Every loader failed: reading on would only throw records away.
                return Ok(());
            }
        }
    }

    fn records(&mut self, batch: RecordBatch) -> Result<()> {
        let Some(at) = self.index.get(batch.stream().as_ref()).copied() else {
            return Err(ConnectorError::config(format!(
                "Records arrived for stream {}, which is not in the configured catalog. Add the \
                 stream to the catalog or take it out of the source's selection.",
                batch.stream()
            )));
        };
        if self.lanes[at].end.is_some() {
            return Err(ConnectorError::system(format!(
                "Records arrived for stream {} after its COMPLETE or INCOMPLETE status.",
                batch.stream()
            )));
        }
        self.lock().received(at, batch.len() as u64);
        // A loader that failed has closed its queue; its error is reported in the end.
        drop(self.lanes[at].queue.send(Work::Batch(batch)));
        Ok(())
    }

    fn message(&mut self, message: AirbyteMessage) -> Result<()> {
        match message {
            AirbyteMessage::State(state) => {
                let mut ledger = self.lock();
                give_back(&self.context, ledger.state(state))
            }
            AirbyteMessage::Trace(trace) => self.trace(&trace),
            // Everything else concerns the platform, not the data.
            _ => Ok(()),
        }
    }

    fn trace(&mut self, trace: &AirbyteTraceMessage) -> Result<()> {
        let Some(status) = &trace.stream_status else {
            return Ok(());
        };
        let end = match status.status {
            AirbyteStreamStatus::Complete => StreamEnd::Complete,
            AirbyteStreamStatus::Incomplete => StreamEnd::Incomplete,
            AirbyteStreamStatus::Started | AirbyteStreamStatus::Running => return Ok(()),
        };
        match self.index.get(&status.stream_descriptor).copied() {
            Some(at) if self.lanes[at].end.is_none() => {
                self.lanes[at].end = Some(end);
                drop(self.lanes[at].queue.send(Work::End(end)));
            }
            Some(_) => {}
            None => tracing::warn!(
                "A status of stream {} arrived, which is not in the configured catalog.",
                status.stream_descriptor
            ),
        }
        Ok(())
    }

    /// Lets all loaders finish what they have in hand. After a stop, those that hang are left behind.
    async fn end_all(self) -> Result<WriteReport> {
        let tasks = self.lanes.into_iter().map(|lane| {
            if lane.end.is_none() {
                drop(lane.queue.send(Work::End(StreamEnd::Incomplete)));
            }
            lane.task
        });
        let ended = self.context.unless_overdue(join_all(tasks)).await?;
        let mut report = WriteReport::default();
        for (ended, name) in ended.into_iter().zip(&self.names) {
            let ended = ended.unwrap_or_else(|error| {
                Err(ConnectorError::system(format!(
                    "The destination crashed while loading stream {name}."
                ))
                .with_internal(error.to_string()))
            });
            match ended {
                Ok(stream) => report.streams.push(stream),
                Err(error) => report
                    .failures
                    .push(failed(&self.context, error.with_stream(name))?),
            }
        }
        let waiting = self
            .ledger
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .waiting();
        if waiting > 0 && report.failures.is_empty() {
            return Err(ConnectorError::system(format!(
                "{waiting} states were not given back although every loader committed."
            )));
        }
        Ok(report)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, StateLedger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reports the failure of one stream to the host.
fn failed(context: &Context, error: ConnectorError) -> Result<ConnectorError> {
    let trace = error.to_trace(context.now_ms() as f64);
    context.emit(AirbyteMessage::Trace(trace))?;
    Ok(error)
}

fn give_back(context: &Context, states: Vec<AirbyteStateMessage>) -> Result<()> {
    states
        .into_iter()
        .try_for_each(|state| context.emit(AirbyteMessage::State(state)))
}

/// One loader task.
struct LoaderRun {
    at: usize,
    name: StreamDescriptor,
    ledger: Arc<Mutex<StateLedger>>,
    context: Context,
    settings: WriteSettings,
    loaded: Loaded,
}

#[derive(Default)]
struct Loaded {
    records: u64,
    bytes: u64,
    uncommitted_bytes: u64,
    /// When the oldest uncommitted record was loaded.
    uncommitted_since: Option<Instant>,
    rejected: u64,
    busy: Duration,
    idle: Duration,
}

impl LoaderRun {
    async fn run<L: StreamLoader>(
        mut self,
        mut loader: L,
        mut works: mpsc::UnboundedReceiver<Work>,
    ) -> Result<StreamReport> {
        let end = loop {
            let waiting = Instant::now();
            let work = tokio::select! {
                biased;
                work = works.recv() => work,
                () = until(self.commit_at()) => {
                    self.commit(&mut loader).await?;
                    continue;
                }
            };
            self.loaded.idle += waiting.elapsed();
            match work {
                Some(Work::Batch(batch)) => self.load(&mut loader, batch).await?,
                Some(Work::End(end)) => break end,
                None => break StreamEnd::Incomplete,
            }
        };
        self.commit(&mut loader).await?;
        let finishing = Instant::now();
        let wait = self.wait("to finish");
        loader
            .finish(end)
            .await
            .map_err(|error| error.with_stream(&self.name))?;
        drop(wait);
        self.loaded.busy += finishing.elapsed();
        Ok(self.report(end))
    }

    async fn load<L: StreamLoader>(&mut self, loader: &mut L, batch: RecordBatch) -> Result<()> {
        let (rows, bytes) = (batch.len() as u64, batch.bytes() as u64);
        let started = Instant::now();
        let wait = self.wait("to take a batch");
        loader
            .load(batch)
            .await
            .map_err(|error| error.with_stream(&self.name))?;
        drop(wait);
        self.context.events().progress().step();
        let loaded = &mut self.loaded;
        loaded.busy += started.elapsed();
        loaded.records += rows;
        loaded.bytes += bytes;
        loaded.uncommitted_bytes += bytes;
        loaded.uncommitted_since.get_or_insert(started);
        let is_due = loaded.uncommitted_bytes >= self.settings.commit_bytes
            || self.commit_at().is_some_and(|at| at <= Instant::now());
        if is_due {
            self.commit(loader).await
        } else {
            Ok(())
        }
    }

    async fn commit<L: StreamLoader>(&mut self, loader: &mut L) -> Result<()> {
        let started = Instant::now();
        let wait = self.wait("to commit");
        let stats = loader
            .commit()
            .await
            .map_err(|error| error.with_stream(&self.name))?;
        drop(wait);
        self.context.events().progress().step();
        self.loaded.busy += started.elapsed();
        self.loaded.rejected += stats.rejected_records;
        self.loaded.uncommitted_bytes = 0;
        self.loaded.uncommitted_since = None;
        self.give_back(stats)
    }

    /// Under the ledger's lock, so that states leave in order.
    fn give_back(&self, stats: CommitStats) -> Result<()> {
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        let released = ledger.durable(self.at, self.loaded.records, stats);
        give_back(&self.context, released)
    }

    fn commit_at(&self) -> Option<Instant> {
        self.loaded
            .uncommitted_since
            .map(|since| since + self.settings.commit_interval)
    }

    fn wait(&self, what: &str) -> crate::watchdog::Wait {
        let progress = self.context.events().progress();
        progress.wait(|| format!("stream {} waits for the destination {what}", self.name))
    }

    fn report(self, end: StreamEnd) -> StreamReport {
        let Loaded {
            records,
            bytes,
            rejected,
            busy,
            idle,
            ..
        } = self.loaded;
        StreamReport {
            stream: self.name,
            end,
            records,
            bytes,
            rejected_records: rejected,
            busy,
            idle,
        }
    }
}

/// Sleeps until a deadline; for ever without one.
async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
