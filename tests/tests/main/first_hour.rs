//! The pages of the first hour: every step that they show is executed by a test.
//!
//! Files are written and commands run by `commands.rs`, code is a doctest or a program of this crate.

use std::fs;

use cdk_tests::built;
use cdk_tests::markdown::{Block, blocks};

const PAGES: [&str; 6] = [
    "new-connector",
    "first-source",
    "first-destination",
    "testing",
    "publishing",
    "embedding",
];

/// Lines of shell that `commands.rs` does not run: how they begin, and who runs them, or why nobody can.
const ELSEWHERE: [(&str, &str); 3] = [
    (
        "python main.py ",
        "templates.rs, in a connector that the guide's script made",
    ),
    (
        "docker load ",
        "needs a container engine; image.rs of cdk-cli unpacks the image and starts its entry point",
    ),
    ("skopeo copy ", "needs a registry"),
];

/// How a block is executed; an error if it is not.
fn executed(page: &str, block: &Block<'_>) -> Result<(), String> {
    let doctests = include_str!("../../src/lib.rs");
    let is_doctest = doctests.contains(&format!("include_str!(\"../../docs/{page}.md\")"));
    match block.language {
        "console" => Ok(()),
        // Written by commands.rs; a program must be, word for word, one that is tested.
        _ if block.file.is_some() => Ok(()),
        "rust" if is_doctest => Ok(()),
        "sh" => {
            let unknown = block
                .text
                .lines()
                .find(|line| !ELSEWHERE.iter().any(|(start, _)| line.starts_with(start)));
            unknown.map_or(Ok(()), |line| Err(format!("nobody runs `{line}`")))
        }
        other => Err(format!(
            "nobody executes this block of `{other}`:\n{}",
            block.text
        )),
    }
}

#[test]
fn every_step_of_the_first_hour_is_executed() {
    for page in PAGES {
        let text = fs::read_to_string(built::root().join(format!("docs/{page}.md"))).unwrap();
        let blocks = blocks(&text);
        assert!(!blocks.is_empty(), "{page} shows nothing");
        for block in &blocks {
            executed(page, block).unwrap_or_else(|error| panic!("{page}: {error}"));
        }
    }
}

#[test]
fn a_step_that_nobody_executes_is_found() {
    let block = |language, text| Block {
        language,
        file: None,
        text,
    };
    assert!(executed("testing", &block("rust", "")).is_ok());
    assert!(
        executed("publishing", &block("rust", "")).is_err(),
        "not a doctest"
    );
    assert!(executed("embedding", &block("rust,no_run", "")).is_err());
    assert!(executed("testing", &block("sh", "rm -r out\n")).is_err());
    assert!(executed("testing", &block("yaml", "")).is_err());
}
