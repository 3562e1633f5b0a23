//! Sets of signals, waiting for one, and passing it on.
//!
//! The sets are the kernel's own 64 bits and the calls are made directly: the sets of a C library leave out the signals which it keeps for
//! itself (32 and 33, with musl 34 too), nix has no name for the real-time ones, and what was sent to us was meant for the app.

use std::mem::MaybeUninit;

/// A set of signals as the kernel has it: bit n − 1 stands for signal n.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Set(u64);

/// Bytes of the kernel's set.
const SET_BYTES: usize = 8;

impl Set {
    /// All signals, 1 to 64.
    pub(super) const ALL: Self = Self(u64::MAX);

    /// The set with these bits.
    pub(super) const fn of_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Makes this set the mask of the calling thread and returns the one that was in force.
    #[expect(
        unsafe_code,
        reason = "the C library's wrapper leaves out the signals that it uses itself"
    )]
    pub(super) fn block(self) -> Self {
        let mut old = 0_u64;
        // SAFETY: both pointers are to 8 bytes that live through the call, which is the size given.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigprocmask,
                libc::SIG_SETMASK,
                &raw const self.0,
                &raw mut old,
                SET_BYTES,
            )
        };
        Self(old)
    }

    /// Whether `signal` is in the set.
    pub(super) const fn contains(self, signal: i32) -> bool {
        self.0 & (1 << (signal - 1)) != 0
    }

    /// The set without `signal`.
    pub(super) const fn without(self, signal: i32) -> Self {
        Self(self.0 & !(1 << (signal - 1)))
    }
}

/// A signal that was sent to this process.
pub(super) struct Signal {
    /// Its number, 1 to 64.
    pub(super) number: i32,
    raw: libc::siginfo_t,
}

/// Waits until one of all signals is sent to this process or thread, and takes it. It must be blocked.
#[expect(unsafe_code, reason = "sigtimedwait with the kernel's whole set")]
pub(super) fn wait() -> Signal {
    let mut raw = MaybeUninit::<libc::siginfo_t>::zeroed();
    loop {
        let (set, timeout) = (Set::ALL.0, std::ptr::null::<libc::timespec>());
        // SAFETY: the set and the siginfo_t live through the call; no timeout means to wait for ever.
        let number = unsafe {
            libc::syscall(
                libc::SYS_rt_sigtimedwait,
                &raw const set,
                raw.as_mut_ptr(),
                timeout,
                SET_BYTES,
            )
        };
        // It fails with EINTR alone, when a stop signal and SIGCONT came between (signal(7)).
        if let Ok(number @ 1..=64) = i32::try_from(number) {
            // SAFETY: it was zeroed, every bit pattern is a siginfo_t, and the kernel has filled it in.
            return Signal { number, raw: unsafe { raw.assume_init() } };
        }
    }
}

impl Signal {
    /// Whether this process made it itself: SIGPIPE for a write of ours, or what was meant for the rest of our own group.
    pub(super) fn is_own(&self) -> bool {
        self.raw.si_code <= 0 && self.sender() == nix::unistd::getpid().as_raw()
    }

    #[expect(unsafe_code, reason = "the field of a C union")]
    fn sender(&self) -> libc::pid_t {
        // SAFETY: every bit pattern is a number; the caller has seen that a process sent it, so that it is the sender's.
        unsafe { self.raw.si_pid() }
    }

    /// Sends the same signal to `pid`, or to the group `-pid`; a value that was queued with it goes along. Returns whether it could be sent.
    #[expect(unsafe_code, reason = "nix has no rt_sigqueueinfo and no real-time signals")]
    pub(super) fn forward(&self, pid: libc::pid_t) -> bool {
        if self.raw.si_code == libc::SI_QUEUE && pid > 0 {
            // SAFETY: the siginfo_t lives through the call; the kernel takes a foreign one as long as its code is SI_QUEUE.
            if unsafe {
                libc::syscall(libc::SYS_rt_sigqueueinfo, pid, self.number, &raw const self.raw)
            } == 0
            {
                return true;
            }
        }
        send(pid, self.number)
    }
}

