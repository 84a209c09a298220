//! Connectors and helpers that the tests share.

pub(crate) mod counting;
pub(crate) mod run;
pub(crate) mod tables;
