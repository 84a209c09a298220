//! What goes wrong, who has to act, and that nothing committed is lost.

mod support;

use airbyte_protocol::{FailureType, MessageType, Status};
use cdk_testkit::{Ran, StreamSpec};
use serde_json::{Value, json};
use support::Warehouse;

fn stream(mode: &'static str) -> StreamSpec {
    StreamSpec::new(
        "t",
        mode,
        json!({"id": {"type": "integer"}, "v": {"type": "string"}}),
    )
}

fn failed(output: &Ran, failure_type: FailureType, text: &str) {
    assert_eq!(output.exit.code(), 1, "{}", output.text);
    let error = output.error();
    assert_eq!(error.failure_type, Some(failure_type), "{error:?}");
    assert!(error.message.contains(text), "{error:?}");
}

#[tokio::test]
async fn a_full_disk_is_a_config_error_and_loses_nothing_that_was_committed() {
    let mut warehouse = Warehouse::new();
    let first = stream("append");
    let messages = [
        first.record(1, json!({"id": 1, "v": "kept"})),
        first.state(1),
    ];
    warehouse.write(&[&first], &messages).await.succeeded();
    warehouse.page_limit = Some(24);
    let text = "x".repeat(100_000);
    let mut messages = vec![first.record(2, json!({"id": 2, "v": "small"}))];
    messages.extend((0..40).map(|id| first.record(2, json!({"id": id, "v": text}))));
    messages.push(first.state(2));
    let output = warehouse.write(&[&first], &messages).await;
    failed(&output, FailureType::ConfigError, "free space");
    assert_eq!(output.printed(MessageType::State).len(), 0);
    assert_eq!(
        warehouse.query("SELECT v FROM t WHERE _airbyte_extracted_at LIKE '%001Z'"),
        ["'kept'"]
    );
    // With space again the next sync works.
    warehouse.page_limit = None;
    warehouse.write(&[&first], &messages).await.succeeded();
    assert_eq!(
        warehouse.query("SELECT count(*) FROM t WHERE length(v) = 100000"),
        ["40"]
    );
}

#[tokio::test]
async fn a_full_disk_in_one_stream_never_releases_the_states_of_lost_rows() {
    let mut warehouse = Warehouse::new();
    warehouse.page_limit = Some(24);
    let names = ["a", "b", "c"];
    let streams = names.map(|name| StreamSpec {
        name: name.to_owned(),
        ..stream("append")
    });
    let text = "x".repeat(3000);
    let mut messages = Vec::new();
    for id in 0..60 {
        for stream in &streams {
            messages.push(stream.record(1, json!({"id": id, "v": text})));
            messages.push(stream.state(id));
        }
    }
    let list: Vec<_> = streams.iter().collect();
    let output = warehouse.write(&list, &messages).await;
    assert_eq!(output.exit.code(), 1);
    for name in names {
        let states = output.printed(MessageType::State);
        let released = states
            .iter()
            .map(|state| &state["stream"])
            .filter(|state| state["stream_descriptor"]["name"] == name)
            .filter_map(|state| state["stream_state"]["id"].as_i64())
            .max()
            .map_or(0, |id| id + 1);
        let rows: i64 = warehouse.query(&format!("SELECT count(*) FROM {name}"))[0]
            .parse()
            .unwrap();
        assert!(
            rows >= released,
            "{name}: {rows} rows, but states cover {released}"
        );
    }
}

#[tokio::test]
async fn a_missing_directory_and_a_directory_as_file_are_config_errors() {
    let mut warehouse = Warehouse::new();
    let missing = warehouse.directory.path().join("missing/x.sqlite");
    warehouse.options = json!({ "path": missing });
    failed(
        &warehouse.write(&[], &[]).await,
        FailureType::ConfigError,
        "does not exist. Create it",
    );
    warehouse.options = json!({"path": warehouse.directory.path()});
    failed(
        &warehouse.write(&[], &[]).await,
        FailureType::ConfigError,
        "is a directory",
    );
    // Below a regular file nothing can be made, not even by root.
    let file = warehouse.directory.path().join("file");
    std::fs::write(&file, "x").unwrap();
    warehouse.options = json!({"path": file.join("x.sqlite")});
    failed(
        &warehouse.write(&[], &[]).await,
        FailureType::ConfigError,
        "does not exist. Create it",
    );
}

