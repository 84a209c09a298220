//! Schemas that change from sync to sync.

use airbyte_protocol::FailureType;
use cdk_testkit::StreamSpec;
use serde_json::{Value, json};

use crate::support::Warehouse;

fn stream(mode: &str, properties: Value) -> StreamSpec {
    StreamSpec::new("t", mode, properties).key(&["id"])
}

fn typed(data_type: &str) -> Value {
    json!({"type": data_type})
}

#[tokio::test]
async fn new_columns_are_added_and_removed_ones_stay() {
    for mode in ["append", "append_dedup"] {
        let warehouse = Warehouse::new();
        let first = stream(
            mode,
            json!({"id": typed("integer"), "old": typed("string")}),
        );
        warehouse
            .complete(
                &first,
                &[
                    (1, json!({"id": 1, "old": "a"})),
                    (1, json!({"id": 2, "old": "b"})),
                ],
            )
            .await;
        let second = stream(
            mode,
            json!({"id": typed("integer"), "new": typed("boolean")}),
        );
        warehouse
            .complete(
                &second,
                &[(2, json!({"id": 3, "new": true, "old": "ignored"}))],
            )
            .await;
        let rows = "SELECT id, old, new FROM t ORDER BY id";
        assert_eq!(warehouse.query(rows), ["1|a|", "2|b|", "3||t"], "{mode}");
    }
}

#[tokio::test]
async fn a_new_version_of_a_row_has_no_value_in_a_removed_column() {
    let warehouse = Warehouse::new();
    let first = stream(
        "append_dedup",
        json!({"id": typed("integer"), "old": typed("string")}),
    );
    warehouse
        .complete(&first, &[(1, json!({"id": 1, "old": "a"}))])
        .await;
    warehouse.execute("ALTER TABLE t ADD COLUMN note text; UPDATE t SET note = 'mine'");
    let second = stream("append_dedup", json!({"id": typed("integer")}));
    warehouse.complete(&second, &[(2, json!({"id": 1}))]).await;
    // A column that the user made is the user's.
    assert_eq!(warehouse.query("SELECT id, old, note FROM t"), ["1||mine"]);
}

#[tokio::test]
async fn changed_types_are_widened_with_their_values() {
    let warehouse = Warehouse::new();
    let date = || json!({"type": "string", "format": "date"});
    let time = || json!({"type": "string", "format": "date-time"});
    let first = stream(
        "append",
        json!({
            "id": typed("integer"), "a": typed("integer"), "b": typed("boolean"), "c": date(), "d": typed("object"),
            "e": typed("number"), "f": typed("integer"),
        }),
    );
    let row =
        json!({"id": 1, "a": 5, "b": true, "c": "2024-01-02", "d": {"x": 1}, "e": 1.50, "f": 7});
    warehouse.complete(&first, &[(1, row)]).await;
    let second = stream(
        "append",
        json!({
            "id": typed("integer"), "a": typed("number"), "b": typed("string"), "c": time(), "d": typed("string"),
            "e": typed("integer"), "f": typed("object"),
        }),
    );
    let row = json!({"id": 2, "a": 0.5, "b": "no", "c": "2024-01-02T03:04:05Z", "d": "text", "e": 2, "f": {"y": 2}});
    warehouse.complete(&second, &[(2, row)]).await;
    assert_eq!(
        warehouse.query("SET timezone = 'UTC'; SELECT a, b, c, d, e, f FROM t ORDER BY id"),
        [
            "5|true|2024-01-02 00:00:00+00|{\"x\": 1}|1.5|7",
            "0.5|no|2024-01-02 03:04:05+00|text|2|{\"y\": 2}",
        ]
    );
}

#[tokio::test]
async fn a_table_with_narrower_columns_of_others_is_widened() {
    let warehouse = Warehouse::new();
    warehouse.execute(
        "CREATE TABLE t (_airbyte_raw_id varchar NOT NULL, _airbyte_extracted_at timestamptz NOT NULL, \
         _airbyte_meta jsonb NOT NULL, id int NOT NULL, v varchar(3) NOT NULL)",
    );
    let stream = stream(
        "append",
        json!({"id": typed("integer"), "v": typed("string")}),
    );
    let rows = [
        (1, json!({"id": 5_000_000_000_i64, "v": "longer"})),
        (1, json!({})),
    ];
    warehouse.complete(&stream, &rows).await;
    assert_eq!(
        warehouse.query("SELECT id, v FROM t ORDER BY id"),
        ["5000000000|longer", "|"]
    );
}

#[tokio::test]
async fn a_view_on_a_changed_column_is_a_config_error_or_dropped_as_configured() {
    let warehouse = Warehouse::new();
    let first = stream("append", json!({"id": typed("integer")}));
    let second = stream("append", json!({"id": typed("string")}));
    warehouse.complete(&first, &[(1, json!({"id": 1}))]).await;
    warehouse.execute("CREATE VIEW w AS SELECT id FROM t; CREATE VIEW w2 AS SELECT * FROM w");
    let ran = warehouse.write(&[&second], &[second.complete()]).await;
    assert_eq!(ran.error().failure_type, Some(FailureType::ConfigError));
    assert!(
        ran.error().message.contains("`drop_cascade`"),
        "{}",
        ran.error().message
    );
    let warehouse = warehouse.with(json!({"drop_cascade": true}));
    warehouse
        .complete(&second, &[(1, json!({"id": "x"}))])
        .await;
    assert_eq!(warehouse.query("SELECT id FROM t ORDER BY id"), ["1", "x"]);
    assert_eq!(warehouse.value("SELECT to_regclass('w') IS NULL"), "t");
}

#[tokio::test]
async fn tables_and_views_of_others_are_never_touched() {
    for (made, mode) in [
        ("CREATE TABLE t (id bigint)", "append"),
        ("CREATE TABLE t (id bigint)", "overwrite"),
        ("CREATE VIEW t AS SELECT 1 AS id", "append_dedup"),
    ] {
        let warehouse = Warehouse::new();
        warehouse.execute(made);
        let stream = stream(mode, json!({"id": typed("integer")}));
        let ran = warehouse.write(&[&stream], &[stream.complete()]).await;
        assert_eq!(
            ran.error().failure_type,
            Some(FailureType::ConfigError),
            "{made}"
        );
        assert!(
            ran.error().message.contains("public.t"),
            "{}",
            ran.error().message
        );
        assert_eq!(warehouse.leftovers(), [""; 0]);
    }
}

#[tokio::test]
async fn one_table_never_belongs_to_two_streams() {
    let warehouse = Warehouse::new();
    let (mut a, mut b) = (stream("append", json!({})), stream("append", json!({})));
    a.name = "a b".to_owned();
    b.name = "a_b".to_owned();
    a.key.clear();
    b.key.clear();
    let ran = warehouse.write(&[&a, &b], &[]).await;
    assert!(
        ran.error().message.contains("Streams a b and a_b"),
        "{}",
        ran.error().message
    );
    warehouse.complete(&a, &[]).await;
    let ran = warehouse.write(&[&b], &[b.complete()]).await;
    assert_eq!(ran.error().failure_type, Some(FailureType::ConfigError));
    assert!(
        ran.error().message.contains("belongs to stream a b"),
        "{}",
        ran.error().message
    );
}
