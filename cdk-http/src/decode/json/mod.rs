//! JSON: the records of an array, however long, or one object.

mod children;
mod scan;

use std::ops::Range;

use airbyte_protocol::codec;
use bytes::{Bytes, BytesMut};

use children::children;
use scan::{Halt, Scan, invalid};

use crate::decode::{Decode, DecodeError, DecodeErrorKind as Kind, Decoder, Records};

/// A member around the records that is longer than this is left out of the envelope.
const MAX_MEMBER_BYTES: usize = 64 << 10;
/// One record, or one member around them, may have this many bytes.
const MAX_VALUE_BYTES: usize = 256 << 20;

/// A JSON document. Records are the items of the array at a path, or the one object there; they are cut out of the
/// body as they are. Null and a missing path stand for no records.
///
/// The items of an array come one by one: neither it nor the document is ever held whole. A `*` step of the path goes
/// through all members and items at that place, one by one at the first such place.
#[derive(Debug, Clone, Default)]
pub struct Json {
    path: Vec<String>,
}

impl Json {
    /// Records at the top of the document.
    pub fn new() -> Self {
        Self::default()
    }

    /// Records at this path; dots separate its steps.
    pub fn at(path: &str) -> Self {
        Self::at_path(crate::json::path(path))
    }

    /// Records at the path of these steps.
    pub fn at_path(path: Vec<String>) -> Self {
        Self { path }
    }
}

impl Decoder for Json {
    fn start(&self, _: Option<&str>) -> Box<dyn Decode> {
        Box::new(JsonDecode {
            path: self.path.clone(),
            carry: BytesMut::new(),
            pushed: None,
            is_end: false,
            scan_at: 0,
            phase: Phase::Value(0),
            is_first: true,
            offset: 0,
            envelope: Vec::new(),
            is_found: false,
        })
    }
}

/// Where the walk is.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Phase {
    /// Before the value at so many steps of the path.
    Value(usize),
    /// Within the object at so many steps of the path, before a member or the end.
    Members(usize),
    /// Within the array of records.
    Items,
    /// Within the object or array at `depth` steps of the path, all of whose members or items are gone through; `close`
    /// ends it.
    Each { depth: usize, close: u8 },
    /// Behind the document.
    Done,
}

struct JsonDecode {
    path: Vec<String>,
    /// Bytes that were not complete.
    carry: BytesMut,
    pushed: Option<Bytes>,
    is_end: bool,
    /// The carried bytes are looked at again when there are so many.
    scan_at: usize,
    phase: Phase,
    /// Nothing has come yet within the object or array that the walk is in.
    is_first: bool,
    /// Bytes of the document before what is looked at.
    offset: usize,
    envelope: Vec<u8>,
    is_found: bool,
}

impl JsonDecode {
    /// Walks as far as the bytes go; returns how many are done with.
    fn walk(&mut self, scan: &mut Scan<'_>) -> Result<usize, DecodeError> {
        loop {
            let before = scan.at;
            let step = match self.phase {
                Phase::Value(depth) => self.value(scan, depth),
                Phase::Members(depth) => self.member(scan, depth),
                Phase::Items => self.items(scan, Self::item),
                Phase::Each { .. } => self.items(scan, Self::child),
                Phase::Done => match scan.token() {
                    Ok(_) => Err(invalid(scan.at, "the end of the document").into()),
                    Err(halt) => Err(halt),
                },
            };
            match step {
                Ok(()) => {}
                Err(Halt::NeedMore) if matches!(self.phase, Phase::Items | Phase::Each { .. }) => {
                    return Ok(scan.at);
                }
                Err(Halt::NeedMore) => return Ok(before),
                Err(Halt::Failed(error)) => return Err(self.explained(error, scan)),
            }
        }
    }

    fn value(&mut self, scan: &mut Scan<'_>, depth: usize) -> Result<(), Halt> {
        let first = scan.token()?;
        if depth < self.path.len() {
            if self.path.get(depth).is_some_and(|step| step == "*") && matches!(first, b'{' | b'[')
            {
                scan.at += 1;
                let close = if first == b'{' { b'}' } else { b']' };
                self.envelope.extend_from_slice(&[first, close]);
                self.phase = Phase::Each { depth, close };
                self.is_first = true;
                return Ok(());
            }
            if first == b'{' {
                scan.at += 1;
                self.envelope.push(b'{');
                self.phase = Phase::Members(depth);
                self.is_first = true;
                return Ok(());
            }
            let value = scan.value()?;
            self.keep(scan.slice(value));
            self.after_value(depth);
            return Ok(());
        }
        match first {
            b'[' => {
                scan.at += 1;
                self.envelope.extend_from_slice(b"[]");
                self.is_found = true;
                self.is_first = true;
                self.phase = Phase::Items;
            }
            b'{' => {
                let record = scan.value()?;
                match depth {
                    0 => self.keep(scan.slice(record.clone())),
                    _ => self.envelope.extend_from_slice(b"{}"),
                }
                scan.spans.push(record);
                self.is_found = true;
                self.after_value(depth);
            }
            b'n' => {
                scan.value()?;
                self.envelope.extend_from_slice(b"null");
                self.after_value(depth);
            }
            _ => {
                scan.value()?;
                return Err(self.not_records("a single value").into());
            }
        }
        Ok(())
    }

