//! OAuth 2.0: access tokens fetched with a refresh token, client credentials or an assertion.

use std::sync::Arc;
use std::time::Duration;

use cdk_core::{ConnectorError, ErrorContext, Result};
use cdk_http::{Method, Request, RequestBody};
use serde_json::{Map, Value};
use tokio::sync::Mutex;

use super::jwt::Jwt;
use crate::component::Component;
use crate::dpath;
use crate::host::Host;
use crate::requester::inputs::Inputs;
use crate::requester::wire;
use crate::template::{Condition, Template, Types, python_text};
use crate::time;

/// Tokens without a lifetime are trusted this long.
const DEFAULT_LIFETIME_US: i64 = 3600 * 1_000_000;
/// How deep in an answer a token is looked for.
const MAX_DEPTH: usize = 5;
/// All tries to get a token together.
const MAX_TIME: Duration = Duration::from_secs(300);

/// Fetches tokens and keeps them until they expire.
#[derive(Debug)]
pub(crate) struct OAuth {
    place: String,
    host: Arc<Host>,
    endpoint: Option<Template>,
    client_id: Option<Template>,
    client_secret: Option<Template>,
    refresh_token: Option<Template>,
    names: Names,
    grant_type: Template,
    scopes: Vec<String>,
    body: Inputs,
    headers: Inputs,
    as_query: bool,
    assertion: Option<Jwt>,
    /// The answer holds the time of expiry instead of a number of seconds.
    has_expiry_time: bool,
    rejection: Rejection,
    updater: Option<Updater>,
    token: Mutex<Token>,
}

/// How the fields of the exchange are called.
#[derive(Debug)]
struct Names {
    client_id: Template,
    client_secret: Template,
    refresh_token: Template,
    access_token: Template,
    expires_in: Template,
    grant_type: Template,
}

/// Answers that mean the user has to authenticate again.
#[derive(Debug, Default)]
struct Rejection {
    statuses: Vec<u64>,
    key: String,
    values: Vec<String>,
}

/// Where rotated tokens are kept in the config.
#[derive(Debug)]
struct Updater {
    refresh_token_name: String,
    access_token: Vec<String>,
    refresh_token: Vec<String>,
    expiry: Vec<String>,
}

#[derive(Debug, Default)]
struct Token {
    value: Option<String>,
    /// Microseconds since the Unix epoch.
    expires_us: i64,
}

impl OAuth {
    pub(super) fn build(component: &Component<'_>, _: &str, host: &Arc<Host>) -> Result<Self> {
        let template = |key: &str| {
            let text = component.text_like(key).filter(|text| !text.is_empty());
            text.map(|text| Template::new(&text, component)).transpose()
        };
        let named = |key: &str, default: &str| {
            let text = component.text_like(key).filter(|text| !text.is_empty());
            Template::new(text.as_deref().unwrap_or(default), component)
        };
        let config = host.config();
        let scope = host.scope(&config);
        let uses_assertion = match Condition::optional(component, "use_profile_assertion")? {
            Some(condition) => condition.holds(&scope)?,
            None => false,
        };
        let assertion = component.child("profile_assertion")?;
        let assertion = assertion.filter(|_| uses_assertion);
        let grant_type = match uses_assertion {
            true => Template::new("urn:ietf:params:oauth:grant-type:jwt-bearer", component)?,
            false => named("grant_type", "refresh_token")?,
        };
        let updater = component.child("refresh_token_updater")?;
        let updater = updater.map(|at| Updater::build(&at)).transpose()?;
        let mut this = Self {
            place: component.path().to_owned(),
            host: Arc::clone(host),
            endpoint: template("token_refresh_endpoint")?,
            client_id: template("client_id")?,
            client_secret: template("client_secret")?,
            refresh_token: template("refresh_token")?,
            names: Names {
                client_id: named("client_id_name", "client_id")?,
                client_secret: named("client_secret_name", "client_secret")?,
                refresh_token: named("refresh_token_name", "refresh_token")?,
                access_token: named("access_token_name", "access_token")?,
                expires_in: named("expires_in_name", "expires_in")?,
                grant_type: named("grant_type_name", "grant_type")?,
            },
            grant_type,
            scopes: component.texts("scopes")?,
            body: Inputs::build(component, "refresh_request_body")?,
            headers: Inputs::build(component, "refresh_request_headers")?,
            as_query: component.flag("send_refresh_request_as_query_params", false)?,
            assertion: assertion.map(|at| Jwt::build(&at)).transpose()?,
            has_expiry_time: component.text("token_expiry_date_format")?.is_some(),
            rejection: Rejection::build(component)?,
            updater,
            token: Mutex::default(),
        };
        this.validate(component, uses_assertion)?;
        let first = this.first_token(component)?;
        this.token = Mutex::new(first);
        Ok(this)
    }

