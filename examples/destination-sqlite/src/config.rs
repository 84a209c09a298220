//! The connector's config.

use std::path::PathBuf;
use std::time::Duration;

use cdk_normalize::Normalization;
use schemars::JsonSchema;
use serde::Deserialize;

/// Where and how to write.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(title = "SQLite Destination Spec")]
pub struct Config {
    /// Path of the database file. It is created if it does not exist; its directory must exist.
    #[schemars(title = "Database file", extend("order" = 0), example = &"data/airbyte.sqlite")]
    pub path: PathBuf,
    /// Put in front of every table name.
    #[serde(default)]
    #[schemars(title = "Table prefix", extend("order" = 1), example = &"raw_")]
    pub table_prefix: String,
    /// How long to wait for another program that writes to the file, in seconds.
    #[serde(default = "default_lock_timeout")]
    #[schemars(
        title = "Lock timeout in seconds",
        extend("order" = 2),
        range(min = 0, max = 3600)
    )]
    pub lock_timeout_seconds: u32,
    /// Write raw tables instead of typed ones: `_airbyte_raw_<stream>` with the records as they came.
    #[serde(default)]
    #[schemars(title = "Raw tables", extend("order" = 3))]
    pub raw_tables: bool,
    /// Normalize the records after each sync: nested values become flat tables. Switches raw tables on.
    #[serde(default)]
    #[schemars(title = "Normalization", extend("order" = 4))]
    pub normalization: Normalization,
}

fn default_lock_timeout() -> u32 {
    30
}

impl Config {
    /// Whether records are kept as they came.
    pub(crate) fn is_raw(&self) -> bool {
        self.raw_tables || self.normalization.settings().is_some()
    }

    pub(crate) fn lock_timeout(&self) -> Duration {
        Duration::from_secs(self.lock_timeout_seconds.into())
    }
}
