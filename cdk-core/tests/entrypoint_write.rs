//! `write`: states come back only when their records are durable, and nothing destructive happens by chance.

use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use airbyte_protocol::{ConfiguredAirbyteCatalog, DestinationSyncMode, SyncMode};
use cdk_core::entrypoint::Exit;
use cdk_core::{
    Capabilities, CommitStats, ConnectorError, Context, Destination, RecordBatch, Result,
    StreamEnd, StreamLoader,
};
use serde_json::{Value, json};

use crate::support::counting::catalog;
use crate::support::lines::{record, state, status, write, write_with};
use crate::support::run::{Captured, Ran};
use crate::support::stdout::Tripwire;
use crate::support::tables::{Action, Database, Fault, Loader, NoConfig, Script, Tables};

fn append(names: impl IntoIterator<Item = &'static str>) -> ConfiguredAirbyteCatalog {
    catalog(names, SyncMode::Incremental)
}

/// A refresh of stream `a` in generation 2.
fn overwrite() -> ConfiguredAirbyteCatalog {
    let mut wanted = append(["a"]);
    wanted.streams[0].destination_sync_mode = DestinationSyncMode::Overwrite;
    wanted.streams[0].generation_id = Some(2);
    wanted.streams[0].minimum_generation_id = Some(2);
    wanted
}

