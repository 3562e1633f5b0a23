//! Sending out: queues bounded in bytes, compression, requests, retries. It knows bytes, endpoints and counts; what a span is it does not.
//!
//! A payload goes `push` → [`queues`] → [`queue`] (as it is, an [`input`]; [`held`] is what is in it) → the relay's one thread, [`run`] → [`pack`]
//! (compressed, back into the queue) → [`send`] (one request; up to five at once) → [`answer`] (what the answer means) → settled in the queue,
//! which alone counts in the ledger. [`kind`] is the table of what is sent where and how, [`headers`] what a request says beside the body, [`cut`] what
//! becomes of a body that is too large. [`backoff`] says how long a failed payload waits, [`dial`], [`proxy`] and [`client`] how the intake is reached,
//! [`say`] what a person is told about it.
//!
//! Kinds of one [`Family`] go to one intake and its copies. Each destination of each family has a queue and a sender of its own, so none waits for
//! another; what they share is the thread, the compressed bytes, the settings of connections and one bound of memory, the [`room`]. Where that is
//! taken up, what holds the most for its weight lets go of its oldest: logs that pile up cost traces nothing that is within their part.
//!
//! Every payload stays in the queue until it is settled, also while it is on the wire: what a request works on is a reference to the same bytes.
//! So a panic, a deadline or an aborted request loses no count.

mod answer;
mod backoff;
mod client;
mod cut;
mod dial;
mod headers;
mod held;
mod input;
mod jump;
mod kind;
mod pack;
mod proxy;
mod queue;
mod queues;
mod room;
mod run;
mod say;
mod send;
mod settings;

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime};

use reqwest::header::HeaderValue;
use tokio::sync::Notify;

use crate::ledger::{Counts, Ledger};
use crate::limits::QUEUE_BYTES_MIN;
use crate::secret::ApiKey;

use queue::Queue;
use queues::Queues;
use room::Room;
use run::Lane;
use send::{Role, Sender};

pub(crate) use answer::cause;
pub(crate) use dial::{Dialed, Dialer};
pub(crate) use jump::Jump;
pub(crate) use run::{give_memory_back, runtime};

pub use kind::{Family, Kind};
pub use settings::{Compression, Connecting, Destination, Intake, Settings, TlsMin};

/// One request body that is to be sent.
#[derive(Debug)]
pub struct Payload {
    /// Where it goes.
    pub kind: Kind,
    /// The body, not compressed.
    pub body: Vec<u8>,
    /// What is in it.
    pub counts: Counts,
    /// The languages of its tracers, sorted, unique, joined by `|` (`X-Datadog-Reported-Languages`). Empty leaves the header out.
    pub languages: String,
    /// Where the body may be cut if the intake says that it is too large. Empty: it can't be cut.
    pub parts: Vec<Part>,
}

/// A run of bytes in a body that may also be sent in another payload, such as one repeated field of a protobuf message. Parts don't
/// overlap and stand in ascending order. The bytes outside of all parts are repeated in every payload that is cut from the body. In JSON the
/// parts are the members of one array or object, without the comma that alone stands between two of them and goes with them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its place in the body.
    pub bytes: Range<usize>,
    /// What is in it. The counts of all parts add up to those of the payload.
    pub counts: Counts,
}

/// The handle of the relay. When its last clone is dropped, the thread ends and what is still held counts as not delivered.
#[derive(Clone)]
pub struct Relay {
    handle: Arc<Handle>,
}

/// What all clones of a [`Relay`] share.
struct Handle {
    queues: Arc<Queues>,
    /// Connections are to be made anew: see [`Relay::thaw`].
    is_thawed: Arc<AtomicBool>,
}

impl Relay {
    /// Starts the relay's thread. Without any usable API key there is none: what is pushed is counted as [`crate::ledger::Shed::NoKey`].
    /// Nothing is connected, read or built before the first payload.
    ///
    /// # Errors
    /// The system can't start a thread.
    pub fn start(settings: Settings, ledger: Arc<Ledger>) -> io::Result<Self> {
        Self::start_with_clock(settings, ledger, Box::new(SystemTime::now))
    }

    /// The same with another wall clock, which is read before every send: where it moves against the monotonic clock by more than a few
    /// seconds, the pooled connections are discarded.
    ///
    /// # Errors
    /// The system can't start a thread.
    pub fn start_with_clock(
        settings: Settings,
        ledger: Arc<Ledger>,
        wall: Clock,
    ) -> io::Result<Self> {
        let changed = Arc::new(Notify::new());
        let room = Arc::new(Room::new(bytes_max(&settings)));
        let dialer = Arc::new(Dialer::new(settings.clone()));
        let (mut all, mut lanes) = (Vec::new(), Vec::new());
        let mut keys = Keys::default();
        for family in Family::ALL {
            let intake = settings.intake(family);
            let key = keys.header(intake.api_key.as_ref());
            let queue =
                Queue::new(family, &room, key.is_some(), Arc::clone(&ledger), Arc::clone(&changed));
            all.push(Arc::new(queue));
            let Some(key) = key else { continue };
            let sender = |url: &str, key, role| {
                Sender::new(Arc::clone(&dialer), url, key, settings.request_timeout, family, role)
            };
            let main = sender(&intake.url, key, Role::Main);
            lanes.extend(all.last().map(|queue| Lane::new(Arc::clone(queue), main)));
            for (role, Destination { url, api_key }) in copies(intake) {
                let Some(key) = keys.header(Some(api_key)) else { continue };
                let sender = sender(url, key, role);
                let changed = Arc::clone(&changed);
                let queue = Arc::new(Queue::further(family, &room, &sender.host, &ledger, changed));
                all.push(Arc::clone(&queue));
                lanes.push(Lane::new(queue, sender));
            }
        }
        let compression = Family::ALL.map(|family| settings.intake(family).compression);
        let queues = Arc::new(Queues { all, room, ledger, off: settings.off });
        let jump = Jump::new(wall);
        let is_thawed = jump.thawed();
        if !lanes.is_empty() {
            run::spawn(lanes, changed, Arc::clone(&queues), compression, jump)?;
        }
        Ok(Self { handle: Arc::new(Handle { queues, is_thawed }) })
    }

