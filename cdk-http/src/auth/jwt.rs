//! Signed tokens (RFC 7519).

use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use cdk_core::{ConnectorError, Result, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::auth::{SigningKey, Token, TokenSource};
use crate::client::HttpClient;

/// Claims and header members that are set from other settings.
const RESERVED_CLAIMS: [&str; 6] = ["iss", "sub", "aud", "iat", "nbf", "exp"];

/// Signs tokens with a key of its own. As a [`TokenSource`] it brings tokens to use directly; with
/// [`OAuth::assertion`](crate::auth::OAuth::assertion) they are exchanged for access tokens.
#[derive(Debug, Clone)]
pub struct Jwt {
    algorithm: String,
    key: SecretString,
    passphrase: Option<SecretString>,
    lifetime: Duration,
    headers: Map<String, Value>,
    claims: Map<String, Value>,
}

impl Jwt {
    /// Signs with `algorithm`: `HS256`, `RS256`, `PS256`, `ES256` (each with its longer siblings), `ES256K` or `EdDSA`. The key
    /// is one that [`SigningKey::new`] reads.
    pub fn try_new(algorithm: &str, key: SecretString) -> Result<Self> {
        SigningKey::check_algorithm(algorithm)?;
        Ok(Self {
            algorithm: algorithm.to_owned(),
            key,
            passphrase: None,
            lifetime: Duration::from_secs(1200),
            headers: Map::new(),
            claims: Map::new(),
        })
    }

    /// Sets what opens the key.
    #[must_use]
    pub fn passphrase(mut self, passphrase: SecretString) -> Self {
        self.passphrase = Some(passphrase);
        self
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
        let mut header = Map::new();
        header.insert("typ".to_owned(), json!("JWT"));
        header.insert("alg".to_owned(), json!(self.algorithm));
        header.extend(self.headers.clone());
        let part =
            |part: Map<String, Value>| URL_SAFE_NO_PAD.encode(Value::Object(part).to_string());
        let message = format!("{}.{}", part(header), part(claims));
        let passphrase = self.passphrase.as_ref().map(SecretString::expose);
        let key = SigningKey::new(&self.algorithm, self.key.expose(), passphrase)?;
        let signature = key.sign(message.as_bytes())?;
        Ok(SecretString::new(format!("{message}.{signature}")))
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
        let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::HS256);
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
