//! What `read` writes to stdout.

use std::io::Read;

use serde_json::json;

use crate::support::{Desk, faker_catalog, finish, messages};

const READ: [&str; 5] = [
    "read",
    "--config",
    "config.json",
    "--catalog",
    "catalog.json",
];

#[test]
fn every_line_of_a_read_is_a_valid_message() {
    for stream in ["users", "products", "purchases"] {
        let desk = Desk::new();
        desk.write(
            "config.json",
            &json!({"count": 300, "records_per_slice": 100}),
        );
        desk.write("catalog.json", &faker_catalog(stream, "append"));
        let output = desk.run("source-faker", &READ);
        assert_eq!(output.status.code(), Some(0));
        let messages = messages(&output.stdout);
        let records = messages
            .iter()
            .filter(|message| message["type"] == "RECORD")
            .count();
        let states = messages.iter().filter(|message| message["type"] == "STATE");
        let counted: f64 = states
            .map(|state| {
                state["state"]["sourceStats"]["recordCount"]
                    .as_f64()
                    .unwrap()
            })
            .sum();
        assert!(records >= 100, "{stream}: {records} records");
        assert_eq!(counted, records as f64, "{stream}");
    }
}

#[test]
fn a_closed_stdout_ends_a_read_quietly() {
    let desk = Desk::new();
    desk.write("config.json", &json!({"count": 100_000_000}));
    desk.write("catalog.json", &faker_catalog("users", "append"));
    let mut child = desk.command("source-faker", &READ).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut [0; 1000]).unwrap();
    drop(stdout);
    let output = finish(child);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
