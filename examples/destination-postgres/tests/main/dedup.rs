//! One row per key, the one with the newest cursor; deletions of a change log.

use std::collections::BTreeMap;

use airbyte_protocol::FailureType;
use cdk_testkit::StreamSpec;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use serde_json::{Value, json};

use crate::support::{Warehouse, row, small};

fn versioned() -> StreamSpec {
    let properties =
        json!({"id": {"type": "integer"}, "v": {"type": "string"}, "at": {"type": "integer"}});
    StreamSpec::new("t", "append_dedup", properties)
        .key(&["id"])
        .cursor("at")
}

fn version(read_at: i64, id: Option<i64>, at: Option<i64>, v: &str) -> (i64, Value) {
    (read_at, json!({"id": id, "at": at, "v": v}))
}

const ROWS: &str = "SELECT id, at, v FROM t ORDER BY id NULLS FIRST, v";

#[tokio::test]
async fn the_newest_cursor_wins_within_and_across_syncs() {
    let warehouse = Warehouse::new();
    let stream = versioned();
    let first = [
        version(1, Some(1), Some(5), "new"),
        version(2, Some(1), Some(4), "late"),
        version(1, Some(2), None, "no cursor"),
        version(1, Some(3), Some(1), "same"),
    ];
    warehouse.complete(&stream, &first).await;
    assert_eq!(
        warehouse.query(ROWS),
        ["1|5|new", "2||no cursor", "3|1|same"]
    );
    let second = [
        version(9, Some(1), Some(4), "late again"),
        version(9, Some(2), Some(0), "with cursor"),
        version(9, Some(3), Some(1), "same, read later"),
        version(9, Some(4), Some(1), "another"),
    ];
    warehouse.complete(&stream, &second).await;
    assert_eq!(
        warehouse.query(ROWS),
        [
            "1|5|new",
            "2|0|with cursor",
            "3|1|same, read later",
            "4|1|another"
        ]
    );
    warehouse
        .complete(&stream, &[version(8, Some(3), Some(1), "read before")])
        .await;
    assert_eq!(
        warehouse.query("SELECT v FROM t WHERE id = 3"),
        ["same, read later"]
    );
}

#[tokio::test]
async fn nulls_in_a_key_are_one_key() {
    let warehouse = Warehouse::new();
    let stream = versioned();
    let first = [
        version(1, None, Some(2), "b"),
        version(1, None, Some(1), "a"),
        version(1, Some(1), Some(1), "x"),
    ];
    warehouse.complete(&stream, &first).await;
    assert_eq!(warehouse.query(ROWS), ["|2|b", "1|1|x"]);
    warehouse
        .complete(
            &stream,
            &[
                version(2, None, Some(1), "old"),
                version(2, Some(1), Some(2), "y"),
            ],
        )
        .await;
    assert_eq!(warehouse.query(ROWS), ["|2|b", "1|2|y"]);
    warehouse
        .complete(&stream, &[version(2, None, Some(3), "c")])
        .await;
    assert_eq!(warehouse.query(ROWS), ["|3|c", "1|2|y"]);
}

#[tokio::test]
async fn keys_that_are_equal_in_different_spellings_are_one_key() {
    let warehouse = Warehouse::new();
    let properties = json!({"id": {"type": "number"}, "v": {"type": "string"}});
    let stream = StreamSpec::new("t", "append_dedup", properties).key(&["id"]);
    let messages = b"{\"type\":\"RECORD\",\"record\":{\"stream\":\"t\",\"data\":{\"id\":1.0,\"v\":\"a\"},\"emitted_at\":1}}\n\
        {\"type\":\"RECORD\",\"record\":{\"stream\":\"t\",\"data\":{\"id\":1.00,\"v\":\"b\"},\"emitted_at\":2}}\n\
        {\"type\":\"RECORD\",\"record\":{\"stream\":\"t\",\"data\":{\"id\":10e-1,\"v\":\"c\"},\"emitted_at\":1}}\n";
    let mut stdin = messages.to_vec();
    stdin.extend_from_slice(format!("{}\n", stream.complete()).as_bytes());
    warehouse.write_raw(&[&stream], stdin).await.succeeded();
    assert_eq!(warehouse.query("SELECT id, v FROM t"), ["1.00|b"]);
}

