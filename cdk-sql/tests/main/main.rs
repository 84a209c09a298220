//! Rules of the dialect-free parts.

// The exemption of clippy.toml covers test functions only, not their helpers.
#![allow(clippy::unwrap_used)]

mod tunnel;
