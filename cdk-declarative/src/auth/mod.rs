//! Authenticators: what they put into each request.

mod jwt;
mod oauth;
mod rotating;
mod session;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use cdk_core::Result;
use cdk_http::Request;
use serde_json::Value;

use crate::component::Component;
use crate::custom::CustomAuthenticator;
use crate::dpath;
use crate::host::Host;
use crate::requester::inputs::RequestOption;
use crate::requester::response::PageResponse;
use crate::slice::Additions;
use crate::template::{Scope, Template};

/// Puts credentials into requests.
#[derive(Clone)]
pub(crate) enum Authenticator {
    None,
    Basic {
        username: Template,
        password: Template,
    },
    Bearer(Template),
    ApiKey {
        option: RequestOption,
        token: Template,
    },
    Jwt(Arc<jwt::Jwt>),
    OAuth(Arc<oauth::OAuth>),
    Session(Arc<session::Session>),
    LegacySession(Arc<session::LegacySession>),
    Rotating(Arc<rotating::Rotating>),
    Custom(Arc<dyn CustomAuthenticator>),
}

impl std::fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "NoAuth",
            Self::Basic { .. } => "BasicHttpAuthenticator",
            Self::Bearer(_) => "BearerAuthenticator",
            Self::ApiKey { .. } => "ApiKeyAuthenticator",
            Self::Jwt(_) => "JwtAuthenticator",
            Self::OAuth(_) => "OAuthAuthenticator",
            Self::Session(_) => "SessionTokenAuthenticator",
            Self::LegacySession(_) => "LegacySessionTokenAuthenticator",
            Self::Rotating(_) => "RateLimitedMultipleTokenAuthenticator",
            Self::Custom(_) => "CustomAuthenticator",
        })
    }
}

impl Authenticator {
    /// `name` is the stream's, which requests for tokens are reported under.
    pub(crate) fn build(
        component: Option<&Component<'_>>,
        name: &str,
        host: &Arc<Host>,
    ) -> Result<Self> {
        let Some(component) = component else {
            return Ok(Self::None);
        };
        let template = |key: &str, default: &str| {
            let text = component.text_like(key);
            Template::new(text.as_deref().unwrap_or(default), component)
        };
        Ok(match component.kind() {
            "NoAuth" => Self::None,
            "BasicHttpAuthenticator" => Self::Basic {
                username: template("username", "")?,
                password: template("password", "")?,
            },
            "BearerAuthenticator" => Self::Bearer(template("api_token", "")?),
            "ApiKeyAuthenticator" => Self::ApiKey {
                option: api_key_option(component)?,
                token: template("api_token", "")?,
            },
            "JwtAuthenticator" => Self::Jwt(Arc::new(jwt::Jwt::build(component)?)),
            "OAuthAuthenticator" => {
                Self::OAuth(Arc::new(oauth::OAuth::build(component, name, host)?))
            }
            "SessionTokenAuthenticator" => {
                Self::Session(Arc::new(session::Session::build(component, name, host)?))
            }
            "LegacySessionTokenAuthenticator" => Self::LegacySession(Arc::new(
                session::LegacySession::build(component, name, host)?,
            )),
            "SelectiveAuthenticator" => return Self::selected(component, name, host),
            "RateLimitedMultipleTokenAuthenticator" => {
                Self::Rotating(Arc::new(rotating::Rotating::build(component, host)?))
            }
            "CustomAuthenticator" => Self::Custom(host.registry().authenticator(component)?),
            other => {
                return Err(component.error(format!("`{other}` is no authenticator.")));
            }
        })
    }

    /// The authenticator that the config selects.
    fn selected(component: &Component<'_>, name: &str, host: &Arc<Host>) -> Result<Self> {
        let path = component.texts("authenticator_selection_path")?;
        let config = host.config();
        let selected = dpath::get(&config, &path);
        let selected = selected.and_then(Value::as_str).ok_or_else(|| {
            component.error(format!(
                "the config has no text at `{}` that selects an authenticator.",
                path.join(".")
            ))
        })?;
        let choices = component.need_child("authenticators")?;
        let choice = choices.child(selected)?.ok_or_else(|| {
            let known: Vec<&str> = choices.fields().keys().map(String::as_str).collect();
            component.error(format!(
                "`{selected}` selects no authenticator. Set `{}` in the config to one of: {}.",
                path.join("."),
                known.join(", ")
            ))
        })?;
        Self::build(Some(&choice), name, host)
    }

    /// True when what goes into a request depends on the request.
    pub(crate) fn looks_at_requests(&self) -> bool {
        matches!(self, Self::Rotating(_))
    }

    /// What goes into the next request: `request`, which need not be given unless the authenticator looks at it.
    pub(crate) async fn additions(
        &self,
        scope: &Scope<'_>,
        request: Option<&Request>,
    ) -> Result<Additions> {
        match self {
            Self::None => Ok(Additions::default()),
            Self::Basic { username, password } => {
                let pair = format!("{}:{}", username.text(scope)?, password.text(scope)?);
                Ok(header(
                    "Authorization",
                    format!("Basic {}", BASE64.encode(pair)),
                ))
            }
            Self::Bearer(token) => Ok(bearer(&token.text(scope)?)),
            Self::ApiKey { option, token } => inject(option, token.text(scope)?, scope),
            Self::Jwt(jwt) => jwt.additions(scope),
            Self::OAuth(oauth) => Ok(bearer(&oauth.token().await?)),
            Self::Session(session) => session.additions(scope).await,
            Self::LegacySession(session) => session.additions().await,
            Self::Rotating(rotating) => rotating.additions(request).await,
            Self::Custom(custom) => custom.additions(scope.config()).await,
        }
    }

    /// Gets a new token although the old one should still be good. False when there is none to be had.
    pub(crate) async fn refresh(&self) -> Result<bool> {
        match self {
            Self::OAuth(oauth) => oauth.refresh().await.map(|()| true),
            _ => Ok(false),
        }
    }

    /// Tells of a response, for quotas; true when another token can take the request over.
    pub(crate) fn saw(&self, sent: &Additions, request: &Request, response: &PageResponse) -> bool {
        match self {
            Self::Rotating(rotating) => rotating.saw(sent, request, response),
            _ => false,
        }
    }
}

fn api_key_option(component: &Component<'_>) -> Result<RequestOption> {
    let option = component.child("inject_into")?;
    let header = component
        .text("header")?
        .filter(|header| !header.is_empty());
    match (option, header) {
        (Some(option), None) => RequestOption::build(&option),
        (None, Some(header)) => RequestOption::header(header, component),
        _ => Err(component.error("give one of `inject_into` and `header`.")),
    }
}

fn header(name: &str, value: String) -> Additions {
    let mut additions = Additions::default();
    additions.headers.insert(name.to_owned(), value.into());
    additions
}

fn bearer(token: &str) -> Additions {
    header("Authorization", format!("Bearer {token}"))
}

fn inject(option: &RequestOption, value: String, scope: &Scope<'_>) -> Result<Additions> {
    let mut additions = Additions::default();
    additions.inject(option, value.into(), scope)?;
    Ok(additions)
}
