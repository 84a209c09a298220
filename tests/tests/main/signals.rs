//! SIGTERM in the middle of a read.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdout};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::{Desk, faker_catalog, finish, messages};

/// More than can be read here however late the signal is seen: rows are judged while they are read, some
/// ten thousand a second.
const USERS: u64 = 50_000_000;

/// How many rows of the resumed read are looked at.
const RESUMED: u64 = 2_000;

/// The messages of a running connector, each judged by the protocol's schema as it is read.
struct Lines(BufReader<ChildStdout>);

impl Lines {
    fn of(child: &mut Child) -> Self {
        Self(BufReader::new(child.stdout.take().unwrap()))
    }
}

impl Iterator for Lines {
    type Item = Value;

    fn next(&mut self) -> Option<Value> {
        let mut line = Vec::new();
        let read = self.0.read_until(b'\n', &mut line).unwrap();
        (read > 0).then(|| messages(&line).remove(0))
    }
}

fn id(message: &Value) -> Option<u64> {
    (message["type"] == "RECORD").then(|| message["record"]["data"]["id"].as_u64().unwrap())
}

#[test]
fn sigterm_leaves_a_state_that_resumes_with_the_rest() {
    let desk = Desk::new();
    desk.write("config.json", &json!({"count": USERS, "parallelism": 1}));
    desk.write("catalog.json", &faker_catalog("users", "append"));
    let args = [
        "read",
        "--config",
        "config.json",
        "--catalog",
        "catalog.json",
    ];
    let mut command = desk.command("source-faker", &args);
    // Small queues, so that little is left to read after the signal.
    command.env("CDK_MEMORY_BUDGET_BYTES", "1048576");
    let mut child = command.spawn().unwrap();
    let mut lines = Lines::of(&mut child);
    assert!(lines.any(|message| message["type"] == "STATE"));
    let asked = Instant::now();
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let rest: Vec<_> = lines.collect();
    let status = finish(child).status;
    assert!(asked.elapsed() < Duration::from_secs(10));
    assert!(
        status.signal() == Some(15) || status.code() == Some(143),
        "{status}"
    );

    let state = rest.iter().rfind(|message| message["type"] == "STATE");
    let state = &state.expect("a stopped read gives its state")["state"];
    let done = state["stream"]["stream_state"]["id"].as_u64().unwrap();
    assert!(rest.iter().filter_map(id).max() >= Some(done));
    desk.write("state.json", &json!([state]));
    let resumed = [&args[..], &["--state", "state.json"]].concat();
    let mut child = desk.command("source-faker", &resumed).spawn().unwrap();
    let lines = Lines::of(&mut child);
    let ids: Vec<_> = lines
        .filter_map(|message| id(&message))
        .take(RESUMED as usize)
        .collect();
    kill_process(Pid::from_child(&child), Signal::KILL).unwrap();
    finish(child);
    let expected: Vec<_> = (done + 1..=done + RESUMED).collect();
    assert!(
        ids == expected,
        "the resumed read does not go on at {}",
        done + 1
    );
}
