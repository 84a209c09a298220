//! The `cdk` binary as its users run it: arguments and files in, stdout, stderr and exit code out.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod conformance;
mod connector;
mod file;
mod image;
mod manifest;
mod manifest_faults;
mod normalize;
mod output;
mod quickstart;
mod scaffold;
mod signals;
mod state;
mod support;
mod sync;
