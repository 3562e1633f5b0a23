//! The loop on the main thread: take a signal, pass it on, reap, until the child has ended.
//!
//! Nothing here waits for telemetry, and nothing panics or returns early: whatever else is broken, the app gets its signals and its exit code
//! comes out. A signal goes to the child alone, as the platform would send it to the app without us. Its own children are its own affair: a
//! second SIGTERM to the workers of a server that stops in good order would end them in the middle of their work.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use super::reaper::{self, Change};
use super::signals::{self, Set, Signal};
use super::terminal::Terminal;

/// The app, started.
#[derive(Debug)]
pub struct Child {
    pid: libc::pid_t,
    terminal: Option<Terminal>,
}

/// How the child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// The exit code that says so: the child's own, or 128 and the number of the signal that ended it.
    pub code: u8,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// The kernel wrote its memory to a file.
    pub has_core: bool,
    /// When the first signal came that asks to stop: TERM, INT, QUIT or HUP.
    pub stop_asked: Option<Instant>,
}

impl Child {
    pub(super) fn new(pid: libc::pid_t, terminal: Option<Terminal>) -> Self {
        Self { pid, terminal }
    }

    /// The child's process id.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Passes every signal on to the child and reaps every process that ends, until the child itself has ended. Its grandchildren are not waited
    /// for. `on_term` is called once, after the first signal that asks to stop has been passed on; it must only set a flag or send to a channel.
    pub fn supervise(self, on_term: &mut dyn FnMut()) -> Exit {
        // The threads that were started since are of the C library: glibc lets the two signals through that it keeps for itself.
        Set::ALL.block();
        let mut stop_asked = None;
        loop {
            // Before every wait and not only after SIGCHLD: that one waits behind the signals with lower numbers as long as they come, and
            // there is none for a process that ended before we were executed.
            if let Some(exit) = self.reap() {
                return Exit { stop_asked, ..exit };
            }
            let signal = signals::wait();
            if signal.number != libc::SIGCHLD && !signal.is_own() {
                self.pass_on(&signal);
                if stop_asked.is_none() && asks_to_stop(signal.number) {
                    stop_asked = Some(Instant::now());
                    // A panic there is a fault of the data plane, and must not end the app.
                    catch_unwind(AssertUnwindSafe(&mut *on_term)).ok();
                }
            }
        }
    }

    /// Passes `signal` on. SIGCONT goes to the whole job if it is one, as the stop did.
    fn pass_on(&self, signal: &Signal) {
        match &self.terminal {
            Some(terminal) if signal.number == libc::SIGCONT => self.continue_job(terminal),
            _ => {
                signal.forward(self.pid);
            }
        }
    }

    /// Reaps until nothing is left to reap, or until the child itself has ended: then says how.
    fn reap(&self) -> Option<Exit> {
        while let Some((pid, change)) = reaper::next() {
            if pid != self.pid {
                continue;
            }
            match change {
                Change::Continued => {}
                Change::Stopped(signal) => self.stop_with_child(signal),
                Change::Exited(code) => return Some(self.end(code, None, false)),
                // No signal is above 64.
                Change::Killed { signal, has_core } => {
                    let code = 128 + u8::try_from(signal).unwrap_or(127);
                    return Some(self.end(code, Some(signal), has_core));
                }
            }
        }
        None
    }

    fn end(&self, code: u8, signal: Option<i32>, has_core: bool) -> Exit {
        if let Some(terminal) = &self.terminal {
            terminal.take_back(self.pid);
        }
        Exit { code, signal, has_core, stop_asked: None }
    }

    /// The child was stopped. At a terminal the shell that started us has to see it, and can bring us back (`fg`, `bg`); we wait for that in
    /// the stopped state. Where there is no such shell, Ctrl-Z would stop the app for ever, so it goes on at once: without us it would be in
    /// an orphaned process group, where the kernel does not stop it either.
    fn stop_with_child(&self, signal: i32) {
        let Some(terminal) = &self.terminal else { return };
        let is_typed = signal == libc::SIGTSTP;
        terminal.take_back(self.pid);
        // Stopped with the rest of our group, so that a script that runs us stops too. SIGCONT then comes through the loop.
        let is_resumed = signals::stop(true);
        if !is_resumed && (is_typed || (signal != libc::SIGSTOP && terminal.is_ours())) {
            self.continue_job(terminal);
        }
    }

    /// Lets the child's whole group go on, in the foreground if we are there.
    fn continue_job(&self, terminal: &Terminal) {
        if terminal.is_ours() {
            terminal.give(self.pid);
        }
        if !signals::send(-self.pid, libc::SIGCONT) {
            signals::send(self.pid, libc::SIGCONT);
        }
    }
}

/// Whether `signal` is one by which a platform, a terminal or a person asks a program to stop.
fn asks_to_stop(signal: i32) -> bool {
    matches!(signal, libc::SIGTERM | libc::SIGINT | libc::SIGQUIT | libc::SIGHUP)
}

/// Waits, without a child, until somebody asks us to stop: by TERM or INT, or by QUIT or HUP where these are not ignored. Reaps what comes to us
/// as PID 1.
pub fn wait_for_stop() {
    loop {
        while reaper::next().is_some() {}
        let signal = signals::wait().number;
        match signal {
            libc::SIGTERM | libc::SIGINT => return,
            libc::SIGQUIT | libc::SIGHUP if !signals::is_ignored(signal) => return,
            // Ctrl-Z at a terminal.
            libc::SIGTSTP => {
                signals::stop(false);
            }
            _ => {}
        }
    }
}