    fn after_value(&mut self, depth: usize) {
        self.is_first = false;
        self.phase = match depth.checked_sub(1) {
            Some(parent) => Phase::Members(parent),
            None => Phase::Done,
        };
    }

    fn member(&mut self, scan: &mut Scan<'_>, depth: usize) -> Result<(), Halt> {
        let mut first = scan.token()?;
        if first == b'}' {
            scan.at += 1;
            self.envelope.push(b'}');
            self.after_value(depth);
            return Ok(());
        }
        if !self.is_first {
            if first != b',' {
                return Err(invalid(scan.at, "a comma or a closing brace").into());
            }
            scan.at += 1;
            first = scan.token()?;
        }
        if first != b'"' {
            return Err(invalid(scan.at, "a key").into());
        }
        let key = scan.value()?;
        if scan.token()? != b':' {
            return Err(invalid(scan.at, "a colon").into());
        }
        scan.at += 1;
        let is_on_path = self.is_step(scan.slice(key.clone()), depth);
        let value = match is_on_path {
            true => None,
            false => Some(scan.value()?),
        };
        if !self.is_first {
            self.envelope.push(b',');
        }
        self.envelope.extend_from_slice(scan.slice(key));
        self.envelope.push(b':');
        match value {
            Some(value) => {
                self.keep(scan.slice(value));
                self.is_first = false;
            }
            None => self.phase = Phase::Value(depth + 1),
        }
        Ok(())
    }

    fn is_step(&self, quoted: &[u8], depth: usize) -> bool {
        let Some(step) = self.path.get(depth) else {
            return false;
        };
        let key = std::str::from_utf8(quoted).ok();
        let key = key.and_then(|key| codec::decode_str_lossy(key).ok());
        key.is_some_and(|key| key == *step)
    }

    /// Moves over as many as there are, each by `next`, which says false at the end.
    fn items<'a>(
        &mut self,
        scan: &mut Scan<'a>,
        next: fn(&mut Self, &mut Scan<'a>) -> Result<bool, Halt>,
    ) -> Result<(), Halt> {
        loop {
            let before = scan.at;
            match next(self, scan) {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(Halt::NeedMore) => {
                    scan.at = before;
                    return Err(Halt::NeedMore);
                }
                Err(failed) => return Err(failed),
            }
        }
    }

    /// Moves over one item; false at the end of the array.
    fn item(&mut self, scan: &mut Scan<'_>) -> Result<bool, Halt> {
        let mut first = scan.token()?;
        if first == b']' {
            scan.at += 1;
            self.after_value(self.path.len());
            return Ok(false);
        }
        if !self.is_first {
            if first != b',' {
                return Err(invalid(scan.at, "a comma or the end of the array").into());
            }
            scan.at += 1;
            first = scan.token()?;
        }
        let item = scan.value()?;
        if first != b'{' {
            return Err(self
                .not_records("an array of other values than objects")
                .into());
        }
        scan.spans.push(item);
        self.is_first = false;
        Ok(true)
    }

    /// Moves over one member or item of a place that is gone through, and collects its records; false at the end.
    fn child(&mut self, scan: &mut Scan<'_>) -> Result<bool, Halt> {
        let Phase::Each { depth, close } = self.phase else {
            return Ok(false);
        };
        let mut first = scan.token()?;
        if first == close {
            scan.at += 1;
            self.after_value(depth);
            return Ok(false);
        }
        if !self.is_first {
            if first != b',' {
                return Err(invalid(scan.at, "a comma or the end of the list").into());
            }
            scan.at += 1;
            first = scan.token()?;
        }
        let mut value = scan.value()?;
        if close == b'}' {
            if first != b'"' {
                return Err(invalid(scan.at, "a key").into());
            }
            if scan.token()? != b':' {
                return Err(invalid(scan.at, "a colon").into());
            }
            scan.at += 1;
            value = scan.value()?;
        }
        let start = value.start;
        let text = std::str::from_utf8(scan.text.get(value).unwrap_or_default())
            .map_err(|_| DecodeError::new(Kind::Encoding, "it is not UTF-8"))?;
        self.collect(text, start, depth + 1, &mut scan.spans)?;
        self.is_first = false;
        Ok(true)
    }

