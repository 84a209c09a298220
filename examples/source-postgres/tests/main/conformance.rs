//! The conformance suite over the standard modes and change data capture.

use cdk_testkit::Suite;
use serde_json::json;

use crate::support::Db;

const TABLES: &str = "CREATE TABLE users (id int PRIMARY KEY, name text, at timestamptz NOT NULL); CREATE INDEX ON users (at); \
    INSERT INTO users SELECT g, 'user ' || g, '2024-01-01 00:00:00+00'::timestamptz + g * interval '1 s' \
    FROM generate_series(1, 60) g; CREATE TABLE plain (doc json, spot point); INSERT INTO plain VALUES ('{\"a\": 1}', '(1,2)')";

#[tokio::test]
async fn the_standard_modes_conform() {
    let db = Db::new(TABLES);
    let mut refused = db.config.clone();
    refused["database"] = json!("nowhere");
    let report = Suite::source(db.source())
        .config(db.config.clone())
        .invalid_config(refused)
        .run()
        .await;
    assert!(report.is_clean(), "{}", report.table());
}

#[tokio::test]
async fn change_data_capture_conforms() {
    let db = Db::new(TABLES);
    let mut config = db.config.clone();
    config["replication_method"] = json!({"method": "CDC", "replication_slot": db.name, "publication": "changes",
        "create_if_missing": true, "initial_waiting_seconds": 300});
    let report = Suite::source(db.source())
        .config(config)
        .streams(["users"])
        // Where the log stands, and the time of the snapshot.
        .ignore_fields(["_ab_cdc_lsn", "_ab_cdc_updated_at"])
        .run()
        .await;
    assert!(report.is_clean(), "{}", report.table());
}
