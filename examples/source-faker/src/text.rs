//! Short text without a heap.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

/// Text of at most `N` bytes (`N` below 256), held in place, so that making up a row allocates nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Text<const N: usize> {
    /// Zero behind `len`, so that the derived equality holds.
    bytes: [u8; N],
    len: u8,
}

impl<const N: usize> Text<N> {
    /// The text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.len)])
            .expect("a text is only built from whole strings")
    }

    /// The parts, joined. Panics when they are longer than `N` bytes: `N` is chosen for the word lists.
    pub(crate) fn join(parts: &[&str]) -> Self {
        let mut text = Self {
            bytes: [0; N],
            len: 0,
        };
        for part in parts {
            let start = usize::from(text.len);
            let end = start + part.len();
            text.bytes[start..end].copy_from_slice(part.as_bytes());
            text.len = u8::try_from(end).expect("N is below 256");
        }
        text
    }

    /// Text that is all ASCII.
    pub(crate) fn ascii(bytes: [u8; N]) -> Self {
        debug_assert!(bytes.is_ascii());
        Self {
            bytes,
            len: u8::try_from(N).expect("N is below 256"),
        }
    }
}

impl<const N: usize> AsRef<str> for Text<N> {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl<const N: usize> fmt::Display for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl<const N: usize> Serialize for Text<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<const N: usize> JsonSchema for Text<N> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Text".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_joined_in_order() {
        let text = Text::<16>::join(&["Zoë", " ", "Łuk"]);
        assert_eq!(text.as_str(), "Zoë Łuk");
        assert_eq!(text, Text::join(&["Zoë Łuk"]));
    }

    #[test]
    fn text_may_fill_its_room_to_the_last_byte() {
        assert_eq!(Text::<3>::join(&["ab", "c"]).as_str(), "abc");
        assert_eq!(Text::<3>::join(&[]).as_str(), "");
    }
}
