//! Templates: expressions of our own, with the values that the Python CDK 7.39 gives for them.

use cdk_declarative::slice::StreamSlice;
use cdk_declarative::template::{Scope, Template};
use cdk_declarative::time::{PinnedClock, parse_iso};
use serde_json::{Map, Value};

fn map(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

/// Where we differ from Python.
const DIFFERENT: [&str; 9] = [
    // A method or a view of a dict as the result: Python prints an address or `dict_items(…)`.
    "{{ record.items }}",
    "{{ config.items() }}",
    // A tuple without parentheses is a syntax error of the parser.
    "{{ config.n, config.f }}",
    // Numbers beyond 64 bits stay texts, which keeps their digits.
    "{{ 1000000000000000000000 }}",
    "{{ 10 ** 20 }}",
    // Literals that JSON can't hold stay texts.
    "b'x'",
    "...",
    "{1,2}",
    "set()",
];

#[test]
fn templates_give_what_the_python_cdk_gives() {
    let table: Value = serde_json::from_str(include_str!("data/templates.json")).unwrap();
    let given = &table["scope"];
    let clock = PinnedClock::new(parse_iso("2024-06-15T12:00:00.123456Z").unwrap().us());
    let slice = &given["slice"];
    let slice = StreamSlice::new(map(&slice["partition"]), map(&slice["cursor"]))
        .with_extra_fields(map(&slice["extra"]));
    let mut wrong = Vec::new();
    for case in table["cases"].as_array().unwrap() {
        let (text, expected) = (case[0].as_str().unwrap(), &case[1]);
        let scope = Scope::new(&given["config"], &clock);
        let scope = scope.of_slice(&slice);
        let scope = scope.with("parameters", &given["parameters"]);
        let scope = scope.with("record", &given["record"]);
        let scope = scope.with("response", &given["response"]);
        let scope = scope.with("headers", &given["headers"]);
        let scope = scope.with("next_page_token", &given["next_page_token"]);
        let scope = scope.with("last_record", &given["last_record"]);
        let scope = scope.with("last_page_size", &given["last_page_size"]);
        let found = Template::compile(text).eval(&scope);
        let is_same = match (&found, expected.get("ok")) {
            (Ok(found), Some(expected)) => found == expected,
            (Err(_), None) => true,
            _ => false,
        };
        if !is_same && !DIFFERENT.contains(&text) {
            wrong.push(format!(
                "{text:?}\n   ours: {found:?}\n  theirs: {expected}"
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} templates differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
