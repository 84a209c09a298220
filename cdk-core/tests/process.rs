//! Connectors in other processes, played by shell scripts.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use airbyte_protocol::{AirbyteMessage, AirbyteStreamStatus, SyncMode};
use cdk_core::entrypoint::{self, Connector, Exit};
use cdk_core::watchdog::Progress;
use cdk_core::{
    Context, DynDestination, DynSource, InputState, MemoryBudget, ProcessCommand,
    ProcessDestination, ProcessSource, ReadArgs, event,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::counting::catalog;
use crate::support::lines::{record, state, status};
use crate::support::run::{Captured, Files, Ran, args, invocation, read_args, run, run_with};
use crate::support::stdout::Tripwire;
use AirbyteStreamStatus::{Complete, Incomplete, Running, Started};

/// A connector that runs `body`; the verb is `$1`.
fn script(files: &Files, body: &str) -> ProcessCommand {
    let path = files.write("connector.sh", body);
    ProcessCommand::new("sh", [path.to_str().unwrap()])
}

fn source(files: &Files, body: &str) -> Connector {
    Connector::Source(Arc::new(ProcessSource::new(script(files, body))))
}

/// A script that prints these lines and then runs `rest`.
fn printing(lines: &[&str], rest: &str) -> String {
    let prints = lines
        .iter()
        .map(|line| format!("printf '%s\\n' '{line}'\n"));
    prints.collect::<String>() + rest
}

async fn read_script(body: &str, state: Option<&str>) -> Ran {
    let files = Files::new();
    let wanted = catalog(["a", "b"], SyncMode::Incremental);
    let arguments = read_args(&files, &json!({}), &wanted, state);
    run(source(&files, body), arguments).await
}

async fn write_script(body: &str, stdin: &str) -> Ran {
    let files = Files::new();
    let destination = ProcessDestination::new(script(&files, body));
    let mut arguments = read_args(
        &files,
        &json!({}),
        &catalog(["a"], SyncMode::Incremental),
        None,
    );
    arguments[0] = "write".into();
    let stdin = stdin.to_owned();
    run_with(
        Connector::Destination(Arc::new(destination)),
        arguments,
        |call| {
            call.stdin = Box::new(io::Cursor::new(stdin));
        },
    )
    .await
}

#[tokio::test]
async fn check_and_discover_pass_the_answer_on() {
    let cases = [
        (
            r#"{"type":"CONNECTION_STATUS","connectionStatus":{"status":"SUCCEEDED"}}"#,
            "check",
        ),
        (
            r#"{"type":"CONNECTION_STATUS","connectionStatus":{"status":"FAILED","message":"Wrong password."}}"#,
            "check",
        ),
        (
            r#"{"type":"CATALOG","catalog":{"streams":[{"name":"a","json_schema":{},"supported_sync_modes":["full_refresh"]}]}}"#,
            "discover",
        ),
        (
            r#"{"type":"SPEC","spec":{"connectionSpecification":{"type":"object"}}}"#,
            "spec",
        ),
    ];
    for (answer, verb) in cases {
        let files = Files::new();
        // Answers to other verbs would be wrong ones.
        let body = format!("[ \"$1\" = {verb} ] || exit 9\n");
        let body = body + &printing(&["starting", answer], "");
        let config = files.write("config.json", "{}");
        let mut arguments = args([verb]);
        if verb != "spec" {
            arguments.extend(["--config".into(), config.into()]);
        }
        let ran = run(source(&files, &body), arguments).await;
        assert_eq!(ran.exit, Exit::Success, "{}", ran.text);
        let answer: AirbyteMessage = serde_json::from_str(answer).unwrap();
        assert!(ran.messages.contains(&answer), "{}", ran.text);
        assert!(ran.text.contains(r#""level":"INFO","message":"starting""#));
    }
}

#[tokio::test]
async fn a_verb_without_an_answer_is_a_system_error_that_names_it() {
    let files = Files::new();
    let config = files.write("config.json", "{}");
    let arguments = args(["discover", "--config", config.to_str().unwrap()]);
    let ran = run(source(&files, "exit 7"), arguments).await;
    assert_eq!(ran.exit, Exit::Failure);
    let (kind, message) = &ran.errors()[0];
    assert_eq!(kind, "system_error");
    assert!(
        message.contains("discover") && message.contains("exit status: 7"),
        "{message}"
    );
}

#[tokio::test]
async fn a_missing_executable_is_a_config_error() {
    let files = Files::new();
    let command = ProcessCommand::new("/no/such/connector", Vec::<String>::new());
    let connector = Connector::Source(Arc::new(ProcessSource::new(command)));
    let arguments = read_args(
        &files,
        &json!({}),
        &catalog(["a"], SyncMode::Incremental),
        None,
    );
    let ran = run(connector, arguments).await;
    assert_eq!(ran.exit, Exit::Failure);
    let (kind, message) = &ran.errors()[0];
    assert_eq!(kind, "config_error");
    assert!(message.contains("/no/such/connector"), "{message}");
}

#[tokio::test]
async fn records_and_states_pass_unchanged() {
    let with_meta = r#"{"type":"RECORD","record":{"stream":"a","data":{"id":1,"n":12345678901234567890.10},"emitted_at":17,"meta":{"changes":[{"field":"x","change":"NULLED","reason":"SOURCE_RETRIEVAL_ERROR"}]}}}"#;
    let with_file = r#"{"type":"RECORD","record":{"namespace":"n","stream":"a","data":{"id":2},"emitted_at":18,"file_reference":{"staging_file_url":"/staging/f","source_file_relative_path":"f","file_size_bytes":9}}}"#;
    let big = r#"{"type":"STATE","state":{"type":"STREAM","id":3,"stream":{"stream_descriptor":{"name":"a"},"stream_state":{"big":1234567890123456789012345}}}}"#;
    let lines = [
        with_meta,
        with_file,
        big,
        &status("a", "COMPLETE"),
        &status("b", "INCOMPLETE"),
    ];
    let ran = read_script(&printing(&lines, ""), None).await;
    assert_eq!(ran.exit, Exit::Success, "{}", ran.text);
    for line in [with_meta, with_file] {
        let sent: AirbyteMessage = serde_json::from_str(line).unwrap();
        assert!(ran.messages.contains(&sent), "{}", ran.text);
    }
    assert!(ran.text.contains("12345678901234567890.10"));
    let state = ran.states()[0];
    assert!(
        ran.text
            .contains(r#""stream_state":{"big":1234567890123456789012345}"#),
        "{}",
        ran.text
    );
    assert!(ran.text.contains(r#""id":3"#));
    assert_eq!(state.source_stats.as_ref().unwrap().record_count, Some(1.0));
    assert_eq!(ran.statuses("a"), [Complete]);
    assert_eq!(ran.statuses("b"), [Incomplete]);
}

#[tokio::test]
async fn the_child_gets_config_catalog_and_state() {
    // read --config F --catalog F --state F
    let body = r#"
        data() { printf '{"type":"RECORD","record":{"stream":"a","data":%s,"emitted_at":1}}\n' "$1"; }
        [ "$1 $2 $4 $6" = 'read --config --catalog --state' ] || exit 9
        data "$(cat "$3")"; data "$(cat "$5")"; data "{\"state\":$(cat "$7")}"
        data "{\"mode\":\"$(stat -c %a "$3")\"}"
    "#;
    let state = r#"[{"type":"STREAM","stream":{"stream_descriptor":{"name":"a"},"stream_state":{"next":1234567890123456789012345}}}]"#;
    let ran = read_script(body, Some(state)).await;
    assert_eq!(ran.exit, Exit::Success, "{}", ran.text);
    let records = ran.records("a");
    assert_eq!(records[0], json!({}));
    assert_eq!(records[1]["streams"][0]["stream"]["name"], "a");
    assert_eq!(
        records[2]["state"][0]["stream"]["stream_descriptor"]["name"],
        "a"
    );
    assert_eq!(records[3], json!({"mode": "600"}));
    assert!(
        ran.text.contains("1234567890123456789012345"),
        "{}",
        ran.text
    );
}

#[tokio::test]
async fn an_old_source_without_statuses_is_complete_when_it_exits_with_0() {
    let (row, state) = (record("a", 0), state("a", 1));
    let ran = read_script(&printing(&[&row, &state], ""), None).await;
    assert_eq!(ran.exit, Exit::Success);
    for stream in ["a", "b"] {
        assert_eq!(ran.statuses(stream), [Complete]);
    }
    let last = ran
        .messages
        .iter()
        .rposition(|message| matches!(message, AirbyteMessage::State(_)));
    let ended = ran.text.lines().position(|line| line.contains("COMPLETE"));
    assert!(last < ended, "{}", ran.text);
}

#[tokio::test]
async fn a_failing_source_is_incomplete_and_its_own_error_is_kept() {
    let trace = r#"{"type":"TRACE","trace":{"type":"ERROR","emitted_at":1,"error":{"message":"No such table.","failure_type":"config_error","stream_descriptor":{"name":"b"}}}}"#;
    let lines = [
        &record("a", 0),
        &status("a", "STARTED"),
        &status("a", "RUNNING"),
        trace,
    ];
    let lines: Vec<_> = lines.iter().map(|line| line as &str).collect();
    let ran = read_script(&printing(&lines, "exit 1"), None).await;
    assert_eq!(ran.exit, Exit::Failure);
    assert_eq!(ran.statuses("a"), [Started, Running, Incomplete]);
    assert_eq!(ran.statuses("b"), [Incomplete]);
    assert_eq!(ran.records("a").len(), 1);
    let errors = ran.errors();
    assert!(
        errors
            .iter()
            .all(|error| *error == ("config_error".into(), "No such table.".into()))
    );

    let ran = read_script("exit 3", None).await;
    let (kind, message) = &ran.errors()[0];
    assert_eq!((ran.exit, kind.as_str()), (Exit::Failure, "system_error"));
    assert!(
        message.contains("failed without saying why (exit status: 3)"),
        "{message}"
    );
}

#[tokio::test]
async fn text_on_stdout_and_stderr_becomes_logs() {
    let log = r#"{"type":"LOG","log":{"level":"ERROR","message":"own words"}}"#;
    let body = printing(
        &["Picked up JAVA_OPTS", "", log],
        "echo 'Traceback (most recent)' >&2",
    );
    let ran = read_script(&body, None).await;
    assert_eq!(ran.exit, Exit::Success);
    for expected in [
        r#""level":"INFO","message":"Picked up JAVA_OPTS""#,
        r#""level":"ERROR","message":"own words""#,
        r#""level":"WARN","message":"Traceback (most recent)""#,
    ] {
        assert!(ran.text.contains(expected), "{}", ran.text);
    }
}

#[tokio::test]
async fn a_broken_record_ends_the_read_with_its_line_number() {
    let broken = r#"{"type":"RECORD","record":{"stream":"a","data":{"id":"#;
    let body = printing(&[&record("a", 0), broken], "exec sleep 60");
    let ran = read_script(&body, None).await;
    assert_eq!(ran.exit, Exit::Failure);
    let (kind, message) = &ran.errors()[0];
    assert_eq!(kind, "system_error");
    assert!(message.contains("Line 2 from sh"), "{message}");
    assert_eq!(ran.statuses("a"), [Incomplete]);
    assert_eq!(ran.records("a").len(), 1);
}

/// Runs `read` of a script and stops it at the first thing it prints.
async fn stopped_read(body: &str, while_stopping: impl Future<Output = ()>) -> Ran {
    let files = Files::new();
    let wanted = catalog(["a"], SyncMode::Incremental);
    let arguments = read_args(&files, &json!({}), &wanted, None);
    let stdout = Captured::default();
    let mut call = invocation(arguments, stdout.clone());
    let (stop, is_stopping) = (call.stop.clone(), CancellationToken::new());
    let signal = is_stopping.clone();
    call.stdout = Box::new(Tripwire::new(stdout.clone(), 1, move || {
        stop.cancel();
        signal.cancel();
    }));
    let connector = source(&files, body);
    let exit = tokio::select! {
        exit = entrypoint::run(connector, call) => exit,
        () = async {
            is_stopping.cancelled().await;
            while_stopping.await;
        } => unreachable!("the run ends first"),
    };
    Ran::of(exit, stdout.text())
}

#[tokio::test]
async fn a_stop_lets_the_child_say_its_last_words() {
    let body = format!(
        "trap 'printf \"%s\\n\" '\"'\"'{}'\"'\"'; exit 143' TERM\n{}",
        state("a", 1),
        printing(
            &[&record("a", 0), &status("a", "RUNNING")],
            "while :; do sleep 0.01; done"
        )
    );
    let ran = stopped_read(&body, std::future::pending()).await;
    assert_eq!(ran.exit, Exit::Stopped, "{}", ran.text);
    assert_eq!(ran.states().len(), 1, "{}", ran.text);
    assert_eq!(ran.statuses("a").last(), Some(&Incomplete));
    assert!(ran.errors().is_empty(), "{}", ran.text);
}

#[tokio::test]
async fn a_stopped_child_that_exits_with_0_has_not_completed_its_streams() {
    let body = "trap 'exit 0' TERM\n".to_owned()
        + &printing(
            &[&record("a", 0), &status("a", "RUNNING")],
            "while :; do sleep 0.01; done",
        );
    let ran = stopped_read(&body, std::future::pending()).await;
    assert_eq!(ran.exit, Exit::Stopped, "{}", ran.text);
    assert_eq!(ran.statuses("a"), [Running, Incomplete], "{}", ran.text);
}

#[tokio::test(start_paused = true)]
async fn a_child_that_ignores_sigterm_is_killed_with_all_it_started() {
    let body = "trap '' TERM\n".to_owned()
        + &printing(
            &[&status("a", "RUNNING")],
            "sleep 60 & sleep 60 & wait; wait",
        );
    // Time stands still while a thread waits for the child: it has to be moved.
    let hurry = async {
        loop {
            tokio::time::advance(Duration::from_secs(1)).await;
        }
    };
    let ran = stopped_read(&body, hurry).await;
    assert_eq!(ran.exit, Exit::Stopped, "{}", ran.text);
    assert!(
        ran.text.contains("sh did not end 10 s after SIGTERM"),
        "{}",
        ran.text
    );
}

#[tokio::test]
async fn a_child_does_not_outlive_a_dropped_run() {
    let files = Files::new();
    let fifo = files.path().join("alive");
    let made = std::process::Command::new("mkfifo")
        .arg(&fifo)
        .status()
        .unwrap();
    assert!(made.success());
    // The pipe stays open as long as one of the processes lives.
    let body = format!("exec 9>'{}'\n", fifo.display())
        + &printing(&[&status("a", "RUNNING")], "sleep 60 & wait");
    let source = ProcessSource::new(script(&files, &body));
    let (events, mut received) = event::channel(MemoryBudget::default(), Progress::default());
    let context = Context::new(events);
    let args = ReadArgs {
        config: json!({}),
        catalog: catalog(["a"], SyncMode::Incremental),
        state: InputState::default(),
    };
    let end_of_pipe = tokio::task::spawn_blocking(move || {
        let mut text = Vec::new();
        std::fs::File::open(fifo).and_then(|mut pipe| pipe.read_to_end(&mut text))
    });
    tokio::select! {
        ended = source.read_dyn(args, &context) => panic!("the script runs on: {ended:?}"),
        first = received.recv() => assert!(first.is_some()),
    }
    let ended = tokio::time::timeout(Duration::from_secs(30), end_of_pipe).await;
    assert_eq!(ended.expect("all processes end").unwrap().unwrap(), 0);
}

/// Gives states back and counts the records it got.
const ECHO: &str = r#"
    n=0
    while IFS= read -r line; do
        case "$line" in
            *'"type":"STATE"'*) printf '%s\n' "$line" ;;
            *'"type":"RECORD"'*) n=$((n + 1)) ;;
            *COMPLETE*) echo "complete after $n" >&2 ;;
        esac
    done
"#;

#[tokio::test]
async fn a_destination_process_gets_everything_and_gives_states_back() {
    let stdin = [
        record("a", 0),
        state("a", 1),
        record("a", 1),
        record("a", 2),
        state("a", 3),
    ];
    let stdin = stdin.join("\n") + "\n" + &status("a", "COMPLETE") + "\n";
    let ran = write_script(ECHO, &stdin).await;
    assert_eq!(ran.exit, Exit::Success, "{}", ran.text);
    let states: Vec<Value> = ran
        .states()
        .into_iter()
        .map(|state| {
            state
                .stream
                .clone()
                .unwrap()
                .stream_state
                .unwrap()
                .parse_as()
                .unwrap()
        })
        .collect();
    assert_eq!(states, [json!({"next": 1}), json!({"next": 3})]);
    assert!(ran.text.contains("complete after 3"), "{}", ran.text);
}

#[tokio::test]
async fn a_destination_process_that_fails_says_why() {
    let trace = r#"{"type":"TRACE","trace":{"type":"ERROR","emitted_at":1,"error":{"message":"The disk is full.","failure_type":"transient_error"}}}"#;
    let stdin: String = (0..20_000).map(|id| record("a", id) + "\n").collect();
    let ran = write_script(&printing(&[trace], "exit 1"), &stdin).await;
    assert_eq!(ran.exit, Exit::Failure);
    let errors = ran.errors();
    assert!(!errors.is_empty());
    let expected = ("transient_error".to_owned(), "The disk is full.".to_owned());
    assert!(errors.iter().all(|error| *error == expected), "{errors:?}");

    let ran = write_script("cat >/dev/null; exit 4", &record("a", 0)).await;
    let (kind, message) = &ran.errors()[0];
    assert_eq!((ran.exit, kind.as_str()), (Exit::Failure, "system_error"));
    assert!(message.contains("exit status: 4"), "{message}");
}

#[tokio::test]
async fn a_destination_that_leaves_early_with_exit_0_is_a_failure() {
    let stdin: String = (0..20_000).map(|id| record("a", id) + "\n").collect();
    let ran = write_script("exit 0", &stdin).await;
    assert_eq!(ran.exit, Exit::Failure);
    let (kind, message) = &ran.errors()[0];
    assert_eq!(kind, "transient_error");
    assert!(
        message.contains("closed its input before everything was sent"),
        "{message}"
    );
}

#[tokio::test]
async fn a_destination_process_has_the_modes_of_its_spec() {
    let files = Files::new();
    let spec = r#"{"type":"SPEC","spec":{"connectionSpecification":{},"supported_destination_sync_modes":["overwrite","append_dedup"]}}"#;
    let destination = ProcessDestination::new(script(&files, &printing(&[spec], "")));
    let (events, _received) = event::channel(MemoryBudget::default(), Progress::default());
    let capabilities = destination
        .capabilities_dyn(&Context::new(events))
        .await
        .unwrap();
    let modes: Vec<_> = capabilities
        .sync_modes
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(modes, ["overwrite", "append_dedup"]);
}
