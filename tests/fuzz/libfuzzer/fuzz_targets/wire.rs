#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| cqrs_fuzz::body(input));
