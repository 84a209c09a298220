//! Streams that share one position: one reader, GLOBAL states, beside an ordinary stream.

use std::sync::Arc;

use airbyte_protocol::{
    AirbyteGlobalState, AirbyteMessage, AirbyteStreamStatus, ConfiguredAirbyteCatalog,
    ConfiguredAirbyteStream, RawJson, StreamDescriptor, SyncMode,
};
use cdk_core::entrypoint::Exit;
use cdk_core::{
    BoxedStream, ConnectorError, Context, GlobalFeed, GlobalSink, InputState, ReadSettings,
    RecordSink, Result, Source, async_trait,
};
use serde_json::{Value, json};

use crate::support::counting::{Config, CountingSource, catalog};
use crate::support::run::{Ran, read, read_with, state_file};
use AirbyteStreamStatus::{Complete, Incomplete, Running, Started};

/// A log of rows for `left` and `right` in turn, beside `other`, which counts by itself.
#[derive(Clone)]
struct Logged {
    ordinary: CountingSource,
    log: Log,
}

#[derive(Clone)]
struct Log {
    /// Rows in the log; even positions are of `left`, odd ones of `right`.
    length: u64,
    /// Positions between states.
    every: u64,
    at_position: fn(u64, &Context) -> Result<()>,
}

impl Logged {
    fn new(at_position: fn(u64, &Context) -> Result<()>) -> Self {
        let log = Log {
            length: 20,
            every: 3,
            at_position,
        };
        Self {
            ordinary: CountingSource::new(["left", "right", "other"]),
            log,
        }
    }
}

impl Source for Logged {
    type Config = Config;

    async fn check(&self, _: &Config, _: &Context) -> Result<()> {
        Ok(())
    }

    async fn streams(&self, config: &Config, context: &Context) -> Result<Vec<BoxedStream>> {
        self.ordinary.streams(config, context).await
    }

    async fn global_feed(
        &self,
        _: &Config,
        _: &ConfiguredAirbyteCatalog,
        _: &Context,
    ) -> Result<Option<Box<dyn GlobalFeed>>> {
        Ok(Some(Box::new(self.log.clone())))
    }

    fn read_settings(&self, config: &Config) -> ReadSettings {
        self.ordinary.read_settings(config)
    }
}

impl Log {
    async fn read_from(&self, start: u64, sink: &GlobalSink) -> Result<()> {
        let mut writers: Vec<RecordSink> = ["left", "right"]
            .iter()
            .filter_map(|name| sink.stream(&StreamDescriptor::new(*name)))
            .collect();
        for position in start..self.length {
            (self.at_position)(position, sink.context())?;
            let writer = usize::from(position % 2 == 1);
            writers[writer].record(&json!({"id": position})).await?;
            if (position + 1).is_multiple_of(self.every) {
                self.mark(position + 1, sink).await?;
            }
        }
        self.mark(self.length, sink).await
    }

    async fn mark(&self, position: u64, sink: &GlobalSink) -> Result<()> {
        let shared = RawJson::from_serialize(&json!({"position": position})).unwrap();
        let left = RawJson::from_serialize(&json!({"seen": position})).unwrap();
        let streams = vec![(StreamDescriptor::new("left"), left)];
        sink.checkpoint(Some(shared), streams).await
    }
}

#[async_trait]
impl GlobalFeed for Log {
    fn streams(&self) -> Vec<StreamDescriptor> {
        ["left", "right"].map(StreamDescriptor::new).into()
    }

    async fn read(
        &self,
        streams: &[ConfiguredAirbyteStream],
        state: &InputState,
        sink: GlobalSink,
    ) -> Result<()> {
        assert_eq!(streams.len(), 2);
        let shared = state
            .shared()
            .map(|shared| shared.parse_as::<Value>().unwrap());
        let start = shared
            .and_then(|shared| shared["position"].as_u64())
            .unwrap_or(0);
        self.read_from(start, &sink).await
    }
}

fn fine(_: u64, _: &Context) -> Result<()> {
    Ok(())
}

fn wanted() -> ConfiguredAirbyteCatalog {
    catalog(["left", "other", "right"], SyncMode::Incremental)
}

fn globals(ran: &Ran) -> Vec<&AirbyteGlobalState> {
    let states = ran.states().into_iter();
    states.filter_map(|state| state.global.as_ref()).collect()
}

fn position(global: &AirbyteGlobalState) -> u64 {
    let shared: Value = global.shared_state.as_ref().unwrap().parse_as().unwrap();
    shared["position"].as_u64().unwrap()
}

