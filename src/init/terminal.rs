//! The terminal on standard input: who is in its foreground.
//!
//! The child has a process group of its own. In the foreground it alone gets what is typed, so that Ctrl-C reaches it once; in the background
//! its first read would stop it. So it gets the foreground where we have it, and gives it back through us when it stops or ends. All calls
//! are made with SIGTTOU blocked, which is what allows them from the background (tcsetpgrp(3)).

use std::io::stdin;

use nix::unistd::{Pid, getpgrp, tcgetpgrp, tcsetpgrp};

/// Our controlling terminal, found on standard input.
#[derive(Debug)]
pub(super) struct Terminal {
    own_group: Pid,
}

impl Terminal {
    /// The terminal on standard input, where there is one and it controls this session.
    pub(super) fn of_stdin() -> Option<Self> {
        tcgetpgrp(stdin()).is_ok().then(|| Self { own_group: getpgrp() })
    }

    /// Whether our own process group is in the foreground.
    pub(super) fn is_ours(&self) -> bool {
        tcgetpgrp(stdin()) == Ok(self.own_group)
    }

    /// Puts the group of the child into the foreground.
    pub(super) fn give(&self, child: libc::pid_t) {
        tcsetpgrp(stdin(), Pid::from_raw(child)).ok();
    }

    /// Puts our own group into the foreground again, if the child's was there.
    pub(super) fn take_back(&self, child: libc::pid_t) {
        if tcgetpgrp(stdin()) == Ok(Pid::from_raw(child)) {
            tcsetpgrp(stdin(), self.own_group).ok();
        }
    }
}
