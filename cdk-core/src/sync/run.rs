//! The course of a sync: prepare, attempt, retry what may still work, report.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use airbyte_protocol::{AirbyteMessage, FailureType, RawJson, StreamDescriptor};
use serde_json::Value;
use tokio::time::Instant;

use crate::budget::MemoryBudget;
use crate::context::Context;
use crate::destination::Capabilities;
use crate::error::{ConnectorError, ErrorContext, Result, RetryStatus};
use crate::event::{self, Event};
use crate::sync::attempt::{Attempt, Outcome};
use crate::sync::builder::Sync;
use crate::sync::event::{SyncEvent, SyncSide};
use crate::sync::names::NameMap;
use crate::sync::plan::{self, PlannedStream};
use crate::sync::report::{StreamSummary, SyncError, SyncReport, SyncStatus, Waits};
use crate::sync::state_store::{SavedConfig, SavedConnection};
use crate::watchdog::{self, Progress, STALL_INTERVAL};

const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

pub(super) async fn check(sync: &Sync) -> Result<()> {
    let _lease = sync.store.acquire(&sync.parts.connection).await?;
    let mut saved = sync
        .store
        .load(&sync.parts.connection)
        .await?
        .unwrap_or_default();
    let config = effective(&sync.source_config, &mut saved.source_config)?;
    let source = async |context: Context| sync.source.check_dyn(&config, &context).await;
    call(sync, SyncSide::Source, &mut saved, source).await?;
    let config = effective(&sync.destination_config, &mut saved.destination_config)?;
    let destination = async |context: Context| sync.destination.check_dyn(&config, &context).await;
    call(sync, SyncSide::Destination, &mut saved, destination).await
}

pub(super) async fn run(sync: &Sync) -> Result<SyncReport, SyncError> {
    let progress = Progress::default();
    let watchdog = watchdog::watch(progress.clone(), STALL_INTERVAL);
    tokio::select! {
        ended = run_watched(sync, &progress) => ended,
        () = watchdog => Err(ConnectorError::system("The watchdog ended before the sync.").into()),
    }
}

async fn run_watched(sync: &Sync, progress: &Progress) -> Result<SyncReport, SyncError> {
    let connection = &sync.parts.connection;
    let _lease = sync.store.acquire(connection).await?;
    let mut saved = sync.store.load(connection).await?.unwrap_or_default();
    let mut course = Course::prepare(sync, progress.clone(), &mut saved).await?;
    let error = course.attempts(&mut saved).await;
    course.report(error)
}

/// Calls a connector outside an attempt. A config it wants persisted meanwhile is saved before the call
/// goes on; everything else it emits is no part of the sync.
async fn call<T>(
    sync: &Sync,
    side: SyncSide,
    saved: &mut SavedConnection,
    work: impl AsyncFnOnce(Context) -> Result<T>,
) -> Result<T> {
    let (events, mut received) = event::channel(MemoryBudget::default(), Progress::default());
    let (clock, secrets) = (Arc::clone(&sync.parts.clock), sync.parts.secrets.clone());
    let context = Context::with_host(events, clock, secrets, sync.parts.stop.clone());
    let work = work(context);
    tokio::pin!(work);
    loop {
        tokio::select! {
            ended = &mut work => {
                // What it emitted in its last step counts too.
                while let Some(event) = received.try_recv() {
                    take(sync, side, saved, event).await?;
                }
                return ended;
            }
            Some(event) = received.recv() => take(sync, side, saved, event).await?,
        }
    }
}

async fn take(
    sync: &Sync,
    side: SyncSide,
    saved: &mut SavedConnection,
    event: Event,
) -> Result<()> {
    match event {
        Event::Delivered(delivery) => delivery.confirm(),
        Event::Message(message) => {
            if let AirbyteMessage::Control(control) = *message
                && let Some(body) = control.connector_config
            {
                remember_config(sync, side, saved, body.config);
                sync.store.save(&sync.parts.connection, saved).await?;
            }
        }
        Event::Records(_) => {}
    }
    Ok(())
}

fn remember_config(sync: &Sync, side: SyncSide, saved: &mut SavedConnection, current: RawJson) {
    let (given, kept) = match side {
        SyncSide::Source => (&sync.source_config, &mut saved.source_config),
        SyncSide::Destination => (&sync.destination_config, &mut saved.destination_config),
    };
    *kept = Some(SavedConfig {
        given: RawJson::from(given.clone()),
        current,
    });
}

/// A sync under way.
struct Course<'a> {
    sync: &'a Sync,
    source_config: Value,
    destination_config: Value,
    capabilities: Capabilities,
    streams: Vec<PlannedStream>,
    names: NameMap,
    budget: MemoryBudget,
    progress: Progress,
    totals: HashMap<StreamDescriptor, Totals>,
    done: HashSet<StreamDescriptor>,
    /// Streams that another attempt would not help.
    given_up: BTreeMap<StreamDescriptor, ConnectorError>,
    attempts: u32,
    sync_id: i64,
    started: Instant,
    started_at_ms: i64,
}

