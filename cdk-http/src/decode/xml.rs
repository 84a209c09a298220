//! XML, turned into JSON by the rules of Python's xmltodict.

use std::fmt::Write;

use bytes::{Bytes, BytesMut};
use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use serde_json::{Map, Value};

use crate::decode::{
    Decode, DecodeError, DecodeErrorKind as Kind, Decoder, Json, Records, RecordsBuilder,
};

/// What is held at once may have this many bytes: one record, what stands around the records, or a document whose records
/// can't be cut out one by one.
const MAX_HELD_BYTES: usize = 256 << 20;
/// Deeper documents are refused, as JSON parsers refuse them.
const MAX_DEPTH: usize = 120;

/// An XML document as [`xml_to_json`] reads it; records are at a path of the result.
///
/// Each element at the path is a record as soon as it is closed, so that no document is too long; empty ones are left out.
/// A path with a `*` step goes through all members at that place; then the document is held whole.
#[derive(Debug, Clone, Default)]
pub struct Xml {
    path: Vec<String>,
}

impl Xml {
    /// Records at this path, which begins with the document's root; dots separate its steps.
    pub fn at(path: &str) -> Self {
        Self {
            path: crate::json::path(path),
        }
    }
}

impl Decoder for Xml {
    fn start(&self, content_type: Option<&str>) -> Box<dyn Decode> {
        let is_whole = self.path.iter().any(|step| step == "*");
        let path = if is_whole {
            Vec::new()
        } else {
            self.path.clone()
        };
        Box::new(XmlDecode {
            walk: Walk::new(path),
            chunk: Bytes::new(),
            is_end: false,
            has_records: false,
            rest: Json::at_path(self.path.clone()).start(content_type),
        })
    }
}

struct XmlDecode {
    walk: Walk,
    chunk: Bytes,
    is_end: bool,
    has_records: bool,
    /// Decodes what is left when the records have been cut out.
    rest: Box<dyn Decode>,
}

impl Decode for XmlDecode {
    fn push(&mut self, chunk: Bytes, is_end: bool) {
        self.chunk = chunk;
        self.is_end = is_end;
    }

    fn next(&mut self) -> Result<Option<Records>, DecodeError> {
        let chunk = std::mem::take(&mut self.chunk);
        if !chunk.is_empty() {
            self.walk.push(&chunk, false)?;
        }
        if std::mem::take(&mut self.is_end) {
            self.walk.push(&[], true)?;
            let json = match self.walk.is_blank() {
                true => String::new(),
                false => self.walk.finish()?.to_string(),
            };
            self.rest.push(Bytes::from(json), true);
        }
        if let Some(records) = self.walk.records.take() {
            self.has_records = true;
            return Ok(Some(records));
        }
        self.rest.next()
    }

    fn envelope(&self) -> Option<&str> {
        self.rest.envelope()
    }

    fn has_records_place(&self) -> bool {
        self.has_records || self.rest.has_records_place()
    }
}

/// A document as a JSON object: attributes become members `@name`, text becomes `#text` (or the value itself where an
/// element has nothing else), repeated elements become an array, an empty element null. Namespace prefixes stay in the
/// names; comments and processing instructions are left out.
pub fn xml_to_json(text: &str) -> Result<Value, DecodeError> {
    let mut walk = Walk::new(Vec::new());
    walk.push(text.as_bytes(), true)?;
    walk.finish()
}

/// An element that is open.
struct Element {
    name: String,
    members: Map<String, Value>,
    text: String,
}

/// A walk through a document that comes in pieces.
struct Walk {
    /// Where records are; nowhere if it is empty.
    path: Vec<String>,
    /// What has not been walked through yet.
    carry: BytesMut,
    /// Bytes before it.
    passed: u64,
    root: Element,
    open: Vec<Element>,
    /// Open elements that lead to records.
    matched: usize,
    /// Bytes in elements, and those before the open record.
    held: usize,
    held_before: usize,
    records: RecordsBuilder,
}

impl Walk {
    fn new(path: Vec<String>) -> Self {
        Self {
            path,
            carry: BytesMut::new(),
            passed: 0,
            root: Element::new(String::new()),
            open: Vec::new(),
            matched: 0,
            held: 0,
            held_before: 0,
            records: RecordsBuilder::default(),
        }
    }

