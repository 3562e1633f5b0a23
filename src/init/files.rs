//! The three standard files, where we were started without some of them.

use std::os::fd::IntoRawFd;

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

/// Holds the numbers 0, 1 and 2 where they are closed, so that no socket of ours gets one of them: a message meant for standard error would go
/// into it. The child still gets them closed, because what holds them is closed by exec.
pub(super) fn hold_standard() {
    for number in 0..=2 {
        if is_open(number) {
            continue;
        }
        // The lowest free number is given: this one. In a file system without devices any path will do to hold it.
        let null = open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty());
        let held = null.or_else(|_| open("/", OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()));
        if let Ok(held) = held {
            // It stays open as long as the process runs.
            let _number = held.into_raw_fd();
        }
    }
}

#[expect(unsafe_code, reason = "a number that may be no open file cannot be borrowed")]
fn is_open(number: i32) -> bool {
    // SAFETY: it asks for the flags of a number and changes nothing.
    unsafe { libc::fcntl(number, libc::F_GETFD) != -1 }
}