#[tokio::test]
async fn a_file_that_is_no_database_is_left_as_it_is() {
    let warehouse = Warehouse::new();
    let content = "id,name\n".repeat(1000);
    std::fs::write(warehouse.path(), &content).unwrap();
    failed(
        &warehouse.write(&[], &[]).await,
        FailureType::ConfigError,
        "not an SQLite database",
    );
    assert_eq!(std::fs::read_to_string(warehouse.path()).unwrap(), content);
}

#[tokio::test]
async fn a_locked_database_is_a_transient_error() {
    let warehouse = Warehouse::new();
    let stream = stream("append");
    warehouse.write(&[&stream], &[]).await.succeeded();
    let other = warehouse.open();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let output = warehouse.write(&[&stream], &[]).await;
    failed(&output, FailureType::TransientError, "lock");
    let checked = warehouse.run_verb("check").await;
    assert_eq!(checked.exit.code(), 0);
    assert_eq!(checked.connection_status().status, Status::Failed);
}

#[tokio::test]
async fn a_damaged_database_is_a_config_error() {
    let warehouse = Warehouse::new();
    let stream = stream("append");
    let rows: Vec<Value> = (0..2000)
        .map(|id| stream.record(1, json!({"id": id, "v": "x".repeat(100)})))
        .collect();
    warehouse.write(&[&stream], &rows).await.succeeded();
    let mut bytes = std::fs::read(warehouse.path()).unwrap();
    bytes.iter_mut().skip(100).for_each(|byte| *byte = 0x5a);
    std::fs::write(warehouse.path(), bytes).unwrap();
    failed(
        &warehouse.write(&[&stream], &rows).await,
        FailureType::ConfigError,
        "restore it from a backup",
    );
}

#[tokio::test]
async fn tables_of_others_are_never_touched() {
    let warehouse = Warehouse::new();
    warehouse
        .open()
        .execute_batch("CREATE TABLE T (id); INSERT INTO T VALUES (1)")
        .unwrap();
    for mode in ["append", "overwrite"] {
        let stream = stream(mode);
        let output = warehouse.write(&[&stream], &[stream.complete()]).await;
        failed(&output, FailureType::ConfigError, "table_prefix");
    }
    assert_eq!(warehouse.query("SELECT id FROM T"), ["1"]);
}

#[tokio::test]
async fn two_streams_of_one_table_are_a_config_error() {
    let warehouse = Warehouse::new();
    let mut a = stream("append");
    a.namespace = Some("x__y".to_owned());
    let mut b = StreamSpec::new("y__t", "append", json!({}));
    b.namespace = Some("X".to_owned());
    failed(
        &warehouse.write(&[&a, &b], &[]).await,
        FailureType::ConfigError,
        "would both be written",
    );
    // In two syncs the table remembers its stream.
    warehouse.write(&[&a], &[]).await.succeeded();
    failed(
        &warehouse.write(&[&b], &[]).await,
        FailureType::ConfigError,
        "belongs to stream x__y.t",
    );
}

#[tokio::test]
async fn check_leaves_nothing_behind_and_spec_names_the_modes() {
    let warehouse = Warehouse::new();
    let output = warehouse.run_verb("check").await.succeeded();
    assert_eq!(output.connection_status().status, Status::Succeeded);
    assert!(!warehouse.path().exists());
    let spec = warehouse.run_verb("spec").await.succeeded();
    let modes = &spec.printed(MessageType::Spec)[0]["supported_destination_sync_modes"];
    // `overwrite_dedup` works too, but is no value of the protocol's schema.
    assert_eq!(*modes, json!(["append", "overwrite", "append_dedup"]));
}
