//! How a sync is put together.

use std::sync::Arc;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::budget::MemoryBudget;
use crate::clock::{Clock, SystemClock};
use crate::destination::{DynDestination, WriteSettings};
use crate::error::{ConnectorError, Result};
use crate::secret::Secrets;
use crate::source::DynSource;
use crate::sync::event::SyncEvent;
use crate::sync::memory_store::MemoryStateStore;
use crate::sync::names::Namespace;
use crate::sync::report::{SyncError, SyncReport};
use crate::sync::run;
use crate::sync::selection::StreamSelection;
use crate::sync::state_store::StateStore;

type OnEvent = Arc<dyn Fn(SyncEvent) + Send + std::marker::Sync>;

/// Builds a [`Sync`].
pub struct SyncBuilder {
    source: Option<(Arc<dyn DynSource>, Value)>,
    destination: Option<(Arc<dyn DynDestination>, Value)>,
    store: Arc<dyn StateStore>,
    parts: Parts,
}

/// What both builder and sync carry.
#[derive(Clone)]
pub(super) struct Parts {
    pub(super) connection: String,
    pub(super) selections: Vec<StreamSelection>,
    pub(super) namespace: Namespace,
    pub(super) prefix: String,
    pub(super) budget_bytes: usize,
    pub(super) write_settings: Option<WriteSettings>,
    pub(super) max_attempts: u32,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) stop: CancellationToken,
    pub(super) secrets: Secrets,
    pub(super) on_event: OnEvent,
}

/// A source joined to a destination, ready to run. See the [module](crate::sync).
pub struct Sync {
    pub(super) source: Arc<dyn DynSource>,
    pub(super) source_config: Value,
    pub(super) destination: Arc<dyn DynDestination>,
    pub(super) destination_config: Value,
    pub(super) store: Arc<dyn StateStore>,
    pub(super) parts: Parts,
}

impl Sync {
    /// Starts building; a source and a destination are required, the rest has defaults.
    pub fn builder() -> SyncBuilder {
        SyncBuilder {
            source: None,
            destination: None,
            store: Arc::new(MemoryStateStore::default()),
            parts: Parts {
                connection: "default".to_owned(),
                selections: Vec::new(),
                namespace: Namespace::default(),
                prefix: String::new(),
                budget_bytes: MemoryBudget::DEFAULT_BYTES,
                write_settings: None,
                max_attempts: 3,
                clock: Arc::new(SystemClock),
                stop: CancellationToken::new(),
                secrets: Secrets::default(),
                on_event: Arc::new(|_| {}),
            },
        }
    }

    /// Tries both configs against the real systems, source first.
    pub async fn check(&self) -> Result<()> {
        run::check(self).await
    }

    /// Runs the sync to its end: all attempts, until every stream is complete or nothing more can be done.
    ///
    /// What was committed before an error stays committed, and its state saved: the next run goes on there.
    pub async fn run(&self) -> Result<SyncReport, SyncError> {
        run::run(self).await
    }
}

impl SyncBuilder {
    /// Sets the source and its config.
    #[must_use]
    pub fn source(self, source: impl DynSource + 'static, config: Value) -> Self {
        self.shared_source(Arc::new(source), config)
    }

    /// The same for a source whose type is not known here.
    #[must_use]
    pub fn shared_source(mut self, source: Arc<dyn DynSource>, config: Value) -> Self {
        self.source = Some((source, config));
        self
    }

    /// Sets the destination and its config.
    #[must_use]
    pub fn destination(self, destination: impl DynDestination + 'static, config: Value) -> Self {
        self.shared_destination(Arc::new(destination), config)
    }

    /// The same for a destination whose type is not known here.
    #[must_use]
    pub fn shared_destination(
        mut self,
        destination: Arc<dyn DynDestination>,
        config: Value,
    ) -> Self {
        self.destination = Some((destination, config));
        self
    }

    /// Sets the connection's name, under which its state is kept. Default: `default`.
    #[must_use]
    pub fn connection(mut self, name: impl Into<String>) -> Self {
        self.parts.connection = name.into();
        self
    }

    /// Sets where state is kept. Default: in memory, so that every run starts from nothing.
    #[must_use]
    pub fn state_store(mut self, store: impl StateStore + 'static) -> Self {
        self.store = Arc::new(store);
        self
    }

    /// Adds a stream. Without any, all streams of the source are synced in their default mode.
    #[must_use]
    pub fn stream(mut self, selection: StreamSelection) -> Self {
        self.parts.selections.push(selection);
        self
    }

    /// Sets the namespaces at the destination. Default: the destination's own.
    #[must_use]
    pub fn namespace(mut self, namespace: Namespace) -> Self {
        self.parts.namespace = namespace;
        self
    }

    /// Puts a prefix before every stream name at the destination.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.parts.prefix = prefix.into();
        self
    }

    /// Sets how many bytes of records may be queued. Default: 64 MiB.
    #[must_use]
    pub fn memory_budget(mut self, bytes: usize) -> Self {
        self.parts.budget_bytes = bytes;
        self
    }

    /// Sets when the destination commits: what came after the last commit is read again after a crash.
    /// Default: as the destination sees fit.
    #[must_use]
    pub fn write_settings(mut self, settings: WriteSettings) -> Self {
        self.parts.write_settings = Some(settings);
        self
    }

    /// Sets how often a sync with transient failures is tried in all. Default: 3.
    #[must_use]
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.parts.max_attempts = attempts.max(1);
        self
    }

    /// Sets the clock. Default: the system's.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.parts.clock = Arc::new(clock);
        self
    }

    /// Sets the token that ends the sync in order when it is cancelled.
    #[must_use]
    pub fn stop(mut self, stop: CancellationToken) -> Self {
        self.parts.stop = stop;
        self
    }

    /// Shares the known secrets with the host, e.g. to mask its own logs.
    #[must_use]
    pub fn secrets(mut self, secrets: Secrets) -> Self {
        self.parts.secrets = secrets;
        self
    }

    /// Calls `on_event` with every [`SyncEvent`], in order per stream. It must not block.
    #[must_use]
    pub fn on_event(
        mut self,
        on_event: impl Fn(SyncEvent) + Send + std::marker::Sync + 'static,
    ) -> Self {
        self.parts.on_event = Arc::new(on_event);
        self
    }

    /// The sync. A missing source or destination is a config error.
    pub fn build(self) -> Result<Sync> {
        let missing = |what| ConnectorError::config(format!("A sync needs a {what}."));
        let (source, source_config) = self.source.ok_or_else(|| missing("source"))?;
        let (destination, destination_config) =
            self.destination.ok_or_else(|| missing("destination"))?;
        Ok(Sync {
            source,
            source_config,
            destination,
            destination_config,
            store: self.store,
            parts: self.parts,
        })
    }
}

impl std::fmt::Debug for SyncBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SyncBuilder")
            .field("connection", &self.parts.connection)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Sync {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sync")
            .field("connection", &self.parts.connection)
            .finish_non_exhaustive()
    }
}
