//! A source that counts: streams of numbers, cut into partitions, with every behaviour a test may want.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use airbyte_protocol::{
    AirbyteStream, ConfiguredAirbyteCatalog, ConfiguredAirbyteStream, DestinationSyncMode, SyncMode,
};
use cdk_core::{
    BoxedStream, ConnectorError, Context, Partitions, ReadSettings, RecordSink, Result,
    SecretString, Source, Stream, StreamRequest,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub(crate) struct Config {
    /// How many numbers each stream has.
    #[serde(default = "ten")]
    pub(crate) count: u64,
    /// Numbers in a partition.
    #[serde(default = "three")]
    pub(crate) partition: u64,
    /// Partitions read at once.
    #[serde(default = "one")]
    pub(crate) concurrency: usize,
    /// Rows between states.
    #[serde(default = "one_row")]
    pub(crate) checkpoint_rows: u64,
    /// Something to hide.
    pub(crate) token: Option<SecretString>,
}

fn ten() -> u64 {
    10
}
fn three() -> u64 {
    3
}
fn one() -> usize {
    1
}
fn one_row() -> u64 {
    1
}

#[derive(Debug, Serialize)]
struct Number {
    id: u64,
    text: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Position {
    next: u64,
}

/// What goes wrong while a stream is read.
#[derive(Debug, Clone, Default)]
pub(crate) enum Trouble {
    #[default]
    None,
    /// Fails before this number, this many times over the life of the source.
    FailAt(u64, Arc<AtomicU64>, fn() -> ConnectorError),
    PanicAt(u64),
    /// Waits for ever before this number.
    HangAt(u64),
    /// Emits this many bytes of text with each number.
    Wide(usize),
}

impl Trouble {
    pub(crate) fn fail_at(number: u64, times: u64, error: fn() -> ConnectorError) -> Self {
        Self::FailAt(number, Arc::new(AtomicU64::new(times)), error)
    }
}

/// The streams by name, each with its trouble.
#[derive(Debug, Clone)]
pub(crate) struct CountingSource {
    pub(crate) streams: Vec<(&'static str, Trouble)>,
}

impl CountingSource {
    pub(crate) fn new(streams: impl IntoIterator<Item = &'static str>) -> Self {
        Self {
            streams: streams
                .into_iter()
                .map(|name| (name, Trouble::None))
                .collect(),
        }
    }

    pub(crate) fn with(mut self, name: &'static str, trouble: Trouble) -> Self {
        self.streams.retain(|(other, _)| *other != name);
        self.streams.push((name, trouble));
        self
    }
}

impl Source for CountingSource {
    type Config = Config;

    async fn check(&self, config: &Config, _: &Context) -> Result<()> {
        if config.count == 0 {
            let token = config
                .token
                .as_ref()
                .map(SecretString::expose)
                .unwrap_or_default();
            return Err(ConnectorError::config(format!(
                "Nothing to count for {token}."
            )));
        }
        Ok(())
    }

    async fn streams(&self, config: &Config, _: &Context) -> Result<Vec<BoxedStream>> {
        let streams = self.streams.iter().map(|(name, trouble)| {
            Counting {
                name,
                config: config.clone(),
                trouble: trouble.clone(),
            }
            .boxed()
        });
        Ok(streams.collect())
    }

    fn read_settings(&self, config: &Config) -> ReadSettings {
        ReadSettings::default()
            .with_concurrency(config.concurrency)
            .with_checkpoint_rows(config.checkpoint_rows)
    }
}

struct Counting {
    name: &'static str,
    config: Config,
    trouble: Trouble,
}

impl Stream for Counting {
    type Partition = std::ops::Range<u64>;

    fn definition(&self) -> AirbyteStream {
        stream(self.name)
    }

    async fn partitions(&self, request: &StreamRequest) -> Result<Partitions<Self::Partition>> {
        let start = request
            .state_as::<Position>()?
            .map_or(0, |state| state.next);
        let (step, end) = (self.config.partition, self.config.count);
        let starts = (start..end).step_by(usize::try_from(step).unwrap());
        Ok(Partitions::list(
            starts.map(|from| from..(from + step).min(end)).collect(),
        ))
    }

    async fn read(
        &self,
        partition: Self::Partition,
        request: &StreamRequest,
        sink: &mut RecordSink,
    ) -> Result<()> {
        for id in partition {
            let mut text = String::new();
            match &self.trouble {
                Trouble::FailAt(at, times, error) if id == *at => {
                    let left = times.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                        left.checked_sub(1)
                    });
                    if left.is_ok() {
                        return Err(error());
                    }
                }
                Trouble::PanicAt(at) if id == *at => panic!("this stream can't count to {at}"),
                Trouble::HangAt(at) if id == *at => {
                    sink.flush().await?;
                    request.context().stop().cancelled().await;
                    // Deaf to the stop as well.
                    tokio::time::sleep(Duration::from_secs(3600)).await;
                }
                Trouble::Wide(bytes) => text = "x".repeat(*bytes),
                _ => {}
            }
            sink.record(&Number { id, text }).await?;
            sink.checkpoint(&Position { next: id + 1 }).await?;
        }
        Ok(())
    }
}

pub(crate) fn stream(name: &str) -> AirbyteStream {
    let schema = json!({"type": "object", "properties": {
        "id": {"type": "integer"}, "text": {"type": "string"}
    }});
    let modes = vec![SyncMode::FullRefresh, SyncMode::Incremental];
    let mut stream = AirbyteStream::new(name, schema, modes);
    stream.source_defined_cursor = Some(true);
    stream.default_cursor_field = Some(vec!["id".to_owned()]);
    stream.source_defined_primary_key = Some(vec![vec!["id".to_owned()]]);
    stream.is_resumable = Some(true);
    stream
}

pub(crate) fn catalog(
    names: impl IntoIterator<Item = &'static str>,
    mode: SyncMode,
) -> ConfiguredAirbyteCatalog {
    let streams = names
        .into_iter()
        .map(|name| ConfiguredAirbyteStream::new(stream(name), mode, DestinationSyncMode::Append));
    ConfiguredAirbyteCatalog::new(streams.collect())
}
