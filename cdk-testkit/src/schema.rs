//! The protocol's own JSON schema, as a judge of what is printed.
//!
//! It is another witness than the types of `airbyte-protocol`: those read what they print themselves.

use std::sync::LazyLock;

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value, json};

/// Judges one message: `Err` lists what the schema doesn't allow, each with its place.
///
/// # Errors
/// If the text is no JSON, or no message.
pub fn check(line: &[u8]) -> Result<(), Vec<String>> {
    check_with(&MESSAGE, line)
}

/// Judges a configured catalog in the same way.
///
/// # Errors
/// If the text is no JSON, or no configured catalog.
pub fn check_catalog(text: &[u8]) -> Result<(), Vec<String>> {
    check_with(&CATALOG, text)
}

fn check_with(validator: &jsonschema::Validator, text: &[u8]) -> Result<(), Vec<String>> {
    let message: Value = serde_json::from_slice(text).map_err(|e| vec![e.to_string()])?;
    let errors = validator.iter_errors(&message);
    let errors: Vec<String> = errors
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    if errors.is_empty() {
        Ok(())
    } else {
        Err(errors)
    }
}

static MESSAGE: LazyLock<jsonschema::Validator> = LazyLock::new(|| validator("AirbyteMessage"));
static CATALOG: LazyLock<jsonschema::Validator> =
    LazyLock::new(|| validator("ConfiguredAirbyteCatalog"));

fn validator(definition: &str) -> jsonschema::Validator {
    let file = yaml(airbyte_protocol::PROTOCOL_SCHEMA);
    let schema = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$ref": format!("#/definitions/{definition}"),
        "definitions": file["definitions"],
    });
    jsonschema::validator_for(&schema).expect("the protocol's schema is one")
}

/// Reads the plain YAML that the file uses: no anchors, no tags.
fn yaml(text: &str) -> Value {
    let events = Parser::new_from_str(text).map(|event| event.expect("the file is YAML").0);
    let is_frame = |event: &Event<'_>| {
        use Event::{DocumentEnd, DocumentStart, StreamEnd, StreamStart};
        matches!(
            event,
            StreamStart | StreamEnd | DocumentStart(_) | DocumentEnd
        )
    };
    node(&mut events.filter(|event| !is_frame(event))).expect("the file is not empty")
}

/// `None` at the end of the surrounding list or mapping.
fn node<'a>(events: &mut impl Iterator<Item = Event<'a>>) -> Option<Value> {
    match events.next().expect("the file is complete") {
        Event::Scalar(text, style, ..) => Some(scalar(&text, style)),
        Event::SequenceStart(..) => Some(std::iter::from_fn(|| node(events)).collect()),
        Event::MappingStart(..) => {
            let mut map = Map::new();
            while let Some(key) = node(events) {
                let key = key.as_str().expect("keys are text").to_owned();
                map.insert(key, node(events).expect("a key has a value"));
            }
            Some(Value::Object(map))
        }
        Event::SequenceEnd | Event::MappingEnd => None,
        other => panic!("not in this file: {other:?}"),
    }
}

fn scalar(text: &str, style: ScalarStyle) -> Value {
    match text {
        "true" if style == ScalarStyle::Plain => Value::Bool(true),
        "false" if style == ScalarStyle::Plain => Value::Bool(false),
        _ if style == ScalarStyle::Plain => text
            .parse::<i64>()
            .map_or_else(|_| Value::from(text), Value::from),
        _ => Value::from(text),
    }
}

#[test]
fn schema_is_read_and_refuses_what_is_wrong() {
    let wrong: [&[u8]; 5] = [
        b"{}",
        br#"{"type":"NEWS"}"#,
        br#"{"type":"LOG","log":{"level":"INFO"}}"#,
        br#"{"type":"RECORD","record":{"stream":"a","data":5,"emitted_at":1}}"#,
        br#"{"type":"STATE","state":{"stream":{"stream_state":{}}}}"#,
    ];
    for text in wrong {
        assert!(check(text).is_err(), "{}", String::from_utf8_lossy(text));
    }
    assert_eq!(
        check(br#"{"type":"LOG","log":{"level":"INFO","message":"m"}}"#),
        Ok(())
    );
}
