//! One attempt: source, pump, destination and state keeper side by side until the source ends.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use airbyte_protocol::{
    AirbyteMessage, AirbyteStateMessage, AirbyteStreamStatus, AirbyteTraceMessage, RawJson,
    StreamDescriptor,
};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::instrument::WithSubscriber;

use crate::budget::MemoryBudget;
use crate::context::Context;
use crate::decode::relog;
use crate::destination::{DynDestination, StreamEnd, WriteArgs, WriteReport};
use crate::error::{ConnectorError, Result};
use crate::event::{self, Delivery, Event, EventReceiver, EventSender};
use crate::source::{DynSource, ReadArgs};
use crate::sync::builder::Parts;
use crate::sync::event::{SyncEvent, SyncSide};
use crate::sync::names::NameMap;
use crate::sync::plan::{self, PlannedStream};
use crate::sync::state_store::{SavedConfig, SavedConnection, StateStore};
use crate::watchdog::Progress;

/// After a stop, or once the destination has failed, the source has this long to end.
const SOURCE_GRACE: Duration = Duration::from_secs(8);

/// What an attempt needs. State is shared with the attempts before and after it.
pub(super) struct Attempt<'a> {
    pub(super) source: &'a Arc<dyn DynSource>,
    pub(super) source_config: &'a Value,
    pub(super) destination: &'a Arc<dyn DynDestination>,
    pub(super) destination_config: &'a Value,
    pub(super) store: &'a Arc<dyn StateStore>,
    pub(super) parts: &'a Parts,
    pub(super) streams: &'a [PlannedStream],
    pub(super) names: &'a NameMap,
    pub(super) budget: &'a MemoryBudget,
    pub(super) progress: &'a Progress,
    /// The destination takes Arrow columns.
    pub(super) prefers_arrow: bool,
}

/// What an attempt came to.
#[derive(Default)]
pub(super) struct Outcome {
    /// Records and bytes read, by stream at the source.
    pub(super) read: HashMap<StreamDescriptor, (u64, u64)>,
    /// What the destination did, under the source's names.
    pub(super) written: WriteReport,
    /// Failures that name their stream.
    pub(super) failures: HashMap<StreamDescriptor, ConnectorError>,
    /// The first failure that the source reported without a stream.
    unattributed: Option<ConnectorError>,
    /// The failure of the attempt as a whole.
    pub(super) error: Option<ConnectorError>,
}

impl Outcome {
    /// Streams that arrived completely and are visible.
    pub(super) fn completed(&self) -> impl Iterator<Item = &StreamDescriptor> {
        let complete = self
            .written
            .streams
            .iter()
            .filter(|report| report.end == StreamEnd::Complete);
        complete.map(|report| &report.stream)
    }
}