/// What was done for a stream over all attempts.
#[derive(Default)]
struct Totals {
    records_read: u64,
    bytes_read: u64,
    records_written: u64,
    records_rejected: u64,
    waits: Waits,
    error: Option<String>,
}

impl<'a> Course<'a> {
    async fn prepare(
        sync: &'a Sync,
        progress: Progress,
        saved: &mut SavedConnection,
    ) -> Result<Self> {
        let started_at_ms = sync.parts.clock.now_ms();
        let source_config = effective(&sync.source_config, &mut saved.source_config)?;
        let destination_config =
            effective(&sync.destination_config, &mut saved.destination_config)?;
        let wait = progress.wait(|| "the sync waits for the source's catalog".to_owned());
        let discover =
            async |context: Context| sync.source.discover_dyn(&source_config, &context).await;
        let catalog = call(sync, SyncSide::Source, saved, discover).await?;
        drop(wait);
        // Discovery may have rotated a credential.
        let source_config = effective(&sync.source_config, &mut saved.source_config)?;
        let ask = async |context: Context| sync.destination.capabilities_dyn(&context).await;
        let capabilities = call(sync, SyncSide::Destination, saved, ask).await?;
        let selections = &sync.parts.selections;
        let mut streams = plan::choose(&catalog, selections, &capabilities.sync_modes)?;
        let (namespace, prefix) = (&sync.parts.namespace, &sync.parts.prefix);
        let names = streams.iter().map(|stream| stream.name.clone());
        let names = NameMap::new(names, namespace, prefix)?;
        saved.sync_id += 1;
        plan::assign_generations(&mut streams, saved, &capabilities, started_at_ms);
        // A crash from here on finds its generations.
        sync.store.save(&sync.parts.connection, saved).await?;
        Ok(Self {
            sync,
            source_config,
            destination_config,
            capabilities,
            streams,
            names,
            budget: MemoryBudget::new(sync.parts.budget_bytes),
            progress,
            totals: HashMap::new(),
            done: HashSet::new(),
            given_up: BTreeMap::new(),
            attempts: 0,
            sync_id: saved.sync_id,
            started: Instant::now(),
            started_at_ms,
        })
    }

    /// Attempts until all is done or nothing more can be; returns what stands in the way.
    async fn attempts(&mut self, saved: &mut SavedConnection) -> Option<ConnectorError> {
        loop {
            self.attempts += 1;
            let open: Vec<_> = self.open_streams();
            self.tell(SyncEvent::Started {
                sync_id: self.sync_id,
                attempt: self.attempts,
                streams: open.iter().map(|stream| stream.name.clone()).collect(),
            });
            let attempt = Attempt {
                source: &self.sync.source,
                source_config: &self.source_config,
                destination: &self.sync.destination,
                destination_config: &self.destination_config,
                store: &self.sync.store,
                parts: &self.sync.parts,
                streams: &open,
                names: &self.names,
                budget: &self.budget,
                progress: &self.progress,
                prefers_arrow: self.capabilities.prefers_arrow,
            };
            let outcome = attempt.run(saved).await;
            self.add(&outcome);
            for stream in outcome.completed() {
                self.done.insert(stream.clone());
                saved.stream_mut(stream).is_unfinished = false;
            }
            let kept = self
                .sync
                .store
                .save(&self.sync.parts.connection, saved)
                .await;
            if let Err(error) = kept {
                return Some(error);
            }
            let error = self.obstacle(outcome)?;
            if !self.may_retry(&error) {
                return Some(error);
            }
            if let Err(error) = self.pause(&error).await {
                return Some(error);
            }
            if let Err(error) = self.plan_again(saved).await {
                return Some(error);
            }
        }
    }

    /// Streams that start over need a new generation: what the failed attempt staged may not fit.
    async fn plan_again(&mut self, saved: &mut SavedConnection) -> Result<()> {
        let is_open = |stream: &PlannedStream| {
            !self.done.contains(&stream.name) && !self.given_up.contains_key(&stream.name)
        };
        let (mut open, closed): (Vec<_>, Vec<_>) = std::mem::take(&mut self.streams)
            .into_iter()
            .partition(is_open);
        plan::assign_generations(&mut open, saved, &self.capabilities, self.started_at_ms);
        self.streams = closed;
        self.streams.append(&mut open);
        self.source_config = effective(&self.sync.source_config, &mut saved.source_config)?;
        let given = &self.sync.destination_config;
        self.destination_config = effective(given, &mut saved.destination_config)?;
        self.sync
            .store
            .save(&self.sync.parts.connection, saved)
            .await
    }

    fn open_streams(&self) -> Vec<PlannedStream> {
        let is_open = |stream: &&PlannedStream| {
            !self.done.contains(&stream.name) && !self.given_up.contains_key(&stream.name)
        };
        self.streams.iter().filter(is_open).cloned().collect()
    }

