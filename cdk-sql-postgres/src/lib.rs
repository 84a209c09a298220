//! PostgreSQL for sources and destinations.
//!
//! | module | what is there |
//! |---|---|
//! | [`connect`] | TLS modes, SSH tunnel, login, for the lean client and for `tokio-postgres` |
//! | [`session`] | the lean client: simple queries, COPY out, replication streams |
//! | [`error`] | SQLSTATE and I/O causes as connector errors |
//! | [`catalog`] | discovery: tables, columns, types, keys |
//! | [`value`] | values as JSON, from binary and from text |
//! | [`rows`] | rows of COPY as records |
//! | [`dialect`] | PostgreSQL for the engine of `cdk-sql` |
//! | [`cdc`] | change data capture |
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `arrow` | no | tables go as Arrow columns where the destination in the same process prefers them |

pub mod catalog;
pub mod cdc;
#[cfg(feature = "arrow")]
mod columns;
pub mod connect;
pub mod dialect;
pub mod error;
mod frames;
pub mod quote;
pub mod rows;
pub mod session;
mod ssl_mode;
pub mod value;

pub use catalog::PgTable;
pub use cdk_sql::tls::Trust;
pub use connect::{ConnectSettings, Connector};
pub use dialect::{PgDialect, PgSnapshot};
pub use error::ServerError;
pub use rows::RowEncoder;
pub use session::Session;
pub use ssl_mode::SslMode;
pub use tokio_postgres;
