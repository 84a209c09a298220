//! What an answer means: success, a failure that somebody must act on, or one more try after a wait.

mod backoff;
mod defaults;
mod filter;
mod handler;
mod message;

use airbyte_protocol::FailureType;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::transport::TransportError;

pub use backoff::{
    Backoff, Constant, Exponential, HeaderWait, Jitter, RetryAfter, UntilHeader, header_wait,
};
pub use defaults::{status_default, transport_default};
pub use filter::ResponseFilter;
pub use handler::{DefaultErrorHandler, ErrorHandler, RetryLimits};
pub use message::api_message;

/// What to do about an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResponseAction {
    /// Read it.
    Success,
    /// Try again after a wait.
    Retry,
    /// Give up with an error.
    Fail,
    /// Go on as if there were nothing to read.
    Ignore,
    /// Try again once the server's limit allows it.
    RateLimited,
    /// Renew the credentials and try again.
    RefreshTokenThenRetry,
    /// Begin again at the first page.
    ResetPagination,
}

/// The action for one answer, and what the user is told if it ends the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// What to do.
    pub action: ResponseAction,
    /// Who has to act if it fails, also after retries.
    pub failure_type: FailureType,
    /// What the user is told instead of the default message.
    pub message: Option<String>,
}

impl Resolution {
    /// A resolution without a message of its own.
    pub fn new(action: ResponseAction, failure_type: FailureType) -> Self {
        Self {
            action,
            failure_type,
            message: None,
        }
    }

    /// Read it.
    pub fn success() -> Self {
        Self::new(ResponseAction::Success, FailureType::SystemError)
    }

    /// Sets what the user is told.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }
}

/// An answer as error handlers see it.
#[derive(Clone, Copy)]
pub struct Answer<'a> {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Its body, or the start of a long one; empty when it was not read (a success that nobody inspects).
    pub body: &'a [u8],
}

impl Answer<'_> {
    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as JSON, if it is that.
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(self.body).ok()
    }

    /// The API's own words about what went wrong.
    pub fn api_message(&self) -> Option<String> {
        api_message(self.body)
    }
}

impl std::fmt::Debug for Answer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// How one try ended.
#[derive(Debug, Clone, Copy)]
pub enum Attempt<'a> {
    /// With an answer.
    Answered(Answer<'a>),
    /// Without one.
    Failed(&'a TransportError),
}

impl<'a> Attempt<'a> {
    /// The answer, if there is one.
    pub fn answer(&self) -> Option<&Answer<'a>> {
        match self {
            Self::Answered(answer) => Some(answer),
            Self::Failed(_) => None,
        }
    }
}