/// All positions of the log that were emitted, in order of the log.
fn logged(ran: &Ran) -> Vec<u64> {
    let rows = [ran.records("left"), ran.records("right")].concat();
    let mut ids: Vec<_> = rows.iter().map(|row| row["id"].as_u64().unwrap()).collect();
    ids.sort_unstable();
    ids
}

#[tokio::test]
async fn every_state_beside_a_feed_is_global_and_counts_all_streams() {
    let ran = read(Logged::new(fine), json!({}), &wanted(), None).await;
    assert_eq!(ran.exit, Exit::Success, "{}", ran.text);
    for stream in ["left", "right", "other"] {
        assert_eq!(ran.statuses(stream), [Started, Running, Complete]);
    }
    assert_eq!(logged(&ran), (0..20).collect::<Vec<_>>());
    assert_eq!(ran.records("other").len(), 10);

    let (mut since, mut seen, mut others) = (0.0, Vec::new(), 0);
    for message in &ran.messages {
        match message {
            AirbyteMessage::Record(record) => {
                since += 1.0;
                let row: Value = record.data.parse_as().unwrap();
                match record.stream == "other" {
                    true => others += 1,
                    false => seen.push(row["id"].as_u64().unwrap()),
                }
            }
            AirbyteMessage::State(state) => {
                let counted = state.source_stats.as_ref().unwrap().record_count.unwrap();
                assert_eq!(counted, std::mem::take(&mut since), "{}", ran.text);
                let global = state.global.as_ref().expect("a STREAM state is mixed in");
                let names = global.stream_states.iter();
                let names: Vec<_> = names.map(|state| &state.stream_descriptor.name).collect();
                assert_eq!(names, ["left", "other", "right"]);
                let logged = global.shared_state.as_ref().map_or(0, |_| position(global));
                assert!((0..logged).all(|id| seen.contains(&id)), "{}", ran.text);
                assert!(counted_by_other(global) <= others, "{}", ran.text);
            }
            _ => {}
        }
    }
    let last = globals(&ran).into_iter().next_back().unwrap();
    assert_eq!((position(last), counted_by_other(last)), (20, 10));
    assert_eq!(
        last.stream_states[0].stream_state.as_ref().unwrap().get(),
        r#"{"seen":20}"#
    );
    assert!(last.stream_states[2].stream_state.is_none());
}

/// How far the ordinary stream's part of a state is.
fn counted_by_other(global: &AirbyteGlobalState) -> u64 {
    let state = global.stream_states[1].stream_state.as_ref();
    state.map_or(0, |state| {
        state.parse_as::<Value>().unwrap()["next"].as_u64().unwrap()
    })
}

#[tokio::test]
async fn resuming_from_any_state_yields_the_rest_of_the_log_and_of_the_ordinary_stream() {
    let first = read(Logged::new(fine), json!({}), &wanted(), None).await;
    let states = first.states();
    assert!(states.len() > 7, "{}", first.text);
    for state in states {
        let global = state.global.as_ref().unwrap();
        let start = global.shared_state.as_ref().map_or(0, |_| position(global));
        let ran = read(
            Logged::new(fine),
            json!({}),
            &wanted(),
            Some(&state_file(state)),
        )
        .await;
        assert_eq!(ran.exit, Exit::Success);
        assert_eq!(logged(&ran), (start..20).collect::<Vec<_>>());
        let others = ran.records("other").len() as u64;
        assert_eq!(others, 10 - counted_by_other(global));
        // Parts that nobody replaced stay.
        let last = globals(&ran).into_iter().next_back().unwrap();
        assert!(last.stream_states[0].stream_state.is_some());
        assert_eq!(counted_by_other(last), 10);
    }
}

