//! The promise, under random streams, partitions, rhythms and failures: a state that the destination
//! gives back covers only records that are durable, and states of a stream never go back.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use airbyte_protocol::{AirbyteMessage, ConfiguredAirbyteCatalog, SyncMode};
use cdk_core::event::{self, Event, EventReceiver};
use cdk_core::watchdog::Progress;
use cdk_core::{
    BoxedStream, ConnectorError, Context, DynDestination, DynSource, InputState, MemoryBudget,
    Partitions, ReadArgs, ReadSettings, RecordSink, Result, Source, Stream, StreamRequest,
    WriteArgs,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::counting::{Config, catalog, stream};
use crate::support::tables::{Action, Database, Fault, Script, Tables};

const NAMES: [&str; 3] = ["a", "b", "c"];

#[derive(Debug, Clone)]
struct Plan {
    streams: Vec<StreamPlan>,
    concurrency: usize,
    checkpoint_rows: u64,
    batch_bytes: usize,
    commit_bytes: u64,
    faults: Vec<Fault>,
}

#[derive(Debug, Clone)]
struct StreamPlan {
    name: &'static str,
    /// Rows of each partition.
    rows: Vec<u64>,
    /// Milliseconds before a row, used in turn.
    delays: Vec<u64>,
    /// Rows between checkpoints.
    every: u64,
    /// The id before which it goes wrong, and whether by a panic.
    fails: Option<(u64, bool)>,
    /// One state that holds the position of every partition, instead of one position for all.
    is_self_contained: bool,
}

impl StreamPlan {
    fn total(&self) -> u64 {
        self.rows.iter().sum()
    }

    /// The id of each partition's first row.
    fn starts(&self) -> Vec<u64> {
        let sums = self.rows.iter().scan(0, |sum, rows| {
            *sum += rows;
            Some(*sum - rows)
        });
        sums.collect()
    }

    /// The ids that a state covers.
    fn covered(&self, state: &Value) -> Vec<u64> {
        if let Some(next) = state["next"].as_u64() {
            return (0..next).collect();
        }
        let done = state["done"].as_array().into_iter().flatten();
        let parts = done.zip(self.starts());
        parts
            .flat_map(|(done, start)| start..start + done.as_u64().unwrap())
            .collect()
    }
}

struct Planned(Plan);

struct PlannedStream {
    plan: StreamPlan,
    done: Mutex<Vec<u64>>,
}

impl Source for Planned {
    type Config = Config;

    async fn check(&self, _: &Config, _: &Context) -> Result<()> {
        Ok(())
    }

    async fn streams(&self, _: &Config, _: &Context) -> Result<Vec<BoxedStream>> {
        let streams = self.0.streams.iter().map(|plan| {
            let done = Mutex::new(vec![0; plan.rows.len()]);
            let plan = plan.clone();
            PlannedStream { plan, done }.boxed()
        });
        Ok(streams.collect())
    }

    fn read_settings(&self, _: &Config) -> ReadSettings {
        let mut settings = ReadSettings::default()
            .with_concurrency(self.0.concurrency)
            .with_checkpoint_rows(self.0.checkpoint_rows);
        settings.batch_bytes = self.0.batch_bytes;
        settings.batch_age = Duration::from_millis(20);
        settings
    }
}

impl Stream for PlannedStream {
    type Partition = usize;

    fn definition(&self) -> airbyte_protocol::AirbyteStream {
        stream(self.plan.name)
    }

    async fn partitions(&self, _: &StreamRequest) -> Result<Partitions<usize>> {
        let partitions = Partitions::list((0..self.plan.rows.len()).collect());
        Ok(match self.plan.is_self_contained {
            true => partitions.with_self_contained_states(),
            false => partitions,
        })
    }

    async fn read(&self, at: usize, _: &StreamRequest, sink: &mut RecordSink) -> Result<()> {
        let start = self.plan.starts()[at];
        for row in 0..self.plan.rows[at] {
            let id = start + row;
            let delay = self.plan.delays[(id as usize) % self.plan.delays.len()];
            if delay > 0 {
                tokio::time::sleep(Duration::from_millis(delay)).await;
            }
            match self.plan.fails {
                Some((fails, true)) if fails == id => panic!("planned"),
                Some((fails, false)) if fails == id => {
                    return Err(ConnectorError::transient("planned"));
                }
                _ => {}
            }
            sink.record(&json!({"id": id})).await?;
            self.done.lock().unwrap()[at] = row + 1;
            if (row + 1) % self.plan.every == 0 || row + 1 == self.plan.rows[at] {
                match self.plan.is_self_contained {
                    true => {
                        let snapshot = || json!({"done": *self.done.lock().unwrap()});
                        sink.checkpoint_with(snapshot).await?
                    }
                    false => sink.checkpoint(&json!({"next": id + 1})).await?,
                }
            }
        }
        Ok(())
    }
}

fn stream_plan(name: &'static str) -> impl Strategy<Value = StreamPlan> {
    let rows = prop::collection::vec(0..12_u64, 0..8);
    let delays = prop::collection::vec(0..30_u64, 1..6);
    let fails = prop::option::weighted(0.3, (0..40_u64, any::<bool>()));
    (rows, delays, 1..6_u64, fails, any::<bool>()).prop_map(
        move |(rows, delays, every, fails, is_self_contained)| StreamPlan {
            name,
            rows,
            delays,
            every,
            fails,
            is_self_contained,
        },
    )
}

fn fault() -> impl Strategy<Value = Fault> {
    let actions = prop_oneof![
        3 => (1..200_u64).prop_map(|ms| Action::Slow(Duration::from_millis(ms))),
        1 => Just(Action::RejectBefore),
        1 => Just(Action::FailAfter),
    ];
    (
        prop_oneof![Just("load"), Just("commit")],
        1..12_u64,
        actions,
    )
        .prop_map(|(operation, at, action)| Fault {
            operation,
            at,
            action,
        })
}

fn plan() -> impl Strategy<Value = Plan> {
    let streams = NAMES.map(stream_plan);
    (
        streams,
        1..5_usize,
        1..15_u64,
        1..200_usize,
        0..300_u64,
        prop::collection::vec(fault(), 0..5),
    )
        .prop_map(
            |(streams, concurrency, checkpoint_rows, batch_bytes, commit_bytes, faults)| Plan {
                streams: streams.into(),
                concurrency,
                checkpoint_rows,
                batch_bytes,
                commit_bytes,
                faults,
            },
        )
}

/// Looks at the database whenever a state comes back.
async fn check(
    plan: Plan,
    mut returned: EventReceiver,
    database: Database,
) -> BTreeMap<String, Vec<u64>> {
    let mut newest: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    while let Some(event) = returned.recv().await {
        let Event::Message(message) = event else {
            continue;
        };
        let AirbyteMessage::State(state) = *message else {
            continue;
        };
        let stream = state.stream.unwrap();
        let name = stream.stream_descriptor.name;
        let state: Value = stream.stream_state.unwrap().parse_as().unwrap();
        let of = plan.streams.iter().find(|plan| plan.name == name).unwrap();
        let (covered, durable) = (of.covered(&state), database.durable_ids(&name));
        let ahead: Vec<_> = covered.iter().filter(|id| !durable.contains(id)).collect();
        assert!(
            ahead.is_empty(),
            "{state} of {name} came back before {ahead:?} were durable"
        );
        let before = newest
            .insert(name.clone(), covered.clone())
            .unwrap_or_default();
        assert!(
            before.iter().all(|id| covered.contains(id)),
            "{name} went back to {state}"
        );
    }
    newest
}

async fn run(plan: Plan) {
    let database = Database::default();
    let destination = Tables {
        database: database.clone(),
        script: Script::new(plan.faults.clone()),
        commit_bytes: plan.commit_bytes,
    };
    let channel = || event::channel(MemoryBudget::default(), Progress::default());
    let (records, taken) = channel();
    let (given_back, returned) = channel();
    let wanted: ConfiguredAirbyteCatalog = catalog(NAMES, SyncMode::Incremental);
    let reading = async {
        let context = Context::new(records);
        let args = ReadArgs {
            config: json!({}),
            catalog: wanted.clone(),
            state: InputState::default(),
        };
        Planned(plan.clone()).read_dyn(args, &context).await
    };
    let writing = async {
        let context = Context::new(given_back);
        let args = WriteArgs {
            config: json!({}),
            catalog: wanted.clone(),
            settings: None,
        };
        destination.write_dyn(args, taken, &context).await
    };
    let checking = tokio::spawn(check(plan.clone(), returned, database.clone()));
    let (read, written) = tokio::join!(reading, writing);
    let newest = checking.await.unwrap();

    let is_sound = |fault: &Fault| matches!(fault.action, Action::Slow(_));
    if !plan.faults.iter().all(is_sound) {
        return;
    }
    assert!(written.unwrap().failures.is_empty());
    let fails = |of: &StreamPlan| of.fails.is_some_and(|(id, _)| id < of.total());
    assert_eq!(read.is_err(), plan.streams.iter().any(fails));
    for of in plan.streams.iter().filter(|of| !fails(of)) {
        let mut durable = database.durable_ids(of.name);
        durable.sort_unstable();
        assert_eq!(durable, (0..of.total()).collect::<Vec<_>>());
        assert_eq!(newest[of.name].len() as u64, of.total(), "{newest:?}");
    }
}

/// Time is virtual and everything runs on one thread, so that a case fails again when it is run again.
fn run_paused(plan: Plan) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(run(plan));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn states_that_come_back_cover_only_durable_records(plan in plan()) {
        run_paused(plan);
    }
}

