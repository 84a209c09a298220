//! Signed tokens (RFC 7519).

use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cdk_core::{ConnectorError, ErrorContext, Result, SecretString};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::auth::{Token, TokenSource};
use crate::client::HttpClient;

/// Claims and header members that are set from other settings.
const RESERVED_CLAIMS: [&str; 6] = ["iss", "sub", "aud", "iat", "nbf", "exp"];

/// Signs tokens with a key of its own. As a [`TokenSource`] it brings tokens to use directly; with
/// [`OAuth::assertion`](crate::auth::OAuth::assertion) they are exchanged for access tokens.
#[derive(Debug, Clone)]
pub struct Jwt {
    algorithm: Algorithm,
    key: SecretString,
    lifetime: Duration,
    headers: Map<String, Value>,
    claims: Map<String, Value>,
}

impl Jwt {
    /// Signs with `algorithm`: `HS256`, `HS384`, `HS512`, `RS256`…, `PS256`…, `ES256`, `ES384` or `EdDSA`. The key is
    /// the secret itself for HS, PEM text for the others.
    pub fn try_new(algorithm: &str, key: SecretString) -> Result<Self> {
        let parsed = algorithm.parse().config_error(format!(
            "The algorithm `{algorithm}` can't sign tokens here. Known: HS256, HS384, HS512, RS256, RS384, RS512, \
             PS256, PS384, PS512, ES256, ES384, EdDSA."
        ))?;
        Ok(Self {
            algorithm: parsed,
            key,
            lifetime: Duration::from_secs(1200),
            headers: Map::new(),
            claims: Map::new(),
        })
    }

    /// Signs what Google's token endpoint takes for a service account, whose key is the text of its JSON file.
    pub fn google_service_account(
        key_file: &SecretString,
        scopes: &[&str],
    ) -> Result<(String, Self)> {
        #[derive(Deserialize)]
        struct KeyFile {
            client_email: String,
            private_key: SecretString,
            private_key_id: Option<String>,
            token_uri: Option<String>,
        }
        let parsed: KeyFile = serde_json::from_str(key_file.expose()).map_err(|_| {
            // The parser's words may show a part of the key.
            ConnectorError::config(
                "The service account's key is not the text of the JSON file that Google gave out: it must hold \
                 `client_email` and `private_key`.",
            )
        })?;
        let endpoint = parsed
            .token_uri
            .unwrap_or_else(|| "https://oauth2.googleapis.com/token".to_owned());
        let mut jwt = Self::try_new("RS256", parsed.private_key)?
            .lifetime(Duration::from_secs(3600))
            .claim("iss", parsed.client_email)?
            .claim("aud", endpoint.clone())?
            .claim("scope", scopes.join(" "))?;
        if let Some(id) = parsed.private_key_id {
            jwt = jwt.header("kid", id);
        }
        Ok((endpoint, jwt))
    }

    /// Uses the base64 text of the secret as the secret.
    #[must_use]
    pub fn base64_key(mut self) -> Self {
        self.key = SecretString::new(STANDARD.encode(self.key.expose()));
        self
    }

    /// Sets how long a token is good; 20 minutes by default.
    #[must_use]
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Sets a member of the header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.headers.insert(name.into(), value.into());
        self
    }

    /// Sets a claim. `iat`, `nbf` and `exp` come from the clock.
    pub fn claim(mut self, name: impl Into<String>, value: impl Into<Value>) -> Result<Self> {
        let name = name.into();
        if RESERVED_CLAIMS[3..].contains(&name.as_str()) {
            return Err(ConnectorError::config(format!(
                "The claim `{name}` of a signed token is set from the clock and can't be given."
            )));
        }
        self.claims.insert(name, value.into());
        Ok(self)
    }

    /// A token signed at `now_ms`, in milliseconds since the Unix epoch.
    pub fn sign(&self, now_ms: i64) -> Result<SecretString> {
        let now = now_ms.div_euclid(1000);
        let mut claims = self.claims.clone();
        claims.insert("iat".to_owned(), json!(now));
        claims.insert("nbf".to_owned(), json!(now));
        claims.insert(
            "exp".to_owned(),
            json!(now + self.lifetime.as_secs() as i64),
        );
        const UNSIGNED: &str =
            "The token could not be signed. Check that the key fits the algorithm.";
        let mut header = json!({"typ": "JWT", "alg": format!("{:?}", self.algorithm)});
        for (name, value) in &self.headers {
            header[name] = value.clone();
        }
        let header: Header = serde_json::from_value(header).config_error(UNSIGNED)?;
        let token = jsonwebtoken::encode(&header, &claims, &self.encoding_key()?);
        token.config_error(UNSIGNED).map(SecretString::new)
    }

    fn encoding_key(&self) -> Result<EncodingKey> {
        let key = self.key.expose();
        // A key that was pasted into a one-line field.
        let pem = key.replace("\\n", "\n");
        let read = match self.algorithm {
            Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => {
                return Ok(EncodingKey::from_secret(key.as_bytes()));
            }
            Algorithm::ES256 | Algorithm::ES384 => EncodingKey::from_ec_pem(pem.as_bytes()),
            Algorithm::EdDSA => EncodingKey::from_ed_pem(pem.as_bytes()),
            _ => EncodingKey::from_rsa_pem(pem.as_bytes()),
        };
        read.config_error(format!(
            "The key that signs tokens can't be read: for {:?} it must be an unencrypted private key as PEM text \
             (-----BEGIN PRIVATE KEY-----).",
            self.algorithm
        ))
    }
}

#[async_trait]
impl TokenSource for Jwt {
    async fn fetch(&self, client: &HttpClient) -> Result<Token> {
        client.context().secrets().add(self.key.expose());
        let secret = self.sign(client.context().now_ms())?;
        let lifetime = Some(self.lifetime);
        Ok(Token { secret, lifetime })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_come_from_the_clock_and_claims_from_the_settings() {
        let jwt = Jwt::try_new("HS256", SecretString::new("secret")).unwrap();
        let jwt = jwt.claim("iss", "me").unwrap().header("kid", "k1");
        let token = jwt.sign(1_700_000_000_000).unwrap();
        let mut validation = jsonwebtoken::Validation::new(Algorithm::HS256);
        validation.validate_exp = false;
        let key = jsonwebtoken::DecodingKey::from_secret(b"secret");
        let decoded = jsonwebtoken::decode::<Value>(token.expose(), &key, &validation).unwrap();
        assert_eq!(
            decoded.claims,
            json!({"iss": "me", "iat": 1_700_000_000, "nbf": 1_700_000_000, "exp": 1_700_001_200})
        );
        assert_eq!(decoded.header.kid.as_deref(), Some("k1"));
    }

    #[test]
    fn bad_algorithms_keys_and_claims_are_config_errors() {
        assert!(Jwt::try_new("none", SecretString::new("x")).is_err());
        let jwt = Jwt::try_new("RS256", SecretString::new("geheim")).unwrap();
        let error = jwt.sign(0).unwrap_err();
        assert!(error.message().contains("PEM"), "{error}");
        assert!(!format!("{error:?}").contains("geheim"));
        assert!(jwt.claim("exp", 5).is_err());
    }
}
