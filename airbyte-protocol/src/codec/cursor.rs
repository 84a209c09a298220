//! A position in JSON text that moves over tokens and values.

use std::ops::Range;

use super::block;

/// Where and why the text isn't what JSON asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Syntax {
    /// Bytes from the start of the text.
    pub(super) offset: usize,
    /// What was expected there; `None` if the text ended too early.
    pub(super) expected: Option<&'static str>,
}

/// A string in the text: the range between its quotes.
#[derive(Clone, Debug)]
pub(super) struct StringSpan {
    pub(super) content: Range<usize>,
    pub(super) has_escapes: bool,
}

pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Cursor<'a> {
    #[inline]
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    #[inline]
    pub(super) fn slice(&self, range: Range<usize>) -> &'a [u8] {
        self.bytes.get(range).unwrap_or_default()
    }

    /// The next byte.
    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Moves over white space and shows the byte after it.
    #[inline]
    pub(super) fn token(&mut self) -> Option<u8> {
        loop {
            let byte = self.peek()?;
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    pub(super) fn syntax(&self, expected: &'static str) -> Syntax {
        let expected = (self.at < self.bytes.len()).then_some(expected);
        Syntax {
            offset: self.at,
            expected,
        }
    }

    fn ended(&self) -> Syntax {
        Syntax {
            offset: self.bytes.len(),
            expected: None,
        }
    }

    /// Moves over `text` if it comes next.
    #[inline]
    pub(super) fn skip(&mut self, text: &[u8]) -> bool {
        let next = self
            .bytes
            .get(self.at..)
            .is_some_and(|rest| rest.starts_with(text));
        self.at += if next { text.len() } else { 0 };
        next
    }

    /// Moves over white space and `byte`.
    #[inline]
    pub(super) fn expect(&mut self, byte: u8, name: &'static str) -> Result<(), Syntax> {
        if self.token() != Some(byte) {
            return Err(self.syntax(name));
        }
        self.at += 1;
        Ok(())
    }

    /// Moves over the string whose opening quote is here.
    #[inline]
    pub(super) fn string(&mut self) -> Result<StringSpan, Syntax> {
        let start = self.at + 1;
        let mut from = start;
        let mut has_escapes = false;
        loop {
            let found = block::quote_or_backslash(self.bytes, from).ok_or_else(|| self.ended())?;
            if self.bytes.get(found) == Some(&b'"') {
                self.at = found + 1;
                return Ok(StringSpan {
                    content: start..found,
                    has_escapes,
                });
            }
            has_escapes = true;
            from = found + 2;
        }
    }

    /// Moves over white space and one value; returns its range.
    #[inline]
    pub(super) fn value(&mut self) -> Result<Range<usize>, Syntax> {
        let first = self.token();
        let start = self.at;
        match first {
            Some(b'"') => {
                self.string()?;
            }
            Some(b'{' | b'[') => {
                self.at = block::container_end(self.bytes, start).ok_or_else(|| self.ended())?;
            }
            Some(b't') => self.literal(b"true")?,
            Some(b'f') => self.literal(b"false")?,
            Some(b'n') => self.literal(b"null")?,
            _ => self.number()?,
        }
        Ok(start..self.at)
    }

    fn literal(&mut self, literal: &[u8]) -> Result<(), Syntax> {
        let rest = self.slice(self.at..self.bytes.len());
        if rest.starts_with(literal) {
            self.at += literal.len();
            return Ok(());
        }
        if literal.starts_with(rest) {
            return Err(self.ended());
        }
        Err(self.syntax("a JSON value"))
    }

    fn digits(&mut self) -> Result<(), Syntax> {
        let start = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start {
            Err(self.syntax("a digit"))
        } else {
            Ok(())
        }
    }

    fn number(&mut self) -> Result<(), Syntax> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits()?,
            _ => return Err(self.syntax("a JSON value")),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    /// Moves over `{`, and over `}` too if the object is empty; says whether a member follows.
    #[inline]
    pub(super) fn enter_object(&mut self) -> Result<bool, Syntax> {
        self.expect(b'{', "an object")?;
        let empty = self.token() == Some(b'}');
        self.at += usize::from(empty);
        Ok(!empty)
    }

    /// Moves over a key, its colon and white space.
    #[inline]
    pub(super) fn key(&mut self) -> Result<StringSpan, Syntax> {
        if self.token() != Some(b'"') {
            return Err(self.syntax("a key"));
        }
        let key = self.string()?;
        self.expect(b':', "a colon")?;
        self.token();
        Ok(key)
    }

    /// Moves over the `,` or `}` after a member; says whether another follows.
    #[inline]
    pub(super) fn after_member(&mut self) -> Result<bool, Syntax> {
        let more = match self.token() {
            Some(b',') => true,
            Some(b'}') => false,
            _ => return Err(self.syntax("a comma or a closing brace")),
        };
        self.at += 1;
        Ok(more)
    }

    /// Moves over `[`, and over `]` too if the array is empty; says whether an item follows.
    #[inline]
    pub(super) fn enter_array(&mut self) -> Result<bool, Syntax> {
        self.expect(b'[', "an array")?;
        let empty = self.token() == Some(b']');
        self.at += usize::from(empty);
        Ok(!empty)
    }

    /// Moves over the `,` or `]` after an item; says whether another follows.
    #[inline]
    pub(super) fn after_item(&mut self) -> Result<bool, Syntax> {
        let more = match self.token() {
            Some(b',') => true,
            Some(b']') => false,
            _ => return Err(self.syntax("a comma or a closing bracket")),
        };
        self.at += 1;
        Ok(more)
    }

    /// Checks that only white space is left.
    #[inline]
    pub(super) fn end(&mut self) -> Result<(), Syntax> {
        match self.token() {
            None => Ok(()),
            Some(_) => Err(self.syntax("the end")),
        }
    }
}
