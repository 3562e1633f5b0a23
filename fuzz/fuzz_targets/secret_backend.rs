//! `secret_backend` of `tests/fuzz/targets/mod.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pillion_fuzz::run("secret_backend", data));
