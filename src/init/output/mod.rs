//! The app's output, where logs are shipped: through pipes of ours, written on as it is first, copied for the logs second.
//!
//! [`Output::capture`] makes the pipes and starts a thread for each before the app is spawned, so that there is never a pipe that nobody reads: if
//! any of it fails the app keeps the stream itself, and its logs are not shipped. Where logs are off there is no pipe and no thread. Which streams
//! are taken is decided in `streams`; `copy` is the thread, `pace` when it rests, `write` how bytes go on.
//!
//! A thread never waits for the data plane, and the main thread waits for it only at the end: [`Output::drain`], until what the app wrote before
//! it ended has gone on, or the deadline.

mod copy;
mod pace;
mod streams;
#[cfg(test)]
mod tests;
mod write;

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::fchown;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::stat::{Mode, fchmod, fstat};

use crate::ring::{self, Ring};

use copy::{Copy, pending_bytes};
use streams::Streams;

/// Bytes that a pipe of ours holds, where the system grants it: the app goes on while our thread rests or is not scheduled. It is what
/// `/proc/sys/fs/pipe-max-size` allows every user; pages are taken as they are needed.
const PIPE_BYTES: i32 = 1024 * 1024;

/// The stack of a copying thread. Its buffer is not on it.
const STACK_BYTES: usize = 64 * 1024;

/// What is captured.
#[derive(Debug)]
pub struct Output {
    /// The ends of the pipes that the child gets as 1 and 2. They are closed once it has them.
    for_child: [Option<Arc<OwnedFd>>; 2],
    threads: Vec<Thread>,
    /// Its end tells the threads that the app has ended.
    running: Option<io::PipeWriter>,
    drained: Receiver<()>,
    undrained: usize,
}

/// A copying thread, as the main thread sees it.
#[derive(Debug)]
struct Thread {
    /// The pipe, as long as the thread reads it.
    from: Weak<OwnedFd>,
    progress: Arc<Progress>,
}

/// What a thread says of itself.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Bytes that were read and not written on yet.
    in_hand: AtomicUsize,
    /// Bytes that could not be written: the file system is full, or whatever write(2) says.
    failed: AtomicUsize,
}

/// What did not come through at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unwritten {
    /// Bytes that nobody read in time, at the most: a write of some of them may be half done.
    pub stuck: usize,
    /// Bytes that the file behind the stream did not take.
    pub failed: usize,
}

impl Output {
    /// Takes the app's standard output and standard error where they can be taken, and copies what comes into `ring`. Nothing where there is
    /// none to take. The second value says, a line each, why a stream is left to the app.
    pub fn capture(ring: &Arc<Ring>) -> (Option<Self>, Vec<String>) {
        let (streams, mut complaints) = Streams::of_process();
        let output = Self::of(&streams, ring).unwrap_or_else(|error| {
            complaints.push(format!(
                "no pipe or thread for the app's output ({error}): it is written as without us, and not shipped as logs"
            ));
            None
        });
        (output, complaints)
    }

    fn of(streams: &Streams, ring: &Arc<Ring>) -> io::Result<Option<Self>> {
        let (stopped, running) = io::pipe()?;
        let (report, drained) = sync_channel(2);
        let mut output = Self {
            for_child: [None, None],
            threads: Vec::new(),
            running: Some(running),
            drained,
            undrained: 0,
        };
        let wanted =
            [(&streams.stdout, ring::Output::Stdout), (&streams.stderr, ring::Output::Stderr)];
        for (at, (to, kind)) in wanted.into_iter().enumerate() {
            let Some(to) = to else { continue };
            let to = to.try_clone()?;
            output.for_child[at] =
                Some(output.start_thread(kind, to, stopped.try_clone()?, ring, report.clone())?);
        }
        if streams.is_one {
            let [stdout, stderr] = &mut output.for_child;
            stderr.clone_from(stdout);
        }
        Ok((!output.threads.is_empty()).then_some(output))
    }

    /// Starts the thread of one stream and returns the end that the child writes into.
    fn start_thread(
        &mut self,
        kind: ring::Output,
        to: OwnedFd,
        stopped: io::PipeReader,
        ring: &Arc<Ring>,
        report: SyncSender<()>,
    ) -> io::Result<Arc<OwnedFd>> {
        let (from, for_child) = io::pipe()?;
        // Where it is refused the pipe has the usual 64 KiB.
        fcntl(&for_child, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES)).ok();
        open_to_same(&to, &for_child);
        let from = Arc::new(OwnedFd::from(from));
        let progress = Arc::new(Progress::default());
        self.threads.push(Thread { from: Arc::downgrade(&from), progress: Arc::clone(&progress) });
        let copy = Copy::new(from, to, stopped, progress, Arc::clone(ring), kind);
        let name = match kind {
            ring::Output::Stdout => "pillion-stdout",
            ring::Output::Stderr => "pillion-stderr",
        };
        let run = move || {
            copy.run(&|| {
                // There is room for one report of each thread.
                report.try_send(()).ok();
            });
        };
        thread::Builder::new().name(name.into()).stack_size(STACK_BYTES).spawn(run)?;
        self.undrained += 1;
        Ok(Arc::new(OwnedFd::from(for_child)))
    }

    /// What the child gets as 1 and as 2; nothing where it keeps what it would have without us.
    pub(super) fn for_child(&self) -> [Option<RawFd>; 2] {
        self.for_child.each_ref().map(|end| end.as_ref().map(|end| end.as_raw_fd()))
    }

    /// The child has its ends: the pipes end with it and its heirs.
    pub(super) fn spawned(&mut self) {
        self.for_child = [None, None];
    }

    /// The app has ended: has what it wrote until now written on, and waits for that until `until` at the longest. It does not wait for the end
    /// of the pipes, which others may hold; what these still write is copied as long as we run. Whether all has gone on. May be called again.
    pub fn drain(&mut self, until: Instant) -> bool {
        self.running = None;
        while self.undrained > 0 {
            let left = until.saturating_duration_since(Instant::now());
            match self.drained.recv_timeout(left) {
                Ok(()) => self.undrained -= 1,
                Err(RecvTimeoutError::Timeout) => return false,
                // All threads are gone.
                Err(RecvTimeoutError::Disconnected) => self.undrained = 0,
            }
        }
        true
    }

    /// What has not come through up to now.
    pub fn unwritten(&self) -> Unwritten {
        let mut unwritten = Unwritten::default();
        for Thread { from, progress } in &self.threads {
            unwritten.failed += progress.failed.load(Ordering::Relaxed);
            // After the drain only heirs of the app write, and they go on without us too.
            if self.undrained > 0 {
                let in_pipe = from.upgrade().map_or(0, |from| pending_bytes(&from));
                unwritten.stuck += progress.in_hand.load(Ordering::Relaxed) + in_pipe;
            }
        }
        unwritten
    }
}

/// Lets those open the pipe by its name in `/proc` (`/dev/stdout`) who may open `to`: an app that has given up its rights does so.
fn open_to_same(to: &OwnedFd, pipe: &io::PipeWriter) {
    let Ok(stat) = fstat(to) else { return };
    fchmod(pipe, Mode::from_bits_truncate(stat.st_mode)).ok();
    // It fails for anybody but root, whose files these then are anyway.
    fchown(pipe, Some(stat.st_uid), Some(stat.st_gid)).ok();
}

/// Milliseconds to wait, as poll(2) takes them.
const fn millis(time: Duration) -> u16 {
    let millis = time.as_millis();
    if millis > u16::MAX as u128 { u16::MAX } else { millis as u16 }
}