#[tokio::test]
async fn text_cursors_compare_by_their_bytes() {
    let warehouse = Warehouse::new();
    let properties = json!({"id": {"type": "integer"}, "at": {"type": "string"}});
    let stream = StreamSpec::new("t", "append_dedup", properties)
        .key(&["id"])
        .cursor("at");
    let rows = ["B", "a", "Z"].map(|at| (1, json!({"id": 1, "at": at})));
    warehouse.complete(&stream, &rows).await;
    assert_eq!(warehouse.query("SELECT at FROM t"), ["a"]);
}

fn change_log(mode: &str) -> StreamSpec {
    let properties = json!({
        "id": {"type": "integer"}, "v": {"type": "string"}, "lsn": {"type": "integer"},
        "_ab_cdc_deleted_at": {"type": "string", "format": "date-time", "airbyte_type": "timestamp_with_timezone"},
    });
    StreamSpec::new("t", mode, properties)
        .key(&["id"])
        .cursor("lsn")
}

fn change(id: i64, lsn: i64, v: &str, deleted: bool) -> (i64, Value) {
    let at = deleted.then_some("2024-01-01T00:00:00Z");
    (
        lsn,
        json!({"id": id, "lsn": lsn, "v": v, "_ab_cdc_deleted_at": at}),
    )
}

#[tokio::test]
async fn deleted_rows_go_or_stay_marked_as_configured() {
    let first = [
        change(1, 1, "a", false),
        change(2, 2, "b", false),
        change(3, 3, "c", false),
        change(3, 4, "c", true),
    ];
    let second = [
        change(1, 5, "a", true),
        change(2, 6, "b", true),
        change(2, 7, "b again", false),
    ];
    for (deletion, expected) in [
        ("Hard delete", vec!["2|b again|f"]),
        ("Soft delete", vec!["1|a|t", "2|b again|f", "3|c|t"]),
    ] {
        let warehouse = Warehouse::new().with(json!({"cdc_deletion_mode": deletion}));
        let stream = change_log("append_dedup");
        warehouse.complete(&stream, &first).await;
        warehouse.complete(&stream, &second).await;
        let rows = "SELECT id, v, _ab_cdc_deleted_at IS NOT NULL FROM t ORDER BY id";
        assert_eq!(warehouse.query(rows), expected, "{deletion}");
        let all: Vec<_> = first.iter().chain(&second).cloned().collect();
        let refresh = change_log("overwrite_dedup").generation(2, 2);
        warehouse.complete(&refresh, &all).await;
        assert_eq!(warehouse.query(rows), expected, "{deletion}");
    }
}

#[tokio::test]
async fn a_table_that_was_appended_to_is_merged_when_the_mode_changes() {
    let warehouse = Warehouse::new();
    let mut stream = versioned();
    stream.mode = "append".to_owned();
    warehouse
        .complete(
            &stream,
            &[
                version(1, Some(1), Some(1), "a"),
                version(1, Some(1), Some(2), "b"),
            ],
        )
        .await;
    warehouse
        .complete(&versioned(), &[version(1, Some(2), Some(1), "c")])
        .await;
    assert_eq!(warehouse.query(ROWS), ["1|2|b", "2|1|c"]);
    // And back: the index that kept keys apart is in the way no longer.
    warehouse
        .complete(&stream, &[version(1, Some(1), Some(1), "a")])
        .await;
    assert_eq!(warehouse.query(ROWS), ["1|1|a", "1|2|b", "2|1|c"]);
}

#[tokio::test]
async fn another_key_gets_another_index() {
    let warehouse = Warehouse::new();
    warehouse
        .complete(
            &versioned(),
            &[
                version(1, Some(1), Some(1), "a"),
                version(1, Some(2), Some(1), "a"),
            ],
        )
        .await;
    let mut by_text = versioned();
    by_text.key = vec!["v".to_owned(), "at".to_owned()];
    warehouse
        .complete(
            &by_text,
            &[
                version(2, Some(3), Some(1), "a"),
                version(2, Some(3), Some(2), "a"),
            ],
        )
        .await;
    assert_eq!(warehouse.query(ROWS), ["3|1|a", "3|2|a"]);
}

