//! Values arrive exactly, or null with a change that says so.

mod support;

use airbyte_protocol::{FailureType, MessageType, StreamDescriptor};
use cdk_testkit::StreamSpec;
use serde_json::{Value, json};
use support::Warehouse;

/// A stream with one field `v` of this schema, and the raw JSON texts of its values.
async fn stored(schema: Value, values: &[&str]) -> (Warehouse, Vec<String>) {
    let warehouse = Warehouse::new();
    let stream = StreamSpec::new("t", "append", json!({ "v": schema }));
    let mut stdin = String::new();
    for value in values {
        // Not through a tree: it would round the numbers.
        stdin.push_str(&format!(
            "{{\"type\":\"RECORD\",\"record\":{{\"stream\":\"t\",\"emitted_at\":1,\"data\":{{\"v\":{value}}}}}}}\n"
        ));
    }
    warehouse.write_raw(&[&stream], stdin).await.succeeded();
    let rows = warehouse.query("SELECT v, typeof(v) FROM t ORDER BY rowid");
    (warehouse, rows)
}

fn declared(warehouse: &Warehouse) -> String {
    warehouse
        .query("SELECT type FROM pragma_table_info('t') WHERE name = 'v'")
        .join("")
}

#[tokio::test]
async fn whole_numbers_keep_every_digit() {
    let small = ["1", "-9223372036854775808", "9223372036854775807", "5.0"];
    let (warehouse, rows) = stored(json!({"type": "integer"}), &small).await;
    assert_eq!(declared(&warehouse), "'INTEGER'");
    let expected = ["1", "-9223372036854775808", "9223372036854775807", "5"];
    assert_eq!(rows, expected.map(|value| format!("{value}, 'integer'")));
    let big = ["1", "9223372036854775808", "-99999999999999999999999", "2"];
    let (warehouse, rows) = stored(json!({"type": "integer"}), &big).await;
    // Numeric affinity would have rounded them.
    assert_eq!(declared(&warehouse), "''");
    let expected = [
        "1, 'integer'",
        "'9223372036854775808', 'text'",
        "'-99999999999999999999999', 'text'",
        "2, 'integer'",
    ];
    assert_eq!(rows, expected);
}

#[tokio::test]
async fn decimals_are_doubles_only_where_those_are_exact() {
    let exact = [
        "1.10",
        "0.1",
        "-2.5e-7",
        "5",
        "\"Infinity\"",
        "0.30000000000000004",
    ];
    let (warehouse, rows) = stored(json!({"type": "number"}), &exact).await;
    assert_eq!(declared(&warehouse), "'REAL'");
    let expected = ["1.1", "0.1", "-2.5e-7", "5.0", "inf", "0.30000000000000004"];
    assert_eq!(rows, expected.map(|value| format!("{value}, 'real'")));
    let long = "1234567890123456789012345678901234567890.0123456789";
    let mixed = ["1.5", long, "9007199254740993", "\"NaN\"", "2.5"];
    let (warehouse, rows) = stored(json!({"type": "number"}), &mixed).await;
    assert_eq!(declared(&warehouse), "''");
    let expected = [
        "1.5, 'real'".to_owned(),
        format!("'{long}', 'text'"),
        "9007199254740993, 'integer'".to_owned(),
        "'NaN', 'text'".to_owned(),
        "2.5, 'real'".to_owned(),
    ];
    assert_eq!(rows, expected);
}

#[tokio::test]
async fn text_survives_nul_bytes_and_a_megabyte() {
    let big = format!("\"{}\"", "é".repeat(1 << 19));
    let values = [
        "\"a\\u0000b\"",
        "\"\"",
        "\"123\"",
        &big,
        "\"\\ud83d\\ude00\"",
        "12.50",
    ];
    let (warehouse, _) = stored(json!({"type": "string"}), &values).await;
    let rows = warehouse.query(
        "SELECT hex(substr(CAST(v AS BLOB), 1, 8)), length(CAST(v AS BLOB)), typeof(v) FROM t",
    );
    let expected = [
        "'610062', 3, 'text'",
        "'', 0, 'text'",
        "'313233', 3, 'text'",
        "'C3A9C3A9C3A9C3A9', 1048576, 'text'",
        "'F09F9880', 4, 'text'",
        "'31322E3530', 5, 'text'",
    ];
    assert_eq!(rows, expected);
}

#[tokio::test]
async fn booleans_times_and_json_are_kept() {
    let (_, rows) = stored(json!({"type": "boolean"}), &["true", "false", "null"]).await;
    assert_eq!(rows, ["1, 'integer'", "0, 'integer'", "NULL, 'null'"]);
    let date = json!({"type": "string", "format": "date"});
    let (_, rows) = stored(date, &["\"2024-02-29\"", "\"2024\"", "\"0044-03-15 BC\""]).await;
    assert_eq!(
        rows,
        [
            "'2024-02-29', 'text'",
            "'2024', 'text'",
            "'0044-03-15 BC', 'text'"
        ]
    );
    let object = r#"{"b": 1.10, "a": [12345678901234567890]}"#;
    let (_, rows) = stored(json!({"type": "object"}), &[object]).await;
    assert_eq!(rows, [format!("'{object}', 'text'")]);
    let (_, rows) = stored(json!({}), &["5", "\"x\"", "[1]"]).await;
    assert_eq!(rows, ["'5', 'text'", "'\"x\"', 'text'", "'[1]', 'text'"]);
}

