//! The object-safe twin of a source: what the entry point and the sync engine run.

use airbyte_protocol::{AirbyteCatalog, ConfiguredAirbyteCatalog, ConnectorSpecification};
use async_trait::async_trait;
use serde_json::Value;

use crate::config;
use crate::context::Context;
use crate::error::{ConnectorError, Result};
use crate::source::{InputState, Source, read};

/// Any source, native or in another process, by the verbs of the protocol. Every [`Source`] is one.
#[async_trait]
pub trait DynSource: Send + Sync {
    /// The connector's specification.
    async fn spec_dyn(&self, context: &Context) -> Result<ConnectorSpecification>;

    /// Tries the config against the real system.
    async fn check_dyn(&self, config: &Value, context: &Context) -> Result<()>;

    /// The available streams.
    async fn discover_dyn(&self, config: &Value, context: &Context) -> Result<AirbyteCatalog>;

    /// Reads the streams of the catalog and emits everything through `context`.
    ///
    /// A failing stream is reported in an ERROR trace and does not stop the others; the error that is
    /// returned in the end names all of them.
    async fn read_dyn(&self, args: ReadArgs, context: &Context) -> Result<()>;
}

/// What `read` is asked for.
#[derive(Debug, Clone)]
pub struct ReadArgs {
    /// The connector's config.
    pub config: Value,
    /// The streams to read, and how.
    pub catalog: ConfiguredAirbyteCatalog,
    /// Where to resume from.
    pub state: InputState,
}

#[async_trait]
impl<S: Source> DynSource for S {
    async fn spec_dyn(&self, _: &Context) -> Result<ConnectorSpecification> {
        Ok(self.spec())
    }

    async fn check_dyn(&self, config: &Value, context: &Context) -> Result<()> {
        let (config, context) = parse_config(self, config, context)?;
        self.check(&config, &context).await
    }

    async fn discover_dyn(&self, config: &Value, context: &Context) -> Result<AirbyteCatalog> {
        let (config, context) = parse_config(self, config, context)?;
        let streams = self.streams(&config, &context).await?;
        let streams: Vec<_> = streams.iter().map(|stream| stream.definition()).collect();
        reject_duplicates(streams.iter().map(|stream| stream.descriptor().to_string()))?;
        Ok(AirbyteCatalog::new(streams))
    }

    async fn read_dyn(&self, args: ReadArgs, context: &Context) -> Result<()> {
        let (config, context) = parse_config(self, &args.config, context)?;
        read::run(self, &config, &args, &context).await
    }
}

/// The config as the source's own type, and the context that can change it.
fn parse_config<S: Source>(
    source: &S,
    config: &Value,
    context: &Context,
) -> Result<(S::Config, Context)> {
    let config = source.normalize_config(config.clone());
    let parsed = config::parse(&source.spec(), &config, context.secrets())?;
    Ok((parsed, context.with_config(config)))
}

fn reject_duplicates(names: impl Iterator<Item = String>) -> Result<()> {
    let mut names: Vec<String> = names.collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(ConnectorError::config(format!(
            "Two streams are called {}. Give each stream a name of its own.",
            pair[0]
        ))),
        None => Ok(()),
    }
}
