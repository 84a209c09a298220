//! Values inside JSON text, found without building a tree.

use airbyte_protocol::codec;
use serde::de::DeserializeOwned;

/// The text of the value at `path` below the object `text`; `None` if there is none.
pub fn at_path<'a, S: AsRef<str>>(text: &'a str, path: &[S]) -> Option<&'a str> {
    let mut value = text.trim_ascii();
    for step in path {
        value = member(value, step.as_ref())?;
    }
    Some(value)
}

/// The text of the member `name` of the object `text`.
fn member<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    if !text.starts_with('{') {
        return None;
    }
    for field in codec::fields(text) {
        let (key, value) = field.ok()?;
        if key == name {
            return Some(value);
        }
    }
    None
}

/// The value at `path` as a `T`; `None` if it is missing, null, or of another kind.
pub fn value_at<T: DeserializeOwned, S: AsRef<str>>(text: &str, path: &[S]) -> Option<T> {
    let value = at_path(text, path).filter(|value| *value != "null")?;
    serde_json::from_str(value).ok()
}

/// The scalar at `path` as the text of a parameter: a string's content, a number's digits. `None` for missing, null,
/// objects and arrays.
pub fn scalar_at<S: AsRef<str>>(text: &str, path: &[S]) -> Option<String> {
    let value = at_path(text, path)?;
    match value.as_bytes().first()? {
        b'"' => codec::decode_str_lossy(value)
            .ok()
            .map(|text| text.into_owned()),
        b'{' | b'[' | b'n' => None,
        _ => Some(value.to_owned()),
    }
}

/// Dots separate the steps of a path; an empty text is no step at all.
pub fn path(text: &str) -> Vec<String> {
    match text {
        "" => Vec::new(),
        _ => text.split('.').map(str::to_owned).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_with_their_exact_text() {
        let text = r#" {"a":{"b":1.10,"c":"x\u00e9","d":null,"e":[1]}} "#;
        assert_eq!(at_path(text, &["a", "b"]), Some("1.10"));
        assert_eq!(scalar_at(text, &["a", "b"]).as_deref(), Some("1.10"));
        assert_eq!(scalar_at(text, &["a", "c"]).as_deref(), Some("xé"));
        assert_eq!(scalar_at(text, &["a", "d"]), None);
        assert_eq!(scalar_at(text, &["a", "e"]), None);
        assert_eq!(at_path(text, &["a", "b", "c"]), None);
        assert_eq!(value_at::<Vec<i64>, _>(text, &["a", "e"]), Some(vec![1]));
        assert_eq!(at_path::<&str>("[1]", &[]), Some("[1]"));
    }
}
