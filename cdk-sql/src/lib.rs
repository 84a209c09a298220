//! SQL sources, whatever the database.

pub mod tunnel;

pub use tunnel::{Tunnel, TunnelMethod};
