//! Credentials that never change.

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cdk_core::{Result, SecretString};
use serde_json::Value;

use crate::auth::{Authenticator, Grant};
use crate::client::HttpClient;
use crate::request::{Placement, Request};

/// No credentials.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoAuth;

#[async_trait]
impl Authenticator for NoAuth {
    async fn authorize(&self, _: &mut Request, _: &HttpClient) -> Result<Grant> {
        Ok(Grant::default())
    }
}

/// A key in a header, a query parameter, a cookie or the body.
#[derive(Debug, Clone)]
pub struct ApiKey {
    placement: Placement,
    key: SecretString,
}

impl ApiKey {
    /// A key at any place.
    pub fn new(placement: Placement, key: SecretString) -> Self {
        Self { placement, key }
    }

    /// A key in a header.
    pub fn header(name: impl Into<String>, key: SecretString) -> Self {
        Self::new(Placement::header(name), key)
    }

    /// A key in a query parameter.
    pub fn query(name: impl Into<String>, key: SecretString) -> Self {
        Self::new(Placement::query(name), key)
    }
}

#[async_trait]
impl Authenticator for ApiKey {
    async fn authorize(&self, request: &mut Request, client: &HttpClient) -> Result<Grant> {
        client.context().secrets().add(self.key.expose());
        self.placement
            .set(request, &Value::String(self.key.expose().to_owned()))?;
        Ok(Grant::default())
    }
}

/// `Authorization: Bearer …`.
#[derive(Debug, Clone)]
pub struct Bearer(SecretString);

impl Bearer {
    /// A token that does not expire.
    pub fn new(token: SecretString) -> Self {
        Self(token)
    }
}

#[async_trait]
impl Authenticator for Bearer {
    async fn authorize(&self, request: &mut Request, client: &HttpClient) -> Result<Grant> {
        client.context().secrets().add(self.0.expose());
        request.set_header("authorization", &format!("Bearer {}", self.0.expose()))?;
        Ok(Grant::default())
    }
}

/// `Authorization: Basic …` (RFC 7617), in UTF-8.
#[derive(Debug, Clone)]
pub struct Basic {
    user: String,
    password: SecretString,
}

impl Basic {
    /// User and password; many APIs take a key as the user and no password.
    pub fn new(user: impl Into<String>, password: SecretString) -> Self {
        Self {
            user: user.into(),
            password,
        }
    }
}

#[async_trait]
impl Authenticator for Basic {
    async fn authorize(&self, request: &mut Request, client: &HttpClient) -> Result<Grant> {
        let pair = STANDARD.encode(format!("{}:{}", self.user, self.password.expose()));
        client.context().secrets().add(&pair);
        request.set_header("authorization", &format!("Basic {pair}"))?;
        Ok(Grant::default())
    }
}
