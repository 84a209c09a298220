//! Looks into JSON text without building a tree: records that no component touches pass as slices of the response.

use std::borrow::Cow;
use std::ops::Range;

/// Deeper texts are refused, as every parser does somewhere.
const MAX_DEPTH: usize = 512;

/// The text is not JSON; the byte it goes wrong at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotJson(pub(crate) usize);

type Result<T> = std::result::Result<T, NotJson>;

/// What a path leads to in a document.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nothing.
    Missing,
    /// One value that is no array.
    One(Item),
    /// The items of an array.
    Items(Vec<Item>),
}

/// A value in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) range: Range<usize>,
    /// Which of the document's spans are members of it.
    pub(crate) spans: Range<usize>,
    /// Some member of it is null.
    pub(crate) has_nulls: bool,
}

/// A member that was looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Span {
    /// Which of the wanted names it has.
    pub(crate) key: usize,
    /// Where its name is, with the quotes.
    pub(crate) name: Range<usize>,
    pub(crate) value: Range<usize>,
}

/// What was found in a document.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Document {
    pub(crate) found: Found,
    /// The wanted members of items, in their order.
    pub(crate) spans: Vec<Span>,
}

/// Follows object keys from the root, checking the whole text on the way. Of equal keys the last counts.
///
/// Notes where the members called `wanted` are in what it finds.
pub(crate) fn find(text: &str, path: &[String], wanted: &[String]) -> Result<Document> {
    let mut scan = Scan::new(text);
    scan.space();
    let mut spans = Vec::new();
    let mut found = scan.follow(path, wanted, &mut spans)?;
    scan.space();
    if scan.at < scan.bytes.len() {
        return Err(NotJson(scan.at));
    }
    if let Found::One(item) = &found
        && text[item.range.clone()].as_bytes() == b"null"
    {
        found = Found::Missing;
    }
    Ok(Document { found, spans })
}

/// The text of a key's value in the text of an object; `None` when there is none.
///
/// The object was checked before (it came out of [`find`]).
pub(crate) fn get<'a>(object: &'a str, key: &str) -> Option<&'a str> {
    let mut scan = Scan::new(object);
    scan.space();
    let mut found = None;
    scan.members(|scan, name| {
        let start = scan.at;
        scan.skip()?;
        if name.is(key) {
            found = Some(&object[start..scan.at]);
        }
        Ok(())
    })
    .ok()?;
    found
}

/// The same object without the members that are null.
pub(crate) fn without_nulls(object: &str) -> Cow<'_, str> {
    let mut kept = String::with_capacity(object.len());
    let mut has_nulls = false;
    let mut scan = Scan::new(object);
    scan.space();
    kept.push('{');
    let walked = scan.members(|scan, name| {
        let start = scan.at;
        scan.skip()?;
        let value = &object[start..scan.at];
        if value == "null" {
            has_nulls = true;
            return Ok(());
        }
        if kept.len() > 1 {
            kept.push(',');
        }
        kept.push_str(name.quoted);
        kept.push(':');
        kept.push_str(value);
        Ok(())
    });
    kept.push('}');
    match walked {
        Ok(()) if has_nulls => Cow::Owned(kept),
        _ => Cow::Borrowed(object),
    }
}

/// A member's name as it stands in the text.
#[derive(Clone, Copy)]
struct Name<'a> {
    quoted: &'a str,
    /// Where it is in the text.
    at: usize,
    has_escapes: bool,
}

impl Name<'_> {
    /// True if it stands for `key`.
    fn is(&self, key: &str) -> bool {
        if self.has_escapes {
            return serde_json::from_str::<String>(self.quoted).is_ok_and(|name| name == key);
        }
        &self.quoted[1..self.quoted.len() - 1] == key
    }
}

