//! Silent, logging, failing, throttled.

use std::time::Duration;

use airbyte_protocol::{DestinationSyncMode, FailureType, StreamDescriptor};
use cdk_core::entrypoint::Exit;
use destination_dev_null::DestinationDevNull;
use serde_json::json;
use tokio::time::Instant;

use crate::harness::{a_small_sync, complete, positions, records, write, write_as};

#[tokio::test]
async fn silent_takes_everything_in_every_mode_and_gives_states_back() {
    use DestinationSyncMode::*;
    let kind = json!({"test_destination_type": "SILENT"});
    for mode in [
        Append,
        Overwrite,
        AppendDedup,
        OverwriteDedup,
        Update,
        SoftDelete,
    ] {
        let output = write_as(&DestinationDevNull::new(), &kind, mode, &a_small_sync()).await;
        assert_eq!(output.exit, Exit::Success, "{mode}: {:?}", output.messages);
        assert_eq!(positions(&output), [10]);
        assert!(output.logs().is_empty(), "{:?}", output.logs());
    }
}

#[tokio::test]
async fn logging_logs_the_picked_records_of_each_stream() {
    let kind = json!({
        "test_destination_type": "LOGGING",
        "logging_config": {"logging_type": "EveryNth", "nth_entry_to_log": 3, "max_entry_count": 2}
    });
    let output = write(&DestinationDevNull::new(), &kind, &a_small_sync()).await;
    let mut logs = output.logs();
    logs.sort_unstable();
    let expected = [
        r#"Record 3 of stream a: {"id":3}"#,
        r#"Record 3 of stream b: {"id":3}"#,
        r#"Record 6 of stream a: {"id":6}"#,
    ];
    assert_eq!(logs, expected);
}

#[tokio::test]
async fn failing_fails_beyond_its_number_of_records_and_gives_no_state_back() {
    let kind = json!({"test_destination_type": "FAILING", "num_messages": 9});
    let (destination, recorder) = DestinationDevNull::recording();
    let output = write(&destination, &kind, &a_small_sync()).await;
    assert_eq!(output.exit, Exit::Failure);
    assert!(positions(&output).is_empty());
    assert_eq!(output.error().failure_type, Some(FailureType::ConfigError));
    assert!(
        output.error().message.contains("num_messages"),
        "{:?}",
        output.error()
    );
    assert!(
        recorder
            .stream(&StreamDescriptor::new("a"))
            .committed
            .is_empty()
    );
}

#[tokio::test]
async fn failing_takes_exactly_its_number_of_records() {
    let kind = json!({"test_destination_type": "FAILING", "num_messages": 13});
    let output = write(&DestinationDevNull::new(), &kind, &a_small_sync()).await;
    assert_eq!(output.exit, Exit::Success, "{:?}", output.messages);
}

#[tokio::test(start_paused = true)]
async fn throttled_takes_its_time_for_each_record() {
    let kind = json!({"test_destination_type": "THROTTLED", "millis_per_record": 200});
    let mut input = records("a", 1..=10);
    input.extend([complete("a"), complete("b")]);
    let started = Instant::now();
    let output = write(&DestinationDevNull::new(), &kind, &input).await;
    assert_eq!(output.exit, Exit::Success, "{:?}", output.messages);
    assert!(
        started.elapsed() >= Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
}
