//! A destination that rejects, fails after the write, hangs or is slow: nothing is lost, and state is
//! never ahead of the data.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cdk_core::Result;
use cdk_core::sync::{
    Lease, MemoryStateStore, Mode, SavedConnection, StateStore, StreamSelection, Sync,
};
use proptest::prelude::*;
use serde_json::json;

use crate::support::counting::CountingSource;
use crate::support::tables::{Action, Database, Fault, Script, Tables};

/// A state store that looks into the database whenever a state is saved.
#[derive(Clone)]
struct Suspicious {
    inner: MemoryStateStore,
    database: Database,
}

#[async_trait]
impl StateStore for Suspicious {
    async fn acquire(&self, connection: &str) -> Result<Lease> {
        self.inner.acquire(connection).await
    }

    async fn load(&self, connection: &str) -> Result<Option<SavedConnection>> {
        self.inner.load(connection).await
    }

    async fn save(&self, connection: &str, saved: &SavedConnection) -> Result<()> {
        for state in saved.state.iter().filter_map(|state| state.stream.as_ref()) {
            let Some(position) = &state.stream_state else {
                continue;
            };
            let next = position.parse_as::<serde_json::Value>().unwrap()["next"]
                .as_u64()
                .unwrap();
            let ids = self
                .database
                .durable_ids(&state.stream_descriptor.to_string());
            for id in 0..next {
                assert!(
                    ids.contains(&id),
                    "state says {next}, but row {id} is not durable"
                );
            }
        }
        self.inner.save(connection, saved).await
    }
}

/// Syncs until it succeeds; returns the ids at the destination, in order of arrival.
async fn sync_until_done(mode: Mode, faults: Vec<Fault>, concurrency: usize) -> Vec<u64> {
    let database = Database::default();
    let store = Suspicious {
        inner: MemoryStateStore::default(),
        database: database.clone(),
    };
    let destination = Tables {
        database: database.clone(),
        script: Script::new(faults),
        commit_bytes: 1,
    };
    let config = json!({"count": 60, "partition": 7, "concurrency": concurrency});
    for _ in 0..20 {
        let sync = Sync::builder()
            .source(CountingSource::new(["a"]), config.clone())
            .destination(destination.clone(), json!({}))
            .state_store(store.clone())
            .stream(StreamSelection::new("a").with_mode(mode))
            .build()
            .unwrap();
        let run = tokio::time::timeout(Duration::from_secs(300), sync.run());
        // A hanging destination hangs this run for good: like a kill, the next one goes on.
        if let Ok(Ok(_)) = run.await {
            return database.ids("a");
        }
    }
    panic!("the sync never succeeded");
}

fn fault() -> impl Strategy<Value = Fault> {
    let operation = prop_oneof![Just("open"), Just("load"), Just("commit"), Just("finish")];
    let action = prop_oneof![
        Just(Action::RejectBefore),
        Just(Action::FailAfter),
        Just(Action::Hang),
        Just(Action::Slow(Duration::from_secs(20))),
    ];
    (operation, 1..8u64, action).prop_map(|(operation, at, action)| Fault {
        operation,
        at,
        action,
    })
}

fn mode() -> impl Strategy<Value = Mode> {
    prop_oneof![
        Just(Mode::FullRefreshOverwrite),
        Just(Mode::FullRefreshAppend),
        Just(Mode::IncrementalAppend),
        Just(Mode::IncrementalDeduped),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever the destination does, a sync that is repeated until it succeeds brings every row, and
    /// brings it once in the modes that promise so.
    #[test]
    fn no_fault_loses_a_row_or_doubles_one_that_must_be_single(
        faults in proptest::collection::vec(fault(), 0..5),
        mode in mode(),
        concurrency in 1..5usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        let faults: Arc<[Fault]> = faults.into();
        let mut ids = runtime.block_on(sync_until_done(mode, faults.to_vec(), concurrency));
        ids.sort_unstable();
        if mode.is_overwrite() || mode.is_deduped() {
            prop_assert_eq!(ids, (0..60).collect::<Vec<_>>());
        } else {
            ids.dedup();
            prop_assert_eq!(ids, (0..60).collect::<Vec<_>>());
        }
    }
}
