//! The destination by the protocol, and what its files hold.

use std::path::PathBuf;

use cdk_testkit::{Files, Suite};
use {{ crate_name }}::{{ crate_name | pascal_case }};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

/// The rows of a stream, as the suite wants to see them.
fn rows(
    directory: PathBuf,
    namespace: Option<String>,
    stream: String,
) -> Result<Vec<Value>, String> {
    let encoded = |text: String| utf8_percent_encode(&text, NON_ALPHANUMERIC).to_string();
    let namespace = namespace
        .map(|it| format!("{}.", encoded(it)))
        .unwrap_or_default();
    let path = directory.join(format!("{namespace}{}.jsonl", encoded(stream)));
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    // Half a pair of surrogates is no text of this language.
    let lines = text.lines().map(|line| line.replace("\\ud800", "?"));
    lines
        .map(|line| serde_json::from_str(&line).map_err(|error| error.to_string()))
        .collect()
}

#[tokio::test]
async fn the_destination_conforms() {
    let files = Files::new();
    let directory = files.path().join("out");
    let blocked = files.write("a-file", "in the way").join("out");
    let report = Suite::destination({{ crate_name | pascal_case }})
        .config(json!({ "directory": directory }))
        .invalid_config(json!({ "directory": blocked }))
        .read_back(move |namespace, stream| {
            let rows = rows(directory.clone(), namespace, stream);
            async { rows }
        })
        .run()
        .await;
    report.assert_passed();
}
