//! Takes samples, events and service checks, and keeps them until they are flushed.

use crate::ledger::{Counts, Ledger};

use super::blocked::Blocked;
use super::body::{Bodies, Output};
use super::buckets::Buckets;
use super::contexts::Contexts;
use super::flush::{Sink, Suffixes};
use super::key::{Key, Shared};
use super::messages::Messages;
use super::sample::{Check, Event, Kind, Sample, Values};
use super::series::{Fields, Metric, Point, Type};
use super::tally::Tally;
use super::value::Weight;
use super::{BUCKET_S, OpenBuckets, Settings};

/// Puts values together. It has no clock, waits for nothing, and allocates nothing for a sample of a metric that it knows.
#[derive(Debug)]
pub struct Aggregator {
    pub(super) settings: Settings,
    pub(super) suffixes: Suffixes,
    pub(super) blocked: Blocked,
    pub(super) fields: Fields,
    pub(super) contexts: Contexts,
    pub(super) buckets: Buckets,
    /// Bytes of the values of all contexts and buckets.
    pub(super) value_bytes: usize,
    pub(super) series: Bodies,
    pub(super) sketches: Bodies,
    messages: Messages,
    pub(super) tally: Tally,
    key: Key,
    /// The name of a histogram's copy.
    copy: String,
    /// The points of one series.
    pub(super) points: Vec<Point>,
}

impl Aggregator {
    /// An aggregator that holds nothing, and takes no memory for that.
    pub fn new(mut settings: Settings) -> Self {
        let shared = Shared::new(std::mem::take(&mut settings.tags));
        let hostname = std::mem::take(&mut settings.hostname);
        Self {
            suffixes: Suffixes::new(&settings.histogram),
            blocked: Blocked::new(&settings.blocked, settings.is_blocked_by_prefix),
            fields: Fields::new(shared, hostname, settings.category),
            contexts: Contexts::default(),
            buckets: Buckets::default(),
            value_bytes: 0,
            series: Bodies::of_series(settings.are_series_compressed),
            sketches: Bodies::of_sketches(),
            messages: Messages::default(),
            tally: Tally::default(),
            key: Key::default(),
            copy: String::new(),
            points: Vec::new(),
            settings,
        }
    }

    /// Replaces [`Settings::tags`], such as when the platform has told what it is. What is held goes with the new ones.
    pub fn set_tags(&mut self, tags: Vec<String>) {
        self.fields.shared = Shared::new(tags);
    }

    /// Takes a sample that came at `now_s`, in seconds since 1970.
    pub fn sample(&mut self, sample: &Sample<'_>, now_s: u64) {
        self.take(sample, true, now_s);
    }

    /// Takes a sample that has its own tags only and not [`Settings::tags`]: the wrapper's own metrics.
    pub fn bare_sample(&mut self, sample: &Sample<'_>, now_s: u64) {
        self.take(sample, false, now_s);
    }

    fn take(&mut self, sample: &Sample<'_>, has_shared: bool, now_s: u64) {
        self.buckets.roll(now_s);
        if sample.timestamp_s.is_some() {
            return self.pass(sample, has_shared);
        }
        // Histograms and timings of one name are one metric, as they are for the agent.
        let kind = if sample.kind == Kind::Timing { Kind::Histogram } else { sample.kind };
        self.put(kind, sample.name, sample, has_shared, now_s);
        if kind == Kind::Histogram
            && let Some(prefix) = &self.settings.copy_to_distribution
        {
            let mut name = std::mem::take(&mut self.copy);
            name.clear();
            name.push_str(prefix);
            name.push_str(sample.name);
            self.put(Kind::Distribution, &name, sample, has_shared, now_s);
            self.copy = name;
        }
    }

    /// Puts the values into the open bucket of their metric.
    fn put(&mut self, kind: Kind, name: &str, sample: &Sample<'_>, has_shared: bool, now_s: u64) {
        let count = sample.values.count();
        self.tally.received.samples += count;
        self.key.write(kind, name, sample.tags, has_shared.then_some(&self.fields.shared));
        let bytes_max = self.settings.bytes_max;
        let open_s = self.buckets.open_s();
        let limits = (self.settings.contexts_max, bytes_max / 4);
        let found = self.contexts.find_or_add(&self.key, kind, sample.origin, open_s, limits);
        let Some(id) = found else {
            self.tally.contexts_full.samples += count;
            return;
        };
        let hash = match sample.values {
            Values::Member(member) => self.contexts.hash(member),
            Values::Numbers(_) => 0,
        };
        let room = (bytes_max / 2).saturating_sub(self.value_bytes + self.buckets.bytes());
        let Some(context) = self.contexts.get_mut(id) else { return };
        if !self.buckets.enter(id, context, room) {
            self.tally.bytes_full.samples += count;
            return;
        }
        context.last_s = now_s;
        let before = context.value.bytes();
        let (mut taken, mut rejected) = (0, 0);
        match sample.values {
            Values::Numbers(numbers) if kind != Kind::Set => {
                let weight = Weight::of(sample.rate);
                for &number in numbers {
                    let room = (room + before).saturating_sub(context.value.bytes());
                    if !number.is_finite() {
                        rejected += 1;
                    } else if context.value.add(kind, number, weight, room) {
                        taken += 1;
                    }
                }
            }
            Values::Member(_) if kind == Kind::Set => {
                taken += u64::from(context.value.add_member(hash, room));
            }
            _ => rejected = count,
        }
        self.value_bytes = self.value_bytes + context.value.bytes() - before;
        self.buckets.count(taken);
        self.tally.rejected.samples += rejected;
        self.tally.bytes_full.samples += count - taken - rejected;
    }

