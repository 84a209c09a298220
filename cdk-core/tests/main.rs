//! Integration tests of cdk-core: what ships, run over small in-memory connectors.

#![allow(missing_docs)]

mod checkpoints;
mod entrypoint_output;
mod entrypoint_read;
mod entrypoint_verbs;
mod entrypoint_write;
mod global_state;
mod memory;
mod process;
mod support;
mod sync_engine;
mod sync_faults;