impl Attempt<'_> {
    pub(super) async fn run(&self, saved: &mut SavedConnection) -> Outcome {
        let source_stop = self.parts.stop.child_token();
        let (to_pump, from_source) = self.channel();
        let (to_destination, for_destination) = self.channel();
        let (to_keeper, from_destination) = self.channel();
        let source_context = self
            .context(to_pump, source_stop.clone())
            .with_arrow_preferred(self.prefers_arrow);
        // The destination ends when the source has: a stop must not keep it from the last commit.
        let destination_context = self.context(to_keeper, CancellationToken::new());

        let source = Arc::clone(self.source);
        let args = ReadArgs {
            config: self.source_config.clone(),
            catalog: plan::source_catalog(self.streams),
            state: saved.input_state(),
        };
        let reading = tokio::spawn(
            async move { source.read_dyn(args, &source_context).await }.with_current_subscriber(),
        );
        let destination = Arc::clone(self.destination);
        let args = WriteArgs {
            config: self.destination_config.clone(),
            catalog: plan::destination_catalog(self.streams, self.names),
            settings: self.parts.write_settings.clone(),
        };
        let writing = tokio::spawn(
            async move {
                destination
                    .write_dyn(args, for_destination, &destination_context)
                    .await
            }
            .with_current_subscriber(),
        );
        let reading = Side {
            what: "source",
            task: AbortOnDropHandle::new(reading),
        };
        let writing = Side {
            what: "destination",
            task: AbortOnDropHandle::new(writing),
        };

        let mut outcome = Outcome::default();
        let (configs, config_changes) = tokio::sync::mpsc::unbounded_channel();
        let mut pump = Pump {
            attempt: self,
            outcome: &mut outcome,
            configs,
            is_config_lost: false,
        };
        let pumping = pump.run(from_source, to_destination, reading, &source_stop);
        let mut keeper = Keeper {
            attempt: self,
            saved,
            failure: None,
        };
        let keeping = keeper.run(from_destination, config_changes, writing, &source_stop);
        let (read, written) = tokio::join!(pumping, keeping);
        let failure = keeper.failure.take();
        self.conclude(outcome, read, written, failure)
    }

    fn conclude(
        &self,
        mut outcome: Outcome,
        read: Result<()>,
        written: Result<WriteReport>,
        keeper_failure: Option<ConnectorError>,
    ) -> Outcome {
        let mut destination_error = None;
        match written {
            Ok(mut report) => {
                for stream in &mut report.streams {
                    self.rename_here(&mut stream.stream);
                }
                for failure in report.failures.drain(..) {
                    let name = failure
                        .stream()
                        .and_then(|name| self.names.here(name))
                        .cloned();
                    match name {
                        Some(name) => drop(outcome.failures.insert(name, failure)),
                        None => destination_error = Some(failure),
                    }
                }
                outcome.written = report;
            }
            Err(error) => destination_error = Some(error),
        }
        // The source's error sums up failures that are known by stream already, or is a stop that a
        // failed destination caused.
        let is_news = outcome.failures.is_empty() && destination_error.is_none();
        let is_stopped = self.parts.stop.is_cancelled();
        let has_failed = read.is_err();
        let source_error = read
            .err()
            .filter(|error| is_news && (is_stopped || !error.is_stop()));
        // A trace of a source that succeeds all the same is no failure.
        let unattributed = outcome.unattributed.take().filter(|_| has_failed);
        outcome.error = keeper_failure
            .or(destination_error)
            .or(source_error)
            .or(unattributed);
        outcome
    }

    fn rename_here(&self, name: &mut StreamDescriptor) {
        if let Some(here) = self.names.here(name) {
            *name = here.clone();
        }
    }

    fn channel(&self) -> (EventSender, EventReceiver) {
        event::channel(self.budget.clone(), self.progress.clone())
    }

    fn context(&self, events: EventSender, stop: CancellationToken) -> Context {
        let parts = self.parts;
        Context::with_host(
            events,
            Arc::clone(&parts.clock),
            parts.secrets.clone(),
            stop,
        )
    }
}

/// A connector's task.
struct Side<T> {
    what: &'static str,
    /// A sync that is dropped takes its connectors along.
    task: AbortOnDropHandle<Result<T>>,
}

impl<T> Side<T> {
    async fn join(&mut self) -> Result<T> {
        let what = self.what;
        (&mut self.task).await.unwrap_or_else(|error| {
            let text =
                format!("The {what} crashed. This is a bug of the connector; the log shows where.");
            Err(ConnectorError::system(text).with_internal(error.to_string()))
        })
    }
}

/// Passes events from the source to the destination, under the destination's names, and counts them.
struct Pump<'a> {
    attempt: &'a Attempt<'a>,
    outcome: &'a mut Outcome,
    configs: tokio::sync::mpsc::UnboundedSender<ConfigChange>,
    /// A changed config could not be saved.
    is_config_lost: bool,
}

/// A changed config on its way to the store.
struct ConfigChange {
    side: SyncSide,
    config: RawJson,
    saved: tokio::sync::oneshot::Sender<()>,
}

