//! Tables follow the schema of their stream.

mod support;

use cdk_testkit::StreamSpec;
use serde_json::{Value, json};
use support::Warehouse;

fn stream(mode: &'static str, properties: Value) -> StreamSpec {
    StreamSpec::new("t", mode, properties)
}

fn columns(warehouse: &Warehouse) -> Vec<String> {
    warehouse.query("SELECT name || ' ' || type FROM pragma_table_info('t') LIMIT -1 OFFSET 4")
}

async fn sync(warehouse: &Warehouse, stream: &StreamSpec, rows: &[Value]) {
    let mut messages: Vec<_> = rows
        .iter()
        .map(|row| stream.record(1, row.clone()))
        .collect();
    messages.push(stream.complete());
    warehouse.write(&[stream], &messages).await.succeeded();
}

#[tokio::test]
async fn new_columns_are_added_and_removed_ones_kept() {
    let warehouse = Warehouse::new();
    let before = stream(
        "append",
        json!({"a": {"type": "integer"}, "b": {"type": "string"}}),
    );
    sync(&warehouse, &before, &[json!({"a": 1, "b": "x"})]).await;
    let after = stream(
        "append",
        json!({"c": {"type": "boolean"}, "a": {"type": "integer"}}),
    );
    sync(
        &warehouse,
        &after,
        &[json!({"a": 2, "b": "ignored", "c": true})],
    )
    .await;
    assert_eq!(
        columns(&warehouse),
        ["'a INTEGER'", "'b TEXT'", "'c BOOLEAN'"]
    );
    let rows = warehouse.query("SELECT a, b, c FROM t ORDER BY a");
    assert_eq!(rows, ["1, 'x', NULL", "2, NULL, 1"]);
}

#[tokio::test]
async fn an_upsert_nulls_removed_columns_of_the_stream_and_no_others() {
    let warehouse = Warehouse::new();
    let fields = json!({"id": {"type": "integer"}, "b": {"type": "string"}});
    let before = stream("append_dedup", fields).key(&["id"]);
    sync(
        &warehouse,
        &before,
        &[json!({"id": 1, "b": "x"}), json!({"id": 2, "b": "y"})],
    )
    .await;
    warehouse
        .open()
        .execute_batch("ALTER TABLE t ADD COLUMN mine; UPDATE t SET mine = 'm'")
        .unwrap();
    let after = stream("append_dedup", json!({"id": {"type": "integer"}})).key(&["id"]);
    sync(&warehouse, &after, &[json!({"id": 1})]).await;
    let rows = warehouse.query("SELECT id, b, mine FROM t ORDER BY id");
    assert_eq!(rows, ["1, NULL, 'm'", "2, 'y', 'm'"]);
}

#[tokio::test]
async fn changed_types_widen_the_column_and_convert_its_values() {
    let warehouse = Warehouse::new();
    let before = json!({"a": {"type": "integer"}, "b": {"type": "number"}, "c": {"type": "boolean"},
        "d": {"type": "string"}, "e": {"type": "integer"}});
    let row = json!({"a": 9_007_199_254_740_993_i64, "b": 0.1, "c": true, "d": "x", "e": 5});
    sync(&warehouse, &stream("append", before), &[row]).await;
    warehouse
        .open()
        .execute_batch("CREATE INDEX mine ON t (a); CREATE VIEW v AS SELECT a FROM t")
        .unwrap();
    let after = json!({"a": {"type": "number"}, "b": {"type": "string"}, "c": {"type": "string"},
        "d": {"type": "integer"}, "e": {"type": "object"}});
    let row = json!({"a": 2.5, "b": "y", "c": "no", "d": 7, "e": {}});
    sync(&warehouse, &stream("append", after), &[row]).await;
    assert_eq!(
        columns(&warehouse),
        ["'a '", "'b TEXT'", "'c TEXT'", "'d TEXT'", "'e TEXT'"]
    );
    let rows = warehouse.query("SELECT a, b, c, d, e FROM t ORDER BY rowid");
    let expected = [
        "9007199254740993, '0.1', 'true', 'x', '5'",
        "2.5, 'y', 'no', '7', '{}'",
    ];
    assert_eq!(rows, expected);
    // What users made on the table is still there.
    assert_eq!(
        warehouse.query("SELECT v.a FROM v, t INDEXED BY mine WHERE v.a = t.a ORDER BY t.a"),
        ["2.5", "9007199254740993"]
    );
}

