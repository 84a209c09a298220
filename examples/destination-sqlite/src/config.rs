//! The connector's config.

use std::path::PathBuf;
use std::time::Duration;

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
}

fn default_lock_timeout() -> u32 {
    30
}

impl Config {
    pub(crate) fn lock_timeout(&self) -> Duration {
        Duration::from_secs(self.lock_timeout_seconds.into())
    }
}
