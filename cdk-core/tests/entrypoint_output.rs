//! What `read` prints besides records and states, and what happens when nobody reads it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use airbyte_protocol::{
    AirbyteMessage, AirbyteRecordMessageMetaChange, Change, ChangeReason, ConfiguredAirbyteCatalog,
    LogLevel, SyncMode,
};
use cdk_core::ConnectorError;
use cdk_core::entrypoint::{self, Connector, Exit};
use serde_json::{Value, json};

use crate::support::counting::{CountingSource, Trouble, catalog};
use crate::support::run::{Captured, Files, Ran, invocation, read, read_args, read_with};
use crate::support::scripted::Scripted;
use crate::support::stdout::Failing;

const NO_SPACE: i32 = 28;

fn catalog_of(source: &Scripted) -> ConfiguredAirbyteCatalog {
    let mut wanted = catalog(["a"], SyncMode::FullRefresh);
    wanted.streams[0].stream = source.definition.clone();
    wanted
}

async fn read_into(source: CountingSource, config: Value, stdout: Failing) -> Exit {
    let files = Files::new();
    let wanted = catalog(["a"], SyncMode::Incremental);
    let arguments = read_args(&files, &config, &wanted, None);
    let mut invocation = invocation(arguments, Captured::default());
    invocation.stdout = Box::new(stdout);
    entrypoint::run(Connector::Source(Arc::new(source)), invocation).await
}

fn broken_pipe() -> io::Error {
    io::ErrorKind::BrokenPipe.into()
}

#[tokio::test]
async fn a_closed_stdout_ends_a_busy_source_quietly() {
    for after in [0, 10_000] {
        let config = json!({"count": 1_u64 << 60, "partition": 1_u64 << 60});
        let stdout = Failing::after(after, broken_pipe);
        let run = read_into(CountingSource::new(["a"]), config, stdout);
        let exit = tokio::time::timeout(Duration::from_secs(60), run).await;
        assert_eq!(exit, Ok(Exit::Success));
    }
}

#[tokio::test(start_paused = true)]
async fn a_closed_stdout_ends_a_source_that_waits() {
    let source = CountingSource::new(["a"]).with("a", Trouble::HangAt(3));
    let exit = read_into(source, json!({}), Failing::after(0, broken_pipe)).await;
    assert_eq!(exit, Exit::Success);
}

#[tokio::test]
async fn a_stdout_that_can_not_be_written_is_a_failure() {
    let full = || io::Error::from_raw_os_error(NO_SPACE);
    let exit = read_into(
        CountingSource::new(["a"]),
        json!({}),
        Failing::after(100, full),
    )
    .await;
    assert_eq!(exit, Exit::Failure);
}

fn talking() -> Scripted {
    Scripted::new(|_, _| {
        Box::pin(async {
            tracing::error!("say error");
            tracing::warn!(code = 7, "say warn");
            tracing::info!("say info");
            tracing::debug!("say debug");
            tracing::trace!("say trace");
            Ok(())
        })
    })
}

fn said(ran: &Ran) -> Vec<(LogLevel, &str)> {
    let logs = ran.messages.iter().filter_map(|message| match message {
        AirbyteMessage::Log(log) => Some((log.level, log.message.as_str())),
        _ => None,
    });
    logs.filter(|(_, text)| text.starts_with("say")).collect()
}

#[tokio::test]
async fn tracing_events_become_logs_of_their_level() {
    use LogLevel::{Debug, Error, Info, Trace, Warn};
    let all = [
        (Error, "say error"),
        (Warn, "say warn code=7"),
        (Info, "say info"),
        (Debug, "say debug"),
        (Trace, "say trace"),
    ];
    type Env = fn(&str) -> Option<String>;
    let cases: [(Env, usize); 5] = [
        (|_| None, 3),
        (|name| (name == "LOG_LEVEL").then(|| "DEBUG".into()), 4),
        (|name| (name == "LOG_LEVEL").then(|| "trace".into()), 5),
        (|name| (name == "LOG_LEVEL").then(|| "warn".into()), 2),
        (|name| (name == "LOG_LEVEL").then(|| "nonsense".into()), 3),
    ];
    let wanted = catalog_of(&talking());
    for (env, expected) in cases {
        let ran = read_with(talking(), json!({}), &wanted, None, |call| call.env = env).await;
        assert_eq!(said(&ran), all[..expected]);
    }
    let ran = read_with(talking(), json!({}), &wanted, None, |call| {
        call.args.push("--debug".into());
    })
    .await;
    assert_eq!(said(&ran), all[..4]);
}

