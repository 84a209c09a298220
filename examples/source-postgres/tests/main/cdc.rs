//! Change data capture: whoever merges the records by key ends with the table, whatever happens on the way.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cdk_testkit::Ran;
use cdk_testkit::servers::postgres::PostgresServer;
use serde_json::{Value, json};

use crate::oracle;
use crate::support::{Db, no_state, states};

/// A database whose changes are captured; slot and publication are made by the first sync.
fn captured(db: Db) -> Db {
    let method = json!({"method": "CDC", "replication_slot": db.name, "publication": "changes", "create_if_missing": true,
        "initial_waiting_seconds": 300});
    let mut db = db.with("replication_method", method);
    db.pages = 5;
    db
}

/// Rows by id as a destination has them that merges by key and `_ab_cdc_lsn`.
#[derive(Default)]
struct Merged(BTreeMap<i64, (u64, Option<Value>)>);

impl Merged {
    fn add(&mut self, ran: &Ran, stream: &str) {
        for record in ran.data(stream) {
            let (id, lsn) = (
                record["id"].as_i64().unwrap(),
                record["_ab_cdc_lsn"].as_u64().unwrap(),
            );
            let is_newer = self.0.get(&id).is_none_or(|(known, _)| lsn >= *known);
            if is_newer {
                let row = record["_ab_cdc_deleted_at"].is_null().then_some(record);
                self.0.insert(id, (lsn, row));
            }
        }
    }

    fn rows(&self) -> BTreeMap<i64, &Value> {
        self.0
            .iter()
            .filter_map(|(id, (_, row))| Some((*id, row.as_ref()?)))
            .collect()
    }

    /// Panics unless it has what the table has in its columns `id` and `n`.
    fn assert_equals(&self, db: &Db, table: &str) {
        let printed = db.sql(&format!(
            "SELECT id || ' ' || coalesce(n::text, 'null') FROM {table} ORDER BY id"
        ));
        let merged: Vec<String> = self
            .rows()
            .iter()
            .map(|(id, row)| format!("{id} {}", row["n"]))
            .collect();
        let expected: Vec<&str> = printed.lines().collect();
        assert_eq!(merged, expected, "{table}");
    }
}

const TABLE: &str = "CREATE TABLE things (id int PRIMARY KEY, n int, pad text); \
    INSERT INTO things SELECT g, g, repeat('x', 100) FROM generate_series(1, 1000) g";

/// Waits until the server has noticed that the last run is over.
async fn released(db: &Db) {
    let active = format!(
        "SELECT count(*) FROM pg_replication_slots WHERE active AND slot_name = '{}'",
        db.name
    );
    until(|| db.sql(&active) == "0").await;
}

