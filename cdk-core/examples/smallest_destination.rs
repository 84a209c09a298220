//! The smallest complete destination: each stream is appended to a JSONL file.
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use cdk_core::protocol::{ConfiguredAirbyteCatalog, DestinationSyncMode};
use cdk_core::{Capabilities, CommitStats, Context, Destination, ErrorContext, RecordBatch};
use cdk_core::{Result, StreamEnd, StreamLoader};

#[derive(serde::Deserialize, schemars::JsonSchema)]
pub(crate) struct Config {
    /// The directory that holds the files; it must exist.
    directory: PathBuf,
}

pub(crate) struct Files;

impl Destination for Files {
    type Config = Config;
    type Loader = Appender;

    fn capabilities(&self) -> Capabilities {
        Capabilities::new([DestinationSyncMode::Append])
    }

    async fn check(&self, config: &Config, _: &Context) -> Result<()> {
        let entries = std::fs::read_dir(&config.directory);
        entries.config_error("Set `directory` to one that exists and may be read.")?;
        Ok(())
    }

    async fn open(
        &self,
        config: &Config,
        catalog: &ConfiguredAirbyteCatalog,
        _: &Context,
    ) -> Result<Vec<Appender>> {
        let files = catalog.streams.iter().map(|stream| {
            let name = format!("{}.jsonl", stream.stream.name);
            let path = config.directory.join(name);
            let file = File::options().create(true).append(true).open(path);
            file.map(|file| Appender(BufWriter::new(file)))
        });
        let files: std::io::Result<_> = files.collect();
        files.config_error("A file can't be opened. Check the rights of `directory`.")
    }
}

pub(crate) struct Appender(BufWriter<File>);

impl StreamLoader for Appender {
    async fn load(&mut self, batch: RecordBatch) -> Result<()> {
        let mut rows = batch.json().iter();
        let written = rows.try_for_each(|row| writeln!(self.0, "{}", row.data));
        written.transient_error("A file can't be written. Make room on the disk.")
    }

    async fn commit(&mut self) -> Result<CommitStats> {
        let saved = self.0.flush().and_then(|()| self.0.get_ref().sync_data());
        saved.transient_error("A file can't be written. Make room on the disk.")?;
        Ok(CommitStats::default())
    }

    async fn finish(self, _: StreamEnd) -> Result<()> {
        Ok(())
    }
}

fn main() -> std::process::ExitCode {
    cdk_core::run_destination(Files)
}