    fn validate(&self, component: &Component<'_>, uses_assertion: bool) -> Result<()> {
        if self.updater.is_some() {
            return Ok(());
        }
        let has = |key| component.get(key).is_some();
        if uses_assertion && self.assertion.is_none() {
            return Err(component.error("`use_profile_assertion` needs a `profile_assertion`."));
        }
        let has_credentials = has("client_id") && has("client_secret");
        if !uses_assertion && !has_credentials {
            return Err(component.error("`client_id` and `client_secret` are needed."));
        }
        let config = self.host.config();
        let grant_type = self.grant_type.text(&self.host.scope(&config))?;
        if grant_type == "refresh_token" && !has("refresh_token") {
            return Err(component.error("the grant type `refresh_token` needs a `refresh_token`."));
        }
        Ok(())
    }

    /// What the manifest or the config has at the start.
    fn first_token(&self, component: &Component<'_>) -> Result<Token> {
        let config = self.host.config();
        let scope = self.host.scope(&config);
        if let Some(updater) = &self.updater {
            return updater.stored(&config, self.host.now_us());
        }
        let given = |key: &str| -> Result<Option<String>> {
            let text = component.text_like(key).filter(|text| !text.is_empty());
            match text {
                Some(text) => Template::new(&text, component)?.text(&scope).map(Some),
                None => Ok(None),
            }
        };
        let value = given("access_token_value")?.filter(|token| !token.is_empty());
        let expires_us = match given("token_expiry_date")? {
            Some(date) => time::parse_airbyte(&date).ok_or_else(|| {
                component.error(format!("`token_expiry_date` is `{date}`, no date."))
            })?,
            None => i64::MIN,
        };
        Ok(Token { value, expires_us })
    }

    /// The access token; a new one if the old one has expired.
    pub(super) async fn token(&self) -> Result<String> {
        let mut token = self.token.lock().await;
        if let (Some(value), None) = (&token.value, &self.endpoint) {
            return Ok(value.clone());
        }
        if let Some(updater) = &self.updater {
            // Another stream's authenticator may have rotated the tokens.
            *token = updater.stored(&self.host.config(), self.host.now_us())?;
        }
        let is_good = |token: &Token| self.host.now_us() <= token.expires_us;
        if let Some(value) = token.value.clone().filter(|_| is_good(&token)) {
            return Ok(value);
        }
        // One refresh at a time over all authenticators: they may share a single-use refresh token.
        let _turn = self.host.token_turn().await;
        if let Some(updater) = &self.updater {
            *token = updater.stored(&self.host.config(), self.host.now_us())?;
            if let Some(value) = token.value.clone().filter(|_| is_good(&token)) {
                return Ok(value);
            }
        }
        self.fetch(&mut token).await
    }

    /// Gets a new token unless somebody did while this waited.
    pub(super) async fn refresh(&self) -> Result<()> {
        let before = self
            .token
            .try_lock()
            .ok()
            .and_then(|token| token.value.clone());
        let mut token = self.token.lock().await;
        if before.is_some() && token.value != before {
            return Ok(());
        }
        let _turn = self.host.token_turn().await;
        self.fetch(&mut token).await.map(drop)
    }

    async fn fetch(&self, token: &mut Token) -> Result<String> {
        let answer = self.exchange().await?;
        let config = self.host.config();
        let scope = self.host.scope(&config);
        let name = self.names.access_token.text(&scope)?;
        let value = search(&answer, &name, 0).filter(|value| !value.is_null());
        let value = value.map(python_text).filter(|value| !value.is_empty());
        let value = value.ok_or_else(|| {
            ConnectorError::system(format!(
                "OAuthAuthenticator at `{}`: the answer of the token endpoint has no `{name}`.",
                self.place
            ))
        })?;
        self.host.register_secret(&value);
        let expires = search(&answer, &self.names.expires_in.text(&scope)?, 0);
        token.expires_us = self.expiry(expires, token)?;
        token.value = Some(value.clone());
        if let Some(updater) = &self.updater {
            let rotated = search(&answer, &updater.refresh_token_name, 0).map(python_text);
            if let Some(rotated) = &rotated {
                self.host.register_secret(rotated);
            }
            updater.store(&self.host, token, rotated).await?;
        }
        Ok(value)
    }

