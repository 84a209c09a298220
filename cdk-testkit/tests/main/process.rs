//! Connectors of other processes, bad ones among them: the suite ends, with a verdict.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use cdk_testkit::suite::{Report, Verdict};
use cdk_testkit::{Files, Program, Suite};

/// A source in a few lines of shell; `read` is what it does for that verb.
fn script(files: &Files, read: &str) -> Program {
    let text = format!(
        r#"#!/bin/sh
case "$1" in
spec) echo '{{"type":"SPEC","spec":{{"protocol_version":"0.18.0","connectionSpecification":{{"type":"object","properties":{{"n":{{"type":"integer"}}}}}}}}}}' ;;
check) case "$(cat "$3" 2>/dev/null)" in
    '{{}}') echo '{{"type":"CONNECTION_STATUS","connectionStatus":{{"status":"SUCCEEDED"}}}}' ;;
    *) echo '{{"type":"CONNECTION_STATUS","connectionStatus":{{"status":"FAILED","message":"no"}}}}' ;;
    esac ;;
discover) echo '{{"type":"CATALOG","catalog":{{"streams":[{{"name":"a","json_schema":{{"type":"object","properties":{{"id":{{"type":"integer"}}}}}},"supported_sync_modes":["full_refresh"]}}]}}}}' ;;
read)
case "$(cat "$5")" in *no_such_stream*) echo '{{"type":"TRACE","trace":{{"type":"ERROR","emitted_at":1700000000000,"error":{{"message":"no such stream","failure_type":"config_error"}}}}}}'; exit 1 ;; esac
now=$(date +%s)000
status() {{ echo '{{"type":"TRACE","trace":{{"type":"STREAM_STATUS","emitted_at":'$now',"stream_status":{{"stream_descriptor":{{"name":"a"}},"status":"'$1'"}}}}}}'; }}
record() {{ echo '{{"type":"RECORD","record":{{"stream":"a","data":{{"id":'$1'}},"emitted_at":'$now'}}}}'; }}
state() {{ echo '{{"type":"STATE","state":{{"type":"STREAM","stream":{{"stream_descriptor":{{"name":"a"}},"stream_state":{{"at":'$1'}}}},"sourceStats":{{"recordCount":'$2'}}}}}}'; }}
{read} ;;
esac
"#
    );
    let path = files.write("source", text);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    Program::new(path)
}

/// What a sound one does.
const SOUND: &str =
    "status STARTED; record 1; status RUNNING; record 2; state 2 2.0; status COMPLETE";

async fn judge(read: &str, run: Duration) -> Report {
    let files = Files::new();
    let suite = Suite::program(script(&files, read)).limits(|limits| {
        limits.run = run;
        limits.output = 4 << 20;
    });
    suite.run().await
}

/// Longer than any run takes that comes to its end.
const LONG: Duration = Duration::from_secs(120);
/// How long one that never ends is waited for.
const SHORT: Duration = Duration::from_secs(2);

#[tokio::test]
async fn a_sound_program_passes() {
    judge(SOUND, LONG).await.assert_passed();
}

#[tokio::test]
async fn a_program_that_hangs_is_ended_and_judged() {
    let report = judge("status STARTED; sleep 1000", SHORT).await;
    let Verdict::Failed(offence) = report.verdict("run.ends") else {
        panic!("{}", report.table());
    };
    assert_eq!(offence.run.as_deref(), Some("read (full refresh)"));
    // A verb that hung is not called again.
    assert!(matches!(
        report.verdict("read.is-repeatable"),
        Verdict::Skipped(_)
    ));
}

#[tokio::test]
async fn bad_programs_get_a_clear_verdict() {
    let lying = SOUND.replace("2.0", "7.0");
    for (read, rule) in [
        ("while true; do record 1; done", "run.output-is-bounded"),
        (
            "printf '\\377\\376 garbage'; status STARTED",
            "wire.json-lines",
        ),
        ("status STARTED; kill -SEGV $$", "run.no-crash"),
        ("status STARTED; exit 3", "run.failure-is-explained"),
        (lying.as_str(), "read.counts"),
        ("exit 0", "read.complete"),
    ] {
        let report = judge(read, LONG).await;
        assert!(!report.passed(), "{read}");
        let is_failed = matches!(report.verdict(rule), Verdict::Failed(_));
        assert!(is_failed, "{read}: {}", report.table());
    }
}

#[tokio::test]
async fn a_program_that_can_not_be_started_gets_a_verdict() {
    let report = Suite::program(Program::new("/no/such/connector"))
        .run()
        .await;
    assert!(matches!(report.verdict("run.no-crash"), Verdict::Failed(_)));
    assert!(matches!(
        report.verdict("spec.one-answer"),
        Verdict::Failed(_)
    ));
}

#[tokio::test]
async fn the_time_of_the_suite_ends_it() {
    let files = Files::new();
    let suite = Suite::program(script(&files, SOUND));
    let report = suite
        .limits(|limits| limits.suite = Duration::ZERO)
        .run()
        .await;
    assert_eq!(report.runs, 0);
    let Verdict::Skipped(why) = report.verdict("spec.one-answer") else {
        panic!("{}", report.table());
    };
    assert!(why.contains("time"), "{why}");
    assert!(!report.passed(), "nothing was judged");
}
