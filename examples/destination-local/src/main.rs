//! Airbyte destination: JSONL or CSV files in a local directory.

fn main() -> std::process::ExitCode {
    cdk_core::run_destination(destination_local::LocalDestination::default())
}
