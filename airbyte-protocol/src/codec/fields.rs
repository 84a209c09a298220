//! The top-level members of one JSON object.

use std::borrow::Cow;
use std::fmt;
use std::iter::FusedIterator;

use super::cursor::{Cursor, StringSpan, Syntax};
use super::string::decode_str_lossy;

/// Walks the top-level members of the JSON object `object`, in their order.
///
/// Each item is a key (decoded; an unpaired surrogate in a key becomes U+FFFD) and the exact text
/// of its value. Duplicate keys all appear; the last one counts. Keys, separators and scalar
/// values are checked strictly, nested values only as the [module](super) says. White space around
/// the object is fine, anything else after it is an error. After an error the walk ends.
#[must_use]
pub fn fields(object: &str) -> Fields<'_> {
    Fields {
        object,
        cursor: Cursor::new(object.as_bytes()),
        place: Place::Start,
    }
}

/// The iterator of [`fields`].
pub struct Fields<'a> {
    object: &'a str,
    cursor: Cursor<'a>,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Start,
    AfterMember,
    Done,
}

impl<'a> Fields<'a> {
    fn advance(&mut self) -> Result<Option<(Cow<'a, str>, &'a str)>, FieldsError> {
        let more = match self.place {
            Place::Start => self.cursor.enter_object()?,
            Place::AfterMember => self.cursor.after_member()?,
            Place::Done => return Ok(None),
        };
        if !more {
            self.place = Place::Done;
            self.cursor.end()?;
            return Ok(None);
        }
        let key = self.cursor.key()?;
        let value = self.cursor.value()?;
        self.place = Place::AfterMember;
        let value = self.object.get(value).unwrap_or_default();
        Ok(Some((self.decode(key)?, value)))
    }

    fn decode(&self, key: StringSpan) -> Result<Cow<'a, str>, FieldsError> {
        if !key.has_escapes {
            return Ok(Cow::Borrowed(
                self.object.get(key.content).unwrap_or_default(),
            ));
        }
        let (start, end) = (key.content.start - 1, key.content.end + 1);
        let quoted = self.object.get(start..end).unwrap_or_default();
        let expected = Some("a key with valid escapes");
        decode_str_lossy(quoted).map_err(|_| FieldsError {
            offset: start,
            expected,
        })
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(Cow<'a, str>, &'a str), FieldsError>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.advance();
        if item.is_err() {
            self.place = Place::Done;
        }
        item.transpose()
    }
}

impl FusedIterator for Fields<'_> {}

impl fmt::Debug for Fields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the text: records don't belong in logs.
        let bytes = self.object.len();
        f.debug_struct("Fields")
            .field("at", &self.cursor.at)
            .field("bytes", &bytes)
            .finish()
    }
}

/// The text given to [`fields`] isn't a JSON object, or that given to [`items`](super::items) no array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldsError {
    offset: usize,
    expected: Option<&'static str>,
}

impl FieldsError {
    /// Where, in bytes from the start of the text.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }
}

impl From<Syntax> for FieldsError {
    fn from(Syntax { offset, expected }: Syntax) -> Self {
        Self { offset, expected }
    }
}

impl fmt::Display for FieldsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.expected {
            Some(expected) => write!(
                f,
                "broken JSON: expected {expected} at byte {}",
                self.offset
            ),
            None => write!(f, "broken JSON: it ends too early, at byte {}", self.offset),
        }
    }
}

impl std::error::Error for FieldsError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Result<Vec<(String, String)>, FieldsError> {
        let owned = |(key, value): (Cow<'_, str>, &str)| (key.into_owned(), value.to_owned());
        fields(text).map(|member| member.map(owned)).collect()
    }

    #[test]
    fn gives_keys_decoded_and_values_verbatim() {
        let text = " {\"a\" : 1.10 ,\"b\\n\":\"x\\\"}\" , \"\":{\"c\":[1, 2]},\"a\":null\t} \n";
        let expected = [
            ("a", "1.10"),
            ("b\n", "\"x\\\"}\""),
            ("", "{\"c\":[1, 2]}"),
            ("a", "null"),
        ];
        let expected = expected.map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(all(text).unwrap(), expected);
        assert_eq!(all("{ }").unwrap(), []);
    }

    #[test]
    fn errors_carry_the_offset() {
        for (text, offset) in [
            ("", 0),
            ("[]", 0),
            ("{\"a\":1}x", 7),
            ("{\"a\":1,}", 7),
            ("{\"a\" 1}", 5),
            ("{\"a\":01}", 6),
            ("{\"a\":-}", 6),
            ("{\"a\":nul}", 5),
            ("{\"a\":1 \"b\":2}", 7),
            ("{\"a\":{\"b\":1}", 12),
            ("{\"a", 3),
            ("{a:1}", 1),
            ("{\"\\x\":1}", 1),
        ] {
            assert_eq!(all(text).map_err(|e| e.offset()), Err(offset), "{text}");
        }
    }

    #[test]
    fn nested_values_are_checked_for_balance_only() {
        let nested = |text: &str| {
            all(text)
                .map(|members| members.len())
                .map_err(|e| e.offset())
        };
        assert_eq!(nested("{\"a\":[1,,2}}"), Ok(1));
        assert_eq!(nested("{\"a\":[1,2}"), Err(10));
    }

    #[test]
    fn nothing_follows_an_error() {
        let mut members = fields("{\"a\":1,oops,\"b\":2}");
        assert!(members.next().is_some_and(|m| m.is_ok()));
        assert!(members.next().is_some_and(|m| m.is_err()));
        assert!(members.next().is_none() && members.next().is_none());
    }
}
