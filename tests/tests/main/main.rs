//! The built programs, run as a platform or a user runs them, and the commands the documentation shows.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, where a panic is the report"
)]

mod check;
mod clients;
mod commands;
mod conformance;
mod first_hour;
mod http_source;
mod links;
mod load;
mod manifests;
mod output;
mod proxies;
mod signals;
mod spec;
mod support;
mod templates;
