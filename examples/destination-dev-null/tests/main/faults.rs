//! Fault scripts: what was done, and what the caller is told.

use std::time::Duration;

use airbyte_protocol::{FailureType, StreamDescriptor};
use cdk_core::StreamEnd;
use cdk_core::entrypoint::Exit;
use cdk_testkit::Ran;
use destination_dev_null::{DestinationDevNull, RecordedStream};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::harness::{a_small_sync, positions, write};

/// Runs the small sync under one fault of stream `a`.
async fn run(fault: Value) -> (Ran, RecordedStream) {
    let (destination, recorder) = DestinationDevNull::recording();
    let output = write(&destination, &script(&fault), &a_small_sync()).await;
    (output, recorder.stream(&StreamDescriptor::new("a")))
}

fn script(fault: &Value) -> Value {
    json!({"test_destination_type": "FAULTS", "faults": [fault]})
}

fn assert_failed(output: &Ran, kind: FailureType) {
    assert_eq!(output.exit, Exit::Failure);
    assert!(
        positions(output).is_empty(),
        "a state came back: {:?}",
        output.messages
    );
    let error = output.error();
    assert_eq!(error.failure_type, Some(kind));
    assert_eq!(error.stream_descriptor, Some(StreamDescriptor::new("a")));
    assert!(error.message.contains("`faults`"), "{}", error.message);
}

#[tokio::test]
async fn a_load_rejected_before_leaves_nothing_behind() {
    let fault = json!({"stream": "a", "operation": "load", "action": {"type": "reject_before"}});
    let (output, a) = run(fault).await;
    assert_failed(&output, FailureType::TransientError);
    assert!(a.loaded.is_empty() && a.commits == 0 && a.ends.is_empty());
}

#[tokio::test]
async fn a_load_that_fails_after_its_work_has_taken_the_rows() {
    let fault = json!({
        "stream": "a", "operation": "load", "action": {"type": "fail_after"},
        "failure_type": "system_error"
    });
    let (output, a) = run(fault).await;
    assert_failed(&output, FailureType::SystemError);
    assert!(!a.loaded.is_empty() && a.committed.is_empty());
}

#[tokio::test]
async fn a_commit_rejected_before_makes_nothing_durable() {
    let fault = json!({
        "stream": "a", "operation": "commit", "at": 1, "action": {"type": "reject_before"},
        "failure_type": "config_error"
    });
    let (output, a) = run(fault).await;
    assert_failed(&output, FailureType::ConfigError);
    assert_eq!((a.loaded.len(), a.committed.len(), a.commits), (10, 0, 0));
}

#[tokio::test]
async fn a_commit_that_fails_after_its_work_is_durable_but_gives_no_state_back() {
    let fault = json!({"stream": "a", "operation": "commit", "action": {"type": "fail_after"}});
    let (output, a) = run(fault).await;
    assert_failed(&output, FailureType::TransientError);
    assert_eq!((a.committed.len(), a.commits), (10, 1));
    assert!(a.ends.is_empty());
}

#[tokio::test]
async fn a_finish_that_fails_comes_after_the_state() {
    for (action, ends) in [
        ("reject_before", vec![]),
        ("fail_after", vec![StreamEnd::Complete]),
    ] {
        let fault = json!({"stream": "a", "operation": "finish", "action": {"type": action}});
        let (output, a) = run(fault).await;
        assert_eq!(output.exit, Exit::Failure);
        assert_eq!(positions(&output), [10]);
        assert_eq!((a.committed.len(), a.ends), (10, ends));
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_call_does_its_work_late() {
    let fault =
        json!({"stream": "a", "operation": "commit", "action": {"type": "slow", "millis": 3000}});
    let started = Instant::now();
    let (output, a) = run(fault).await;
    assert_eq!(output.exit, Exit::Success, "{:?}", output.messages);
    assert_eq!(a.committed.len(), 10);
    assert!(
        started.elapsed() >= Duration::from_secs(3),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_hanging_call_never_returns() {
    let fault = json!({"stream": "a", "operation": "load", "action": {"type": "hang"}});
    let hung = tokio::time::timeout(Duration::from_secs(3600), run(fault)).await;
    assert!(hung.is_err());
}

#[tokio::test]
async fn other_streams_go_on() {
    let (destination, recorder) = DestinationDevNull::recording();
    let fault = json!({"stream": "a", "operation": "load", "action": {"type": "reject_before"}});
    write(&destination, &script(&fault), &a_small_sync()).await;
    let b = recorder.stream(&StreamDescriptor::new("b"));
    assert_eq!((b.committed.len(), b.ends), (3, vec![StreamEnd::Complete]));
}

#[tokio::test]
async fn a_retry_in_the_same_process_does_not_meet_the_fault_again() {
    let (destination, recorder) = DestinationDevNull::recording();
    let kind = script(&json!({"operation": "commit", "action": {"type": "reject_before"}}));
    assert_eq!(
        write(&destination, &kind, &a_small_sync()).await.exit,
        Exit::Failure
    );
    let output = write(&destination, &kind, &a_small_sync()).await;
    assert_eq!(output.exit, Exit::Success, "{:?}", output.messages);
    let a = recorder.stream(&StreamDescriptor::new("a"));
    assert_eq!(
        (a.opened.len(), a.loaded.len(), a.committed.len()),
        (2, 20, 10)
    );
}
