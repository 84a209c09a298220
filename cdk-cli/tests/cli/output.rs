//! What is printed where.

use std::io::Read;

use crate::support::{Desk, finish, source};

#[test]
fn machines_get_events_and_the_report_as_the_last_line() {
    let desk = Desk::with_faker(2000, "streams: [users]\n");
    let run = desk.sync(&["--json"]);
    run.assert_ok();
    let lines = run.lines();
    assert_eq!(lines[0]["type"], "started");
    assert_eq!(lines[0]["streams"][0]["name"], "users");
    let of = |kind: &str| {
        lines
            .iter()
            .filter(|line| line["type"] == kind)
            .collect::<Vec<_>>()
    };
    assert_eq!(of("progress").last().unwrap()["records"], 2000);
    assert_eq!(of("stream_status").last().unwrap()["status"], "COMPLETE");
    assert!(!of("state_saved").is_empty());
    assert_eq!(of("report").len(), 1);
    let report = run.report();
    assert_eq!(report["status"], "succeeded");
    assert_eq!(report["exit_code"], 0);
    assert!(report["error"].is_null());
    let stream = &report["streams"][0];
    assert_eq!(
        (&stream["records_read"], &stream["records_written"]),
        (&2000.into(), &2000.into())
    );
    assert!(
        ["source", "destination"].contains(&stream["bottleneck"].as_str().unwrap()),
        "{stream}"
    );
    assert_eq!(run.stderr, "");
}

#[test]
fn machines_get_a_report_even_when_nothing_was_started() {
    let desk = Desk::new();
    let run = desk.sync(&["--json"]);
    run.assert_error(1, "connection.yaml can't be read");
    let report = run.report();
    assert_eq!(report["status"], "failed");
    assert_eq!(report["exit_code"], 1);
    assert_eq!(report["error"]["failure_type"], "config_error");
}

#[test]
fn people_get_a_table_and_one_line_with_the_total() {
    let desk = Desk::with_faker(1500, "streams: [users]\n");
    let run = desk.sync(&[]);
    run.assert_ok();
    let row = run
        .stdout
        .lines()
        .find(|line| line.contains("users"))
        .unwrap();
    for text in ["incremental deduped", "1,500", "complete"] {
        assert!(row.contains(text), "{row}");
    }
    let last = run.stdout.lines().last().unwrap();
    assert!(
        last.starts_with("Succeeded: 1,500 records read, 1,500 written"),
        "{last}"
    );
    assert!(run.stderr.contains("users: 1,500 records"), "{run:?}");
}

#[test]
fn quiet_prints_nothing_when_all_is_well() {
    let run = Desk::with_faker(5, "").sync(&["-q"]);
    run.assert_ok();
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", ""));
}

/// A source that gives its token away wherever it can.
fn leak() -> String {
    let token = r#"$(sed 's/.*"token":"\([^"]*\)".*/\1/' "$3")"#;
    source(&format!(
        r#"t={token}; echo "stderr $t" >&2; echo "stdout $t";
           echo '{{"type":"LOG","log":{{"level":"INFO","message":"log '$t'"}}}}';
           echo '{{"type":"TRACE","trace":{{"type":"ERROR","emitted_at":1,"error":{{"message":"error '$t'","internal_message":"cause '$t'","failure_type":"config_error"}}}}}}';
           exit 1"#
    ))
}

#[test]
fn a_secret_never_leaves_the_program() {
    for (config, is_reference) in [
        ("{token: 'plain-s3cret'}", false),
        ("{token: '${TOKEN}'}", true),
    ] {
        let desk = Desk::new();
        desk.script("source-leak", &leak());
        desk.write(
            "connection.yaml",
            &format!("source: {{path: ./source-leak, config: {config}}}\ndestination: dev-null\n"),
        );
        for mode in [&["-vvv"][..], &["--json", "-vvv"]] {
            let mut command = desk.command(&[&["sync", "connection.yaml"], mode].concat());
            if is_reference {
                command.env("TOKEN", "plain-s3cret");
            }
            let run = finish(&mut command);
            assert_eq!(run.code, Some(1), "{run:?}");
            for text in [&run.stdout, &run.stderr] {
                assert!(!text.contains("plain-s3cret"), "{text}");
            }
            for told in [
                "stderr ****",
                "stdout ****",
                "log ****",
                "error ****",
                "cause ****",
            ] {
                assert!(run.stderr.contains(told), "{told} is not in {}", run.stderr);
            }
        }
    }
}

#[test]
fn a_secret_never_leaves_through_the_protocol_either() {
    let desk = Desk::new();
    desk.script("source-leak", &leak());
    desk.write("catalog.json", r#"{"streams": []}"#);
    for config in [
        "token: plain-s3cret",
        "token: ${TOKEN}",
        "other: ${TOKEN}\ntoken: plain-s3cret",
    ] {
        desk.write("config.yaml", config);
        let args = [
            "read",
            "--connector",
            "./source-leak",
            "--config",
            "config.yaml",
        ];
        let mut command = desk.command(&[&args[..], &["--catalog", "catalog.json"]].concat());
        let run = finish(command.env("TOKEN", "plain-s3cret"));
        assert_eq!(run.code, Some(1), "{run:?}");
        assert!(run.stdout.contains("stderr ****"), "{run:?}");
        assert!(!run.stdout.contains("plain-s3cret"), "{run:?}");
        assert!(!run.stderr.contains("plain-s3cret"), "{run:?}");
    }
}

#[test]
fn a_closed_stdout_ends_the_sync_quietly() {
    let desk = Desk::new();
    // Goes on until it is told to stop.
    desk.script(
        "source-endless",
        &source("trap 'exit 143' TERM; while :; do record 1; state 1; done"),
    );
    desk.write(
        "connection.yaml",
        "source: {path: ./source-endless}\ndestination: dev-null\n",
    );
    let mut child = desk
        .command(&["sync", "connection.yaml", "--json"])
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let status = child.wait().unwrap();
    let mut stderr = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut stderr)
        .unwrap();
    assert_eq!((status.code(), stderr.as_str()), (Some(141), ""));
}
