//! The destination by the protocol, and what its tables hold.

mod support;

use std::path::PathBuf;

use cdk_testkit::Suite;
use destination_sqlite::SqliteDestination;
use rusqlite::types::ValueRef;
use serde_json::{Map, Value, json};
use support::Warehouse;

/// The rows of a stream's table.
fn rows(path: PathBuf, namespace: Option<String>, stream: &str) -> rusqlite::Result<Vec<Value>> {
    let table = namespace.map_or(stream.to_owned(), |namespace| {
        format!("{namespace}__{stream}")
    });
    let connection = rusqlite::Connection::open(path)?;
    let sql = format!("SELECT * FROM \"{}\"", table.replace('"', "\"\""));
    let mut statement = connection.prepare(&sql)?;
    let names: Vec<_> = statement
        .column_names()
        .into_iter()
        .map(str::to_owned)
        .collect();
    let rows = statement.query_map([], |row| {
        let cells = names.iter().enumerate().map(|(at, name)| {
            let value = match row.get_ref(at)? {
                ValueRef::Null => Value::Null,
                ValueRef::Integer(number) => json!(number),
                ValueRef::Real(number) => json!(number),
                ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
                    json!(String::from_utf8_lossy(bytes))
                }
            };
            Ok((name.clone(), value))
        });
        Ok(Value::Object(
            cells.collect::<rusqlite::Result<Map<_, _>>>()?,
        ))
    })?;
    rows.collect()
}

#[tokio::test]
async fn the_destination_conforms() {
    let warehouse = Warehouse::new();
    let missing = warehouse.directory.path().join("missing/data.sqlite");
    let path = warehouse.path();
    let report = Suite::destination(SqliteDestination::default())
        .config(json!({"path": warehouse.path()}))
        .invalid_config(json!({"path": missing}))
        .read_back(move |namespace, stream| {
            let path = path.clone();
            async move { rows(path, namespace, &stream).map_err(|error| error.to_string()) }
        })
        .run()
        .await;
    report.assert_passed();
    assert!(report.is_clean(), "{}", report.table());
}
