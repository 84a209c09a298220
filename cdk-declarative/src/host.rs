//! What all components of a source share: network, clocks, the config, registered custom components.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use cdk_core::{Clock, ConnectorError, Context, Result};
use cdk_http::budget::Budget;
use cdk_http::cache::ResponseCache;
use cdk_http::timer::Timer;
use cdk_http::{Request, Transport, TransportError};
use serde_json::Value;

use crate::custom::Registry;
use crate::requester::body::Body;
use crate::requester::response::PageResponse;
use crate::template::Scope;
use crate::test_read::{Limits, Recorder};

/// Shared by all components of one run.
pub(crate) struct Host {
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) timer: Arc<dyn Timer>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) context: Context,
    pub(crate) registry: Registry,
    pub(crate) budget: Option<Budget>,
    pub(crate) cache: ResponseCache,
    /// Jobs of APIs that may run at the same time.
    pub(crate) jobs: tokio::sync::Semaphore,
    /// Set in a test read: few pages and slices, no retries, no cache.
    pub(crate) limits: Option<Limits>,
    pub(crate) recorder: Option<Arc<Recorder>>,
    config: RwLock<Arc<Value>>,
    token_turn: tokio::sync::Mutex<()>,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Host")
    }
}

/// What [`Host::new`] takes.
pub(crate) struct HostParts {
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) timer: Arc<dyn Timer>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) context: Context,
    pub(crate) registry: Registry,
    pub(crate) budget: Option<Budget>,
    pub(crate) limits: Option<Limits>,
    pub(crate) recorder: Option<Arc<Recorder>>,
    pub(crate) max_jobs: usize,
    pub(crate) config: Value,
}

impl Host {
    pub(crate) fn new(parts: HostParts) -> Self {
        Self {
            transport: parts.transport,
            timer: parts.timer,
            clock: parts.clock,
            context: parts.context,
            registry: parts.registry,
            budget: parts.budget,
            cache: ResponseCache::new(),
            jobs: tokio::sync::Semaphore::new(parts.max_jobs.max(1)),
            limits: parts.limits,
            recorder: parts.recorder,
            config: RwLock::new(Arc::new(parts.config)),
            token_turn: tokio::sync::Mutex::default(),
        }
    }

    /// The config as it is now; rotated tokens change it.
    pub(crate) fn config(&self) -> Arc<Value> {
        let config = self.config.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&config)
    }

    /// Has the platform persist a changed config, then uses it.
    pub(crate) async fn replace_config(&self, config: Value) -> Result<()> {
        self.context.persist_config(&config).await?;
        let mut current = self.config.write().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(config);
        Ok(())
    }

    /// Puts values over those of the config, for a check only.
    pub(crate) fn override_config(&self, overrides: &serde_json::Map<String, Value>) {
        let mut current = self.config.write().unwrap_or_else(PoisonError::into_inner);
        let mut config = current.as_ref().clone();
        if let Value::Object(map) = &mut config {
            map.extend(overrides.clone());
        }
        *current = Arc::new(config);
    }

    /// What templates see without a slice.
    pub(crate) fn scope<'a>(&'a self, config: &'a Value) -> Scope<'a> {
        Scope::new(config, self.clock.as_ref())
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Microseconds since the Unix epoch.
    pub(crate) fn now_us(&self) -> i64 {
        self.clock.now_us()
    }

    /// A token was fetched: it is masked from now on.
    pub(crate) fn register_secret(&self, secret: &str) {
        self.context.secrets().add(secret);
    }

    /// Held while tokens are refreshed, over all authenticators.
    pub(crate) async fn token_turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.token_turn.lock().await
    }

    /// Waits, unless the run is asked to stop.
    pub(crate) async fn sleep(&self, wait: Duration) -> Result<()> {
        tokio::select! {
            () = self.context.stop().cancelled() => Err(ConnectorError::stopped()),
            () = self.timer.sleep(wait) => Ok(()),
        }
    }

    /// Sends a request once and reads the whole answer.
    pub(crate) async fn exchange(
        &self,
        request: Request,
    ) -> std::result::Result<PageResponse, TransportError> {
        let mut response = self.transport.send(request).await?;
        let body = Body::receive(&mut response).await?;
        Ok(PageResponse {
            status: response.status,
            headers: response.headers,
            url: response.url,
            body,
            asked_with: None,
        })
    }
}
