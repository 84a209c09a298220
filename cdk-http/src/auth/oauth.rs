//! OAuth 2.0 (RFC 6749): access tokens by client credentials, refresh token or signed assertion.

use std::sync::Arc;
use std::time::Duration;

use airbyte_protocol::FailureType;
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cdk_core::{ConnectorError, Result, SecretString};
use chrono::{DateTime, NaiveDateTime};
use reqwest::Method;
use serde_json::Value;
use tokio::sync::Mutex;

use crate::auth::answer::json_answer;
use crate::auth::{Jwt, Token, TokenSource};
use crate::client::HttpClient;
use crate::errors::{Answer, DefaultErrorHandler, ResponseAction, ResponseFilter};
use crate::request::{Request, RequestBody, text_of};

/// How deep a token may lie in an answer.
const MAX_DEPTH: usize = 5;

/// An access token from a token endpoint; use it through [`TokenAuth`](crate::auth::TokenAuth).
///
/// ```
/// use cdk_core::SecretString;
/// use cdk_http::auth::{OAuth, TokenAuth};
///
/// let (id, secret) = ("client", SecretString::new("secret"));
/// let auth = TokenAuth::bearer(
///     OAuth::client_credentials("https://auth.example.com/token", id, secret).scopes(["read"]),
/// );
/// ```
#[derive(Debug)]
pub struct OAuth {
    endpoint: String,
    grant_type: String,
    client: Option<(String, SecretString)>,
    client_in_header: bool,
    refresh_token: Mutex<Option<SecretString>>,
    assertion: Option<Jwt>,
    /// A token to begin with, until the given time.
    initial: Mutex<Option<(SecretString, Option<i64>)>>,
    names: OAuthNames,
    scopes: Vec<String>,
    body: Vec<(String, Value)>,
    headers: Vec<(String, String)>,
    is_in_query: bool,
    is_json: bool,
    expiry_format: Option<String>,
    refused: Option<RefusedTokens>,
    store: Option<Arc<dyn TokenStore>>,
}

/// Names of the fields in a token request and its answer.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct OAuthNames {
    pub client_id: String,
    pub client_secret: String,
    pub refresh_token: String,
    pub access_token: String,
    pub expires_in: String,
    pub grant_type: String,
    pub scope: String,
}

impl Default for OAuthNames {
    fn default() -> Self {
        Self {
            client_id: "client_id".to_owned(),
            client_secret: "client_secret".to_owned(),
            refresh_token: "refresh_token".to_owned(),
            access_token: "access_token".to_owned(),
            expires_in: "expires_in".to_owned(),
            grant_type: "grant_type".to_owned(),
            scope: "scope".to_owned(),
        }
    }
}

/// How an API says that a refresh token is not good any more: one of these statuses, with one of these values at `key`.
#[derive(Debug, Clone)]
pub struct RefusedTokens {
    /// The statuses.
    pub statuses: Vec<u16>,
    /// The member of the answer.
    pub key: String,
    /// Its values.
    pub values: Vec<String>,
}

/// Tokens that came together.
#[derive(Debug, Clone)]
pub struct TokenSet {
    /// The new access token.
    pub access_token: SecretString,
    /// The refresh token to use next time.
    pub refresh_token: SecretString,
    /// When the access token expires, in milliseconds since the Unix epoch.
    pub expires_at_ms: Option<i64>,
}

/// Keeps refresh tokens that can be used once, across runs.
#[async_trait]
pub trait TokenStore: std::fmt::Debug + Send + Sync + 'static {
    /// Persists `tokens`. Returns once they are safe: only then are they used.
    async fn persist(&self, tokens: &TokenSet, client: &HttpClient) -> Result<()>;
}

impl OAuth {
    fn new(endpoint: impl Into<String>, grant_type: &str) -> Self {
        Self {
            endpoint: endpoint.into(),
            grant_type: grant_type.to_owned(),
            client: None,
            client_in_header: false,
            refresh_token: Mutex::default(),
            assertion: None,
            initial: Mutex::default(),
            names: OAuthNames::default(),
            scopes: Vec::new(),
            body: Vec::new(),
            headers: Vec::new(),
            is_in_query: false,
            is_json: false,
            expiry_format: None,
            refused: None,
            store: None,
        }
    }

    /// The grant `client_credentials`.
    pub fn client_credentials(
        endpoint: impl Into<String>,
        id: impl Into<String>,
        secret: SecretString,
    ) -> Self {
        Self::new(endpoint, "client_credentials").client(id, secret)
    }

    /// The grant `refresh_token`.
    pub fn refresh_token(endpoint: impl Into<String>, token: SecretString) -> Self {
        let mut oauth = Self::new(endpoint, "refresh_token");
        oauth.refresh_token = Mutex::new(Some(token));
        oauth
    }

