//! Against real servers that the tests start.

// The exemption of clippy.toml covers test functions only, not their helpers.
#![allow(clippy::unwrap_used)]

mod connect;
mod corpus;
