//! The target `mandates` of `card-fuzz` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| card_fuzz::mandates(input));
