//! Airbyte destination: one file per stream, a JSON object per line.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use cdk_core::protocol::{ConfiguredAirbyteCatalog, DestinationSyncMode};
use cdk_core::{
    Capabilities, CommitStats, Context, Destination, ErrorContext, RecordBatch, Result, StreamEnd,
    StreamLoader,
};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Deserialize, JsonSchema)]
struct Config {
    /// The directory that gets the files. It is created if it does not exist.
    directory: PathBuf,
}

struct DestinationLines;

impl Destination for DestinationLines {
    type Config = Config;
    type Loader = Lines;

    fn capabilities(&self) -> Capabilities {
        Capabilities::new([DestinationSyncMode::Append])
    }

    async fn check(&self, config: &Config, _: &Context) -> Result<()> {
        open(&config.directory, ".check")?;
        fs::remove_file(config.directory.join(".check"))
            .config_error("A file was created in `directory` but can't be removed from it.")
    }

    async fn open(
        &self,
        config: &Config,
        catalog: &ConfiguredAirbyteCatalog,
        _: &Context,
    ) -> Result<Vec<Lines>> {
        let streams = catalog.streams.iter();
        let loaders = streams.map(|configured| {
            Ok(Lines {
                file: open(
                    &config.directory,
                    &format!("{}.jsonl", configured.stream.name),
                )?,
                waiting: Vec::new(),
            })
        });
        loaders.collect()
    }
}

/// Loads one stream.
struct Lines {
    file: File,
    waiting: Vec<u8>,
}

impl StreamLoader for Lines {
    async fn load(&mut self, batch: RecordBatch) -> Result<()> {
        for row in batch.json().iter() {
            self.waiting.extend_from_slice(row.data.as_bytes());
            self.waiting.push(b'\n');
        }
        Ok(())
    }

    async fn commit(&mut self) -> Result<CommitStats> {
        let written = self.file.write_all(&self.waiting);
        written
            .and_then(|()| self.file.sync_data())
            .config_error("The file can't be written. Make room on its disk.")?;
        self.waiting.clear();
        Ok(CommitStats::default())
    }

    async fn finish(self, _: StreamEnd) -> Result<()> {
        Ok(())
    }
}

fn open(directory: &Path, name: &str) -> Result<File> {
    let file = fs::create_dir_all(directory).and_then(|()| {
        let path = directory.join(name);
        OpenOptions::new().append(true).create(true).open(path)
    });
    file.config_error(format!(
        "{} can't be written. Set `directory` to one that this user may write to.",
        directory.display()
    ))
}

fn main() -> ExitCode {
    cdk_core::run_destination(DestinationLines)
}
