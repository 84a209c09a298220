//! Names and values that destinations stumble over.

use serde_json::{Map, Value, json};

use crate::lines::StreamSpec;

/// Stream names, each behind a prefix.
pub(in crate::suite) const NAMES: [&str; 8] = [
    "with space",
    "quote\"s'",
    "semi;colon--",
    "Ünïcode_表",
    "select",
    "dots.and/slashes\\",
    "percent%20",
    "a_long_name_of_more_than_sixty_three_characters_that_many_databases_would_cut_off_without_a_word",
];

/// Field names.
const FIELDS: [&str; 9] = [
    "id",
    "with space",
    "quote\"s'",
    "Ünïcode_表",
    "order",
    "1digit",
    "_airbyte_mine",
    "UPPER",
    "dots.and/slashes\\",
];

/// A property for each odd field name.
pub(in crate::suite) fn properties_with_odd_names() -> Value {
    let kind = json!({"type": ["null", "integer"]});
    FIELDS
        .iter()
        .map(|name| ((*name).to_owned(), kind.clone()))
        .collect::<Map<_, _>>()
        .into()
}

/// A value for each odd field name.
pub(in crate::suite) fn data_with_odd_names() -> Value {
    let numbered = (1_i64..).zip(FIELDS);
    numbered
        .map(|(at, name)| (name.to_owned(), at.into()))
        .collect::<Map<_, Value>>()
        .into()
}

/// The schema of the odd values.
pub(in crate::suite) fn properties() -> Value {
    json!({
        "id": {"type": "integer"},
        "name": {"type": ["null", "string"]},
        "number": {"type": ["null", "number"]},
        "flag": {"type": ["null", "boolean"]},
        "at": {"type": ["null", "string"], "format": "date-time", "airbyte_type": "timestamp_with_timezone"},
        "day": {"type": ["null", "string"], "format": "date"},
        "items": {"type": ["null", "array"], "items": {"type": "integer"}},
        "nested": {"type": ["null", "object"], "properties": {"a": {"type": "string"}}},
        "either": {"oneOf": [{"type": "string"}, {"type": "integer"}]},
        "anything": {},
    })
}

/// The length of the longest text.
pub(in crate::suite) const LONG: usize = 1_000_000;

/// Data of records, as JSON text: not all of it fits into a tree.
pub(in crate::suite) fn values() -> Vec<String> {
    let mut values: Vec<_> = [
        r#"{"id":1}"#,
        r#"{"id":2,"name":null,"number":null,"flag":null,"at":null,"day":null,"items":null,"nested":null}"#,
        r#"{"id":9223372036854775807,"name":"largest","number":1.7976931348623157e308}"#,
        r#"{"id":-9223372036854775808,"name":"smallest","number":-0.0}"#,
        r#"{"id":5,"name":"digits","number":12345678901234567890.123456789012345678901234567890}"#,
        r#"{"id":6,"name":"quote ' \" back \\ line\nfeed tab\t","flag":true}"#,
        r#"{"id":7,"name":"😀 表 Ü \u2028","flag":false}"#,
        r#"{"id":8,"name":"NUL \u0000 inside"}"#,
        r#"{"id":9,"name":"half a pair \ud800"}"#,
        r#"{"id":10,"at":"2024-02-29T23:59:60.999999999+14:00","day":"0044-03-15 BC"}"#,
        r#"{"id":11,"at":"infinity","day":"no date at all"}"#,
        r#"{"id":12,"items":[],"nested":{},"either":"text","anything":[1,{"a":null}]}"#,
        r#"{"id":13,"items":[1,[2]],"nested":{"b":{"c":[{}]}},"either":7,"anything":"x"}"#,
        r#"{"id":14,"flag":"neither","number":"not a number","items":{"no":"list"}}"#,
        r#"{"id":15,"not_in_the_schema":1}"#,
    ]
    .map(str::to_owned)
    .into();
    values.push(format!(r#"{{"id":16,"name":"{}"}}"#, "x".repeat(LONG)));
    values
}

/// Ids that a destination must keep as they are.
pub(in crate::suite) const EXACT_IDS: [&str; 3] =
    ["9223372036854775807", "-9223372036854775808", "5"];

/// Names that a destination must keep as they are, by id.
pub(in crate::suite) const EXACT_NAMES: [(&str, &str); 2] = [
    ("6", "quote ' \" back \\ line\nfeed tab\t"),
    ("7", "😀 表 Ü \u{2028}"),
];

/// A RECORD line with this data.
pub(in crate::suite) fn line(stream: &StreamSpec, emitted_at: i64, data: &str) -> String {
    let record = stream.record(emitted_at, json!("DATA"));
    record.to_string().replace("\"DATA\"", data)
}