fn join(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// Records 0 to `rows` of a stream with a state behind each.
fn rows_and_states(stream: &str, rows: u64) -> Vec<String> {
    let pairs = (0..rows).flat_map(|id| [record(stream, id), state(stream, id + 1)]);
    pairs.collect()
}

/// Stream and position of every state that came back.
fn echoes(ran: &Ran) -> Vec<(String, u64)> {
    let echo = |state: &airbyte_protocol::AirbyteStateMessage| {
        let stream = state.stream.clone().unwrap();
        let state: Value = stream.stream_state.unwrap().parse_as().unwrap();
        (
            stream.stream_descriptor.name,
            state["next"].as_u64().unwrap(),
        )
    };
    ran.states().into_iter().map(echo).collect()
}

fn of(echoes: &[(String, u64)], stream: &str) -> Vec<u64> {
    let own = echoes.iter().filter(|(name, _)| name == stream);
    own.map(|(_, next)| *next).collect()
}

/// A stdout that looks into the database whenever a state passes.
struct Watch {
    inner: Captured,
    line: Vec<u8>,
    database: Database,
    violations: Arc<Mutex<Vec<String>>>,
}

impl Watch {
    fn line(&self) -> Option<String> {
        let message: Value = serde_json::from_slice(&self.line).unwrap();
        let stream = &message.get("state")?["stream"];
        let name = stream["stream_descriptor"]["name"].as_str().unwrap();
        let next = stream["stream_state"]["next"].as_u64().unwrap();
        let durable = self.database.durable_ids(name);
        let is_good = (0..next).all(|id| durable.contains(&id));
        (!is_good).then(|| format!("state {next} of {name} over {durable:?}"))
    }
}

impl Write for Watch {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for byte in bytes {
            if *byte == b'\n' {
                let violation = self.line();
                self.violations.lock().unwrap().extend(violation);
                self.line.clear();
            } else {
                self.line.push(*byte);
            }
        }
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn states_come_back_in_order_and_only_after_a_commit() {
    let slow = |at| Fault {
        operation: "commit",
        at,
        action: Action::Slow(Duration::from_secs(1)),
    };
    for commit_bytes in [0, 20, 1 << 30] {
        let database = Database::default();
        let tables = Tables {
            database: database.clone(),
            script: Script::new(vec![slow(1), slow(4), slow(9)]),
            commit_bytes,
        };
        let (a, b) = (rows_and_states("a", 30), rows_and_states("b", 30));
        let mixed: Vec<_> = a
            .chunks(4)
            .zip(b.chunks(4))
            .flat_map(|(a, b)| [a, b].concat())
            .collect();
        let violations = Arc::new(Mutex::new(Vec::new()));
        let stdout = Captured::default();
        let watch = Watch {
            inner: stdout.clone(),
            line: Vec::new(),
            database: database.clone(),
            violations: Arc::clone(&violations),
        };
        let wanted = serde_json::to_value(append(["a", "b"])).unwrap();
        let ran = write_with(tables, &wanted, |call| {
            call.stdin = Box::new(io::Cursor::new(join(&mixed)));
            call.stdout = Box::new(watch);
        })
        .await;
        assert_eq!(ran.exit, Exit::Success);
        assert_eq!(*violations.lock().unwrap(), Vec::<String>::new());
        let ran = Ran::of(ran.exit, stdout.text());
        let echoes = echoes(&ran);
        for stream in ["a", "b"] {
            assert_eq!(of(&echoes, stream), (1..=30).collect::<Vec<_>>());
            assert_eq!(database.ids(stream), (0..30).collect::<Vec<_>>());
        }
        let counts = ran.states().into_iter().map(|state| {
            let stats = state.destination_stats.as_ref().unwrap();
            stats.record_count.unwrap()
        });
        assert!(counts.into_iter().all(|count| count == 1.0), "{}", ran.text);
    }
}

#[tokio::test]
async fn states_come_back_as_they_came() {
    let states = [
        r#"{"type":"STATE","state":{"type":"STREAM","id":7,"partition_id":"aB3x","stream":{"stream_descriptor":{"name":"a"},"stream_state":{"big":1234567890123456789012345,"x":[1.0,null]},"shard":1},"sourceStats":{"recordCount":1.0}}}"#,
        r#"{"type":"STATE","state":{"type":"STREAM","stream":{"stream_descriptor":{"name":"a","namespace":null}}}}"#,
        r#"{"type":"STATE","state":{"type":"GLOBAL","id":8,"global":{"shared_state":{"lsn":12345678901234567890123},"stream_states":[{"stream_descriptor":{"name":"a"},"stream_state":{"n":1}}]}}}"#,
        r#"{"type":"STATE","state":{"type":"LEGACY","data":{"a":{"cursor":"2020"}}}}"#,
        r#"{"type":"STATE","state":{"data":{"a":1}}}"#,
    ];
    let mut lines = vec![record("a", 0)];
    lines.extend(states.map(str::to_owned));
    let ran = write(Tables::default(), &append(["a"]), join(&lines)).await;
    assert_eq!(ran.exit, Exit::Success, "{}", ran.text);
    let echoed: Vec<_> = ran.text.lines().collect();
    assert_eq!(echoed.len(), states.len(), "{}", ran.text);
    for (sent, echoed) in states.iter().zip(echoed) {
        let mut without: Value = serde_json::from_str(echoed).unwrap();
        let stats = without["state"]
            .as_object_mut()
            .unwrap()
            .remove("destinationStats");
        assert!(stats.unwrap()["recordCount"].is_f64(), "{echoed}");
        let mut sent: Value = serde_json::from_str(sent).unwrap();
        // Null and absent are the same in the protocol.
        let descriptor = sent.pointer_mut("/state/stream/stream_descriptor");
        if let Some(Value::Object(descriptor)) = descriptor {
            descriptor.remove("namespace");
        }
        assert_eq!(without, sent);
    }
    assert!(
        ran.text
            .contains(r#"{"big":1234567890123456789012345,"x":[1.0,null]}"#)
    );
    assert!(ran.text.contains(r#"{"lsn":12345678901234567890123}"#));
}

#[tokio::test]
async fn an_overwrite_without_complete_fails_and_keeps_the_old_data() {
    for ending in [vec![], vec![status("a", "INCOMPLETE")]] {
        let tables = Tables::default();
        write(tables.clone(), &append(["a"]), join(&[record("a", 99)])).await;
        let mut lines = rows_and_states("a", 2);
        lines.extend(ending);
        let ran = write(tables.clone(), &overwrite(), join(&lines)).await;
        assert_eq!(ran.exit, Exit::Failure);
        let errors = ran.errors();
        assert_eq!(errors.len(), 1, "{}", ran.text);
        assert_eq!(errors[0].0, "transient_error");
        assert!(errors[0].1.contains("COMPLETE for a"), "{}", errors[0].1);
        assert_eq!(tables.database.ids("a"), [99]);
        // What was staged is durable, so its states came back and the next run may go on.
        assert_eq!(of(&echoes(&ran), "a"), [1, 2]);
        let rest = [record("a", 2), state("a", 3), status("a", "COMPLETE")];
        let ran = write(tables.clone(), &overwrite(), join(&rest)).await;
        assert_eq!(ran.exit, Exit::Success, "{}", ran.text);
        assert_eq!(tables.database.ids("a"), [0, 1, 2]);
    }
}

#[tokio::test]
async fn an_append_needs_no_complete() {
    for ending in [vec![], vec![status("a", "INCOMPLETE")]] {
        let tables = Tables::default();
        let mut lines = rows_and_states("a", 3);
        lines.extend(ending);
        let ran = write(tables.clone(), &append(["a"]), join(&lines)).await;
        assert_eq!(ran.exit, Exit::Success, "{}", ran.text);
        assert_eq!(tables.database.ids("a"), [0, 1, 2]);
    }
}

#[tokio::test]
async fn a_record_of_an_unknown_stream_is_a_config_error_after_what_came_before() {
    let tables = Tables::default();
    let mut lines = rows_and_states("a", 2);
    lines.extend([record("stranger", 0), state("stranger", 1)]);
    let ran = write(tables.clone(), &append(["a"]), join(&lines)).await;
    assert_eq!(ran.exit, Exit::Failure);
    let (kind, message) = &ran.errors()[0];
    assert_eq!(kind, "config_error");
    assert!(message.contains("stream stranger"), "{message}");
    assert_eq!(tables.database.ids("a"), [0, 1]);
    assert_eq!(of(&echoes(&ran), "a"), [1, 2]);
}

#[tokio::test]
async fn an_impossible_catalog_is_refused_before_anything_is_touched() {
    type Change = fn(&mut ConfiguredAirbyteCatalog);
    let cases: [(Change, &str); 5] = [
        (
            |wanted| {
                wanted.streams[0].destination_sync_mode = DestinationSyncMode::AppendDedup;
                wanted.streams[0].stream.source_defined_primary_key = None;
            },
            "needs a primary key",
        ),
        (
            |wanted| wanted.streams[0].destination_sync_mode = DestinationSyncMode::SoftDelete,
            "no mode soft_delete; choose one of append, append_dedup, overwrite",
        ),
        (
            |wanted| {
                wanted.streams[0].generation_id = Some(5);
                wanted.streams[0].minimum_generation_id = Some(3);
            },
            "only 0 or the `generation_id` (5)",
        ),
        (
            |wanted| wanted.streams[0].minimum_generation_id = Some(3),
            "without `generation_id`",
        ),
        (
            |wanted| wanted.streams.push(wanted.streams[0].clone()),
            "twice",
        ),
    ];
    for (change, expected) in cases {
        let tables = Tables::default();
        let mut wanted = append(["a"]);
        change(&mut wanted);
        let ran = write(tables.clone(), &wanted, join(&rows_and_states("a", 1))).await;
        assert_eq!(ran.exit, Exit::Failure);
        let (kind, message) = &ran.errors()[0];
        assert_eq!(kind, "config_error");
        assert!(
            message.contains("Stream a") && message.contains(expected),
            "{message}"
        );
        assert!(tables.database.0.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_broken_line_is_an_error_with_its_number_after_what_came_before() {
    let broken = [
        r#"{"type":"RECORD","record":{"stream":"a","data":{"id":2},"emitted_at":1}"#,
        r#"{"type":"RECORD","record":{"stream":"a","emitted_at":1}}"#,
        r#"{"type":"STATE","state":{"type":"STREAM","stream":17}}"#,
        r#"{"type":"RECORD","record":{"stream":"a","data":{"id":"#,
    ];
    for (at, line) in broken.iter().enumerate() {
        let tables = Tables::default();
        let mut lines = rows_and_states("a", 2);
        lines.extend([record("a", 2), (*line).to_owned()]);
        let is_last = at == 3;
        let stdin = match is_last {
            // A source that died in the middle of a line.
            true => join(&lines).trim_end().to_owned(),
            false => {
                lines.push(record("a", 3));
                join(&lines)
            }
        };
        let ran = write(tables.clone(), &append(["a"]), stdin).await;
        assert_eq!(ran.exit, Exit::Failure, "{line}");
        let (kind, message) = &ran.errors()[0];
        assert_eq!(kind, "system_error");
        assert!(message.contains("Line 6 from stdin"), "{line}: {message}");
        assert_eq!(of(&echoes(&ran), "a"), [1, 2], "{line}");
        assert_eq!(tables.database.ids("a"), [0, 1, 2], "{line}");
    }
}

#[tokio::test]
async fn lines_that_are_no_messages_are_logged_or_skipped() {
    let tables = Tables::default();
    let pyairbyte = r#"{"type":"RECORD","log":null,"spec":null,"connectionStatus":null,"catalog":null,"record":{"namespace":null,"stream":"a","data":{"id":1},"emitted_at":1,"meta":null},"state":null,"trace":null,"control":null}"#;
    let stdin = [
        "\u{feff}".to_owned() + &record("a", 0) + "\r",
        String::new(),
        " \t\r".to_owned(),
        "Picked up JAVA_OPTS: -Xmx1g".to_owned(),
        r#"{"just":"json"}"#.to_owned(),
        pyairbyte.to_owned(),
        r#"{"type":"LOG","log":{"level":"WARN","message":"careful"}}"#.to_owned(),
        r#"{"type":"TRACE","trace":{"type":"FROM_THE_FUTURE","emitted_at":1}}"#.to_owned(),
        state("a", 2),
    ];
    let stdin = stdin.join("\n");
    let ran = write(tables.clone(), &append(["a"]), stdin).await;
    assert_eq!(ran.exit, Exit::Success, "{}", ran.text);
    assert_eq!(tables.database.ids("a"), [0, 1]);
    assert_eq!(of(&echoes(&ran), "a"), [2]);
    for log in [
        r#""level":"INFO","message":"Picked up JAVA_OPTS: -Xmx1g""#,
        r#""level":"WARN","message":"careful""#,
        r#"{\"just\":\"json\"}"#,
    ] {
        assert!(ran.text.contains(log), "{}", ran.text);
    }
}

#[tokio::test]
async fn a_catalog_with_explicit_nulls_is_read() {
    let wanted = json!({"streams": [{
        "stream": {"name": "a", "namespace": null, "json_schema": {}, "supported_sync_modes": ["full_refresh"],
            "source_defined_cursor": null, "default_cursor_field": null,
            "source_defined_primary_key": null, "is_resumable": null, "is_file_based": null},
        "sync_mode": "full_refresh", "destination_sync_mode": "append", "cursor_field": null,
        "primary_key": null, "generation_id": null, "minimum_generation_id": null, "sync_id": null,
        "destination_object_name": null, "include_files": null
    }]});
    let tables = Tables::default();
    let ran = write_with(tables.clone(), &wanted, |call| {
        call.stdin = Box::new(io::Cursor::new(record("a", 0)));
    })
    .await;
    assert_eq!(ran.exit, Exit::Success, "{}", ran.text);
    assert_eq!(tables.database.ids("a"), [0]);
}

/// Tables of which `bad` can't be loaded.
struct Picky(Tables, fn() -> Result<()>);

struct PickyLoader(Loader, Option<fn() -> Result<()>>);

impl Destination for Picky {
    type Config = NoConfig;
    type Loader = PickyLoader;

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    async fn check(&self, _: &NoConfig, _: &Context) -> Result<()> {
        Ok(())
    }

    async fn open(
        &self,
        config: &NoConfig,
        catalog: &ConfiguredAirbyteCatalog,
        context: &Context,
    ) -> Result<Vec<PickyLoader>> {
        let loaders = self.0.open(config, catalog, context).await?.into_iter();
        let loaders = loaders.zip(&catalog.streams).map(|(loader, stream)| {
            let is_bad = stream.stream.name == "bad";
            PickyLoader(loader, is_bad.then_some(self.1))
        });
        Ok(loaders.collect())
    }
}

impl StreamLoader for PickyLoader {
    async fn load(&mut self, batch: RecordBatch) -> Result<()> {
        self.1.map_or(Ok(()), |fail| fail())?;
        self.0.load(batch).await
    }

    async fn commit(&mut self) -> Result<CommitStats> {
        self.0.commit().await
    }

    async fn finish(self, end: StreamEnd) -> Result<()> {
        self.0.finish(end).await
    }
}

#[tokio::test]
async fn one_failing_loader_does_not_stop_the_other_streams() {
    type Fail = fn() -> Result<()>;
    let fails: [(Fail, &str, &str); 2] = [
        (
            || Err(ConnectorError::config("The disk is full.")),
            "config_error",
            "The disk is full.",
        ),
        (
            || panic!("index out of range"),
            "system_error",
            "crashed while loading stream bad",
        ),
    ];
    for (fail, kind, expected) in fails {
        let tables = Tables::default();
        let (bad, good) = (rows_and_states("bad", 5), rows_and_states("good", 5));
        let ran = write(
            Picky(tables.clone(), fail),
            &append(["bad", "good"]),
            join(&[bad, good].concat()),
        )
        .await;
        assert_eq!(ran.exit, Exit::Failure);
        let errors = ran.errors();
        // The stream's own, and the one that sums up.
        assert_eq!(errors.len(), 2, "{}", ran.text);
        assert!(
            errors
                .iter()
                .all(|(of, text)| of == kind && text.contains(expected)),
            "{errors:?}"
        );
        assert!(errors[1].1.contains("bad: "), "{errors:?}");
        assert_eq!(tables.database.ids("good"), [0, 1, 2, 3, 4]);
        let echoes = echoes(&ran);
        assert_eq!(of(&echoes, "good"), [1, 2, 3, 4, 5]);
        assert_eq!(of(&echoes, "bad"), Vec::<u64>::new());
    }
}

/// A stdin that stays open until its sender goes.
struct OpenStdin(mpsc::Receiver<Vec<u8>>);

impl Read for OpenStdin {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Ok(bytes) = self.0.recv() else {
            return Ok(0);
        };
        into[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }
}

#[tokio::test]
async fn a_stop_ends_a_write_whose_stdin_stays_open() {
    let tables = Tables::default();
    let (sender, receiver) = mpsc::channel();
    sender
        .send(join(&rows_and_states("a", 3)).into_bytes())
        .unwrap();
    let wanted = serde_json::to_value(append(["a"])).unwrap();
    let stdout = Captured::default();
    let kept = stdout.clone();
    let ran = write_with(tables.clone(), &wanted, move |call| {
        let stop = call.stop.clone();
        call.stdin = Box::new(OpenStdin(receiver));
        call.stdout = Box::new(Tripwire::new(kept, 1, move || stop.cancel()));
    })
    .await;
    drop(sender);
    assert_eq!(ran.exit, Exit::Stopped);
    let ran = Ran::of(ran.exit, stdout.text());
    let last = of(&echoes(&ran), "a").last().copied().unwrap();
    assert!((0..last).all(|id| tables.database.ids("a").contains(&id)));
    assert!(ran.errors().is_empty());
}