    /// Hands over a payload, for every destination of its family. Never blocks and never waits: where there is no room, the oldest payloads of
    /// the fullest queue that are not on the wire are shed and counted. What is switched off ([`Settings::off`]) counts as filtered.
    pub fn push(&self, payload: Payload) {
        self.handle.queues.push(payload);
    }

    /// An empty `Vec` for the next body: one whose payload was compressed, with its capacity, or a new one.
    pub fn buffer(&self) -> Vec<u8> {
        self.handle.queues.buffer()
    }

    /// An early flush: what waits for a retry goes at once.
    pub fn hurry(&self) {
        self.handle.each().for_each(|queue| queue.hurry());
    }

    /// The process was frozen: idle connections are taken for dead, so that what is sent from now on goes over fresh ones, and what waits for a
    /// retry goes at once. What is on the wire has its answer or its time-out.
    pub fn thaw(&self) {
        self.handle.is_thawed.store(true, Ordering::Relaxed);
        self.hurry();
    }

    /// Has all that was pushed before sent now, and retried soon where that fails, until [`Flush::wait`] has returned.
    pub fn begin_flush(&self) -> Flush {
        let marks = self.handle.each().map(|queue| queue.begin_flush()).collect();
        Flush { handle: Arc::clone(&self.handle), marks }
    }

    /// Blocks the caller until all that was pushed before is sent or shed, or until `until`; what is left then is counted as
    /// [`crate::ledger::Shed::Deadline`] and dropped. Whether all of it was settled in time.
    pub fn flush(&self, until: Instant) -> bool {
        self.begin_flush().wait(until)
    }

    /// What the relay holds now, for all destinations: waiting, being compressed or on the wire.
    pub fn held(&self) -> Counts {
        let mut held = Counts::default();
        self.handle.each().for_each(|queue| held.add(queue.held()));
        held
    }

    /// Bytes that the queues hold now, never above [`Settings::queue_bytes_max`] (or the least for its destinations). Bytes that several
    /// destinations share count in each of them.
    pub fn held_bytes(&self) -> usize {
        self.handle.each().map(|queue| queue.held_bytes()).sum()
    }
}

/// A flush that has begun.
#[must_use = "it ends in `wait`"]
pub struct Flush {
    handle: Arc<Handle>,
    marks: Vec<u64>,
}

impl Flush {
    /// Blocks the caller until all of it is sent or shed, or until `until`; see [`Relay::flush`].
    pub fn wait(self, until: Instant) -> bool {
        self.wait_each(|_| until)
    }

    /// The same with a time for each family.
    pub fn wait_each(self, until: impl Fn(Family) -> Instant) -> bool {
        // Every queue has to be ended, whatever became of those before it.
        let ends = self.handle.each().zip(self.marks);
        // The times are told before the first is waited for.
        let ends: Vec<_> = ends.map(|(queue, mark)| (queue, mark, until(queue.family))).collect();
        let ends = ends.into_iter();
        let settled: Vec<bool> =
            ends.map(|(queue, mark, until)| queue.end_flush(mark, until)).collect();
        !settled.contains(&false)
    }
}

impl fmt::Debug for Flush {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flush").finish_non_exhaustive()
    }
}

/// The key as the value of a header that is never printed.
pub(crate) fn header(key: &ApiKey) -> Option<HeaderValue> {
    match HeaderValue::from_str(key.expose()) {
        Ok(mut key) => {
            key.set_sensitive(true);
            Some(key)
        }
        Err(_) => {
            tracing::warn!(
                "an API key has a character that no HTTP header may have; nothing is sent with it: check DD_API_KEY"
            );
            None
        }
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay").field("held_bytes", &self.held_bytes()).finish_non_exhaustive()
    }
}

impl Handle {
    /// All queues.
    fn each(&self) -> impl Iterator<Item = &Arc<Queue>> {
        self.queues.all.iter()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.each().for_each(|queue| queue.close());
    }
}

/// Bytes that all queues together may hold: what is set, or one payload and the next for each destination where several get copies.
fn bytes_max(settings: &Settings) -> usize {
    let destinations = Family::ALL.map(|family| 1 + settings.intake(family).copies().count());
    match destinations.into_iter().max() {
        Some(most) if most > 1 => settings.queue_bytes_max.max(most * QUEUE_BYTES_MIN),
        _ => settings.queue_bytes_max,
    }
}

/// The further destinations of an intake, each with its role.
fn copies(intake: &Intake) -> impl Iterator<Item = (Role, &Destination)> {
    let further = intake.further.iter().map(|to| (Role::Further, to));
    further.chain(intake.best_effort.iter().map(|to| (Role::BestEffort, to)))
}

/// Keys as headers. The families mostly have the same one: what is wrong with it is said once.
#[derive(Default)]
struct Keys<'a> {
    last: Option<(&'a ApiKey, Option<HeaderValue>)>,
}

impl<'a> Keys<'a> {
    fn header(&mut self, key: Option<&'a ApiKey>) -> Option<HeaderValue> {
        let key = key?;
        match &self.last {
            Some((last, known)) if *last == key => known.clone(),
            _ => self.last.insert((key, header(key))).1.clone(),
        }
    }
}

/// A wall clock.
pub type Clock = Box<dyn FnMut() -> SystemTime + Send>;
