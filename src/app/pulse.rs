//! The data plane's pulse: once a second the pipeline is asked for what is due, and a pulse that comes late tells that we were frozen.
//!
//! An instance that is billed by requests has no CPU between them (spec: init 4): timers stand still, and connections that were idle are dead.
//! The next request wakes it, for as long as it takes. So on waking everything that is held leaves at once, over fresh connections, and for a
//! while all that then comes in, what had waited in the sockets first, leaves within a tenth of a second: the CPU may be gone any moment.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;
use tokio::time::timeout;

use crate::dogstatsd::Metrics;
use crate::pipeline::{OpenBuckets, Pipeline};
use crate::relay::{Jump, Relay};

/// How often the pipeline is asked whether something is due.
const USUAL: Duration = Duration::from_secs(1);

/// The same after waking.
const HASTY: Duration = Duration::from_millis(100);

/// How long the haste lasts.
const HASTE: Duration = Duration::from_secs(5);

/// A pulse that comes this much late means that the process did not run. A machine that is only busy is late by less, and where it is not, an
/// early flush does no harm.
const LATE_MIN: Duration = Duration::from_millis(1500);

/// What the pulse drives.
pub(super) struct Pulse {
    pipeline: Rc<RefCell<Pipeline>>,
    metrics: Option<Metrics>,
    relay: Relay,
    hurry: Arc<Notify>,
    jump: Jump,
    hasty_until: Option<Instant>,
}

impl Pulse {
    pub(super) fn new(
        pipeline: Rc<RefCell<Pipeline>>,
        metrics: Option<Metrics>,
        relay: Relay,
        hurry: Arc<Notify>,
    ) -> Self {
        let jump = Jump::new(Box::new(SystemTime::now));
        Self { pipeline, metrics, relay, hurry, jump, hasty_until: None }
    }

    /// Beats for as long as it is polled.
    pub(super) async fn run(mut self) {
        loop {
            let begun = Instant::now();
            self.hasty_until = self.hasty_until.filter(|until| begun < *until);
            let interval = if self.hasty_until.is_some() { HASTY } else { USUAL };
            let is_hurried = timeout(interval, self.hurry.notified()).await.is_ok();
            let is_late = begun.elapsed() >= interval + LATE_MIN;
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
