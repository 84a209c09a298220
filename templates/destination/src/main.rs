//! The connector's program.

use std::process::ExitCode;

fn main() -> ExitCode {
    cdk_core::run_destination({{ crate_name }}::{{ crate_name | pascal_case }})
}
