//! Reaping: taking the status of every process that ended below us, the only place that waits for processes.
//!
//! As PID 1 or as a subreaper we become the parent of orphans, and a process that nobody waits for stays in the table for ever.
//! The status is read bit by bit, because nix takes the status of a death by a real-time signal and then fails to name it.

use super::signals;

/// What became of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It ended by itself, with this code.
    Exited(u8),
    /// It ended by this signal, 1 to 64, and the kernel wrote its memory to a file or did not.
    Killed { signal: i32, has_core: bool },
    /// It was stopped by this signal and can go on.
    Stopped(i32),
    /// It goes on, or the kernel says something else that asks for nothing.
    Continued,
}

impl Change {
    /// The change that the kernel says in a wait status (wait(2)).
    fn of_status(status: i32) -> Self {
        let high = u8::try_from((status >> 8) & 0xff).unwrap_or(u8::MAX);
        match status & 0x7f {
            0 => Self::Exited(high),
            0x7f if status & 0xffff == 0xffff => Self::Continued,
            0x7f => Self::Stopped(i32::from(high)),
            signal => Self::Killed { signal, has_core: status & 0x80 != 0 },
        }
    }
}

/// The next process that changed, or nothing where none has. It never waits.
#[expect(unsafe_code, reason = "nix cannot read the status of a death by a real-time signal")]
pub(super) fn next() -> Option<(libc::pid_t, Change)> {
    let mut status = 0;
    // SAFETY: the status is written into memory of its size.
    let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG | libc::WUNTRACED) };
    (pid > 0).then(|| (pid, Change::of_status(status)))
}

/// Waits for a child that has already ended and forgets it.
#[expect(unsafe_code, reason = "beside the call above, not through nix")]
pub(super) fn discard(pid: libc::pid_t) {
    // SAFETY: no status is asked for.
    while unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) } < 0
        && nix::errno::Errno::last() == nix::errno::Errno::EINTR
    {}
}

/// Takes over the orphans of our descendants where we are not PID 1, whom they come to anyway. An old gVisor refuses it, and that changes
/// nothing for the app: its orphans go to PID 1 as they would without us.
pub(super) fn adopt_orphans() {
    if nix::unistd::getpid().as_raw() != 1 {
        nix::sys::prctl::set_child_subreaper(true).ok();
    }
}

/// Makes the kernel keep the status of our children: with SIGCHLD ignored on entry it would throw it away. Returns whether it was ignored.
pub(super) fn keep_statuses() -> bool {
    let is_ignored = signals::is_ignored(libc::SIGCHLD);
    if is_ignored {
        signals::set_ignored(libc::SIGCHLD, false);
    }
    is_ignored
}

#[cfg(test)]
mod tests {
    use super::Change;

    #[test]
    fn every_code_and_every_signal_is_read_from_a_status() {
        for code in 0..=255_u8 {
            assert_eq!(Change::of_status(i32::from(code) << 8), Change::Exited(code));
        }
        for signal in 1..=64 {
            assert_eq!(Change::of_status(signal), Change::Killed { signal, has_core: false });
            assert_eq!(Change::of_status(signal | 0x80), Change::Killed { signal, has_core: true });
            assert_eq!(Change::of_status(signal << 8 | 0x7f), Change::Stopped(signal));
        }
        assert_eq!(Change::of_status(0xffff), Change::Continued);
    }
}
