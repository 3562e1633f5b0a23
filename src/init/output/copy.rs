//! The thread that copies one stream: read, write on, hand over to the ring; at the app's end, what is in the pipe and no more is waited for.

use std::io::PipeReader;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::read;

use super::pace::{Pace, REST};
use super::write::{Refused, write_all};
use super::{Progress, millis};
use crate::ring::{self, Ring};

/// Bytes of one read at the most.
const READ_BYTES: usize = 256 * 1024;

/// What the thread works with.
pub(super) struct Copy {
    from: Arc<OwnedFd>,
    to: OwnedFd,
    /// Ends when the app has ended; nothing once that was seen.
    stopped: Option<PipeReader>,
    progress: Arc<Progress>,
    /// Nothing after a fault of the ring.
    ring: Option<Arc<Ring>>,
    kind: ring::Output,
    pace: Pace,
}

/// What there is to do.
enum Woken {
    /// Bytes, or the end of the pipe.
    Readable,
    /// The app has ended.
    Stopped,
    /// The pipe is empty, and the app has ended.
    Empty,
}

impl Copy {
    pub(super) fn new(
        from: Arc<OwnedFd>,
        to: OwnedFd,
        stopped: PipeReader,
        progress: Arc<Progress>,
        ring: Arc<Ring>,
        kind: ring::Output,
    ) -> Self {
        let (stopped, ring) = (Some(stopped), Some(ring));
        Self { from, to, stopped, progress, ring, kind, pace: Pace::default() }
    }

    /// Copies until the pipe ends, or until nobody reads what is written on. `drained` is called once, when all that was in the pipe when the app
    /// had ended is written on: nobody waits for more than that.
    pub(super) fn run(mut self, drained: &dyn Fn()) {
        let mut buffer = vec![0; READ_BYTES];
        // Bytes that are still to be written on before `drained`.
        let mut due = None;
        let mut is_drained = false;
        loop {
            match self.wait(due.is_some() && !is_drained) {
                Woken::Stopped => {
                    self.stopped = None;
                    due = Some(pending_bytes(&self.from));
                }
                Woken::Readable => {
                    let Some(bytes) = self.copy(&mut buffer) else { break };
                    due = due.map(|due: usize| due.saturating_sub(bytes));
                    if self.stopped.is_some() && self.pace.rests_after(bytes, Instant::now()) {
                        self.rest();
                    }
                }
                Woken::Empty => due = Some(0),
            }
            if due == Some(0) && !is_drained {
                is_drained = true;
                drained();
            }
        }
        // The pipe is closed first: where nobody reads what we write, the app's next write tells it so, as without us.
        drop(self);
        if !is_drained {
            drained();
        }
    }

    /// Waits until there is something to do; with `is_ending` not at all.
    fn wait(&self, is_ending: bool) -> Woken {
        let timeout = if is_ending { PollTimeout::ZERO } else { PollTimeout::NONE };
        let mut ready = [
            PollFd::new(self.from.as_fd(), PollFlags::POLLIN),
            PollFd::new(
                self.stopped.as_ref().map_or(self.from.as_fd(), AsFd::as_fd),
                PollFlags::POLLIN,
            ),
        ];
        let is_ready = |at: &PollFd<'_>| at.revents().is_some_and(|flags| !flags.is_empty());
        loop {
            match poll(&mut ready, timeout) {
                Ok(0) => return Woken::Empty,
                Err(Errno::EINTR) => {}
                // Poll fails for want of memory: the read waits in its place.
                Err(_) => return Woken::Readable,
                Ok(_) if self.stopped.is_some() && is_ready(&ready[1]) => return Woken::Stopped,
                Ok(_) => return Woken::Readable,
            }
        }
    }

    /// Leaves the pipe alone for a while, unless the app ends.
    fn rest(&self) {
        if let Some(stopped) = &self.stopped {
            let mut ready = [PollFd::new(stopped.as_fd(), PollFlags::POLLIN)];
            poll(&mut ready, millis(REST)).ok();
        }
    }

    /// Copies what can be read now and says how many bytes that was. Nothing: the pipe has ended, or nobody reads what we write.
    fn copy(&mut self, buffer: &mut [u8]) -> Option<usize> {
        let count = loop {
            match read(&self.from, buffer) {
                Err(Errno::EINTR) => {}
                Ok(0) | Err(_) => return None,
                Ok(count) => break count,
            }
        };
        let bytes = buffer.get(..count).unwrap_or_default();
        self.progress.in_hand.store(count, Ordering::Relaxed);
        let written = write_all(self.to.as_fd(), bytes);
        self.progress.in_hand.store(0, Ordering::Relaxed);
        self.hand_over(bytes);
        match written {
            Ok(()) => Some(count),
            Err(Refused::NoReader) => None,
            Err(Refused::Left(left)) => {
                self.progress.failed.fetch_add(left, Ordering::Relaxed);
                Some(count)
            }
        }
    }

    /// A panic there is a fault of the data plane. Then the logs end, and the output goes on.
    fn hand_over(&mut self, bytes: &[u8]) {
        let Some(ring) = &self.ring else { return };
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let time_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        let pushed = catch_unwind(AssertUnwindSafe(|| ring.push(self.kind, bytes, time_ms)));
        if pushed.is_err() {
            self.ring = None;
        }
    }
}

/// Bytes that are in a pipe.
#[expect(unsafe_code, reason = "no wrapper for FIONREAD")]
pub(super) fn pending_bytes(pipe: &OwnedFd) -> usize {
    let mut count: libc::c_int = 0;
    // SAFETY: the request writes one int, to which the pointer points.
    let outcome = unsafe { libc::ioctl(pipe.as_raw_fd(), libc::FIONREAD, &raw mut count) };
    if outcome == 0 { usize::try_from(count).unwrap_or(0) } else { 0 }
}
