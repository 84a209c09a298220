//! The byte budget bounds what is queued, and a stalled run says who waits for whom.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use airbyte_protocol::{
    AirbyteMessage, ConfiguredAirbyteCatalog, DestinationSyncMode, LogLevel, SyncMode,
};
use cdk_core::entrypoint::Exit;
use cdk_core::event;
use cdk_core::watchdog::Progress;
use cdk_core::{
    Capabilities, CommitStats, Context, Destination, DynDestination, DynSource, InputState,
    MemoryBudget, ReadArgs, RecordBatch, Result, StreamEnd, StreamLoader, WriteArgs,
};
use serde_json::json;

use crate::support::counting::{CountingSource, Trouble, catalog};
use crate::support::lines::{record, write_with};
use crate::support::run::{Ran, read_with};
use crate::support::scripted::Scripted;
use crate::support::tables::{Action, Fault, NoConfig, Script, Tables};

const MIB: usize = 1 << 20;

/// Counts what it is given, taking its time, and remembers how much was on its way at most.
#[derive(Clone, Default)]
struct Slow {
    /// Bytes that the source has given so far.
    given: Arc<AtomicUsize>,
    loaded: Arc<AtomicUsize>,
    most_on_the_way: Arc<AtomicUsize>,
    /// Of the budget, at most.
    most_used: Arc<AtomicUsize>,
    budget: Option<MemoryBudget>,
}

impl Destination for Slow {
    type Config = NoConfig;
    type Loader = Self;

    fn capabilities(&self) -> Capabilities {
        Capabilities::new([DestinationSyncMode::Append])
    }

    async fn check(&self, _: &NoConfig, _: &Context) -> Result<()> {
        Ok(())
    }

    async fn open(
        &self,
        _: &NoConfig,
        catalog: &ConfiguredAirbyteCatalog,
        _: &Context,
    ) -> Result<Vec<Self>> {
        Ok(vec![self.clone(); catalog.streams.len()])
    }
}

impl StreamLoader for Slow {
    async fn load(&mut self, batch: RecordBatch) -> Result<()> {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        let on_the_way = self.given.load(Ordering::SeqCst) - self.loaded.load(Ordering::SeqCst);
        self.most_on_the_way.fetch_max(on_the_way, Ordering::SeqCst);
        if let Some(budget) = &self.budget {
            self.most_used
                .fetch_max(budget.used_bytes(), Ordering::SeqCst);
        }
        self.loaded.fetch_add(batch.bytes(), Ordering::SeqCst);
        Ok(())
    }

    async fn commit(&mut self) -> Result<CommitStats> {
        Ok(CommitStats::default())
    }

    async fn finish(self, _: StreamEnd) -> Result<()> {
        Ok(())
    }
}

fn catalog_of(source: &Scripted) -> ConfiguredAirbyteCatalog {
    let mut wanted = catalog(["a"], SyncMode::FullRefresh);
    wanted.streams[0].stream = source.definition.clone();
    wanted
}

/// Moves everything from `source` to `destination` in one process, as an embedder does.
async fn move_all(source: &Scripted, destination: &Slow, budget: &MemoryBudget) {
    let wanted = catalog_of(source);
    let (records, taken) = event::channel(budget.clone(), Progress::default());
    let (given_back, _returned) = event::channel(budget.clone(), Progress::default());
    let (catalog, state) = (wanted.clone(), InputState::default());
    let config = json!({});
    let args = ReadArgs {
        config: config.clone(),
        catalog,
        state,
    };
    let reading = async {
        let context = Context::new(records);
        source.read_dyn(args, &context).await
    };
    let context = Context::new(given_back);
    let args = WriteArgs {
        config,
        catalog: wanted,
        settings: None,
    };
    let writing = destination.write_dyn(args, taken, &context);
    let (read, written) = tokio::join!(reading, writing);
    read.unwrap();
    assert!(written.unwrap().failures.is_empty());
}

#[tokio::test]
async fn a_slow_destination_never_has_more_than_the_budget_queued() {
    let budget = MemoryBudget::new(MIB);
    let slow = Slow {
        budget: Some(budget.clone()),
        ..Slow::default()
    };
    let given = Arc::clone(&slow.given);
    let total = 50 * MIB;
    let source = Scripted::new(move |_, sink| {
        let given = Arc::clone(&given);
        Box::pin(async move {
            let row = json!({"id": 1, "text": "x".repeat(10_000)}).to_string();
            for _ in 0..total / row.len() {
                given.fetch_add(row.len(), Ordering::SeqCst);
                sink.raw_record(&row).await?;
            }
            Ok(())
        })
    });
    move_all(&source, &slow, &budget).await;
    let loaded = slow.loaded.load(Ordering::SeqCst);
    assert_eq!(loaded, slow.given.load(Ordering::SeqCst));
    assert!(loaded > total - 20_000);
    let used = slow.most_used.load(Ordering::SeqCst);
    assert!(used > MIB / 4 && used <= MIB, "{used} bytes of the budget");
    // The batch being loaded counts too, and open batches may be half of the budget.
    let most = slow.most_on_the_way.load(Ordering::SeqCst);
    assert!(most <= MIB + MIB / 2 + 20_000, "{most} bytes on the way");
    assert_eq!(budget.used_bytes(), 0);
}

