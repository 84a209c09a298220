//! Where the server is and who logs in.

use std::sync::Arc;
use std::time::Duration;

use cdk_core::SecretString;
use cdk_sql::Tunnel;

use crate::encryption::Encryption;

/// Everything a connection needs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Who logs in, and where.
    pub login: Login,
    /// The port of `login.host`.
    pub port: u16,
    /// The tunnel to go through; it leads to the host.
    pub tunnel: Option<Arc<Tunnel>>,
    /// Whether and how to encrypt.
    pub encryption: Encryption,
    /// How long all steps of connecting may take together.
    pub timeout: Duration,
    /// Variables to set in every session, such as `max_heap_table_size = 1024`.
    pub variables: Vec<String>,
}

/// Who logs in at which host.
#[derive(Debug, Clone)]
pub struct Login {
    /// Host name or address; TLS verifies it.
    pub host: String,
    /// User name.
    pub user: String,
    /// Password, empty for none.
    pub password: SecretString,
    /// The database to start in.
    pub database: Option<String>,
}