    /// The grant of a signed assertion (RFC 7523), as for Google's service accounts.
    pub fn assertion(endpoint: impl Into<String>, jwt: Jwt) -> Self {
        let mut oauth = Self::new(endpoint, "urn:ietf:params:oauth:grant-type:jwt-bearer");
        oauth.assertion = Some(jwt);
        oauth
    }

    /// Sends these client credentials in the request's body.
    #[must_use]
    pub fn client(mut self, id: impl Into<String>, secret: SecretString) -> Self {
        self.client = Some((id.into(), secret));
        self
    }

    /// Sends the client credentials in an `Authorization: Basic` header instead.
    #[must_use]
    pub fn client_in_header(mut self) -> Self {
        self.client_in_header = true;
        self
    }

    /// Begins with a token that is known already, until `expires_at_ms` (milliseconds since the Unix epoch).
    #[must_use]
    pub fn starting_with(mut self, token: SecretString, expires_at_ms: Option<i64>) -> Self {
        self.initial = Mutex::new(Some((token, expires_at_ms)));
        self
    }

    /// Asks for these scopes, joined by spaces.
    #[must_use]
    pub fn scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.scopes = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the grant type's name.
    #[must_use]
    pub fn grant_type(mut self, grant_type: impl Into<String>) -> Self {
        self.grant_type = grant_type.into();
        self
    }

    /// Sets the names of fields.
    #[must_use]
    pub fn names(mut self, names: OAuthNames) -> Self {
        self.names = names;
        self
    }

    /// Adds a field to the request; it wins over a standard one of the same name.
    #[must_use]
    pub fn field(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.body.push((name.into(), value.into()));
        self
    }

    /// Adds a header to the request. With an `Authorization` header, no client credentials go into the body.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sends the fields as query parameters.
    #[must_use]
    pub fn in_query(mut self) -> Self {
        self.is_in_query = true;
        self
    }

    /// Sends the fields as a JSON body instead of a form.
    #[must_use]
    pub fn as_json(mut self) -> Self {
        self.is_json = true;
        self
    }

    /// The answer's expiry is a date of this `strftime` format, not a number of seconds.
    #[must_use]
    pub fn expiry_format(mut self, format: impl Into<String>) -> Self {
        self.expiry_format = Some(format.into());
        self
    }

    /// Tells how the API says that a refresh token is not good any more.
    #[must_use]
    pub fn refused_when(mut self, refused: RefusedTokens) -> Self {
        self.refused = Some(refused);
        self
    }

    /// Each answer brings a new refresh token, which can be used once: it is kept in `store` before its first use.
    #[must_use]
    pub fn rotating(mut self, store: Arc<dyn TokenStore>) -> Self {
        self.store = Some(store);
        self
    }

    async fn request(&self, client: &HttpClient) -> Result<Request> {
        let mut request = Request::new(Method::POST, crate::url::parse(&self.endpoint)?);
        for (name, value) in &self.headers {
            request.set_header(name, value)?;
        }
        let has_header = request.headers.contains_key("authorization");
        let names = &self.names;
        let mut fields = vec![(
            names.grant_type.clone(),
            Value::from(self.grant_type.clone()),
        )];
        let mut field = |name: &str, value: &str| fields.push((name.to_owned(), value.into()));
        if let Some((id, secret)) = &self.client {
            client.context().secrets().add(secret.expose());
            if self.client_in_header {
                let pair = STANDARD.encode(format!("{id}:{}", secret.expose()));
                client.context().secrets().add(&pair);
                request.set_header("authorization", &format!("Basic {pair}"))?;
            } else if !has_header {
                field(&names.client_id, id);
                field(&names.client_secret, secret.expose());
            }
        }
        if let Some(token) = &*self.refresh_token.lock().await {
            client.context().secrets().add(token.expose());
            field(&names.refresh_token, token.expose());
        }
        if let Some(jwt) = &self.assertion {
            let signed = jwt.sign(client.context().now_ms())?;
            field("assertion", signed.expose());
        }
        if !self.scopes.is_empty() {
            field(&names.scope, &self.scopes.join(" "));
        }
        for (name, value) in &self.body {
            fields.retain(|(key, _)| key != name);
            fields.push((name.clone(), value.clone()));
        }
        if self.is_in_query {
            let pairs = fields.iter().map(|(name, value)| (name, text_of(value)));
            request.url.query_pairs_mut().extend_pairs(pairs);
        } else if self.is_json {
            request.body = RequestBody::Json(Value::Object(fields.into_iter().collect()));
        } else {
            let pairs = fields
                .iter()
                .map(|(name, value)| (name.clone(), text_of(value)));
            request.body = RequestBody::Form(pairs.collect());
        }
        request.set_header("accept", "application/json")?;
        Ok(request)
    }

