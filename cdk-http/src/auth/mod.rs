//! Credentials: added to each try of a request, renewed when they expire or are refused.

mod answer;
mod jwt;
mod oauth;
mod rotating;
mod session;
mod signing;
mod sigv4;
mod simple;
mod stored;
mod token;

use std::fmt::Debug;

use async_trait::async_trait;
use cdk_core::Result;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;

use crate::client::HttpClient;
use crate::request::Request;

pub use jwt::Jwt;
pub use oauth::{OAuth, OAuthNames, RefusedTokens, TokenSet, TokenStore};
pub use rotating::RotatingTokens;
pub use session::SessionLogin;
pub use signing::SigningKey;
pub use sigv4::AwsSigV4;
pub use simple::{ApiKey, Basic, Bearer, NoAuth};
pub use stored::ConfigStore;
pub use token::{Token, TokenAuth, TokenSource};

/// Adds credentials to requests.
///
/// Called by many tasks at once, once for each try of a request, as the last that changes it.
#[async_trait]
pub trait Authenticator: Debug + Send + Sync + 'static {
    /// Adds the credentials; fetches or renews them first when that is due.
    ///
    /// `client` sends requests without credentials, with the connector's transport and timer, for login and refresh.
    /// Fetched secrets are registered with the client's context before they are used.
    async fn authorize(&self, request: &mut Request, client: &HttpClient) -> Result<Grant>;

    /// The server refused what `grant` stands for. True if the next [`authorize`](Self::authorize) brings something
    /// else, so that another try makes sense. Called once per request at most.
    fn renew(&self, _grant: Grant) -> bool {
        false
    }

    /// The limit of what `grant` stands for is used up. True if the next [`authorize`](Self::authorize) brings
    /// credentials with a limit of their own, so that there is no need to wait.
    fn switch(&self, _grant: Grant) -> bool {
        false
    }

    /// Sees the head of each answer to a request with `grant`, for those that count quotas. `now_ms` is the wall clock.
    fn observe(&self, _grant: Grant, _status: StatusCode, _headers: &HeaderMap, _now_ms: i64) {}
}

/// Which of an authenticator's credentials a request went out with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Grant(pub u64);
