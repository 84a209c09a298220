//! Runs the source in process, the way its `main` does.

use airbyte_protocol::{
    AirbyteCatalog, AirbyteStateMessage, ConfiguredAirbyteCatalog, ConfiguredAirbyteStream,
    DestinationSyncMode, SyncMode,
};
use cdk_testkit::{Files, Ran, Run};
use serde_json::{Value, json};
use source_faker::SourceFaker;

/// When every test run takes place, in milliseconds since the Unix epoch.
pub(crate) const NOW_MS: i64 = 1_750_000_000_123;

/// Reads `streams` (all of them if there are none) after `state`; the run must succeed.
pub(crate) async fn read(
    mode: SyncMode,
    streams: &[&str],
    config: &Value,
    state: &[AirbyteStateMessage],
) -> Ran {
    let ran = try_read(mode, streams, config, state, NOW_MS).await;
    ran.succeeded()
}

/// Reads at a chosen time, whatever comes of it.
pub(crate) async fn try_read(
    mode: SyncMode,
    streams: &[&str],
    config: &Value,
    state: &[AirbyteStateMessage],
    now_ms: i64,
) -> Ran {
    let catalog = discover(config).await.streams.into_iter();
    let wanted = catalog.filter(|stream| streams.is_empty() || streams.contains(&&*stream.name));
    let configured = wanted
        .map(|stream| ConfiguredAirbyteStream::new(stream, mode, DestinationSyncMode::Append));
    let catalog = json!(ConfiguredAirbyteCatalog::new(configured.collect()));
    let files = Files::new();
    Run::new("read")
        .at(now_ms)
        .file(&files, "config", config)
        .file(&files, "catalog", &catalog)
        .file(&files, "state", &json!(state))
        .source(SourceFaker)
        .await
}

pub(crate) async fn check(config: &Value) -> Ran {
    with_config("check", config).await
}

pub(crate) async fn discover(config: &Value) -> AirbyteCatalog {
    with_config("discover", config).await.catalog().clone()
}

async fn with_config(verb: &str, config: &Value) -> Ran {
    let files = Files::new();
    let run = Run::new(verb).at(NOW_MS).file(&files, "config", config);
    run.source(SourceFaker).await
}

/// The records of a stream by id.
pub(crate) fn sorted(ran: &Ran, stream: &str) -> Vec<Value> {
    let mut records = ran.data(stream);
    records.sort_by_key(id);
    records
}

/// The ids of a stream's records, sorted.
pub(crate) fn ids(ran: &Ran, stream: &str) -> Vec<i64> {
    sorted(ran, stream).iter().map(id).collect()
}

/// The states of a stream.
pub(crate) fn states(ran: &Ran, stream: &str) -> Vec<AirbyteStateMessage> {
    ran.states_of(stream).into_iter().cloned().collect()
}

pub(crate) fn name_of(state: &AirbyteStateMessage) -> &str {
    &state.stream.as_ref().unwrap().stream_descriptor.name
}

/// The state itself.
pub(crate) fn blob(state: &AirbyteStateMessage) -> Value {
    state
        .stream
        .as_ref()
        .unwrap()
        .stream_state
        .as_ref()
        .unwrap()
        .parse_as()
        .unwrap()
}

pub(crate) fn id(record: &Value) -> i64 {
    record["id"].as_i64().unwrap()
}
