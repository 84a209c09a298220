//! Airbyte source: any JSON API, described in the config.
//!
//! | module | what |
//! |---|---|
//! | `config`, `aliases` | what the user sets, and other spellings of it |
//! | `template` | `{{ config['key'] }}` in parameters |
//! | `streams` | endpoints become streams |
//! | `records`, `pages` | where records and next pages are, when the config doesn't say |

mod aliases;
mod config;
mod pages;
mod records;
mod streams;
mod template;

use cdk_core::{BoxedStream, Context, ReadSettings, Result, Source, Stream};
use serde_json::Value;

pub use aliases::normalize;
pub use config::{Authentication, Endpoint, Incremental, NamedValue, Pagination, RestApiConfig};

/// The source.
#[derive(Debug, Clone, Copy, Default)]
pub struct SourceRestApi;

impl Source for SourceRestApi {
    type Config = RestApiConfig;

    fn normalize_config(&self, config: Value) -> Value {
        normalize(config)
    }

    /// Asks each endpoint for its first page.
    async fn check(&self, config: &RestApiConfig, context: &Context) -> Result<()> {
        for (stream, _) in streams::of(config, context)? {
            stream.check(context).await?;
        }
        Ok(())
    }

    async fn streams(&self, config: &RestApiConfig, context: &Context) -> Result<Vec<BoxedStream>> {
        let mut boxed = Vec::new();
        for (mut stream, endpoint) in streams::of(config, context)? {
            if endpoint.json_schema.is_none() {
                // The other endpoints shall not suffer; the read says what is wrong with this one.
                if let Err(error) = stream.infer_schema(context).await {
                    if error.is_stop() {
                        return Err(error);
                    }
                    tracing::warn!("The schema of {} is not known: {error}", endpoint.name);
                }
            }
            boxed.push(stream.boxed());
        }
        Ok(boxed)
    }

    fn read_settings(&self, config: &RestApiConfig) -> ReadSettings {
        ReadSettings::default().with_concurrency(config.concurrency)
    }
}

/// The connector for the entry point and for embedders.
pub fn connector() -> cdk_core::entrypoint::Connector {
    cdk_core::entrypoint::Connector::Source(std::sync::Arc::new(SourceRestApi))
}
