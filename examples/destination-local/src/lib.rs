//! Airbyte destination: JSONL or CSV files in a local directory.

mod check;
mod config;
mod error;
mod folder;
mod format;
mod load;
mod names;
mod part;

use std::collections::HashMap;
use std::time::Duration;

use airbyte_protocol::{ConfiguredAirbyteCatalog, DestinationSyncMode};
use cdk_core::{
    Capabilities, ConnectorError, Context, Destination, ErrorContext, Result, WriteSettings,
};

pub use config::{Compression, Config, FileOptions, Flattening, Format};
pub use load::LocalLoader;

use crate::load::StreamInHand;

/// Writes every stream to files in a directory of its own.
#[derive(Debug, Default)]
pub struct LocalDestination {
    file_limit: Option<u64>,
}

impl LocalDestination {
    /// A destination that behaves as if the disk were full once a file has this many bytes. For tests.
    #[must_use]
    pub fn with_file_limit(bytes: u64) -> Self {
        Self {
            file_limit: Some(bytes),
        }
    }
}

impl Destination for LocalDestination {
    type Config = Config;
    type Loader = LocalLoader;

    fn capabilities(&self) -> Capabilities {
        Capabilities::new([DestinationSyncMode::Append, DestinationSyncMode::Overwrite])
    }

    async fn check(&self, config: &Config, _: &Context) -> Result<()> {
        let config = config.clone();
        let checked = tokio::task::spawn_blocking(move || check::check(&config));
        checked
            .await
            .system_error("The check crashed. Please report this.")?
    }

    async fn open(
        &self,
        config: &Config,
        catalog: &ConfiguredAirbyteCatalog,
        context: &Context,
    ) -> Result<Vec<LocalLoader>> {
        check_directories(catalog)?;
        let (config, catalog, limit) = (config.clone(), catalog.clone(), self.file_limit);
        let run = context.now_ms();
        let opened = tokio::task::spawn_blocking(move || {
            let streams = catalog.streams.iter().map(|stream| {
                StreamInHand::open(&config, stream, run, limit)
                    .map_err(|error| error.with_stream(&stream.descriptor()))
            });
            streams.collect::<Result<Vec<_>>>()
        });
        let streams = opened
            .await
            .system_error("Opening crashed. Please report this.")??;
        Ok(streams
            .into_iter()
            .map(|stream| LocalLoader::new(context.clone(), stream))
            .collect())
    }

    /// Every commit ends a file, so they are rarer than elsewhere.
    fn write_settings(&self, _: &Config) -> WriteSettings {
        let mut settings = WriteSettings::default();
        settings.commit_bytes = 256 << 20;
        settings.commit_interval = Duration::from_secs(30);
        settings
    }
}

/// On some systems `Users` and `users` are one directory.
fn check_directories(catalog: &ConfiguredAirbyteCatalog) -> Result<()> {
    let mut seen = HashMap::new();
    for stream in catalog.streams.iter().map(|stream| stream.descriptor()) {
        let directory = names::directory(&stream);
        let folded = directory.to_string_lossy().to_lowercase();
        if let Some(other) = seen.insert(folded, stream.clone()) {
            return Err(ConnectorError::config(format!(
                "Streams {other} and {stream} would both be written to directory {}. Give one of them \
                 another name or namespace, or leave it out.",
                directory.display()
            ))
            .with_stream(&stream));
        }
    }
    Ok(())
}
