//! The connector from the outside, run in process against private servers.

// The exemption of clippy.toml covers test functions only, not their helpers.
#![allow(clippy::unwrap_used)]

#[cfg(feature = "arrow")]
mod arrow;
mod cdc;
mod config;
mod conformance;
mod incremental;
mod oracle;
mod resume;
mod support;
