//! JSON documents.

use serde_json::Value;

use super::empty;

/// The documents of a body: the items of a list, or the one there is. A body that is no JSON, of which `told` hears, and
/// an empty list, stand for one empty object, as the reference has it.
pub(super) fn documents(body: &[u8], told: impl FnOnce(&serde_json::Error)) -> Vec<Value> {
    match serde_json::from_slice(body) {
        Ok(Value::Array(items)) if !items.is_empty() => items,
        Ok(Value::Array(_) | Value::Null) => vec![empty()],
        Ok(one) => vec![one],
        Err(error) => {
            told(&error);
            vec![empty()]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_list_stands_for_its_items_and_nothing_for_an_empty_object() {
        let read = |body: &str| documents(body.as_bytes(), |_| {});
        assert_eq!(read("[1,2]"), [json!(1), json!(2)]);
        assert_eq!(read("{\"a\":1}"), [json!({"a": 1})]);
        for nothing in ["", "[]", "<html>", "null"] {
            assert_eq!(read(nothing), [json!({})], "{nothing:?}");
        }
    }
}