    fn errors(&self) -> DefaultErrorHandler {
        const ADVICE: &str = "The OAuth credentials are not accepted any more: authenticate again.";
        let mut errors = DefaultErrorHandler::new();
        if let Some(refused) = self.refused.clone() {
            let is_refused = move |answer: &Answer<'_>| {
                let value = answer
                    .json()
                    .and_then(|json| find(&json, &refused.key, 0).cloned());
                let value = value.map(|value| text_of(&value));
                refused.statuses.contains(&answer.status.as_u16())
                    && value.is_some_and(|value| refused.values.contains(&value))
            };
            errors = errors.filter(
                ResponseFilter::new(ResponseAction::Fail)
                    .when(is_refused)
                    .blame(FailureType::ConfigError)
                    .explain(ADVICE),
            );
        }
        // RFC 6749, 5.2: what is wrong with the credentials comes with 400 or 401.
        errors.filter(
            ResponseFilter::new(ResponseAction::Fail)
                .status([400, 401, 403])
                .blame(FailureType::ConfigError)
                .explain(ADVICE),
        )
    }

    fn lifetime(&self, answer: &Value, now_ms: i64) -> Option<Duration> {
        let value = find(answer, &self.names.expires_in, 0)?;
        let text = text_of(value);
        if let Some(format) = &self.expiry_format {
            let at = DateTime::parse_from_str(&text, format)
                .map(|at| at.timestamp_millis())
                .or_else(|_| {
                    NaiveDateTime::parse_from_str(&text, format)
                        .map(|at| at.and_utc().timestamp_millis())
                });
            let left = at.ok()?.saturating_sub(now_ms);
            return Some(Duration::from_millis(left.max(0) as u64));
        }
        let seconds: f64 = text.trim().parse().ok()?;
        Duration::try_from_secs_f64(seconds).ok()
    }

    /// Takes over a new refresh token; one that can be used once is persisted first.
    async fn rotate(&self, answer: &Value, token: &Token, client: &HttpClient) -> Result<()> {
        let new = find(answer, &self.names.refresh_token, 0).map(text_of);
        let Some(new) = new.filter(|text| !text.is_empty()) else {
            return Ok(());
        };
        client.context().secrets().add(&new);
        let new = SecretString::new(new);
        if let Some(store) = &self.store {
            let lifetime = token.lifetime.map(|lifetime| lifetime.as_millis() as i64);
            let tokens = TokenSet {
                access_token: token.secret.clone(),
                refresh_token: new.clone(),
                expires_at_ms: lifetime.map(|lifetime| client.context().now_ms() + lifetime),
            };
            store.persist(&tokens, client).await?;
        }
        *self.refresh_token.lock().await = Some(new);
        Ok(())
    }
}

#[async_trait]
impl TokenSource for OAuth {
    async fn fetch(&self, client: &HttpClient) -> Result<Token> {
        let now_ms = client.context().now_ms();
        if let Some((token, expires_at_ms)) = self.initial.lock().await.take() {
            let left = expires_at_ms.map(|at| at.saturating_sub(now_ms));
            if left.is_none_or(|left| left > 0) {
                let lifetime = left.map(|left| Duration::from_millis(left as u64));
                return Ok(Token {
                    secret: token,
                    lifetime,
                });
            }
        }
        let request = self.request(client).await?;
        let place = request.display();
        let client = client.bare().with_errors(Arc::new(self.errors()));
        let what = format!("The OAuth server's answer to {place}");
        let answer = json_answer(&client, &request, &what).await?;
        let answer = answer.unwrap_or_default();
        let name = &self.names.access_token;
        let Some(secret) = find(&answer, name, 0).and_then(Value::as_str) else {
            return Err(ConnectorError::system(format!(
                "The OAuth server's answer to {place} holds no `{name}`."
            )));
        };
        client.context().secrets().add(secret);
        let token = Token {
            secret: SecretString::new(secret),
            lifetime: self.lifetime(&answer, now_ms),
        };
        self.rotate(&answer, &token, &client).await?;
        Ok(token)
    }
}

/// The first member called `name`, at any depth that an answer may have.
fn find<'a>(json: &'a Value, name: &str, depth: usize) -> Option<&'a Value> {
    if depth > MAX_DEPTH {
        return None;
    }
    match json {
        Value::Object(members) => members.get(name).or_else(|| {
            let mut members = members.values();
            members.find_map(|inner| find(inner, name, depth + 1))
        }),
        Value::Array(items) => items.iter().find_map(|inner| find(inner, name, depth + 1)),
        _ => None,
    }
}
