//! Names that would be the same, long, reserved or strange.

use airbyte_protocol::ConfiguredAirbyteStream;
use cdk_normalize::{Names, plan};
use serde_json::{Value, json};

use crate::support::{guide, planned, stream};

fn text() -> Value {
    json!({"type": "string"})
}

fn columns(properties: &Value) -> Vec<(String, String)> {
    let plan = planned("t", properties, &guide());
    let columns = plan.tables[0].columns.iter();
    let mut columns: Vec<_> = columns
        .map(|column| (column.path.join("."), column.name.clone()))
        .collect();
    columns.sort();
    columns
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
        .collect()
}

#[test]
fn a_column_at_the_top_keeps_its_name_whatever_the_order() {
    let contact = json!({"type": "object", "properties": {"email": text()}});
    let expected = pairs(&[
        ("contact.email", "contact_email_1"),
        ("contact_email", "contact_email"),
    ]);
    assert_eq!(
        columns(&json!({"contact": contact, "contact_email": text()})),
        expected
    );
    assert_eq!(
        columns(&json!({"contact_email": text(), "contact": contact})),
        expected
    );
}

#[test]
fn reserved_strange_and_long_names_are_columns_too() {
    let long = "l".repeat(80);
    let found = columns(&json!({
        "_airbyte_ab_id": text(), "select": text(), "größe": text(), "a b": text(), "a_b": text(),
        "1st": text(), "": text(), (long.as_str()): text(), "_airbyte_t_hashid": text(),
    }));
    let expected = pairs(&[
        ("", "_"),
        ("1st", "_1st"),
        ("_airbyte_ab_id", "_airbyte_ab_id_1"),
        ("_airbyte_t_hashid", "_airbyte_t_hashid_1"),
        ("a b", "a_b"),
        ("a_b", "a_b_1"),
        ("größe", "größe"),
        (
            &long,
            "llllllllllllllllllllllllllllllllllllllllllllllllllllll_a6e0b025",
        ),
        ("select", "select"),
    ]);
    assert_eq!(found, expected);
}

#[test]
fn tables_of_streams_keep_their_name_before_those_of_nested_values() {
    let list = json!({"type": "array", "items": {"type": "object", "properties": {"id": text()}}});
    let names = |streams: &[ConfiguredAirbyteStream]| {
        let plans = plan::of(streams, &guide(), &Names::POSTGRES);
        let tables = plans.into_iter().flat_map(|plan| plan.tables);
        tables.map(|table| table.name).collect::<Vec<_>>()
    };
    let customers = stream("customers", &json!({"addresses": list}));
    let taken = stream("customers_addresses", &json!({"id": text()}));
    let found = names(&[customers.clone(), taken.clone()]);
    assert_eq!(
        (found[0].as_str(), found[2].as_str()),
        ("customers", "customers_addresses")
    );
    assert!(
        found[1].starts_with("customers_addresses_")
            && found[1].len() == "customers_addresses_".len() + 3,
        "{found:?}"
    );
    assert_eq!(names(&[taken, customers])[2], found[1]);
}

#[test]
fn names_of_nested_tables_and_their_ids_stay_within_63_bytes() {
    let list = |properties: Value| json!({"type": "array", "items": {"type": "object", "properties": properties}});
    let deep = list(
        json!({"another_long_name_of_a_field": list(json!({"the_third_name": list(json!({"id": text()}))}))}),
    );
    let plan = planned(
        "a_stream_with_a_long_name",
        &json!({"first_name_of_a_list": deep}),
        &guide(),
    );
    assert_eq!(plan.tables.len(), 4);
    let names = plan
        .tables
        .iter()
        .flat_map(|table| [&table.name, &table.hashid]);
    let mut names: Vec<_> = names.collect();
    assert!(names.iter().all(|name| name.len() <= 63), "{names:?}");
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 8);
}