struct Scan<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            bytes: text.as_bytes(),
            at: 0,
        }
    }

    fn peek(&self) -> Result<u8> {
        self.bytes.get(self.at).copied().ok_or(NotJson(self.at))
    }

    #[inline]
    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Result<()> {
        if self.peek()? != byte {
            return Err(NotJson(self.at));
        }
        self.at += 1;
        Ok(())
    }

    fn follow(
        &mut self,
        path: &[String],
        wanted: &[String],
        spans: &mut Vec<Span>,
    ) -> Result<Found> {
        match (path.split_first(), self.peek()?) {
            (None, b'[') => Ok(Found::Items(self.items(wanted, spans)?)),
            (None, _) => Ok(Found::One(self.item(wanted, spans)?)),
            (Some((key, rest)), b'{') => {
                let mut found = Found::Missing;
                self.members(|scan, name| {
                    if name.is(key) {
                        found = scan.follow(rest, wanted, spans)?;
                        return Ok(());
                    }
                    scan.skip()
                })?;
                Ok(found)
            }
            _ => {
                self.skip()?;
                Ok(Found::Missing)
            }
        }
    }

    fn items(&mut self, wanted: &[String], spans: &mut Vec<Span>) -> Result<Vec<Item>> {
        self.expect(b'[')?;
        self.space();
        let mut items = Vec::new();
        if self.peek()? == b']' {
            self.at += 1;
            return Ok(items);
        }
        loop {
            self.space();
            items.push(self.item(wanted, spans)?);
            self.space();
            match self.peek()? {
                b',' => self.at += 1,
                b']' => {
                    self.at += 1;
                    return Ok(items);
                }
                _ => return Err(NotJson(self.at)),
            }
        }
    }

    /// Moves behind a value, noting its wanted members.
    fn item(&mut self, wanted: &[String], spans: &mut Vec<Span>) -> Result<Item> {
        let (start, first) = (self.at, spans.len());
        let mut has_nulls = false;
        if self.peek()? == b'{' {
            self.members(|scan, name| {
                let value = scan.at;
                scan.skip()?;
                has_nulls |= scan.bytes[value] == b'n';
                if let Some(key) = wanted.iter().position(|wanted| name.is(wanted)) {
                    spans.push(Span {
                        key,
                        name: name.at..name.at + name.quoted.len(),
                        value: value..scan.at,
                    });
                }
                Ok(())
            })?;
        } else {
            self.skip()?;
        }
        Ok(Item {
            range: start..self.at,
            spans: first..spans.len(),
            has_nulls,
        })
    }

    /// Calls `member` at the start of each value; it must move behind it.
    fn members(&mut self, mut member: impl FnMut(&mut Self, Name<'a>) -> Result<()>) -> Result<()> {
        self.expect(b'{')?;
        self.space();
        if self.peek()? == b'}' {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.space();
            let start = self.at;
            let has_escapes = self.string()?;
            let quoted = &self.text[start..self.at];
            self.space();
            self.expect(b':')?;
            self.space();
            let name = Name {
                quoted,
                at: start,
                has_escapes,
            };
            member(self, name)?;
            self.space();
            match self.peek()? {
                b',' => self.at += 1,
                b'}' => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(NotJson(self.at)),
            }
        }
    }

    /// Moves behind the value that starts here, checking it.
    fn skip(&mut self) -> Result<()> {
        match self.peek()? {
            b'"' => self.string().map(drop),
            b'{' | b'[' => self.nested(),
            _ => self.scalar(),
        }
    }

    /// Moves behind an object or array.
    fn nested(&mut self) -> Result<()> {
        let mut is_object = [false; MAX_DEPTH];
        let mut depth = 0;
        loop {
            // At the start of a value.
            self.space();
            match self.peek()? {
                opening @ (b'{' | b'[') => {
                    self.at += 1;
                    self.space();
                    if self.peek()? == opening + 2 {
                        self.at += 1;
                    } else {
                        *is_object.get_mut(depth).ok_or(NotJson(self.at))? = opening == b'{';
                        depth += 1;
                        if opening == b'{' {
                            self.name()?;
                        }
                        continue;
                    }
                }
                b'"' => drop(self.string()?),
                _ => self.scalar()?,
            }
            // Behind a value.
            loop {
                if depth == 0 {
                    return Ok(());
                }
                self.space();
                let in_object = is_object[depth - 1];
                match (self.peek()?, in_object) {
                    (b',', true) => {
                        self.at += 1;
                        self.space();
                        self.name()?;
                        break;
                    }
                    (b',', false) => {
                        self.at += 1;
                        break;
                    }
                    (b'}', true) | (b']', false) => {
                        self.at += 1;
                        depth -= 1;
                    }
                    _ => return Err(NotJson(self.at)),
                }
            }
        }
    }

    fn name(&mut self) -> Result<()> {
        self.string()?;
        self.space();
        self.expect(b':')
    }

    /// Moves behind a string; true when it has escapes.
    #[inline]
    fn string(&mut self) -> Result<bool> {
        self.expect(b'"')?;
        let mut has_escapes = false;
        loop {
            self.at = plain_end(self.bytes, self.at);
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Ok(has_escapes);
                }
                b'\\' => {
                    has_escapes = true;
                    self.escape()?;
                }
                _ => return Err(NotJson(self.at)),
            }
        }
    }

    fn escape(&mut self) -> Result<()> {
        self.at += 1;
        match self.peek()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 1,
            b'u' => {
                let digits = self.bytes.get(self.at + 1..self.at + 5);
                if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
                    return Err(NotJson(self.at));
                }
                self.at += 5;
            }
            _ => return Err(NotJson(self.at)),
        }
        Ok(())
    }

    fn scalar(&mut self) -> Result<()> {
        match self.peek()? {
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            b'-' | b'0'..=b'9' => self.number(),
            _ => Err(NotJson(self.at)),
        }
    }

    fn word(&mut self, word: &[u8]) -> Result<()> {
        if !self.bytes[self.at..].starts_with(word) {
            return Err(NotJson(self.at));
        }
        self.at += word.len();
        Ok(())
    }

    fn number(&mut self) -> Result<()> {
        if self.bytes[self.at] == b'-' {
            self.at += 1;
        }
        match self.peek()? {
            b'0' => self.at += 1,
            b'1'..=b'9' => self.digits(),
            _ => return Err(NotJson(self.at)),
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.some_digits()?;
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.bytes.get(self.at) {
                self.at += 1;
            }
            self.some_digits()?;
        }
        Ok(())
    }

    fn some_digits(&mut self) -> Result<()> {
        if !self.peek()?.is_ascii_digit() {
            return Err(NotJson(self.at));
        }
        self.digits();
        Ok(())
    }

    #[inline]
    fn digits(&mut self) {
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
    }
}

