//! The embedded sync engine over in-memory connectors.

use std::sync::{Arc, Mutex};

use airbyte_protocol::StreamDescriptor;
use cdk_core::sync::{
    MemoryStateStore, Mode, Namespace, StateStore, StreamSelection, Sync, SyncBuilder, SyncEvent,
    SyncStatus,
};
use cdk_core::{ConnectorError, FixedClock};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::counting::{CountingSource, Trouble};
use crate::support::tables::{Database, Tables};

fn tables(database: &Database) -> Tables {
    Tables {
        database: database.clone(),
        commit_bytes: 1,
        ..Tables::default()
    }
}

fn builder(source: CountingSource, config: Value, database: &Database) -> SyncBuilder {
    Sync::builder()
        .source(source, config)
        .destination(tables(database), json!({}))
}

fn with_mode(name: &str, mode: Mode) -> StreamSelection {
    StreamSelection::new(name).with_mode(mode)
}

#[tokio::test]
async fn a_sync_moves_every_row_and_reports_it() {
    let database = Database::default();
    let report = builder(
        CountingSource::new(["a", "b"]),
        json!({"count": 100, "concurrency": 4}),
        &database,
    )
    .build()
    .unwrap()
    .run()
    .await
    .unwrap();
    assert_eq!(report.status, SyncStatus::Succeeded);
    assert_eq!(report.attempts, 1);
    for (stream, summary) in ["a", "b"].into_iter().zip(&report.streams) {
        let mut ids = database.ids(stream);
        ids.sort_unstable();
        assert_eq!(ids, (0..100).collect::<Vec<_>>());
        assert_eq!(summary.stream, StreamDescriptor::new(stream));
        assert_eq!((summary.records_read, summary.records_written), (100, 100));
        assert!(summary.is_complete && summary.bytes_read > 0);
    }
}

