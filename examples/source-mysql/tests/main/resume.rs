//! Interrupted reads: stopped at every state, cut off, killed with the server. No row is lost.

use std::collections::BTreeSet;

use cdk_core::protocol::AirbyteMessage;
use cdk_testkit::Ran;
use cdk_testkit::servers::mariadb::MariaDbServer;
use cdk_testkit::servers::proxy::FaultProxy;
use serde_json::{Value, json};

use crate::support::{Database, eager, run, saved};

/// A table whose key has three columns, few values in the first of them.
const COMPOSITE: &str = "CREATE TABLE t (a INT, b VARCHAR(10) COLLATE utf8mb4_bin, c VARBINARY(4), id INT, PRIMARY KEY (a, b, c));
    INSERT INTO t SELECT seq DIV 300, CHAR(97 + seq % 300 DIV 50), UNHEX(LPAD(HEX(seq % 50 * 5), 2, '0')), seq
    FROM seq_0_to_899; ANALYZE TABLE t";

fn add(seen: &mut BTreeSet<i64>, ran: &Ran) -> usize {
    let before = seen.len();
    seen.extend(ran.data("t").iter().map(|row| row["id"].as_i64().unwrap()));
    seen.len() - before
}

/// What a run that was killed behind its `at`th state leaves: the ids it gave before that, and the state.
fn killed_at(ran: &Ran, at: usize) -> (BTreeSet<i64>, Value) {
    let (mut seen, mut states) = (BTreeSet::new(), 0);
    for message in &ran.messages {
        match message {
            AirbyteMessage::Record(record) => {
                let row: Value = record.data.parse_as().unwrap();
                seen.insert(row["id"].as_i64().unwrap());
            }
            AirbyteMessage::State(state) if states == at => return (seen, json!([state])),
            AirbyteMessage::State(_) => states += 1,
            _ => {}
        }
    }
    panic!("there is no state {at}")
}

/// Reads on from every state of a run: what was given before it and what comes then are all rows.
async fn resume_at_every_state(database: &Database<'_>, config: &Value, mode: &str) {
    let catalog = database.catalog(config, mode, Some("id")).await;
    let ran = run("read", config, Some(&catalog), None, eager(40))
        .await
        .succeeded();
    let states = ran.states().len();
    assert!(states > 20, "{mode}: {states} states");
    for at in 0..states {
        let (mut seen, state) = killed_at(&ran, at);
        let before = seen.len();
        let rest = run("read", config, Some(&catalog), Some(&state), eager(40))
            .await
            .succeeded();
        add(&mut seen, &rest);
        assert_eq!(seen, (0..900).collect(), "{mode}: state {at}: {state}");
        // What was covered does not come again.
        let again = rest.records("t").len();
        assert!(
            again <= 900 - before + 40,
            "{mode}: state {at}: {again} rows after {before}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_by_composite_key_goes_on_from_every_state() {
    let database = Database::shared("composite");
    database.sql(COMPOSITE);
    let config = database.config(json!({}));
    for mode in ["full_refresh", "incremental"] {
        resume_at_every_state(&database, &config, mode).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_load_for_the_log_goes_on_from_every_state() {
    let database = Database::shared("composite_cdc");
    database.sql(COMPOSITE);
    resume_at_every_state(&database, &database.cdc(), "incremental").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_inside_a_row_is_gone_on_from_the_last_state() {
    let database = Database::shared("cut");
    database.sql(COMPOSITE);
    let proxy = FaultProxy::start(database.server.port()).await;
    for (mode, more) in [
        ("full_refresh", json!({})),
        (
            "incremental",
            json!({"replication_method": {"method": "CDC"}}),
        ),
    ] {
        let mut config = database.config(more);
        let catalog = database.catalog(&config, mode, None).await;
        config["port"] = json!(proxy.port());
        let (mut seen, mut state) = (BTreeSet::new(), json!([]));
        for bytes in [30_000, 33_333, 40_001, 70_007] {
            proxy.cut_after(bytes);
            let ran = run("read", &config, Some(&catalog), Some(&state), eager(40)).await;
            add(&mut seen, &ran);
            if !ran.states().is_empty() {
                state = saved(&ran);
            }
            if !ran.errors().is_empty() {
                let kind = ran.error().failure_type.unwrap().as_str();
                assert_eq!(kind, "transient_error", "{}", ran.text);
            }
        }
        proxy.heal();
        let ran = run("read", &config, Some(&catalog), Some(&state), eager(40))
            .await
            .succeeded();
        add(&mut seen, &ran);
        assert_eq!(seen, (0..900).collect(), "{mode}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_crashes_is_a_transient_error_and_reading_goes_on() {
    let mut server = MariaDbServer::start();
    let name;
    let (config, catalog, first) = {
        let database = Database::at(&server, "crash");
        database.sql(COMPOSITE);
        let config = database.cdc();
        let catalog = database.catalog(&config, "incremental", None).await;
        let first = run("read", &config, Some(&catalog), None, eager(40))
            .await
            .succeeded();
        database.sql("UPDATE t SET id = id + 1000 WHERE a = 0");
        name = database.name;
        (config, catalog, first)
    };
    server.crash();
    let down = run(
        "read",
        &config,
        Some(&catalog),
        Some(&saved(&first)),
        eager(40),
    )
    .await;
    assert_eq!(
        down.error().failure_type.unwrap().as_str(),
        "transient_error",
        "{}",
        down.text
    );
    server.start_again();
    server.sql(&name, "DELETE FROM t WHERE a = 1");
    let second = run(
        "read",
        &config,
        Some(&catalog),
        Some(&saved(&first)),
        eager(40),
    )
    .await
    .succeeded();
    let (updated, deleted): (Vec<_>, Vec<_>) = second
        .data("t")
        .into_iter()
        .partition(|row| row["_ab_cdc_deleted_at"].is_null());
    assert_eq!((updated.len(), deleted.len()), (300, 300));
    let files: BTreeSet<_> = second
        .data("t")
        .iter()
        .map(|row| row["_ab_cdc_log_file"].to_string())
        .collect();
    assert_eq!(
        files.len(),
        2,
        "the restart began a new log file: {files:?}"
    );
}
