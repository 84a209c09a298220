//! The sync modes, judged by queries.

mod support;

use airbyte_protocol::{FailureType, MessageType};
use cdk_testkit::StreamSpec;
use serde_json::{Value, json};
use support::Warehouse;

fn users(mode: &'static str) -> StreamSpec {
    let properties = json!({"id": {"type": "integer"}, "name": {"type": ["null", "string"]},
        "updated_at": {"type": "string", "format": "date-time"}});
    StreamSpec::new("users", mode, properties).key(&["id"])
}

fn user(stream: &StreamSpec, at: i64, id: i64, name: &str, updated_at: &str) -> Value {
    stream.record(
        at,
        json!({"id": id, "name": name, "updated_at": updated_at}),
    )
}

const ALL: &str = "SELECT id, name FROM users ORDER BY id, name";

#[tokio::test]
async fn append_adds_rows_with_metadata_and_gives_states_back_after_commit() {
    let warehouse = Warehouse::new();
    let stream = users("append").generation(3, 0);
    let messages = [
        user(&stream, 1_700_000_000_123, 1, "a", "2024-01-01T00:00:00Z"),
        stream.state(1),
        user(&stream, 1_700_000_000_124, 1, "b", "2024-01-02T00:00:00Z"),
        stream.state(2),
        stream.complete(),
    ];
    let output = warehouse.write(&[&stream], &messages).await.succeeded();
    let states = output.printed(MessageType::State);
    let ids: Vec<_> = states
        .iter()
        .map(|state| &state["stream"]["stream_state"]["id"])
        .collect();
    assert_eq!(ids, [1, 2]);
    assert_eq!(states[0]["destinationStats"]["recordCount"], 1.0);
    let rows = warehouse.query(
        "SELECT id, name, updated_at, _airbyte_extracted_at, _airbyte_meta, _airbyte_generation_id, \
         length(_airbyte_raw_id), substr(_airbyte_raw_id, 15, 1) FROM users ORDER BY _airbyte_raw_id",
    );
    let meta = r#"'{"sync_id":7,"changes":[]}'"#;
    let expected = [
        format!("1, 'a', '2024-01-01T00:00:00Z', '2023-11-14T22:13:20.123Z', {meta}, 3, 36, '7'"),
        format!("1, 'b', '2024-01-02T00:00:00Z', '2023-11-14T22:13:20.124Z', {meta}, 3, 36, '7'"),
    ];
    assert_eq!(rows, expected);
    warehouse
        .write(&[&stream], &messages[..1])
        .await
        .succeeded();
    assert_eq!(warehouse.query(ALL), ["1, 'a'", "1, 'a'", "1, 'b'"]);
}

#[tokio::test]
async fn overwrite_replaces_rows_only_when_the_stream_is_complete() {
    let warehouse = Warehouse::new();
    let stream = users("overwrite");
    let first = [user(&stream, 1, 1, "old", ""), stream.complete()];
    warehouse.write(&[&stream], &first).await.succeeded();
    for ending in [None, Some(stream.status("INCOMPLETE"))] {
        let mut messages = vec![user(&stream, 2, 2, "new", ""), stream.state(1)];
        messages.extend(ending);
        let output = warehouse.write(&[&stream], &messages).await;
        assert_eq!(output.exit.code(), 1);
        assert_eq!(
            output.error().failure_type,
            Some(FailureType::TransientError)
        );
        assert_eq!(warehouse.query(ALL), ["1, 'old'"]);
        assert_eq!(warehouse.leftovers(), [""; 0]);
    }
    let messages = [user(&stream, 2, 2, "new", ""), stream.complete()];
    warehouse.write(&[&stream], &messages).await.succeeded();
    assert_eq!(warehouse.query(ALL), ["2, 'new'"]);
    assert_eq!(warehouse.leftovers(), [""; 0]);
}

#[tokio::test]
async fn an_overwrite_without_records_leaves_an_empty_table() {
    let warehouse = Warehouse::new();
    let stream = users("overwrite");
    let first = [user(&stream, 1, 1, "old", ""), stream.complete()];
    warehouse.write(&[&stream], &first).await.succeeded();
    warehouse
        .write(&[&stream], &[stream.complete()])
        .await
        .succeeded();
    assert_eq!(warehouse.query(ALL), [""; 0]);
}

#[tokio::test]
async fn append_dedup_keeps_the_row_with_the_newest_cursor() {
    let warehouse = Warehouse::new();
    let stream = users("append_dedup").cursor("updated_at");
    let messages = [
        user(&stream, 1, 1, "first", "2024-01-01T00:00:00Z"),
        user(
            &stream,
            1,
            1,
            "newer by a fraction",
            "2024-01-01T00:00:00.5Z",
        ),
        user(&stream, 2, 1, "late and old", "2024-01-01T01:00:00+02:00"),
        user(&stream, 1, 2, "tie, first", "2024-01-01T00:00:00Z"),
        user(
            &stream,
            2,
            2,
            "tie, later extraction",
            "2024-01-01T00:00:00Z",
        ),
        user(
            &stream,
            1,
            2,
            "tie, earlier extraction",
            "2024-01-01T00:00:00Z",
        ),
        stream.complete(),
    ];
    warehouse.write(&[&stream], &messages).await.succeeded();
    let expected = ["1, 'newer by a fraction'", "2, 'tie, later extraction'"];
    assert_eq!(warehouse.query(ALL), expected);
    let late = [user(
        &stream,
        3,
        1,
        "late in the next sync",
        "2023-12-31T00:00:00Z",
    )];
    warehouse.write(&[&stream], &late).await.succeeded();
    assert_eq!(warehouse.query(ALL), expected);
}
