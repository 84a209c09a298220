//! PostgreSQL for sources and destinations.

pub mod connect;
pub mod error;
mod frames;
pub mod session;
mod ssl_mode;

pub use cdk_sql::tls::Trust;
pub use connect::{ConnectSettings, Connector};
pub use error::ServerError;
pub use session::Session;
pub use ssl_mode::SslMode;
pub use tokio_postgres;
