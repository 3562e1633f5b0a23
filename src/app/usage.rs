//! When the wrapper's own metrics are put in: a start once the platform is known, a sample every three seconds, and the end.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::dogstatsd::Metrics;
use crate::platform::Tag;
use crate::usage::{Ended, Meter, Settings};

use super::life::Life;

/// Between two samples, as `datadog-init` has it, less half a beat of the pulse: who comes then is in time.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(2500);

/// The metrics of one wrapper.
pub(super) struct Usage {
    meter: Meter,
    metrics: Metrics,
    /// The app's, where there is one.
    life: Option<Arc<Life>>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Waits for what the platform tells first, which is less than a second: tags of it are what a start is told apart by.
    Waiting,
    /// Was sampled last at this time.
    Running(Instant),
    /// The end was put in, or there was a fault.
    Over,
}

impl Usage {
    /// Begins, where the settings ask for it and there is somebody to take metrics. CPU is counted from here on. Where the platform is still to
    /// be asked (`waits`), the first samples are put in at its first answer.
    pub(super) fn begin(
        settings: &Settings,
        metrics: Option<&Metrics>,
        life: Option<Arc<Life>>,
        waits: bool,
    ) -> Option<Rc<RefCell<Self>>> {
        let metrics = metrics.filter(|_| settings.is_on)?.clone();
        let meter = Meter::open(settings.clone(), Instant::now());
        let mut usage = Self { meter, metrics, life, state: State::Waiting };
        if !waits {
            usage.guard(Self::start);
        }
        Some(Rc::new(RefCell::new(usage)))
    }

    /// Puts a sample in where it is time.
    pub(super) fn beat(&mut self, now: Instant) {
        if let State::Running(last) = self.state
            && now.saturating_duration_since(last) >= SAMPLE_INTERVAL
        {
            self.guard(Self::sample);
        }
    }

    /// The platform has told something, maybe nothing.
    pub(super) fn learn(&mut self, found: &[Tag]) {
        self.guard(|usage| {
            usage.meter.learn(found);
            if usage.state == State::Waiting {
                usage.start();
            }
        });
    }

    /// Puts in the last sample and the end. What comes later counts for nothing.
    fn end(&mut self) {
        self.guard(|usage| {
            if usage.state == State::Waiting {
                usage.start();
            }
            usage.sample();
            usage.state = State::Over;
            let end = usage.life.as_ref().and_then(|life| life.end());
            let ended = end.map(|end| Ended { has_succeeded: end.code == 0, lasted: end.lasted });
            let meter = &usage.meter;
            usage.metrics.add(|aggregator, now_s| meter.put_end(ended, aggregator, now_s));
        });
    }

    fn start(&mut self) {
        let meter = &self.meter;
        self.metrics.add(|aggregator, now_s| meter.put_start(aggregator, now_s));
        self.sample();
    }

    fn sample(&mut self) {
        let now = Instant::now();
        self.state = State::Running(now);
        let figures = self.meter.measure(now);
        let meter = &self.meter;
        self.metrics.add(|aggregator, now_s| meter.put(figures, aggregator, now_s));
    }

    /// A fault in here costs these metrics and nothing else.
    fn guard(&mut self, work: impl FnOnce(&mut Self)) {
        if self.state != State::Over && catch_unwind(AssertUnwindSafe(|| work(self))).is_err() {
            self.state = State::Over;
            tracing::error!("No more metrics of our own, by a fault of our own: the rest runs on.");
        }
    }
}

/// Puts the end in. Once is enough, and what comes first counts: this as soon as the app has ended, and whoever waited for what the app has
/// sent before its end.
pub(super) fn end(usage: Option<&Rc<RefCell<Usage>>>) {
    if let Some(usage) = usage {
        usage.borrow_mut().end();
    }
}

/// Puts the end in as soon as we are to stop, so that it is there before metrics are flushed for the last time, whoever asks for that.
pub(super) async fn end_in_time(
    usage: Option<Rc<RefCell<Usage>>>,
    mut stopping: watch::Receiver<Option<Instant>>,
) {
    if usage.is_some() && stopping.wait_for(Option::is_some).await.is_ok() {
        end(usage.as_ref());
    }
}
