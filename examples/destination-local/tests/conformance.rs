//! The destination by the protocol, and what its files hold.

#![allow(clippy::unwrap_used, reason = "a panic is the report")]

mod support;

use std::path::Path;

use cdk_testkit::Suite;
use destination_local::LocalDestination;
use serde_json::{Value, json};
use support::Lake;

/// The rows of a stream's files. A name that can't be a directory has a hash of its own behind it; each name here
/// differs from the others in its first letters already.
fn rows(root: &Path, namespace: Option<String>, stream: &str) -> Result<Vec<Value>, String> {
    let parent = namespace.map_or(root.to_owned(), |namespace| root.join(namespace));
    let letters = |name: &str| {
        name.chars()
            .take_while(|it| !r#"/\:*?"<>|"#.contains(*it))
            .collect::<String>()
    };
    let (start, is_whole) = (
        letters(stream),
        letters(stream) == stream && stream.len() <= 200,
    );
    let entries = std::fs::read_dir(parent).map_err(|error| error.to_string())?;
    let entries = entries.map(|entry| entry.unwrap()).filter(|entry| {
        let name = entry.file_name().into_string().unwrap();
        if is_whole {
            name == stream
        } else {
            name.starts_with(&start)
        }
    });
    let files = entries.flat_map(|entry| std::fs::read_dir(entry.path()).unwrap());
    let files = files.map(|file| file.unwrap().path());
    let visible =
        files.filter(|path| !path.file_name().unwrap().to_string_lossy().starts_with('.'));
    let text: String = visible
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    let rows = text.lines().map(|line| {
        // A text with half a pair of surrogates is no text of this language.
        serde_json::from_str(&line.replace("\\ud800", "?")).map_err(|error| error.to_string())
    });
    rows.collect()
}

#[tokio::test]
async fn the_destination_conforms() {
    let lake = Lake::new();
    let blocked = lake.directory.write("a-file", "in the way");
    let root = lake.path();
    let report = Suite::destination(LocalDestination::default())
        .config(lake.config())
        .invalid_config(json!({"destination_path": blocked.join("out")}))
        .read_back(move |namespace, stream| {
            let root = root.clone();
            async move { rows(&root, namespace, &stream) }
        })
        .run()
        .await;
    report.assert_passed();
    assert!(report.is_clean(), "{}", report.table());
}
