#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| cdk_fuzz::protocol::check_lines(input));
