//! The connector against a real server.
#![allow(
    clippy::unwrap_used,
    clippy::needless_pass_by_value,
    reason = "a panic is the report; json!() makes values that are handed over"
)]

mod cdc;
mod check;
mod conformance;
mod incremental;
mod oracle;
mod resume;
mod support;