    /// Puts a value into the envelope, unless it is long.
    fn keep(&mut self, value: &[u8]) {
        let is_short = value.len() <= MAX_MEMBER_BYTES;
        self.envelope
            .extend_from_slice(if is_short { value } else { b"null" });
    }

    fn not_records(&self, found: &str) -> DecodeError {
        let place = match self.path.as_slice() {
            [] => "the top of the document".to_owned(),
            path => format!("`{}`", path.join(".")),
        };
        DecodeError::new(Kind::NotRecords, format!("{found} at {place}"))
    }

    /// A web page is told from other text that is no JSON; offsets become those of the document.
    fn explained(&self, error: DecodeError, scan: &Scan<'_>) -> DecodeError {
        let start = scan.text.trim_ascii_start();
        let is_page = self.offset == 0 && start.first() == Some(&b'<');
        match error.kind() {
            Kind::Invalid if is_page => DecodeError::new(Kind::WebPage, ""),
            _ => error,
        }
    }

    /// The end came: is the document complete?
    fn finish(&self, rest: &[u8]) -> Result<(), DecodeError> {
        let is_blank = rest.iter().all(u8::is_ascii_whitespace);
        match self.phase {
            Phase::Done => Ok(()),
            Phase::Value(0) if is_blank && self.offset == 0 => Ok(()),
            _ => Err(DecodeError::new(Kind::Truncated, "")),
        }
    }

    /// The records in a value at so many steps of the path, which begins at `start`.
    fn collect(
        &mut self,
        part: &str,
        start: usize,
        depth: usize,
        spans: &mut Vec<Range<usize>>,
    ) -> Result<(), DecodeError> {
        let text_of = |child: &Range<usize>| {
            part.get(child.start - start..child.end - start)
                .unwrap_or_default()
        };
        let Some(step) = self.path.get(depth).cloned() else {
            match part.as_bytes().first() {
                Some(b'{') => spans.push(start..start + part.len()),
                Some(b'n') => return Ok(()),
                Some(b'[') => {
                    for (_, item) in children(part, start)? {
                        if !text_of(&item).starts_with('{') {
                            return Err(self.not_records("an array of other values than objects"));
                        }
                        spans.push(item);
                    }
                }
                _ => return Err(self.not_records("a single value")),
            }
            self.is_found = true;
            return Ok(());
        };
        for (key, child) in children(part, start)? {
            if step == "*" || key.as_deref() == Some(step.as_str()) {
                self.collect(text_of(&child), child.start, depth + 1, spans)?;
            }
        }
        Ok(())
    }
}

impl Decode for JsonDecode {
    fn push(&mut self, chunk: Bytes, is_end: bool) {
        self.is_end = is_end;
        self.pushed = Some(chunk);
    }

    fn next(&mut self) -> Result<Option<Records>, DecodeError> {
        let Some(mut text) = self.pushed.take() else {
            return Ok(None);
        };
        // A byte order mark is no JSON, but some servers send one.
        if self.offset == 0 && self.carry.is_empty() && text.starts_with(b"\xEF\xBB\xBF") {
            text = text.slice(3..);
        }
        if !self.carry.is_empty() {
            self.carry.extend_from_slice(&text);
            if self.carry.len() > MAX_VALUE_BYTES {
                let limit = format!("more than {MAX_VALUE_BYTES} bytes without an end");
                return Err(DecodeError::new(Kind::TooLarge, limit));
            }
            if self.carry.len() < self.scan_at && !self.is_end {
                return Ok(None);
            }
            text = self.carry.split().freeze();
        }
        let mut scan = Scan {
            text: &text,
            at: 0,
            is_end: self.is_end,
            spans: Vec::new(),
        };
        let done = self.walk(&mut scan)?;
        let spans = scan.spans;
        let rest = text.get(done..).unwrap_or_default();
        if self.is_end {
            self.finish(rest)?;
        } else if !rest.is_empty() {
            self.carry.extend_from_slice(rest);
            // A long value is not scanned again for every chunk.
            self.scan_at = 2 * rest.len();
        }
        self.offset += done;
        Ok((!spans.is_empty()).then(|| Records::new(text, spans)))
    }

    fn envelope(&self) -> Option<&str> {
        std::str::from_utf8(&self.envelope)
            .ok()
            .filter(|text| !text.is_empty())
    }

