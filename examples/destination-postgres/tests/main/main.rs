//! The destination as a whole, against a private PostgreSQL server.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, where a panic is the report"
)]

mod arrow;
mod conformance;
mod dedup;
mod evolution;
mod failures;
mod generations;
mod modes;
mod normalize;
mod raw;
mod replace;
mod spec;
mod support;
mod values;
