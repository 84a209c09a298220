//! Cursors: what is new, rows that appear late, full precision.

use serde_json::{Value, json};

use crate::support::{Database, eager, read, run, saved};

fn ids(ran: &cdk_testkit::Ran, stream: &str) -> Vec<i64> {
    let mut ids: Vec<_> = ran
        .data(stream)
        .iter()
        .map(|row| row["id"].as_i64().unwrap())
        .collect();
    ids.sort_unstable();
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sync_reads_what_is_behind_the_cursor() {
    let database = Database::shared("cursor");
    database.sql(
        "CREATE TABLE t (id INT PRIMARY KEY, at DATETIME(6), KEY (at));
         INSERT INTO t VALUES (1, '2024-01-01 00:00:00.000001'), (2, '2024-01-01 00:00:00.000002'), (3, NULL)",
    );
    let config = database.config(json!({}));
    let catalog = database.catalog(&config, "incremental", Some("at")).await;
    let first = read(&config, &catalog, None).await;
    assert_eq!(ids(&first, "t"), [1, 2, 3]);
    // The last digit decides.
    database.sql("INSERT INTO t VALUES (4, '2024-01-01 00:00:00.000003')");
    let second = read(&config, &catalog, Some(&saved(&first))).await;
    assert_eq!(ids(&second, "t"), [4]);
    let third = read(&config, &catalog, Some(&saved(&second))).await;
    assert!(ids(&third, "t").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_row_with_the_same_cursor_is_read() {
    let database = Database::shared("late");
    database.sql(
        "CREATE TABLE t (id INT PRIMARY KEY, day DATE); INSERT INTO t VALUES (1, '2024-01-01')",
    );
    let config = database.config(json!({}));
    let catalog = database.catalog(&config, "incremental", Some("day")).await;
    let first = read(&config, &catalog, None).await;
    database.sql("INSERT INTO t VALUES (2, '2024-01-01')");
    let second = read(&config, &catalog, Some(&saved(&first))).await;
    assert!(ids(&second, "t").contains(&2));
}

#[tokio::test(flavor = "multi_thread")]
async fn cursors_of_every_ordered_type_find_the_newest_value() {
    let cases = [
        (
            "BIGINT UNSIGNED",
            "18446744073709551614",
            "18446744073709551615",
        ),
        (
            "DECIMAL(65,30)",
            "0.000000000000000000000000000001",
            "0.000000000000000000000000000002",
        ),
        ("DOUBLE", "0.1", "0.10000000000000002"),
        (
            "TIMESTAMP(6) NULL",
            "'2024-01-01 00:00:00.999999'",
            "'2024-01-01 00:00:01'",
        ),
        ("TIME(3)", "'-10:00:00.001'", "'-10:00:00'"),
        ("YEAR", "2023", "2024"),
        (
            "VARCHAR(20) CHARACTER SET latin1",
            "'it''s é'",
            "'it''s é1'",
        ),
        ("VARBINARY(20)", "x'00ff'", "x'00ff00'"),
        ("BIT(64)", "b'1'", "18446744073709551615"),
        ("ENUM('z','y','x')", "'z'", "'y'"),
        (
            "UUID",
            "'00000000-0000-4000-8000-000000000001'",
            "'00000000-0000-4000-8000-000000000002'",
        ),
    ];
    let database = Database::shared("cursor_types");
    for (at, (type_name, old, new)) in cases.iter().enumerate() {
        database.sql(&format!(
            "CREATE TABLE t{at} (id INT PRIMARY KEY, c {type_name}, KEY (c)); INSERT INTO t{at} VALUES (1, {old})"
        ));
        let _ = new;
    }
    let config = database.config(json!({}));
    let catalog = database.catalog(&config, "incremental", Some("c")).await;
    let first = read(&config, &catalog, None).await;
    for (at, (.., new)) in cases.iter().enumerate() {
        database.sql(&format!("INSERT INTO t{at} VALUES (2, {new})"));
    }
    let second = read(&config, &catalog, Some(&saved(&first))).await;
    for (at, (type_name, ..)) in cases.iter().enumerate() {
        assert_eq!(ids(&second, &format!("t{at}")), [2], "{type_name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_pass_in_pieces_ends_at_the_newest_value_from_before_it() {
    let database = Database::shared("first_pass");
    database.sql(
        "CREATE TABLE t (a VARCHAR(10), b INT, id INT, PRIMARY KEY (a, b));
         INSERT INTO t SELECT CHAR(97 + seq DIV 100), seq % 100, seq FROM seq_0_to_999; ANALYZE TABLE t",
    );
    let config = database.config(json!({}));
    let catalog = database.catalog(&config, "incremental", Some("id")).await;
    let ran = run("read", &config, Some(&catalog), None, eager(64))
        .await
        .succeeded();
    assert_eq!(ids(&ran, "t"), (0..1000).collect::<Vec<_>>());
    let states = ran.states_of("t");
    assert!(states.len() > 5, "{} states", states.len());
    let last: Value = states
        .last()
        .unwrap()
        .stream
        .as_ref()
        .unwrap()
        .stream_state
        .as_ref()
        .unwrap()
        .parse_as()
        .unwrap();
    assert_eq!(
        (&last["state_type"], &last["cursor"]),
        (&json!("cursor_based"), &json!("999"))
    );
}
