//! A state store in memory, for tests and one-off syncs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use crate::error::{ErrorContext, Result};
use crate::sync::state_store::{Lease, SavedConnection, StateStore};

/// Keeps state as long as a clone of it lives.
#[derive(Debug, Clone, Default)]
pub struct MemoryStateStore {
    saved: Arc<Mutex<HashMap<String, SavedConnection>>>,
    running: Arc<Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>>,
}

#[async_trait]
impl StateStore for MemoryStateStore {
    async fn acquire(&self, connection: &str) -> Result<Lease> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let lock = running.entry(connection.to_owned()).or_default();
        let lease = Arc::clone(lock).try_lock_owned().transient_error(format!(
            "Another sync of connection {connection} is running. Wait for it to end."
        ))?;
        Ok(Box::new(lease))
    }

    async fn load(&self, connection: &str) -> Result<Option<SavedConnection>> {
        let saved = self.saved.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(saved.get(connection).cloned())
    }

    async fn save(&self, connection: &str, new: &SavedConnection) -> Result<()> {
        let mut saved = self.saved.lock().unwrap_or_else(PoisonError::into_inner);
        saved.insert(connection.to_owned(), new.clone());
        Ok(())
    }
}
