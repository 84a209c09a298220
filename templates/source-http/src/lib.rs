//! Airbyte source: {{ crate_name | title_case }}.

pub mod config;
pub mod streams;

use cdk_core::{BoxedStream, Context, Result, Source, Stream};

use config::Config;

/// The source.
#[derive(Debug, Clone, Copy, Default)]
pub struct {{ crate_name | pascal_case }};

impl Source for {{ crate_name | pascal_case }} {
    type Config = Config;

    async fn check(&self, config: &Config, context: &Context) -> Result<()> {
        let api = streams::api(config, context)?;
        streams::items(&api, config).check(context).await
    }

    async fn streams(&self, config: &Config, context: &Context) -> Result<Vec<BoxedStream>> {
        let api = streams::api(config, context)?;
        // One line for each stream.
        Ok(vec![streams::items(&api, config).boxed()])
    }
}
