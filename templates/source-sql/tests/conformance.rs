//! The source by the protocol, over a database of a test.

use cdk_testkit::{Files, Suite};
use rusqlite::Connection;
use serde_json::json;
use {{ crate_name }}::{{ crate_name | pascal_case }};

#[tokio::test]
async fn the_source_conforms() {
    let files = Files::new();
    let path = files.path().join("shop.sqlite");
    let database = Connection::open(&path).expect("a database can be created");
    database
        .execute_batch(
            "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, rating REAL);
             INSERT INTO users VALUES (1, 'Ada', 4.5), (2, NULL, 3.0), (9007199254740993, 'Grace', NULL);
             CREATE TABLE notes (note TEXT);
             INSERT INTO notes VALUES ('one'), ('two');",
        )
        .expect("tables can be filled");
    let missing = files.path().join("missing.sqlite");
    let report = Suite::source({{ crate_name | pascal_case }})
        .config(json!({ "path": path }))
        .invalid_config(json!({ "path": missing }))
        .expected_records(
            "users",
            [json!({"id": 9_007_199_254_740_993_i64, "name": "Grace"})],
        )
        .run()
        .await;
    report.assert_passed();
}
