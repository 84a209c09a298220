//! The destination by the protocol, and what its tables hold.

use cdk_testkit::Suite;
use cdk_testkit::servers::free_port;
use destination_postgres::PostgresDestination;
use serde_json::Value;

use crate::support::Warehouse;

/// The rows of a stream's table. Times are printed as they were read.
fn rows(namespace: Option<&str>, stream: &str, database: &str) -> Result<Vec<Value>, String> {
    let table = format!("\"{}\".\"{stream}\"", namespace.unwrap_or("public"));
    let warehouse = Warehouse {
        database: database.to_owned(),
        ..Warehouse::new()
    };
    let sql = format!("SET timezone = 'UTC'; SELECT row_to_json(t) FROM {table} t");
    let printed = warehouse.server.try_sql(database, &sql)?;
    let row = |line: &str| serde_json::from_str(line).map_err(|error| error.to_string());
    printed.lines().map(row).collect()
}

#[tokio::test]
async fn the_destination_conforms() {
    let warehouse = Warehouse::new();
    let mut nowhere = warehouse.config();
    nowhere["port"] = free_port().into();
    let database = warehouse.database.clone();
    let report = Suite::destination(PostgresDestination)
        .config(warehouse.config())
        .invalid_config(nowhere)
        .read_back(move |namespace, stream| {
            let rows = rows(namespace.as_deref(), &stream, &database);
            async move { rows }
        })
        .run()
        .await;
    report.assert_passed();
    assert!(report.is_clean(), "{}", report.table());
}
