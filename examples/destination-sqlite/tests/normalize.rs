//! Raw tables and their normalization.

mod support;

use airbyte_protocol::FailureType;
use cdk_normalize::Normalized;
use cdk_testkit::StreamSpec;
use serde_json::{Value, json};
use support::Warehouse;

fn customers(mode: &str) -> StreamSpec {
    let text = || json!({"type": "string"});
    let properties = json!({
        "id": {"type": "integer"},
        "name": text(),
        "contact": {"type": ["null", "object"], "properties": {"email": text(), "phone": text()}},
        "addresses": {"type": "array", "items": {"type": "object", "properties": {"type": text(), "city": text()}}},
    });
    StreamSpec::new("customers", mode, properties).key(&["id"])
}

/// The record that the guide prints.
fn acme() -> Value {
    json!({
        "id": 1, "name": "Acme Corp",
        "contact": {"email": "info@acme.com", "phone": "+1234567890"},
        "addresses": [{"type": "billing", "city": "New York"}, {"type": "shipping", "city": "Boston"}],
    })
}

fn other(name: &str, cities: &[&str]) -> Value {
    let addresses: Vec<_> = cities.iter().map(|city| json!({"city": city})).collect();
    json!({"id": 2, "name": name, "addresses": addresses})
}

fn basic() -> Warehouse {
    let mut warehouse = Warehouse::new();
    warehouse.options = json!({"normalization": {"Mode": "Basic"}});
    warehouse
}

async fn complete(warehouse: &Warehouse, stream: &StreamSpec, rows: &[(i64, Value)]) {
    let records = rows
        .iter()
        .map(|(at, data)| stream.record(*at, data.clone()));
    let mut messages: Vec<_> = records.collect();
    messages.push(stream.complete());
    warehouse.write(&[stream], &messages).await.succeeded();
}

async fn again(warehouse: &Warehouse, is_full: bool) -> cdk_core::Result<Vec<Normalized>> {
    let destination = destination_sqlite::SqliteDestination::default();
    let config = cdk_core::Destination::normalize_config(&destination, warehouse.config());
    let config = serde_json::from_value(config).expect("a valid config");
    destination_sqlite::normalize(&config, is_full, 1_735_689_600_000).await
}

const JOINED: &str = "SELECT c.id, c.name, a.city FROM customers c LEFT JOIN customers_addresses a \
                      USING (_airbyte_customers_hashid) ORDER BY c.id, a.city";

#[tokio::test]
async fn the_tables_of_the_guide_come_out_as_printed() {
    let warehouse = basic();
    complete(
        &warehouse,
        &customers("append"),
        &[(1_760_608_800_000, acme())],
    )
    .await;
    let row =
        "SELECT id, name, contact_email, contact_phone, _airbyte_normalized_at FROM customers";
    assert_eq!(
        warehouse.query(row),
        ["1, 'Acme Corp', 'info@acme.com', '+1234567890', '2025-01-01T00:00:00.000Z'"]
    );
    let columns = "SELECT group_concat(name, ' ') FROM pragma_table_info('customers_addresses')";
    assert_eq!(
        warehouse.query(columns),
        [
            "'_airbyte_customers_hashid type city _airbyte_normalized_at _airbyte_ab_id _airbyte_emitted_at \
           _airbyte_customers_addresses_hashid'"
        ]
    );
    assert_eq!(
        warehouse.query(JOINED),
        ["1, 'Acme Corp', 'Boston'", "1, 'Acme Corp', 'New York'"]
    );
    let raw = "SELECT _airbyte_emitted_at, _airbyte_data ->> '$.contact.email' FROM _airbyte_raw_customers";
    assert_eq!(
        warehouse.query(raw),
        ["'2025-10-16T10:00:00.000Z', 'info@acme.com'"]
    );
}

#[tokio::test]
async fn only_new_raw_rows_are_read_and_nested_rows_of_an_updated_key_are_replaced() {
    let warehouse = basic();
    let stream = customers("append_dedup");
    complete(
        &warehouse,
        &stream,
        &[
            (1, acme()),
            (1, other("a", &["x", "y"])),
            (2, other("b", &["z"])),
        ],
    )
    .await;
    complete(
        &warehouse,
        &stream,
        &[(3, other("c", &["u", "v"])), (2, other("late", &["w"]))],
    )
    .await;
    let expected = [
        "1, 'Acme Corp', 'Boston'",
        "1, 'Acme Corp', 'New York'",
        "2, 'c', 'u'",
        "2, 'c', 'v'",
    ];
    assert_eq!(warehouse.query(JOINED), expected);
    complete(&warehouse, &stream, &[(2, other("late", &["w"]))]).await;
    assert_eq!(warehouse.query(JOINED), expected);
    assert_eq!(
        warehouse.query("SELECT count(*) FROM customers_addresses"),
        ["4"]
    );
    assert_eq!(again(&warehouse, false).await.unwrap()[0].raw_rows, 0);
    assert_eq!(again(&warehouse, true).await.unwrap()[0].raw_rows, 6);
    assert_eq!(warehouse.query(JOINED), expected);
}

