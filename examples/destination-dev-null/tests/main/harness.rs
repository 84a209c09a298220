//! Runs the destination over two streams, `a` and `b`.

use std::ops::RangeInclusive;

use airbyte_protocol::DestinationSyncMode;
use cdk_testkit::{Files, Ran, Run, StreamSpec};
use destination_dev_null::DestinationDevNull;
use serde_json::{Value, json};

fn spec_of(stream: &str) -> StreamSpec {
    StreamSpec::new(stream, "append", json!({}))
}

/// Writes `input` to streams `a` and `b`, as the `test_destination` of `kind`.
pub(crate) async fn write(destination: &DestinationDevNull, kind: &Value, input: &[Value]) -> Ran {
    write_as(destination, kind, DestinationSyncMode::Append, input).await
}

pub(crate) async fn write_as(
    destination: &DestinationDevNull,
    kind: &Value,
    mode: DestinationSyncMode,
    input: &[Value],
) -> Ran {
    let mode = mode.to_string();
    let [a, b] = ["a", "b"].map(|name| StreamSpec::new(name, &mode, json!({})).key(&["id"]));
    let files = Files::new();
    Run::new("write")
        .file(&files, "config", &json!({"test_destination": kind}))
        .file(&files, "catalog", &StreamSpec::catalog(&[&a, &b]))
        .messages(input)
        .destination(destination.clone())
        .await
}

/// Records `{"id": from}` up to `{"id": to}`.
pub(crate) fn records(stream: &str, ids: RangeInclusive<i64>) -> Vec<Value> {
    let stream = spec_of(stream);
    ids.map(|id| stream.record(1, json!({"id": id}))).collect()
}

pub(crate) fn complete(stream: &str) -> Value {
    spec_of(stream).complete()
}

/// Ten records, a state, and the end of both streams.
pub(crate) fn a_small_sync() -> Vec<Value> {
    let mut input = records("a", 1..=10);
    input.push(spec_of("a").state(10));
    input.extend(records("b", 1..=3));
    input.extend([complete("a"), complete("b")]);
    input
}

/// The ids of the states that came back.
pub(crate) fn positions(ran: &Ran) -> Vec<i64> {
    let states = ran.states().into_iter().filter_map(|state| {
        let state = state.stream.as_ref()?.stream_state.as_ref()?;
        Some(state.parse_as::<Value>().unwrap())
    });
    states.map(|state| state["id"].as_i64().unwrap()).collect()
}
