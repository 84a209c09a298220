//! A sync that the kill tests kill: `kill-victim MODE COUNT DIRECTORY [CONFIG]`, committing often: faker to SQLite, or to
//! PostgreSQL when the config of that destination is given.
//!
//! Exits with 0 once every stream is complete.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use cdk_core::WriteSettings;
use cdk_core::sync::{FileStateStore, Mode, StreamSelection, Sync};
use destination_postgres::PostgresDestination;
use destination_sqlite::SqliteDestination;
use serde_json::{Value, json};
use source_faker::SourceFaker;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (mode, count, directory, postgres) = match arguments.as_slice() {
        [mode, count, directory] => (mode, count, directory, None),
        [mode, count, directory, config] => (mode, count, directory, Some(config.as_str())),
        _ => return ExitCode::from(2),
    };
    match sync(mode, count, Path::new(directory), postgres).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn sync(
    mode: &str,
    count: &str,
    directory: &Path,
    postgres: Option<&str>,
) -> Result<(), String> {
    let mode: Mode = mode.parse()?;
    let count: i64 = count
        .parse()
        .map_err(|_| "COUNT must be a number".to_owned())?;
    let source = json!({"count": count, "records_per_slice": 100, "parallelism": 3});
    let builder = Sync::builder().source(SourceFaker, source);
    let builder = match postgres {
        None => {
            let config = json!({"path": directory.join("data.sqlite")});
            builder.destination(SqliteDestination::default(), config)
        }
        Some(config) => {
            let config: Value = serde_json::from_str(config).map_err(|error| error.to_string())?;
            builder.destination(PostgresDestination, config)
        }
    };
    let sync = builder
        .state_store(FileStateStore::new(directory.join("state")))
        .stream(StreamSelection::new("users").with_mode(mode))
        .stream(StreamSelection::new("purchases").with_mode(mode))
        .write_settings(WriteSettings::new(32 << 10, Duration::from_millis(50)))
        // Batches of a few kilobytes: many commits, many states, many moments to be killed at.
        .memory_budget(1 << 20)
        .build()
        .map_err(|error| error.to_string())?;
    sync.run()
        .await
        .map(drop)
        .map_err(|error| error.to_string())
}
