//! What the recorder of a test sees.

use airbyte_protocol::{DestinationSyncMode, StreamDescriptor};
use cdk_core::StreamEnd;
use destination_dev_null::{DestinationDevNull, RecordedRow};
use serde_json::json;

use crate::harness::{a_small_sync, complete, records, write, write_as};

#[tokio::test]
async fn rows_are_recorded_in_order_with_time_and_meta() {
    let (destination, recorder) = DestinationDevNull::recording();
    let mut input = records("a", 1..=2);
    input[1]["record"]["meta"] = json!({"changes": []});
    input.extend([complete("a"), complete("b")]);
    write(
        &destination,
        &json!({"test_destination_type": "SILENT"}),
        &input,
    )
    .await;
    let row = |id: i64, meta: Option<&str>| RecordedRow {
        data: json!({"id": id}).to_string(),
        emitted_at: 1,
        meta: meta.map(str::to_owned),
    };
    let a = recorder.stream(&StreamDescriptor::new("a"));
    assert_eq!(a.loaded, [row(1, None), row(2, Some(r#"{"changes":[]}"#))]);
    assert_eq!(a.committed, a.loaded);
    assert_eq!(a.ends, [StreamEnd::Complete]);
}

#[tokio::test]
async fn a_stream_without_an_end_is_recorded_as_incomplete() {
    let (destination, recorder) = DestinationDevNull::recording();
    let kind = json!({"test_destination_type": "SILENT"});
    write(&destination, &kind, &records("a", 1..=4)).await;
    let a = recorder.stream(&StreamDescriptor::new("a"));
    assert_eq!(
        (a.committed.len(), a.ends),
        (4, vec![StreamEnd::Incomplete])
    );
}

#[tokio::test]
async fn the_configured_streams_are_recorded_run_by_run() {
    let (destination, recorder) = DestinationDevNull::recording();
    let kind = json!({"test_destination_type": "SILENT"});
    let modes = [DestinationSyncMode::Append, DestinationSyncMode::Overwrite];
    for mode in modes {
        write_as(&destination, &kind, mode, &a_small_sync()).await;
    }
    let names: Vec<_> = recorder.streams().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["a", "b"]);
    let b = recorder.stream(&StreamDescriptor::new("b"));
    assert!(
        b.opened
            .iter()
            .map(|stream| stream.destination_sync_mode)
            .eq(modes)
    );
}

#[tokio::test]
async fn a_plain_destination_records_nothing() {
    let (_, recorder) = DestinationDevNull::recording();
    let kind = json!({"test_destination_type": "SILENT"});
    write(&DestinationDevNull::new(), &kind, &a_small_sync()).await;
    assert!(recorder.streams().is_empty());
}
