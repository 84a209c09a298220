//! Connections that the loaders share: a few, however many streams there are.

use std::sync::{Arc, Mutex, PoisonError};

use cdk_core::{ErrorContext, Result};
use cdk_sql_postgres::Connector;
use cdk_sql_postgres::tokio_postgres::Client;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::PgContext;

/// The settings of every session: values mean the same whatever the defaults of server and user are.
const SESSION: &str = "SET client_min_messages = warning; SET timezone = 'UTC'; SET datestyle = 'ISO'; \
     SET intervalstyle = 'iso_8601'; SET lock_timeout = '10min'; SET statement_timeout = 0; \
     SET idle_in_transaction_session_timeout = 0";

/// The connections to one server.
#[derive(Debug, Clone)]
pub(crate) struct Pool(Arc<Inner>);

struct Inner {
    connector: Connector,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Client>>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner")
            .field("permits", &self.permits)
            .finish_non_exhaustive()
    }
}

impl Pool {
    /// At most `connections` at a time.
    pub(crate) fn new(connector: Connector, connections: usize) -> Self {
        Self(Arc::new(Inner {
            connector,
            permits: Arc::new(Semaphore::new(connections)),
            idle: Mutex::new(Vec::new()),
        }))
    }

    /// Waits until a connection may be used, and opens one unless one is idle.
    pub(crate) async fn lease(&self) -> Result<Lease> {
        let permits = Arc::clone(&self.0.permits);
        let permit = permits.acquire_owned().await;
        let permit = permit.system_error("The pool of connections was closed.")?;
        let idle = self.idle().pop().filter(|client| !client.is_closed());
        let client = match idle {
            Some(client) => client,
            None => self.open().await?,
        };
        Ok(Lease {
            client,
            permit,
            pool: self.clone(),
        })
    }

    /// Opens a connection that counts for nobody.
    pub(crate) async fn open(&self) -> Result<Client> {
        let client = self.0.connector.client().await?;
        let set = client.batch_execute(SESSION).await;
        set.pg(|| "setting up the session".to_owned())?;
        Ok(client)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Client>> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection in use. It is closed when dropped: what state it is in then, nobody knows.
pub(crate) struct Lease {
    client: Client,
    permit: OwnedSemaphorePermit,
    pool: Pool,
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lease").finish_non_exhaustive()
    }
}

impl Lease {
    /// The connection.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Begins a transaction.
    pub(crate) async fn begin(&self) -> Result<()> {
        let begun = self.client.batch_execute("BEGIN").await;
        begun.pg(|| "beginning a transaction".to_owned())
    }

    /// Commits the transaction and gives the connection back.
    pub(crate) async fn commit(self, doing: impl FnOnce() -> String) -> Result<()> {
        self.client.batch_execute("COMMIT").await.pg(doing)?;
        self.give_back();
        Ok(())
    }

    /// The connection is idle, outside of a transaction.
    pub(crate) fn give_back(self) {
        let Self {
            client,
            permit,
            pool,
        } = self;
        pool.idle().push(client);
        drop(permit);
    }
}