/// Where the run of characters that need no attention in a string ends: at a quote, backslash, control
/// character or the end.
#[inline]
fn plain_end(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    while let Some(chunk) = bytes.get(at..at + 8) {
        let word = u64::from_le_bytes(chunk.try_into().expect("a chunk has eight bytes"));
        let quote = word ^ (ONES * b'"' as u64);
        let slash = word ^ (ONES * b'\\' as u64);
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let special =
            (quote.wrapping_sub(ONES) & !quote) | (slash.wrapping_sub(ONES) & !slash) | control;
        let special = special & HIGH;
        if special != 0 {
            // Borrows only spoil bytes above the first hit.
            return at + special.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while let Some(byte) = bytes.get(at) {
        if matches!(byte, b'"' | b'\\' | 0..=0x1f) {
            break;
        }
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(keys: &[&str]) -> Vec<String> {
        keys.iter().map(|key| (*key).to_owned()).collect()
    }

    fn items<'a>(text: &'a str, keys: &[&str]) -> Vec<&'a str> {
        match find(text, &path(keys), &[]).unwrap().found {
            Found::Missing => Vec::new(),
            Found::One(item) => vec![&text[item.range]],
            Found::Items(items) => items.into_iter().map(|item| &text[item.range]).collect(),
        }
    }

    #[test]
    fn a_path_leads_to_items_one_value_or_nothing() {
        let text = r#" {"a": {"b": [ {"x":1} ,2, "]"]}, "c": {"d": null}} "#;
        assert_eq!(items(text, &["a", "b"]), [r#"{"x":1}"#, "2", "\"]\""]);
        assert_eq!(items(text, &["a"]), [r#"{"b": [ {"x":1} ,2, "]"]}"#]);
        assert!(items(text, &["c", "d"]).is_empty());
        assert!(items(text, &["nope"]).is_empty());
        assert_eq!(items("[1,[2]]", &[]), ["1", "[2]"]);
    }

    #[test]
    fn of_equal_keys_the_last_counts() {
        assert_eq!(items(r#"{"a":[1],"\u0061":[2,3]}"#, &["a"]), ["2", "3"]);
        assert_eq!(get(r#"{"a":1,"b":2,"a":3}"#, "a"), Some("3"));
    }

    #[test]
    fn wanted_members_and_nulls_are_noted_item_by_item() {
        let text = r#"[{"a":1,"b":{"a":2},"\u0061": [3]},{"c":null},"a"]"#;
        let document = find(text, &[], &path(&["b", "a"])).unwrap();
        let Found::Items(items) = document.found else {
            panic!("no items");
        };
        let spans = |item: &Item| -> Vec<_> {
            let spans = document.spans[item.spans.clone()].iter();
            spans
                .map(|span| {
                    (
                        span.key,
                        &text[span.name.clone()],
                        &text[span.value.clone()],
                    )
                })
                .collect()
        };
        assert_eq!(
            spans(&items[0]),
            [
                (1, "\"a\"", "1"),
                (0, "\"b\"", "{\"a\":2}"),
                (1, "\"\\u0061\"", "[3]")
            ]
        );
        assert!(spans(&items[1]).is_empty() && spans(&items[2]).is_empty());
        let nulls: Vec<_> = items.iter().map(|item| item.has_nulls).collect();
        assert_eq!(nulls, [false, true, false]);
    }

    #[test]
    fn nulls_at_the_top_are_dropped_and_others_stay() {
        assert_eq!(
            without_nulls(r#"{"a": null, "b": {"c": null}, "d": "null"}"#),
            r#"{"b":{"c": null},"d":"null"}"#
        );
        assert_eq!(
            without_nulls(r#"{"b": {"c": null}}"#),
            r#"{"b": {"c": null}}"#
        );
        assert_eq!(without_nulls(r#"{"a":null}"#), "{}");
    }

    #[test]
    fn text_that_is_not_json_is_refused_wherever_it_goes_wrong() {
        for text in [
            "",
            "{",
            "[1,]",
            "{\"a\":1,}",
            "[1 2]",
            "{\"a\" 1}",
            "01",
            "1.",
            "-",
            "tru",
            "\"\\x\"",
            "\"\n\"",
            "[1]]",
            "{\"a\":[}",
            "nul",
            "1e",
            "\"\\u12g4\"",
        ] {
            assert!(find(text, &path(&["a"]), &[]).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn it_accepts_what_serde_json_accepts(text in r#"[\[\]{},:"a0-9.eE \\tn-]{0,16}"#) {
            let ours = find(&text, &[], &[]).is_ok();
            prop_assert_eq!(ours, serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok());
        }

        #[test]
        fn strings_of_any_length_end_where_they_end(
            text in any::<String>(), more in any::<String>()
        ) {
            let value = serde_json::json!({"k": text, "l": more});
            let json = value.to_string();
            let found = get(&json, "k").unwrap();
            prop_assert_eq!(serde_json::from_str::<String>(found).unwrap(), text);
        }
    }
}
