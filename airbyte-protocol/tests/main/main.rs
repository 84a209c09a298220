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
#[expect(unreachable_pub, reason = "a public module of cdk-testkit")]
#[path = "../../../cdk-testkit/src/schema.rs"]
mod schema;
mod types_random;
