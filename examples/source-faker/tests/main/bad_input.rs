//! What a user can get wrong: who has to act, and what the message says.

use airbyte_protocol::{AirbyteStateMessage, FailureType, RawJson, StreamDescriptor, SyncMode};
use cdk_core::entrypoint::Exit;
use serde_json::{Value, json};

use crate::harness::{NOW_MS, try_read};

/// Reads users after `state`: the read must fail. Returns the stream's error.
async fn failure(state: Value) -> (FailureType, String) {
    let state =
        AirbyteStateMessage::stream(StreamDescriptor::new("users"), Some(RawJson::from(state)));
    let output = try_read(
        SyncMode::Incremental,
        &["users"],
        &json!({"count": 5, "seed": 8}),
        &[state],
        NOW_MS,
    )
    .await;
    assert_eq!(output.exit, Exit::Failure);
    assert!(output.data("users").is_empty());
    let error = output.error();
    assert_eq!(
        error.stream_descriptor,
        Some(StreamDescriptor::new("users"))
    );
    (error.failure_type.unwrap(), error.message.clone())
}

#[tokio::test]
async fn a_state_of_another_seed_is_a_config_error_that_says_what_to_do() {
    let (kind, message) =
        failure(json!({"updated_at": "2020-01-01T00:00:00.000Z", "id": 1, "seed": 7})).await;
    assert_eq!(kind, FailureType::ConfigError);
    assert!(
        message.contains("seed 7") && message.contains("reset the stream"),
        "{message}"
    );
}

#[tokio::test]
async fn a_foreign_state_is_a_config_error_that_says_what_to_do() {
    for state in [
        json!({"cursor": 17}),
        json!({"updated_at": "yesterday", "id": 1, "seed": 8}),
        json!({"updated_at": "2020-01-01T00:00:00.000Z", "id": "1", "seed": 8}),
    ] {
        let (kind, message) = failure(state).await;
        assert_eq!(kind, FailureType::ConfigError);
        assert!(message.contains("Reset the stream"), "{message}");
    }
}
