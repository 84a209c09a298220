//! Lines and messages of the protocol.

use std::borrow::Cow;
use std::fmt;

use airbyte_protocol::codec::{Line, LineSplitter, RecordLine, fields, scan};
use airbyte_protocol::{AirbyteMessage, AirbyteRecordMessage, RawJson};
use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

/// Splits `input` into lines, in pieces of different sizes, and scans them.
///
/// # Panics
/// When the pieces change the lines, or when [`scan`] and `serde_json` disagree.
pub fn check_lines(input: &[u8]) {
    let whole = split(input, input.len().max(1));
    assert_eq!(split(input, 1), whole);
    assert_eq!(split(input, 7), whole);
    for line in whole.iter().flatten() {
        check_line(line);
    }
    // Also what no splitter gives: overlong lines, and line breaks inside.
    check_line(input);
}

fn split(input: &[u8], piece: usize) -> Vec<Result<Vec<u8>, String>> {
    const MAX_LINE_BYTES: usize = 4096;
    let mut splitter = LineSplitter::new(MAX_LINE_BYTES);
    let mut lines = Vec::new();
    for part in input.chunks(piece) {
        let room = splitter.spare(part.len());
        room[..part.len()].copy_from_slice(part);
        splitter.advance(part.len());
        while let Some(line) = splitter.next_line() {
            lines.push(line.map(<[u8]>::to_vec).map_err(|e| e.to_string()));
        }
    }
    lines.extend(
        splitter
            .finish()
            .map(|line| line.map(<[u8]>::to_vec).map_err(|e| e.to_string())),
    );
    lines
}

fn check_line(line: &[u8]) {
    let scanned = scan(line);
    if let Err(error) = &scanned {
        assert!(error.offset() <= line.len(), "{error}");
    }
    match serde_json::from_slice(line) {
        Ok(AirbyteMessage::Record(record)) if !record.data.get().starts_with('{') => {
            assert!(
                scanned.is_err(),
                "record data must be an object: {scanned:?}"
            );
        }
        Ok(AirbyteMessage::Record(record)) => match scanned {
            Ok(Line::Record(seen)) => check_record(&record, &seen),
            other => panic!("not seen as a record: {other:?}"),
        },
        Ok(message) => match scanned {
            Ok(Line::Message(kind, text)) => {
                assert_eq!((kind, text.as_bytes()), (message.kind(), line));
            }
            other => panic!("not seen as a {}: {other:?}", message.kind()),
        },
        Err(_) => {
            if let Ok(Line::Record(seen)) = scanned {
                check_object(seen.data);
            }
        }
    }
}

fn check_record(record: &AirbyteRecordMessage, seen: &RecordLine<'_>) {
    assert_eq!(seen.stream, record.stream);
    assert_eq!(seen.namespace.as_deref(), record.namespace.as_deref());
    // `RawJson` puts values that hold a line break on one line; a carriage return is one too.
    let data = RawJson::parse(seen.data.to_owned()).expect("serde_json reads the line");
    assert_eq!(data, record.data);
    assert_eq!(seen.emitted_at, Some(record.emitted_at));
    assert_eq!(seen.meta.is_some(), record.meta.is_some());
    assert_eq!(
        seen.file_reference.is_some(),
        record.file_reference.is_some()
    );
}

/// Reads `input` as a message and, if it is one, writes it and reads it again.
///
/// # Panics
/// When the message changes on the way.
pub fn check_message(input: &[u8]) {
    let Ok(message) = serde_json::from_slice::<AirbyteMessage>(input) else {
        return;
    };
    let mut line = Vec::new();
    message.to_line(&mut line);
    let again: AirbyteMessage = serde_json::from_slice(&line).expect("our own line is readable");
    assert_eq!(again, message);
    let mut second = Vec::new();
    again.to_line(&mut second);
    assert_eq!(second, line);
}

/// Walks the members of `input`.
///
/// # Panics
/// When [`fields`] and `serde_json` disagree about an object that `serde_json` accepts.
pub fn check_fields(input: &[u8]) {
    if let Ok(text) = std::str::from_utf8(input) {
        check_object(text);
    }
}

fn check_object(text: &str) {
    let mut walk = fields(text);
    let seen: Result<Vec<_>, _> = walk.by_ref().collect();
    assert!(walk.next().is_none());
    if let Err(error) = &seen {
        assert!(error.offset() <= text.len(), "{error}");
    }
    if let Ok(members) = serde_json::from_str::<Members<'_>>(text) {
        let seen = seen.expect("serde_json reads the object");
        assert_eq!(seen.len(), members.0.len());
        for ((key, value), (wanted_key, wanted_value)) in seen.iter().zip(&members.0) {
            assert_eq!((key, *value), (wanted_key, wanted_value.get()));
        }
    }
}

/// The members of an object as `serde_json` reads them, duplicates too.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;
        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some((key, value)) = map.next_entry::<String, &RawValue>()? {
                    members.push((Cow::Owned(key), value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(MembersVisitor)
    }
}
