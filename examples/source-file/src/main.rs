//! Airbyte source: one CSV or JSONL file from a local path or a URL.

use std::process::ExitCode;

fn main() -> ExitCode {
    cdk_core::entrypoint::run_connector(source_file::connector())
}