    fn expiry(&self, expires: Option<&Value>, before: &Token) -> Result<i64> {
        let now = self.host.now_us();
        let Some(expires) = expires.filter(|expires| !expires.is_null()) else {
            let is_good = before.value.is_some() && before.expires_us > now;
            return Ok(if is_good {
                before.expires_us
            } else {
                now + DEFAULT_LIFETIME_US
            });
        };
        let text = python_text(expires);
        let parsed = if self.has_expiry_time {
            time::parse_airbyte(&text)
        } else {
            let seconds: Option<f64> = text.trim().parse().ok();
            seconds.map(|seconds| {
                now.saturating_add((seconds.trunc() as i64).saturating_mul(1_000_000))
            })
        };
        parsed.ok_or_else(|| {
            ConnectorError::system(format!(
                "OAuthAuthenticator at `{}`: the token endpoint says the token expires at or in `{text}`, which is \
                 neither a number of seconds nor a date of the given format.",
                self.place
            ))
        })
    }

    /// Asks the endpoint, again while it is overloaded or out of reach.
    async fn exchange(&self) -> Result<Value> {
        let started = tokio::time::Instant::now();
        let mut wait = Duration::from_secs(1);
        loop {
            let request = self.request()?;
            let shown = request.display();
            let problem = match self.host.exchange(request).await {
                Ok(response)
                    if response.status.as_u16() == 429 || response.status.as_u16() >= 500 =>
                {
                    format!("status {}", response.status.as_u16())
                }
                Ok(response) => {
                    let answer = serde_json::from_slice(&response.body.head());
                    if !response.is_ok() {
                        return Err(self.refused(response.status.as_u16(), answer.ok().as_ref()));
                    }
                    return answer
                        .system_error("The answer of the OAuth token endpoint is no JSON.");
                }
                Err(error) => error.to_string(),
            };
            if started.elapsed() + wait > MAX_TIME {
                return Err(ConnectorError::transient(
                    "A new OAuth access token could not be fetched. Try again later.",
                )
                .with_internal(format!("{shown}: {problem}")));
            }
            tracing::info!("{shown}: {problem}; another try in {} s.", wait.as_secs());
            self.host.sleep(wait).await?;
            wait = (wait * 2).min(Duration::from_secs(60));
        }
    }

    fn request(&self) -> Result<Request> {
        let config = self.host.config();
        let scope = self.host.scope(&config);
        let endpoint = match &self.endpoint {
            Some(endpoint) => endpoint.text(&scope)?,
            None => {
                return Err(ConnectorError::system(format!(
                    "OAuthAuthenticator at `{}`: without a `token_refresh_endpoint` there must be an \
                     `access_token_value`.",
                    self.place
                )));
            }
        };
        let headers = self.headers.eval(&scope, Types::Any)?;
        let fields = self.fields(&headers)?;
        let mut request = Request::new(Method::POST, wire::url(&endpoint)?);
        if let Value::Object(headers) = &headers {
            wire::set_headers(&mut request, headers)?;
        }
        if self.as_query && self.assertion.is_none() {
            wire::add_params(&mut request.url, &fields);
        } else {
            request.body = RequestBody::Form(wire::pairs(&fields));
        }
        Ok(request)
    }

    fn fields(&self, headers: &Value) -> Result<Map<String, Value>> {
        let config = self.host.config();
        let scope = self.host.scope(&config);
        let mut fields = Map::new();
        fields.insert(
            self.names.grant_type.text(&scope)?,
            self.grant_type.eval(&scope)?,
        );
        if let Some(assertion) = &self.assertion {
            fields.insert("assertion".to_owned(), assertion.token(&scope)?.into());
            return Ok(fields);
        }
        if headers.get("Authorization").is_none() {
            let id = self.client_credential(&self.client_id, "client_id")?;
            let secret = self.client_credential(&self.client_secret, "client_secret")?;
            fields.insert(self.names.client_id.text(&scope)?, id);
            fields.insert(self.names.client_secret.text(&scope)?, secret);
        }
        let refresh_token = match &self.updater {
            Some(updater) => {
                let kept = dpath::get(&config, &updater.refresh_token).cloned();
                Some(kept.unwrap_or_else(|| "".into()))
            }
            None => match &self.refresh_token {
                Some(token) => Some(token.text(&scope)?.into()),
                None => None,
            },
        };
        fields.insert(
            self.names.refresh_token.text(&scope)?,
            refresh_token.unwrap_or(Value::Null),
        );
        if !self.scopes.is_empty() {
            fields.insert("scopes".to_owned(), self.scopes.clone().into());
        }
        if let Value::Object(more) = self.body.eval(&scope, Types::Any)? {
            for (key, value) in more {
                fields.entry(key).or_insert(value);
            }
        }
        Ok(fields)
    }

