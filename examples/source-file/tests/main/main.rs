//! The connector from the outside, run in process through the entry point.

mod config;
mod csv;
mod http;
mod jsonl;
mod memory;
mod oracle;
mod resume;
mod support;
