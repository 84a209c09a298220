//! Airbyte destination: typed tables, raw tables and normalized tables in PostgreSQL.

mod aliases;
mod catalog;
mod check;
mod config;
mod copy;
mod encode;
mod error;
mod layout;
mod load;
mod merge;
mod names;
mod normalize;
mod open;
mod pool;
mod registry;
mod sanitize;
mod swap;
mod table;
mod types;
mod watch;
mod writer;

use airbyte_protocol::{ConfiguredAirbyteCatalog, DestinationSyncMode};
use cdk_core::{Capabilities, Context, Destination, Result};
use cdk_normalize::Normalized;
use cdk_sql_postgres::Connector;
use serde_json::Value;

pub use config::{Config, DeletionMode, RawTables};
pub use load::PostgresLoader;

use crate::pool::Pool;

/// Writes every stream to a table of a PostgreSQL database.
#[derive(Debug, Default)]
pub struct PostgresDestination;

impl Destination for PostgresDestination {
    type Config = Config;
    type Loader = PostgresLoader;

    fn capabilities(&self) -> Capabilities {
        use DestinationSyncMode::{Append, AppendDedup, Overwrite, OverwriteDedup};
        let mut capabilities = Capabilities::new([Append, Overwrite, AppendDedup, OverwriteDedup]);
        capabilities.can_resume_overwrite = true;
        capabilities.with_arrow_preferred()
    }

    fn normalize_config(&self, config: Value) -> Value {
        aliases::normalize(config)
    }

    async fn check(&self, config: &Config, _: &Context) -> Result<()> {
        let pool = connect(config).await?;
        check::check(&pool, config).await
    }

    async fn open(
        &self,
        config: &Config,
        catalog: &ConfiguredAirbyteCatalog,
        context: &Context,
    ) -> Result<Vec<PostgresLoader>> {
        let pool = connect(config).await?;
        let (place, streams) = open::open(&pool, catalog, config).await?;
        let loaders = streams.into_iter().map(|stream| {
            PostgresLoader::new(pool.clone(), context.clone(), place.clone(), stream)
        });
        Ok(loaders.collect())
    }
}

/// Normalizes again what syncs with normalization left in the database, without a source: what is new since the last
/// time, or with `is_full` everything.
///
/// # Errors
/// A config error when no sync with normalization wrote to this database, or a table is in the way; transient ones as
/// for a sync. What was normalized before stays as it was then.
pub async fn normalize(config: &Config, is_full: bool, now_ms: i64) -> Result<Vec<Normalized>> {
    let pool = connect(config).await?;
    normalize::again(&pool, config, is_full, now_ms).await
}

async fn connect(config: &Config) -> Result<Pool> {
    let connector = Connector::open(config.connect_settings()?).await?;
    Ok(Pool::new(connector, config.max_connections.into()))
}
