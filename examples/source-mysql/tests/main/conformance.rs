//! The source by the rules of the protocol.

use cdk_testkit::Suite;
use serde_json::{Value, json};
use source_mysql::MySqlSource;

use crate::support::{Database, PASSWORD};

const TABLES: &str = "
    CREATE TABLE orders (id INT, line INT, price DECIMAL(10,2), at DATETIME(6), PRIMARY KEY (id, line), KEY (at));
    INSERT INTO orders SELECT seq DIV 3, seq % 3, seq / 7, '2024-01-01' + INTERVAL seq SECOND FROM seq_0_to_99;
    CREATE TABLE notes (at TIMESTAMP(3) NOT NULL, doc JSON, blobs BLOB, clock TIME);
    INSERT INTO notes VALUES ('2024-01-01', '{\"a\": [1]}', x'00ff', '10:20:30'), ('2024-01-02', NULL, NULL, NULL)";

fn suite(config: Value) -> Suite {
    let mut invalid = config.clone();
    invalid["password"] = json!("not the password");
    let suite = Suite::source(MySqlSource::default());
    suite
        .config(config)
        .invalid_config(invalid)
        .secret(PASSWORD)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_source_conforms_when_it_reads_by_cursor() {
    let database = Database::shared("conformance");
    database.sql(TABLES);
    let report = suite(database.config(json!({}))).run().await;
    assert!(report.is_clean(), "{}", report.table());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_source_conforms_when_it_reads_the_log() {
    let database = Database::shared("conformance_cdc");
    database.sql(TABLES);
    // A row that is loaded again says where the log is then.
    let places = [
        "_ab_cdc_cursor",
        "_ab_cdc_log_file",
        "_ab_cdc_log_pos",
        "_ab_cdc_updated_at",
    ];
    // Without a key, `notes` is no stream of the log.
    let suite = suite(database.cdc())
        .streams(["orders"])
        .ignore_fields(places);
    let report = suite.run().await;
    assert!(report.is_clean(), "{}", report.table());
}
