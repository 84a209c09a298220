//! Data types and JSON schemas.

use airbyte_protocol::types::{AirbyteType, Field, fields_of, widen};
use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

const SCALARS: [AirbyteType; 10] = [
    AirbyteType::String,
    AirbyteType::Boolean,
    AirbyteType::Integer,
    AirbyteType::Number,
    AirbyteType::Date,
    AirbyteType::TimestampWithTimezone,
    AirbyteType::TimestampWithoutTimezone,
    AirbyteType::TimeWithTimezone,
    AirbyteType::TimeWithoutTimezone,
    AirbyteType::Binary,
];

/// Every type in the form that `from_json_schema` gives (see `to_json_schema`).
fn data_type() -> impl Strategy<Value = AirbyteType> {
    let leaf = select(&SCALARS[..]);
    leaf.prop_recursive(4, 30, 5, |inner| {
        let array = of(inner.clone()).prop_map(|items| AirbyteType::Array(items.map(Box::new)));
        let object = of(fields(inner.clone())).prop_map(AirbyteType::Object);
        prop_oneof![array, object, union(inner)]
    })
}

fn fields(
    data_type: impl Strategy<Value = AirbyteType> + 'static,
) -> impl Strategy<Value = Vec<Field>> {
    let data_type = prop_oneof![9 => data_type.boxed(), 1 => Just(AirbyteType::Unknown)];
    btree_map(any::<String>(), (data_type, any::<bool>()), 0..5).prop_map(|fields| {
        let field = |(name, (data_type, nullable))| {
            let nullable = nullable || data_type == AirbyteType::Unknown;
            Field {
                name,
                data_type,
                nullable,
            }
        };
        fields.into_iter().map(field).collect()
    })
}

fn union(member: impl Strategy<Value = AirbyteType>) -> impl Strategy<Value = AirbyteType> {
    vec(member, 2..5).prop_filter_map("needs two different members", |members| {
        let mut distinct: Vec<AirbyteType> = Vec::new();
        for member in members {
            if !matches!(member, AirbyteType::Union(_)) && !distinct.contains(&member) {
                distinct.push(member);
            }
        }
        (distinct.len() > 1).then_some(AirbyteType::Union(distinct))
    })
}

proptest! {
    #[test]
    fn a_type_survives_its_json_schema(data_type in data_type(), nullable: bool) {
        let schema = data_type.to_json_schema(nullable);
        prop_assert_eq!(AirbyteType::from_json_schema(&schema), (data_type, nullable));
    }

    #[test]
    fn fields_survive_their_json_schema(fields in fields(data_type())) {
        let schema = AirbyteType::Object(Some(fields.clone())).to_json_schema(false);
        prop_assert_eq!(fields_of(&schema), fields);
    }

    #[test]
    fn widening_with_itself_changes_nothing(a in data_type()) {
        prop_assert_eq!(widen(a.clone(), a.clone()), a);
    }

    #[test]
    fn widening_twice_by_the_same_type_changes_nothing_more(a in data_type(), b in data_type()) {
        let once = widen(a, b.clone());
        prop_assert_eq!(widen(once.clone(), b), once);
    }

    #[test]
    fn scalars_widen_the_same_in_any_order(
        a in select(&SCALARS[..]),
        b in select(&SCALARS[..]),
        c in select(&SCALARS[..]),
    ) {
        let left = widen(widen(a.clone(), b.clone()), c.clone());
        prop_assert_eq!(widen(c.clone(), widen(b.clone(), a.clone())), left.clone());
        prop_assert_eq!(widen(a, widen(b, c)), left);
    }

    #[test]
    fn any_schema_is_read(text in crate::json_text::value()) {
        // Whatever it is, it has a type, and the type has a schema.
        if let Ok(schema) = serde_json::from_str(&text) {
            let (data_type, nullable) = AirbyteType::from_json_schema(&schema);
            let _schema = data_type.to_json_schema(nullable);
            let _fields = fields_of(&schema);
        }
    }
}
