//! Airbyte source: the lines of a text file.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::ExitCode;

use cdk_core::protocol::{AirbyteStream, SyncMode};
use cdk_core::{
    BoxedStream, Context, ErrorContext, Partitions, RecordSink, Result, Source, Stream,
    StreamRequest,
};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

/// What to read.
#[derive(Deserialize, JsonSchema)]
struct Config {
    /// The text file to read.
    path: PathBuf,
}

/// A record.
#[derive(Serialize, JsonSchema)]
struct Line {
    number: u64,
    text: String,
}

/// The state: the last line that was read.
#[derive(Default, Serialize, Deserialize)]
struct Position {
    number: u64,
}

struct SourceLines;

impl Source for SourceLines {
    type Config = Config;

    async fn check(&self, config: &Config, _: &Context) -> Result<()> {
        open(&config.path).map(drop)
    }

    async fn streams(&self, config: &Config, _: &Context) -> Result<Vec<BoxedStream>> {
        let path = config.path.clone();
        Ok(vec![Lines { path }.boxed()])
    }
}

struct Lines {
    path: PathBuf,
}

impl Stream for Lines {
    type Partition = ();

    fn definition(&self) -> AirbyteStream {
        let modes = vec![SyncMode::FullRefresh, SyncMode::Incremental];
        AirbyteStream::new("lines", schema_for!(Line).to_value(), modes)
            .with_source_cursor("number")
            .with_primary_key(["number"])
    }

    async fn partitions(&self, _: &StreamRequest) -> Result<Partitions<()>> {
        Ok(Partitions::one(()))
    }

    async fn read(&self, _: (), request: &StreamRequest, sink: &mut RecordSink) -> Result<()> {
        let done: Position = request.state_as()?.unwrap_or_default();
        for (text, number) in open(&self.path)?.lines().zip(1..) {
            let text = text.transient_error("The file could not be read to its end.")?;
            if number > done.number {
                sink.record(&Line { number, text }).await?;
                sink.checkpoint(&Position { number }).await?;
            }
        }
        Ok(())
    }
}

fn open(path: &PathBuf) -> Result<BufReader<File>> {
    let file = File::open(path).config_error(format!(
        "The file {} can't be opened. Set `path` to a text file that this user may read.",
        path.display()
    ))?;
    Ok(BufReader::new(file))
}

fn main() -> ExitCode {
    cdk_core::run_source(SourceLines)
}
