//! Calls to a connector outside a sync.

use std::sync::Arc;

use airbyte_protocol::{AirbyteCatalog, ConnectorSpecification};
use cdk_core::config::secrets_of;
use cdk_core::entrypoint::Connector;
use cdk_core::event;
use cdk_core::watchdog::Progress;
use cdk_core::{
    Context, DynSource, MemoryBudget, ReadArgs, Result, Secrets, SystemClock, async_trait,
};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// A source in another process that tells its host, whoever that is, which texts are secret: its own log
/// lines pass through the host.
pub(crate) struct Discreet {
    inner: Arc<dyn DynSource>,
    found: Vec<String>,
    schema: Value,
    config: Value,
}

impl Discreet {
    fn tell(&self, context: &Context) {
        self.found
            .iter()
            .for_each(|secret| context.secrets().add(secret));
        context
            .secrets()
            .add_all(secrets_of(&self.schema, &self.config));
    }
}

#[async_trait]
impl DynSource for Discreet {
    async fn spec_dyn(&self, context: &Context) -> Result<ConnectorSpecification> {
        self.tell(context);
        self.inner.spec_dyn(context).await
    }

    async fn check_dyn(&self, config: &Value, context: &Context) -> Result<()> {
        self.tell(context);
        self.inner.check_dyn(config, context).await
    }

    async fn discover_dyn(&self, config: &Value, context: &Context) -> Result<AirbyteCatalog> {
        self.tell(context);
        self.inner.discover_dyn(config, context).await
    }

    async fn read_dyn(&self, args: ReadArgs, context: &Context) -> Result<()> {
        self.tell(context);
        self.inner.read_dyn(args, context).await
    }
}

/// Makes a connector [`Discreet`]: secret are the texts `found` by resolving references, and what
/// `schema`, its spec's, calls secret in `config`.
pub(crate) fn discreet(
    connector: Connector,
    schema: Value,
    config: Value,
    found: Vec<String>,
) -> Connector {
    match connector {
        Connector::Source(inner) => Connector::Source(Arc::new(Discreet {
            inner,
            found,
            schema,
            config,
        })),
        // Any process runs as a source here: the verbs of this program have no `write`.
        Connector::Destination(_) => connector,
    }
}

/// What a call is made in: `secrets` are shared with it, `stop` ends it. What it emits can be received.
pub(crate) fn context(
    secrets: &Secrets,
    stop: &CancellationToken,
) -> (Context, event::EventReceiver) {
    let (events, received) = event::channel(MemoryBudget::default(), Progress::default());
    let clock = Arc::new(SystemClock);
    let context = Context::with_host(events, clock, secrets.clone(), stop.clone());
    (context, received)
}

/// Asks a connector in another process for its spec, and registers what the spec calls secret in `config`.
/// A built-in one does that by itself when it reads its config. Returns the spec's schema.
pub(crate) async fn learn_secrets(
    connector: &Connector,
    config: &Value,
    secrets: &Secrets,
    stop: &CancellationToken,
) -> Result<Value> {
    // What it emits meanwhile is no part of its answer.
    let (context, _received) = context(secrets, stop);
    let spec = match connector {
        Connector::Source(source) => source.spec_dyn(&context).await?,
        Connector::Destination(destination) => destination.spec_dyn(&context).await?,
    };
    let spec = serde_json::to_value(&spec.connection_specification).unwrap_or_default();
    secrets.add_all(secrets_of(&spec, config));
    Ok(spec)
}
