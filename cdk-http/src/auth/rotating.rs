//! Several tokens, each with a quota of its own.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use cdk_core::{ConnectorError, Result, SecretString};
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::auth::{Authenticator, Grant};
use crate::client::HttpClient;
use crate::errors::header_wait;
use crate::request::{Placement, Request};

/// How long a token rests that is used up, when the API does not say.
const DEFAULT_REST_MS: i64 = 60_000;

/// Takes, for each request, the token with the most quota left, and waits only when all are used up.
///
/// What is left is learned from the headers of answers. A token that is refused (401) is not used again.
///
/// ```
/// use cdk_core::SecretString;
/// use cdk_http::auth::RotatingTokens;
///
/// let tokens = ["one", "two"].map(SecretString::new);
/// let auth = RotatingTokens::bearer(tokens).headers("x-ratelimit-remaining", "x-ratelimit-reset");
/// ```
#[derive(Debug)]
pub struct RotatingTokens {
    placement: Placement,
    prefix: String,
    remaining_header: String,
    reset_header: String,
    reserve: u64,
    max_wait: Duration,
    tokens: Mutex<Vec<Quota>>,
}

/// One token, and what is known of its quota.
#[derive(Debug, Clone)]
struct Quota {
    token: SecretString,
    is_refused: bool,
    /// Unknown until the first answer, and again after a reset.
    remaining: Option<u64>,
    /// In milliseconds since the Unix epoch.
    reset_at_ms: Option<i64>,
}

impl RotatingTokens {
    /// Sends the tokens as `Authorization: Bearer …`.
    pub fn bearer(tokens: impl IntoIterator<Item = SecretString>) -> Self {
        Self::new(tokens, Placement::header("authorization"), "Bearer ")
    }

    /// Sends the tokens at any place, behind `prefix`.
    pub fn new(
        tokens: impl IntoIterator<Item = SecretString>,
        placement: Placement,
        prefix: impl Into<String>,
    ) -> Self {
        let tokens = tokens.into_iter().map(|token| Quota {
            token,
            is_refused: false,
            remaining: None,
            reset_at_ms: None,
        });
        Self {
            placement,
            prefix: prefix.into(),
            remaining_header: "x-ratelimit-remaining".to_owned(),
            reset_header: "x-ratelimit-reset".to_owned(),
            reserve: 0,
            max_wait: Duration::from_secs(2 * 3600),
            tokens: Mutex::new(tokens.collect()),
        }
    }

    /// Reads what is left, and when it is reset (seconds, or a time since the Unix epoch), from these headers.
    #[must_use]
    pub fn headers(mut self, remaining: impl Into<String>, reset: impl Into<String>) -> Self {
        self.remaining_header = remaining.into();
        self.reset_header = reset.into();
        self
    }

    /// Leaves so many requests of each quota to others.
    #[must_use]
    pub fn reserve(mut self, requests: u64) -> Self {
        self.reserve = requests;
        self
    }

    /// Sets how long to wait at most when all tokens are used up; two hours by default.
    #[must_use]
    pub fn max_wait(mut self, wait: Duration) -> Self {
        self.max_wait = wait;
        self
    }

    fn tokens(&self) -> MutexGuard<'_, Vec<Quota>> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The best token, or how long until there is one.
    fn pick(&self, now_ms: i64) -> Result<std::result::Result<(usize, SecretString), Duration>> {
        let mut tokens = self.tokens();
        for quota in tokens.iter_mut() {
            if quota.reset_at_ms.is_some_and(|at| at <= now_ms) {
                (quota.remaining, quota.reset_at_ms) = (None, None);
            }
        }
        let usable = tokens.iter_mut().enumerate().filter(|(_, quota)| {
            !quota.is_refused && quota.remaining.is_none_or(|left| left > self.reserve)
        });
        let best = usable.max_by_key(|(_, quota)| quota.remaining.unwrap_or(u64::MAX));
        if let Some((at, quota)) = best {
            // Requests that are under way are not in the API's count yet.
            quota.remaining = quota.remaining.map(|left| left.saturating_sub(1));
            return Ok(Ok((at, quota.token.clone())));
        }
        let resting = tokens.iter().filter(|quota| !quota.is_refused);
        let earliest = resting
            .map(|quota| quota.reset_at_ms.unwrap_or(now_ms))
            .min();
        let Some(earliest) = earliest else {
            return Err(ConnectorError::config(
                "The API refuses all tokens. Check the tokens in the config.",
            ));
        };
        let wait = u64::try_from(earliest.saturating_sub(now_ms)).unwrap_or(0);
        Ok(Err(Duration::from_millis(wait.max(1000))))
    }

