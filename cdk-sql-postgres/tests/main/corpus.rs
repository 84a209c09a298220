//! The fuzzer's corpus as an ordinary test: each file, cut at every place and with bytes changed.

use std::fs;
use std::path::Path;

#[allow(
    unreachable_pub,
    reason = "the file is a module of the fuzz crate, where it is reachable"
)]
#[path = "../../../fuzz/src/postgres.rs"]
mod checks;

use checks::check_postgres;

#[test]
fn values_and_messages_hold_for_the_corpus() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/postgres");
    let files = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut count = 0;
    for file in files {
        let input = fs::read(file.unwrap().path()).unwrap();
        check_postgres(&input);
        for at in 0..input.len() {
            check_postgres(&input[..at]);
            check_postgres(&input[at..]);
            for byte in *b"\"\\{},: 0-\x00\x7f\x80\xff" {
                let mut changed = input.clone();
                changed[at] = byte;
                check_postgres(&changed);
            }
        }
        count += 1;
    }
    assert!(count >= 20);
}
