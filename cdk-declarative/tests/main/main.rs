//! What manifests mean, checked against values the Python CDK gave.

// Helpers are test code too, which clippy's `allow-unwrap-in-tests` does not see.
#![allow(clippy::unwrap_used)]

mod api;
mod auth;
mod corpus;
mod custom;
mod engine;
mod extracting;
mod manifests;
mod reference;
mod rules;
mod templates;