/// Sends `signal` to the process `pid`, to the group `-pid`, or with 0 to our own group. Returns whether it could be sent.
#[expect(unsafe_code, reason = "nix has no real-time signals")]
pub(super) fn send(pid: libc::pid_t, signal: i32) -> bool {
    // SAFETY: kill takes two numbers and refuses what does not exist.
    unsafe { libc::kill(pid, signal) == 0 }
}

/// Whether `signal` is waiting to be taken.
#[expect(unsafe_code, reason = "the C library's set again")]
pub(super) fn is_pending(signal: i32) -> bool {
    let mut pending = 0_u64;
    // SAFETY: the pointer is to 8 bytes that live through the call, which is the size given.
    unsafe { libc::syscall(libc::SYS_rt_sigpending, &raw mut pending, SET_BYTES) };
    Set(pending).contains(signal)
}

/// Whether `signal` is ignored by this process, as it can be from the start: ignoring is inherited (`nohup`, a background job of a script).
#[expect(unsafe_code, reason = "nix can only set an action")]
pub(super) fn is_ignored(signal: i32) -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: no new action is given; the old one is written into memory of its size, and zeroes are a valid one.
    let action = unsafe {
        libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr());
        action.assume_init()
    };
    action.sa_sigaction == libc::SIG_IGN
}

/// Gives `signal` its default action, or ignores it. Safe to call between vfork and exec.
#[expect(unsafe_code, reason = "a change of the process's signal actions")]
pub(super) fn set_ignored(signal: i32, is_ignored: bool) {
    let action = if is_ignored { libc::SIG_IGN } else { libc::SIG_DFL };
    // SAFETY: neither action is code that could run.
    unsafe { libc::signal(signal, action) };
}

/// Stops this process, or its whole group with it, as Ctrl-Z would have: by SIGTSTP with its default action, which the kernel leaves out
/// where nobody could bring the process back (PID 1, an orphaned process group). Returns whether we were stopped and go on again: SIGCONT is
/// then waiting to be taken.
pub(super) fn stop(is_whole_group: bool) -> bool {
    let own = nix::unistd::getpid().as_raw();
    // As PID 1 our group may be one outside of our namespace, and is none of our business.
    send(if is_whole_group && own != 1 { 0 } else { own }, libc::SIGTSTP);
    // It comes while it is let through here.
    let mask = Set::ALL.without(libc::SIGTSTP).block();
    mask.block();
    is_pending(libc::SIGCONT)
}

#[cfg(test)]
mod tests {
    use super::{Set, is_ignored, is_pending, send, set_ignored, wait};

    #[test]
    fn a_set_has_a_bit_for_each_of_64_signals() {
        for signal in 1..=64 {
            assert!(Set::ALL.contains(signal));
            assert!(!Set::ALL.without(signal).contains(signal));
        }
        assert!(Set::of_bits(1 << 14).contains(libc::SIGTERM));
    }

    #[test]
    fn a_signal_of_our_own_is_taken_and_told_from_others() {
        let old = Set::ALL.block();
        // SAFETY: a signal to this very thread, which blocks it.
        #[expect(unsafe_code, reason = "the tests' threads share the process")]
        unsafe {
            libc::syscall(libc::SYS_tgkill, libc::getpid(), libc::syscall(libc::SYS_gettid), 40);
        }
        assert!(is_pending(40));
        let signal = wait();
        assert_eq!(signal.number, 40);
        assert!(signal.is_own());
        assert!(!is_pending(40));
        old.block();
    }

    #[test]
    fn an_action_can_be_ignored_and_put_back() {
        set_ignored(libc::SIGWINCH, true);
        assert!(is_ignored(libc::SIGWINCH));
        set_ignored(libc::SIGWINCH, false);
        assert!(!is_ignored(libc::SIGWINCH));
    }

    #[test]
    fn sending_to_nobody_fails() {
        assert!(!send(i32::MAX, 0));
    }
}
