//! Airbyte destination: Parquet, Avro, JSONL or CSV files in a bucket of Amazon S3, MinIO or a store like them.
//!
//! The work is done by [`cdk_file`]; here are the config, under the keys of Airbyte's destination-s3, and the spellings
//! of it that people use.

mod config;
mod spelling;

use std::time::Duration;

use airbyte_protocol::{ConfiguredAirbyteCatalog, DestinationSyncMode};
use cdk_core::{Capabilities, Context, Destination, Result, WriteSettings};
use cdk_file::{FileLoader, FileSettings};
use serde_json::Value;

pub use config::{Config, Format, TextCompression, TextConfig};

/// A store that doesn't answer is asked again for this long…
const RETRY_IN_SYNC: Duration = Duration::from_secs(120);
/// …or this long, when a person waits.
const RETRY_IN_CHECK: Duration = Duration::from_secs(3);

/// Writes every stream to files in a bucket.
#[derive(Debug, Default, Clone, Copy)]
pub struct S3Destination;

impl Destination for S3Destination {
    type Config = Config;
    type Loader = FileLoader;

    fn capabilities(&self) -> Capabilities {
        Capabilities::new([DestinationSyncMode::Overwrite, DestinationSyncMode::Append])
            .with_arrow_preferred()
    }

    fn normalize_config(&self, config: Value) -> Value {
        spelling::normalize(config)
    }

    async fn check(&self, config: &Config, _: &Context) -> Result<()> {
        config.settings(RETRY_IN_CHECK)?.check().await
    }

    async fn open(
        &self,
        config: &Config,
        catalog: &ConfiguredAirbyteCatalog,
        context: &Context,
    ) -> Result<Vec<FileLoader>> {
        FileLoader::open_all(config.settings(RETRY_IN_SYNC)?, catalog, context).await
    }

    fn write_settings(&self, _: &Config) -> WriteSettings {
        FileSettings::write_settings()
    }
}
