//! The data plane's pulse: once a second, and less often while nothing is held, the pipeline is asked for what is due. A pulse that comes late
//! tells that we were frozen.
//!
//! An instance that is billed by requests has no CPU between them (spec: init 4): timers stand still, and connections that were idle are dead.
//! The next request wakes it, for as long as it takes. So on waking everything that is held leaves at once, over fresh connections, and for a
//! while all that then comes in, what had waited in the sockets first, leaves within a tenth of a second: the CPU may be gone any moment.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;
use tokio::time::timeout_at;

use crate::dogstatsd::Metrics;
use crate::pipeline::{OpenBuckets, Pipeline};
use crate::relay::{Jump, Relay};

use super::usage::Usage;

/// How often the pipeline is asked whether something is due: about a second. See [`Beat::next`].
const USUAL: Duration = Duration::from_millis(16 * TICK_MS);

/// Beats from one pulse to the next while nothing is held.
const IDLE_BEATS: u32 = 3;

/// The runtime's timers sort what is further away into slots of this many milliseconds, and wake once at the slot and again at the time itself
/// unless that is where the slot begins.
const TICK_MS: u64 = 64;

/// The same after waking.
const HASTY: Duration = Duration::from_millis(100);

/// How long the haste lasts.
const HASTE: Duration = Duration::from_secs(5);

/// A pulse that comes this much late means that the process did not run. A machine that is only busy is late by less, and where it is not, an
/// early flush does no harm.
const LATE_MIN: Duration = Duration::from_millis(1500);

/// When the pulse beats: a grid of times that begins with the runtime's own clock, so that each beat is one wake-up of the process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beat(Instant);

impl Beat {
    /// To be made right before the runtime is.
    pub(super) fn begin() -> Self {
        Self(Instant::now())
    }

    /// The time of the grid that is about so many beats after `now`.
    fn next(self, now: Instant, beats: u32) -> Instant {
        let since = (now.saturating_duration_since(self.0) + USUAL / 2).as_millis();
        let passed = u32::try_from(since / USUAL.as_millis()).unwrap_or(u32::MAX);
        self.0 + USUAL * passed.saturating_add(beats)
    }
}

/// What the pulse drives.
pub(super) struct Pulse {
    pipeline: Rc<RefCell<Pipeline>>,
    metrics: Option<Metrics>,
    usage: Option<Rc<RefCell<Usage>>>,
    relay: Relay,
    hurry: Arc<Notify>,
    jump: Jump,
    beat: Beat,
    stirred: Rc<Notify>,
    hasty_until: Option<Instant>,
}

impl Pulse {
    pub(super) fn new(
        pipeline: Rc<RefCell<Pipeline>>,
        metrics: Option<Metrics>,
        usage: Option<Rc<RefCell<Usage>>>,
        relay: Relay,
        hurry: Arc<Notify>,
        beat: Beat,
    ) -> Self {
        let jump = Jump::new(Box::new(SystemTime::now));
        Self {
            pipeline,
            metrics,
            usage,
            relay,
            hurry,
            jump,
            beat,
            stirred: Rc::default(),
            hasty_until: None,
        }
    }

    /// Beats for as long as it is polled.
    pub(super) async fn run(mut self) {
        loop {
            let begun = Instant::now();
            if let Some(usage) = &self.usage {
                usage.borrow_mut().beat(begun);
            }
            self.hasty_until = self.hasty_until.filter(|until| begun < *until);
            let due = match self.hasty_until {
                Some(_) => begun + HASTY,
                None => self.beat.next(begun, self.beats()),
            };
            let is_hurried = self.is_hurried_before(due).await;
            let is_late = due.elapsed() >= LATE_MIN;
            if self.jump.has_happened() || is_late {
                self.wake();
            } else if is_hurried || self.hasty_until.is_some() {
                self.flush();
                self.relay.hurry();
            } else {
                self.pipeline.borrow_mut().tick(now_ns());
            }
        }
    }

    /// How many beats there are to the next pulse. Where nothing is held they are more, and what then comes in ends them.
    fn beats(&self) -> u32 {
        let mut pipeline = self.pipeline.borrow_mut();
        if !pipeline.is_idle() {
            return 1;
        }
        let stirred = Rc::clone(&self.stirred);
        pipeline.when_stirred(Box::new(move || stirred.notify_one()));
        IDLE_BEATS
    }

    /// Waits until `due`, or until it is to be sooner: because there is something again, or because all is to leave, which is returned.
    async fn is_hurried_before(&self, due: Instant) -> bool {
        let (mut hurry, mut stirred) = (pin!(self.hurry.notified()), pin!(self.stirred.notified()));
        let either = poll_fn(|context| {
            if hurry.as_mut().poll(context).is_ready() {
                Poll::Ready(true)
            } else {
                stirred.as_mut().poll(context).map(|()| false)
            }
        });
        timeout_at(due.into(), either).await.unwrap_or(false)
    }

    /// The process was frozen.
    fn wake(&mut self) {
        tracing::debug!("The process was frozen: what is held is sent now.");
        self.hasty_until = Some(Instant::now() + HASTE);
        self.flush();
        self.relay.thaw();
    }

    /// What is complete leaves.
    fn flush(&self) {
        self.pipeline.borrow_mut().flush(now_ns(), OpenBuckets::Keep);
        if let Some(metrics) = &self.metrics {
            metrics.hurry();
        }
    }
}

/// Nanoseconds since 1970.
pub(super) fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