    /// Why not all streams are complete, if they are not. Streams whose failure is permanent are given up.
    fn obstacle(&mut self, outcome: Outcome) -> Option<ConnectorError> {
        if self.sync.parts.stop.is_cancelled() && !self.open_streams().is_empty() {
            return Some(ConnectorError::stopped());
        }
        let mut temporary = outcome.error;
        for (stream, error) in outcome.failures {
            let error = error.with_stream(&stream);
            if self.done.contains(&stream) {
                continue;
            }
            match error.retry() {
                RetryStatus::Temporary => drop(temporary.get_or_insert(error)),
                _ => drop(self.given_up.insert(stream, error)),
            }
        }
        let open = self.open_streams();
        if open.is_empty() {
            // The worst failure speaks for all.
            let worst = self
                .given_up
                .iter()
                .min_by_key(|(_, error)| severity(error.failure_type()));
            let name = worst.map(|(name, _)| name.clone());
            return name
                .and_then(|name| self.given_up.remove(&name))
                .or(temporary);
        }
        Some(temporary.unwrap_or_else(|| {
            let open: Vec<_> = open.iter().map(|stream| stream.name.to_string()).collect();
            ConnectorError::transient(format!(
                "The source ended without saying that {} is complete. Old data was left in place.",
                open.join(", ")
            ))
        }))
    }

    fn may_retry(&self, error: &ConnectorError) -> bool {
        error.retry() == RetryStatus::Temporary
            && !error.is_stop()
            && self.attempts < self.sync.parts.max_attempts
    }

    /// Waits before the next attempt, longer each time; an error when the sync is stopped meanwhile.
    async fn pause(&self, error: &ConnectorError) -> Result<()> {
        let factor = 2_u32.saturating_pow(self.attempts.saturating_sub(1));
        let wait = FIRST_WAIT.saturating_mul(factor).min(LONGEST_WAIT);
        let text = self.sync.parts.secrets.mask(error.message()).into_owned();
        tracing::warn!(
            "Attempt {} failed, next in {} s: {text}",
            self.attempts,
            wait.as_secs()
        );
        self.tell(SyncEvent::Retrying {
            error: text,
            attempt: self.attempts + 1,
            wait,
        });
        tokio::select! {
            () = self.sync.parts.stop.cancelled() => Err(ConnectorError::stopped()),
            () = tokio::time::sleep(wait) => Ok(()),
        }
    }

    fn add(&mut self, outcome: &Outcome) {
        for (stream, (records, bytes)) in &outcome.read {
            let totals = self.totals.entry(stream.clone()).or_default();
            totals.records_read += records;
            totals.bytes_read += bytes;
        }
        for written in &outcome.written.streams {
            let totals = self.totals.entry(written.stream.clone()).or_default();
            totals.records_written += written.records;
            totals.records_rejected += written.rejected_records;
            totals.waits.source += written.idle;
            totals.waits.destination += written.busy;
        }
        for stream in self.open_streams() {
            let failure = outcome.failures.get(&stream.name);
            let totals = self.totals.entry(stream.name.clone()).or_default();
            totals.error = failure.map(|error| error.message().to_owned());
        }
    }

    fn report(mut self, error: Option<ConnectorError>) -> Result<SyncReport, SyncError> {
        let status = match &error {
            None => SyncStatus::Succeeded,
            Some(error) if error.is_stop() => SyncStatus::Cancelled,
            Some(_) => SyncStatus::Failed,
        };
        let mut streams: Vec<_> = std::mem::take(&mut self.streams);
        streams.sort_by(|a, b| a.name.cmp(&b.name));
        let streams = streams
            .into_iter()
            .map(|stream| self.summary(stream))
            .collect();
        let report = SyncReport {
            connection: self.sync.parts.connection.clone(),
            sync_id: self.sync_id,
            status,
            attempts: self.attempts,
            started_at_ms: self.started_at_ms,
            duration: self.started.elapsed(),
            streams,
        };
        match error {
            None => Ok(report),
            Some(error) => Err(SyncError {
                error,
                report: Some(Box::new(report)),
            }),
        }
    }

    fn summary(&mut self, stream: PlannedStream) -> StreamSummary {
        let totals = self.totals.remove(&stream.name).unwrap_or_default();
        let mask = |text: String| self.sync.parts.secrets.mask(&text).into_owned();
        StreamSummary {
            is_complete: self.done.contains(&stream.name),
            stream: stream.name,
            mode: stream.mode.to_string(),
            records_read: totals.records_read,
            bytes_read: totals.bytes_read,
            records_written: totals.records_written,
            records_rejected: totals.records_rejected,
            waits: totals.waits,
            error: totals.error.map(mask),
        }
    }

    fn tell(&self, event: SyncEvent) {
        (self.sync.parts.on_event)(event);
    }
}

fn severity(kind: FailureType) -> u8 {
    match kind {
        FailureType::ConfigError => 0,
        FailureType::SystemError => 1,
        FailureType::TransientError => 2,
    }
}

/// The config to run with: what the connector made of it last time, unless the user gave a new one.
fn effective(given: &Value, saved: &mut Option<SavedConfig>) -> Result<Value> {
    let Some(kept) = saved else {
        return Ok(given.clone());
    };
    if kept.given == RawJson::from(given.clone()) {
        return kept
            .current
            .parse_as()
            .system_error("The saved config is not JSON.");
    }
    *saved = None;
    Ok(given.clone())
}
