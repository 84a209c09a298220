//! The `cdk` binary as its users run it: arguments and files in, stdout, stderr and exit code out.

mod connector;
mod file;
mod output;
mod signals;
mod state;
mod support;
mod sync;
