//! The promises of the crate, one module per promise.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, where a panic is the report"
)]

mod codec_lines;
mod codec_random;
mod corpus;
mod json_text;
mod messages;
mod round_trip;
mod schema;
mod types_random;
