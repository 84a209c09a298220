//! JSON text that PostgreSQL takes as `jsonb`: checked here, because the server would refuse the whole load.
//!
//! Besides JSON's own grammar `jsonb` has limits: no byte 0 in text, no half of a surrogate pair, numbers as
//! `numeric` takes them, and sizes of 28 bits (PostgreSQL's `src/include/utils/jsonb.h`).

use airbyte_protocol::ChangeReason;

use super::numeric;

/// Nesting that the server's parser takes with its default stack.
const MAX_DEPTH: usize = 1000;
/// Bytes that one value may have in `jsonb`.
const MAX_BYTES: usize = 0x0fff_ffff;

/// Whether `text` is JSON that `jsonb` can hold; why not, otherwise.
pub(super) fn check(text: &str) -> Result<(), ChangeReason> {
    let mut walk = Walk {
        text,
        bytes: text.as_bytes(),
        at: 0,
        size: 0,
        open: Vec::new(),
    };
    match walk.run() {
        Ok(()) if walk.size <= MAX_BYTES => Ok(()),
        Ok(()) | Err(Refused::TooLarge) => Err(ChangeReason::DestinationFieldSizeLimitation),
        Err(Refused::Broken) => Err(ChangeReason::DestinationSerializationError),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Refused {
    /// Not JSON, or text that the server can't hold.
    Broken,
    TooLarge,
}

/// A walk over the tokens; nesting costs one bool a level.
struct Walk<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    /// Bytes in `jsonb`, at most.
    size: usize,
    /// For each open container, whether it is an object.
    open: Vec<bool>,
}

impl Walk<'_> {
    fn run(&mut self) -> Result<(), Refused> {
        loop {
            if self.value()? {
                // A container with members was opened: its first value comes next.
                continue;
            }
            loop {
                let Some(is_object) = self.open.last().copied() else {
                    return match self.token() {
                        None => Ok(()),
                        Some(_) => Err(Refused::Broken),
                    };
                };
                match (self.token(), is_object) {
                    (Some(b','), _) => {
                        self.at += 1;
                        if is_object {
                            self.key()?;
                        }
                        break;
                    }
                    (Some(b'}'), true) | (Some(b']'), false) => {
                        self.at += 1;
                        self.open.pop();
                    }
                    _ => return Err(Refused::Broken),
                }
            }
        }
    }

    /// Reads one value; of a container with members only what stands before its first value, which is
    /// true then.
    fn value(&mut self) -> Result<bool, Refused> {
        self.size += 8;
        match self.token() {
            Some(b'"') => self.string().map(|()| false),
            Some(b'{') => self.container(true),
            Some(b'[') => self.container(false),
            Some(b't') => self.literal("true"),
            Some(b'f') => self.literal("false"),
            Some(b'n') => self.literal("null"),
            _ => self.number().map(|()| false),
        }
    }

    fn container(&mut self, is_object: bool) -> Result<bool, Refused> {
        self.at += 1;
        let end = if is_object { b'}' } else { b']' };
        if self.token() == Some(end) {
            self.at += 1;
            return Ok(false);
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(Refused::TooLarge);
        }
        self.open.push(is_object);
        if is_object {
            self.key()?;
        }
        Ok(true)
    }

    fn key(&mut self) -> Result<(), Refused> {
        self.size += 8;
        if self.token() != Some(b'"') {
            return Err(Refused::Broken);
        }
        self.string()?;
        if self.token() != Some(b':') {
            return Err(Refused::Broken);
        }
        self.at += 1;
        Ok(())
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn token(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
        self.peek()
    }

    fn literal(&mut self, literal: &str) -> Result<bool, Refused> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if !rest.starts_with(literal.as_bytes()) {
            return Err(Refused::Broken);
        }
        self.at += literal.len();
        Ok(false)
    }

    fn string(&mut self) -> Result<(), Refused> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    self.size += self.at - start;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                // Control characters must be escaped.
                Some(..0x20) | None => return Err(Refused::Broken),
                Some(_) => self.at += 1,
            }
        }
    }

    fn escape(&mut self) -> Result<(), Refused> {
        let kind = self.bytes.get(self.at + 1).copied();
        self.at += 2;
        match kind {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(()),
            Some(b'u') => match self.unit()? {
                0 | 0xdc00..=0xdfff => Err(Refused::Broken),
                0xd800..=0xdbff => {
                    let rest = self.bytes.get(self.at..).unwrap_or_default();
                    if !rest.starts_with(b"\\u") {
                        return Err(Refused::Broken);
                    }
                    self.at += 2;
                    match self.unit()? {
                        0xdc00..=0xdfff => Ok(()),
                        _ => Err(Refused::Broken),
                    }
                }
                _ => Ok(()),
            },
            _ => Err(Refused::Broken),
        }
    }

    /// Four hex digits.
    fn unit(&mut self) -> Result<u16, Refused> {
        let digits = self.text.get(self.at..self.at + 4).ok_or(Refused::Broken)?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Refused::Broken);
        }
        self.at += 4;
        u16::from_str_radix(digits, 16).map_err(|_| Refused::Broken)
    }

    fn number(&mut self) -> Result<(), Refused> {
        let start = self.at;
        self.skip(b"-");
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits()?,
            _ => return Err(Refused::Broken),
        }
        if self.skip(b".") {
            self.digits()?;
        }
        if self.skip(b"eE") {
            self.skip(b"+-");
            self.digits()?;
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        self.size += 16 + text.len();
        numeric::check(text).map_err(|numeric::TooLarge| Refused::TooLarge)
    }

    fn skip(&mut self, bytes: &[u8]) -> bool {
        let is_one = self.peek().is_some_and(|byte| bytes.contains(&byte));
        self.at += usize::from(is_one);
        is_one
    }

    fn digits(&mut self) -> Result<(), Refused> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        match self.at > start {
            true => Ok(()),
            false => Err(Refused::Broken),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BROKEN: Result<(), ChangeReason> = Err(ChangeReason::DestinationSerializationError);
    const TOO_LARGE: Result<(), ChangeReason> = Err(ChangeReason::DestinationFieldSizeLimitation);

    #[test]
    fn what_jsonb_holds_is_taken() {
        for text in [
            "null",
            "true",
            "[]",
            "{}",
            " [ 1 , -0.5e+3 , \"\\u00e9\\ud83d\\ude00\\n\" ] ",
            "{\"a\":{\"b\":[{},[],{\"c\":1}]},\"\":\"\\\\\"}",
            "\"\u{7f}é\"",
            "12345678901234567890123.450",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_is_no_json_or_no_text_is_refused() {
        for text in [
            "",
            "[1,]",
            "[1 2]",
            "{\"a\"}",
            "{\"a\":1,}",
            "{a:1}",
            "[1}",
            "{\"a\":1]",
            "01",
            "1.",
            ".5",
            "+1",
            "1e",
            "nul",
            "\"a",
            "\"\\x\"",
            "\"\u{1}\"",
            "\"\\u12\"",
            "\"\\u12é4\"",
            "1 2",
            "[[]",
            "NaN",
            "\"\\u0000\"",
            "\"\\ud800\"",
            "\"\\ud800\\u0041\"",
            "\"\\udc00\"",
            "{\"\\u0000\":1}",
        ] {
            assert_eq!(check(text), BROKEN, "{text}");
        }
    }

    #[test]
    fn what_is_too_large_is_told_apart() {
        assert_eq!(check("[1e131072]"), TOO_LARGE);
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(check(&nested(1000)), Ok(()));
        assert_eq!(check(&nested(1001)), TOO_LARGE);
    }

    proptest! {
        #[test]
        fn agrees_with_serde_json_on_what_is_json(text in r#"[\[\]{}",:0-9eE.+\\\-tn ua]{0,12}"#) {
            let is_json = serde_json::from_str::<serde_json::Value>(&text).is_ok();
            // serde_json refuses unpaired surrogates too; the byte 0 can't be written with these letters.
            prop_assert_eq!(check(&text) == Ok(()), is_json, "{}", text);
        }
    }
}
