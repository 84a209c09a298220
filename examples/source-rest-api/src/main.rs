//! Airbyte source: any JSON API, described in the config.

use std::process::ExitCode;

fn main() -> ExitCode {
    cdk_core::run_source(source_rest_api::SourceRestApi)
}
