//! Tokens of a login.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cdk_core::{ConnectorError, Result, SecretString};
use serde_json::Value;

use crate::auth::answer::json_answer;
use crate::auth::{Authenticator, NoAuth, Token, TokenSource};
use crate::client::HttpClient;
use crate::errors::{DefaultErrorHandler, ErrorHandler, ResponseAction, ResponseFilter};
use crate::request::{Request, text_of};

/// Logs in with a request and takes the token out of the answer; use it through
/// [`TokenAuth`](crate::auth::TokenAuth).
pub struct SessionLogin {
    request: Request,
    token_path: Vec<String>,
    lifetime: Option<Duration>,
    auth: Arc<dyn Authenticator>,
    errors: Arc<dyn ErrorHandler>,
}

impl SessionLogin {
    /// Sends `request`; the token is at `token_path` of the JSON answer, whose steps dots separate.
    pub fn new(request: Request, token_path: &str) -> Self {
        let refused = ResponseFilter::new(ResponseAction::Fail)
            .status([400, 401, 403])
            .blame(airbyte_protocol::FailureType::ConfigError)
            .explain("The login is refused. Check the credentials in the config.");
        Self {
            request,
            token_path: token_path.split('.').map(str::to_owned).collect(),
            lifetime: None,
            auth: Arc::new(NoAuth),
            errors: Arc::new(DefaultErrorHandler::new().filter(refused)),
        }
    }

    /// Logs in again after this time; without it, when the token is refused.
    #[must_use]
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    /// Adds credentials to the login itself.
    #[must_use]
    pub fn auth(mut self, auth: impl Authenticator) -> Self {
        self.auth = Arc::new(auth);
        self
    }

    /// Lets this handler decide about answers to the login.
    #[must_use]
    pub fn errors(mut self, errors: impl ErrorHandler) -> Self {
        self.errors = Arc::new(errors);
        self
    }
}

#[async_trait]
impl TokenSource for SessionLogin {
    async fn fetch(&self, client: &HttpClient) -> Result<Token> {
        let client = client.bare().with_auth(Arc::clone(&self.auth));
        let client = client.with_errors(Arc::clone(&self.errors));
        let place = self.request.display();
        let path = self.token_path.join(".");
        let missing = || {
            ConnectorError::system(format!(
                "The answer to the login {place} holds no token at `{path}`."
            ))
        };
        let what = format!("The answer to the login {place}");
        let json = json_answer(&client, &self.request, &what).await?;
        let json = json.ok_or_else(missing)?;
        let mut steps = self.token_path.iter();
        let found = steps.try_fold(&json, |json, step| json.get(step));
        match found {
            Some(value @ (Value::String(_) | Value::Number(_))) => Ok(Token {
                secret: SecretString::new(text_of(value)),
                lifetime: self.lifetime,
            }),
            _ => Err(missing()),
        }
    }
}

impl fmt::Debug for SessionLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionLogin")
            .field("request", &self.request)
            .finish_non_exhaustive()
    }
}
