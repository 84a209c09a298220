//! Airbyte destination: typed tables, raw tables and normalized tables in PostgreSQL.

fn main() -> std::process::ExitCode {
    cdk_core::run_destination(destination_postgres::PostgresDestination)
}
