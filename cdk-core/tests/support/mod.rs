//! Connectors and helpers that the tests share.

pub(crate) mod counting;
pub(crate) mod lines;
pub(crate) mod run;
pub(crate) mod scripted;
pub(crate) mod stdout;
pub(crate) mod tables;
