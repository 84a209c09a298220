//! The lines are what the protocol's types read, and a run's accessors find them again.

use airbyte_protocol::{AirbyteStreamStatus, ConfiguredAirbyteCatalog, MessageType};
use cdk_core::entrypoint::Exit;
use cdk_testkit::{Ran, StreamSpec};
use serde_json::{Value, json};

fn users() -> StreamSpec {
    let mut users = StreamSpec::new("users", "append_dedup", json!({"id": {"type": "integer"}}));
    users.namespace = Some("shop".to_owned());
    users.key(&["id"]).cursor("id").generation(4, 3)
}

fn ran(messages: &[Value]) -> Ran {
    let lines: String = messages.iter().map(|line| format!("{line}\n")).collect();
    Ran::new(Exit::Success, lines)
}

#[test]
fn a_run_is_picked_apart_by_kind_and_stream() {
    let (users, other) = (users(), StreamSpec::new("other", "append", json!({})));
    let error = json!({"type": "TRACE", "trace": {"type": "ERROR", "emitted_at": 1,
        "error": {"message": "no", "failure_type": "config_error"}}});
    let ran = ran(&[
        users.record(5, json!({"id": 1})),
        other.record(5, json!({"id": 2})),
        users.state(1),
        other.state(2),
        users.status("INCOMPLETE"),
        other.complete(),
        error,
        json!({"type": "LOG", "log": {"level": "INFO", "message": "hello"}}),
        json!({"type": "CONNECTION_STATUS", "connectionStatus": {"status": "FAILED"}}),
    ]);
    assert_eq!(ran.data("users"), [json!({"id": 1})]);
    assert_eq!(ran.records("users")[0].namespace.as_deref(), Some("shop"));
    assert_eq!((ran.states().len(), ran.states_of("other").len()), (2, 1));
    assert_eq!(ran.statuses("users"), [AirbyteStreamStatus::Incomplete]);
    assert_eq!(ran.statuses("other"), [AirbyteStreamStatus::Complete]);
    assert_eq!(
        (ran.error().message.as_str(), ran.errors().len()),
        ("no", 1)
    );
    assert_eq!(ran.logs(), ["hello"]);
    assert_eq!(
        ran.printed(MessageType::ConnectionStatus),
        [json!({"status": "FAILED"})]
    );
}

#[test]
fn the_catalog_is_what_the_protocol_reads() {
    let catalog = StreamSpec::catalog(&[&users()]);
    let read: Result<ConfiguredAirbyteCatalog, _> = serde_json::from_value(catalog.clone());
    let read = read.map(|catalog| (json!(catalog), catalog));
    let (again, read) = read.expect("a configured catalog");
    assert_eq!(again, catalog);
    let users = &read.streams[0];
    assert_eq!(
        (users.generation_id, users.minimum_generation_id),
        (Some(4), Some(3))
    );
    assert!(read.streams.iter().all(|stream| stream.extra.is_empty()));
}

#[test]
#[should_panic(expected = "printed line is no message")]
fn a_line_that_is_no_message_fails_the_test() {
    Ran::new(Exit::Success, "{\"type\":\"RECORD\"}\n".to_owned());
}

#[test]
#[should_panic(expected = "no ERROR trace was printed")]
fn an_error_that_is_missing_fails_the_test() {
    ran(&[users().complete()]).error();
}
