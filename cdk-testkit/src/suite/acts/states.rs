//! States as a platform keeps them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::streams::fill;
use crate::suite::observed::Observed;
use crate::suite::rule::list;

/// The states a platform holds when it has read the lines of a run up to number `until`: the last one of each
/// stream, or the last GLOBAL one.
pub(super) fn states_before(run: &Observed, until: usize) -> Vec<Value> {
    let mut global = None;
    let mut streams = BTreeMap::new();
    for (_, state) in run.states().filter(|(line, _)| line.number <= until) {
        match state["type"].as_str() {
            Some("STREAM") => {
                streams.insert(
                    name_of(&state["stream"]["stream_descriptor"]),
                    state.clone(),
                );
            }
            _ => global = Some(state.clone()),
        }
    }
    global.into_iter().chain(streams.into_values()).collect()
}

/// For each stream, the last line of a run up to number `until` whose state covers it.
pub(in crate::suite) fn covered(run: &Observed, until: usize) -> BTreeMap<(String, String), usize> {
    let mut covered = BTreeMap::new();
    for (line, state) in run.states().filter(|(line, _)| line.number <= until) {
        if state["type"] == "GLOBAL" {
            for stream in list(&state["global"]["stream_states"]) {
                covered.insert(name_of(&stream["stream_descriptor"]), line.number);
            }
        } else {
            covered.insert(name_of(&state["stream"]["stream_descriptor"]), line.number);
        }
    }
    covered
}

/// Namespace and name of a descriptor.
fn name_of(descriptor: &Value) -> (String, String) {
    let text = |field: &str| descriptor[field].as_str().unwrap_or_default().to_owned();
    (text("namespace"), text("name"))
}

/// The same states as a Python client writes them: absent fields as null, and a key that is none of the protocol's.
pub(super) fn with_nulls(mut states: Vec<Value>) -> Value {
    for state in &mut states {
        if let Some(fields) = state.as_object_mut() {
            let absent = [
                "stream",
                "global_",
                "data",
                "sourceStats",
                "destinationStats",
            ];
            fill(fields, &absent);
        }
        let descriptor = state.pointer_mut("/stream/stream_descriptor");
        if let Some(fields) = descriptor.and_then(Value::as_object_mut) {
            fill(fields, &["namespace"]);
        }
    }
    Value::Array(states)
}

/// The same states behind the state of a stream that is gone, and behind older states of their own streams.
pub(super) fn with_foreign(older: Vec<Value>, latest: Vec<Value>) -> Value {
    let gone = json!({"type": "STREAM", "stream": {
        "stream_descriptor": {"name": "conformance_gone"}, "stream_state": {"any": 1}}});
    let is_stream = |state: &Value| state["type"] == "STREAM";
    if latest.iter().all(is_stream) {
        let older = older.into_iter().filter(is_stream);
        return std::iter::once(gone).chain(older).chain(latest).collect();
    }
    // Beside a GLOBAL state there is no place for others.
    Value::Array(latest)
}
