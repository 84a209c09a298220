//! Mode `guide`: objects flattened, lists of objects in tables of their own.

use cdk_normalize::Settings;
use serde_json::json;

use crate::support::{customers, guide, planned, rows, shapes, texts};

#[test]
fn the_example_of_the_guide_comes_out_as_printed() {
    let plan = planned("customers", &customers(), &guide());
    assert_eq!(
        shapes(&plan),
        [
            "customers(id, name, contact_email, contact_phone, _airbyte_normalized_at, \
             _airbyte_ab_id, _airbyte_emitted_at, _airbyte_customers_hashid)",
            "customers_addresses(_airbyte_customers_hashid, type, city, _airbyte_normalized_at, \
             _airbyte_ab_id, _airbyte_emitted_at, _airbyte_customers_addresses_hashid)",
        ]
    );
    let data = json!({
        "id": 1, "name": "Acme Corp",
        "contact": {"email": "info@acme.com", "phone": "+1234567890"},
        "addresses": [{"type": "billing", "city": "New York"}, {"type": "shipping", "city": "Boston"}],
    });
    let (rows, mut flattener) = rows(&plan, &data);
    assert_eq!(
        texts(&rows),
        [
            "customers: id=1 name=Acme Corp contact_email=info@acme.com contact_phone=+1234567890",
            "customers_addresses: type=billing city=New York",
            "customers_addresses: type=shipping city=Boston",
        ]
    );
    let parent = Some(rows[0].hashid.clone());
    assert_eq!((&rows[1].parent, &rows[2].parent), (&parent, &parent));
    assert_ne!(rows[1].hashid, rows[2].hashid);
    assert_eq!(flattener.take_misfits(), []);
}

#[test]
fn lists_within_objects_and_within_lists_get_tables_below_their_row() {
    let id = || json!({"id": {"type": "integer"}});
    let list = |properties| json!({"type": "array", "items": {"type": "object", "properties": properties}});
    let item = json!({"sku": {"type": "string"}, "taxes": list(id())});
    let order = json!({
        "id": {"type": "integer"},
        "basket": {"type": "object", "properties": {"items": list(item), "note": {"type": "string"}}},
    });
    let plan = planned("orders", &order, &guide());
    let tables: Vec<_> = plan
        .tables
        .iter()
        .map(|table| table.name.as_str())
        .collect();
    assert_eq!(
        tables,
        ["orders", "orders_basket_items", "orders_basket_items_taxes"]
    );
    let data = json!({"id": 7, "basket": {"note": "n", "items": [
        {"sku": "a", "taxes": [{"id": 1}, {"id": 2}]}, null, {"sku": "b", "taxes": []}, {"sku": "c"}]}});
    let (rows, _) = rows(&plan, &data);
    assert_eq!(
        texts(&rows),
        [
            "orders: id=7 basket_note=n",
            "orders_basket_items: sku=a",
            "orders_basket_items_taxes: id=1",
            "orders_basket_items_taxes: id=2",
            "orders_basket_items: sku=b",
            "orders_basket_items: sku=c",
        ]
    );
    assert_eq!(rows[2].parent.as_ref(), Some(&rows[1].hashid));
    assert_eq!(rows[1].parent.as_ref(), Some(&rows[0].hashid));
}

#[test]
fn what_has_no_named_fields_stays_json() {
    let properties = json!({
        "tags": {"type": "array", "items": {"type": "string"}},
        "matrix": {"type": "array", "items": {"type": "array", "items": {"type": "object",
            "properties": {"x": {"type": "integer"}}}}},
        "any": {"type": "object"},
        "either": {"oneOf": [{"type": "string"}, {"type": "object", "properties": {"x": {"type": "integer"}}}]},
        "loose": {"type": "array"},
    });
    let plan = planned("t", &properties, &guide());
    assert_eq!(plan.tables.len(), 1);
    let data = json!({"tags": ["a"], "matrix": [[{"x": 1}]], "any": {"k": 1}, "either": {"x": 2}, "loose": [1]});
    let (rows, _) = rows(&plan, &data);
    assert_eq!(
        texts(&rows),
        [r#"t: tags=["a"] matrix=[[{"x":1}]] any={"k":1} either={"x":2} loose=[1]"#]
    );
}

#[test]
fn null_and_missing_objects_and_lists_are_no_values_and_no_rows() {
    let plan = planned("customers", &customers(), &guide());
    for data in [
        json!({"id": 1}),
        json!({"id": 1, "contact": null, "addresses": null}),
    ] {
        let (rows, mut flattener) = rows(&plan, &data);
        assert_eq!(texts(&rows), ["customers: id=1"]);
        assert_eq!(flattener.take_misfits(), []);
    }
}

#[test]
fn values_of_another_type_are_null_and_counted() {
    let plan = planned("customers", &customers(), &guide());
    let data = json!({"id": "x", "name": 5, "contact": "none", "addresses": [3, {"type": "t", "city": "c"}]});
    let (rows, mut flattener) = rows(&plan, &data);
    assert_eq!(
        texts(&rows),
        ["customers: name=5", "customers_addresses: type=t city=c"]
    );
    let misfits = flattener.take_misfits();
    let misfits = misfits.iter().map(|misfits| {
        let column = misfits.column.as_deref().unwrap_or("-");
        format!("{}.{column} {}", misfits.table, misfits.count)
    });
    assert_eq!(
        misfits.collect::<Vec<_>>(),
        [
            "customers.id 1",
            "customers.contact_email 1",
            "customers_addresses.- 1"
        ]
    );
    assert_eq!(flattener.take_misfits(), []);
}

#[test]
fn the_depth_can_be_limited() {
    let deep = |inner| json!({"type": "object", "properties": {"a": inner}});
    let properties = json!({"o": deep(deep(deep(json!({"type": "integer"}))))});
    let columns = |max_depth| {
        let settings = Settings {
            max_depth,
            ..guide()
        };
        let plan = planned("t", &properties, &settings);
        plan.tables[0].columns[0].name.clone()
    };
    assert_eq!(columns(0), "o");
    assert_eq!(columns(2), "o_a_a");
    assert_eq!(columns(9), "o_a_a_a");
    let list = json!({"l": {"type": "array", "items": {"type": "object", "properties": {
        "l": {"type": "array", "items": {"type": "object", "properties": {"id": {"type": "integer"}}}}}}}});
    let settings = Settings {
        max_depth: 1,
        ..guide()
    };
    let plan = planned("t", &list, &settings);
    assert_eq!(plan.tables.len(), 2);
    let (rows, _) = rows(&plan, &json!({"l": [{"l": [{"id": 1}]}]}));
    assert_eq!(texts(&rows), ["t: ", r#"t_l: l=[{"id":1}]"#]);
}

#[test]
fn a_table_never_gets_more_columns_than_databases_take() {
    let many: serde_json::Map<_, _> = (0..900)
        .map(|at| (format!("f{at}"), json!({"type": "integer"})))
        .collect();
    let object = json!({"type": "object", "properties": many});
    let plan = planned(
        "t",
        &json!({"a": object, "b": object, "c": {"type": "integer"}}),
        &guide(),
    );
    assert_eq!(plan.tables[0].columns.len(), 902);
    let (rows, _) = rows(&plan, &json!({"a": {"f1": 1}, "b": {"f1": 2}, "c": 3}));
    assert_eq!(texts(&rows), [r#"t: a_f1=1 b={"f1":2} c=3"#]);
}
