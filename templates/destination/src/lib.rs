//! Airbyte destination: {{ crate_name | title_case }}.

pub mod config;
pub mod load;

use std::fs;

use cdk_core::protocol::{ConfiguredAirbyteCatalog, DestinationSyncMode};
use cdk_core::{Capabilities, Context, Destination, ErrorContext, Result};

use config::Config;
use load::Loader;

/// The destination.
#[derive(Debug, Clone, Copy, Default)]
pub struct {{ crate_name | pascal_case }};

impl Destination for {{ crate_name | pascal_case }} {
    type Config = Config;
    type Loader = Loader;

    fn capabilities(&self) -> Capabilities {
        Capabilities::new([DestinationSyncMode::Append, DestinationSyncMode::Overwrite])
    }

    async fn check(&self, config: &Config, _: &Context) -> Result<()> {
        let probe = config.directory.join(".check");
        let tried = fs::create_dir_all(&config.directory)
            .and_then(|()| fs::write(&probe, ""))
            .and_then(|()| fs::remove_file(&probe));
        tried.config_error(load::cannot_write(&config.directory))
    }

    async fn open(
        &self,
        config: &Config,
        catalog: &ConfiguredAirbyteCatalog,
        _: &Context,
    ) -> Result<Vec<Loader>> {
        let streams = catalog.streams.iter();
        streams
            .map(|stream| Loader::open(&config.directory, stream))
            .collect()
    }
}
