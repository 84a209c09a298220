//! Protocol lines as a platform writes them to a destination, and a run of `write` over them.

use std::io::Cursor;
use std::sync::Arc;

use airbyte_protocol::ConfiguredAirbyteCatalog;
use cdk_core::Destination;
use cdk_core::entrypoint::{Connector, Invocation};
use serde_json::{Value, json};

use crate::support::run::{Files, Ran, args, run_with};

pub(crate) fn record(stream: &str, id: u64) -> String {
    let data = json!({"id": id});
    json!({"type": "RECORD", "record": {"stream": stream, "data": data, "emitted_at": 1}})
        .to_string()
}

/// A state that covers the ids below `next`.
pub(crate) fn state(stream: &str, next: u64) -> String {
    let state = json!({"stream_descriptor": {"name": stream}, "stream_state": {"next": next}});
    json!({"type": "STATE", "state": {"type": "STREAM", "stream": state}}).to_string()
}

pub(crate) fn status(stream: &str, status: &str) -> String {
    let status = json!({"stream_descriptor": {"name": stream}, "status": status});
    let trace = json!({"type": "STREAM_STATUS", "emitted_at": 1, "stream_status": status});
    json!({"type": "TRACE", "trace": trace}).to_string()
}

/// Runs `write` over `stdin` to its end.
pub(crate) async fn write(
    destination: impl Destination,
    catalog: &ConfiguredAirbyteCatalog,
    stdin: impl Into<Vec<u8>>,
) -> Ran {
    let catalog = serde_json::to_value(catalog).unwrap();
    let stdin = Cursor::new(stdin.into());
    write_with(destination, &catalog, |call| call.stdin = Box::new(stdin)).await
}

/// The same with the catalog's JSON and a changed invocation.
pub(crate) async fn write_with(
    destination: impl Destination,
    catalog: &Value,
    change: impl FnOnce(&mut Invocation),
) -> Ran {
    let files = Files::new();
    let mut arguments = args(["write", "--config"]);
    arguments.push(files.write("config.json", "{}").into());
    arguments.push("--catalog".into());
    arguments.push(files.write("catalog.json", catalog).into());
    run_with(
        Connector::Destination(Arc::new(destination)),
        arguments,
        change,
    )
    .await
}