#[tokio::test]
async fn an_overwrite_and_a_changed_schema_make_all_rows_anew() {
    let warehouse = basic();
    let mut data = acme();
    data["contact"]["fax"] = json!(12);
    complete(
        &warehouse,
        &customers("append"),
        &[(1, data.clone()), (1, other("a", &["x"]))],
    )
    .await;
    warehouse
        .open()
        .execute_batch(
            "CREATE INDEX mine ON customers (name); CREATE VIEW w AS SELECT name FROM customers",
        )
        .unwrap();
    let mut stream = customers("overwrite").generation(2, 2);
    stream.properties["contact"]["properties"]["fax"] = json!({"type": "integer"});
    complete(&warehouse, &stream, &[(2, data)]).await;
    assert_eq!(
        warehouse.query("SELECT id, contact_fax FROM customers"),
        ["1, 12"]
    );
    assert_eq!(
        warehouse.query(JOINED),
        ["1, 'Acme Corp', 'Boston'", "1, 'Acme Corp', 'New York'"]
    );
    assert_eq!(warehouse.query("SELECT name FROM w"), ["'Acme Corp'"]);
    assert_eq!(
        warehouse.query("SELECT tbl_name FROM sqlite_schema WHERE name = 'mine'"),
        ["'customers'"]
    );
}

#[tokio::test]
async fn a_failure_keeps_raw_rows_and_states_and_can_be_run_again_alone() {
    let warehouse = basic();
    let stream = customers("append");
    complete(&warehouse, &stream, &[(1, acme())]).await;
    let refuse = "CREATE TRIGGER no BEFORE INSERT ON customers_addresses WHEN new.city = 'x' \
                  BEGIN SELECT raise(ABORT, 'no x'); END";
    warehouse.open().execute_batch(refuse).unwrap();
    let messages = [
        stream.record(2, other("b", &["x"])),
        stream.state(2),
        stream.complete(),
    ];
    let ran = warehouse.write(&[&stream], &messages).await;
    assert_eq!((ran.exit.code(), ran.states().len()), (1, 1));
    assert!(
        ran.error().message.contains("customers_addresses"),
        "{}",
        ran.error().message
    );
    assert_eq!(
        warehouse.query("SELECT count(*) FROM _airbyte_raw_customers"),
        ["2"]
    );
    assert_eq!(warehouse.query("SELECT count(*) FROM customers"), ["1"]);
    warehouse.open().execute_batch("DROP TRIGGER no").unwrap();
    assert_eq!(again(&warehouse, false).await.unwrap()[0].raw_rows, 1);
    assert_eq!(warehouse.query("SELECT count(*) FROM customers"), ["2"]);
}

#[tokio::test]
async fn numbers_keep_every_digit() {
    let warehouse = basic();
    let properties = json!({"o": {"type": "object", "properties": {"n": {"type": "number"}, "i": {"type": "integer"}}}});
    let stream = StreamSpec::new("t", "append", properties);
    let line = "{\"type\":\"RECORD\",\"record\":{\"stream\":\"t\",\"data\":{\"o\":\
                {\"n\":1.10000000000000000001,\"i\":12345678901234567890}},\"emitted_at\":1}}\n";
    let stdin = format!("{line}{}\n", stream.complete());
    warehouse.write_raw(&[&stream], stdin).await.succeeded();
    assert_eq!(
        warehouse.query("SELECT o_n, o_i FROM t"),
        ["'1.10000000000000000001', '12345678901234567890'"]
    );
}

#[tokio::test]
async fn raw_tables_alone_are_overwritten_and_resumed() {
    let mut warehouse = Warehouse::new();
    warehouse.options = json!({"raw_tables": true});
    let stream = |id| customers("overwrite").generation(id, id);
    complete(&warehouse, &stream(1), &[(1, acme())]).await;
    let messages = [stream(2).record(2, other("a", &[])), stream(2).state(1)];
    assert_eq!(
        warehouse.write(&[&stream(2)], &messages).await.exit.code(),
        1
    );
    let rows =
        "SELECT _airbyte_data ->> 'name' FROM _airbyte_raw_customers ORDER BY _airbyte_ab_id";
    assert_eq!(warehouse.query(rows), ["'Acme Corp'"]);
    complete(&warehouse, &stream(2), &[(3, other("b", &[])), (3, acme())]).await;
    assert_eq!(warehouse.query(rows), ["'b'", "'Acme Corp'"]);
    assert!(again(&warehouse, false).await.is_err());
}

#[tokio::test]
async fn tables_of_others_are_never_touched() {
    let warehouse = basic();
    warehouse
        .open()
        .execute_batch("CREATE TABLE customers (id)")
        .unwrap();
    let stream = customers("append");
    let ran = warehouse
        .write(
            &[&stream],
            &[stream.record(1, acme()), stream.state(1), stream.complete()],
        )
        .await;
    assert_eq!(ran.error().failure_type, Some(FailureType::ConfigError));
    assert_eq!(ran.states().len(), 1);
    assert_eq!(warehouse.query("SELECT count(*) FROM customers"), ["0"]);
}
