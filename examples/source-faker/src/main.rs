//! Airbyte source: deterministic users, products and purchases for demos, tests and benches.

use std::process::ExitCode;

fn main() -> ExitCode {
    cdk_core::run_source(source_faker::SourceFaker)
}
