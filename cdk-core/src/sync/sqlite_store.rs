//! A state store in an SQLite file.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};

use crate::error::{ConnectorError, ErrorContext, Result};
use crate::sync::FileStateStore;
use crate::sync::state_store::{Lease, SavedConnection, StateStore};

/// Keeps all connections in the table `cdk_connections` of one SQLite file.
#[derive(Debug, Clone)]
pub struct SqliteStateStore {
    path: PathBuf,
}

impl SqliteStateStore {
    /// A store in the file at `path`, which is made when it is missing.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Runs `work` on a thread that may block.
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let path = self.path.clone();
        let run = tokio::task::spawn_blocking(move || work(&open(&path)?));
        let done = run
            .await
            .system_error("The thread that keeps the state crashed.")?;
        done.config_error(format!(
            "The state database {} can't be used. Check the path, free space and permissions.",
            self.path.display()
        ))
    }
}

fn open(path: &PathBuf) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(30))?;
    connection.execute_batch(
        "PRAGMA synchronous = FULL;
         CREATE TABLE IF NOT EXISTS cdk_connections (name TEXT PRIMARY KEY, saved TEXT NOT NULL)",
    )?;
    Ok(connection)
}

#[async_trait]
impl StateStore for SqliteStateStore {
    /// A lock file beside the database: it ends with its process, as a row in a table would not.
    async fn acquire(&self, connection: &str) -> Result<Lease> {
        let mut directory = self.path.clone().into_os_string();
        directory.push(".locks");
        FileStateStore::new(directory).acquire(connection).await
    }

    async fn load(&self, connection: &str) -> Result<Option<SavedConnection>> {
        let name = connection.to_owned();
        let text: Option<String> = self
            .with(move |db| {
                let query = "SELECT saved FROM cdk_connections WHERE name = ?1";
                db.query_row(query, [name], |row| row.get(0)).optional()
            })
            .await?;
        let Some(text) = text else { return Ok(None) };
        let saved = serde_json::from_str(&text).map_err(|error| {
            ConnectorError::config(format!(
                "The saved state of connection {connection} in {} is damaged. Remove it to sync from \
                 the start.",
                self.path.display()
            ))
            .caused_by(error)
        })?;
        Ok(Some(saved))
    }

    async fn save(&self, connection: &str, saved: &SavedConnection) -> Result<()> {
        let name = connection.to_owned();
        let text =
            serde_json::to_string(saved).system_error("The state could not be written as JSON.")?;
        self.with(move |db| {
            let upsert = "INSERT INTO cdk_connections VALUES (?1, ?2)
                          ON CONFLICT (name) DO UPDATE SET saved = excluded.saved";
            db.execute(upsert, params![name, text]).map(drop)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_saved_comes_back_for_its_connection_only() {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStateStore::new(dir.path().join("state.sqlite"));
        let mut saved = SavedConnection {
            sync_id: 5,
            ..Default::default()
        };
        assert_eq!(store.load("a").await.unwrap(), None);
        store.save("a", &saved).await.unwrap();
        saved.sync_id = 6;
        store.save("a", &saved).await.unwrap();
        assert_eq!(store.load("a").await.unwrap(), Some(saved));
        assert_eq!(store.load("b").await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_second_sync_of_a_connection_is_kept_out() {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStateStore::new(dir.path().join("state.sqlite"));
        let _lease = store.acquire("a").await.unwrap();
        assert!(store.acquire("a").await.is_err());
    }
}
