//! What each kind of line becomes.

use airbyte_protocol::codec::{Line, LineErrorKind, LineSplitter, fields, scan};
use airbyte_protocol::{MessageType, StreamDescriptor};

const RECORD: &str = r#"{"type":"RECORD","record":{"namespace":"n","stream":"a","data":{"b":"é}\"","c":[1.10]},"emitted_at":17}}"#;
const STATE: &str =
    r#"{"type":"STATE","state":{"type":"STREAM","stream":{"stream_descriptor":{"name":"é"}}}}"#;

fn text_of(line: &[u8]) -> String {
    match scan(line) {
        Ok(Line::Text(text)) => text.into_owned(),
        other => panic!("{other:?}"),
    }
}

fn failure_of(line: &[u8]) -> (LineErrorKind, usize) {
    match scan(line) {
        Err(error) => (error.kind().clone(), error.offset()),
        Ok(line) => panic!("{line:?}"),
    }
}

#[test]
fn a_record_is_borrowed_from_its_line() {
    let Line::Record(record) = scan(RECORD.as_bytes()).unwrap() else {
        panic!("no record")
    };
    assert_eq!(record.data, r#"{"b":"é}\"","c":[1.10]}"#);
    assert!(record.is_of(&StreamDescriptor::new("a").with_namespace("n")));
    assert!(!record.is_of(&StreamDescriptor::new("a")));
    assert_eq!(
        (record.emitted_at, record.meta, record.file_reference),
        (Some(17), None, None)
    );
}

#[test]
fn key_order_and_white_space_are_free() {
    let line = b" { \"record\" : { \"emitted_at\" : 1.7e12 , \"meta\" : {\"changes\":[]} , \"data\" : { } , \
                 \"file_reference\":{}, \"stream\" : \"a\\u0062\" } , \"x\":[{}], \"type\" : \"RECORD\" } \r";
    let Line::Record(record) = scan(line).unwrap() else {
        panic!("no record")
    };
    assert_eq!((&*record.stream, record.data), ("ab", "{ }"));
    assert_eq!(record.emitted_at, Some(1_700_000_000_000));
    assert_eq!(
        (record.meta, record.file_reference),
        (Some("{\"changes\":[]}"), Some("{}"))
    );
}

#[test]
fn null_means_absent() {
    let line = br#"{"type":"RECORD","log":null,"state":null,"record":{"namespace":null,"stream":"a","data":{},"emitted_at":null,"meta":null}}"#;
    let Line::Record(record) = scan(line).unwrap() else {
        panic!("no record")
    };
    assert_eq!(
        (record.namespace, record.emitted_at, record.meta),
        (None, None, None)
    );
}

#[test]
fn the_last_of_duplicate_keys_wins() {
    let line = br#"{"type":"LOG","record":{"stream":"z","meta":{}},"type":"RECORD","record":{"stream":"a","data":{"a":1},"data":{"a":2},"stream":"b"}}"#;
    let Line::Record(record) = scan(line).unwrap() else {
        panic!("no record")
    };
    assert_eq!(
        (&*record.stream, record.data, record.meta),
        ("b", r#"{"a":2}"#, None)
    );
}

#[test]
fn other_messages_keep_their_whole_line() {
    let Line::Message(kind, text) = scan(STATE.as_bytes()).unwrap() else {
        panic!("no message")
    };
    assert_eq!((kind, text), (MessageType::State, STATE));
    for kind in MessageType::ALL
        .iter()
        .filter(|kind| **kind != MessageType::Record)
    {
        let line = format!("{{\"{}\":{{}},\"type\":\"{kind}\"}}", kind.field());
        assert_eq!(scan(line.as_bytes()), Ok(Line::Message(*kind, &line)));
    }
}

#[test]
fn blank_lines_are_blank() {
    for line in ["", " ", "\t \r"] {
        assert_eq!(scan(line.as_bytes()), Ok(Line::Blank));
    }
}

#[test]
fn what_is_no_message_is_text() {
    let lines = [
        "Traceback (most recent call last):",
        "12",
        "[]",
        "\"RECORD\"",
        "{}",
        "{\"level\":\"info\",\"msg\":\"started\"}",
        "{\"state\":\"running\"",
        "{\"type\":\"NEWS\",\"news\":{}}",
        "{\"type\":5}",
        "{\"type\":\"LOG\"}",
        "{\"type\":\"LOG\",\"log\":null}",
        "{\"type\":\"LOG\",\"log\":{\"level\":\"INFO\",",
        "{\"record\":{\"stream\":\"a\",\"data\":{}}}",
        "\u{feff}{}",
    ];
    for line in lines {
        assert_eq!(text_of(line.as_bytes()), line);
    }
}

#[test]
fn text_that_is_not_utf8_is_shown_with_replacements() {
    assert_eq!(text_of(b"caf\xe9"), "caf\u{fffd}");
    assert_eq!(
        text_of(b"{\"type\":\"LOG\",\"log\":{\"message\":\"\xff\"}}")
            .matches('\u{fffd}')
            .count(),
        1
    );
}

#[test]
fn records_and_states_that_are_not_utf8_are_errors() {
    let mut line = RECORD.as_bytes().to_vec();
    let at = line.iter().position(|b| *b == 0xc3).unwrap();
    line[at + 1] = b'x';
    assert_eq!(failure_of(&line), (LineErrorKind::NotUtf8, at));
    let mut line = STATE.as_bytes().to_vec();
    let at = line.iter().position(|b| *b == 0xc3).unwrap();
    line[at] = 0xff;
    assert_eq!(failure_of(&line), (LineErrorKind::NotUtf8, at));
}

#[test]
fn a_record_or_state_cut_off_anywhere_is_an_error() {
    for line in [RECORD, STATE] {
        for end in r#"{"type":""#.len()..line.len() {
            let (kind, offset) = failure_of(&line.as_bytes()[..end]);
            assert_eq!(
                (kind, offset),
                (LineErrorKind::Truncated, end),
                "{}",
                &line[..end.min(40)]
            );
        }
    }
    let body_first = r#"{"record":{"stream":"a","data":{"b":"#;
    assert_eq!(
        failure_of(body_first.as_bytes()),
        (LineErrorKind::Truncated, body_first.len())
    );
}

#[test]
fn broken_records_and_states_are_errors_that_say_where() {
    use LineErrorKind::{MissingField, Syntax, WrongType};
    let cases = [
        (
            r#"{"type":"RECORD","record":null}"#,
            MissingField("record"),
            0,
        ),
        (r#"{"type":"RECORD"}"#, MissingField("record"), 0),
        (r#"{"type":"STATE","state":[]}"#, MissingField("state"), 0),
        (
            r#"{"type":"RECORD","record":{"data":{}}}"#,
            MissingField("stream"),
            0,
        ),
        (
            r#"{"type":"RECORD","record":{"stream":"a","data":null}}"#,
            MissingField("data"),
            0,
        ),
        (
            r#"{"type":"RECORD","record":{"stream":5,"data":{}}}"#,
            WrongType("stream", "a JSON string"),
            36,
        ),
        (
            r#"{"type":"RECORD","record":{"stream":"\x","data":{}}}"#,
            WrongType("stream", "a JSON string"),
            36,
        ),
        (
            r#"{"type":"RECORD","record":{"stream":"a","data":[]}}"#,
            WrongType("data", "a JSON object"),
            47,
        ),
        (
            r#"{"type":"RECORD","record":{"stream":"a","data":{},"emitted_at":"now"}}"#,
            WrongType("emitted_at", "a 64-bit number of milliseconds"),
            63,
        ),
        (
            r#"{"type":"RECORD","record":{"stream":"a","data":{}}}{"#,
            Syntax("the end"),
            51,
        ),
        (
            r#"{"type":"RECORD","record":{"stream":"a" "data":{}}}"#,
            Syntax("a comma or a closing brace"),
            40,
        ),
        (r#"{"type":"STATE","state":{}},"#, Syntax("the end"), 27),
    ];
    for (line, kind, offset) in cases {
        assert_eq!(failure_of(line.as_bytes()), (kind, offset), "{line}");
        let message = scan(line.as_bytes()).unwrap_err().to_string();
        assert!(
            message.contains("RECORD") || message.contains("STATE"),
            "{message}"
        );
    }
}

#[test]
fn a_message_behind_other_output_is_not_lost_in_silence() {
    for (line, offset) in [
        (format!("50% done{RECORD}"), 8),
        (format!("{{\"type\":\"LOG\",\"log\":{{}}}}{STATE}"), 23),
    ] {
        assert_eq!(
            failure_of(line.as_bytes()),
            (LineErrorKind::OutputBeforeMessage, offset)
        );
    }
    // Quoted or cut off, it is only talk about a record.
    assert_eq!(
        text_of(br#"saw {"type":"RECORD", wow"#),
        r#"saw {"type":"RECORD", wow"#
    );
}

#[test]
fn nesting_bombs_cost_no_stack() {
    const DEPTH: usize = 10_000_000;
    let bomb = "[".repeat(DEPTH) + &"]".repeat(DEPTH);
    let line = format!(r#"{{"type":"RECORD","record":{{"stream":"a","data":{{"x":{bomb}}}}}}}"#);
    let Line::Record(record) = scan(line.as_bytes()).unwrap() else {
        panic!("no record")
    };
    let (key, value) = fields(record.data).next().unwrap().unwrap();
    assert_eq!((&*key, value.len()), ("x", 2 * DEPTH));
    let unclosed = &line.as_bytes()[..line.len() - DEPTH];
    assert_eq!(
        failure_of(unclosed),
        (LineErrorKind::Truncated, unclosed.len())
    );
    let objects = "{\"a\":".repeat(1_000_000);
    assert!(matches!(scan(objects.as_bytes()), Ok(Line::Text(_))));
}

#[test]
fn a_record_of_64_megabytes_is_read() {
    let value = "é".repeat(32 << 20);
    let line = format!(
        "{{\"type\":\"RECORD\",\"record\":{{\"stream\":\"a\",\"data\":{{\"b\":\"{value}\"}},\"emitted_at\":1}}}}\r\n"
    );
    let mut lines = LineSplitter::new(65 << 20);
    let mut reader = line.as_bytes();
    let mut seen = 0;
    while lines.fill_from(&mut reader).unwrap() > 0 {
        while let Some(line) = lines.next_line() {
            let Line::Record(record) = scan(line.unwrap()).unwrap() else {
                panic!("no record")
            };
            seen += record.data.len();
        }
    }
    assert_eq!(seen, (64 << 20) + r#"{"b":""}"#.len());
}