/// Waits for a condition; only a bug makes it wait for long.
async fn until(mut is_true: impl FnMut() -> bool) {
    for _ in 0..6000 {
        if is_true() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it does not come true");
}

async fn incremental(db: &Db, tables: &[&str]) -> Value {
    let streams: Vec<_> = tables
        .iter()
        .map(|table| (*table, "incremental", None))
        .collect();
    db.catalog(&streams).await
}

fn shared_lsn(state: &Value) -> String {
    state[0]["global"]["shared_state"]["lsn"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn a_snapshot_is_followed_by_every_kind_of_change() {
    let db = captured(Db::new(TABLE));
    let catalog = incremental(&db, &["things"]).await;
    let schema = &catalog["streams"][0]["stream"]["json_schema"]["properties"];
    assert_eq!(schema["_ab_cdc_lsn"], json!({"type": ["null", "number"]}));
    assert_eq!(schema["id"], json!({"type": "integer"}));
    let mut merged = Merged::default();
    let first = db.read(&catalog, &no_state()).await.succeeded();
    merged.add(&first, "things");
    merged.assert_equals(&db, "things");
    assert_eq!(first.records("things").len(), 1000);
    // The position comes before all rows.
    let lines: Vec<&str> = first.text.lines().collect();
    let at = |text: &str| lines.iter().position(|line| line.contains(text)).unwrap();
    assert!(at("shared_state") < at("\"RECORD\""));

    db.sql(
        "INSERT INTO things VALUES (1001, 1, 'new'); UPDATE things SET n = -1 WHERE id = 5; DELETE FROM things WHERE id = 6; \
         UPDATE things SET id = 2000 WHERE id = 7; UPDATE things SET n = NULL WHERE id = 8",
    );
    db.sql("BEGIN; INSERT INTO things VALUES (3000, 1, ''); ROLLBACK");
    let second = db.read(&catalog, &states(&first)).await.succeeded();
    merged.add(&second, "things");
    merged.assert_equals(&db, "things");
    let records = second.data("things");
    let ids: Vec<i64> = records
        .iter()
        .map(|record| record["id"].as_i64().unwrap())
        .collect();
    assert_eq!(
        ids,
        [1001, 5, 6, 7, 2000, 8],
        "in the order of the changes; the key change is a delete and an insert"
    );
    assert!(records[2]["_ab_cdc_deleted_at"].is_string() && records[2]["n"].is_null());
    assert!(
        records[0]["_ab_cdc_updated_at"]
            .as_str()
            .unwrap()
            .ends_with('Z')
    );
    let third = db.read(&catalog, &states(&second)).await.succeeded();
    assert!(third.records("things").is_empty());
}

#[tokio::test]
async fn what_is_written_while_tables_are_read_is_not_lost() {
    let db = captured(Db::new(&format!(
        "{TABLE}; {}",
        TABLE.replace("things", "others")
    )));
    let catalog = incremental(&db, &["things", "others"]).await;
    let (server, name) = (Arc::clone(&db.server), db.name.clone());
    let writer = std::thread::spawn(move || {
        for round in 0..30 {
            server.sql(
                &name,
                &format!(
                    "UPDATE things SET n = {round} WHERE id % 30 = {round}; DELETE FROM things WHERE id % 97 = {round}; \
                     INSERT INTO things SELECT g, {round}, 'w' FROM generate_series({round} * 100 + 5000, {round} * 100 + 5010) g; \
                     UPDATE others SET id = id + 10000 WHERE id = {round} * 7 + 1; UPDATE others SET n = -{round} WHERE id % 11 = {round} % 11"
                ),
            );
            if round % 10 == 0 {
                server.sql(&name, "VACUUM things");
            }
            if round == 15 {
                server.sql(&name, "VACUUM FULL others");
            }
        }
    });
    let (mut things, mut others) = (Merged::default(), Merged::default());
    let mut state = no_state();
    while !writer.is_finished() {
        let ran = db.read(&catalog, &state).await.succeeded();
        things.add(&ran, "things");
        others.add(&ran, "others");
        state = states(&ran);
    }
    writer.join().unwrap();
    let last = db.read(&catalog, &state).await.succeeded();
    things.add(&last, "things");
    others.add(&last, "others");
    things.assert_equals(&db, "things");
    others.assert_equals(&db, "others");
}

#[tokio::test]
async fn a_run_that_is_stopped_anywhere_goes_on() {
    let mut db = captured(Db::new(TABLE));
    db.config["checkpoint_target_interval_seconds"] = json!(1);
    db.config["concurrency"] = json!(1);
    let catalog = incremental(&db, &["things"]).await;
    let (mut merged, mut state, mut runs) = (Merged::default(), no_state(), 0);
    loop {
        let marker = if runs % 2 == 0 {
            "\"RECORD\""
        } else {
            "shared_state"
        };
        let ran = db.read_until(marker, &catalog, &state).await;
        merged.add(&ran, "things");
        if !ran.states().is_empty() {
            state = states(&ran);
        }
        db.sql(&format!(
            "UPDATE things SET n = n + 1 WHERE id % 50 = {runs} % 50"
        ));
        runs += 1;
        let stream = &state[0]["global"]["stream_states"][0]["stream_state"];
        if stream["state_type"] == "complete" && runs > 8 {
            break;
        }
        assert!(runs < 500, "the snapshot does not come to an end: {state}");
    }
    let ran = db.read(&catalog, &state).await.succeeded();
    merged.add(&ran, "things");
    merged.assert_equals(&db, "things");
}

#[tokio::test]
async fn a_server_that_crashes_in_the_middle_costs_nothing() {
    let db = captured(Db::alone(TABLE));
    let catalog = incremental(&db, &["things"]).await;
    let mut merged = Merged::default();
    let first = db.read(&catalog, &no_state()).await.succeeded();
    merged.add(&first, "things");
    db.sql("UPDATE things SET n = n + 1");
    db.server.crash();
    let refused = db.read(&catalog, &states(&first)).await;
    assert_eq!(
        serde_json::to_value(refused.error().failure_type).unwrap(),
        "transient_error"
    );
    db.server.start_again();
    db.sql("DELETE FROM things WHERE id < 10");
    let second = db.read(&catalog, &states(&first)).await.succeeded();
    merged.add(&second, "things");
    merged.assert_equals(&db, "things");
    // The same state again: what was not given back is read again.
    let again = db.read(&catalog, &states(&first)).await.succeeded();
    assert_eq!(
        again.records("things").len(),
        second.records("things").len()
    );
}

#[tokio::test]
async fn every_value_of_every_type_arrives_from_the_log_as_from_the_table() {
    let db = captured(Db::new(&oracle::statements(60)));
    db.sql("CREATE TABLE copy (LIKE zoo, PRIMARY KEY (id))");
    let catalog = incremental(&db, &["copy"]).await;
    let first = db.read(&catalog, &no_state()).await.succeeded();
    db.sql("INSERT INTO copy SELECT * FROM zoo");
    let expected = oracle::expected(&db, "copy");
    let second = db.read(&catalog, &states(&first)).await.succeeded();
    let records = second.records("copy");
    assert_eq!(records.len(), expected.len());
    for record in records {
        oracle::judge(record.data.get(), &expected);
        assert!(record.meta.is_none(), "nothing was lost");
    }
}

#[tokio::test]
async fn large_values_that_were_not_changed_keep_their_value() {
    let table = |name: &str, identity: &str| {
        format!(
            "CREATE TABLE {name} (id int PRIMARY KEY, n int, large text, twice int GENERATED ALWAYS AS (n * 2) STORED); \
             ALTER TABLE {name} ALTER large SET STORAGE EXTERNAL; ALTER TABLE {name} REPLICA IDENTITY {identity}; \
             INSERT INTO {name} VALUES (1, 1, repeat('long ', 20000)), (2, 2, repeat('gone ', 20000));"
        )
    };
    let db = captured(Db::new(
        &(table("by_key", "DEFAULT") + &table("in_full", "FULL")),
    ));
    let catalog = incremental(&db, &["by_key", "in_full"]).await;
    let first = db.read(&catalog, &no_state()).await.succeeded();
    for name in ["by_key", "in_full"] {
        db.sql(&format!(
            "UPDATE {name} SET n = 10; DELETE FROM {name} WHERE id = 2"
        ));
    }
    let second = db.read(&catalog, &states(&first)).await.succeeded();
    for name in ["by_key", "in_full"] {
        let records = second.data(name);
        assert_eq!(records.len(), 3);
        assert_eq!(records[0]["large"], json!("long ".repeat(20000)), "{name}");
        assert_eq!(
            records[0]["twice"],
            json!(20),
            "{name}: generated columns are not in the log"
        );
    }
    // The row is gone by now, and so is its large value; the record says so, and the delete follows.
    let lost = &second.records("by_key")[1];
    assert_eq!(
        serde_json::to_value(lost.meta.as_ref().unwrap()).unwrap()["changes"][0]["field"],
        "large"
    );
    assert_eq!(
        second.data("in_full")[1]["large"],
        json!("gone ".repeat(20000))
    );
}

#[tokio::test]
async fn columns_may_come_go_and_change_in_mid_stream() {
    let db = captured(Db::new(TABLE));
    let catalog = incremental(&db, &["things"]).await;
    let first = db.read(&catalog, &no_state()).await.succeeded();
    db.sql(
        "UPDATE things SET n = 1 WHERE id = 1; ALTER TABLE things ADD COLUMN extra text DEFAULT 'e'; \
         UPDATE things SET n = 2 WHERE id = 2; ALTER TABLE things DROP COLUMN pad; UPDATE things SET n = 3 WHERE id = 3; \
         ALTER TABLE things ALTER n TYPE bigint; UPDATE things SET n = 12345678901 WHERE id = 4",
    );
    let second = db.read(&catalog, &states(&first)).await.succeeded();
    let records = second.data("things");
    let ns: Vec<_> = records
        .iter()
        .map(|record| record["n"].as_i64().unwrap())
        .collect();
    // The change of the type rewrites the table; rows of that are not published.
    assert_eq!(ns, [1, 2, 3, 12345678901]);
    assert!(
        records.iter().all(|record| record.get("extra").is_none()),
        "the catalog does not know it yet"
    );
    assert_eq!(records[0]["pad"], json!("x".repeat(100)));
    let refreshed = incremental(&db, &["things"]).await;
    db.sql("UPDATE things SET n = 5 WHERE id = 5");
    let third = db.read(&refreshed, &states(&second)).await.succeeded();
    assert_eq!(third.data("things")[0]["extra"], "e");
}

#[tokio::test]
async fn a_stream_that_is_added_later_is_read_first() {
    let db = captured(Db::new(&format!(
        "{TABLE}; {}",
        TABLE.replace("things", "others")
    )));
    let first = db
        .read(&incremental(&db, &["things"]).await, &no_state())
        .await
        .succeeded();
    db.sql("UPDATE things SET n = 0 WHERE id = 1; UPDATE others SET n = 0 WHERE id = 1");
    let both = incremental(&db, &["things", "others"]).await;
    let second = db.read(&both, &states(&first)).await.succeeded();
    let mut others = Merged::default();
    others.add(&second, "others");
    others.assert_equals(&db, "others");
    assert_eq!(
        second.records("things").len(),
        1,
        "the other stream goes on in the log"
    );
}

#[tokio::test]
async fn a_slot_that_is_gone_fails_with_a_remedy_or_has_all_read_again() {
    let db = captured(Db::new(TABLE));
    let catalog = incremental(&db, &["things"]).await;
    let first = db.read(&catalog, &no_state()).await.succeeded();
    let state = states(&first);
    released(&db).await;
    db.sql(&format!("SELECT pg_drop_replication_slot('{}')", db.name));
    db.sql("DELETE FROM things WHERE id = 1");
    let failed = db.read(&catalog, &state).await;
    assert_eq!(
        serde_json::to_value(failed.error().failure_type).unwrap(),
        "config_error"
    );
    assert!(
        failed.error().message.contains("does not exist any more"),
        "{}",
        failed.error().message
    );
    assert!(failed.error().message.contains("Refresh all streams"));
    let mut db = db;
    db.config["replication_method"]["invalid_cdc_cursor_position_behavior"] = json!("Re-sync data");
    let again = db.read(&catalog, &state).await.succeeded();
    assert_eq!(again.records("things").len(), 999);
    // A slot that somebody else moved on is no better.
    db.config["replication_method"]["invalid_cdc_cursor_position_behavior"] = json!("Fail sync");
    db.sql("UPDATE things SET n = 0 WHERE id = 2");
    released(&db).await;
    db.sql(&format!(
        "SELECT pg_replication_slot_advance('{}', pg_current_wal_lsn())",
        db.name
    ));
    let failed = db.read(&catalog, &states(&again)).await;
    assert!(
        failed.error().message.contains("stands at"),
        "{}",
        failed.error().message
    );
}

#[tokio::test]
async fn the_server_keeps_the_log_until_the_state_was_given_back() {
    let db = captured(Db::alone(TABLE));
    db.sql("CREATE TABLE busy (id int)");
    let catalog = incremental(&db, &["things"]).await;
    let confirmed = || db.sql("SELECT confirmed_flush_lsn FROM pg_replication_slots");
    let kept = || db.sql("SELECT restart_lsn FROM pg_replication_slots");
    let mut state = states(&db.read(&catalog, &no_state()).await.succeeded());
    let first_kept = kept();
    for _ in 0..3 {
        // Nothing happens to the stream's table; its neighbour writes megabytes.
        db.sql("INSERT INTO busy SELECT g FROM generate_series(1, 20000) g; CHECKPOINT");
        let given_back = shared_lsn(&state);
        let ran = db.read(&catalog, &state).await.succeeded();
        assert!(ran.records("things").is_empty());
        // What was given back is confirmed.
        let reached = || {
            let sql = format!("SELECT '{}'::pg_lsn >= '{given_back}'::pg_lsn", confirmed());
            db.sql(&sql) == "t"
        };
        until(reached).await;
        state = states(&ran);
        let is_ahead = db.sql(&format!(
            "SELECT '{}'::pg_lsn > '{}'::pg_lsn",
            shared_lsn(&state),
            confirmed()
        ));
        assert_eq!(is_ahead, "t", "what was just read is not confirmed yet");
    }
    // The log of a quiet table is let go.
    until(|| {
        db.sql(&format!(
            "SELECT '{}'::pg_lsn > '{first_kept}'::pg_lsn",
            kept()
        )) == "t"
    })
    .await;
}

#[tokio::test]
async fn partitions_truncates_and_tables_without_identity() {
    let db = captured(Db::new(
        "CREATE TABLE parted (id int PRIMARY KEY, n int) PARTITION BY RANGE (id); \
         CREATE TABLE low PARTITION OF parted FOR VALUES FROM (0) TO (100); \
         CREATE TABLE high PARTITION OF parted FOR VALUES FROM (100) TO (200); \
         CREATE TABLE bare (id int, n int); INSERT INTO parted SELECT g, g FROM generate_series(0, 199) g; \
         CREATE PUBLICATION changes FOR TABLE parted",
    ));
    let discovered = serde_json::to_value(db.verb("discover").await.succeeded().catalog()).unwrap();
    assert_eq!(
        discovered["streams"][0]["supported_sync_modes"],
        json!(["full_refresh"]),
        "bare"
    );
    let catalog = incremental(&db, &["parted"]).await;
    let mut merged = Merged::default();
    let first = db.read(&catalog, &no_state()).await.succeeded();
    merged.add(&first, "parted");
    // Published under the names of the partitions, since the publication does not say otherwise.
    db.sql("UPDATE parted SET n = -n; DELETE FROM parted WHERE id = 185; UPDATE parted SET id = 185 WHERE id = 95; TRUNCATE high");
    let second = db.read(&catalog, &states(&first)).await.succeeded();
    merged.add(&second, "parted");
    assert!(
        second.logs().iter().any(|log| log.contains("TRUNCATE")),
        "{}",
        second.text
    );
    let low = db.sql("SELECT count(*) FROM low");
    assert_eq!(
        merged
            .rows()
            .keys()
            .filter(|id| **id < 100)
            .count()
            .to_string(),
        low
    );
}

#[tokio::test]
async fn check_names_everything_that_is_missing_at_once() {
    let server = Arc::new(
        PostgresServer::builder()
            .setting("wal_level", "replica")
            .start(),
    );
    let db = Db::on(
        server,
        "CREATE TABLE t (id int PRIMARY KEY); CREATE ROLE reader LOGIN; GRANT SELECT ON t TO reader",
    );
    let method =
        json!({"method": "CDC", "replication_slot": "my_slot", "publication": "my_publication"});
    let db = db
        .with("replication_method", method)
        .with("username", json!("reader"));
    let ran = db.verb("check").await;
    let status = ran.connection_status();
    let text = status.message.clone().unwrap_or_default();
    for words in [
        "wal_level = logical",
        "ALTER USER \"reader\" REPLICATION",
        "pg_create_logical_replication_slot('my_slot'",
        "CREATE PUBLICATION \"my_publication\"",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[tokio::test]
async fn tables_that_the_publication_lacks_are_named() {
    let mut db = captured(Db::new(&format!("{TABLE}; CREATE PUBLICATION changes")));
    db.config["replication_method"]["create_if_missing"] = json!(false);
    db.sql(&format!(
        "SELECT pg_create_logical_replication_slot('{}', 'pgoutput')",
        db.name
    ));
    let catalog = incremental(&db, &["things"]).await;
    let ran = db.read(&catalog, &no_state()).await;
    assert!(
        ran.error()
            .message
            .contains("ADD TABLE \"public\".\"things\""),
        "{}",
        ran.text
    );
}

#[tokio::test]
async fn full_refresh_works_beside_captured_streams() {
    let db = captured(Db::new(&format!(
        "{TABLE}; CREATE TABLE bare (id int); INSERT INTO bare VALUES (1)"
    )));
    let catalog = db
        .catalog(&[
            ("things", "incremental", None),
            ("bare", "full_refresh", None),
        ])
        .await;
    let ran = db.read(&catalog, &no_state()).await.succeeded();
    assert_eq!(ran.data("bare"), [json!({"id": 1})]);
    assert_eq!(ran.records("things").len(), 1000);
    // One sync has one kind of states, and any of them holds what all streams go on from.
    assert!(ran.states().iter().all(|state| state.global.is_some()));
    let next = db.read(&catalog, &states(&ran)).await.succeeded();
    assert_eq!(
        next.records("bare").len(),
        0,
        "the full refresh was complete"
    );
    assert_eq!(next.records("things").len(), 0);
}
