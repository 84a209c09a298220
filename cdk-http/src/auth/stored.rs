//! Tokens kept in the connector's own config.

use async_trait::async_trait;
use cdk_core::Result;
use chrono::{DateTime, SecondsFormat};
use serde_json::Value;

use crate::auth::{TokenSet, TokenStore};
use crate::client::HttpClient;

/// Writes tokens back into the config they came from: the platform is told by a CONTROL message, and the new tokens are
/// used only once it was delivered.
#[derive(Debug, Clone)]
pub struct ConfigStore {
    refresh_token: Vec<String>,
    access_token: Option<Vec<String>>,
    expires_at: Option<Vec<String>>,
}

impl ConfigStore {
    /// Keeps the refresh token at this place of the config; dots separate the steps.
    pub fn new(refresh_token: &str) -> Self {
        Self {
            refresh_token: steps(refresh_token),
            access_token: None,
            expires_at: None,
        }
    }

    /// Keeps the access token too.
    #[must_use]
    pub fn access_token(mut self, path: &str) -> Self {
        self.access_token = Some(steps(path));
        self
    }

    /// Keeps when the access token expires too, as an RFC 3339 time in UTC.
    #[must_use]
    pub fn expires_at(mut self, path: &str) -> Self {
        self.expires_at = Some(steps(path));
        self
    }
}

fn steps(path: &str) -> Vec<String> {
    path.split('.').map(str::to_owned).collect()
}

#[async_trait]
impl TokenStore for ConfigStore {
    async fn persist(&self, tokens: &TokenSet, client: &HttpClient) -> Result<()> {
        let refresh = Value::from(tokens.refresh_token.expose());
        let mut fields = vec![(&self.refresh_token, refresh)];
        if let Some(path) = &self.access_token {
            fields.push((path, Value::from(tokens.access_token.expose())));
        }
        let at = tokens
            .expires_at_ms
            .and_then(DateTime::from_timestamp_millis);
        if let (Some(path), Some(at)) = (&self.expires_at, at) {
            let text = at.to_rfc3339_opts(SecondsFormat::Secs, true);
            fields.push((path, Value::from(text)));
        }
        client.context().persist_fields(fields).await
    }
}
