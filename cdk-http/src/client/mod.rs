//! One request until it succeeds or fails for good: credentials, budgets, error handling and waits around a transport.

mod failure;
mod tries;

use std::fmt;
use std::sync::Arc;

use airbyte_protocol::StreamDescriptor;
use cdk_core::{Context, Result};

use crate::auth::{Authenticator, NoAuth};
use crate::budget::Budget;
use crate::cache::ResponseCache;
use crate::errors::{DefaultErrorHandler, ErrorHandler};
use crate::request::Request;
use crate::response::Response;
use crate::timer::{SystemTimer, Timer};
use crate::transport::{HttpTransport, Transport, TransportSettings};

/// Sends requests for one stream or for a whole API. Cheap to clone; clones share connections, credentials, budgets and
/// cache.
///
/// Each try of a request goes, in this order, through: credentials, budget, transport, error handler. A retry waits in
/// between, and goes through all of them again. Waits end at once when the run is asked to stop.
#[derive(Clone)]
pub struct HttpClient {
    transport: Arc<dyn Transport>,
    context: Context,
    timer: Arc<dyn Timer>,
    auth: Arc<dyn Authenticator>,
    errors: Arc<dyn ErrorHandler>,
    budget: Option<Budget>,
    cache: Option<ResponseCache>,
    stream: Option<StreamDescriptor>,
}

/// How a request ended, other than by an error.
#[derive(Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// An answer to read.
    Success(Response),
    /// An answer that the error handler ignores: there is nothing to read, and no further page.
    Ignored(Response),
    /// The error handler wants the pages to begin anew.
    ResetPagination(Response),
}

impl Outcome {
    /// The answer, if it is one to read.
    pub fn success(self) -> Option<Response> {
        match self {
            Self::Success(response) => Some(response),
            Self::Ignored(_) | Self::ResetPagination(_) => None,
        }
    }
}

impl HttpClient {
    /// A client without credentials and budget, with the [default error handling](DefaultErrorHandler) and a timer
    /// [from the environment](SystemTimer::from_env).
    pub fn new(transport: Arc<dyn Transport>, context: &Context) -> Self {
        Self {
            transport,
            context: context.clone(),
            timer: Arc::new(SystemTimer::from_env()),
            auth: Arc::new(NoAuth),
            errors: Arc::new(DefaultErrorHandler::new()),
            budget: None,
            cache: None,
            stream: None,
        }
    }

    /// The same over the network, with settings [from the environment](TransportSettings::from_env).
    pub fn of_network(context: &Context) -> Result<Self> {
        let transport = HttpTransport::new(&TransportSettings::from_env())?;
        Ok(Self::new(Arc::new(transport), context))
    }

    /// Adds these credentials to each request.
    #[must_use]
    pub fn with_auth(mut self, auth: Arc<dyn Authenticator>) -> Self {
        self.auth = auth;
        self
    }

    /// Lets this handler decide about answers.
    #[must_use]
    pub fn with_errors(mut self, errors: Arc<dyn ErrorHandler>) -> Self {
        self.errors = errors;
        self
    }

    /// Keeps within this budget.
    #[must_use]
    pub fn with_budget(mut self, budget: Budget) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Waits on this timer.
    #[must_use]
    pub fn with_timer(mut self, timer: Arc<dyn Timer>) -> Self {
        self.timer = timer;
        self
    }

    /// Keeps successful answers in this cache and takes them from there.
    #[must_use]
    pub fn with_cache(mut self, cache: ResponseCache) -> Self {
        self.cache = Some(cache);
        self
    }

    /// Names the stream in errors and statuses.
    #[must_use]
    pub fn for_stream(mut self, stream: &StreamDescriptor) -> Self {
        self.stream = Some(stream.clone());
        self
    }

    /// The same without credentials, budget and cache, with the default error handling: for logins.
    #[must_use]
    pub fn bare(&self) -> Self {
        Self {
            auth: Arc::new(NoAuth),
            errors: Arc::new(DefaultErrorHandler::new()),
            budget: None,
            cache: None,
            ..self.clone()
        }
    }

    /// The host of this run.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// What waits run on.
    pub fn timer(&self) -> &Arc<dyn Timer> {
        &self.timer
    }

    /// What requests go through.
    pub fn transport(&self) -> &Arc<dyn Transport> {
        &self.transport
    }

    /// The stream it works for.
    pub fn stream(&self) -> Option<&StreamDescriptor> {
        self.stream.as_ref()
    }

    /// Sends `request`, over as many tries as it takes; the body of the answer comes in chunks. A body that breaks off
    /// on its way is the caller's to deal with ([`fetch`](Self::fetch) does).
    pub async fn send(&self, request: Request) -> Result<Outcome> {
        self.try_until_done(request, 0).await
    }

    /// The same, and reads the body before it returns: one that breaks off is fetched again. A body longer than `limit`
    /// is handed on unread behind the part that was read, as from [`send`](Self::send).
    pub async fn fetch(&self, request: Request, limit: usize) -> Result<Outcome> {
        let Some(cache) = &self.cache else {
            return self.try_until_done(request, limit).await;
        };
        cache
            .get_or_fetch(request, |request| self.try_until_done(request, limit))
            .await
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient")
            .field("auth", &self.auth)
            .field("errors", &self.errors)
            .field("budget", &self.budget)
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}
