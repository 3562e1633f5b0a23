//! `sql_obfuscate_only` of `tests/fuzz/targets/mod.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pillion_fuzz::run("sql_obfuscate_only", data));