    fn push(&mut self, chunk: &[u8], is_end: bool) -> Result<(), DecodeError> {
        let tag_end = memchr::memrchr(b'>', chunk).map(|at| self.carry.len() + at + 1);
        self.carry.extend_from_slice(chunk);
        if self.held + self.carry.len() > MAX_HELD_BYTES {
            let limit = format!("a part of an XML document of more than {MAX_HELD_BYTES} bytes");
            return Err(DecodeError::new(Kind::TooLarge, limit));
        }
        // Behind the last tag stands text that may go on.
        let end = if is_end {
            self.carry.len()
        } else {
            tag_end.unwrap_or(0)
        };
        let mut carry = self.carry.split();
        let text = std::str::from_utf8(carry.get(..end).unwrap_or_default())
            .map_err(|_| DecodeError::new(Kind::Encoding, "it is not UTF-8"))?;
        let walked = self.through(text, is_end)?;
        self.passed += walked as u64;
        self.carry = carry.split_off(walked);
        Ok(())
    }

    /// Walks through whole events; returns how many bytes they have.
    fn through(&mut self, text: &str, is_end: bool) -> Result<usize, DecodeError> {
        let mut reader = Reader::from_str(text);
        // The elements that are open were opened in other pieces.
        reader.config_mut().allow_unmatched_ends = true;
        reader.config_mut().check_end_names = false;
        loop {
            let walked = reader.buffer_position() as usize;
            let event = match reader.read_event() {
                Ok(Event::Eof) => return Ok(walked),
                Ok(event) => event,
                Err(quick_xml::Error::Syntax(_)) if !is_end => return Ok(walked),
                Err(quick_xml::Error::Syntax(_)) => {
                    return Err(DecodeError::new(Kind::Truncated, ""));
                }
                Err(_) => return Err(self.invalid(walked)),
            };
            let current = self.open.last_mut().unwrap_or(&mut self.root);
            match event {
                Event::Start(start) => self.begin(element(&start)?)?,
                Event::Empty(start) => {
                    self.begin(element(&start)?)?;
                    self.end()?;
                }
                Event::End(end) if current.name == end.name().0 => self.end()?,
                Event::End(_) => return Err(self.invalid(walked)),
                Event::Text(part) => {
                    self.held += part.len();
                    current
                        .text
                        .push_str(&part.xml_content(XmlVersion::Implicit1_0));
                }
                Event::CData(part) => {
                    self.held += part.len();
                    current.text.push_str(&part);
                }
                Event::GeneralRef(reference) => current.text.push_str(&resolved(&reference)?),
                Event::Comment(_)
                | Event::Decl(_)
                | Event::PI(_)
                | Event::DocType(_)
                | Event::Eof => {}
            }
        }
    }

    fn invalid(&self, walked: usize) -> DecodeError {
        let at = self.passed + walked as u64;
        DecodeError::new(Kind::Invalid, format!("expected XML at byte {at}"))
    }

    fn begin(&mut self, element: Element) -> Result<(), DecodeError> {
        if self.open.len() >= MAX_DEPTH {
            let limit = format!("elements nested more than {MAX_DEPTH} deep");
            return Err(DecodeError::new(Kind::TooLarge, limit));
        }
        let depth = self.open.len();
        if self.matched == depth && self.path.get(depth) == Some(&element.name) {
            self.matched += 1;
            self.held_before = self.held;
        }
        self.held += element.name.len();
        self.open.push(element);
        Ok(())
    }

    fn end(&mut self) -> Result<(), DecodeError> {
        let depth = self.open.len();
        let Some(closed) = self.open.pop() else {
            return Ok(());
        };
        let is_record = depth == self.path.len() && self.matched == depth;
        self.matched = self.matched.min(self.open.len());
        if !is_record {
            let parent = self.open.last_mut().unwrap_or(&mut self.root);
            parent.add(closed);
            return Ok(());
        }
        self.held = self.held_before;
        match closed.close().1 {
            Value::Null => Ok(()),
            record @ Value::Object(_) => {
                let text = self.records.text();
                write!(text, "{record}").expect("a string takes all that is written");
                self.records.end_record();
                Ok(())
            }
            _ => {
                let text = "an element in the place of a record holds text alone";
                Err(DecodeError::new(Kind::NotRecords, text))
            }
        }
    }

    /// True when there was nothing but white space.
    fn is_blank(&self) -> bool {
        self.open.is_empty() && self.root.members.is_empty() && self.root.text.trim().is_empty()
    }

    /// The document without the records.
    fn finish(&mut self) -> Result<Value, DecodeError> {
        if !self.open.is_empty() || self.root.members.is_empty() {
            return Err(DecodeError::new(Kind::Truncated, ""));
        }
        Ok(Value::Object(std::mem::take(&mut self.root.members)))
    }
}

impl Element {
    fn new(name: String) -> Self {
        Self {
            name,
            members: Map::new(),
            text: String::new(),
        }
    }

