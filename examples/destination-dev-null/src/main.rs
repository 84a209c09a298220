//! Airbyte destination that keeps nothing: discard, log, fail or slow down, for tests.

use std::process::ExitCode;

fn main() -> ExitCode {
    cdk_core::run_destination(destination_dev_null::DestinationDevNull::new())
}
