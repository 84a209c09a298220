//! Airbyte destination that keeps nothing: discard, log, fail or slow down, for tests.

fn main() {}