#[tokio::test]
async fn secrets_are_masked_wherever_people_read_but_not_in_records() {
    // Raw, base64 and URL-encoded.
    const FORMS: [&str; 3] = ["p@ss/w0rd+", "cEBzcy93MHJkKw==", "p%40ss%2Fw0rd%2B"];
    let source = Scripted::new(|_, sink| {
        Box::pin(async move {
            sink.record(&json!({"echo": FORMS[0]})).await?;
            FORMS
                .iter()
                .for_each(|form| tracing::warn!("the token is {form}."));
            Err(ConnectorError::config(format!("Bad token {}.", FORMS[0]))
                .caused_by(format!("GET /?t={} {}", FORMS[1], FORMS[2])))
        })
    });
    let wanted = catalog_of(&source);
    let ran = read(source, json!({"token": FORMS[0]}), &wanted, None).await;
    assert_eq!(ran.records("s"), [json!({"echo": FORMS[0]})]);
    let is_for_people = |line: &&str| !line.contains(r#""type":"RECORD""#);
    let rest: Vec<_> = ran.text.lines().filter(is_for_people).collect();
    let rest = rest.join("\n");
    for form in FORMS {
        assert!(!rest.contains(form), "{form}: {rest}");
    }
    assert_eq!(rest.matches("the token is ****.").count(), 3, "{rest}");
    assert!(ran.errors()[0].1 == "Bad token ****.", "{rest}");
    assert!(rest.contains("GET /?t=**** ****"), "{rest}");
}

#[tokio::test]
async fn a_changed_config_is_written_before_the_call_returns() {
    let stdout = Captured::default();
    let seen = Arc::new(AtomicBool::new(false));
    let (reader, flag) = (stdout.clone(), Arc::clone(&seen));
    let source = Scripted::new(move |request, _| {
        let (reader, flag) = (reader.clone(), Arc::clone(&flag));
        Box::pin(async move {
            let changed = json!({"token": "fresh-token"});
            request.context().persist_config(&changed).await?;
            flag.store(
                reader.text().contains(r#""type":"CONTROL""#),
                Ordering::SeqCst,
            );
            Ok(())
        })
    });
    let wanted = catalog_of(&source);
    let ran = read_with(
        source,
        json!({"token": "old-token"}),
        &wanted,
        None,
        |call| {
            call.stdout = Box::new(stdout.clone());
        },
    )
    .await;
    assert_eq!(ran.exit, Exit::Success);
    assert!(seen.load(Ordering::SeqCst));
    // The whole point is to hand the new secret on.
    assert!(
        stdout
            .text()
            .contains(r#""connectorConfig":{"config":{"token":"fresh-token"}}"#),
        "{}",
        stdout.text()
    );
}

fn change(field: &str, reason: ChangeReason) -> AirbyteRecordMessageMetaChange {
    AirbyteRecordMessageMetaChange::new(field.to_owned(), Change::Nulled, reason)
}

#[tokio::test]
async fn an_oversized_record_loses_its_largest_fields_and_says_so() {
    let mut source = Scripted::new(|_, sink| {
        Box::pin(async move {
            let wide = json!({"id": 1, "wide": "x".repeat(2000), "small": "y"});
            sink.record(&wide).await?;
            sink.raw_record(&wide.to_string()).await?;
            let earlier = change("small", ChangeReason::SourceRetrievalError);
            sink.record_with_changes(&wide, vec![earlier]).await?;
            sink.record(&json!({"id": 2})).await?;
            let own = change("id", ChangeReason::SourceRetrievalError);
            sink.record_with_changes(&json!({"id": null}), vec![own])
                .await
        })
    });
    source.settings.max_record_bytes = 1000;
    let wanted = catalog_of(&source);
    let ran = read(source, json!({}), &wanted, None).await;
    assert_eq!(ran.exit, Exit::Success, "{}", ran.text);
    let nulled = json!({"id": 1, "wide": null, "small": "y"});
    let expected = [
        &nulled,
        &nulled,
        &nulled,
        &json!({"id": 2}),
        &json!({"id": null}),
    ];
    assert_eq!(ran.records("s").iter().collect::<Vec<_>>(), expected);

    let metas = ran.messages.iter().filter_map(|message| match message {
        AirbyteMessage::Record(record) => Some(record.meta.as_ref()),
        _ => None,
    });
    let changes: Vec<Vec<_>> = metas
        .map(|meta| meta.map(|meta| meta.changes.clone()).unwrap_or_default())
        .collect();
    let size = change("wide", ChangeReason::SourceRecordSizeLimitation);
    let retrieval = |field| change(field, ChangeReason::SourceRetrievalError);
    let expected = [
        vec![size.clone()],
        vec![size.clone()],
        vec![retrieval("small"), size],
        vec![],
        vec![retrieval("id")],
    ];
    assert_eq!(changes, expected);
    assert!(
        ran.text.contains("more than the limit of 1000"),
        "{}",
        ran.text
    );
}
