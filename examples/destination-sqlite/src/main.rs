//! Airbyte destination: typed tables in an SQLite file.

fn main() -> std::process::ExitCode {
    cdk_core::run_destination(destination_sqlite::SqliteDestination::default())
}
