//! The source as a whole, verb by verb.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, where a panic is the report"
)]

mod always_updated;
mod bad_input;
mod catalog;
mod conformance;
mod harness;
mod incremental;
mod spec;
