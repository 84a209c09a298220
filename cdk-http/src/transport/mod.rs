//! The seam to the network: one method, so that mocks, recorders and embedders plug in.

mod classify;
mod client;
mod settings;

use std::error::Error as StdError;
use std::fmt;

use async_trait::async_trait;

use crate::request::Request;
use crate::response::Response;

pub use client::HttpTransport;
pub use settings::{Proxy, TransportSettings};

/// Sends one request and returns the head of its answer; the body follows in chunks.
///
/// Called by many tasks at once. One try: retries, credentials, budgets and caches are layers above it
/// ([`HttpClient`](crate::HttpClient)). Dropping the future or the response gives the exchange up.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// One exchange. Any status is an answer; an error means that there is none.
    async fn send(&self, request: Request) -> Result<Response, TransportError>;
}

/// Why there is no answer, or only a part of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// The host's name is unknown.
    Dns,
    /// No connection could be made.
    Connect,
    /// The server's certificate is not trusted.
    Certificate,
    /// TLS could not be agreed on.
    Tls,
    /// Nothing came in time.
    Timeout,
    /// Redirects in a circle, too many, or from https to an unprotected address.
    Redirect,
    /// The answer broke off or could not be unpacked.
    Body,
    /// The request could not be made: nothing was sent.
    Request,
    /// Anything else.
    Other,
}

/// A failed exchange. Its text and causes name no URL.
#[derive(Debug)]
pub struct TransportError {
    kind: TransportErrorKind,
    cause: Box<dyn StdError + Send + Sync>,
}

impl TransportError {
    /// An error of this kind.
    pub fn new(
        kind: TransportErrorKind,
        cause: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self {
            kind,
            cause: cause.into(),
        }
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> TransportErrorKind {
        self.kind
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            TransportErrorKind::Dns => "the host name could not be found",
            TransportErrorKind::Connect => "no connection could be made",
            TransportErrorKind::Certificate => "the server's certificate is not trusted",
            TransportErrorKind::Tls => "no encrypted connection could be agreed on",
            TransportErrorKind::Timeout => "the server did not answer in time",
            TransportErrorKind::Redirect => {
                "the server redirects in a circle, too often, or to an unprotected address"
            }
            TransportErrorKind::Body => "the answer broke off",
            TransportErrorKind::Request => "the request could not be made",
            TransportErrorKind::Other => "the exchange failed",
        })
    }
}

impl StdError for TransportError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(self.cause.as_ref())
    }
}
