//! Airbyte source: one CSV or JSONL file from a local path or a URL.

use std::process::ExitCode;

fn main() -> ExitCode {
    cdk_core::run_source(source_file::FileSource::default())
}
