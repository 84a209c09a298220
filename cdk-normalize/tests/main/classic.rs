//! Mode `classic`: Airbyte's nested tables of 2023.

use cdk_normalize::{Mode, Settings};
use serde_json::json;

use crate::support::{customers, planned, rows, shapes, texts};

#[test]
fn objects_and_lists_become_child_tables_and_stay_as_json() {
    let plan = planned("customers", &customers(), &Settings::of_mode(Mode::Classic));
    assert_eq!(
        shapes(&plan),
        [
            "customers(id, name, contact, addresses, _airbyte_ab_id, _airbyte_emitted_at, \
             _airbyte_normalized_at, _airbyte_customers_hashid)",
            "customers_contact(_airbyte_customers_hashid, email, phone, _airbyte_ab_id, \
             _airbyte_emitted_at, _airbyte_normalized_at, _airbyte_customers_contact_hashid)",
            "customers_addresses(_airbyte_customers_hashid, type, city, _airbyte_ab_id, \
             _airbyte_emitted_at, _airbyte_normalized_at, _airbyte_customers_addresses_hashid)",
        ]
    );
    let data =
        json!({"id": 1, "name": "A", "contact": {"email": "e"}, "addresses": [{"city": "c"}]});
    let (rows, _) = rows(&plan, &data);
    assert_eq!(
        texts(&rows),
        [
            r#"customers: id=1 name=A contact={"email":"e"} addresses=[{"city":"c"}]"#,
            "customers_contact: email=e",
            "customers_addresses: city=c",
        ]
    );
    assert_eq!(rows[1].parent.as_ref(), Some(&rows[0].hashid));
}

#[test]
fn ids_are_the_md5_of_the_values() {
    let text = || json!({"type": "string"});
    let nested = json!({"type": "object", "properties": {"v": text()}});
    let plan = planned(
        "t",
        &json!({"a": text(), "b": text(), "n": nested}),
        &Settings::of_mode(Mode::Classic),
    );
    let (rows, _) = rows(&plan, &json!({"a": "x", "n": {"v": "y"}}));
    // md5('x--{"v":"y"}') and md5(that || '-y'), as PostgreSQL prints them.
    assert_eq!(rows[0].hashid, "e911fa95914f4cf4966865eaf390166e");
    assert_eq!(rows[1].hashid, "9b5e006924241771394fa4713b4373ac");
}