impl Pump<'_> {
    async fn run(
        &mut self,
        mut events: EventReceiver,
        destination: EventSender,
        mut source: Side<()>,
        stop: &CancellationToken,
    ) -> Result<()> {
        let overdue = async {
            stop.cancelled().await;
            tokio::time::sleep(SOURCE_GRACE).await;
        };
        tokio::pin!(overdue);
        let mut ended = None;
        loop {
            tokio::select! {
                biased;
                event = events.recv() => match event {
                    // A destination that ended says itself why.
                    Some(event) => if self.pass(event, &destination).await.is_err() { stop.cancel() },
                    None => break,
                },
                result = source.join(), if ended.is_none() => {
                    ended = Some(result);
                    // A connector may have left a sender in some task of its own.
                    events.close();
                }
                () = &mut overdue, if ended.is_none() => {
                    source.task.abort();
                    ended = Some(Err(ConnectorError::stopped()));
                    events.close();
                }
            }
        }
        match ended {
            Some(ended) => ended,
            None => source.join().await,
        }
    }

    async fn pass(&mut self, event: Event, destination: &EventSender) -> Result<()> {
        match event {
            Event::Records(batch) => {
                let name = batch.stream().as_ref().clone();
                let Some(there) = self.attempt.names.there(&name).cloned() else {
                    return Err(self.unknown(&name));
                };
                let (records, bytes) = self.outcome.read.entry(name.clone()).or_default();
                *records += batch.len() as u64;
                *bytes += batch.bytes() as u64;
                let (records, bytes) = (*records, *bytes);
                self.tell(SyncEvent::Progress {
                    stream: name,
                    records,
                    bytes,
                });
                destination.records(batch.renamed(there)).await
            }
            Event::Message(message) => self.message(*message, destination).await,
            Event::Delivered(delivery) => {
                if !self.is_config_lost {
                    delivery.confirm();
                }
                Ok(())
            }
        }
    }

    async fn message(&mut self, message: AirbyteMessage, destination: &EventSender) -> Result<()> {
        match message {
            AirbyteMessage::State(state) => {
                let state = self.attempt.names.state_there(state);
                destination.message(AirbyteMessage::State(state))
            }
            AirbyteMessage::Trace(trace) => self.trace(trace, destination),
            AirbyteMessage::Control(control) => {
                if let Some(body) = control.connector_config {
                    self.save_config(body.config).await;
                }
                Ok(())
            }
            AirbyteMessage::Log(log) => {
                relog(&log);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn trace(&mut self, mut trace: AirbyteTraceMessage, destination: &EventSender) -> Result<()> {
        if let Some(error) = &trace.error {
            let error = ConnectorError::from_trace(error);
            tracing::error!(
                stream = error.stream().map(tracing::field::display),
                "{error}"
            );
            match error.stream().cloned() {
                Some(stream) => drop(self.outcome.failures.entry(stream).or_insert(error)),
                None => drop(self.outcome.unattributed.get_or_insert(error)),
            }
        }
        if let Some(estimate) = &trace.estimate {
            let mut stream = StreamDescriptor::new(estimate.name.clone());
            stream.namespace.clone_from(&estimate.namespace);
            self.tell(SyncEvent::Estimate {
                stream,
                rows: estimate.row_estimate,
            });
        }
        let Some(status) = &mut trace.stream_status else {
            return Ok(());
        };
        let stream = status.stream_descriptor.clone();
        self.tell(SyncEvent::StreamStatus {
            stream: stream.clone(),
            status: status.status,
        });
        let Some(there) = self.attempt.names.there(&stream) else {
            return Ok(());
        };
        status.stream_descriptor = there.as_ref().clone();
        if status.status == AirbyteStreamStatus::Started {
            return Ok(());
        }
        destination.message(AirbyteMessage::Trace(trace))
    }

    /// Returns once the config is saved: the source may wait for that before it uses a credential. When it
    /// can't be saved, nobody who waits is told that it was.
    async fn save_config(&mut self, config: RawJson) {
        let (saved, done) = tokio::sync::oneshot::channel();
        let change = ConfigChange {
            side: SyncSide::Source,
            config,
            saved,
        };
        let is_saved = self.configs.send(change).is_ok() && done.await.is_ok();
        self.is_config_lost |= !is_saved;
    }

    fn unknown(&mut self, name: &StreamDescriptor) -> ConnectorError {
        let text =
            format!("The source emitted records of stream {name}, which it was not asked for.");
        let error = ConnectorError::system(text.clone());
        self.outcome.unattributed.get_or_insert(error);
        ConnectorError::system(text)
    }

    fn tell(&self, event: SyncEvent) {
        (self.attempt.parts.on_event)(event);
    }
}

/// Saves the states that the destination gives back, and configs that connectors changed.
struct Keeper<'a> {
    attempt: &'a Attempt<'a>,
    saved: &'a mut SavedConnection,
    failure: Option<ConnectorError>,
}

impl Keeper<'_> {
    async fn run(
        &mut self,
        mut states: EventReceiver,
        mut configs: tokio::sync::mpsc::UnboundedReceiver<ConfigChange>,
        mut destination: Side<WriteReport>,
        stop_source: &CancellationToken,
    ) -> Result<WriteReport> {
        let mut ended = None;
        loop {
            tokio::select! {
                biased;
                event = states.recv() => match event {
                    Some(event) => self.take(event, &mut states, stop_source).await,
                    None => break,
                },
                Some(change) = configs.recv() => self.config(change, stop_source).await,
                result = destination.join(), if ended.is_none() => {
                    // Whatever it said, nothing takes records any more.
                    stop_source.cancel();
                    ended = Some(result);
                    states.close();
                }
            }
        }
        match ended {
            Some(ended) => ended,
            None => destination.join().await,
        }
    }

    /// Takes everything that is queued, then saves once.
    async fn take(
        &mut self,
        first: Event,
        states: &mut EventReceiver,
        stop_source: &CancellationToken,
    ) {
        let (mut taken, mut deliveries) = (0, Vec::new());
        let mut next = Some(first);
        while let Some(event) = next {
            match event {
                Event::Message(message) => taken += usize::from(self.message(*message)),
                Event::Delivered(delivery) => deliveries.push(delivery),
                Event::Records(_) => {}
            }
            next = states.try_recv();
        }
        if taken > 0 {
            if !self.save(stop_source).await {
                // Whoever waits for a delivery must not go on as if it was saved.
                return;
            }
            (self.attempt.parts.on_event)(SyncEvent::StateSaved { states: taken });
        }
        deliveries.into_iter().for_each(Delivery::confirm);
    }

    /// True when there is something to save.
    fn message(&mut self, message: AirbyteMessage) -> bool {
        match message {
            AirbyteMessage::State(state) => {
                let state: AirbyteStateMessage = self.attempt.names.state_here(state);
                self.saved.apply(state);
                true
            }
            AirbyteMessage::Log(log) => {
                relog(&log);
                false
            }
            AirbyteMessage::Control(control) => {
                let config = control.connector_config.map(|body| body.config);
                config.is_some_and(|config| self.remember(SyncSide::Destination, config))
            }
            AirbyteMessage::Trace(trace) => {
                if let Some(error) = &trace.error {
                    tracing::error!("{}", error.message);
                }
                false
            }
            _ => false,
        }
    }

    async fn config(&mut self, change: ConfigChange, stop_source: &CancellationToken) {
        let side = change.side;
        if self.remember(side, change.config) && self.save(stop_source).await {
            (self.attempt.parts.on_event)(SyncEvent::ConfigSaved { side });
            // The source may have given up waiting.
            let _ = change.saved.send(());
        }
    }

    fn remember(&mut self, side: SyncSide, current: RawJson) -> bool {
        let (given, kept) = match side {
            SyncSide::Source => (self.attempt.source_config, &mut self.saved.source_config),
            SyncSide::Destination => (
                self.attempt.destination_config,
                &mut self.saved.destination_config,
            ),
        };
        let given = match kept.take() {
            Some(before) => before.given,
            None => RawJson::from(given.clone()),
        };
        *kept = Some(SavedConfig { given, current });
        true
    }

    /// Without its state a sync must not go on: it would repeat or lose records at the next run.
    async fn save(&mut self, stop_source: &CancellationToken) -> bool {
        let saved = self
            .attempt
            .store
            .save(&self.attempt.parts.connection, self.saved)
            .await;
        match saved {
            Ok(()) => true,
            Err(error) => {
                self.failure.get_or_insert(error);
                stop_source.cancel();
                false
            }
        }
    }
}
