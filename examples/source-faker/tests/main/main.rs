//! The source as a whole, verb by verb.

mod always_updated;
mod bad_input;
mod catalog;
mod harness;
mod incremental;
mod spec;
