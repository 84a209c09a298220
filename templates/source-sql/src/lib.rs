//! Airbyte source: {{ crate_name | title_case }}.

pub mod config;
pub mod database;
pub mod dialect;
pub mod streams;

use cdk_core::{BoxedStream, Context, Result, Source};

use config::Config;

/// The source.
#[derive(Debug, Clone, Copy, Default)]
pub struct {{ crate_name | pascal_case }};

impl Source for {{ crate_name | pascal_case }} {
    type Config = Config;

    async fn check(&self, config: &Config, _: &Context) -> Result<()> {
        database::tables(&config.path).map(drop)
    }

    async fn streams(&self, config: &Config, _: &Context) -> Result<Vec<BoxedStream>> {
        streams::all(config)
    }
}
