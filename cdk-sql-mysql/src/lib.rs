//! MySQL and MariaDB for the Rust CDK.
//!
//! [`MySql`] is the dialect of [`cdk_sql`]: tables read as streams. Rows are taken in the text form of the protocol and
//! copied once, from the read buffer into the record.
//!
//! | module | what is there |
//! |---|---|
//! | [`settings`], [`connect`], [`encryption`] | where the server is, how to log in, how to encrypt |
//! | [`wire`] | the protocol: packets, login, rows |
//! | [`discovery`], [`mod@column`] | tables and what their columns hold |
//! | [`dialect`] | tables as streams |
//! | [`values`] | values as JSON |
//! | [`binlog`] | the binary log: its events and values |
//! | [`cdc`] | change data capture: tables once, then the log |

pub mod binlog;
pub mod cdc;
pub mod column;
pub mod connect;
pub mod dialect;
pub mod discovery;
pub mod encryption;
mod error;
mod literal;
mod row_writer;
pub mod settings;
pub mod values;
pub mod wire;

pub use column::Kind;
pub use dialect::MySql;
pub use encryption::Encryption;
pub use error::{Place, explain};
pub use settings::{Login, Settings};
