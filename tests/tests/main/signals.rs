//! SIGTERM in the middle of a read.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::{Desk, faker_catalog, finish, messages};

/// More than fits into the queues between the source and a reader that stopped reading.
const USERS: u64 = 60_000;

fn ids(messages: &[Value]) -> Vec<u64> {
    let records = messages
        .iter()
        .filter(|message| message["type"] == "RECORD");
    let mut ids: Vec<_> = records
        .map(|message| message["record"]["data"]["id"].as_u64().unwrap())
        .collect();
    ids.sort_unstable();
    ids
}

#[test]
fn sigterm_leaves_a_state_that_resumes_with_the_rest() {
    let desk = Desk::new();
    desk.write("config.json", &json!({"count": USERS}));
    desk.write("catalog.json", &faker_catalog("users", "append"));
    let args = [
        "read",
        "--config",
        "config.json",
        "--catalog",
        "catalog.json",
    ];
    let mut command = desk.command("source-faker", &args);
    // Small queues: most of the rows are still to be read when the signal comes.
    command.env("CDK_MEMORY_BUDGET_BYTES", "1048576");
    let mut child = command.spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut text = Vec::new();
    while !String::from_utf8_lossy(&text).contains(r#""type":"STATE""#) {
        text.clear();
        assert!(stdout.read_until(b'\n', &mut text).unwrap() > 0);
    }
    let asked = Instant::now();
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    while stdout.read_until(b'\n', &mut text).unwrap() > 0 {}
    let status = finish(child).status;
    assert!(asked.elapsed() < Duration::from_secs(10));
    assert!(
        status.signal() == Some(15) || status.code() == Some(143),
        "{status}"
    );

    let first = messages(&text);
    let last = first.iter().rfind(|message| message["type"] == "STATE");
    let last = &last.unwrap()["state"];
    let done = last["stream"]["stream_state"]["id"].as_u64().unwrap();
    assert!(done < USERS, "the read was complete before the signal came");
    desk.write("state.json", &json!([last]));
    let output = desk.run(
        "source-faker",
        &[&args[..], &["--state", "state.json"]].concat(),
    );
    assert_eq!(output.status.code(), Some(0));
    let rest: Vec<u64> = (done + 1..=USERS).collect();
    assert_eq!(ids(&messages(&output.stdout)), rest);
}
