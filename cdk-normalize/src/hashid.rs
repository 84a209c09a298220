//! The ids by which rows of child tables find their parent.

use cdk_core::destination::columns::Cell;
use md5::{Digest as _, Md5};

/// Hex digits of an id.
pub(crate) const HEX_LEN: usize = 32;

/// An MD5 in hex digits, as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hashid([u8; HEX_LEN]);

impl Hashid {
    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("hex digits are ASCII")
    }

    /// Of texts joined with `-`.
    pub(crate) fn of<'a>(parts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut builder = Builder::default();
        parts.into_iter().for_each(|part| builder.part(part));
        builder.finish()
    }

    /// Of the values of a row, those of its parent's id first: null counts as no text.
    pub(crate) fn of_values(parent: Option<&str>, cells: &[Cell<'_>]) -> Self {
        let mut builder = Builder::default();
        if let Some(parent) = parent {
            builder.part(parent);
        }
        for cell in cells {
            match cell {
                Cell::Null => builder.part(""),
                Cell::Boolean(true) => builder.part("true"),
                Cell::Boolean(false) => builder.part("false"),
                Cell::Integer(value) => builder.part(&value.to_string()),
                Cell::BigInteger(text) | Cell::Text(text) => builder.part(text),
                Cell::Number(text) | Cell::Json(text) => builder.part(text),
                Cell::NonFinite(value) => builder.part(value.as_str()),
            }
        }
        builder.finish()
    }
}

#[derive(Default)]
struct Builder {
    md5: Md5,
    is_begun: bool,
}

impl Builder {
    fn part(&mut self, text: &str) {
        if self.is_begun {
            self.md5.update(b"-");
        }
        self.is_begun = true;
        self.md5.update(text.as_bytes());
    }

    fn finish(self) -> Hashid {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let bytes: [u8; 16] = self.md5.finalize().into();
        let mut hex = [0; HEX_LEN];
        for (pair, byte) in hex.chunks_exact_mut(2).zip(bytes) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        Hashid(hex)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_joined_with_dashes() {
        let cells = [Cell::Integer(1), Cell::Null, Cell::Text("x".into())];
        // md5('1--x'), as PostgreSQL prints it.
        assert_eq!(Hashid::of_values(None, &cells), Hashid::of(["1", "", "x"]));
        assert_eq!(
            Hashid::of(["abc"]).as_str(),
            "900150983cd24fb0d6963f7d28e17f72"
        );
        assert_eq!(
            Hashid::of_values(Some("p"), &cells),
            Hashid::of(["p", "1", "", "x"])
        );
    }
}
