//! Refreshes, interrupted and resumed overwrites.

use airbyte_protocol::FailureType;
use serde_json::json;

use crate::support::{Warehouse, row, small};

const ROWS: &str = "SELECT id, v, _airbyte_generation_id FROM t ORDER BY id, v";

#[tokio::test]
async fn a_resumed_overwrite_goes_on_with_what_was_staged_and_merges_what_came_twice() {
    for mode in ["overwrite", "overwrite_dedup", "append", "append_dedup"] {
        let warehouse = Warehouse::new();
        warehouse
            .complete(&small(mode).generation(1, 1), &[row(1, 1, "old")])
            .await;
        let second = small(mode).generation(2, 2);
        warehouse
            .interrupted(&second, &[row(2, 1, "a"), row(2, 2, "b")])
            .await;
        assert_eq!(warehouse.query(ROWS), ["1|old|1"], "{mode}");
        warehouse
            .complete(&second, &[row(3, 2, "b again"), row(3, 3, "c")])
            .await;
        assert_eq!(
            warehouse.query(ROWS),
            ["1|a|2", "2|b again|2", "3|c|2"],
            "{mode}"
        );
        assert_eq!(warehouse.leftovers(), [""; 0], "{mode}");
    }
}

#[tokio::test]
async fn staging_of_another_generation_is_dropped() {
    let warehouse = Warehouse::new();
    warehouse
        .interrupted(&small("overwrite").generation(1, 1), &[row(1, 1, "a")])
        .await;
    assert_eq!(warehouse.leftovers().len(), 1);
    warehouse
        .complete(&small("overwrite").generation(2, 2), &[row(2, 2, "b")])
        .await;
    assert_eq!(warehouse.query(ROWS), ["2|b|2"]);
    warehouse
        .interrupted(&small("overwrite").generation(3, 3), &[row(3, 3, "c")])
        .await;
    // The user switched to append: what was staged is dead.
    warehouse
        .complete(&small("append").generation(4, 0), &[row(4, 4, "d")])
        .await;
    assert_eq!(warehouse.query(ROWS), ["2|b|2", "4|d|4"]);
    assert_eq!(warehouse.leftovers(), [""; 0]);
}

#[tokio::test]
async fn a_generation_that_was_swapped_in_goes_on_in_the_visible_table() {
    let warehouse = Warehouse::new();
    let stream = small("overwrite").generation(2, 2);
    warehouse
        .complete(&stream, &[row(1, 1, "a"), row(1, 2, "b")])
        .await;
    // The platform did not learn that the run was complete and runs it again.
    warehouse
        .complete(&stream, &[row(2, 2, "b again"), row(2, 3, "c")])
        .await;
    assert_eq!(warehouse.query(ROWS), ["1|a|2", "2|b again|2", "3|c|2"]);
}

#[tokio::test]
async fn a_new_generation_with_minimum_0_keeps_older_rows() {
    let warehouse = Warehouse::new();
    warehouse
        .complete(&small("append").generation(1, 0), &[row(1, 1, "a")])
        .await;
    warehouse
        .complete(&small("append").generation(2, 0), &[row(2, 1, "b")])
        .await;
    assert_eq!(warehouse.query(ROWS), ["1|a|1", "1|b|2"]);
    warehouse
        .complete(&small("append").generation(3, 3), &[row(3, 1, "c")])
        .await;
    assert_eq!(warehouse.query(ROWS), ["1|c|3"]);
}

#[tokio::test]
async fn without_generation_ids_an_interrupted_overwrite_starts_again() {
    let warehouse = Warehouse::new();
    let stream = small("overwrite");
    warehouse.interrupted(&stream, &[row(1, 1, "a")]).await;
    assert_eq!(warehouse.leftovers(), [""; 0]);
    warehouse
        .complete(&stream, &[row(2, 2, "b"), row(2, 2, "b")])
        .await;
    assert_eq!(warehouse.query(ROWS), ["2|b|0", "2|b|0"]);
}

#[tokio::test]
async fn a_hybrid_refresh_is_refused_before_anything_is_touched() {
    let warehouse = Warehouse::new();
    let stream = small("append").generation(3, 2);
    let ran = warehouse.write(&[&stream], &[]).await;
    assert_eq!(ran.error().failure_type, Some(FailureType::ConfigError));
    assert_eq!(warehouse.value("SELECT to_regclass('t') IS NULL"), "t");
}

#[tokio::test]
async fn a_schema_that_changes_while_rows_are_staged_changes_the_staged_table_too() {
    let warehouse = Warehouse::new();
    let mut stream = small("overwrite").generation(1, 1);
    warehouse.interrupted(&stream, &[row(1, 1, "a")]).await;
    stream.properties =
        json!({"id": {"type": "number"}, "v": {"type": "string"}, "w": {"type": "boolean"}});
    warehouse
        .complete(&stream, &[(2, json!({"id": 1.5, "w": true}))])
        .await;
    assert_eq!(
        warehouse.query("SELECT id, v, w FROM t ORDER BY id"),
        ["1|a|", "1.5||t"]
    );
}
