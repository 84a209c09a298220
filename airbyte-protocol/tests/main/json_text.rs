//! Random JSON text: exact numbers, escapes, white space, brackets and quotes in strings.

use airbyte_protocol::{Extra, RawJson};
use proptest::collection::vec;
use proptest::prelude::*;

/// A number as it may stand in JSON; no `f64` holds all of them.
pub(crate) fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|n| n.to_string()),
        "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,30})?([eE][+-]?[0-9]{1,2})?",
        proptest::sample::select(vec!["-0", "1.10", "0.0", "1E+2", "12345678901234567890123"])
            .prop_map(str::to_owned),
    ]
}

/// A string with its quotes, some characters escaped though they need not be.
pub(crate) fn string() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        any::<String>().prop_map(|text| {
            let quoted = serde_json::to_string(&text).unwrap();
            quoted[1..quoted.len() - 1].to_owned()
        }),
        proptest::sample::select(vec![
            "\\\"",
            "\\\\",
            "\\/",
            "\\u00e9",
            "\\ud83d\\ude00",
            "\\n",
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "é",
        ])
        .prop_map(str::to_owned),
    ];
    vec(piece, 0..6).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

fn space() -> impl Strategy<Value = &'static str> {
    prop_oneof![5 => Just(""), 1 => Just(" "), 1 => Just("\t ")]
}

/// Any value.
pub(crate) fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        number(),
        string(),
        proptest::sample::select(vec!["null", "true", "false"]).prop_map(str::to_owned),
    ];
    leaf.prop_recursive(5, 60, 8, |inner| {
        let list = (vec(inner.clone(), 0..8), space()).prop_map(|(items, gap)| {
            format!("[{gap}{}{gap}]", items.join(&format!("{gap},{gap}")))
        });
        prop_oneof![list, object_of(inner)]
    })
}

fn object_of(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    (vec((string(), value), 0..8), space()).prop_map(|(members, gap)| {
        let members: Vec<String> = members
            .iter()
            .map(|(key, value)| format!("{key}{gap}:{gap}{value}"))
            .collect();
        format!("{{{gap}{}{gap}}}", members.join(&format!("{gap},{gap}")))
    })
}

/// An object; keys may repeat.
pub(crate) fn object() -> impl Strategy<Value = String> {
    object_of(value())
}

/// An object as raw JSON.
pub(crate) fn blob() -> impl Strategy<Value = RawJson> {
    object().prop_map(|text| RawJson::parse(text).unwrap())
}

/// Unknown fields, with names that no schema uses.
pub(crate) fn extra() -> impl Strategy<Value = Extra> {
    let field = (any::<String>(), value());
    vec(field, 0..3).prop_map(|fields| {
        let named = |(key, text)| (format!("x {key}"), RawJson::parse(text).unwrap());
        fields.into_iter().map(named).collect()
    })
}
