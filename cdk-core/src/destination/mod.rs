//! Destinations: the typed traits that authors implement, and the object-safe twins that hosts run.
//!
//! The smallest complete destination:
//!
#![doc = concat!("```no_run\n", include_str!("../../examples/smallest_destination.rs"), "```")]

pub mod columns;
mod erased;
pub mod generation;
mod ledger;
pub mod meta_columns;
pub mod names;
pub mod offload;
mod pipeline;

pub use erased::{DynDestination, StreamReport, WriteArgs, WriteReport};
pub use pipeline::WriteSettings;

use std::future::Future;

use airbyte_protocol::{ConfiguredAirbyteCatalog, ConnectorSpecification, DestinationSyncMode};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::batch::RecordBatch;
use crate::context::Context;
use crate::error::Result;
use crate::spec;

/// A destination: a config, a way to check it, and a loader per stream.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a destination",
    note = "implement `cdk_core::Destination`: `Config`, `Loader`, `capabilities`, `check` and `open`"
)]
pub trait Destination: Send + Sync + 'static {
    /// The connector's config. Its JSON schema is the connector's spec.
    type Config: DeserializeOwned + JsonSchema + Send + Sync + 'static;
    /// Loads one stream.
    type Loader: StreamLoader;

    /// What the destination can do. The runtime, the spec and the conformance suite read it.
    fn capabilities(&self) -> Capabilities;

    /// The specification. By default made from [`Destination::Config`] and the capabilities.
    fn spec(&self) -> ConnectorSpecification {
        let mut spec = spec::of::<Self::Config>();
        let mut modes = self.capabilities().sync_modes;
        // Known to the platform, but not a value of the protocol's schema.
        modes.retain(|mode| *mode != DestinationSyncMode::OverwriteDedup);
        spec.supported_destination_sync_modes = Some(modes);
        spec.supports_incremental = Some(true);
        spec
    }

    /// Brings older or friendlier spellings of a config to the shape of the spec, before it is validated.
    fn normalize_config(&self, config: Value) -> Value {
        config
    }

    /// Tries the config against the real system, writing and removing a probe where that is possible.
    ///
    /// Called by `check`, never by `write`. An error becomes `FAILED` with the error's message.
    fn check(
        &self,
        config: &Self::Config,
        context: &Context,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Connects, creates or alters what the streams need, and returns one loader per stream of the
    /// catalog, in its order.
    ///
    /// Called once per run, before the first record. Every stream's mode is among the capabilities.
    fn open(
        &self,
        config: &Self::Config,
        catalog: &ConfiguredAirbyteCatalog,
        context: &Context,
    ) -> impl Future<Output = Result<Vec<Self::Loader>>> + Send;

    /// How `write` runs: when it commits.
    fn write_settings(&self, _config: &Self::Config) -> WriteSettings {
        WriteSettings::default()
    }
}

/// What a destination can do. Made with [`Capabilities::new`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// The modes it accepts; a catalog with another one is refused before anything is touched.
    pub sync_modes: Vec<DestinationSyncMode>,
    /// An overwrite that was cut short can go on with the same `generation_id`: what was staged is
    /// kept, rows that come again are merged by the stream's primary key, and when the generation
    /// became visible just before the cut, the run goes on in what is visible.
    pub can_resume_overwrite: bool,
    /// It works on Arrow columns: sources in the same process that can make them are asked to. JSON rows
    /// may arrive all the same.
    pub prefers_arrow: bool,
}

impl Capabilities {
    /// A destination of these modes that starts interrupted overwrites again.
    pub fn new(sync_modes: impl Into<Vec<DestinationSyncMode>>) -> Self {
        Self {
            sync_modes: sync_modes.into(),
            can_resume_overwrite: false,
            prefers_arrow: false,
        }
    }

    /// It would rather have Arrow columns than JSON rows.
    #[must_use]
    pub fn with_arrow_preferred(mut self) -> Self {
        self.prefers_arrow = true;
        self
    }
}

/// Loads one stream. Loaders of different streams run in parallel.
pub trait StreamLoader: Send + 'static {
    /// Takes the next records of the stream, in order; may keep them in its own bounded buffers.
    ///
    /// After an error no further call is made and nothing of the stream counts as durable.
    fn load(&mut self, batch: RecordBatch) -> impl Future<Output = Result<()>> + Send;

    /// Makes everything loaded so far durable: when it returns, a crash of process or machine loses none
    /// of it, and the states that cover it are released.
    ///
    /// Called by size and time ([`WriteSettings`]) and before [`StreamLoader::finish`].
    fn commit(&mut self) -> impl Future<Output = Result<CommitStats>> + Send;

    /// Ends the stream after the last commit.
    ///
    /// [`StreamEnd::Complete`]: what was staged becomes visible, atomically, and older generations go as
    /// the stream's `minimum_generation_id` says. [`StreamEnd::Incomplete`]: what was visible before
    /// stays; what was staged stays aside for the next run of the same generation.
    fn finish(self, end: StreamEnd) -> impl Future<Output = Result<()>> + Send;
}

/// How a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamEnd {
    /// The source said COMPLETE: every record arrived.
    Complete,
    /// The source failed or was stopped, or never said how it ended.
    Incomplete,
}

/// What a commit made durable, since the previous commit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CommitStats {
    /// Records that were not written (sent to a dead letter queue, refused by the system).
    pub rejected_records: u64,
    /// Values that were nulled because the destination can't hold them.
    pub nulled_values: u64,
}