#[tokio::test]
async fn values_that_do_not_fit_are_nulled_with_a_change() {
    let warehouse = Warehouse::new();
    let properties = json!({"n": {"type": "integer"}, "s": {"type": "string"}});
    let stream = StreamSpec::new("t", "append", properties);
    let stdin = concat!(
        r#"{"type":"RECORD","record":{"stream":"t","emitted_at":1,"data":{"n":"x","s":"\ud800"},"#,
        r#""meta":{"changes":[{"field":"z","change":"TRUNCATED","reason":"SOURCE_FIELD_SIZE_LIMITATION"}]}}}"#,
        "\n",
        r#"{"type":"RECORD","record":{"stream":"t","emitted_at":1,"data":{"n":1,"s":"a","unknown":{}}}}"#,
        "\n",
        r#"{"type":"STATE","state":{"type":"STREAM","stream":{"stream_descriptor":{"name":"t"}}}}"#,
    );
    let output = warehouse.write_raw(&[&stream], stdin).await.succeeded();
    assert_eq!(
        warehouse.query("SELECT n, s FROM t ORDER BY rowid"),
        ["NULL, NULL", "1, 'a'"]
    );
    let changes = warehouse.query(
        "SELECT c.value ->> 'field', c.value ->> 'change', c.value ->> 'reason' \
         FROM t, json_each(_airbyte_meta, '$.changes') AS c ORDER BY t.rowid, c.key",
    );
    let expected = [
        "'z', 'TRUNCATED', 'SOURCE_FIELD_SIZE_LIMITATION'",
        "'n', 'NULLED', 'DESTINATION_TYPECAST_ERROR'",
        "'s', 'NULLED', 'DESTINATION_SERIALIZATION_ERROR'",
    ];
    assert_eq!(changes, expected);
    let stats = &output.printed(MessageType::State)[0]["destinationStats"];
    assert_eq!(stats["additionalStats"]["nulledValueCount"], 2.0);
}

#[tokio::test]
async fn a_broken_record_fails_its_stream_and_names_the_field() {
    let warehouse = Warehouse::new();
    let bad = StreamSpec::new("bad", "append", json!({"a": {"type": "string"}}));
    let good = StreamSpec::new("good", "append", json!({"a": {"type": "string"}}));
    let lines = [
        bad.record(1, json!({"a": "kept"})).to_string(),
        r#"{"type":"RECORD","record":{"stream":"bad","emitted_at":1,"data":{"a":"\x"}}}"#
            .to_owned(),
        bad.state(1).to_string(),
        good.record(1, json!({"a": "x"})).to_string(),
        good.state(2).to_string(),
    ];
    let output = warehouse.write_raw(&[&bad, &good], lines.join("\n")).await;
    assert_eq!(output.exit.code(), 1);
    let error = output.error();
    assert_eq!(error.failure_type, Some(FailureType::SystemError));
    assert_eq!(error.stream_descriptor, Some(StreamDescriptor::new("bad")));
    assert!(error.message.contains("field `a`"), "{error:?}");
    let states = output.printed(MessageType::State);
    let streams: Vec<_> = states
        .iter()
        .map(|state| &state["stream"]["stream_descriptor"]["name"])
        .collect();
    assert_eq!(streams, ["good"]);
    assert_eq!(warehouse.query("SELECT a FROM good"), ["'x'"]);
}

#[tokio::test]
async fn fields_that_sqlite_can_not_tell_apart_get_columns_of_their_own() {
    let warehouse = Warehouse::new();
    let text = json!({"type": "string"});
    let properties = json!({"Id": text, "id": text, "_airbyte_meta": text, "a\"b": text, "": text,
        "select": text});
    let stream = StreamSpec::new("t", "append_dedup", properties).key(&["a\"b"]);
    let data =
        json!({"Id": "1", "id": "2", "_airbyte_meta": "3", "a\"b": "4", "": "5", "select": "6"});
    warehouse
        .write(&[&stream], &[stream.record(1, data.clone())])
        .await
        .succeeded();
    warehouse
        .write(&[&stream], &[stream.record(2, data)])
        .await
        .succeeded();
    let columns = warehouse.query("SELECT name FROM pragma_table_info('t') LIMIT -1 OFFSET 4");
    assert_eq!(columns.len(), 6, "{columns:?}");
    let list = columns
        .iter()
        .map(|name| format!("\"{}\"", name.trim_matches('\'').replace('"', "\"\"")));
    let sql = format!("SELECT {} FROM t", list.collect::<Vec<_>>().join(", "));
    assert_eq!(warehouse.query(&sql), ["'1', '2', '3', '4', '5', '6'"]);
}
