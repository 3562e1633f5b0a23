//! What becomes of a body, by what it carries: spans go to the pipeline, points and records are written into bodies for the intake, which leave
//! when they are full or have been open for a while.

use std::cell::RefCell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;
use tokio::time::timeout_at;

use super::logs::Records;
use super::metrics::{Mapping, Tally};
use super::traces::Traces;
use super::{Learnt, LearntTags, Outlets, Settings};
use crate::ledger::{Counts, Ledger, Shed};
use crate::limits::OTLP_POINTS_GATHERED_BYTES;
use crate::logs::batch::{Batch, Pushed};
use crate::logs::{self, Clock};
use crate::metrics::{Output, Writer};
use crate::trace::decode::otlp::{Encoding, Error, Signal, message};

/// How long points are let gather: SDKs of several processes send at about the same time.
const GATHER_POINTS: Duration = Duration::from_secs(1);

/// The way of each signal that is taken.
pub(super) struct Signals {
    traces: Option<Traces>,
    metrics: Option<RefCell<Metrics>>,
    logs: Option<RefCell<Logs>>,
    /// Something waits that did not before.
    filled: Notify,
    learnt: Learnt,
    ledger: Arc<Ledger>,
}

struct Metrics {
    mapping: Mapping,
    writer: Writer,
    /// The tags of all points that are known from the start.
    tags: Vec<String>,
    outlet: Box<dyn FnMut(Output)>,
    due: Option<Instant>,
}

struct Logs {
    records: Records,
    batch: Batch,
    clock: Clock,
    began: Instant,
    outlet: logs::Outlet,
}

impl Signals {
    pub(super) fn new(
        settings: &Settings,
        traces: Option<Traces>,
        outlets: Outlets,
        ledger: Arc<Ledger>,
    ) -> Self {
        let metrics = settings.metrics.is_enabled.then(|| {
            let mut points = outlets.points;
            points.tags.extend_from_slice(&settings.metrics.tags);
            RefCell::new(Metrics {
                mapping: Mapping::new(settings.metrics.clone(), now_ns()),
                tags: points.tags.clone(),
                writer: Writer::new(points),
                outlet: outlets.metrics,
                due: None,
            })
        });
        let logs = settings.logs.is_enabled.then(|| {
            let attributes = settings.logs.attributes.clone();
            RefCell::new(Logs {
                records: Records::new(attributes.clone()),
                batch: Batch::new(settings.logs.limits, attributes, |_| None),
                clock: Clock::new(),
                began: Instant::now(),
                outlet: outlets.logs,
            })
        });
        Self { traces, metrics, logs, filled: Notify::new(), learnt: outlets.learnt, ledger }
    }

    /// Whether bodies of this signal are taken.
    pub(super) fn has(&self, signal: Signal) -> bool {
        match signal {
            Signal::Traces => self.traces.is_some(),
            Signal::Metrics => self.metrics.is_some(),
            Signal::Logs => self.logs.is_some(),
        }
    }

    /// Takes a body. How many of its items were not taken.
    pub(super) fn take(
        &self,
        signal: Signal,
        encoding: Encoding,
        computed_stats: bool,
        body: &[u8],
    ) -> Result<u64, Error> {
        self.learn();
        match (signal, &self.traces, &self.metrics, &self.logs) {
            (Signal::Traces, Some(traces), ..) => traces.take(encoding, computed_stats, body),
            (Signal::Metrics, _, Some(metrics), _) => {
                let body = self.checked(message(signal, encoding, body))?;
                let samples = |samples| Counts { samples, ..Counts::default() };
                let taken = self.guarded(samples(1), || {
                    let left = metrics.borrow_mut().take(&body, &self.ledger);
                    self.filled.notify_one();
                    left
                });
                Ok(taken.unwrap_or(0))
            }
            (Signal::Logs, .., Some(logs)) => {
                let body = self.checked(message(signal, encoding, body))?;
                let lines = Counts { log_lines: 1, ..Counts::default() };
                let taken = self.guarded(lines, || {
                    let left = logs.borrow_mut().take(&body, &self.ledger);
                    self.filled.notify_one();
                    left
                });
                Ok(taken.unwrap_or(0))
            }
            // Nobody asks where `has` says no.
            _ => Ok(0),
        }
    }

    /// Takes on what was learnt of the platform.
    fn learn(&self) {
        let Some(LearntTags { metrics, logs }) = self.learnt.0.borrow_mut().take() else { return };
        if let Some(own) = &self.metrics {
            let own = &mut *own.borrow_mut();
            own.writer.set_tags(own.tags.iter().cloned().chain(metrics).collect());
        }
        if let Some(own) = &self.logs {
            own.borrow_mut().records.learn(logs);
        }
    }

