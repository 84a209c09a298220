//! Airbyte source: {{ crate_name | title_case }}.

pub mod config;
pub mod files;
pub mod streams;

use cdk_core::{BoxedStream, Context, Result, Source, Stream};

use config::Config;
use streams::Records;

/// The source.
#[derive(Debug, Clone, Copy, Default)]
pub struct {{ crate_name | pascal_case }};

impl Source for {{ crate_name | pascal_case }} {
    type Config = Config;

    async fn check(&self, config: &Config, _: &Context) -> Result<()> {
        files::list(config).map(drop)
    }

    async fn streams(&self, config: &Config, _: &Context) -> Result<Vec<BoxedStream>> {
        let files = files::list(config)?;
        Ok(vec![Records { files }.boxed()])
    }
}
