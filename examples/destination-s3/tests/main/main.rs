//! Tests of the S3 destination, against a server of its protocol in this process.

// Helpers are test code too, which clippy's `allow-unwrap-in-tests` does not see.
#![allow(missing_docs, clippy::unwrap_used)]

mod check;
mod formats;
mod guide;
mod kill;
mod large;
mod modes;
mod support;
mod values;
