//! SIGINT and SIGTERM.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command};

use serde_json::Value;

use crate::support::{Desk, source};

fn send(signal: &str, child: &Child) {
    let line = format!("kill -{signal} {}", child.id());
    assert!(
        Command::new("sh")
            .args(["-c", &line])
            .status()
            .unwrap()
            .success()
    );
}

/// Reads lines until one contains `text`.
fn wait_for(text: &str, lines: &mut impl BufRead) {
    let mut line = String::new();
    while lines.read_line(&mut line).unwrap() > 0 {
        if line.contains(text) {
            return;
        }
        line.clear();
    }
    panic!("{text} was never printed");
}

/// Its first run emits half of the rows and then nothing until it is told to stop.
const HALF: &str = r#"
if grep -q '"id":3' "$7"; then
    record 4; record 5; record 6; state 6
else
    trap 'kill $!; exit 143' TERM
    record 1; record 2; record 3; state 3
    sleep 600 & wait $!
fi"#;

#[test]
fn an_interrupted_sync_goes_on_where_it_stood() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let desk = Desk::new();
        desk.script("source-half", &source(HALF));
        desk.write(
            "connection.yaml",
            "source: {path: ./source-half}\n\
             destination: {name: sqlite, config: {path: out.sqlite}}\n",
        );
        let mut child = desk
            .command(&["sync", "connection.yaml", "--json"])
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        wait_for(r#""type":"progress""#, &mut stdout);
        send(signal, &child);
        let mut rest = String::new();
        stdout.read_to_string(&mut rest).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(code), "{rest}");
        let report: Value = serde_json::from_str(rest.lines().last().unwrap()).unwrap();
        assert_eq!(report["status"], "cancelled", "{report}");
        assert_eq!(report["exit_code"], code);

        let resumed = desk.sync(&["--json"]);
        resumed.assert_ok();
        assert_eq!(
            resumed.report()["streams"][0]["records_read"],
            3,
            "{resumed:?}"
        );
        assert_eq!(
            desk.query("SELECT count(*) = 6 AND count(DISTINCT id) = 6 FROM items"),
            1
        );
    }
}

#[test]
fn a_second_signal_ends_a_run_that_hangs() {
    let fault = "test_destination_type: FAULTS, faults: [{operation: load, action: {type: hang}}]";
    let desk = Desk::with_dev_null(5, fault, "streams: [users]\n");
    let mut child = desk
        .command(&["sync", "connection.yaml", "-v"])
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    wait_for("all read", &mut stderr);
    send("INT", &child);
    wait_for("Stopping in order", &mut stderr);
    send("INT", &child);
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn a_child_that_ignores_the_stop_does_not_outlive_the_run() {
    let desk = Desk::new();
    // Whoever holds the pipe's other end is alive; the script speaks up if it lives to see its end.
    let pipe = desk.path("alive");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let deaf =
        "trap '' TERM; exec 9> alive; record 1; state 1; sleep 30 9>&- >&- 2>&-; echo alive >&9";
    desk.script("source-deaf", &source(deaf));
    desk.write(
        "connection.yaml",
        "source: {path: ./source-deaf}\ndestination: dev-null\n",
    );
    let alive = std::thread::spawn(move || std::fs::read_to_string(pipe).unwrap());
    let mut child = desk
        .command(&["sync", "connection.yaml", "-v", "--json"])
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    wait_for(r#""type":"progress""#, &mut stdout);
    send("INT", &child);
    wait_for("Stopping in order", &mut stderr);
    send("TERM", &child);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(alive.join().unwrap(), "");
}
