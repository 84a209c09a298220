//! Deduplication against a model: random rows, late ones among them, over several syncs.

mod support;

use std::collections::HashMap;

use airbyte_protocol::{FailureType, StreamDescriptor};
use cdk_testkit::StreamSpec;
use proptest::prelude::*;
use serde_json::{Value, json};
use support::Warehouse;

/// One version of a row.
#[derive(Debug, Clone)]
struct Version {
    key: (Option<i64>, &'static str),
    cursor: Option<&'static str>,
    extracted_at: i64,
    is_deleted: bool,
}

/// From old to new; the two that are equal are the same instant.
const CURSORS: [(&str, u8); 6] = [
    ("2024-01-01T00:00:00Z", 0),
    ("2024-01-01T00:00:00.000001Z", 1),
    ("2024-01-01T02:00:00.5+02:00", 2),
    ("2024-01-01T00:00:00.5Z", 2),
    ("2024-01-01T00:00:01Z", 3),
    ("2024-01-01T00:00:00-01:00", 4),
];

fn version() -> impl Strategy<Value = Version> {
    let id = prop_oneof![5 => (0..4i64).prop_map(Some), 1 => Just(None)];
    let cursor = proptest::option::weighted(0.9, 0..CURSORS.len());
    let name = prop_oneof![Just("a"), Just("b")];
    (id, name, cursor, 0..4i64, proptest::bool::weighted(0.15)).prop_map(
        |(id, name, cursor, extracted_at, is_deleted)| Version {
            key: (id, name),
            cursor: cursor.map(|at| CURSORS[at].0),
            extracted_at,
            is_deleted,
        },
    )
}

/// What is newer: no cursor is the oldest, then the time of extraction decides.
fn rank(version: &Version) -> (Option<u8>, i64) {
    let rank = |text: &str| {
        CURSORS
            .iter()
            .find(|(cursor, _)| *cursor == text)
            .map(|(_, rank)| *rank)
    };
    (version.cursor.and_then(rank), version.extracted_at)
}

type Model = HashMap<(Option<i64>, &'static str), (Version, usize)>;

/// Deleted rows hold their place until the end of their batch.
fn apply(model: &mut Model, batch: &[(usize, Version)]) {
    for (number, version) in batch {
        let is_newer = model
            .get(&version.key)
            .is_none_or(|(old, _)| rank(version) >= rank(old));
        if is_newer {
            model.insert(version.key, (version.clone(), *number));
        }
    }
    model.retain(|_, (version, _)| !version.is_deleted);
}

fn stream() -> StreamSpec {
    let timestamp = json!({"type": "string", "format": "date-time"});
    let properties = json!({"id": {"type": "integer"}, "name": {"type": "string"},
        "number": {"type": "integer"}, "at": timestamp, "_ab_cdc_deleted_at": timestamp});
    StreamSpec::new("t", "append_dedup", properties)
        .key(&["id", "name"])
        .cursor("at")
}

fn data(number: usize, version: &Version) -> Value {
    json!({"id": version.key.0, "name": version.key.1, "number": number, "at": version.cursor,
        "_ab_cdc_deleted_at": version.is_deleted.then_some("2024-01-01T00:00:00Z")})
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_table_holds_the_newest_version_of_each_key(
        syncs in proptest::collection::vec(
            proptest::collection::vec(proptest::collection::vec(version(), 1..12), 1..4), 1..3)
    ) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let warehouse = Warehouse::new();
        let stream = stream();
        let mut model = Model::new();
        let mut number = 0;
        for batches in syncs {
            let mut messages = Vec::new();
            for batch in batches {
                // A state ends a batch.
                let numbered: Vec<_> =
                    batch.into_iter().map(|version| { number += 1; (number, version) }).collect();
                messages.extend(numbered.iter().map(|(number, version)| {
                    stream.record(version.extracted_at, data(*number, version))
                }));
                messages.push(stream.state(number as i64));
                apply(&mut model, &numbered);
            }
            runtime.block_on(warehouse.write(&[&stream], &messages)).succeeded();
        }
        let mut expected: Vec<_> = model.values().map(|(_, number)| number.to_string()).collect();
        expected.sort();
        let mut rows = warehouse.query("SELECT number FROM t");
        rows.sort();
        prop_assert_eq!(rows, expected);
    }
}

#[tokio::test]
async fn cursors_beyond_64_bits_compare_as_numbers() {
    let warehouse = Warehouse::new();
    let properties = json!({"id": {"type": "integer"}, "v": {"type": "string"},
        "at": {"type": "string", "airbyte_type": "big_integer"}});
    let stream = StreamSpec::new("t", "append_dedup", properties)
        .key(&["id"])
        .cursor("at");
    let row = |at: &str, v: &str| stream.record(1, json!({"id": 1, "at": at, "v": v}));
    let messages = [
        row("99999999999999999999", "old"),
        row("100000000000000000000", "new"),
        row("5", "late"),
        row("99999999999999999999", "late"),
    ];
    warehouse.write(&[&stream], &messages).await.succeeded();
    assert_eq!(warehouse.query("SELECT v FROM t"), ["'new'"]);
}

#[tokio::test]
async fn without_a_cursor_the_row_extracted_last_wins() {
    let warehouse = Warehouse::new();
    let properties = json!({"id": {"type": "integer"}, "v": {"type": "string"}});
    let stream = StreamSpec::new("t", "append_dedup", properties).key(&["id"]);
    let row = |at: i64, v: &str| stream.record(at, json!({"id": 1, "v": v}));
    warehouse
        .write(&[&stream], &[row(5, "a"), row(5, "b"), row(4, "late")])
        .await
        .succeeded();
    assert_eq!(warehouse.query("SELECT v FROM t"), ["'b'"]);
}

#[tokio::test]
async fn a_key_or_cursor_that_is_no_column_is_a_config_error() {
    let properties = json!({"id": {"type": "integer"}});
    for stream in [
        StreamSpec::new("t", "append_dedup", properties.clone()).key(&["nope"]),
        StreamSpec::new("t", "append_dedup", properties.clone())
            .key(&["id"])
            .cursor("nope"),
        StreamSpec::new("t", "append_dedup", properties),
    ] {
        let warehouse = Warehouse::new();
        let output = warehouse.write(&[&stream], &[]).await;
        assert_eq!(output.exit.code(), 1);
        assert_eq!(output.error().failure_type, Some(FailureType::ConfigError));
        assert_eq!(
            output.error().stream_descriptor,
            Some(StreamDescriptor::new("t"))
        );
    }
}

#[tokio::test]
async fn a_key_that_does_not_fit_its_column_is_refused_and_never_merged() {
    let warehouse = Warehouse::new();
    let properties = json!({"id": {"type": "integer"}, "v": {"type": "string"}});
    let stream = StreamSpec::new("t", "append_dedup", properties).key(&["id"]);
    let row = |id: Value| stream.record(1, json!({"id": id, "v": "x"}));
    let messages = [
        row(json!(1)),
        stream.state(1),
        row(json!("A")),
        row(json!("B")),
    ];
    let output = warehouse.write(&[&stream], &messages).await;
    assert_eq!(output.exit.code(), 1);
    let error = output.error();
    assert_eq!(error.failure_type, Some(FailureType::ConfigError));
    assert!(
        error.message.contains("primary key field `id`"),
        "{}",
        error.message
    );
}
