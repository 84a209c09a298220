//! Reads events of the log and saves states.

use std::time::Instant;

use airbyte_protocol::RawJson;
use cdk_core::{ConnectorError, ErrorContext, GlobalSink, Result};

use super::applier::Applier;
use super::feed::CdcOptions;
use super::lost::is_lost;
use super::position::Position;
use crate::error::{Place, explain};
use crate::wire::{Connection, Failure};

/// Records between two states while the log is read, at most.
const LOG_CHECKPOINT_RECORDS: u64 = 100_000;

/// Why following the log ended.
pub(super) enum LogError {
    /// The server does not have the log from there on.
    Lost(Failure),
    Other(ConnectorError),
}

impl From<Failure> for LogError {
    fn from(failure: Failure) -> Self {
        match is_lost(&failure) {
            true => Self::Lost(failure),
            false => Self::Other(at_log(failure)),
        }
    }
}

impl From<ConnectorError> for LogError {
    fn from(error: ConnectorError) -> Self {
        Self::Other(error)
    }
}

/// Reads events and saves states.
pub(super) struct LogReader<'a> {
    pub(super) applier: &'a mut Applier,
    pub(super) sink: &'a GlobalSink,
    pub(super) options: &'a CdcOptions,
    pub(super) saved_at: Instant,
    /// Records up to the last state.
    pub(super) saved: u64,
}

impl LogReader<'_> {
    /// Reads to `target`, or for ever when following.
    pub(super) async fn read(
        &mut self,
        connection: &mut Connection,
        target: &Position,
    ) -> Result<(), LogError> {
        if !self.options.is_following && self.applier.has_reached(target) {
            return Ok(());
        }
        let stop = self.sink.context().stop().clone();
        loop {
            let event = tokio::select! {
                biased;
                () = stop.cancelled() => {
                    self.save().await?;
                    return Err(ConnectorError::stopped().into());
                }
                event = connection.next_event() => event,
            };
            let event = match event {
                Ok(Some(event)) => event,
                Ok(None) => return Ok(()),
                Err(failure) => return Err(failure.into()),
            };
            self.applier.apply(event).await?;
            if self.applier.is_between_transactions() {
                if !self.options.is_following && self.applier.has_reached(target) {
                    return Ok(());
                }
                self.save_if_due().await?;
            }
        }
    }

    async fn save_if_due(&mut self) -> Result<()> {
        let is_due = self.applier.records - self.saved >= LOG_CHECKPOINT_RECORDS
            || self.saved_at.elapsed() >= self.options.checkpoint_interval;
        match is_due {
            true => self.save().await,
            false => Ok(()),
        }
    }

    /// Emits a state: everything before the last transaction's end was emitted.
    pub(super) async fn save(&mut self) -> Result<()> {
        let shared = raw(&self.applier.log())?;
        let mut streams = Vec::new();
        for (descriptor, state) in self.applier.changed_states() {
            streams.push((descriptor, raw(state)?));
        }
        self.saved_at = Instant::now();
        self.saved = self.applier.records;
        self.sink.checkpoint(Some(shared), streams).await
    }
}

pub(super) fn at_log(failure: Failure) -> ConnectorError {
    explain(failure, &Place::Log)
}

pub(super) fn raw(state: &impl serde::Serialize) -> Result<RawJson> {
    RawJson::from_serialize(state).system_error("The state could not be written as JSON.")
}