    /// Sends values that have a time of their own as they are: only gauges and counts, as the agent does (spec: metrics-logs 2.4).
    fn pass(&mut self, sample: &Sample<'_>, has_shared: bool) {
        let count = sample.values.count();
        self.tally.received.samples += count;
        #[expect(clippy::cast_precision_loss, reason = "it is 10")]
        let (of, divisor) = match sample.kind {
            Kind::Gauge => (Type::Gauge, 1.0),
            Kind::Count => (Type::Rate, BUCKET_S as f64),
            _ => {
                self.tally.rejected.samples += count;
                return;
            }
        };
        let (Values::Numbers(numbers), Some(time_s)) = (sample.values, sample.timestamp_s) else {
            self.tally.rejected.samples += count;
            return;
        };
        if self.series.bytes() > self.settings.bytes_max / 4 {
            self.tally.bytes_full.samples += count;
            return;
        }
        let shared = has_shared.then_some(&self.fields.shared);
        self.key.write(sample.kind, sample.name, sample.tags, shared);
        self.points.clear();
        self.points.extend(numbers.iter().map(|number| (time_s, number / divisor)));
        self.points.retain(|(_, value)| value.is_finite());
        let points = self.points.len() as u64;
        self.tally.rejected.samples += count - points;
        self.tally.aggregated.samples += points;
        let (name, tags) = self.key.fields();
        let metric = Metric { name, tags, is_shared: has_shared, origin: sample.origin };
        let Self { fields, series, tally, points, .. } = self;
        Sink { fields, series, tally }.series(metric, "", of, points);
    }

    /// Takes an event that came at `now_s`.
    pub fn event(&mut self, event: &Event<'_>, now_s: u64) {
        let tags = self.fields.shared.with(event.tags);
        let taken = self.messages.event(event, &tags, &self.fields.hostname, now_s);
        self.tally.messages(Counts { events: 1, ..Counts::default() }, taken);
    }

    /// Takes a service check that came at `now_s`.
    pub fn check(&mut self, check: &Check<'_>, now_s: u64) {
        let tags = self.fields.shared.with(check.tags);
        let taken = self.messages.check(check, &tags, &self.fields.hostname, now_s);
        self.tally.messages(Counts { checks: 1, ..Counts::default() }, taken);
    }

    /// Hands out everything that is due at `now_s`: the points of buckets that have ended (and of the open one, where `open` says so), and
    /// whatever came with a time of its own, events and service checks. To be called when it is due ([`Aggregator::due_in_s`]), and with
    /// [`OpenBuckets::Flush`] once at the end: of two points of one bucket the intake keeps the later.
    ///
    /// [`Aggregator::settle`] is to be called before what was handed out can be settled anywhere else.
    pub fn flush(&mut self, now_s: u64, open: OpenBuckets, out: &mut dyn FnMut(Output)) {
        self.buckets.roll(now_s);
        if open == OpenBuckets::Flush || self.buckets.has_ended() {
            self.flush_buckets(now_s, open == OpenBuckets::Flush);
        }
        self.series.take(out);
        self.sketches.take(out);
        self.messages.take(&self.fields.hostname, out);
    }

    /// In how many seconds [`Aggregator::flush`] has something to do: at the end of the open bucket, or in a second where there is what waits for
    /// none. Nothing where nothing is held.
    pub fn due_in_s(&self, now_s: u64) -> Option<u64> {
        if self.series.bytes() + self.sketches.bytes() + self.messages.bytes() > 0 {
            return Some(1);
        }
        (self.held_bytes() > 0).then_some(BUCKET_S - now_s % BUCKET_S)
    }

    /// Adds to the ledger what became of everything since the last call: samples, events and service checks that came, and points that were
    /// made of samples. Costs a few additions, so it can follow each burst of samples.
    pub fn settle(&mut self, ledger: &Ledger) {
        self.tally.settle(ledger);
    }

    /// Bytes of everything that is held.
    pub fn held_bytes(&self) -> usize {
        let bodies = self.series.bytes() + self.sketches.bytes() + self.messages.bytes();
        self.contexts.bytes() + self.value_bytes + self.buckets.bytes() + bodies
    }
}
