//! The fuzzers' corpus as an ordinary test: each file, cut at every place and with bytes changed.

use std::fs;
use std::path::Path;

#[allow(
    unreachable_pub,
    reason = "the file is a module of the fuzz crate, where it is reachable"
)]
#[path = "../../../fuzz/src/manifest.rs"]
mod checks;

use checks::{check_manifest, check_template};

fn over_corpus(target: &str, check: fn(&[u8]), bytes: &[u8]) -> usize {
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
            for byte in bytes {
                let mut changed = input.clone();
                changed[at] = *byte;
                check(&changed);
            }
        }
        count += 1;
    }
    count
}

#[test]
fn manifests_hold_for_the_corpus() {
    assert!(over_corpus("manifest", check_manifest, b"\"{: -&*") >= 6);
}

#[test]
fn templates_hold_for_the_corpus() {
    assert!(over_corpus("template", check_template, b"\"'{}%|(.- 9") >= 13);
}
