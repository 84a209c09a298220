//! Basic normalization of raw tables.

use airbyte_protocol::FailureType;
use cdk_testkit::StreamSpec;
use destination_postgres::{Config, PostgresDestination};
use serde_json::{Value, json};

use crate::support::{NOW_MS, Warehouse};

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

fn basic() -> Warehouse<'static> {
    Warehouse::new().with(json!({"normalization": {"mode": "basic"}}))
}

const JOINED: &str = "SELECT c.id, c.name, a.city FROM customers c LEFT JOIN customers_addresses a \
                      USING (_airbyte_customers_hashid) ORDER BY c.id, a.city";

/// Normalizes without a source, as `cdk normalize` does.
async fn again(
    warehouse: &Warehouse<'_>,
    is_full: bool,
) -> cdk_core::Result<Vec<cdk_normalize::Normalized>> {
    let config = cdk_core::Destination::normalize_config(&PostgresDestination, warehouse.config());
    let config: Config = serde_json::from_value(config).unwrap();
    destination_postgres::normalize(&config, is_full, NOW_MS).await
}

#[tokio::test]
async fn the_tables_of_the_guide_come_out_as_printed() {
    let warehouse = basic();
    warehouse
        .complete(&customers("append"), &[(1_760_608_800_000, acme())])
        .await;
    assert_eq!(
        warehouse.query("SELECT id, name, contact_email, contact_phone, _airbyte_normalized_at AT TIME ZONE 'UTC' FROM customers"),
        ["1|Acme Corp|info@acme.com|+1234567890|2025-01-01 00:00:00"]
    );
    assert_eq!(
        warehouse.query("SELECT type, city FROM customers_addresses ORDER BY type"),
        ["billing|New York", "shipping|Boston"]
    );
    assert_eq!(
        warehouse.query(JOINED),
        ["1|Acme Corp|Boston", "1|Acme Corp|New York"]
    );
    let columns = "SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum) \
                   FROM pg_attribute WHERE attnum > 0 AND attrelid = 'TABLE'::regclass";
    assert_eq!(
        warehouse.value(&columns.replace("TABLE", "customers")),
        "id bigint, name character varying, contact_email character varying, contact_phone character varying, \
         _airbyte_normalized_at timestamp with time zone, _airbyte_ab_id character varying, \
         _airbyte_emitted_at timestamp with time zone, _airbyte_customers_hashid character varying"
    );
    assert_eq!(
        warehouse.value(&columns.replace("TABLE", "customers_addresses")),
        "_airbyte_customers_hashid character varying, type character varying, city character varying, \
         _airbyte_normalized_at timestamp with time zone, _airbyte_ab_id character varying, \
         _airbyte_emitted_at timestamp with time zone, _airbyte_customers_addresses_hashid character varying"
    );
    // The raw table is the one that the guide prints, and its dbt model reads it.
    assert_eq!(
        warehouse.query(&include_str!("../data/stg_customers.sql").replace(
            "{{ source('airbyte_raw', '_airbyte_raw_customers') }}",
            "public._airbyte_raw_customers"
        ).replace("select * from parsed", "select customer_id + 1, customer_name, email, phone, _airbyte_emitted_at at time zone 'utc', length(_airbyte_ab_id) from parsed")),
        ["2|Acme Corp|info@acme.com|+1234567890|2025-10-16 10:00:00|36"]
    );
}

#[tokio::test]
async fn only_new_raw_rows_are_read_and_nested_rows_of_an_updated_key_are_replaced() {
    let warehouse = basic();
    let stream = customers("append_dedup");
    warehouse
        .complete(
            &stream,
            &[
                (1, acme()),
                (1, other("a", &["x", "y"])),
                (2, other("b", &["z"])),
            ],
        )
        .await;
    assert_eq!(
        warehouse.query(JOINED),
        ["1|Acme Corp|Boston", "1|Acme Corp|New York", "2|b|z"]
    );
    warehouse
        .complete(&stream, &[(3, other("c", &["u", "v"]))])
        .await;
    assert_eq!(
        warehouse.query(JOINED),
        [
            "1|Acme Corp|Boston",
            "1|Acme Corp|New York",
            "2|c|u",
            "2|c|v"
        ]
    );
    assert_eq!(
        warehouse.value("SELECT count(*) FROM customers_addresses"),
        "4"
    );
    // Every version is in the raw table; a late one changes nothing.
    warehouse
        .complete(&stream, &[(2, other("late", &["w"]))])
        .await;
    assert_eq!(
        warehouse.query(JOINED),
        [
            "1|Acme Corp|Boston",
            "1|Acme Corp|New York",
            "2|c|u",
            "2|c|v"
        ]
    );
    assert_eq!(
        warehouse.value("SELECT count(*) FROM _airbyte_raw_customers"),
        "5"
    );
    let done = again(&warehouse, false).await.unwrap();
    assert_eq!((done.len(), done[0].raw_rows), (1, 0));
    let done = again(&warehouse, true).await.unwrap();
    assert_eq!(done[0].raw_rows, 5);
    assert_eq!(
        warehouse.query(JOINED),
        [
            "1|Acme Corp|Boston",
            "1|Acme Corp|New York",
            "2|c|u",
            "2|c|v"
        ]
    );
}

