//! The object-safe twin of a destination: what the entry point and the sync engine run.

use std::time::Duration;

use airbyte_protocol::{ConfiguredAirbyteCatalog, ConnectorSpecification, StreamDescriptor};
use async_trait::async_trait;
use serde_json::Value;

use crate::config;
use crate::context::Context;
use crate::destination::{Capabilities, Destination, StreamEnd, WriteSettings, pipeline};
use crate::error::{ConnectorError, Result};
use crate::event::EventReceiver;

/// Any destination, native or in another process, by the verbs of the protocol. Every [`Destination`] is one.
#[async_trait]
pub trait DynDestination: Send + Sync {
    /// The connector's specification.
    async fn spec_dyn(&self, context: &Context) -> Result<ConnectorSpecification>;

    /// What the destination can do.
    async fn capabilities_dyn(&self, context: &Context) -> Result<Capabilities>;

    /// Tries the config against the real system.
    async fn check_dyn(&self, config: &Value, context: &Context) -> Result<()>;

    /// Loads everything that `events` brings, in order, until it ends.
    ///
    /// Emits each state through `context` once all earlier records of its stream are durable. A failing
    /// stream is reported in an ERROR trace and does not stop the others; it is listed in the report.
    async fn write_dyn(
        &self,
        args: WriteArgs,
        events: EventReceiver,
        context: &Context,
    ) -> Result<WriteReport>;
}

/// What `write` is asked for.
#[derive(Debug, Clone)]
pub struct WriteArgs {
    /// The connector's config.
    pub config: Value,
    /// The streams to load, and how.
    pub catalog: ConfiguredAirbyteCatalog,
    /// When to commit, instead of the destination's own rhythm. Destinations in other processes keep theirs.
    pub settings: Option<WriteSettings>,
}

/// What a `write` did, stream by stream in the order of the catalog.
#[derive(Debug, Default)]
pub struct WriteReport {
    /// The streams that were loaded, whether complete or not.
    pub streams: Vec<StreamReport>,
    /// The streams that failed at the destination; each was reported in an ERROR trace already.
    pub failures: Vec<ConnectorError>,
}

impl WriteReport {
    /// The report of a run without failures, or one error that names all of them.
    pub fn into_result(self) -> Result<Self> {
        let Some(first) = self.failures.first() else {
            return Ok(self);
        };
        let list: Vec<_> = self
            .failures
            .iter()
            .map(|error| match error.stream() {
                Some(stream) => format!("{stream}: {error}"),
                None => error.to_string(),
            })
            .collect();
        let text = format!("These streams could not be written. {}", list.join(" | "));
        Err(ConnectorError::new(first.failure_type(), text).with_retry(first.retry()))
    }
}

/// What a `write` did for one stream.
#[derive(Debug, Clone)]
pub struct StreamReport {
    /// The stream, under its name at the destination.
    pub stream: StreamDescriptor,
    /// How it ended.
    pub end: StreamEnd,
    /// Records made durable.
    pub records: u64,
    /// Bytes of record data made durable.
    pub bytes: u64,
    /// Records rejected.
    pub rejected_records: u64,
    /// Time the loader worked.
    pub busy: Duration,
    /// Time the loader waited for records.
    pub idle: Duration,
}

#[async_trait]
impl<D: Destination> DynDestination for D {
    async fn spec_dyn(&self, _: &Context) -> Result<ConnectorSpecification> {
        Ok(self.spec())
    }

    async fn capabilities_dyn(&self, _: &Context) -> Result<Capabilities> {
        Ok(self.capabilities())
    }

    async fn check_dyn(&self, config: &Value, context: &Context) -> Result<()> {
        let config = parse_config(self, config, context)?;
        self.check(&config, context).await
    }

    async fn write_dyn(
        &self,
        args: WriteArgs,
        events: EventReceiver,
        context: &Context,
    ) -> Result<WriteReport> {
        let config = parse_config(self, &args.config, context)?;
        let settings = args
            .settings
            .unwrap_or_else(|| self.write_settings(&config));
        pipeline::run(self, &config, &args.catalog, settings, events, context).await
    }
}

fn parse_config<D: Destination>(
    destination: &D,
    config: &Value,
    context: &Context,
) -> Result<D::Config> {
    let config = destination.normalize_config(config.clone());
    config::parse(&destination.spec(), &config, context.secrets())
}
