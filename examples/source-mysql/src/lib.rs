//! Airbyte source: tables of MySQL and MariaDB.
//!
//! | module | what |
//! |---|---|
//! | `config` | what the user sets |
//! | `source` | check, discovery, reading |
//! | `rights` | what the account and the server must allow, all that is missing at once |

mod config;
mod rights;
mod source;

pub use config::{InvalidPosition, MySqlConfig, ReplicationMethod, SslMode, TableFilter};
pub use source::MySqlSource;

/// The connector for the entry point and for embedders.
pub fn connector() -> cdk_core::entrypoint::Connector {
    cdk_core::entrypoint::Connector::Source(std::sync::Arc::new(MySqlSource::default()))
}
