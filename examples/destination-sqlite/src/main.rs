//! Airbyte destination: typed tables in an SQLite file.

fn main() {}