#[tokio::test]
async fn an_incremental_sync_moves_only_what_is_new() {
    let (database, store) = (Database::default(), MemoryStateStore::default());
    for (count, expected) in [(10, 10), (10, 0), (25, 15)] {
        let report = builder(
            CountingSource::new(["a"]),
            json!({"count": count}),
            &database,
        )
        .state_store(store.clone())
        .stream(with_mode("a", Mode::IncrementalAppend))
        .build()
        .unwrap()
        .run()
        .await
        .unwrap();
        assert_eq!(report.streams[0].records_read, expected, "count {count}");
    }
    assert_eq!(database.ids("a"), (0..25).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_overwrite_replaces_and_an_append_adds() {
    for (mode, expected) in [
        (Mode::FullRefreshOverwrite, 5),
        (Mode::FullRefreshAppend, 15),
    ] {
        let (database, store) = (Database::default(), MemoryStateStore::default());
        for count in [10, 5] {
            builder(
                CountingSource::new(["a"]),
                json!({"count": count}),
                &database,
            )
            .state_store(store.clone())
            .stream(with_mode("a", mode))
            .build()
            .unwrap()
            .run()
            .await
            .unwrap();
        }
        assert_eq!(database.ids("a").len(), expected, "{mode}");
    }
}

#[tokio::test]
async fn a_refresh_reads_all_again_and_replaces_once() {
    let (database, store) = (Database::default(), MemoryStateStore::default());
    let run = async |selection: StreamSelection| {
        let source = CountingSource::new(["a"]);
        let sync = builder(source, json!({"count": 10}), &database).state_store(store.clone());
        sync.stream(selection)
            .build()
            .unwrap()
            .run()
            .await
            .unwrap()
            .streams[0]
            .records_read
    };
    let incremental = with_mode("a", Mode::IncrementalAppend);
    assert_eq!(run(incremental.clone()).await, 10);
    assert_eq!(run(incremental.clone().refreshed()).await, 10);
    assert_eq!(run(incremental).await, 0);
    assert_eq!(database.ids("a").len(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_transient_failure_is_retried_from_the_last_state() {
    for mode in [
        Mode::IncrementalAppend,
        Mode::IncrementalDeduped,
        Mode::FullRefreshOverwrite,
    ] {
        let database = Database::default();
        let trouble = Trouble::fail_at(17, 2, || ConnectorError::transient("connection reset"));
        let events = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&events);
        let report = builder(
            CountingSource::new(["b"]).with("a", trouble),
            json!({"count": 30}),
            &database,
        )
        .stream(with_mode("a", mode))
        .stream(with_mode("b", mode))
        .on_event(move |event| seen.lock().unwrap().push(event))
        .build()
        .unwrap()
        .run()
        .await
        .unwrap();
        assert_eq!(report.attempts, 3);
        assert_eq!(database.ids("a"), (0..30).collect::<Vec<_>>(), "{mode}");
        assert_eq!(database.ids("b"), (0..30).collect::<Vec<_>>(), "{mode}");
        // The stream that was complete is not read again, the other goes on where its state stands.
        let read: Vec<_> = report
            .streams
            .iter()
            .map(|stream| stream.records_read)
            .collect();
        assert_eq!(read, [30, 30], "{mode}");
        let retries = events
            .lock()
            .unwrap()
            .iter()
            .filter(|event| matches!(event, SyncEvent::Retrying { .. }))
            .count();
        assert_eq!(retries, 2);
    }
}

#[tokio::test]
async fn a_config_error_is_not_retried_and_does_not_stop_the_other_stream() {
    let database = Database::default();
    let trouble = Trouble::fail_at(5, 99, || ConnectorError::config("No right to read this."));
    let failed = builder(
        CountingSource::new(["b"]).with("a", trouble),
        json!({}),
        &database,
    )
    .stream(with_mode("a", Mode::FullRefreshOverwrite))
    .stream(with_mode("b", Mode::FullRefreshOverwrite))
    .build()
    .unwrap()
    .run()
    .await
    .unwrap_err();
    assert_eq!(failed.error.message(), "No right to read this.");
    assert_eq!(failed.error.stream(), Some(&StreamDescriptor::new("a")));
    let report = failed.report.unwrap();
    assert_eq!((report.status, report.attempts), (SyncStatus::Failed, 1));
    let complete: Vec<_> = report
        .streams
        .iter()
        .map(|stream| stream.is_complete)
        .collect();
    assert_eq!(complete, [false, true]);
    assert_eq!(database.ids("b").len(), 10);
    assert_eq!(
        database.ids("a"),
        Vec::<u64>::new(),
        "an overwrite shows nothing before it is complete"
    );
}

#[tokio::test]
async fn a_failed_overwrite_leaves_the_old_data_in_place() {
    let (database, store) = (Database::default(), MemoryStateStore::default());
    let run = async |trouble: Trouble, count: u64| {
        let source = CountingSource::new([]).with("a", trouble);
        let sync = builder(source, json!({"count": count}), &database).state_store(store.clone());
        sync.stream(with_mode("a", Mode::FullRefreshOverwrite))
            .build()
            .unwrap()
            .run()
            .await
    };
    run(Trouble::None, 10).await.unwrap();
    let trouble = Trouble::fail_at(15, 1, || ConnectorError::system("broken"));
    run(trouble, 20).await.unwrap_err();
    assert_eq!(database.ids("a"), (0..10).collect::<Vec<_>>());
    run(Trouble::None, 20).await.unwrap();
    assert_eq!(database.ids("a"), (0..20).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_crashing_stream_is_a_system_error_that_names_it() {
    let database = Database::default();
    let source = CountingSource::new(["b"]).with("a", Trouble::PanicAt(3));
    let failed = builder(source, json!({}), &database)
        .build()
        .unwrap()
        .run()
        .await
        .unwrap_err();
    assert!(
        failed
            .error
            .message()
            .contains("crashed while reading stream a"),
        "{}",
        failed.error
    );
    assert_eq!(database.ids("b").len(), 10);
}

#[tokio::test]
async fn names_are_mapped_at_the_destination_and_back_in_the_state() {
    let (database, store) = (Database::default(), MemoryStateStore::default());
    for expected in [10, 0] {
        let report = builder(CountingSource::new(["a"]), json!({}), &database)
            .connection("named")
            .state_store(store.clone())
            .stream(with_mode("a", Mode::IncrementalAppend))
            .namespace(Namespace::Custom(
                "production_${SOURCE_NAMESPACE}".to_owned(),
            ))
            .prefix("raw_")
            .build()
            .unwrap()
            .run()
            .await
            .unwrap();
        assert_eq!(report.streams[0].records_read, expected);
    }
    assert_eq!(database.ids("production_.raw_a").len(), 10);
    let saved = store.load("named").await.unwrap().unwrap();
    assert!(
        saved
            .input_state()
            .stream(&StreamDescriptor::new("a"))
            .is_some()
    );
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_sync_saves_its_state_and_the_next_one_goes_on() {
    let (database, store) = (Database::default(), MemoryStateStore::default());
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    let failed = builder(
        CountingSource::new([]).with("a", Trouble::HangAt(17)),
        json!({"count": 30}),
        &database,
    )
    .state_store(store.clone())
    .stream(with_mode("a", Mode::IncrementalAppend))
    .stop(stop)
    .on_event(move |event| {
        if matches!(event, SyncEvent::Progress { records: 17, .. }) {
            stopping.cancel();
        }
    })
    .build()
    .unwrap()
    .run()
    .await
    .unwrap_err();
    assert!(failed.error.is_stop(), "{}", failed.error);
    assert_eq!(failed.report.unwrap().status, SyncStatus::Cancelled);
    let report = builder(CountingSource::new(["a"]), json!({"count": 30}), &database)
        .state_store(store)
        .stream(with_mode("a", Mode::IncrementalAppend))
        .build()
        .unwrap()
        .run()
        .await
        .unwrap();
    assert_eq!(database.ids("a"), (0..30).collect::<Vec<_>>());
    assert_eq!(report.streams[0].records_read, 13);
}

#[tokio::test]
async fn two_syncs_of_one_connection_do_not_run_at_once() {
    let (database, store) = (Database::default(), MemoryStateStore::default());
    let _other = store.acquire("default").await.unwrap();
    let sync = builder(CountingSource::new(["a"]), json!({}), &database).state_store(store.clone());
    let failed = sync.build().unwrap().run().await.unwrap_err();
    assert!(
        failed.error.message().contains("Another sync"),
        "{}",
        failed.error
    );
    assert!(failed.report.is_none());
}

#[tokio::test]
async fn what_is_missing_or_impossible_is_said_before_anything_moves() {
    let database = Database::default();
    let error = Sync::builder()
        .source(CountingSource::new(["a"]), json!({}))
        .build()
        .unwrap_err();
    assert_eq!(error.message(), "A sync needs a destination.");
    let sync = |config, selection| {
        let sync = builder(CountingSource::new(["a"]), config, &database).stream(selection);
        async {
            sync.build()
                .unwrap()
                .run()
                .await
                .unwrap_err()
                .error
                .message()
                .to_owned()
        }
    };
    let text = sync(json!({}), StreamSelection::new("zzz")).await;
    assert!(text.contains("has no stream zzz. It has: a."), "{text}");
    let text = sync(json!({"count": "x"}), StreamSelection::new("a")).await;
    assert!(text.contains("`count`"), "{text}");
    let deduped = with_mode("a", Mode::FullRefreshOverwriteDeduped);
    let text = sync(json!({}), deduped).await;
    assert!(text.contains("has no mode overwrite_dedup"), "{text}");
    assert!(database.0.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_overwrite_without_its_state_replaces_what_another_connection_left() {
    let database = Database::default();
    for (at, count) in [(1_000, 10), (2_000, 5)] {
        // Each with a store of its own, as after a lost state.
        builder(
            CountingSource::new(["a"]),
            json!({"count": count}),
            &database,
        )
        .clock(FixedClock::new(at))
        .stream(with_mode("a", Mode::FullRefreshOverwrite))
        .build()
        .unwrap()
        .run()
        .await
        .unwrap();
    }
    assert_eq!(database.ids("a"), (0..5).collect::<Vec<_>>());
}
