//! Airbyte destination: JSONL or CSV files in a local directory.

fn main() {}
