//! Sources: the typed traits that authors implement, and the object-safe twins that hosts run.

mod checkpoint;
mod erased;
mod feed;
mod input_state;
mod lane;
mod mode;
mod read;
mod run;
mod settings;
mod sink;
mod stream;

pub use erased::{DynSource, ReadArgs};
pub use feed::{GlobalFeed, GlobalSink};
pub use input_state::InputState;
pub use settings::ReadSettings;
pub use sink::{RecordSink, RecordWriter};
pub use stream::{BoxedStream, Partitions, Stream, StreamRequest};

use std::future::Future;

use airbyte_protocol::{ConfiguredAirbyteCatalog, ConnectorSpecification};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::context::Context;
use crate::error::Result;
use crate::spec;

/// A source: a config, a way to check it, and streams.
///
/// Implementations hold no connection; one value may serve several runs at once. All methods are
/// called with a config that is valid against the spec.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a source",
    note = "implement `cdk_core::Source`: a `Config` type, `check` and `streams`"
)]
pub trait Source: Send + Sync + 'static {
    /// The connector's config. Its JSON schema is the connector's spec.
    type Config: DeserializeOwned + JsonSchema + Send + Sync + 'static;

    /// The specification. By default made from [`Source::Config`] by [`spec::of`].
    fn spec(&self) -> ConnectorSpecification {
        spec::of::<Self::Config>()
    }

    /// Brings older or friendlier spellings of a config to the shape of the spec, before it is validated.
    fn normalize_config(&self, config: Value) -> Value {
        config
    }

    /// Tries the config against the real system, within seconds.
    ///
    /// Called by `check`, never by `read`. An error becomes `FAILED` with the error's message.
    fn check(
        &self,
        config: &Self::Config,
        context: &Context,
    ) -> impl Future<Output = Result<()>> + Send;

    /// The streams the config gives access to, for `discover` and as the first step of `read`.
    ///
    /// Names (with namespace) must be unique. Streams that [`Source::global_feed`] reads are listed too.
    fn streams(
        &self,
        config: &Self::Config,
        context: &Context,
    ) -> impl Future<Output = Result<Vec<BoxedStream>>> + Send;

    /// The reader of streams that share one position (a change log), by default none.
    ///
    /// Called once at the start of `read`. Streams it names are read by it and not by [`Stream::read`]. When there is
    /// one, all states are GLOBAL, those of the other streams too: a sync must not mix kinds of states.
    fn global_feed(
        &self,
        _config: &Self::Config,
        _catalog: &ConfiguredAirbyteCatalog,
        _context: &Context,
    ) -> impl Future<Output = Result<Option<Box<dyn GlobalFeed>>>> + Send {
        async { Ok(None) }
    }

    /// How `read` runs: concurrency, checkpoint rhythm, batch sizes.
    fn read_settings(&self, _config: &Self::Config) -> ReadSettings {
        ReadSettings::default()
    }
}
