//! What the streams of one API share.

use std::sync::Arc;

use cdk_core::{Context, Result};
use reqwest::Url;

use crate::auth::Authenticator;
use crate::budget::Budget;
use crate::cache::ResponseCache;
use crate::client::HttpClient;
use crate::errors::ErrorHandler;
use crate::stream::HttpStream;
use crate::timer::Timer;
use crate::url;

/// An API: its base URL, and the client that all its streams go through. Cheap to clone.
#[derive(Debug, Clone)]
pub struct HttpApi {
    pub(super) client: HttpClient,
    pub(super) base: Url,
    pub(super) headers: Vec<(String, String)>,
    pub(super) query: Vec<(String, String)>,
    /// Pages that several streams need.
    pub(super) shared_pages: ResponseCache,
}

impl HttpApi {
    /// The API at `base`, over the network.
    pub fn new(base: &str, context: &Context) -> Result<Self> {
        Self::of_client(base, HttpClient::of_network(context)?)
    }

    /// The API at `base`, through a client of one's own: another transport or timer.
    pub fn of_client(base: &str, client: HttpClient) -> Result<Self> {
        Ok(Self {
            client,
            base: url::parse(base)?,
            headers: Vec::new(),
            query: Vec::new(),
            shared_pages: ResponseCache::new(),
        })
    }

    /// Adds these credentials to each request.
    #[must_use]
    pub fn auth(self, auth: impl Authenticator) -> Self {
        self.auth_shared(Arc::new(auth))
    }

    /// The same for credentials that are chosen at run time.
    #[must_use]
    pub fn auth_shared(mut self, auth: Arc<dyn Authenticator>) -> Self {
        self.client = self.client.with_auth(auth);
        self
    }

    /// Keeps within this budget.
    #[must_use]
    pub fn budget(mut self, budget: Budget) -> Self {
        self.client = self.client.with_budget(budget);
        self
    }

    /// Lets this handler decide about answers.
    #[must_use]
    pub fn errors(mut self, errors: impl ErrorHandler) -> Self {
        self.client = self.client.with_errors(Arc::new(errors));
        self
    }

    /// Waits on this timer.
    #[must_use]
    pub fn timer(mut self, timer: impl Timer) -> Self {
        self.client = self.client.with_timer(Arc::new(timer));
        self
    }

    /// Adds a header to each request.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Adds a query parameter to each request.
    #[must_use]
    pub fn query(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.query.push((name.into(), value.into()));
        self
    }

    /// A stream of this API: `path` is below the base URL, and may hold values of a parent's records as `{name}`.
    pub fn stream(&self, name: impl Into<String>, path: impl Into<String>) -> HttpStream {
        HttpStream::new(self.clone(), name.into(), path.into())
    }
}