    /// Counts a body that was refused before anybody looked at it.
    pub(super) fn count_refusal(&self) {
        self.ledger.bodies_refused.fetch_add(1, Ordering::Relaxed);
    }

    fn checked<T>(&self, body: Result<T, Error>) -> Result<T, Error> {
        body.inspect_err(|_| self.count_refusal())
    }

    /// A fault of ours is no reason to make the app send it again. How many items the body had is not known: one at the least.
    fn guarded<T>(&self, one: Counts, work: impl FnOnce() -> T) -> Option<T> {
        let done = catch_unwind(AssertUnwindSafe(work)).ok();
        if done.is_none() {
            self.ledger.received(one);
            self.ledger.shed(Shed::Fault, one);
        }
        done
    }

    /// Has what waits leave when it is due, for ever. Where nothing waits, it is not woken.
    pub(super) async fn run(&self) -> ! {
        loop {
            let filled = self.filled.notified();
            match self.due() {
                // What comes meanwhile may be due before.
                Some(due) => drop(timeout_at(due.into(), filled).await),
                None => filled.await,
            }
            self.leave(Instant::now());
        }
    }

    fn due(&self) -> Option<Instant> {
        let metrics = self.metrics.as_ref().and_then(|metrics| metrics.borrow().due);
        let logs = self.logs.as_ref().and_then(|logs| logs.borrow().due());
        metrics.into_iter().chain(logs).min()
    }

    /// Has leave what is due by `until`.
    fn leave(&self, until: Instant) {
        let is_due = |due: Option<Instant>| due.is_some_and(|due| due <= until);
        if let Some(metrics) = &self.metrics {
            let mut metrics = metrics.borrow_mut();
            if is_due(metrics.due) {
                metrics.leave(&self.ledger);
            }
        }
        if let Some(logs) = &self.logs {
            let mut logs = logs.borrow_mut();
            if is_due(logs.due()) {
                logs.leave();
            }
        }
    }

    /// Has everything leave: the end is near.
    pub(super) fn finish(&self) {
        if let Some(metrics) = &self.metrics {
            metrics.borrow_mut().leave(&self.ledger);
        }
        if let Some(logs) = &self.logs {
            logs.borrow_mut().leave();
        }
    }
}

impl Metrics {
    /// How many points were not taken.
    fn take(&mut self, body: &[u8], ledger: &Ledger) -> u64 {
        let tally = self.mapping.take(body, now_ns() / 1_000_000_000, &mut self.writer);
        let Tally { points, rejected, not_tracked } = tally;
        let samples = |samples| Counts { samples, ..Counts::default() };
        self.writer.count(samples(points), samples(rejected), samples(not_tracked));
        self.writer.settle(ledger);
        if self.writer.held_bytes() >= OTLP_POINTS_GATHERED_BYTES {
            self.leave(ledger);
        } else if self.writer.held_bytes() > 0 {
            self.due.get_or_insert_with(|| Instant::now() + GATHER_POINTS);
        }
        rejected + not_tracked
    }

    fn leave(&mut self, ledger: &Ledger) {
        self.writer.settle(ledger);
        self.writer.flush(&mut self.outlet);
        self.due = None;
    }
}

impl Logs {
    /// How many records were not taken.
    fn take(&mut self, body: &[u8], ledger: &Ledger) -> u64 {
        let Self { records, batch, clock, outlet, .. } = self;
        let now_ms = clock.now_ms();
        let one = Counts { log_lines: 1, ..Counts::default() };
        let mut too_large = 0;
        records.take(body, now_ns() / 1_000_000, &mut |entry| {
            ledger.received(one);
            if batch.push_entry(entry, 1, now_ms, &mut *outlet) == Pushed::TooLarge {
                ledger.shed(Shed::TooLarge, one);
                too_large += 1;
            }
        });
        too_large
    }

    fn due(&self) -> Option<Instant> {
        Some(self.began + Duration::from_millis(self.batch.due_ms()?))
    }

    fn leave(&mut self) {
        self.batch.leave(&mut self.outlet);
    }
}

/// Nanoseconds since 1970; 0 for a clock before that.
pub(super) fn now_ns() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |now| u64::try_from(now.as_nanos()).unwrap_or(u64::MAX))
}

impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signals").finish_non_exhaustive()
    }
}
