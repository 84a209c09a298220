//! PostgreSQL for sources and destinations.

pub mod connect;
pub mod error;
mod frames;
pub mod session;
mod ssl_mode;
mod tls;

pub use connect::{ConnectSettings, Connector};
pub use error::ServerError;
pub use session::Session;
pub use ssl_mode::{SslMode, Trust};
pub use tokio_postgres;
