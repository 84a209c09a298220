//! Exact JSON text of one value.

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// The exact JSON text of one value, valid and on one line.
///
/// Numbers keep every digit (`1.10`, `12345678901234567890123`), keys keep their order and strings
/// keep their escapes, because the text is never turned into a tree and back. The one change made:
/// text that spans several lines (a pretty-printed state file) loses its insignificant white space,
/// since a protocol message must fit on one line.
///
/// Equality and hashing compare the text, so `{"a":1}` and `{"a": 1}` differ.
/// Serialising and deserialising verbatim works with `serde_json` only.
#[derive(Clone)]
pub struct RawJson(Box<RawValue>);

impl RawJson {
    /// Writes `value` as JSON.
    ///
    /// # Errors
    /// When `value` refuses to be serialised, or has map keys that aren't strings.
    pub fn from_serialize<T: Serialize + ?Sized>(value: &T) -> serde_json::Result<Self> {
        serde_json::value::to_raw_value(value).map(Self::from)
    }

    /// Takes `text` as it is after checking that it is one valid JSON value.
    ///
    /// # Errors
    /// When `text` isn't exactly one JSON value; the error names the line and column.
    pub fn parse(text: String) -> serde_json::Result<Self> {
        RawValue::from_string(text).map(Self::from)
    }

    /// The JSON text.
    #[must_use]
    pub fn get(&self) -> &str {
        self.0.get()
    }

    /// Reads the value as a `T`.
    ///
    /// # Errors
    /// When the value has another shape than `T`. Note that `serde_json::Value` turns numbers
    /// beyond 64 bits into floats and refuses more than 128 levels of nesting.
    pub fn parse_as<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_str(self.get())
    }

    /// The text `{}`.
    #[must_use]
    pub fn empty_object() -> Self {
        Self::from(serde_json::Value::Object(serde_json::Map::new()))
    }

    /// Whether the value is `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.get() == "null"
    }
}

impl From<Box<RawValue>> for RawJson {
    fn from(raw: Box<RawValue>) -> Self {
        let Cow::Owned(compact) = single_line(raw.get()) else {
            return Self(raw);
        };
        Self(RawValue::from_string(compact).expect("valid JSON stays valid without white space"))
    }
}

impl From<serde_json::Value> for RawJson {
    fn from(value: serde_json::Value) -> Self {
        Self(RawValue::from_string(value.to_string()).expect("a JSON tree prints as valid JSON"))
    }
}

/// The text of one JSON value without line breaks, so that it fits into a message's one line.
///
/// Text without line breaks comes back as it is, checked at the speed of a memory scan; of other text
/// all white space between tokens is dropped. The text must be valid JSON.
#[must_use]
pub fn single_line(text: &str) -> Cow<'_, str> {
    match memchr::memchr2(b'\n', b'\r', text.as_bytes()) {
        None => Cow::Borrowed(text),
        Some(_) => Cow::Owned(without_white_space(text)),
    }
}

/// Drops the white space between tokens. A valid JSON string holds no raw line break, so the only
/// state needed is whether we are inside a string.
fn without_white_space(text: &str) -> String {
    let (mut in_string, mut escaped) = (false, false);
    let keep = |c: &char| {
        if in_string {
            in_string = escaped || *c != '"';
            escaped = !escaped && *c == '\\';
            return true;
        }
        in_string = *c == '"';
        !matches!(c, ' ' | '\t' | '\n' | '\r')
    };
    text.chars().filter(keep).collect()
}

impl fmt::Debug for RawJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.get())
    }
}

impl fmt::Display for RawJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.get())
    }
}

impl PartialEq for RawJson {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl Eq for RawJson {}

impl Hash for RawJson {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.get().hash(state);
    }
}

impl Serialize for RawJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RawJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_numbers_and_inner_spaces_verbatim() {
        let text = r#"{"a": 1.10, "b":12345678901234567890123,"c":1E+2}"#;
        assert_eq!(RawJson::parse(text.to_owned()).unwrap().get(), text);
    }

    #[test]
    fn puts_pretty_printed_text_on_one_line() {
        let pretty = "{\r\n  \"a b\": \"x \\\" y \\\\\",\n  \"c\": [1,\t2]\n}";
        let raw = RawJson::parse(pretty.to_owned()).unwrap();
        assert_eq!(raw.get(), r#"{"a b":"x \" y \\","c":[1,2]}"#);
    }

    #[test]
    fn refuses_text_that_is_not_one_value() {
        for bad in ["", "{", "{} {}", "nul", "{\"a\":}"] {
            assert!(RawJson::parse(bad.to_owned()).is_err(), "{bad}");
        }
    }

    #[test]
    fn tells_null_from_other_values() {
        assert!(RawJson::from(serde_json::Value::Null).is_null());
        assert!(!RawJson::empty_object().is_null());
    }

    #[test]
    fn reads_deep_nesting_without_recursion() {
        let deep = "[".repeat(1_000_000) + &"]".repeat(1_000_000);
        assert_eq!(
            RawJson::parse(deep.clone()).unwrap().get().len(),
            deep.len()
        );
    }
}
