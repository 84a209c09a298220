//! The widest of two types, for schema inference and evolution.

use super::{AirbyteType, Field};

/// A type that holds every value of `a` and of `b`.
///
/// - Equal types stay as they are; `Unknown` holds everything.
/// - `Integer` and `Number` make `Number`; any two other scalars make `String`.
/// - Arrays widen their items, objects their fields: `a`'s in order, then those only in `b`. A field
///   that only one side has becomes nullable. Unknown items or fields stay unknown.
/// - Different kinds (scalar, array, object) make a union with one member per kind, in that order.
#[must_use]
pub fn widen(a: AirbyteType, b: AirbyteType) -> AirbyteType {
    use AirbyteType::{Array, Integer, Number, Object, Unknown};
    match (a, b) {
        (a, b) if a == b => a,
        (Unknown, _) | (_, Unknown) => Unknown,
        (Integer, Number) | (Number, Integer) => Number,
        (Array(a), Array(b)) => Array(widen_items(a, b)),
        (Object(a), Object(b)) => Object(a.zip(b).map(|(a, b)| widen_fields(a, b))),
        (a, b) if is_scalar(&a) && is_scalar(&b) => AirbyteType::String,
        (a, b) => widen_kinds(a, b),
    }
}

fn is_scalar(t: &AirbyteType) -> bool {
    use AirbyteType::{Array, Object, Union, Unknown};
    !matches!(t, Array(_) | Object(_) | Union(_) | Unknown)
}

fn widen_items(
    a: Option<Box<AirbyteType>>,
    b: Option<Box<AirbyteType>>,
) -> Option<Box<AirbyteType>> {
    let items = a.zip(b).map(|(a, b)| widen(*a, *b))?;
    (items != AirbyteType::Unknown).then(|| Box::new(items))
}

fn widen_fields(a: Vec<Field>, mut b: Vec<Field>) -> Vec<Field> {
    let mut fields = Vec::with_capacity(a.len().max(b.len()));
    for field in a {
        let twin = b
            .iter()
            .position(|other| other.name == field.name)
            .map(|at| b.remove(at));
        fields.push(match twin {
            None => Field {
                nullable: true,
                ..field
            },
            Some(twin) => Field {
                name: field.name,
                data_type: widen(field.data_type, twin.data_type),
                nullable: field.nullable || twin.nullable,
            },
        });
    }
    fields.extend(b.into_iter().map(|field| Field {
        nullable: true,
        ..field
    }));
    fields
}

/// At least one side is a union, or the sides are of different kinds.
fn widen_kinds(a: AirbyteType, b: AirbyteType) -> AirbyteType {
    use AirbyteType::{Array, Object, Union};
    let options = |t| {
        if let Union(options) = t {
            options
        } else {
            vec![t]
        }
    };
    let (mut scalar, mut array, mut object) = (None, None, None);
    for option in options(a).into_iter().chain(options(b)) {
        let slot = match option {
            Array(_) => &mut array,
            Object(_) => &mut object,
            // A union inside a union, or `Unknown` in one: no canonical form to merge into.
            ref other if !is_scalar(other) => return AirbyteType::Unknown,
            _ => &mut scalar,
        };
        *slot = Some(match slot.take() {
            Some(before) => widen(before, option),
            None => option,
        });
    }
    let mut options: Vec<_> = [scalar, array, object].into_iter().flatten().collect();
    if options.len() > 1 {
        return Union(options);
    }
    options.pop().unwrap_or(AirbyteType::Unknown)
}

#[cfg(test)]
mod tests {
    use super::AirbyteType::*;
    use super::*;

    fn array(items: AirbyteType) -> AirbyteType {
        Array(Some(Box::new(items)))
    }

    #[test]
    fn scalars_widen_to_number_or_string() {
        assert_eq!(widen(Integer, Number), Number);
        assert_eq!(widen(Integer, Boolean), String);
        assert_eq!(widen(Date, TimestampWithTimezone), String);
        assert_eq!(widen(Date, Date), Date);
    }

    #[test]
    fn containers_widen_inside() {
        assert_eq!(widen(array(Integer), array(Number)), array(Number));
        assert_eq!(widen(array(Integer), Array(None)), Array(None));
        let a = Object(Some(vec![
            Field::new("x", Integer).not_null(),
            Field::new("y", Date),
        ]));
        let b = Object(Some(vec![
            Field::new("z", Date).not_null(),
            Field::new("x", Number).not_null(),
        ]));
        let fields = vec![
            Field::new("x", Number).not_null(),
            Field::new("y", Date),
            Field::new("z", Date),
        ];
        assert_eq!(widen(a, b), Object(Some(fields)));
    }

    #[test]
    fn different_kinds_make_a_union_with_one_member_per_kind() {
        let both = Union(vec![Integer, array(Date)]);
        assert_eq!(widen(array(Date), Integer), both);
        assert_eq!(widen(both, Number), Union(vec![Number, array(Date)]));
        assert_eq!(widen(Union(vec![Integer, String]), Integer), String);
        assert_eq!(widen(Object(None), Unknown), Unknown);
    }
}
