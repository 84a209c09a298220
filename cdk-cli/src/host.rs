//! Calls to a connector outside a sync.

use std::sync::Arc;

use cdk_core::entrypoint::Connector;
use cdk_core::event;
use cdk_core::watchdog::Progress;
use cdk_core::{Context, MemoryBudget, Result, Secrets, SystemClock};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// Asks a connector in another process for its spec, and registers what the spec calls secret in `config`.
/// A built-in one does that by itself when it reads its config.
pub(crate) async fn learn_secrets(
    connector: &Connector,
    config: &Value,
    secrets: &Secrets,
    stop: &CancellationToken,
) -> Result<()> {
    // What it emits meanwhile is no part of its answer.
    let (events, _received) = event::channel(MemoryBudget::default(), Progress::default());
    let clock = Arc::new(SystemClock);
    let context = Context::with_host(events, clock, secrets.clone(), stop.clone());
    let spec = match connector {
        Connector::Source(source) => source.spec_dyn(&context).await?,
        Connector::Destination(destination) => destination.spec_dyn(&context).await?,
    };
    let spec = serde_json::to_value(&spec.connection_specification).unwrap_or_default();
    secrets.add_from_config(&spec, config);
    Ok(())
}
