//! The connector's program.

use std::process::ExitCode;
use std::sync::Arc;

use cdk_core::entrypoint::{Connector, run_connector};

fn main() -> ExitCode {
    match {{ crate_name }}::source() {
        Ok(source) => run_connector(Connector::Source(Arc::new(source))),
        // The manifest is a part of the program: its own test finds this.
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