    /// The tokens whose rest is over after a wait have quota again.
    fn rested(&self, until_ms: i64) {
        for quota in self.tokens().iter_mut() {
            if quota.reset_at_ms.is_none_or(|at| at <= until_ms) {
                (quota.remaining, quota.reset_at_ms) = (None, None);
            }
        }
    }

    fn has_other(&self) -> bool {
        self.tokens().iter().any(|quota| {
            !quota.is_refused && quota.remaining.is_none_or(|left| left > self.reserve)
        })
    }

    fn change(&self, grant: Grant, change: impl FnOnce(&mut Quota)) {
        let mut tokens = self.tokens();
        let at = usize::try_from(grant.0).ok();
        if let Some(quota) = at.and_then(|at| tokens.get_mut(at)) {
            change(quota);
        }
    }
}

#[async_trait]
impl Authenticator for RotatingTokens {
    async fn authorize(&self, request: &mut Request, client: &HttpClient) -> Result<Grant> {
        loop {
            let now_ms = client.context().now_ms();
            let wait = match self.pick(now_ms)? {
                Ok((at, token)) => {
                    client.context().secrets().add(token.expose());
                    let value = Value::String(format!("{}{}", self.prefix, token.expose()));
                    self.placement.set(request, &value)?;
                    return Ok(Grant(at as u64));
                }
                Err(wait) => wait,
            };
            if wait > self.max_wait {
                return Err(ConnectorError::transient(format!(
                    "All tokens are used up for {} minutes. Run the sync again later, or add tokens.",
                    wait.as_secs() / 60
                )));
            }
            tracing::info!("All tokens are used up; waiting {wait:.0?}.");
            client.unless_stopped(client.timer().sleep(wait)).await?;
            let waited = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
            self.rested(now_ms.saturating_add(waited));
        }
    }

    fn renew(&self, grant: Grant) -> bool {
        self.change(grant, |quota| quota.is_refused = true);
        self.tokens().iter().any(|quota| !quota.is_refused)
    }

    fn switch(&self, grant: Grant) -> bool {
        self.change(grant, |quota| quota.remaining = Some(0));
        self.has_other()
    }

    fn observe(&self, grant: Grant, status: StatusCode, headers: &HeaderMap, now_ms: i64) {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let remaining = text(&self.remaining_header).and_then(|text| text.trim().parse().ok());
        let reset = text(&self.reset_header).or_else(|| text("retry-after"));
        let reset = reset.and_then(|text| header_wait(text, now_ms));
        let reset =
            reset.map(|wait| now_ms + i64::try_from(wait.as_millis()).unwrap_or(i64::MAX / 2));
        self.change(grant, |quota| {
            if let Some(remaining) = remaining {
                // Only downwards: answers come in another order than requests went out.
                quota.remaining = Some(
                    quota
                        .remaining
                        .map_or(remaining, |left| left.min(remaining)),
                );
            }
            if let Some(reset) = reset {
                quota.reset_at_ms = Some(reset);
            } else if status == StatusCode::TOO_MANY_REQUESTS {
                quota.reset_at_ms.get_or_insert(now_ms + DEFAULT_REST_MS);
            }
        });
    }
}
