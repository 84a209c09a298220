//! `cdk normalize`, and normalization asked for in a connection file.

use crate::support::Desk;

const CUSTOMERS: &str = "{\"id\": 1, \"contact\": {\"email\": \"info@acme.com\"}, \"addresses\": [{\"city\": \"Boston\"}]}\n";

/// A connection from a JSONL file to SQLite, as the guide spells it.
fn connection(desk: &Desk) {
    desk.write("customers.jsonl", CUSTOMERS);
    desk.write(
        "connection.yaml",
        "source:\n  name: file\n  config: {dataset_name: customers, format: jsonl, url: customers.jsonl, \
         provider: {storage: local}}\n\
         destination: {name: sqlite, config: {path: out.sqlite}}\n\
         streams: [{name: customers, mode: full_refresh_append}]\n\
         Normalization:\n  Enable: true\n  Option: Basic Normalization\n",
    );
}

#[test]
fn a_connection_with_normalization_makes_flat_tables_and_they_can_be_made_again() {
    let desk = Desk::new();
    connection(&desk);
    desk.sync(&[]).assert_ok();
    let rows = "SELECT count(*) FROM customers JOIN customers_addresses USING (_airbyte_customers_hashid) \
                WHERE contact_email = 'info@acme.com' AND city = 'Boston'";
    assert_eq!(desk.query(rows), 1);
    let again = desk.cdk(&["normalize", "connection.yaml"]);
    again.assert_ok();
    assert!(again.stdout.contains("customers_addresses"), "{again:?}");
    desk.cdk(&["normalize", "--full", "connection.yaml"])
        .assert_ok();
    assert_eq!(desk.query(rows), 1);
}

#[test]
fn a_destination_that_does_not_normalize_is_a_config_error() {
    let desk = Desk::new();
    desk.write(
        "connection.yaml",
        "source: faker\ndestination: {name: local, config: {destination_path: out}}\n",
    );
    desk.cdk(&["normalize", "connection.yaml"])
        .assert_error(1, "destination-postgres");
}
