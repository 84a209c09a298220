//! `read`: statuses, states, resuming, and streams that fail beside streams that don't.

use std::collections::{BTreeSet, HashMap};

use airbyte_protocol::{
    AirbyteMessage, AirbyteStateMessage, AirbyteStreamStatus, ConfiguredAirbyteCatalog, SyncMode,
};
use cdk_core::ConnectorError;
use cdk_core::entrypoint::Exit;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::counting::{CountingSource, Trouble, catalog};
use crate::support::run::{Captured, Ran, read, read_with, state_file};
use crate::support::scripted::Scripted;
use crate::support::stdout::Tripwire;
use AirbyteStreamStatus::{Complete, Incomplete, Running, Started};

fn incremental(names: impl IntoIterator<Item = &'static str>) -> ConfiguredAirbyteCatalog {
    catalog(names, SyncMode::Incremental)
}

fn next(state: &AirbyteStateMessage) -> u64 {
    let stream = state.stream.as_ref().unwrap();
    let state: Value = stream.stream_state.as_ref().unwrap().parse_as().unwrap();
    state["next"].as_u64().unwrap()
}

fn states_of<'a>(ran: &'a Ran, stream: &str) -> Vec<&'a AirbyteStateMessage> {
    let states = ran.states().into_iter();
    let own = states.filter(|state| {
        state
            .stream
            .as_ref()
            .is_some_and(|of| of.stream_descriptor.name == stream)
    });
    own.collect()
}

fn ids(ran: &Ran, stream: &str) -> Vec<u64> {
    let records = ran.records(stream).into_iter();
    records
        .map(|record| record["id"].as_u64().unwrap())
        .collect()
}

/// Every state counts the records since the one before it and comes after all records it covers.
fn assert_states_are_exact(ran: &Ran, from: u64) {
    let mut since: HashMap<String, u64> = HashMap::new();
    let mut seen: HashMap<String, BTreeSet<u64>> = HashMap::new();
    for message in &ran.messages {
        match message {
            AirbyteMessage::Record(record) => {
                let data: Value = record.data.parse_as().unwrap();
                *since.entry(record.stream.clone()).or_default() += 1;
                let id = data["id"].as_u64().unwrap();
                assert!(
                    seen.entry(record.stream.clone()).or_default().insert(id),
                    "{id} twice"
                );
            }
            AirbyteMessage::State(state) => {
                let name = &state.stream.as_ref().unwrap().stream_descriptor.name;
                let counted = state.source_stats.as_ref().unwrap().record_count.unwrap();
                assert_eq!(
                    counted,
                    since.remove(name).unwrap_or_default() as f64,
                    "{}",
                    ran.text
                );
                let next = next(state);
                let seen = seen.get(name);
                assert!(
                    (from..next).all(|id| seen.is_some_and(|seen| seen.contains(&id))),
                    "state {next} of {name} came before its records"
                );
            }
            _ => {}
        }
    }
    assert!(since.is_empty(), "records without a state: {since:?}");
}

#[tokio::test]
async fn statuses_come_in_order_and_every_record_is_covered_by_a_state() {
    let ran = read(
        CountingSource::new(["a", "b"]),
        json!({"concurrency": 2}),
        &incremental(["a", "b"]),
        None,
    )
    .await;
    assert_eq!(ran.exit, Exit::Success, "{}", ran.text);
    for stream in ["a", "b"] {
        assert_eq!(ran.statuses(stream), [Started, Running, Complete]);
        let mut emitted = ids(&ran, stream);
        emitted.sort_unstable();
        assert_eq!(emitted, (0..10).collect::<Vec<_>>());
        assert_eq!(next(states_of(&ran, stream).last().unwrap()), 10);
    }
    assert_states_are_exact(&ran, 0);
}

#[tokio::test]
async fn an_empty_stream_is_started_and_complete_with_one_state() {
    for (mode, expected) in [
        (
            SyncMode::FullRefresh,
            json!({"__ab_no_cursor_state_message": true}),
        ),
        (SyncMode::Incremental, json!({})),
    ] {
        let ran = read(
            CountingSource::new(["a"]),
            json!({"count": 0}),
            &catalog(["a"], mode),
            None,
        )
        .await;
        assert_eq!(ran.exit, Exit::Success);
        assert_eq!(ran.statuses("a"), [Started, Complete]);
        let states = ran.states();
        assert_eq!(states.len(), 1, "{}", ran.text);
        let state = states[0].stream.as_ref().unwrap().stream_state.as_ref();
        assert_eq!(state.unwrap().parse_as::<Value>().unwrap(), expected);
        assert_eq!(
            states[0].source_stats.as_ref().unwrap().record_count,
            Some(0.0)
        );
    }
}

