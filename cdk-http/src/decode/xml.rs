//! XML, turned into JSON by the rules of Python's xmltodict.

use bytes::{Bytes, BytesMut};
use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use serde_json::{Map, Value};

use crate::decode::{Decode, DecodeError, DecodeErrorKind as Kind, Decoder, Json, Records};

/// A document is held whole.
const MAX_DOCUMENT_BYTES: usize = 256 << 20;
/// Deeper documents are refused, as JSON parsers refuse them.
const MAX_DEPTH: usize = 120;

/// An XML document as [`xml_to_json`] reads it; records are at a path of the result.
#[derive(Debug, Clone, Default)]
pub struct Xml {
    records: Json,
}

impl Xml {
    /// Records at this path, which begins with the document's root; dots separate its steps.
    pub fn at(path: &str) -> Self {
        Self {
            records: Json::at(path),
        }
    }
}

impl Decoder for Xml {
    fn start(&self, content_type: Option<&str>) -> Box<dyn Decode> {
        Box::new(XmlDecode {
            document: BytesMut::new(),
            is_end: false,
            json: self.records.start(content_type),
        })
    }
}

struct XmlDecode {
    document: BytesMut,
    is_end: bool,
    json: Box<dyn Decode>,
}

impl Decode for XmlDecode {
    fn push(&mut self, chunk: Bytes, is_end: bool) {
        self.document.extend_from_slice(&chunk);
        self.is_end = is_end;
    }

    fn next(&mut self) -> Result<Option<Records>, DecodeError> {
        if self.document.len() > MAX_DOCUMENT_BYTES {
            let limit = format!("an XML document of more than {MAX_DOCUMENT_BYTES} bytes");
            return Err(DecodeError::new(Kind::TooLarge, limit));
        }
        if self.is_end {
            self.is_end = false;
            let document = self.document.split();
            let text = std::str::from_utf8(&document)
                .map_err(|_| DecodeError::new(Kind::Encoding, "it is not UTF-8"))?;
            let json = match text.trim().is_empty() {
                true => String::new(),
                false => xml_to_json(text)?.to_string(),
            };
            self.json.push(Bytes::from(json), true);
        }
        self.json.next()
    }

    fn envelope(&self) -> Option<&str> {
        self.json.envelope()
    }

    fn has_records_place(&self) -> bool {
        self.json.has_records_place()
    }
}

/// An element that is open.
struct Element {
    name: String,
    members: Map<String, Value>,
    text: String,
}

/// A document as a JSON object: attributes become members `@name`, text becomes `#text` (or the value itself where an
/// element has nothing else), repeated elements become an array, an empty element null. Namespace prefixes stay in the
/// names; comments and processing instructions are left out.
pub fn xml_to_json(text: &str) -> Result<Value, DecodeError> {
    let mut reader = Reader::from_str(text);
    let mut root = Element::new(String::new());
    let mut open: Vec<Element> = Vec::new();
    loop {
        let event = reader.read_event().map_err(|error| {
            let at = reader.buffer_position();
            match error {
                quick_xml::Error::Syntax(_) => DecodeError::new(Kind::Truncated, ""),
                _ => DecodeError::new(Kind::Invalid, format!("expected XML at byte {at}")),
            }
        })?;
        let current = open.last_mut().unwrap_or(&mut root);
        match event {
            Event::Start(start) => {
                if open.len() >= MAX_DEPTH {
                    let limit = format!("elements nested more than {MAX_DEPTH} deep");
                    return Err(DecodeError::new(Kind::TooLarge, limit));
                }
                open.push(element(&start)?);
            }
            Event::Empty(start) => current.add(element(&start)?),
            Event::End(_) => {
                if let Some(closed) = open.pop() {
                    open.last_mut().unwrap_or(&mut root).add(closed);
                }
            }
            Event::Text(part) => current
                .text
                .push_str(&part.xml_content(XmlVersion::Implicit1_0)),
            Event::CData(part) => current.text.push_str(&part),
            Event::GeneralRef(reference) => current.text.push_str(&resolved(&reference)?),
            Event::Eof => break,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
    if !open.is_empty() || root.members.is_empty() {
        return Err(DecodeError::new(Kind::Truncated, ""));
    }
    Ok(Value::Object(root.members))
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
    use crate::decode::testing::records;
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
        let body = b"<r><next>5</next><i><a>1</a></i><i><a>2</a></i></r>";
        let expected = [r#"{"a":"1"}"#, r#"{"a":"2"}"#];
        assert_eq!(records(&Xml::at("r.i"), body).unwrap(), expected);
        assert_eq!(records(&Xml::at("r.i"), b"<r><i>"), Err(Kind::Truncated));
    }
}
