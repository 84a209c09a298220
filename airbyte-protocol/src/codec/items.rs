//! The items of one JSON array.

use std::fmt;
use std::iter::FusedIterator;

use super::cursor::Cursor;
use super::fields::FieldsError;

/// Walks the items of the JSON array `array`, in their order.
///
/// Each item is the exact text of a value. Separators and scalars are checked strictly, nested values only
/// as the [module](super) says. White space around the array is fine, anything else after it is an error.
/// After an error the walk ends.
#[must_use]
pub fn items(array: &str) -> Items<'_> {
    Items {
        array,
        cursor: Cursor::new(array.as_bytes()),
        place: Place::Start,
    }
}

/// The iterator of [`items`].
pub struct Items<'a> {
    array: &'a str,
    cursor: Cursor<'a>,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Start,
    AfterItem,
    Done,
}

impl<'a> Items<'a> {
    fn advance(&mut self) -> Result<Option<&'a str>, FieldsError> {
        let more = match self.place {
            Place::Start => self.cursor.enter_array()?,
            Place::AfterItem => self.cursor.after_item()?,
            Place::Done => return Ok(None),
        };
        if !more {
            self.place = Place::Done;
            self.cursor.end()?;
            return Ok(None);
        }
        let value = self.cursor.value()?;
        self.place = Place::AfterItem;
        Ok(Some(self.array.get(value).unwrap_or_default()))
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Result<&'a str, FieldsError>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.advance();
        if item.is_err() {
            self.place = Place::Done;
        }
        item.transpose()
    }
}

impl FusedIterator for Items<'_> {}

impl fmt::Debug for Items<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the text: records don't belong in logs.
        f.debug_struct("Items")
            .field("at", &self.cursor.at)
            .field("bytes", &self.array.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Result<Vec<&str>, usize> {
        items(text)
            .map(|item| item.map_err(|error| error.offset()))
            .collect()
    }

    #[test]
    fn gives_items_verbatim() {
        let text = " [1.10 , \"a\\\"]\",{\"b\":[1, 2]},[ ] , null] ";
        let expected = ["1.10", "\"a\\\"]\"", "{\"b\":[1, 2]}", "[ ]", "null"];
        assert_eq!(all(text).unwrap(), expected);
        assert_eq!(all("[ ]").unwrap(), [""; 0]);
    }

    #[test]
    fn errors_carry_the_offset_and_nothing_follows_them() {
        for (text, offset) in [
            ("", 0),
            ("{}", 0),
            ("[1]x", 3),
            ("[1,]", 3),
            ("[1 2]", 3),
            ("[01]", 2),
            ("[[1}", 4),
        ] {
            assert_eq!(all(text), Err(offset), "{text}");
        }
        let mut walk = items("[1,oops,2]");
        assert!(walk.next().is_some_and(|item| item.is_ok()));
        assert!(walk.next().is_some_and(|item| item.is_err()));
        assert!(walk.next().is_none() && walk.next().is_none());
    }
}
