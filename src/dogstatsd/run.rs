//! The thread that reads metrics, and the way of others to its aggregator.

use std::fmt;
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::ledger::Ledger;
use crate::metrics::{Aggregator, Output};

use super::serve::Server;
use super::{Listeners, Settings};

/// Takes what is ready to be sent.
pub type Outlet = Box<dyn FnMut(Output) + Send>;

/// Stack of the thread, bytes.
const STACK_BYTES: usize = 256 * 1024;

/// The handle of the thread. Clones are the same one.
#[derive(Clone)]
pub struct Metrics {
    shared: Arc<Shared>,
}

/// What all threads share that have to do with metrics.
pub(super) struct Shared {
    /// Locked for a burst of packets or a flush, never for a single sample.
    aggregator: Mutex<Aggregator>,
    /// When the thread asks the aggregator next, in seconds since 1970; 0 where it sleeps until something comes. Written and read with the
    /// aggregator locked.
    due_s: AtomicU64,
    wishes: Mutex<Wishes>,
    done: Condvar,
    /// A byte in it wakes the thread.
    wake: UnixStream,
}

/// What is asked of the thread.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wishes {
    /// Flush what is due, now.
    pub(super) hurry: bool,
    /// The others put something into the aggregator: it is to be flushed in time.
    pub(super) is_filled: bool,
    /// Read what is there, flush everything and end, at the latest then.
    pub(super) stop: Option<Instant>,
    is_done: bool,
}

impl Metrics {
    /// Starts the thread, which reads from `listeners` from then on. What comes out goes to `outlet`, on that thread.
    ///
    /// # Errors
    /// The system can't start a thread.
    pub fn start(
        listeners: Listeners,
        settings: Settings,
        aggregator: Aggregator,
        ledger: Arc<Ledger>,
        outlet: Outlet,
    ) -> io::Result<Self> {
        let (wake, woken) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        woken.set_nonblocking(true)?;
        let shared = Arc::new(Shared {
            aggregator: Mutex::new(aggregator),
            due_s: AtomicU64::new(0),
            wishes: Mutex::default(),
            done: Condvar::new(),
            wake,
        });
        let own = Arc::clone(&shared);
        let work = move || {
            Server::new(listeners, &settings, Arc::clone(&own), woken, ledger, outlet).run();
            own.wishes().is_done = true;
            own.done.notify_all();
        };
        thread::Builder::new()
            .name("pillion-metrics".into())
            .stack_size(STACK_BYTES)
            .spawn(work)?;
        Ok(Self { shared })
    }

    /// Has `add` put samples into the aggregator. It gets the time, in seconds since 1970. Waits while packets are read or while there is a flush:
    /// some microseconds, and with many thousands of metrics some milliseconds. The thread is woken only where it would not be in time by itself.
    pub fn add(&self, add: impl FnOnce(&mut Aggregator, u64)) {
        let is_in_time = {
            let mut aggregator = self.shared.aggregator();
            add(&mut aggregator, now_s());
            self.shared.is_in_time(&aggregator)
        };
        if !is_in_time {
            self.ask(|wishes| wishes.is_filled = true);
        }
    }

    /// Has what is due sent now.
    pub fn hurry(&self) {
        self.ask(|wishes| wishes.hurry = true);
    }

    /// Has the thread read what is in the sockets' buffers, flush everything and end, by `until`.
    pub fn begin_stop(&self, until: Instant) {
        self.ask(|wishes| wishes.stop = Some(wishes.stop.unwrap_or(until).min(until)));
    }

    /// Waits until the thread has ended, or until `until`. Whether it has.
    pub fn wait(&self, until: Instant) -> bool {
        let time = until.saturating_duration_since(Instant::now());
        let wishes = self.shared.wishes();
        let waited = self.shared.done.wait_timeout_while(wishes, time, |wishes| !wishes.is_done);
        waited.unwrap_or_else(PoisonError::into_inner).0.is_done
    }

    fn ask(&self, ask: impl FnOnce(&mut Wishes)) {
        ask(&mut self.shared.wishes());
        // Where it has no room, there are bytes enough in it to wake the thread.
        (&self.shared.wake).write_all(&[0]).ok();
    }
}

impl Shared {
    pub(super) fn aggregator(&self) -> MutexGuard<'_, Aggregator> {
        self.aggregator.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// In what time the thread asks the aggregator next, where it was to ask it `before` already. It is kept for [`Shared::is_in_time`].
    pub(super) fn due_in(&self, before: Option<Duration>) -> Option<Duration> {
        let (aggregator, now_s) = (self.aggregator(), now_s());
        let due = aggregator.due_in_s(now_s).map(Duration::from_secs);
        let due = due.map(|due| before.map_or(due, |before| before.min(due)));
        let due_s = due.map_or(0, |due| now_s + due.as_secs());
        self.due_s.store(due_s, Ordering::Relaxed);
        due
    }

    /// The thread does not know when it asks next.
    pub(super) fn forget_due(&self) {
        let _aggregator = self.aggregator();
        self.due_s.store(0, Ordering::Relaxed);
    }

    /// Whether the thread asks no later than what is held is due.
    fn is_in_time(&self, aggregator: &Aggregator) -> bool {
        let now_s = now_s();
        let Some(due_in_s) = aggregator.due_in_s(now_s) else { return true };
        (1..=now_s + due_in_s).contains(&self.due_s.load(Ordering::Relaxed))
    }

    fn wishes(&self) -> MutexGuard<'_, Wishes> {
        self.wishes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is asked, each thing once but for the stop.
    pub(super) fn take_wishes(&self) -> Wishes {
        let mut wishes = self.wishes();
        let taken = *wishes;
        (wishes.hurry, wishes.is_filled) = (false, false);
        taken
    }
}

/// Seconds since 1970.
pub(super) fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).as_ref().map_or(0, Duration::as_secs)
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}
