//! Sending out: a queue bounded in bytes, compression, requests, retries. It knows bytes, an endpoint and counts; what a span is it does not.
//!
//! A payload goes `push` → [`queue`] (as it is, an [`input`]; [`held`] is what is in it) → the relay's one thread, [`run`] → [`pack`] (compressed, back into
//! the queue) → [`send`] (one request; up to five at once) → [`answer`] (what the answer means) → settled in the queue, which alone counts in
//! the ledger. [`backoff`] says how long a failed payload waits, [`dial`], [`proxy`] and [`client`] how the intake is reached, [`say`] what a
//! person is told about it.
//!
//! Each destination has a queue and a sender of its own, so none waits for another; what they share is the thread, the compressed bytes and the
//! settings of connections.
//!
//! Every payload stays in the queue until it is settled, also while it is on the wire: what a request works on is a reference to the same bytes.
//! So a panic, a deadline or an aborted request loses no count.

mod answer;
mod backoff;
mod client;
mod dial;
mod held;
mod input;
mod jump;
mod pack;
mod proxy;
mod queue;
mod run;
mod say;
mod send;

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use reqwest::header::HeaderValue;
use tokio::sync::Notify;

use crate::ledger::{Counts, Ledger};
use crate::limits::QUEUE_BYTES_MIN;
use crate::secret::{ApiKey, Url};

use input::Input;
use queue::Queue;
use run::Lane;
use send::{NamedBy, Sender};

pub(crate) use answer::cause;
pub(crate) use dial::{Dialed, Dialer};
pub(crate) use jump::Jump;
pub(crate) use run::{give_memory_back, runtime};

/// Which endpoint of the intake a payload is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A protobuf `AgentPayload` for `/api/v0.2/traces`.
    Traces,
    /// A msgpack `StatsPayload` for `/api/v0.2/stats`.
    Stats,
}

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
/// overlap and stand in ascending order. The bytes outside of all parts are repeated in every payload that is cut from the body.
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
    /// The main destination's queue.
    queue: Arc<Queue>,
    /// Those of further ones.
    further: Vec<Arc<Queue>>,
}

impl Relay {
    /// Starts the relay's thread. Without a usable API key there is none: what is pushed is counted as [`crate::ledger::Shed::NoKey`].
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
        let key = settings.api_key.as_ref().and_then(header);
        let changed = Arc::new(Notify::new());
        let Some(key) = key else {
            let queue = Arc::new(Queue::new(0, false, ledger, changed));
            return Ok(Self { handle: Arc::new(Handle { queue, further: Vec::new() }) });
        };
        let share = settings.queue_bytes_max / (settings.further.len() + 1);
        let bytes_max =
            if settings.further.is_empty() { share } else { share.max(QUEUE_BYTES_MIN) };
        let dialer = Arc::new(Dialer::new(settings.clone()));
        let sender = |url: &str, key, named_by| {
            Sender::new(Arc::clone(&dialer), url, key, settings.request_timeout, named_by)
        };
        let queue =
            Arc::new(Queue::new(bytes_max, true, Arc::clone(&ledger), Arc::clone(&changed)));
        let main = sender(&settings.trace_url, key, NamedBy::Main);
        let mut lanes = vec![Lane::new(Arc::clone(&queue), main)];
        for Destination { url, api_key } in &settings.further {
            let Some(key) = header(api_key) else { continue };
            let sender = sender(url, key, NamedBy::Further);
            let queue = Queue::further(bytes_max, &sender.host, &ledger, Arc::clone(&changed));
            lanes.push(Lane::new(Arc::new(queue), sender));
        }
        let further = lanes.iter().skip(1).map(|lane| Arc::clone(&lane.queue)).collect();
        run::spawn(lanes, changed, settings.compression, Jump::new(wall))?;
        Ok(Self { handle: Arc::new(Handle { queue, further }) })
    }

    /// Hands over a payload, for every destination. Never blocks and never waits: where a queue has no room, its oldest payloads that are not
    /// on the wire are shed and counted.
    pub fn push(&self, payload: Payload) {
        let input = Arc::new(Input::new(payload));
        for queue in &self.handle.further {
            queue.push(Arc::clone(&input));
        }
        self.handle.queue.push(input);
    }

    /// An empty `Vec` for the next body: one whose payload was compressed, with its capacity, or a new one.
    pub fn buffer(&self) -> Vec<u8> {
        self.handle.queue.buffer()
    }

    /// An early flush: what waits for a retry goes at once.
    pub fn hurry(&self) {
        self.handle.queues().for_each(|queue| queue.hurry());
    }

    /// Has all that was pushed before sent now, and retried soon where that fails, until [`Flush::wait`] has returned.
    pub fn begin_flush(&self) -> Flush {
        let marks = self.handle.queues().map(|queue| queue.begin_flush()).collect();
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
        self.handle.queues().for_each(|queue| held.add(queue.held()));
        held
    }

    /// Bytes that the queues hold now, never above [`Settings::queue_bytes_max`] (but for the least share of each). Bytes that several
    /// destinations share count in each of them.
    pub fn held_bytes(&self) -> usize {
        self.handle.queues().map(|queue| queue.held_bytes()).sum()
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
        // Every queue has to be ended, whatever became of those before it.
        let ends = self.handle.queues().zip(self.marks);
        let settled: Vec<bool> = ends.map(|(queue, mark)| queue.end_flush(mark, until)).collect();
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
    /// All queues, the main one first.
    fn queues(&self) -> impl Iterator<Item = &Arc<Queue>> {
        [&self.queue].into_iter().chain(&self.further)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.queues().for_each(|queue| queue.close());
    }
}

