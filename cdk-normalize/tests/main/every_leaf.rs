//! Whatever a record that fits its schema holds is found again in the tables.

use airbyte_protocol::types::{AirbyteType, Field};
use cdk_normalize::{Mode, Names, Settings, plan};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::support::{Printed, rows, stream};

/// A type and a value of it.
fn typed() -> impl Strategy<Value = (AirbyteType, Value)> {
    let scalar = prop_oneof![
        any::<i64>().prop_map(|n| (AirbyteType::Integer, json!(n))),
        any::<bool>().prop_map(|b| (AirbyteType::Boolean, json!(b))),
        "[a-z ]{0,6}".prop_map(|text| (AirbyteType::String, json!(text))),
        Just((AirbyteType::String, Value::Null)),
        prop::collection::vec(any::<u8>(), 0..3).prop_map(|list| (
            AirbyteType::Array(Some(Box::new(AirbyteType::Integer))),
            json!(list)
        )),
    ];
    scalar.prop_recursive(4, 24, 4, |inner| {
        let object =
            prop::collection::btree_map("[abAB_ .é1]{0,3}", inner, 0..4).prop_map(|members| {
                let fields = members
                    .iter()
                    .map(|(name, (data_type, _))| Field::new(name, data_type.clone()));
                let fields = fields.collect();
                let value: Map<_, _> = members
                    .into_iter()
                    .map(|(name, (_, value))| (name, value))
                    .collect();
                (AirbyteType::Object(Some(fields)), Value::Object(value))
            });
        prop_oneof![
            2 => object.clone(),
            // Items of one type, some of them the same.
            1 => (object, 0..3usize).prop_map(|((data_type, value), count)| {
                (AirbyteType::Array(Some(Box::new(data_type))), json!(vec![value; count]))
            }),
        ]
    })
}

/// The scalars of a value, as the tables print them.
fn scalars(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Null => {}
        Value::Array(items) if items.is_empty() => {}
        Value::String(text) => found.push(text.clone()),
        Value::Array(items) if items.iter().all(|item| !item.is_object()) => {
            found.push(value.to_string())
        }
        Value::Array(items) => items.iter().for_each(|item| scalars(item, found)),
        Value::Object(members) => members.values().for_each(|value| scalars(value, found)),
        other => found.push(other.to_string()),
    }
}

/// The same of the rows: JSON columns are looked into.
fn printed(rows: &[Printed], is_json: impl Fn(&str, &str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for row in rows {
        for (name, value) in &row.values {
            if value == "NULL" {
                continue;
            }
            match is_json(&row.table, name) {
                true => scalars(&serde_json::from_str(value).unwrap(), &mut found),
                false => found.push(value.clone()),
            }
        }
    }
    found
}

proptest! {
    #[test]
    fn every_leaf_is_found_in_the_tables(
        members in prop::collection::btree_map("[abAB_ .é1]{0,3}", typed(), 1..5),
        max_depth in 0usize..5,
        ignores_case in any::<bool>(),
    ) {
        let properties: Map<_, _> = members
            .iter()
            .map(|(name, (data_type, _))| (name.clone(), data_type.to_json_schema(true)))
            .collect();
        let data: Map<_, _> = members.into_iter().map(|(name, (_, value))| (name, value)).collect();
        let data = Value::Object(data);
        let settings = Settings { mode: Mode::Guide, max_depth };
        let names = Names { ignores_case, ..Names::POSTGRES };
        let plan = plan::of(&[stream("t", &Value::Object(properties))], &settings, &names).remove(0);
        let (rows, mut flattener) = rows(&plan, &data);
        prop_assert_eq!(flattener.take_misfits(), vec![]);
        let is_json = |table: &str, column: &str| {
            let table = plan.tables.iter().find(|planned| planned.name == table).unwrap();
            let column = table.columns.iter().find(|planned| planned.name == column).unwrap();
            !matches!(column.data_type, AirbyteType::Integer | AirbyteType::Boolean | AirbyteType::String)
        };
        let mut found = printed(&rows, is_json);
        let mut expected = Vec::new();
        scalars(&data, &mut expected);
        found.sort();
        expected.sort();
        prop_assert_eq!(found, expected);
        // Every name is there once, and every row below a row that is there.
        for table in &plan.tables {
            let layout = table.layout(plan.mode);
            let fold = |name: &str| if ignores_case { name.to_ascii_lowercase() } else { name.to_owned() };
            let names: std::collections::HashSet<_> = layout.iter().map(|(name, _)| fold(name)).collect();
            prop_assert_eq!(names.len(), layout.len());
        }
        let ids: std::collections::HashSet<_> = rows.iter().map(|row| &row.hashid).collect();
        prop_assert_eq!(ids.len(), rows.len());
        prop_assert!(rows.iter().all(|row| row.parent.as_ref().is_none_or(|parent| ids.contains(parent))));
    }
}
