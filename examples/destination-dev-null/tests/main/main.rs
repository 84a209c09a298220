//! The destination as a whole: each kind of it, by `write`.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, where a panic is the report"
)]

mod conformance;
mod faults;
mod harness;
mod kinds;
mod recording;
mod spec;
