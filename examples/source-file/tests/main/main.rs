//! The connector from the outside, run in process through the entry point.

// The exemption of clippy.toml covers test functions only, not their helpers.
#![allow(clippy::unwrap_used)]

mod config;
mod conformance;
mod csv;
mod http;
mod jsonl;
mod memory;
mod oracle;
mod resume;
mod support;