#[tokio::test]
async fn nulls_in_the_key_are_one_key_here_too() {
    let warehouse = basic();
    let properties = json!({"a": {"type": "integer"}, "o": {"type": "object", "properties": {"b": {"type": "string"}}},
        "at": {"type": "integer"}});
    let stream = StreamSpec::new("t", "append_dedup", properties)
        .key(&["a"])
        .cursor("at");
    let row =
        |a: Option<i64>, b: &str, at: Option<i64>| (1, json!({"a": a, "o": {"b": b}, "at": at}));
    warehouse
        .complete(
            &stream,
            &[
                row(None, "x", Some(1)),
                row(None, "y", Some(3)),
                row(Some(1), "z", None),
            ],
        )
        .await;
    warehouse
        .complete(
            &stream,
            &[row(None, "late", Some(2)), row(Some(1), "w", Some(0))],
        )
        .await;
    assert_eq!(
        warehouse.query("SELECT a, o_b, at FROM t ORDER BY a NULLS FIRST"),
        ["|y|3", "1|w|0"]
    );
}

#[tokio::test]
async fn an_append_keeps_every_row_and_an_overwrite_replaces_all() {
    let warehouse = basic();
    let stream = customers("append");
    warehouse.complete(&stream, &[(1, acme())]).await;
    warehouse.complete(&stream, &[(2, acme())]).await;
    assert_eq!(warehouse.value("SELECT count(*) FROM customers"), "2");
    assert_eq!(warehouse.query(JOINED).len(), 4);
    warehouse.execute("CREATE VIEW w AS SELECT contact_email FROM customers");
    let overwrite = customers("overwrite").generation(9, 9);
    warehouse
        .interrupted(&overwrite, &[(3, other("new", &["x"]))])
        .await;
    assert_eq!(warehouse.value("SELECT count(*) FROM customers"), "2");
    warehouse.complete(&overwrite, &[(3, acme())]).await;
    assert_eq!(
        warehouse.query(JOINED),
        ["1|Acme Corp|Boston", "1|Acme Corp|New York", "2|new|x"]
    );
    assert_eq!(
        warehouse.query("SELECT contact_email FROM w WHERE contact_email <> ''"),
        ["info@acme.com"]
    );
}

#[tokio::test]
async fn a_changed_schema_normalizes_all_raw_rows_again() {
    let warehouse = basic();
    let mut stream = customers("append");
    let mut data = acme();
    data["tags"] = json!([{"k": 1}]);
    data["contact"]["fax"] = json!("+1");
    warehouse.complete(&stream, &[(1, data)]).await;
    let text = json!({"type": "string"});
    stream.properties["contact"]["properties"]["fax"] = text;
    stream.properties["tags"] = json!({"type": "array", "items": {"type": "object", "properties": {"k": {"type": "integer"}}}});
    warehouse.complete(&stream, &[]).await;
    assert_eq!(
        warehouse.query("SELECT id, contact_fax FROM customers"),
        ["1|+1"]
    );
    assert_eq!(warehouse.query("SELECT k FROM customers_tags"), ["1"]);
}

#[tokio::test]
async fn a_failure_keeps_raw_rows_and_states_and_can_be_run_again_alone() {
    let warehouse = basic();
    let stream = customers("append");
    warehouse.complete(&stream, &[(1, acme())]).await;
    warehouse.execute("ALTER TABLE customers_addresses ADD CONSTRAINT no_x CHECK (city <> 'x')");
    let messages = [
        stream.record(2, other("b", &["x"])),
        stream.state(2),
        stream.complete(),
    ];
    let ran = warehouse.write(&[&stream], &messages).await;
    assert_eq!(ran.exit.code(), 1);
    assert_eq!(ran.error().failure_type, Some(FailureType::ConfigError));
    assert!(
        ran.error().message.contains("customers_addresses"),
        "{}",
        ran.error().message
    );
    assert_eq!(ran.states().len(), 1);
    assert_eq!(
        warehouse.value("SELECT count(*) FROM _airbyte_raw_customers"),
        "2"
    );
    assert_eq!(warehouse.value("SELECT count(*) FROM customers"), "1");
    assert!(again(&warehouse, false).await.is_err());
    warehouse.execute("ALTER TABLE customers_addresses DROP CONSTRAINT no_x");
    let done = again(&warehouse, false).await.unwrap();
    assert_eq!(done[0].raw_rows, 1);
    assert_eq!(
        warehouse.query(JOINED),
        ["1|Acme Corp|Boston", "1|Acme Corp|New York", "2|b|x"]
    );
}