    /// Adds a child that is complete.
    fn add(&mut self, child: Element) {
        let (name, value) = child.close();
        match self.members.get_mut(&name) {
            Some(Value::Array(items)) => items.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
            None => drop(self.members.insert(name, value)),
        }
    }

    fn close(mut self) -> (String, Value) {
        let text = self.text.trim();
        let value = match (self.members.is_empty(), text.is_empty()) {
            (true, true) => Value::Null,
            (true, false) => Value::from(text),
            (false, true) => Value::Object(self.members),
            (false, false) => {
                self.members.insert("#text".to_owned(), Value::from(text));
                Value::Object(self.members)
            }
        };
        (self.name, value)
    }
}

fn element(start: &BytesStart<'_>) -> Result<Element, DecodeError> {
    let mut element = Element::new(start.name().0.to_owned());
    for attribute in start.attributes() {
        let broken = || DecodeError::new(Kind::Invalid, "a broken attribute");
        let attribute = attribute.map_err(|_| broken())?;
        let value = attribute
            .normalized_value(XmlVersion::Implicit1_0)
            .map_err(|_| broken())?;
        let name = format!("@{}", attribute.key.0);
        element
            .members
            .insert(name, Value::from(value.into_owned()));
    }
    Ok(element)
}

fn resolved(reference: &quick_xml::events::BytesRef<'_>) -> Result<String, DecodeError> {
    let unknown = || DecodeError::new(Kind::Invalid, "an unknown entity");
    if let Some(character) = reference.resolve_char_ref().map_err(|_| unknown())? {
        return Ok(character.to_string());
    }
    let text = match &**reference {
        "amp" => "&",
        "lt" => "<",
        "gt" => ">",
        "quot" => "\"",
        "apos" => "'",
        _ => return Err(unknown()),
    };
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::testing::{decode, records};
    use serde_json::json;

    #[test]
    fn elements_become_what_xmltodict_makes_of_them() {
        let text = r#"<?xml version="1.0"?><!-- c --><r a="1 &amp; 2">
            <i>2 &amp; 3</i><i x="y">t</i><e/><n><![CDATA[<b>]]></n> tail </r>"#;
        let expected = json!({"r": {
            "@a": "1 & 2",
            "i": ["2 & 3", {"@x": "y", "#text": "t"}],
            "e": null,
            "n": "<b>",
            "#text": "tail"
        }});
        assert_eq!(xml_to_json(text).unwrap(), expected);
    }

    #[test]
    fn records_are_at_a_path() {
        let body = "<r><next>5 > 4</next>\r\n<i><a>1</a></i><o><i>x</i></o><!-- > --><i><a>é</a></i><i/></r>";
        let expected = [r#"{"a":"1"}"#, r#"{"a":"é"}"#];
        assert_eq!(records(&Xml::at("r.i"), body.as_bytes()).unwrap(), expected);
        for (body, expected) in [
            (&b"<r><i>"[..], Kind::Truncated),
            (b"<r><i></r>", Kind::Invalid),
            (b"<r><i>text</i></r>", Kind::NotRecords),
            (b"<r><i a='1'/></r", Kind::Truncated),
            (b"<r>\xff</r>", Kind::Encoding),
        ] {
            assert_eq!(records(&Xml::at("r.i"), body), Err(expected), "{body:?}");
        }
        assert!(records(&Xml::at("r.i"), b"<r/>").unwrap().is_empty());
        assert!(records(&Xml::at("r.i"), b" \n").unwrap().is_empty());
    }

    #[test]
    fn what_stands_around_the_records_is_left_without_them() {
        let body = b"<r><next>5</next><l><i><a>1</a></i><i><a>2</a></i><n>3</n></l></r>";
        let (found, decode) = decode(&Xml::at("r.l.i"), body, 7).unwrap();
        assert_eq!(found.len(), 2);
        let envelope: Value = serde_json::from_str(decode.envelope().unwrap()).unwrap();
        assert_eq!(envelope, json!({"r": {"next": "5", "l": {"n": "3"}}}));
        assert!(decode.has_records_place());
    }

    #[test]
    fn records_are_let_go_as_they_are_closed() {
        let mut walk = Walk::new(vec!["r".to_owned(), "i".to_owned()]);
        walk.push(b"<r>", false).unwrap();
        for _ in 0..1000 {
            walk.push(b"<i><a>some text</a></i>", false).unwrap();
            assert!(walk.records.take().is_some());
            assert!(walk.carry.is_empty() && walk.held < 10);
        }
    }
}