#[tokio::test]
async fn a_full_refresh_without_checkpoints_ends_with_the_marker() {
    let source =
        Scripted::new(|_, sink| Box::pin(async move { sink.raw_record(r#"{"id":0}"#).await }));
    let mut wanted = catalog(["a"], SyncMode::FullRefresh);
    wanted.streams[0].stream = source.definition.clone();
    let ran = read(source, json!({}), &wanted, None).await;
    assert_eq!(ran.statuses("s"), [Started, Running, Complete]);
    let state = ran.states()[0]
        .stream
        .as_ref()
        .unwrap()
        .stream_state
        .clone();
    assert_eq!(
        state.unwrap().get(),
        r#"{"__ab_no_cursor_state_message":true}"#
    );
}

#[tokio::test]
async fn resuming_from_any_state_yields_exactly_the_missing_rows() {
    for config in [
        json!({"count": 25, "partition": 4}),
        json!({"count": 25, "partition": 4, "checkpoint_rows": 3}),
        json!({"count": 60, "partition": 4, "concurrency": 4, "checkpoint_rows": 2}),
    ] {
        let count = config["count"].as_u64().unwrap();
        let source = CountingSource::new(["a"]);
        let ran = read(source.clone(), config.clone(), &incremental(["a"]), None).await;
        assert_states_are_exact(&ran, 0);
        let states = ran.states();
        assert!(states.len() > 3, "{}", ran.text);
        for state in states {
            let resumed = read(
                source.clone(),
                config.clone(),
                &incremental(["a"]),
                Some(&state_file(state)),
            )
            .await;
            let mut rest = ids(&resumed, "a");
            rest.sort_unstable();
            assert_eq!(rest, (next(state)..count).collect::<Vec<_>>());
            if next(state) < count {
                assert_states_are_exact(&resumed, next(state));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parallel_partitions_on_several_threads_keep_states_behind_their_records() {
    let config = json!({"count": 3000, "partition": 7, "concurrency": 8, "checkpoint_rows": 5});
    let ran = read(
        CountingSource::new(["a", "b", "c"]),
        config,
        &incremental(["a", "b", "c"]),
        None,
    )
    .await;
    assert_states_are_exact(&ran, 0);
    for stream in ["a", "b", "c"] {
        let nexts: Vec<_> = states_of(&ran, stream).into_iter().map(next).collect();
        assert!(nexts.is_sorted(), "{nexts:?}");
        assert_eq!(nexts.last(), Some(&3000));
    }
}

#[tokio::test]
async fn a_failing_stream_keeps_its_progress_and_leaves_the_others_alone() {
    let source = CountingSource::new(["a", "b", "c"]).with(
        "b",
        Trouble::fail_at(7, 9, || {
            ConnectorError::transient("The server hung up.").caused_by("reset by peer")
        }),
    );
    for concurrency in [1, 2] {
        let config = json!({"concurrency": concurrency, "checkpoint_rows": 1000});
        let ran = read(source.clone(), config, &incremental(["a", "b", "c"]), None).await;
        assert_eq!(ran.exit, Exit::Failure);
        assert_eq!(ran.statuses("a"), [Started, Running, Complete]);
        assert_eq!(ran.statuses("b"), [Started, Running, Incomplete]);
        assert_eq!(ran.statuses("c"), [Started, Running, Complete]);
        assert_states_are_exact(&ran, 0);
        assert_eq!(next(states_of(&ran, "b").last().unwrap()), 7);

        let traces = ran.messages.iter().filter_map(|message| match message {
            AirbyteMessage::Trace(trace) => trace.error.as_ref(),
            _ => None,
        });
        let traces: Vec<_> = traces.collect();
        assert_eq!(traces.len(), 2, "{}", ran.text);
        assert_eq!(traces[0].stream_descriptor.as_ref().unwrap().name, "b");
        assert_eq!(traces[0].message, "The server hung up.");
        assert_eq!(traces[0].internal_message.as_deref(), Some("reset by peer"));
        assert!(traces[1].message.contains("b: The server hung up."));
        assert!(
            ran.errors()
                .iter()
                .all(|(kind, _)| kind == "transient_error")
        );
    }
}

#[tokio::test]
async fn a_panic_is_a_system_error_of_its_stream_only() {
    let source = CountingSource::new(["a", "b"]).with("a", Trouble::PanicAt(4));
    let ran = read(source, json!({}), &incremental(["a", "b"]), None).await;
    assert_eq!(ran.exit, Exit::Failure);
    assert_eq!(ran.statuses("a"), [Started, Running, Incomplete]);
    assert_eq!(ran.statuses("b"), [Started, Running, Complete]);
    let errors = ran.errors();
    assert_eq!(errors[0].0, "system_error");
    assert!(errors[0].1.contains("crashed while reading stream a"));
    assert!(
        ran.text.contains("this stream can't count to 4"),
        "{}",
        ran.text
    );
    assert!(next(states_of(&ran, "a").last().unwrap()) >= 3);
}

#[tokio::test]
async fn an_unknown_stream_is_a_config_error_that_names_the_known_ones() {
    let source = CountingSource::new(["a", "b"]);
    let ran = read(source, json!({}), &incremental(["a", "zzz"]), None).await;
    assert_eq!(ran.exit, Exit::Failure);
    assert_eq!(ran.statuses("a"), [Started, Running, Complete]);
    assert_eq!(ran.statuses("zzz"), [Incomplete]);
    let (kind, message) = &ran.errors()[0];
    assert_eq!(kind, "config_error");
    assert!(message.contains("stream zzz"), "{message}");
    assert!(
        message.ends_with("Among the streams it has: a, b."),
        "{message}"
    );
}

#[tokio::test]
async fn a_stream_that_stands_twice_in_the_catalog_is_a_config_error() {
    let ran = read(
        CountingSource::new(["a"]),
        json!({}),
        &incremental(["a", "a"]),
        None,
    )
    .await;
    assert_eq!(ran.exit, Exit::Failure);
    let (kind, message) = &ran.errors()[0];
    assert_eq!(kind, "config_error");
    assert!(message.contains("twice"), "{message}");
}

#[tokio::test]
async fn incremental_on_a_stream_that_has_none_is_read_in_full_with_a_warning() {
    let source = Scripted::new(|request, sink| {
        let is_incremental = request.is_incremental();
        Box::pin(async move { sink.record(&json!({"incremental": is_incremental})).await })
    });
    let mut wanted = incremental(["a"]);
    wanted.streams[0].stream = source.definition.clone();
    let ran = read(source, json!({}), &wanted, None).await;
    assert_eq!(ran.exit, Exit::Success, "{}", ran.text);
    assert_eq!(ran.records("s"), [json!({"incremental": false})]);
    assert!(
        ran.text
            .contains(r#""level":"WARN","message":"Stream s has no incremental mode"#)
    );
}

#[tokio::test]
async fn incremental_without_any_cursor_is_a_config_error() {
    let mut source = Scripted::new(|_, _| Box::pin(async { Ok(()) }));
    source.definition.supported_sync_modes = vec![SyncMode::FullRefresh, SyncMode::Incremental];
    let mut wanted = incremental(["a"]);
    wanted.streams[0].stream = source.definition.clone();
    let ran = read(source.clone(), json!({}), &wanted, None).await;
    assert_eq!(ran.exit, Exit::Failure);
    let (kind, message) = &ran.errors()[0];
    assert_eq!(kind, "config_error");
    assert!(
        message.contains("Stream s") && message.contains("`cursor_field`"),
        "{message}"
    );
    wanted.streams[0].cursor_field = Some(vec!["at".to_owned()]);
    let ran = read(source, json!({}), &wanted, None).await;
    assert_eq!(ran.exit, Exit::Success, "{}", ran.text);
}

#[tokio::test]
async fn a_state_of_a_foreign_shape_is_a_config_error_of_its_stream() {
    let state = r#"[{"type":"STREAM","stream":{"stream_descriptor":{"name":"a"},"stream_state":{"next":"x"}}}]"#;
    let source = CountingSource::new(["a", "b"]);
    let ran = read(source, json!({}), &incremental(["a", "b"]), Some(state)).await;
    assert_eq!(ran.exit, Exit::Failure);
    assert_eq!(ran.statuses("a"), [Started, Incomplete]);
    assert_eq!(ran.statuses("b"), [Started, Running, Complete]);
    let (kind, message) = &ran.errors()[0];
    assert_eq!(kind, "config_error");
    assert!(
        message.contains("stream a") && message.contains("Reset"),
        "{message}"
    );
}

#[tokio::test]
async fn a_malformed_state_file_is_a_config_error_before_anything_is_read() {
    for (state, expected) in [
        ("[{", "not a JSON list"),
        ("17", "not a JSON list"),
        (r#"[{"type":"STREAM"}]"#, "Entry 0"),
        (r#"[{"type":"SOMETHING","data":{}}]"#, "Entry 0"),
    ] {
        let source = CountingSource::new(["a"]);
        let ran = read(source, json!({}), &incremental(["a"]), Some(state)).await;
        assert_eq!(ran.exit, Exit::Failure, "{state}");
        let errors = ran.errors();
        assert_eq!((errors.len(), errors[0].0.as_str()), (1, "config_error"));
        assert!(errors[0].1.contains(expected), "{state}: {}", errors[0].1);
        assert!(ran.records("a").is_empty() && ran.statuses("a").is_empty());
    }
}

#[tokio::test]
async fn a_stop_emits_the_state_of_the_batch_in_hand_and_the_next_run_goes_on() {
    for concurrency in [1, 4] {
        // Ten times the budget: the reader can't be done before the first byte is written.
        let count = 10_000;
        let config = json!({
            "count": count, "partition": 1000, "concurrency": concurrency, "checkpoint_rows": 5000
        });
        let source = CountingSource::new(["a"]).with("a", Trouble::Wide(1000));
        let stdout = Captured::default();
        let tripwire = stdout.clone();
        let stopped = read_with(
            source.clone(),
            config.clone(),
            &incremental(["a"]),
            None,
            move |invocation| {
                invocation.env =
                    |name| (name == "CDK_MEMORY_BUDGET_BYTES").then(|| "1048576".into());
                let stop = invocation.stop.clone();
                invocation.stdout = Box::new(Tripwire::new(tripwire, 1, move || stop.cancel()));
            },
        )
        .await;
        assert_eq!(stopped.exit, Exit::Stopped);
        let first = Ran::of(stopped.exit, stdout.text());
        assert_eq!(first.statuses("a"), [Started, Running, Incomplete]);
        assert!(first.errors().is_empty(), "{:?}", first.errors());
        let states = first.states();
        let last = states.last().expect("a stop emits a state");
        let emitted: BTreeSet<_> = ids(&first, "a").into_iter().collect();
        assert!(!emitted.is_empty() && (emitted.len() as u64) < count);
        assert!((0..next(last)).all(|id| emitted.contains(&id)));
        if concurrency == 1 {
            assert_eq!(next(last), emitted.len() as u64);
        }
        let rest = read(source, config, &incremental(["a"]), Some(&state_file(last))).await;
        assert_eq!(rest.exit, Exit::Success);
        assert_eq!(ids(&rest, "a").len() as u64, count - next(last));
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_hangs_after_a_stop_is_dropped_within_seconds() {
    let source = CountingSource::new(["a"]).with("a", Trouble::HangAt(5));
    let stop = CancellationToken::new();
    let token = stop.clone();
    let started = tokio::time::Instant::now();
    let stopper = tokio::spawn(async move {
        tokio::time::sleep(std::time::Duration::from_secs(20)).await;
        token.cancel();
    });
    let ran = read_with(source, json!({}), &incremental(["a"]), None, |invocation| {
        invocation.stop = stop;
    })
    .await;
    stopper.await.unwrap();
    assert_eq!(ran.exit, Exit::Stopped);
    let after = started.elapsed().as_secs() - 20;
    assert!((5..10).contains(&after), "{after} s after the stop");
    assert_eq!(ran.statuses("a"), [Started, Running, Incomplete]);
    assert_eq!(ids(&ran, "a"), (0..5).collect::<Vec<_>>());
    assert_eq!(next(ran.states().last().unwrap()), 5);
}
