//! JSON documents, lines of them, items inside of one.

use bytes::Bytes;
use cdk_core::Result;
use serde_json::Value;

use super::{Documents, Encoding, empty, lines_of, wrong_shape};
use crate::component::Component;
use crate::raw_json::{self, Found};

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

/// Lines that are no JSON are skipped with a warning.
pub(super) fn lines(body: Bytes, encoding: &Encoding) -> Documents {
    let encoding = *encoding;
    Documents::each(lines_of(body).enumerate().filter_map(move |(at, line)| {
        if line.iter().all(u8::is_ascii_whitespace) {
            return None;
        }
        match serde_json::from_str(&encoding.text(&line)) {
            Ok(value) => Some(Ok(value)),
            Err(error) => {
                tracing::warn!(
                    "Line {} of a response is not valid JSON and is skipped (column {}).",
                    at + 1,
                    error.column()
                );
                None
            }
        }
    }))
}

/// The items of an array inside a document.
#[derive(Debug, Clone)]
pub(crate) struct JsonItems {
    path: Vec<String>,
    encoding: Encoding,
}

impl JsonItems {
    pub(super) fn build(component: &Component<'_>) -> Result<Self> {
        let path = component.need_text("items_path")?;
        Ok(Self {
            path: path.split('.').map(str::to_owned).collect(),
            encoding: Encoding::of(component)?,
        })
    }

    pub(super) fn decode(&self, body: &Bytes) -> Result<Documents> {
        let text = self.encoding.text(body).into_owned();
        let document = raw_json::find(&text, &self.path, &[]).map_err(|at| {
            wrong_shape("A response is not valid JSON.").with_internal(format!("at byte {}", at.0))
        })?;
        let items = match document.found {
            Found::Items(items) => items,
            Found::Missing | Found::One(_) => Vec::new(),
        };
        Ok(Documents::each(items.into_iter().map(move |item| {
            serde_json::from_str(&text[item.range])
                .map_err(|error| wrong_shape("A response is not valid JSON.").caused_by(error))
        })))
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
