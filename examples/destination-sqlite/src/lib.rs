//! Airbyte destination: typed tables in an SQLite file.

mod check;
mod config;
mod cursor;
mod database;
mod error;
mod index;
mod load;
mod names;
mod normalize;
mod open;
mod raw;
mod registry;
mod row;
mod statements;
mod storage;
mod table;
mod writer;

use std::sync::{Arc, Mutex};

use airbyte_protocol::{ConfiguredAirbyteCatalog, DestinationSyncMode};
use cdk_core::{Capabilities, Context, Destination, ErrorContext, Result};
use cdk_normalize::{Normalization, Normalized};
use serde_json::Value;

pub use config::Config;
pub use load::SqliteLoader;

use crate::database::Database;

/// Writes every stream to a typed table of one SQLite file.
#[derive(Debug, Default)]
pub struct SqliteDestination {
    /// Pages that the file may have; lets tests fill the disk.
    page_limit: Option<u32>,
}

impl SqliteDestination {
    /// A destination that behaves as if the disk were full once the file has this many pages (of 16 KiB
    /// unless the file was made with others). For tests.
    #[must_use]
    pub fn with_page_limit(pages: u32) -> Self {
        Self {
            page_limit: Some(pages),
        }
    }
}

impl Destination for SqliteDestination {
    type Config = Config;
    type Loader = SqliteLoader;

    fn capabilities(&self) -> Capabilities {
        use DestinationSyncMode::{Append, AppendDedup, Overwrite, OverwriteDedup};
        let mut capabilities = Capabilities::new([Append, Overwrite, AppendDedup, OverwriteDedup]);
        capabilities.can_resume_overwrite = true;
        capabilities
    }

    fn normalize_config(&self, mut config: Value) -> Value {
        if let Some(normalization) = config.get_mut("normalization") {
            *normalization = Normalization::spelt_out(normalization.take());
        }
        config
    }

    async fn check(&self, config: &Config, _: &Context) -> Result<()> {
        let config = config.clone();
        let checked = tokio::task::spawn_blocking(move || check::check(&config));
        checked
            .await
            .system_error("The check crashed. Please report this.")?
    }

    async fn open(
        &self,
        config: &Config,
        catalog: &ConfiguredAirbyteCatalog,
        context: &Context,
    ) -> Result<Vec<SqliteLoader>> {
        let (config, catalog, page_limit) = (config.clone(), catalog.clone(), self.page_limit);
        let opened = tokio::task::spawn_blocking(move || {
            let mut database = Database::open(&config, page_limit)?;
            let streams =
                database.transact(|connection| open::open(connection, &catalog, &config))?;
            Ok::<_, cdk_core::ConnectorError>((database, streams))
        });
        let (database, streams) = opened
            .await
            .system_error("Opening the database crashed. Please report this.")??;
        let database = Arc::new(Mutex::new(database));
        let loaders = streams.into_iter().map(|stream| {
            for change in &stream.changes {
                tracing::info!("Table `{}`: {change}.", stream.visible);
            }
            SqliteLoader::new(Arc::clone(&database), context.clone(), stream)
        });
        Ok(loaders.collect())
    }
}

/// Normalizes again what syncs with normalization left in the file, without a source: what is new since the last time,
/// or with `is_full` everything.
///
/// # Errors
/// A config error when no sync with normalization wrote to this file, or a table is in the way. What was normalized
/// before stays as it was then.
pub async fn normalize(config: &Config, is_full: bool, now_ms: i64) -> Result<Vec<Normalized>> {
    let config = config.clone();
    let normalized = tokio::task::spawn_blocking(move || {
        let mut database = Database::open(&config, None)?;
        database.transact(|connection| normalize::again(connection, is_full, now_ms))
    });
    let crashed = "The normalization crashed. Please report this.";
    normalized.await.system_error(crashed)?
}
