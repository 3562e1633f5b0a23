//! A pseudo-terminal with a program in it that leads the session: what a shell, or a container with `-it`, is to its terminal.

#![allow(clippy::disallowed_types, reason = "a test starts processes")]

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use nix::pty::{Winsize, openpty};

use crate::support::place::{children, poll_until, send};

/// A terminal and the program in it. Dropping it ends the program.
pub(crate) struct Pty {
    keyboard: File,
    screen: Arc<Mutex<Vec<u8>>>,
    seen_bytes: usize,
    pub(crate) leader: Child,
}

const SIZE: Winsize = Winsize { ws_row: 24, ws_col: 200, ws_xpixel: 0, ws_ypixel: 0 };

impl Pty {
    /// Starts these words as the leader of a session on a new terminal.
    #[expect(unsafe_code, reason = "the new session is made between fork and exec")]
    pub(crate) fn start(words: &[OsString]) -> Self {
        let ends = openpty(&SIZE, None).unwrap();
        let slave = File::from(ends.slave);
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .env("DD_APM_RECEIVER_PORT", "0")
            .env("DD_DOGSTATSD_PORT", "0")
            .env("DD_LOG_LEVEL", "off")
            .env("PS1", "> ")
            .env("TERM", "dumb");
        for set in [Command::stdin, Command::stdout, Command::stderr] {
            set(&mut command, Stdio::from(slave.try_clone().unwrap()));
        }
        // SAFETY: two system calls, both safe after fork.
        unsafe {
            command.pre_exec(|| {
                libc::setsid();
                libc::ioctl(0, libc::TIOCSCTTY, 0);
                Ok(())
            });
        }
        let leader = command.spawn().unwrap();
        drop(slave);
        let keyboard = File::from(ends.master);
        let mut output = keyboard.try_clone().unwrap();
        let screen = Arc::new(Mutex::new(Vec::new()));
        let shown = Arc::clone(&screen);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                shown.lock().unwrap().extend_from_slice(&bytes[..count]);
            }
        });
        Self { keyboard, screen, seen_bytes: 0, leader }
    }

    pub(crate) fn leader_pid(&self) -> i32 {
        i32::try_from(self.leader.id()).unwrap()
    }

    pub(crate) fn type_in(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// What has been shown since the last text that was waited for.
    pub(crate) fn unseen(&self) -> String {
        String::from_utf8_lossy(&self.screen.lock().unwrap()[self.seen_bytes..]).into_owned()
    }

    /// Waits until `text` is shown after what was waited for before, and returns what came between.
    pub(crate) fn wait_for(&mut self, text: &str) -> String {
        let mut found = None;
        let screen = Arc::clone(&self.screen);
        let start = self.seen_bytes;
        poll_until(&format!("{text:?} is shown"), || {
            let shown = screen.lock().unwrap();
            found = shown[start..].windows(text.len()).position(|window| window == text.as_bytes());
            if found.is_none() && self.leader.try_wait().unwrap().is_some() {
                drop(shown);
                panic!("it ended before {text:?} was shown; shown: {:?}", self.unseen());
            }
            found.is_some()
        });
        let between = found.unwrap();
        let shown = screen.lock().unwrap();
        self.seen_bytes = start + between + text.len();
        String::from_utf8_lossy(&shown[start..start + between]).into_owned()
    }

    /// Gives the terminal another size, as dragging its window does.
    #[expect(unsafe_code, reason = "nix has no call for it")]
    pub(crate) fn resize(&mut self, columns: u16) {
        let size = Winsize { ws_col: columns, ..SIZE };
        // SAFETY: the size is read from memory that lives through the call.
        let outcome =
            unsafe { libc::ioctl(self.keyboard.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
        assert_eq!(outcome, 0);
    }

    /// Waits until the leader has ended and returns its exit code.
    pub(crate) fn end(mut self) -> Option<i32> {
        poll_until("the leader of the session ends", || self.leader.try_wait().unwrap().is_some());
        self.leader.wait().unwrap().code()
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        if self.leader.try_wait().unwrap().is_none() {
            for child in children(self.leader_pid()) {
                for grandchild in children(child) {
                    send(grandchild, libc::SIGKILL);
                }
                send(child, libc::SIGKILL);
            }
            self.leader.kill().ok();
            self.leader.wait().ok();
        }
    }
}
