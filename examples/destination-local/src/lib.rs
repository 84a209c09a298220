//! Airbyte destination: JSONL, CSV, Parquet or Avro files in a local directory.

mod config;

use airbyte_protocol::{ConfiguredAirbyteCatalog, DestinationSyncMode};
use cdk_core::{Capabilities, Context, Destination, Result, WriteSettings};
use cdk_file::path::Layout;
use cdk_file::store::Location;
use cdk_file::{FileLoader, FileSettings};

pub use config::{Compression, Config, FileOptions, Flattening, Format};

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

    fn settings(&self, config: &Config) -> FileSettings {
        FileSettings {
            location: Location::Directory {
                path: config.destination_path.clone(),
                file_limit: self.file_limit,
            },
            layout: Layout::new("", None, None),
            options: config.format.options(),
        }
    }
}

impl Destination for LocalDestination {
    type Config = Config;
    type Loader = FileLoader;

    fn capabilities(&self) -> Capabilities {
        Capabilities::new([DestinationSyncMode::Append, DestinationSyncMode::Overwrite])
            .with_arrow_preferred()
    }

    async fn check(&self, config: &Config, _: &Context) -> Result<()> {
        self.settings(config).check().await
    }

    async fn open(
        &self,
        config: &Config,
        catalog: &ConfiguredAirbyteCatalog,
        context: &Context,
    ) -> Result<Vec<FileLoader>> {
        FileLoader::open_all(self.settings(config), catalog, context).await
    }

    fn write_settings(&self, _: &Config) -> WriteSettings {
        FileSettings::write_settings()
    }
}
