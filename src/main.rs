//! The entry point: arguments in, exit code out. It is C's `main`, so that the start of Rust's own does not run, which would ignore SIGPIPE
//! and open closed files for the app too.

#![no_main]

use std::ffi::{CStr, CString, c_char, c_int};

/// Runs the program with the arguments as the kernel gave them.
#[unsafe(no_mangle)]
#[expect(unsafe_code, reason = "the C library calls it by its name and with pointers")]
extern "C" fn main(argc: c_int, argv: *const *const c_char) -> c_int {
    pillion::init::start();
    let count = usize::try_from(argc).unwrap_or(0);
    // SAFETY: the C library gives `argc` strings at `argv`, which live as long as the process. The first is our own name.
    let args: Vec<CString> =
        (1..count).map(|at| unsafe { CStr::from_ptr(*argv.add(at)) }.to_owned()).collect();
    c_int::from(pillion::app::run(args))
}
