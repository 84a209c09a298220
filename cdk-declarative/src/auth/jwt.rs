//! Tokens signed by the connector itself.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD as BASE64, URL_SAFE_NO_PAD};
use cdk_core::{ConnectorError, Result};
use cdk_http::auth::SigningKey;
use serde_json::{Map, Value};

use super::inject;
use crate::component::Component;
use crate::requester::inputs::{Inputs, RequestOption};
use crate::slice::Additions;
use crate::template::{Condition, Scope, Template, Types};

const RESERVED_HEADERS: [&str; 4] = ["kid", "alg", "typ", "cty"];
const RESERVED_CLAIMS: [&str; 6] = ["iss", "sub", "aud", "iat", "exp", "nbf"];

/// Makes and signs a JWT for each request.
#[derive(Debug)]
pub(crate) struct Jwt {
    place: String,
    secret: Template,
    algorithm: String,
    passphrase: Option<Template>,
    encodes_secret: Option<Condition>,
    duration: i64,
    prefix: Option<Template>,
    headers: [Option<Template>; 3],
    more_headers: Inputs,
    claims: [Option<Template>; 3],
    more_claims: Inputs,
    option: RequestOption,
}

impl Jwt {
    pub(super) fn build(component: &Component<'_>) -> Result<Self> {
        let algorithm_name = component.need_text("algorithm")?;
        SigningKey::check_algorithm(algorithm_name)
            .map_err(|error| component.error(error.message()))?;
        let headers = component.child("jwt_headers")?;
        let claims = component.child("jwt_payload")?;
        let of = |part: &Option<Component<'_>>, key: &str| {
            let text = part.as_ref().and_then(|part| part.text_like(key));
            let text = text.filter(|text| !text.is_empty());
            text.map(|text| Template::new(&text, component)).transpose()
        };
        let typ = match of(&headers, "typ")? {
            None if headers.is_some() => Some(Template::new("JWT", component)?),
            typ => typ,
        };
        let option = component.child("request_option")?;
        Ok(Self {
            place: component.path().to_owned(),
            secret: Template::new(component.need_text("secret_key")?, component)?,
            algorithm: algorithm_name.to_owned(),
            passphrase: of(&Some(component.clone()), "passphrase")?,
            encodes_secret: Condition::optional(component, "base64_encode_secret_key")?,
            duration: component
                .get("token_duration")
                .and_then(Value::as_i64)
                .unwrap_or(1200),
            prefix: of(&Some(component.clone()), "header_prefix")?,
            headers: [of(&headers, "kid")?, typ, of(&headers, "cty")?],
            more_headers: Inputs::build(component, "additional_jwt_headers")?,
            claims: [
                of(&claims, "iss")?,
                of(&claims, "sub")?,
                of(&claims, "aud")?,
            ],
            more_claims: Inputs::build(component, "additional_jwt_payload")?,
            option: match option {
                Some(option) => RequestOption::build(&option)?,
                None => RequestOption::header("Authorization", component)?,
            },
        })
    }

    pub(super) fn additions(&self, scope: &Scope<'_>) -> Result<Additions> {
        inject(&self.option, self.token(scope)?, scope)
    }

    /// The signed token, with its prefix.
    pub(super) fn token(&self, scope: &Scope<'_>) -> Result<String> {
        let scope = scope.with_json_loads();
        let header = self.header(&scope)?;
        let claims = self.payload(&scope)?;
        let message = format!("{}.{}", encode(&header), encode(&claims));
        let key = self.key(&scope)?;
        let signature = key.sign(message.as_bytes());
        let signature = signature.map_err(|error| self.placed(error))?;
        let token = format!("{message}.{signature}");
        let prefix = self
            .prefix
            .as_ref()
            .map(|prefix| prefix.text(&scope))
            .transpose()?;
        Ok(match prefix.filter(|prefix| !prefix.is_empty()) {
            Some(prefix) => format!("{prefix} {token}"),
            None => token,
        })
    }

    fn header(&self, scope: &Scope<'_>) -> Result<Map<String, Value>> {
        let mut header = Map::new();
        header.insert("typ".to_owned(), "JWT".into());
        header.insert("alg".to_owned(), self.algorithm.clone().into());
        self.add(&mut header, &self.more_headers, &RESERVED_HEADERS, scope)?;
        for (name, value) in ["kid", "typ", "cty"].iter().zip(&self.headers) {
            if let Some(value) = value {
                header.insert((*name).to_owned(), value.eval(scope)?);
            }
        }
        // The order is part of what is signed; the reference signs sorted headers.
        header.sort_keys();
        Ok(header)
    }

    fn payload(&self, scope: &Scope<'_>) -> Result<Map<String, Value>> {
        let mut claims = Map::new();
        self.add(&mut claims, &self.more_claims, &RESERVED_CLAIMS, scope)?;
        for (name, value) in ["iss", "sub", "aud"].iter().zip(&self.claims) {
            if let Some(value) = value {
                claims.insert((*name).to_owned(), value.eval(scope)?);
            }
        }
        let now = scope.now_us().div_euclid(1_000_000);
        claims.insert("iat".to_owned(), now.into());
        claims.insert("exp".to_owned(), (now + self.duration).into());
        claims.insert("nbf".to_owned(), now.into());
        Ok(claims)
    }

    fn add(
        &self,
        to: &mut Map<String, Value>,
        more: &Inputs,
        reserved: &[&str],
        scope: &Scope<'_>,
    ) -> Result<()> {
        let Value::Object(more) = more.eval(scope, Types::Any)? else {
            return Ok(());
        };
        if let Some(name) = more.keys().find(|name| reserved.contains(&name.as_str())) {
            return Err(ConnectorError::config(format!(
                "JwtAuthenticator at `{}`: `{name}` is set by the authenticator; take it out of the additional ones.",
                self.place
            )));
        }
        to.extend(more);
        Ok(())
    }

    fn key(&self, scope: &Scope<'_>) -> Result<SigningKey> {
        let secret = self.secret.text(scope)?;
        let encodes = match &self.encodes_secret {
            Some(condition) => condition.holds(scope)?,
            None => false,
        };
        let secret = if encodes {
            BASE64.encode(secret)
        } else {
            secret
        };
        let passphrase = self.passphrase.as_ref().map(|text| text.text(scope));
        let passphrase = passphrase.transpose()?.filter(|text| !text.is_empty());
        SigningKey::new(&self.algorithm, &secret, passphrase.as_deref())
            .map_err(|error| self.placed(error))
    }

    fn placed(&self, error: ConnectorError) -> ConnectorError {
        let text = format!("JwtAuthenticator at `{}`: {}", self.place, error.message());
        ConnectorError::config(text).caused_by(error)
    }
}

/// The part as Python's `json.dumps` writes it (no blanks, ASCII only), in base64url.
fn encode(part: &Map<String, Value>) -> String {
    let text = serde_json::to_string(part).unwrap_or_default();
    let mut ascii = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii() {
            ascii.push(c);
            continue;
        }
        let mut units = [0; 2];
        for unit in c.encode_utf16(&mut units) {
            ascii.push_str(&format!("\\u{unit:04x}"));
        }
    }
    URL_SAFE_NO_PAD.encode(ascii)
}
