//! Tokens that are fetched, expire, and are fetched again.

use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use cdk_core::{Result, SecretString};
use serde_json::Value;
use tokio::sync::Mutex;

use crate::auth::{Authenticator, Grant};
use crate::client::HttpClient;
use crate::request::{Placement, Request};

/// No token is used closer to its end than this, or than a fifth of its life if that is less.
const MARGIN: Duration = Duration::from_secs(60);

/// Where tokens come from: a login, an OAuth server, a key that signs them.
///
/// Called by one task at a time; the others wait for its result.
#[async_trait]
pub trait TokenSource: Debug + Send + Sync + 'static {
    /// A new token. `client` sends requests without credentials.
    async fn fetch(&self, client: &HttpClient) -> Result<Token>;

    /// Whether fetching again brings another token, after one was refused.
    fn is_renewable(&self) -> bool {
        true
    }
}

/// A token, and for how long it is good.
#[derive(Debug, Clone)]
pub struct Token {
    /// The token itself.
    pub secret: SecretString,
    /// How long it can be used from now on; without one, until it is refused.
    pub lifetime: Option<Duration>,
}

/// Adds a token to each request. It is fetched before the first, again shortly before it expires, and again when the
/// server refuses it; never twice at the same time.
#[derive(Debug)]
pub struct TokenAuth<S> {
    source: S,
    placement: Placement,
    prefix: String,
    held: Mutex<Held>,
    /// Tokens up to this generation were refused.
    refused: AtomicU64,
}

#[derive(Debug, Default)]
struct Held {
    token: Option<SecretString>,
    /// Counts tokens; 0 stands for none.
    generation: u64,
    /// When to fetch the next, in milliseconds since the Unix epoch.
    renew_at_ms: Option<i64>,
}

impl<S: TokenSource> TokenAuth<S> {
    /// Sends the tokens of `source` as `Authorization: Bearer …`.
    pub fn bearer(source: S) -> Self {
        Self::new(source, Placement::header("authorization"), "Bearer ")
    }

    /// Sends the tokens of `source` at any place, behind `prefix`.
    pub fn new(source: S, placement: Placement, prefix: impl Into<String>) -> Self {
        Self {
            source,
            placement,
            prefix: prefix.into(),
            held: Mutex::default(),
            refused: AtomicU64::new(0),
        }
    }

    /// Where the tokens come from.
    pub fn source(&self) -> &S {
        &self.source
    }

    async fn current(&self, client: &HttpClient) -> Result<(SecretString, Grant)> {
        let mut held = self.held.lock().await;
        let is_due = held
            .renew_at_ms
            .is_some_and(|due| client.context().now_ms() >= due);
        let is_refused = held.generation <= self.refused.load(Ordering::SeqCst);
        if let Some(token) = held.token.as_ref().filter(|_| !is_due && !is_refused) {
            return Ok((token.clone(), Grant(held.generation)));
        }
        let token = self.source.fetch(client).await?;
        client.context().secrets().add(token.secret.expose());
        held.generation += 1;
        held.renew_at_ms = token.lifetime.map(|lifetime| {
            let usable = lifetime - MARGIN.min(lifetime / 5);
            let usable = i64::try_from(usable.as_millis()).unwrap_or(i64::MAX);
            client.context().now_ms().saturating_add(usable)
        });
        held.token = Some(token.secret.clone());
        Ok((token.secret, Grant(held.generation)))
    }
}

#[async_trait]
impl<S: TokenSource> Authenticator for TokenAuth<S> {
    async fn authorize(&self, request: &mut Request, client: &HttpClient) -> Result<Grant> {
        let (token, grant) = self.current(client).await?;
        let value = Value::String(format!("{}{}", self.prefix, token.expose()));
        self.placement.set(request, &value)?;
        Ok(grant)
    }

    fn renew(&self, grant: Grant) -> bool {
        // Another request may have been refused with the same token before: then it is renewed already.
        self.refused.fetch_max(grant.0, Ordering::SeqCst);
        self.source.is_renewable()
    }
}
