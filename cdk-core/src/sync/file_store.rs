//! A state store of one JSON file per connection.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use crate::error::{ConnectorError, ErrorContext, Result};
use crate::sync::state_store::{Lease, SavedConnection, StateStore};

/// Keeps `<directory>/<connection>.json`, readable by this user only.
///
/// Saving writes a new file, syncs it and renames it over the old one. A lock file beside it keeps a
/// second sync of the same connection out; the lock ends with its process.
#[derive(Debug, Clone)]
pub struct FileStateStore {
    directory: PathBuf,
}

impl FileStateStore {
    /// A store in `directory`, which is made when the first state is saved.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
        }
    }

    /// The file of a connection. Characters that don't belong into file names are encoded.
    pub fn path(&self, connection: &str) -> PathBuf {
        self.directory
            .join(format!("{}.json", file_name(connection)))
    }

    fn open_lock(&self, connection: &str) -> io::Result<File> {
        fs::create_dir_all(&self.directory)?;
        let path = self
            .directory
            .join(format!("{}.lock", file_name(connection)));
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
    }
}

#[async_trait]
impl StateStore for FileStateStore {
    async fn acquire(&self, connection: &str) -> Result<Lease> {
        let lock = self.open_lock(connection).config_error(format!(
            "The state directory {} can't be written.",
            self.directory.display()
        ))?;
        lock.try_lock().transient_error(format!(
            "Another sync of connection {connection} is running. Wait for it to end."
        ))?;
        Ok(Box::new(lock))
    }

    async fn load(&self, connection: &str) -> Result<Option<SavedConnection>> {
        let path = self.path(connection);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                let text = format!("The state file {} can't be read.", path.display());
                return Err(ConnectorError::config(text).caused_by(error));
            }
        };
        let saved = serde_json::from_str(&text).config_error(format!(
            "The state file {} is damaged. Restore it, or remove it to sync from the start.",
            path.display()
        ))?;
        Ok(Some(saved))
    }

    async fn save(&self, connection: &str, saved: &SavedConnection) -> Result<()> {
        let path = self.path(connection);
        let text = serde_json::to_vec_pretty(saved)
            .system_error("The state could not be written as JSON.")?;
        let shown = path.display().to_string();
        let replaced = tokio::task::spawn_blocking(move || replace(&path, &text));
        let replaced = replaced
            .await
            .system_error("The thread that keeps the state crashed.")?;
        replaced.config_error(format!(
            "The state file {shown} can't be written. Check free space and permissions; the sync can't go \
             on without its state."
        ))
    }
}

fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(directory)?;
    let new = path.with_extension("json.new");
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    // The rename itself is durable only once the directory is.
    File::open(directory)?.sync_all()
}

fn file_name(connection: &str) -> String {
    let mut name = String::new();
    for char in connection.chars() {
        match char {
            '/' | '\\' | '%' | '\0' => name.push_str(&format!("%{:02X}", u32::from(char))),
            '.' if name.is_empty() => name.push_str("%2E"),
            char => name.push(char),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_saved_comes_back_for_its_connection_only() {
        let dir = tempfile::tempdir().unwrap();
        let store = FileStateStore::new(dir.path().join("state"));
        let saved = SavedConnection {
            sync_id: 5,
            ..Default::default()
        };
        assert_eq!(store.load("PostgreSQL → MinIO").await.unwrap(), None);
        store.save("PostgreSQL → MinIO", &saved).await.unwrap();
        assert_eq!(store.load("PostgreSQL → MinIO").await.unwrap(), Some(saved));
        assert_eq!(store.load("other").await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_second_sync_of_a_connection_is_kept_out() {
        let dir = tempfile::tempdir().unwrap();
        let store = FileStateStore::new(dir.path());
        let lease = store.acquire("a").await.unwrap();
        let error = store.acquire("a").await.unwrap_err();
        assert!(
            error.message().contains("Another sync of connection a"),
            "{error}"
        );
        store.acquire("b").await.unwrap();
        drop(lease);
        store.acquire("a").await.unwrap();
    }

    #[tokio::test]
    async fn a_damaged_file_is_a_config_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let store = FileStateStore::new(dir.path());
        fs::write(store.path("a"), "{oops").unwrap();
        let error = store.load("a").await.unwrap_err();
        assert!(error.message().contains("a.json is damaged"), "{error}");
    }

    #[test]
    fn a_connection_name_never_leaves_the_directory() {
        assert_eq!(file_name("../a/b"), "%2E.%2Fa%2Fb");
    }
}
