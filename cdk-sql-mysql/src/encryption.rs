//! Whether and how a connection is encrypted.

use std::sync::Arc;

use cdk_core::Result;
use cdk_sql::tls::{Trust, Verify, client_config};
use rustls::ClientConfig;

use crate::wire::Failure;

/// Whether and how a connection is encrypted. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Encryption {
    config: Option<Arc<ClientConfig>>,
    is_required: bool,
}

impl Encryption {
    /// Never encrypted.
    pub fn off() -> Self {
        Self {
            config: None,
            is_required: false,
        }
    }

    /// Encrypted if the server offers it; every server is trusted.
    ///
    /// # Errors
    /// A system error when TLS can't be set up.
    pub fn preferred() -> Result<Self> {
        let required = Self::required(Verify::Nothing, &Trust::default())?;
        Ok(Self {
            is_required: false,
            ..required
        })
    }

    /// Always encrypted.
    ///
    /// # Errors
    /// A config error when a certificate or key can't be used.
    pub fn required(verify: Verify, trust: &Trust) -> Result<Self> {
        Ok(Self {
            config: Some(Arc::new(client_config(verify, trust)?)),
            is_required: true,
        })
    }

    /// The configuration to use with a server that offers TLS or doesn't.
    pub(crate) fn config(&self, is_offered: bool) -> Result<Option<Arc<ClientConfig>>, Failure> {
        match (&self.config, is_offered) {
            (Some(_), false) if self.is_required => Err(Failure::NoTls),
            (Some(config), true) => Ok(Some(Arc::clone(config))),
            _ => Ok(None),
        }
    }
}