/// A partition that crashes must not take rows along that another partition's state covers.
#[test]
fn a_self_contained_state_waits_for_the_rows_of_all_partitions() {
    let quick = |fails| StreamPlan {
        name: "a",
        rows: vec![1, 12],
        delays: vec![0, 0, 10],
        every: 1,
        fails,
        is_self_contained: true,
    };
    let idle = |name| StreamPlan {
        name,
        rows: vec![],
        ..quick(None)
    };
    for fails in [None, Some((5, false)), Some((5, true))] {
        run_paused(Plan {
            streams: vec![quick(fails), idle("b"), idle("c")],
            concurrency: 2,
            checkpoint_rows: 1,
            batch_bytes: 1 << 20,
            commit_bytes: 0,
            faults: vec![],
        });
    }
}

#[test]
fn states_of_partitions_on_many_threads_are_never_ahead() {
    for round in 0..20 {
        let of = |name, is_self_contained| StreamPlan {
            name,
            rows: vec![50 + round, 3, 0, 70, 1, 20, 90],
            delays: vec![0],
            every: 1 + round % 4,
            fails: (round % 5 == 4).then_some((150, false)),
            is_self_contained,
        };
        let plan = Plan {
            streams: vec![of("a", true), of("b", false), of("c", true)],
            concurrency: 6,
            checkpoint_rows: 7,
            batch_bytes: 100,
            commit_bytes: 200,
            faults: vec![],
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(3)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async { tokio::spawn(run(plan)).await.unwrap() });
    }
}
