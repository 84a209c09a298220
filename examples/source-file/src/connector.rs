//! The source behind the normalisation of its config.

use std::sync::Arc;

use airbyte_protocol::{AirbyteCatalog, ConnectorSpecification};
use cdk_core::entrypoint::Connector;
use cdk_core::{Context, DynSource, ReadArgs, Result, async_trait};
use serde_json::Value;

use crate::aliases::normalize;
use crate::source::FileSource;

/// A [`FileSource`] that also takes the configs [`normalize`] knows.
///
/// The spec shows the canonical keys only, and configs are validated against it: so the spellings are
/// brought to them first.
#[derive(Debug, Clone, Default)]
pub struct FileConnector(FileSource);

/// The connector for the entry point and for embedders.
pub fn connector() -> Connector {
    Connector::Source(Arc::new(FileConnector::default()))
}

impl From<FileSource> for FileConnector {
    fn from(source: FileSource) -> Self {
        Self(source)
    }
}

#[async_trait]
impl DynSource for FileConnector {
    async fn spec_dyn(&self, context: &Context) -> Result<ConnectorSpecification> {
        self.0.spec_dyn(context).await
    }

    async fn check_dyn(&self, config: &Value, context: &Context) -> Result<()> {
        self.0.check_dyn(&normalize(config.clone())?, context).await
    }

    async fn discover_dyn(&self, config: &Value, context: &Context) -> Result<AirbyteCatalog> {
        self.0
            .discover_dyn(&normalize(config.clone())?, context)
            .await
    }

    async fn read_dyn(&self, mut args: ReadArgs, context: &Context) -> Result<()> {
        args.config = normalize(args.config)?;
        self.0.read_dyn(args, context).await
    }
}