#[tokio::test]
async fn records_larger_than_the_whole_budget_pass_alone() {
    let budget = MemoryBudget::new(MIB);
    let slow = Slow::default();
    let given = Arc::clone(&slow.given);
    let source = Scripted::new(move |_, sink| {
        let given = Arc::clone(&given);
        Box::pin(async move {
            let row = json!({"text": "x".repeat(3 * MIB)}).to_string();
            for _ in 0..6 {
                given.fetch_add(row.len(), Ordering::SeqCst);
                sink.raw_record(&row).await?;
            }
            Ok(())
        })
    });
    move_all(&source, &slow, &budget).await;
    assert!(slow.loaded.load(Ordering::SeqCst) > 18 * MIB);
    // One is loaded, one waits for room.
    let most = slow.most_on_the_way.load(Ordering::SeqCst);
    assert!(most < 7 * MIB, "{most} bytes on the way");
}

/// Record lines of many streams in turn, made as they are read.
struct Lines {
    streams: Vec<&'static str>,
    left: usize,
    given: Arc<AtomicUsize>,
    line: Vec<u8>,
}

impl Read for Lines {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.line.is_empty() && self.left > 0 {
            self.left -= 1;
            let stream = self.streams[self.left % self.streams.len()];
            let data = json!({"text": "x".repeat(9000)});
            let line = record(stream, 1).replace(r#"{"id":1}"#, &data.to_string());
            self.given
                .fetch_add(data.to_string().len(), Ordering::SeqCst);
            self.line = (line + "\n").into_bytes();
        }
        let taken = self.line.len().min(into.len());
        into[..taken].copy_from_slice(&self.line[..taken]);
        self.line.drain(..taken);
        Ok(taken)
    }
}

#[tokio::test]
async fn open_batches_of_many_streams_on_stdin_stay_within_half_of_the_budget() {
    let names: Vec<&'static str> = (0..200)
        .map(|at| &*Box::leak(format!("s{at}").into_boxed_str()))
        .collect();
    let wanted = catalog(names.clone(), SyncMode::Incremental);
    let slow = Slow::default();
    let lines = Lines {
        streams: names,
        left: 3000,
        given: Arc::clone(&slow.given),
        line: Vec::new(),
    };
    let wanted = serde_json::to_value(wanted).unwrap();
    let ran = write_with(slow.clone(), &wanted, |call| {
        call.stdin = Box::new(lines);
        call.env = |name| (name == "CDK_MEMORY_BUDGET_BYTES").then(|| MIB.to_string());
    })
    .await;
    assert_eq!(ran.exit, Exit::Success, "{}", ran.text);
    assert_eq!(
        slow.loaded.load(Ordering::SeqCst),
        slow.given.load(Ordering::SeqCst)
    );
    let most = slow.most_on_the_way.load(Ordering::SeqCst);
    assert!(most < 2 * MIB, "{most} bytes on the way");
}

fn stalls(ran: &Ran) -> Vec<&str> {
    let warnings = ran.messages.iter().filter_map(|message| match message {
        AirbyteMessage::Log(log) if log.level == LogLevel::Warn => Some(log.message.as_str()),
        _ => None,
    });
    warnings.collect()
}

#[tokio::test(start_paused = true)]
async fn a_stalled_source_is_named_with_the_time_it_stands_still() {
    let source = CountingSource::new(["a"]).with("a", Trouble::HangAt(3));
    let wanted = catalog(["a"], SyncMode::Incremental);
    let ran = read_with(source, json!({}), &wanted, None, |call| {
        let stop = call.stop.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(250)).await;
            stop.cancel();
        });
    })
    .await;
    assert_eq!(ran.exit, Exit::Stopped);
    let expected = [
        "Nothing moved for 60 s: stream a waits for the source to yield records (120 s)",
        "Nothing moved for 120 s: stream a waits for the source to yield records (180 s)",
        "Nothing moved for 180 s: stream a waits for the source to yield records (240 s)",
    ];
    assert_eq!(stalls(&ran), expected);
}

#[tokio::test(start_paused = true)]
async fn a_stalled_destination_is_named_and_left_behind_by_a_stop() {
    let hang = Fault {
        operation: "load",
        at: 1,
        action: Action::Hang,
    };
    let tables = Tables {
        script: Script::new(vec![hang]),
        ..Tables::default()
    };
    let wanted = serde_json::to_value(catalog(["a"], SyncMode::Incremental)).unwrap();
    let started = tokio::time::Instant::now();
    let ran = write_with(tables.clone(), &wanted, |call| {
        call.stdin = Box::new(io::Cursor::new(record("a", 0)));
        let stop = call.stop.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(190)).await;
            stop.cancel();
        });
    })
    .await;
    assert_eq!(ran.exit, Exit::Stopped, "{}", ran.text);
    assert!(started.elapsed() < Duration::from_secs(200));
    let warnings = stalls(&ran);
    assert!(
        warnings.contains(
            &"Nothing moved for 120 s: stream a waits for the destination to take a batch (180 s)"
        ),
        "{warnings:?}"
    );
    assert!(ran.errors().is_empty() && tables.database.ids("a").is_empty());
}
