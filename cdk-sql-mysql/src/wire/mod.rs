//! The client side of MySQL's protocol, as far as a source needs it: log in, select, follow the binary log.
//!
//! Rows are handed out as slices of the read buffer, so that a value is copied once: into the record.
//! Packets of the login and the ways to prove a password come from `mysql_common`.

mod connection;
mod failure;
mod handshake;
mod packets;
mod rows;

pub use connection::Connection;
pub(crate) use connection::DumpStart;
pub use failure::{Failure, ServerError};
pub use handshake::{Flavor, Server};
pub use packets::ByteStream;
pub(crate) use rows::length;
pub use rows::{Rows, TextRow};
