//! Tokens that a login gives.

use std::sync::Arc;

use cdk_core::{ConnectorError, Result};
use cdk_http::{Method, Request, RequestBody};
use serde_json::Value;
use tokio::sync::Mutex;

use super::{bearer, header, inject};
use crate::component::Component;
use crate::decoder::Decoder;
use crate::dpath;
use crate::host::Host;
use crate::requester::inputs::RequestOption;
use crate::requester::{Requester, Sent, wire};
use crate::slice::{Additions, StreamSlice};
use crate::template::{Scope, Template, python_text};
use crate::time;

/// Logs in by a requester and uses the token of its answer.
#[derive(Debug)]
pub(crate) struct Session {
    place: String,
    host: Arc<Host>,
    login: Box<Requester>,
    decoder: Decoder,
    path: Vec<String>,
    /// Microseconds a token lives; without it each request logs in anew.
    lifetime: Option<time::Span>,
    token: Mutex<Option<(String, i64)>>,
    use_as: UseAs,
}

#[derive(Debug)]
enum UseAs {
    Bearer,
    ApiKey {
        option: RequestOption,
        token: Template,
    },
}

impl Session {
    pub(super) fn build(component: &Component<'_>, name: &str, host: &Arc<Host>) -> Result<Self> {
        let login = component.need_child("login_requester")?;
        let decoder = Decoder::build(component.child("decoder")?.as_ref(), host.registry())?;
        let authentication = component.need_child("request_authentication")?;
        let use_as = if authentication.kind() == "Bearer" {
            UseAs::Bearer
        } else {
            let text = authentication.text_like("api_token");
            UseAs::ApiKey {
                option: RequestOption::build(&authentication.need_child("inject_into")?)?,
                token: Template::new(text.as_deref().unwrap_or("{{ session_token }}"), component)?,
            }
        };
        let lifetime = component.text("expiration_duration")?;
        let lifetime = lifetime.map(|text| {
            time::Span::parse(text).ok_or_else(|| {
                component.error(format!(
                    "`expiration_duration` is `{text}`, no ISO 8601 duration like PT1H."
                ))
            })
        });
        Ok(Self {
            place: component.path().to_owned(),
            host: Arc::clone(host),
            login: Box::new(Requester::build(
                &login,
                &format!("{name}_login_requester"),
                host,
            )?),
            decoder,
            path: component.texts("session_token_path")?,
            lifetime: lifetime.transpose()?,
            token: Mutex::default(),
            use_as,
        })
    }

    pub(super) async fn additions(&self, scope: &Scope<'_>) -> Result<Additions> {
        let token = Box::pin(self.token()).await?;
        match &self.use_as {
            UseAs::Bearer => Ok(bearer(&token)),
            UseAs::ApiKey {
                option,
                token: template,
            } => {
                let value = Value::from(token);
                let text = template.text(&scope.with("session_token", &value))?;
                inject(option, text, scope)
            }
        }
    }

    async fn token(&self) -> Result<String> {
        let mut kept = self.token.lock().await;
        let now = self.host.now_us();
        if let Some((token, expires_us)) = kept.as_ref()
            && *expires_us >= now
        {
            return Ok(token.clone());
        }
        let token = self.login().await?;
        self.host.register_secret(&token);
        if let Some(lifetime) = &self.lifetime {
            *kept = Some((token.clone(), lifetime.after_us(now)));
        }
        Ok(token)
    }

    async fn login(&self) -> Result<String> {
        let slice = StreamSlice::default();
        let sent = self
            .login
            .send(&slice, None, Additions::default(), None)
            .await?;
        let missing = || {
            ConnectorError::system(format!(
                "SessionTokenAuthenticator at `{}`: the answer to the login has no `{}`.",
                self.place,
                self.path.join(".")
            ))
        };
        let Sent::Response(response) = sent else {
            return Err(missing());
        };
        let document = response.first_document(&self.decoder)?;
        dpath::get(&document, &self.path)
            .map(python_text)
            .ok_or_else(missing)
    }
}

/// A token of the config if it is still valid, else one from a login with name and password.
#[derive(Debug)]
pub(crate) struct LegacySession {
    host: Arc<Host>,
    header: Template,
    api_url: Template,
    login_url: Template,
    validate_url: Template,
    username: Template,
    password: Template,
    session_token: Template,
    response_key: Template,
    generated: Mutex<Option<String>>,
}

impl LegacySession {
    pub(super) fn build(component: &Component<'_>, _: &str, host: &Arc<Host>) -> Result<Self> {
        // An empty template instead of an absent one.
        let template = |key: &str| {
            let text = component.text_like(key).unwrap_or_default();
            Template::with_default(&text, "", component)
        };
        Ok(Self {
            host: Arc::clone(host),
            header: template("header")?,
            api_url: template("api_url")?,
            login_url: template("login_url")?,
            validate_url: template("validate_session_url")?,
            username: template("username")?,
            password: template("password")?,
            session_token: template("session_token")?,
            response_key: template("session_token_response_key")?,
            generated: Mutex::default(),
        })
    }

    pub(super) async fn additions(&self) -> Result<Additions> {
        let config = self.host.config();
        let scope = self.host.scope(&config);
        let name = self.header.text(&scope)?;
        let given = self.session_token.text(&scope)?;
        if !given.is_empty() && self.is_valid(&name, &given, &scope).await? {
            return Ok(header(&name, given));
        }
        let token = self.generated_token(&scope).await?;
        Ok(header(&name, token))
    }

    async fn is_valid(&self, name: &str, token: &str, scope: &Scope<'_>) -> Result<bool> {
        let url = format!(
            "{}{}",
            self.api_url.text(scope)?,
            self.validate_url.text(scope)?
        );
        let mut request = Request::get(wire::url(&url)?);
        request.set_header(name, token)?;
        let response = self.host.exchange(request).await.map_err(|error| {
            ConnectorError::transient("The session token could not be validated.").caused_by(error)
        })?;
        match response.status.as_u16() {
            401 => Ok(false),
            status if status < 400 => Ok(true),
            status => Err(ConnectorError::system(format!(
                "The session token could not be validated: status {status}."
            ))),
        }
    }

    async fn generated_token(&self, scope: &Scope<'_>) -> Result<String> {
        let mut generated = self.generated.lock().await;
        if let Some(token) = generated.as_ref() {
            return Ok(token.clone());
        }
        let (username, password) = (self.username.text(scope)?, self.password.text(scope)?);
        if username.is_empty() || password.is_empty() {
            return Err(ConnectorError::config(
                "The session token is not valid. Set a new one, or `username` and `password`.",
            ));
        }
        let url = format!(
            "{}{}",
            self.api_url.text(scope)?,
            self.login_url.text(scope)?
        );
        let mut request = Request::new(Method::POST, wire::url(&url)?);
        request.body = RequestBody::Json(serde_json::json!({
            "username": username, "password": password
        }));
        let response = self
            .host
            .exchange(request)
            .await
            .map_err(|error| ConnectorError::transient("The login failed.").caused_by(error))?;
        let key = self.response_key.text(scope)?;
        let body = response.json();
        let token = body.get(&key).filter(|_| response.is_ok()).map(python_text);
        let token = token.ok_or_else(|| {
            ConnectorError::system(format!(
                "The login failed with status {} or gave no `{key}`.",
                response.status.as_u16()
            ))
        })?;
        self.host.register_secret(&token);
        *generated = Some(token.clone());
        Ok(token)
    }
}
