//! Generations: refreshes, interrupted and resumed overwrites.

mod support;

use airbyte_protocol::{FailureType, MessageType};
use cdk_testkit::StreamSpec;
use serde_json::{Value, json};
use support::Warehouse;

fn stream(mode: &'static str) -> StreamSpec {
    StreamSpec::new(
        "t",
        mode,
        json!({"id": {"type": "integer"}, "v": {"type": "string"}}),
    )
    .key(&["id"])
}

fn row(stream: &StreamSpec, at: i64, id: i64, v: &str) -> Value {
    stream.record(at, json!({"id": id, "v": v}))
}

fn rows(warehouse: &Warehouse) -> Vec<String> {
    warehouse.query("SELECT id, v, _airbyte_generation_id FROM t ORDER BY id, v")
}

async fn complete(warehouse: &Warehouse, stream: &StreamSpec, rows: &[(i64, i64, &str)]) {
    let mut messages: Vec<_> = rows
        .iter()
        .map(|(at, id, v)| row(stream, *at, *id, v))
        .collect();
    messages.push(stream.complete());
    warehouse.write(&[stream], &messages).await.succeeded();
}

/// A run whose source died: nothing says COMPLETE.
async fn interrupted(warehouse: &Warehouse, stream: &StreamSpec, rows: &[(i64, i64, &str)]) {
    let mut messages: Vec<_> = rows
        .iter()
        .map(|(at, id, v)| row(stream, *at, *id, v))
        .collect();
    messages.push(stream.state(1));
    let output = warehouse.write(&[stream], &messages).await;
    assert_eq!(output.exit.code(), 1);
    assert_eq!(output.printed(MessageType::State).len(), 1);
}

#[tokio::test]
async fn a_resumed_overwrite_goes_on_with_what_was_staged_and_merges_what_came_twice() {
    for mode in ["overwrite", "overwrite_dedup", "append", "append_dedup"] {
        let warehouse = Warehouse::new();
        complete(&warehouse, &stream(mode).generation(1, 1), &[(1, 1, "old")]).await;
        let second = stream(mode).generation(2, 2);
        interrupted(&warehouse, &second, &[(2, 1, "a"), (2, 2, "b")]).await;
        assert_eq!(rows(&warehouse), ["1, 'old', 1"], "{mode}");
        complete(&warehouse, &second, &[(3, 2, "b again"), (3, 3, "c")]).await;
        assert_eq!(
            rows(&warehouse),
            ["1, 'a', 2", "2, 'b again', 2", "3, 'c', 2"],
            "{mode}"
        );
        assert_eq!(warehouse.leftovers(), [""; 0], "{mode}");
    }
}

#[tokio::test]
async fn staging_of_another_generation_is_dropped() {
    let warehouse = Warehouse::new();
    interrupted(
        &warehouse,
        &stream("overwrite").generation(1, 1),
        &[(1, 1, "a")],
    )
    .await;
    assert_eq!(warehouse.leftovers().len(), 1);
    complete(
        &warehouse,
        &stream("overwrite").generation(2, 2),
        &[(2, 2, "b")],
    )
    .await;
    assert_eq!(rows(&warehouse), ["2, 'b', 2"]);
    interrupted(
        &warehouse,
        &stream("overwrite").generation(3, 3),
        &[(3, 3, "c")],
    )
    .await;
    // The user switched to append: what was staged is dead.
    complete(
        &warehouse,
        &stream("append").generation(4, 0),
        &[(4, 4, "d")],
    )
    .await;
    assert_eq!(rows(&warehouse), ["2, 'b', 2", "4, 'd', 4"]);
    assert_eq!(warehouse.leftovers(), [""; 0]);
}

#[tokio::test]
async fn a_generation_that_was_swapped_in_goes_on_in_the_visible_table() {
    let warehouse = Warehouse::new();
    let stream = stream("overwrite").generation(2, 2);
    complete(&warehouse, &stream, &[(1, 1, "a"), (1, 2, "b")]).await;
    // The platform did not learn that the run was complete and runs it again.
    complete(&warehouse, &stream, &[(2, 2, "b again"), (2, 3, "c")]).await;
    assert_eq!(
        rows(&warehouse),
        ["1, 'a', 2", "2, 'b again', 2", "3, 'c', 2"]
    );
}

#[tokio::test]
async fn a_new_generation_with_minimum_0_keeps_older_rows() {
    let warehouse = Warehouse::new();
    complete(
        &warehouse,
        &stream("append").generation(1, 0),
        &[(1, 1, "a")],
    )
    .await;
    complete(
        &warehouse,
        &stream("append").generation(2, 0),
        &[(2, 1, "b")],
    )
    .await;
    assert_eq!(rows(&warehouse), ["1, 'a', 1", "1, 'b', 2"]);
    complete(
        &warehouse,
        &stream("append").generation(3, 3),
        &[(3, 1, "c")],
    )
    .await;
    assert_eq!(rows(&warehouse), ["1, 'c', 3"]);
}

#[tokio::test]
async fn without_generation_ids_an_interrupted_overwrite_starts_again() {
    let warehouse = Warehouse::new();
    let stream = stream("overwrite");
    interrupted(&warehouse, &stream, &[(1, 1, "a")]).await;
    assert_eq!(warehouse.leftovers(), [""; 0]);
    complete(&warehouse, &stream, &[(2, 2, "b"), (2, 2, "b")]).await;
    assert_eq!(rows(&warehouse), ["2, 'b', 0", "2, 'b', 0"]);
}

#[tokio::test]
async fn a_hybrid_refresh_is_refused() {
    let warehouse = Warehouse::new();
    let stream = stream("append").generation(3, 2);
    let output = warehouse.write(&[&stream], &[]).await;
    assert_eq!(output.exit.code(), 1);
    assert_eq!(output.error().failure_type, Some(FailureType::ConfigError));
    assert!(!warehouse.path().exists());
}
