//! The connector's program.

use std::process::ExitCode;

fn main() -> ExitCode {
    cdk_core::run_source({{ crate_name }}::{{ crate_name | pascal_case }})
}
