//! Plans and rows, without a database.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, where a panic is the report"
)]

mod classic;
mod every_leaf;
mod guide;
mod naming;
mod support;
