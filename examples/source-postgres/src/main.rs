//! Airbyte source: PostgreSQL.

use std::process::ExitCode;

fn main() -> ExitCode {
    cdk_core::run_source(source_postgres::PostgresSource::default())
}
