//! All integration tests of this crate: streams read through the entry point, from a server that misbehaves.

mod api;
mod auth;
mod bad_input;
mod budgets;
mod faults;
mod incremental;
mod jobs;
mod long_bodies;
mod parents;
mod recordings;
mod resuming;
mod source;
mod tls;
mod transport;
