//! XML as a tree by the rules of Python's `xmltodict`.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use serde_json::{Map, Value};

/// The document as an object with the root element's name as its key; `{}` when it is no XML.
pub(super) fn decode(body: &[u8]) -> Value {
    let text = String::from_utf8_lossy(body);
    match parse(&text) {
        Some(value) => value,
        None => {
            tracing::warn!("A response is not valid XML; it is read as an empty object.");
            super::empty()
        }
    }
}

#[derive(Default)]
struct Element {
    name: String,
    members: Map<String, Value>,
    text: String,
}

fn parse(text: &str) -> Option<Value> {
    let mut reader = Reader::from_str(text);
    let mut open = vec![Element::default()];
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => open.push(element(&start)?),
            Event::Empty(start) => {
                let done = element(&start)?;
                close(&mut open, done)?;
            }
            Event::End(_) => {
                let done = open.pop()?;
                close(&mut open, done)?;
            }
            Event::Text(piece) => {
                open.last_mut()?.text.push_str(&piece);
            }
            Event::CData(piece) => {
                open.last_mut()?.text.push_str(&piece);
            }
            Event::GeneralRef(entity) => {
                let resolved = match entity.resolve_char_ref().ok()? {
                    Some(c) => c.to_string(),
                    None => quick_xml::escape::resolve_predefined_entity(&entity)?.to_owned(),
                };
                open.last_mut()?.text.push_str(&resolved);
            }
            Event::Eof => break,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
    let root = open.pop()?;
    (open.is_empty() && !root.members.is_empty()).then_some(Value::Object(root.members))
}

fn element(start: &BytesStart<'_>) -> Option<Element> {
    let mut element = Element {
        name: start.name().as_ref().to_owned(),
        ..Element::default()
    };
    for attribute in start.attributes() {
        let attribute = attribute.ok()?;
        let name = attribute.key.as_ref();
        let value = quick_xml::escape::unescape(&attribute.value)
            .ok()?
            .into_owned();
        element.members.insert(format!("@{name}"), value.into());
    }
    Some(element)
}

/// Puts a finished element into its parent; a name that comes again makes a list.
fn close(open: &mut [Element], done: Element) -> Option<()> {
    let text = done.text.trim();
    let value = match (done.members.is_empty(), text.is_empty()) {
        (true, true) => Value::Null,
        (true, false) => text.into(),
        (false, true) => Value::Object(done.members),
        (false, false) => {
            let mut members = done.members;
            members.insert("#text".to_owned(), text.into());
            Value::Object(members)
        }
    };
    let members = &mut open.last_mut()?.members;
    match members.get_mut(&done.name) {
        Some(Value::Array(items)) => items.push(value),
        Some(first) => {
            let items = vec![first.take(), value];
            *first = Value::Array(items);
        }
        None => drop(members.insert(done.name, value)),
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn attributes_text_and_repeated_names_become_members() {
        let text = "<?xml version='1.0'?><r><a id='1&amp;2'> x &lt; y </a><b/><b>2</b><b><![CDATA[<3>]]></b></r>";
        assert_eq!(
            decode(text.as_bytes()),
            json!({"r": {"a": {"@id": "1&2", "#text": "x < y"}, "b": [null, "2", "<3>"]}})
        );
    }

    #[test]
    fn what_is_no_xml_is_an_empty_object() {
        for text in ["", "{}", "<a>", "<a></b>"] {
            assert_eq!(decode(text.as_bytes()), json!({}), "{text}");
        }
    }
}