    fn has_records_place(&self) -> bool {
        self.is_found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::testing::{decode, records};

    #[test]
    fn records_are_cut_out_as_they_are() {
        let body = br#" {"n":1, "data" : {"x":[0],"items":[ {"a": 1.10} ,{"b":"]}\"","c":[{}]}],"t":"z"},"m":[1]} "#;
        let json = Json::at("data.items");
        let expected = [r#"{"a": 1.10}"#, r#"{"b":"]}\"","c":[{}]}"#];
        assert_eq!(records(&json, body).unwrap(), expected);
        for size in [1, 3, 1000] {
            let (_, decoded) = decode(&json, body, size).unwrap();
            assert_eq!(
                decoded.envelope(),
                Some(r#"{"n":1,"data":{"x":[0],"items":[],"t":"z"},"m":[1]}"#)
            );
        }
    }

    #[test]
    fn the_top_may_be_an_array_an_object_or_nothing() {
        let json = Json::new();
        assert_eq!(records(&json, b"[]").unwrap(), [""; 0]);
        assert_eq!(
            records(&json, b"\xEF\xBB\xBF[{}]"[3..].as_ref()).unwrap(),
            ["{}"]
        );
        assert_eq!(
            records(&json, b" {\"next\":2}\n").unwrap(),
            ["{\"next\":2}"]
        );
        assert_eq!(records(&json, b"").unwrap(), [""; 0]);
        assert_eq!(records(&json, b"null").unwrap(), [""; 0]);
        let (_, decoded) = decode(&json, b"{\"next\":2}", 100).unwrap();
        assert_eq!(decoded.envelope(), Some("{\"next\":2}"));
    }

    #[test]
    fn a_missing_place_is_told_from_an_empty_one() {
        let json = Json::at("data");
        for (body, has_place) in [
            ("{\"data\":[]}", true),
            ("{\"data\":null}", false),
            ("{\"error\":\"x\"}", false),
            ("[1]", false),
        ] {
            let (found, decoded) = decode(&json, body.as_bytes(), 100).unwrap();
            assert_eq!(found, [""; 0], "{body}");
            assert_eq!(decoded.has_records_place(), has_place, "{body}");
        }
    }

    #[test]
    fn broken_bodies_say_what_is_wrong() {
        let json = Json::at("data");
        for (body, kind) in [
            ("{\"data\":[{\"a\":1},{\"a\"", Kind::Truncated),
            ("{\"data\":[{\"a\":1}]", Kind::Truncated),
            ("{\"da", Kind::Truncated),
            ("<html><body>", Kind::WebPage),
            ("Not found", Kind::Invalid),
            ("{\"data\":[{} {}]}", Kind::Invalid),
            ("{\"data\":[{}]} x", Kind::Invalid),
            ("{\"data\":5}", Kind::NotRecords),
            ("{\"data\":[1]}", Kind::NotRecords),
        ] {
            assert_eq!(records(&json, body.as_bytes()), Err(kind), "{body}");
        }
    }

    #[test]
    fn a_star_goes_through_members_and_items() {
        let body = br#"{"a":{"x":[{"i":1}]},"b":{"x":{"i":2}},"c":[{"x":[{"i":3}]}]}"#;
        assert_eq!(
            records(&Json::at("*.x"), body).unwrap(),
            [r#"{"i":1}"#, r#"{"i":2}"#]
        );
        assert_eq!(records(&Json::at("c.*.x"), body).unwrap(), [r#"{"i":3}"#]);
        assert_eq!(records(&Json::at("*.x"), b"{\"a\":"), Err(Kind::Truncated));
        assert_eq!(records(&Json::at("*.x"), b"{\"a\":1]"), Err(Kind::Invalid));
        assert_eq!(records(&Json::at("*.x"), b"[1 2]"), Err(Kind::Invalid));
        assert_eq!(records(&Json::at("*"), b"[\"a\"]"), Err(Kind::NotRecords));
        let (_, decoded) = decode(&Json::at("c.*.x"), body, 3).unwrap();
        assert_eq!(
            decoded.envelope(),
            Some(r#"{"a":{"x":[{"i":1}]},"b":{"x":{"i":2}},"c":[]}"#)
        );
    }

    #[test]
    fn what_a_star_goes_through_comes_before_the_end() {
        let mut decode = Json::at("data.*.x").start(None);
        decode.push(Bytes::from_static(br#"{"data":{"#), false);
        assert!(decode.next().unwrap().is_none());
        for _ in 0..3 {
            decode.push(Bytes::from_static(br#""k":{"x":[{"i":1}]},"#), false);
            assert_eq!(decode.next().unwrap().map(|it| it.len()), Some(1));
        }
    }

    #[test]
    fn text_that_is_not_utf8_is_refused() {
        let body = b"[{\"a\":\"caf\xE9\"}]";
        assert_eq!(records(&Json::new(), body), Err(Kind::Encoding));
    }
}