#[tokio::test]
async fn a_key_that_does_not_fit_its_column_is_a_config_error() {
    let warehouse = Warehouse::new();
    let stream = small("append_dedup");
    for id in [json!("x"), json!(9_223_372_036_854_775_808_u64)] {
        let messages = [
            stream.record(1, json!({"id": id, "v": "a"})),
            stream.complete(),
        ];
        let ran = warehouse.write(&[&stream], &messages).await;
        assert_eq!(ran.error().failure_type, Some(FailureType::ConfigError));
        assert!(
            ran.error().message.contains("`id`"),
            "{}",
            ran.error().message
        );
    }
    assert_eq!(warehouse.value("SELECT count(*) FROM t"), "0");
}

#[tokio::test]
async fn without_a_cursor_the_row_read_last_wins() {
    let warehouse = Warehouse::new();
    let stream = small("append_dedup");
    warehouse
        .complete(
            &stream,
            &[row(5, 1, "a"), row(4, 1, "earlier"), row(5, 1, "b")],
        )
        .await;
    warehouse
        .complete(&stream, &[row(4, 1, "earlier again")])
        .await;
    assert_eq!(warehouse.query("SELECT id, v FROM t"), ["1|b"]);
}

/// What a row of a random history is: key, cursor, and whether it is deleted.
type Step = (Option<u8>, Option<u8>, bool);

/// The rows that should be there after a history: for each key the last of those with the greatest cursor.
fn expected(steps: &[Step], removes_deleted: bool) -> Vec<String> {
    let mut newest: BTreeMap<Option<u8>, (Option<u8>, usize, bool)> = BTreeMap::new();
    for (at, (key, cursor, is_deleted)) in steps.iter().enumerate() {
        let is_newer = newest.get(key).is_none_or(|(old, _, _)| *cursor >= *old);
        if is_newer {
            newest.insert(*key, (*cursor, at, *is_deleted));
        }
    }
    let shown = |value: Option<u8>| value.map(|value| value.to_string()).unwrap_or_default();
    let kept = newest
        .iter()
        .filter(|(_, (_, _, is_deleted))| !(*is_deleted && removes_deleted));
    let mut rows: Vec<_> = kept
        .map(|(key, (cursor, at, _))| format!("{}|{}|{at}", shown(*key), shown(*cursor)))
        .collect();
    rows.sort();
    rows
}

#[tokio::test]
async fn random_histories_leave_the_newest_row_of_each_key() {
    let warehouse = Warehouse::new().with(json!({"cdc_deletion_mode": "Soft delete"}));
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let step = (
        prop::option::weighted(0.9, 0..4u8),
        prop::option::weighted(0.9, 0..4u8),
        any::<bool>(),
    );
    let history = prop::collection::vec(step, 1..20);
    for number in 0..12 {
        let steps = history.new_tree(&mut runner).unwrap().current();
        let mut stream = change_log(if number % 3 == 0 {
            "overwrite_dedup"
        } else {
            "append_dedup"
        });
        stream.name = format!("t{number}");
        let rows: Vec<_> = steps.iter().enumerate().map(|(at, (key, cursor, is_deleted))| {
            let deleted = is_deleted.then_some("2024-01-01T00:00:00Z");
            (at as i64, json!({"id": key, "lsn": cursor, "v": at.to_string(), "_ab_cdc_deleted_at": deleted}))
        }).collect();
        // Cut into syncs: what one sync merges and what several do must be the same.
        let cuts = if number % 3 == 0 { 1 } else { 1 + number % 4 };
        for part in rows.chunks(rows.len().div_ceil(cuts)) {
            warehouse.complete(&stream, part).await;
        }
        let mut found = warehouse.query(&format!("SELECT id, lsn, v FROM t{number}"));
        found.sort();
        assert_eq!(found, expected(&steps, false), "{steps:?}");
    }
}