    /// Client credentials come from `credentials` of the config when the manifest names none.
    fn client_credential(&self, template: &Option<Template>, key: &str) -> Result<Value> {
        let config = self.host.config();
        match (template, &self.updater) {
            (Some(template), _) => template.eval(&self.host.scope(&config)),
            (None, Some(_)) => {
                let path = ["credentials".to_owned(), key.to_owned()];
                Ok(dpath::get(&config, &path)
                    .cloned()
                    .unwrap_or_else(|| "".into()))
            }
            (None, None) => Ok(Value::Null),
        }
    }

    fn refused(&self, status: u16, answer: Option<&Value>) -> ConnectorError {
        let said = answer.and_then(|answer| answer.get(&self.rejection.key));
        let said = said.and_then(Value::as_str);
        let must_reauthenticate = self.rejection.statuses.contains(&u64::from(status))
            && said.is_some_and(|said| self.rejection.values.iter().any(|value| value == said));
        let internal = format!("OAuth token endpoint: status {status}");
        if must_reauthenticate {
            return ConnectorError::config(
                "The refresh token was rejected: it is invalid, expired or already used. Authenticate this source again.",
            )
            .with_internal(internal);
        }
        ConnectorError::system(format!(
            "The OAuth token endpoint refused to give an access token (status {status}). Check the credentials in the \
             config."
        ))
        .with_internal(internal)
    }
}

impl Rejection {
    fn build(component: &Component<'_>) -> Result<Self> {
        let updater = component.child("refresh_token_updater")?;
        let at = |component: &Component<'_>| -> Result<Self> {
            let statuses = component.get("refresh_token_error_status_codes");
            let statuses = statuses.and_then(Value::as_array).into_iter().flatten();
            Ok(Self {
                statuses: statuses.filter_map(Value::as_u64).collect(),
                key: component
                    .text("refresh_token_error_key")?
                    .unwrap_or_default()
                    .to_owned(),
                values: component.texts("refresh_token_error_values")?,
            })
        };
        let own = at(component)?;
        match updater {
            Some(updater) if own.statuses.is_empty() && own.key.is_empty() => at(&updater),
            _ => Ok(own),
        }
    }
}

impl Updater {
    fn build(component: &Component<'_>) -> Result<Self> {
        let path = |key: &str, last: &str| -> Result<Vec<String>> {
            match component.get(key) {
                Some(_) => component.texts(key),
                None => Ok(vec!["credentials".to_owned(), last.to_owned()]),
            }
        };
        let name = component.text("refresh_token_name")?;
        Ok(Self {
            refresh_token_name: name.unwrap_or("refresh_token").to_owned(),
            access_token: path("access_token_config_path", "access_token")?,
            refresh_token: path("refresh_token_config_path", "refresh_token")?,
            expiry: path("token_expiry_date_config_path", "token_expiry_date")?,
        })
    }

    fn stored(&self, config: &Value, now_us: i64) -> Result<Token> {
        let value = dpath::get(config, &self.access_token).map(python_text);
        let expiry = dpath::get(config, &self.expiry).map(python_text);
        let expires_us = match expiry.filter(|expiry| !expiry.is_empty()) {
            None => now_us - 86_400_000_000,
            Some(expiry) => time::parse_airbyte(&expiry).ok_or_else(|| {
                ConnectorError::config(format!(
                    "`{}` of the config is `{expiry}`, which is no date.",
                    self.expiry.join(".")
                ))
            })?,
        };
        Ok(Token {
            value: value.filter(|value| !value.is_empty()),
            expires_us,
        })
    }

    /// The new tokens are persisted before their first use.
    async fn store(&self, host: &Host, token: &Token, rotated: Option<String>) -> Result<()> {
        let mut config = host.config().as_ref().clone();
        let mut set = |path: &[String], value: String| {
            if dpath::set(&mut config, path, value.into()) {
                return Ok(());
            }
            Err(ConnectorError::config(format!(
                "The new token can't be kept at `{}` of the config: a value that is no object is in the way.",
                path.join(".")
            )))
        };
        set(&self.access_token, token.value.clone().unwrap_or_default())?;
        if let Some(rotated) = rotated {
            set(&self.refresh_token, rotated)?;
        }
        // Spelled as the reference spells it.
        let expiry = time::format_airbyte(token.expires_us);
        set(&self.expiry, expiry.replace('Z', "+00:00"))?;
        host.replace_config(config).await
    }
}

/// Finds a key anywhere in an answer, the outermost first.
fn search<'a>(answer: &'a Value, key: &str, depth: usize) -> Option<&'a Value> {
    if depth > MAX_DEPTH {
        return None;
    }
    match answer {
        Value::Object(map) => map
            .get(key)
            .or_else(|| map.values().find_map(|value| search(value, key, depth + 1))),
        Value::Array(items) => items.iter().find_map(|item| search(item, key, depth + 1)),
        _ => None,
    }
}