#[tokio::test]
async fn a_failing_feed_is_one_error_and_all_its_streams_are_incomplete() {
    fn fail(position: u64, _: &Context) -> Result<()> {
        match position {
            10 => Err(ConnectorError::transient("The log was cut.")),
            _ => Ok(()),
        }
    }
    let ran = read(Logged::new(fail), json!({}), &wanted(), None).await;
    assert_eq!(ran.exit, Exit::Failure);
    assert_eq!(ran.statuses("left"), [Started, Running, Incomplete]);
    assert_eq!(ran.statuses("right"), [Started, Running, Incomplete]);
    assert_eq!(ran.statuses("other"), [Started, Running, Complete]);
    let errors = ran.errors();
    let own = errors
        .iter()
        .filter(|(_, text)| text == "The log was cut.")
        .count();
    assert_eq!((own, errors.len()), (1, 2), "{errors:?}");
    assert_eq!(position(globals(&ran).last().unwrap()), 9);
    assert_eq!(logged(&ran), (0..10).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_panicking_feed_is_a_system_error() {
    fn crash(position: u64, _: &Context) -> Result<()> {
        assert!(position < 7, "no position {position}");
        Ok(())
    }
    let ran = read(Logged::new(crash), json!({}), &wanted(), None).await;
    assert_eq!(ran.exit, Exit::Failure);
    for stream in ["left", "right"] {
        assert_eq!(ran.statuses(stream).last(), Some(&Incomplete));
    }
    assert_eq!(ran.statuses("other").last(), Some(&Complete));
    assert_eq!(ran.errors()[0].0, "system_error");
    assert!(ran.text.contains("no position 7"), "{}", ran.text);
    assert_eq!(position(globals(&ran).last().unwrap()), 6);
}

#[tokio::test]
async fn a_stop_ends_a_feed_at_its_next_state() {
    fn stop(position: u64, context: &Context) -> Result<()> {
        if position == 7 {
            context.stop().cancel();
        }
        Ok(())
    }
    let ran = read_with(Logged::new(stop), json!({}), &wanted(), None, |_| {}).await;
    assert_eq!(ran.exit, Exit::Stopped);
    assert_eq!(ran.statuses("left"), [Started, Running, Incomplete]);
    assert_eq!(position(globals(&ran).last().unwrap()), 9);
    assert_eq!(logged(&ran), (0..9).collect::<Vec<_>>());
    assert!(ran.errors().is_empty());
}

/// Marks each stream by its writer, never the whole.
struct ByWriter;

#[async_trait]
impl GlobalFeed for ByWriter {
    fn streams(&self) -> Vec<StreamDescriptor> {
        ["left", "right"].map(StreamDescriptor::new).into()
    }

    async fn read(
        &self,
        _: &[ConfiguredAirbyteStream],
        _: &InputState,
        sink: GlobalSink,
    ) -> Result<()> {
        for name in ["left", "right"] {
            let mut writer = sink
                .stream(&StreamDescriptor::new(name))
                .expect("is in the feed");
            for id in 0..5 {
                writer.record(&json!({"id": id})).await?;
                writer.checkpoint(&json!({"next": id + 1})).await?;
            }
        }
        Ok(())
    }
}

#[derive(Clone)]
struct WithFeed(Arc<dyn Fn() -> Box<dyn GlobalFeed> + Send + Sync>);

impl Source for WithFeed {
    type Config = Config;

    async fn check(&self, _: &Config, _: &Context) -> Result<()> {
        Ok(())
    }

    async fn streams(&self, _: &Config, _: &Context) -> Result<Vec<BoxedStream>> {
        Ok(vec![])
    }

    async fn global_feed(
        &self,
        _: &Config,
        _: &ConfiguredAirbyteCatalog,
        _: &Context,
    ) -> Result<Option<Box<dyn GlobalFeed>>> {
        Ok(Some((self.0)()))
    }
}

#[tokio::test]
async fn the_last_checkpoint_of_every_writer_is_in_the_last_state() {
    let source = WithFeed(Arc::new(|| Box::new(ByWriter)));
    let wanted = catalog(["left", "right"], SyncMode::Incremental);
    let ran = read(source, json!({"checkpoint_rows": 1000}), &wanted, None).await;
    assert_eq!(ran.exit, Exit::Success, "{}", ran.text);
    let last = globals(&ran).into_iter().next_back().unwrap();
    for stream in &last.stream_states {
        assert_eq!(stream.stream_state.as_ref().unwrap().get(), r#"{"next":5}"#);
    }
}

struct Idle;

#[async_trait]
impl GlobalFeed for Idle {
    fn streams(&self) -> Vec<StreamDescriptor> {
        vec![StreamDescriptor::new("left")]
    }

    async fn read(
        &self,
        _: &[ConfiguredAirbyteStream],
        _: &InputState,
        _: GlobalSink,
    ) -> Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_feed_without_news_ends_with_the_state_it_began_with() {
    let source = WithFeed(Arc::new(|| Box::new(Idle)));
    let state =
        r#"[{"type":"GLOBAL","global":{"shared_state":{"position":4},"stream_states":[]}}]"#;
    let wanted = catalog(["left"], SyncMode::Incremental);
    let ran = read(source, json!({}), &wanted, Some(state)).await;
    assert_eq!(ran.exit, Exit::Success);
    assert_eq!(ran.statuses("left"), [Started, Complete]);
    let globals = globals(&ran);
    assert_eq!(globals.len(), 1);
    assert_eq!(position(globals[0]), 4);
}
