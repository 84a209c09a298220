//! The suite itself: sound connectors pass it, and every rule is failed by a connector that breaks it.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, where a panic is the report"
)]

mod destination;
mod destination_faults;
mod edit;
mod mutations;
mod process;
mod report;
mod source;
mod source_faults;
