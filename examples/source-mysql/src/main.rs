//! Airbyte source: tables of MySQL and MariaDB.

use std::process::ExitCode;

fn main() -> ExitCode {
    cdk_core::run_source(source_mysql::MySqlSource::default())
}
