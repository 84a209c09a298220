//! The fuzzers' corpus as an ordinary test: each file, cut at every place and with bytes changed.

use std::fs;
use std::path::Path;

#[allow(
    unreachable_pub,
    reason = "the file is a module of the fuzz crate, where they are reachable"
)]
#[path = "../../../fuzz/src/protocol.rs"]
pub(crate) mod checks;

/// Runs `check` over the corpus of one fuzz target; returns the number of files.
fn run(target: &str, check: fn(&[u8])) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fuzz/corpus")
        .join(target);
    let files = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut count = 0;
    for file in files {
        let input = fs::read(file.unwrap().path()).unwrap();
        check(&input);
        for at in 0..input.len() {
            check(&input[..at]);
            check(&input[at..]);
            for byte in *b"\"\\{}[],: n\n\r\x00\xff" {
                let mut changed = input.clone();
                changed[at] = byte;
                check(&changed);
            }
        }
        count += 1;
    }
    count
}

#[test]
fn lines_hold_for_the_corpus() {
    assert!(run("scan_line", checks::check_lines) >= 10);
}

#[test]
fn messages_hold_for_the_corpus() {
    assert!(run("message", checks::check_message) >= 10);
}

#[test]
fn fields_hold_for_the_corpus() {
    assert!(run("fields", checks::check_fields) >= 5);
}