#[tokio::test]
async fn values_that_are_not_what_the_schema_says_are_null_and_logged() {
    let warehouse = basic();
    let stream = customers("append");
    let data = json!({"id": "one", "name": "n", "contact": "none", "addresses": [5]});
    let ran = warehouse.complete(&stream, &[(1, data)]).await;
    assert_eq!(
        warehouse.query("SELECT id, name, contact_email FROM customers"),
        ["|n|"]
    );
    let logs = ran.logs().join("\n");
    for place in [
        "column `id` of table `customers`",
        "column `contact_email`",
        "rows of table `customers_addresses`",
    ] {
        assert!(logs.contains(place), "{place}: {logs}");
    }
}

#[tokio::test]
async fn classic_makes_the_tables_of_2023_and_version_2_can_be_normalized_too() {
    let options = json!({"normalization": {"mode": "classic"}, "raw_tables": "v2"});
    let warehouse = Warehouse::new().with(options);
    warehouse
        .complete(&customers("append_dedup"), &[(1, acme())])
        .await;
    assert_eq!(
        warehouse.query("SELECT id, contact, addresses->0->>'city' FROM customers"),
        ["1|{\"email\": \"info@acme.com\", \"phone\": \"+1234567890\"}|New York"]
    );
    let nested = "SELECT email, city FROM customers JOIN customers_contact USING (_airbyte_customers_hashid) \
                  JOIN customers_addresses USING (_airbyte_customers_hashid) ORDER BY city";
    assert_eq!(
        warehouse.query(nested),
        ["info@acme.com|Boston", "info@acme.com|New York"]
    );
    // The id is what dbt's surrogate_key makes of the values of a row of texts and numbers.
    assert_eq!(
        warehouse.value(
            "SELECT _airbyte_customers_contact_hashid = md5(_airbyte_customers_hashid || '-' || email || '-' || phone) \
             FROM customers_contact"
        ),
        "t"
    );
}

#[tokio::test]
async fn deleted_rows_of_a_change_log_are_not_in_the_tables() {
    let warehouse = basic();
    let mut stream = customers("append_dedup");
    stream.properties["_ab_cdc_deleted_at"] = json!({"type": "string", "format": "date-time"});
    warehouse
        .complete(&stream, &[(1, acme()), (1, other("b", &["x"]))])
        .await;
    let mut gone = acme();
    gone["_ab_cdc_deleted_at"] = json!("2024-01-01T00:00:00Z");
    warehouse.complete(&stream, &[(2, gone)]).await;
    assert_eq!(warehouse.query(JOINED), ["2|b|x"]);
    assert_eq!(
        warehouse.value("SELECT count(*) FROM customers_addresses"),
        "1"
    );
}

#[tokio::test]
async fn tables_of_others_are_never_touched() {
    let warehouse = basic();
    warehouse.execute("CREATE TABLE customers (id bigint)");
    let stream = customers("append");
    let ran = warehouse
        .write(
            &[&stream],
            &[stream.record(1, acme()), stream.state(1), stream.complete()],
        )
        .await;
    assert_eq!(ran.error().failure_type, Some(FailureType::ConfigError));
    assert!(
        ran.error().message.contains("public.customers"),
        "{}",
        ran.error().message
    );
    assert_eq!(ran.states().len(), 1);
    // Nor those of another stream's normalization.
    let taken = StreamSpec::new(
        "customers_addresses",
        "append",
        json!({"id": {"type": "integer"}}),
    );
    warehouse.execute("DROP TABLE customers");
    assert_eq!(again(&warehouse, false).await.unwrap()[0].raw_rows, 1);
    let ran = warehouse
        .write(
            &[&taken],
            &[taken.record(1, json!({"id": 1})), taken.complete()],
        )
        .await;
    assert!(
        ran.error().message.contains("is normalized already"),
        "{}",
        ran.error().message
    );
}
