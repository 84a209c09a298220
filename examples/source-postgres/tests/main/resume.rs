//! Interrupted reads go on: all rows come, whatever happens to the table meanwhile.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use cdk_testkit::Ran;
use cdk_testkit::servers::proxy::FaultProxy;

use crate::support::{Db, no_state, sorted, states};

const ROWS: i64 = 3000;

/// Tables of several pages: with a key, without, partitioned.
fn tables() -> String {
    format!(
        "CREATE TABLE keyed (id int, part int, pad text, PRIMARY KEY (part, id)); CREATE TABLE plain (id int, pad text); \
         CREATE TABLE parted (id int, pad text) PARTITION BY HASH (id); \
         CREATE TABLE parted_0 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 0); \
         CREATE TABLE parted_1 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 1); \
         INSERT INTO keyed SELECT g, g % 3, repeat('x', 100) FROM generate_series(1, {ROWS}) g; \
         INSERT INTO plain SELECT g, repeat('x', 100) FROM generate_series(1, {ROWS}) g; \
         INSERT INTO parted SELECT g, repeat('x', 100) FROM generate_series(1, {ROWS}) g; ANALYZE"
    )
}

fn small(statements: &str) -> Db {
    let mut db = Db::new(statements);
    db.pages = 5;
    db.config["checkpoint_target_interval_seconds"] = json!(1);
    db.config["concurrency"] = json!(1);
    db
}

fn ids(ran: &Ran, stream: &str, into: &mut BTreeSet<i64>) {
    into.extend(sorted(ran, stream, "id"));
}

/// The state after the piece in which a run was told to stop.
async fn stopped(db: &Db, catalog: &Value, state: &Value) -> Ran {
    db.read_until("\"RECORD\"", catalog, state).await
}

#[tokio::test]
async fn a_stopped_refresh_goes_on_behind_its_last_piece() {
    let db = small(&tables());
    for table in ["keyed", "plain", "parted"] {
        let catalog = db.catalog(&[(table, "full_refresh", None)]).await;
        let (mut seen, mut state, mut runs) = (BTreeSet::new(), no_state(), 0);
        loop {
            let ran = stopped(&db, &catalog, &state).await;
            ids(&ran, table, &mut seen);
            state = states(&ran);
            runs += 1;
            assert!(runs < 1000, "{table} does not come to an end");
            let last = state
                .as_array()
                .unwrap()
                .last()
                .cloned()
                .unwrap_or_default();
            if last["stream"]["stream_state"]["state_type"] == "complete" {
                break;
            }
        }
        assert_eq!(seen, (1..=ROWS).collect(), "{table}");
        assert!(runs > 1, "{table} was never stopped in its middle");
    }
}

#[tokio::test]
async fn rows_that_move_to_pages_read_before_are_not_missed_after_a_resume() {
    let db = small(&tables());
    let catalog = db.catalog(&[("plain", "full_refresh", None)]).await;
    let first = stopped(&db, &catalog, &no_state()).await;
    let mut seen = BTreeSet::new();
    ids(&first, "plain", &mut seen);
    assert!(seen.len() < ROWS as usize);
    // Room on the first pages, and then every later row moves there or elsewhere.
    db.sql("DELETE FROM plain WHERE id < 400");
    db.sql("VACUUM plain");
    db.sql("UPDATE plain SET pad = 'moved' WHERE id > 2000");
    let second = db.read(&catalog, &states(&first)).await.succeeded();
    ids(&second, "plain", &mut seen);
    assert!((400..=ROWS).all(|id| seen.contains(&id)));
}

#[tokio::test]
async fn a_rewritten_table_is_read_from_the_start() {
    let db = small(&tables());
    let catalog = db.catalog(&[("plain", "full_refresh", None)]).await;
    let first = stopped(&db, &catalog, &no_state()).await;
    db.sql("DELETE FROM plain WHERE id % 2 = 0");
    db.sql("VACUUM FULL plain");
    let second = db.read(&catalog, &states(&first)).await.succeeded();
    assert_eq!(
        sorted(&second, "plain", "id"),
        (1..=ROWS).filter(|id| id % 2 == 1).collect::<Vec<_>>()
    );
    assert!(
        second.logs().iter().any(|log| log.contains("rewritten")),
        "{}",
        second.text
    );
}

#[tokio::test]
async fn a_connection_cut_in_the_middle_of_a_row_fails_as_transient_and_resumes() {
    let db = small(&tables());
    let proxy = FaultProxy::start(db.server.port()).await;
    let direct = db.config["port"].clone();
    let catalog = db.catalog(&[("plain", "full_refresh", None)]).await;
    let db = db.with("port", json!(proxy.port()));
    // Behind login and catalog, in the middle of the rows.
    proxy.cut_after(200_000);
    let first = db.read(&catalog, &no_state()).await;
    assert_eq!(
        serde_json::to_value(first.error().failure_type).unwrap(),
        "transient_error",
        "{}",
        first.text
    );
    let mut seen = BTreeSet::new();
    ids(&first, "plain", &mut seen);
    assert!(seen.len() < ROWS as usize);
    let second = db
        .with("port", direct)
        .read(&catalog, &states(&first))
        .await
        .succeeded();
    ids(&second, "plain", &mut seen);
    assert_eq!(seen, (1..=ROWS).collect());
}

#[tokio::test]
async fn a_refresh_sees_one_moment_however_many_pieces_it_has() {
    let db = small(&tables());
    let catalog = db
        .catalog(&[
            ("keyed", "full_refresh", None),
            ("parted", "full_refresh", None),
            ("plain", "full_refresh", None),
        ])
        .await;
    let (server, name) = (Arc::clone(&db.server), db.name.clone());
    let writer = std::thread::spawn(move || {
        for round in 0..20 {
            // Keeps moving rows about: forwards, and into the room that vacuum made.
            server.sql(
                &name,
                &format!("UPDATE plain SET pad = 'r{round}' WHERE id % 20 = {round}"),
            );
            server.sql(
                &name,
                &format!("UPDATE keyed SET pad = 'r{round}' WHERE id % 20 = {round}"),
            );
            server.sql(&name, "VACUUM plain");
        }
    });
    let ran = db.read(&catalog, &no_state()).await.succeeded();
    writer.join().unwrap();
    for table in ["keyed", "parted", "plain"] {
        assert_eq!(
            sorted(&ran, table, "id"),
            (1..=ROWS).collect::<Vec<_>>(),
            "{table}: each row once"
        );
    }
}

#[tokio::test]
async fn only_selected_columns_are_read_and_views_come_in_one_piece() {
    let db = small(
        "CREATE TABLE t (a int, b text, c text); INSERT INTO t VALUES (1, 'b', 'c'); CREATE VIEW v AS SELECT * FROM t",
    );
    let mut catalog = db
        .catalog(&[("t", "full_refresh", None), ("v", "full_refresh", None)])
        .await;
    catalog["streams"][0]["stream"]["json_schema"]["properties"]
        .as_object_mut()
        .unwrap()
        .remove("b");
    let ran = db.read(&catalog, &no_state()).await.succeeded();
    assert_eq!(ran.data("t"), [json!({"a": 1, "c": "c"})]);
    assert_eq!(ran.data("v"), [json!({"a": 1, "b": "b", "c": "c"})]);
}
