//! Cursors and xmin: nothing that is written is ever missed.

use serde_json::json;

use crate::support::{Db, no_state, sorted, states};

#[tokio::test]
async fn a_cursor_brings_what_is_new_with_full_precision() {
    let db = Db::alone(
        "CREATE TABLE events (id int PRIMARY KEY, at timestamptz); CREATE INDEX ON events (at); \
         INSERT INTO events SELECT g, '2024-01-01 00:00:00.000001+00'::timestamptz + g * interval '1 us' FROM generate_series(1, 95) g; \
         ANALYZE events",
    );
    let catalog = db.catalog(&[("events", "incremental", Some("at"))]).await;
    let first = db.read(&catalog, &no_state()).await.succeeded();
    assert_eq!(sorted(&first, "events", "id"), (1..=95).collect::<Vec<_>>());
    let state = states(&first);
    let last = &state.as_array().unwrap().last().unwrap()["stream"]["stream_state"];
    assert_eq!(last["state_type"], "cursor_based");
    assert_eq!(last["cursor"], "2024-01-01 00:00:00.000096+00");

    let quiet = db.read(&catalog, &state).await.succeeded();
    assert_eq!(quiet.records("events").len(), 0);

    db.sql(
        "INSERT INTO events SELECT g, '2024-01-02 00:00:00+00'::timestamptz + g * interval '1 us' FROM generate_series(96, 180) g; \
         UPDATE events SET at = '2024-01-03 00:00:00.123456+00' WHERE id = 7",
    );
    let second = db.read(&catalog, &states(&quiet)).await.succeeded();
    let expected: Vec<_> = std::iter::once(7).chain(96..=180).collect();
    assert_eq!(sorted(&second, "events", "id"), expected);
}

#[tokio::test]
async fn rows_that_appear_late_at_or_behind_the_cursor_are_found() {
    let db = Db::alone(
        "CREATE TABLE events (id int PRIMARY KEY, at int); INSERT INTO events VALUES (1, 10), (2, 20)",
    );
    // Transactions that began before the first read and commit after it.
    let mut late = db
        .server
        .psql(&db.name)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = late.stdin.take().unwrap();
    let mut say = |text: &str| std::io::Write::write_all(&mut input, text.as_bytes()).unwrap();
    say("BEGIN; INSERT INTO events VALUES (3, 15), (4, 20), (5, NULL);\nSELECT 'ready';\n");
    let mut output = std::io::BufReader::new(late.stdout.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut output, &mut line).unwrap();

    let catalog = db.catalog(&[("events", "incremental", Some("at"))]).await;
    let first = db.read(&catalog, &no_state()).await.succeeded();
    assert_eq!(sorted(&first, "events", "id"), [1, 2]);
    say("COMMIT;\nSELECT 'done';\n");
    std::io::BufRead::read_line(&mut output, &mut line).unwrap();
    db.sql("INSERT INTO events VALUES (6, 20), (7, 30)");
    let second = db.read(&catalog, &states(&first)).await.succeeded();
    assert_eq!(sorted(&second, "events", "id"), [3, 4, 5, 6, 7]);
    let third = db.read(&catalog, &states(&second)).await.succeeded();
    assert!(third.records("events").is_empty());
    drop(input);
    late.wait().unwrap();
}

#[tokio::test]
async fn a_state_of_airbytes_connector_goes_on_and_counts_rows_at_the_cursor() {
    let db = Db::new(
        "CREATE TABLE events (id int PRIMARY KEY, at int); INSERT INTO events VALUES (1, 10), (2, 20), (3, 20), (4, 30)",
    );
    let catalog = db.catalog(&[("events", "incremental", Some("at"))]).await;
    let state = |count: u64| {
        json!([{"type": "STREAM", "stream": {"stream_descriptor": {"name": "events", "namespace": "public"},
            "stream_state": {"state_type": "cursor_based", "version": 2, "cursor_field": ["at"], "cursor": "20",
                "cursor_record_count": count, "stream_name": "events", "stream_namespace": "public"}}}])
    };
    let unchanged = db.read(&catalog, &state(2)).await.succeeded();
    assert_eq!(sorted(&unchanged, "events", "id"), [4]);
    let grown = db.read(&catalog, &state(1)).await.succeeded();
    assert_eq!(sorted(&grown, "events", "id"), [2, 3, 4]);
}

#[tokio::test]
async fn xmin_finds_inserts_and_updates_without_a_cursor() {
    let db = Db::alone("CREATE TABLE things (id int, n int); INSERT INTO things SELECT g, 0 FROM generate_series(1, 50) g")
        .with("replication_method", json!({"method": "Xmin"}));
    let catalog = db.catalog(&[("things", "incremental", None)]).await;
    let first = db.read(&catalog, &no_state()).await.succeeded();
    assert_eq!(sorted(&first, "things", "id"), (1..=50).collect::<Vec<_>>());
    let state = states(&first);
    assert_eq!(
        state.as_array().unwrap().last().unwrap()["stream"]["stream_state"]["state_type"],
        "xmin"
    );
    db.sql("UPDATE things SET n = 1 WHERE id IN (3, 4); INSERT INTO things VALUES (51, 0)");
    let second = db.read(&catalog, &state).await.succeeded();
    assert_eq!(sorted(&second, "things", "id"), [3, 4, 51]);
}

#[tokio::test]
async fn a_cursor_without_index_on_a_large_table_is_warned_about() {
    let db = Db::new(
        "CREATE TABLE big (id int PRIMARY KEY, at int); INSERT INTO big SELECT g, g FROM generate_series(1, 500) g; ANALYZE big",
    );
    for (cursor, is_warned) in [("at", true), ("id", false)] {
        let catalog = db.catalog(&[("big", "incremental", Some(cursor))]).await;
        let ran = db.read(&catalog, &no_state()).await.succeeded();
        assert_eq!(
            ran.logs().iter().any(|log| log.contains("has no index")),
            is_warned,
            "{cursor}"
        );
    }
}

#[tokio::test]
async fn a_cursor_that_has_no_order_is_refused() {
    let db = Db::new("CREATE TABLE t (id int, doc json)");
    let mut catalog = db.catalog(&[("t", "incremental", Some("doc"))]).await;
    for (cursor, words) in [("doc", "have no order"), ("gone", "does not exist")] {
        catalog["streams"][0]["cursor_field"] = json!([cursor]);
        let ran = db.read(&catalog, &no_state()).await;
        assert!(ran.error().message.contains(words), "{}", ran.text);
    }
}
