//! What the connection's encryption must be like.

use cdk_core::Result;
use cdk_sql::tls::{Trust, Verify, client_config};
use rustls::ClientConfig;
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

impl SslMode {
    /// The client side of TLS.
    pub(crate) fn client_config(&self) -> Result<ClientConfig> {
        match self {
            Self::VerifyCa(trust) => client_config(Verify::Authority, trust),
            Self::VerifyFull(trust) => client_config(Verify::AuthorityAndHost, trust),
            _ => client_config(Verify::Nothing, &Trust::default()),
        }
    }
}
