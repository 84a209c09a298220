//! What the connection's encryption must be like.

use cdk_core::SecretString;
use schemars::JsonSchema;
use serde::Deserialize;

/// How a connection is encrypted and whom it trusts, with the keys of Airbyte's connectors and the meaning of libpq.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(tag = "mode", rename_all = "kebab-case")]
#[schemars(inline)]
#[non_exhaustive]
pub enum SslMode {
    /// Never encrypts.
    #[schemars(title = "disable")]
    Disable {},
    /// Encrypts only when the server refuses plain connections.
    #[schemars(title = "allow")]
    Allow {},
    /// Encrypts when the server can; trusts every server.
    #[schemars(title = "prefer")]
    Prefer {},
    /// Always encrypts; trusts every server.
    #[schemars(title = "require")]
    Require {},
    /// Always encrypts; the server's certificate must be signed by the given authority.
    #[schemars(title = "verify-ca")]
    VerifyCa(Trust),
    /// Always encrypts; the certificate must also be for the host name.
    #[schemars(title = "verify-full")]
    VerifyFull(Trust),
}

impl Default for SslMode {
    fn default() -> Self {
        Self::Prefer {}
    }
}

/// Certificates and keys, each PEM text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(inline)]
#[non_exhaustive]
pub struct Trust {
    /// Certificate of the authority that signed the server's certificate. Without it, the authorities
    /// that this machine trusts.
    #[serde(default)]
    #[schemars(title = "CA Certificate", extend("multiline" = true, "order" = 1))]
    pub ca_certificate: Option<SecretString>,
    /// Certificate to show to the server.
    #[serde(default)]
    #[schemars(title = "Client Certificate", extend("multiline" = true, "order" = 2))]
    pub client_certificate: Option<SecretString>,
    /// Private key of the client certificate.
    #[serde(default)]
    #[schemars(title = "Client Key", extend("multiline" = true, "order" = 3))]
    pub client_key: Option<SecretString>,
    /// Passphrase of the private key, if it has one.
    #[serde(default)]
    #[schemars(title = "Client Key Password", extend("order" = 4))]
    pub client_key_password: Option<SecretString>,
}

impl SslMode {
    /// The certificates of the modes that have any.
    pub(crate) fn trust(&self) -> Option<&Trust> {
        match self {
            Self::VerifyCa(trust) | Self::VerifyFull(trust) => Some(trust),
            _ => None,
        }
    }
}
