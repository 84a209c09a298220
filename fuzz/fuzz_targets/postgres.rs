#![no_main]

// Not a part of the library: that one is also built by the tests of a crate that knows no database.
#[path = "../src/postgres.rs"]
mod postgres;

libfuzzer_sys::fuzz_target!(|input: &[u8]| postgres::check_postgres(input));
