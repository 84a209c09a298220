//! Where one JSON value ends, for readers that cut values out of larger text.

use super::cursor::{Cursor, Syntax};

/// Why no end was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueEndError {
    /// The text ends within the value: it may go on in bytes that are not there yet.
    Incomplete,
    /// No JSON value stands at this offset.
    Invalid(usize),
}

/// The offset behind the JSON value that begins at or after white space at `from`.
///
/// Objects and arrays are checked as the [module](super) says: for balance, not for their inner syntax. A number that
/// ends with the text may go on in text that is not there yet.
///
/// # Errors
/// When the text ends too early, or holds no value there.
pub fn value_end(text: &[u8], from: usize) -> Result<usize, ValueEndError> {
    let mut cursor = Cursor::new(text);
    cursor.at = from;
    let end = cursor.value().map(|range| range.end);
    end.map_err(|Syntax { offset, expected }| match expected {
        Some(_) => ValueEndError::Invalid(offset),
        None => ValueEndError::Incomplete,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_found_told_to_be_missing_or_refused() {
        for (text, from, expected) in [
            ("{\"a\":[1,\"]}\"]} ,", 0, Ok(14)),
            ("[1, 22 ]", 3, Ok(6)),
            ("\"a\\\"b\",1", 0, Ok(6)),
            ("{\"a\":1", 0, Err(ValueEndError::Incomplete)),
            ("\"a\\\"", 0, Err(ValueEndError::Incomplete)),
            ("  ", 0, Err(ValueEndError::Incomplete)),
            ("tru", 0, Err(ValueEndError::Incomplete)),
            ("<html>", 0, Err(ValueEndError::Invalid(0))),
        ] {
            assert_eq!(value_end(text.as_bytes(), from), expected, "{text}");
        }
    }
}