#[tokio::test]
async fn doubles_keep_all_their_digits_when_they_become_text() {
    let warehouse = Warehouse::new();
    sync(
        &warehouse,
        &stream("append", json!({"a": {"type": "number"}})),
        &[json!({"a": 0.1 + 0.2})],
    )
    .await;
    sync(
        &warehouse,
        &stream("append", json!({"a": {"type": "string"}})),
        &[],
    )
    .await;
    let text = warehouse.query("SELECT a FROM t").join("");
    assert_eq!(
        text.trim_matches('\'').parse::<f64>().unwrap(),
        0.1 + 0.2,
        "{text}"
    );
}

#[tokio::test]
async fn a_key_whose_type_widens_still_finds_its_rows() {
    let warehouse = Warehouse::new();
    let fields = |kind: &str| json!({"id": {"type": kind}, "v": {"type": "string"}});
    let before = stream("append_dedup", fields("integer")).key(&["id"]);
    sync(
        &warehouse,
        &before,
        &[json!({"id": 5, "v": "old"}), json!({"id": 6, "v": "old"})],
    )
    .await;
    let after = stream("append_dedup", fields("string")).key(&["id"]);
    sync(&warehouse, &after, &[json!({"id": "5", "v": "new"})]).await;
    let rows = warehouse.query("SELECT id, v FROM t ORDER BY id");
    assert_eq!(rows, ["'5', 'new'", "'6', 'old'"]);
    // A value beyond 64 bits widens the column in the middle of a batch.
    let warehouse = Warehouse::new();
    let stdin_row = |id: &str, v: &str| {
        format!(
            r#"{{"type":"RECORD","record":{{"stream":"t","emitted_at":1,"data":{{"id":{id},"v":"{v}"}}}}}}"#
        )
    };
    let big = "18446744073709551616";
    let rows = [("1", "a"), (big, "b"), ("1", "c"), (big, "d")];
    let stdin = rows.map(|(id, v)| stdin_row(id, v)).join("\n");
    warehouse.write_raw(&[&before], stdin).await.succeeded();
    let rows = warehouse.query("SELECT id, v FROM t ORDER BY v");
    assert_eq!(rows, ["1, 'c'".to_owned(), format!("'{big}', 'd'")]);
}

#[tokio::test]
async fn another_key_merges_what_is_there_already() {
    let warehouse = Warehouse::new();
    let fields =
        json!({"a": {"type": "integer"}, "b": {"type": "integer"}, "at": {"type": "integer"}});
    let by_both = stream("append_dedup", fields.clone())
        .key(&["a", "b"])
        .cursor("at");
    let rows = [(1, 1, 5), (1, 2, 9), (1, 3, 7), (2, 1, 1)];
    let rows = rows.map(|(a, b, at)| json!({"a": a, "b": b, "at": at}));
    sync(&warehouse, &by_both, &rows).await;
    let by_a = stream("append_dedup", fields.clone())
        .key(&["a"])
        .cursor("at");
    sync(&warehouse, &by_a, &[json!({"a": 2, "b": 2, "at": 0})]).await;
    assert_eq!(
        warehouse.query("SELECT a, b, at FROM t ORDER BY a"),
        ["1, 2, 9", "2, 1, 1"]
    );
    // Without dedup the index is gone: the same keys can be appended.
    sync(
        &warehouse,
        &stream("append", fields),
        &[json!({"a": 1}), json!({"a": 1})],
    )
    .await;
    assert_eq!(warehouse.query("SELECT count(*) FROM t"), ["4"]);
}

#[tokio::test]
async fn an_overwrite_brings_the_new_schema_and_keeps_the_users_objects() {
    let warehouse = Warehouse::new();
    let before = stream(
        "overwrite",
        json!({"a": {"type": "integer"}, "b": {"type": "string"}}),
    );
    sync(&warehouse, &before, &[json!({"a": 1, "b": "x"})]).await;
    warehouse
        .open()
        .execute_batch("CREATE INDEX mine ON t (a); CREATE VIEW v AS SELECT a FROM t")
        .unwrap();
    sync(
        &warehouse,
        &stream("overwrite", json!({"a": {"type": "string"}})),
        &[json!({"a": "2"})],
    )
    .await;
    assert_eq!(columns(&warehouse), ["'a TEXT'"]);
    assert_eq!(
        warehouse.query("SELECT v.a FROM v, t INDEXED BY mine WHERE v.a = t.a"),
        ["'2'"]
    );
}
