//! `cdk test`.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Desk, source};

#[test]
fn a_built_in_source_passes() {
    let desk = Desk::new();
    desk.write("config.yaml", "count: 30\nrecords_per_slice: 10\n");
    desk.write("bad.json", r#"{"count": -1}"#);
    let run = desk.cdk(&[
        "test",
        "-c",
        "faker",
        "--config",
        "config.yaml",
        "--invalid-config",
        "bad.json",
        "--strict",
    ]);
    run.assert_ok();
    assert!(
        run.stdout.contains("passed   read.counts"),
        "{}",
        run.stdout
    );
    assert!(
        run.stdout.contains(" 0 failed, 0 warnings"),
        "{}",
        run.stdout
    );
}

#[test]
fn a_built_in_destination_is_read_back_by_a_command() {
    let desk = Desk::new();
    desk.write("config.json", r#"{"destination_path": "out"}"#);
    // A stream whose name can't be a directory has another one: nothing is read back of those.
    let read_back = r#"cd "out${CDK_NAMESPACE:+/$CDK_NAMESPACE}/$CDK_STREAM" && cat -- *.jsonl"#;
    let run = desk.cdk(&[
        "test",
        "-c",
        "destination-local",
        "--config",
        "config.json",
        "--read-back",
        read_back,
        "--format",
        "json",
    ]);
    run.assert_ok();
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    let rules = report["rules"].as_array().unwrap();
    let verdict = |id: &str| &rules.iter().find(|rule| rule["id"] == id).unwrap()["verdict"];
    for rule in [
        "rows.append",
        "rows.overwrite-is-atomic",
        "rows.durable-before-state",
    ] {
        assert_eq!(verdict(rule), "passed", "{rule}");
    }
}

/// A source that counts wrongly.
fn liar() -> String {
    source("record 1; state 1 ;;\nnothing) ;;\n*) exit 1")
}

#[test]
fn a_program_that_breaks_rules_fails_with_exit_code_1() {
    let desk = Desk::new();
    desk.script("liar", &liar());
    let run = desk.cdk(&["test", "-c", "./liar", "--report", "report.xml"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(
        run.stdout.contains("FAILED   read.complete"),
        "{}",
        run.stdout
    );
    assert!(run.stdout.contains("protocol: "), "{}", run.stdout);
    let junit = std::fs::read_to_string(desk.path("report.xml")).unwrap();
    assert!(junit.contains("<failure message="), "{junit}");
}

#[test]
fn bad_connectors_get_a_clear_verdict_within_the_time_limit() {
    let lying = r#"record 1; echo '{"type":"STATE","state":{"type":"STREAM","stream":{"stream_descriptor":{"name":"items"},"stream_state":{"id":1}},"sourceStats":{"recordCount":7.0}}}'"#;
    for (name, script, rule) in [
        ("hangs", source("record 1; sleep 1000"), "run.ends"),
        ("hangs at once", "sleep 1000".to_owned(), "run.ends"),
        (
            "floods",
            source("while true; do record 1; done"),
            "run.output-is-bounded",
        ),
        (
            "garbage",
            source(r"printf '\377\376 garbage\n'"),
            "wire.json-lines",
        ),
        ("crashes", source("record 1; kill -SEGV $$"), "run.no-crash"),
        (
            "fails",
            source("record 1; exit 3"),
            "run.failure-is-explained",
        ),
        ("lies", source(lying), "read.counts"),
        ("says nothing", "exit 0".to_owned(), "spec.one-answer"),
    ] {
        let desk = Desk::new();
        desk.script("bad", &script);
        let begun = Instant::now();
        let run = desk.cdk(&[
            "test",
            "-c",
            "./bad",
            "--run-limit",
            "3",
            "--time-limit",
            "100",
            "--output-limit",
            "1MiB",
        ]);
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(110), "{name}: {took:?}");
        assert_eq!(run.code, Some(1), "{name}: {run:?}");
        let verdict = format!("FAILED   {rule}");
        assert!(run.stdout.contains(&verdict), "{name}: {}", run.stdout);
    }
}

#[test]
fn a_skip_needs_a_rule_and_a_reason() {
    let desk = Desk::new();
    let run = desk.cdk(&["test", "-c", "faker", "--skip", "read.count=it lies"]);
    run.assert_error(1, "Did you mean `read.counts`?");
    let run = desk.cdk(&["test", "-c", "faker", "--skip", "read.counts"]);
    assert_eq!(run.code, Some(2), "{run:?}");
}

#[test]
fn the_rules_are_listed() {
    let run = Desk::new().cdk(&["test", "--list-rules"]);
    run.assert_ok();
    assert!(
        run.stdout.contains("state.resumes-everywhere"),
        "{}",
        run.stdout
    );
    assert!(run.stdout.ends_with(" rules\n"), "{}", run.stdout);
}
