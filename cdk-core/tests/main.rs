//! Integration tests of cdk-core: what ships, run over small in-memory connectors.

// Helpers are test code too, which clippy's `allow-unwrap-in-tests` does not see.
#![allow(missing_docs, clippy::unwrap_used)]

#[cfg(feature = "arrow")]
mod arrow;
mod checkpoints;
mod entrypoint_output;
mod entrypoint_read;
mod entrypoint_verbs;
mod entrypoint_write;
mod global_state;
mod independent;
mod memory;
mod process;
mod smallest;
mod support;
mod sync_engine;
mod sync_faults;