/// A wall clock.
pub type Clock = Box<dyn FnMut() -> SystemTime + Send>;

/// Where and how payloads are sent.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The key for the intake. Without one nothing is sent: what comes is counted as shed ([`crate::ledger::Shed::NoKey`]).
    pub api_key: Option<ApiKey>,
    /// Scheme, host and port of the trace intake, such as `https://trace.agent.datadoghq.com`. `/api/v0.2/traces` and `/api/v0.2/stats`
    /// are appended.
    pub trace_url: String,
    /// Further intakes that get a copy of everything, as long as there is a key for the first.
    pub further: Vec<Destination>,
    /// Bytes that the queues of all destinations together may hold, payloads that are being sent included; each has an equal share, and at
    /// least [`QUEUE_BYTES_MIN`]. A payload that is larger than its queue (3.2 MB before it is compressed) is shed.
    pub queue_bytes_max: usize,
    /// How trace payloads are compressed. (Stats always go as gzip, as the agent does.)
    pub compression: Compression,
    /// The proxy for http targets, with user and password where it has them.
    pub proxy_http: Option<Url>,
    /// The proxy for https targets.
    pub proxy_https: Option<Url>,
    /// Hosts that are reached without the proxy, in the rules of Go's `httpproxy` (host and its subdomains, `.suffix`, IP, CIDR, `*`).
    pub no_proxy: Vec<String>,
    /// A PEM file of further root certificates, read only when it is named.
    pub ca_file: Option<PathBuf>,
    /// Accept any certificate (`DD_SKIP_SSL_VALIDATION`).
    pub skip_tls_check: bool,
    /// The longest a request may take, from connecting to the end of its answer.
    pub request_timeout: Duration,
}

#[cfg(test)]
impl Settings {
    /// No intake, no queue and no proxy: for tests that change what they are about.
    pub(crate) fn none() -> Self {
        Self {
            api_key: None,
            trace_url: String::new(),
            further: Vec::new(),
            queue_bytes_max: 0,
            compression: Compression::None,
            proxy_http: None,
            proxy_https: None,
            no_proxy: Vec::new(),
            ca_file: None,
            skip_tls_check: false,
            request_timeout: Duration::ZERO,
        }
    }
}

/// An intake and the key for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// Scheme, host and port, as [`Settings::trace_url`].
    pub url: String,
    /// The key of the organisation there.
    pub api_key: ApiKey,
}

/// How the body of a trace payload is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// zstd level 1: faster and smaller than gzip, what the agent sends.
    Zstd,
    /// gzip, for an intake (or a proxy before it) that does not take zstd.
    Gzip,
    /// As it is.
    None,
}
