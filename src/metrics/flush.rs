//! From values to points: what of the buckets is due becomes series and sketches, in the agent's ways (spec: metrics-logs 2.1 and 2.2).

use super::aggregator::Aggregator;
use super::body::Bodies;
use super::buckets::Closed;
use super::contexts::Context;
use super::histogram::Aggregate;
use super::sample::Kind;
use super::series::{Fields, Metric, Point, Type};
use super::tally::Tally;
use super::value::Value;
use super::{BUCKET_S, Settings};

/// What the names of the series of histograms end with.
#[derive(Debug)]
pub(super) struct Suffixes(Vec<(Aggregate, String)>);

impl Suffixes {
    pub(super) fn new(aggregates: &[Aggregate]) -> Self {
        Self(aggregates.iter().map(|aggregate| (*aggregate, aggregate.suffix())).collect())
    }
}

impl Aggregator {
    /// Turns the values of all buckets that have ended, and of the open one where `is_open_due`, into items of the bodies under construction.
    pub(super) fn flush_buckets(&mut self, now_s: u64, is_open_due: bool) {
        let (due, samples) = self.buckets.begin_flush(is_open_due);
        self.tally.aggregated.samples += samples;
        let mut closed = self.buckets.take_closed();
        self.close(&due, is_open_due, &mut closed);
        closed.sort_by_key(|closed| (closed.id, closed.bucket_s));
        closed.dedup_by(|later, first| match (&later.value, &mut first.value) {
            (Value::Count(more), Value::Count(sum))
                if (later.id, later.bucket_s) == (first.id, first.bucket_s) =>
            {
                *sum += more;
                true
            }
            _ => false,
        });
        for run in closed.chunk_by_mut(|a, b| a.id == b.id) {
            self.send(run);
        }
        for closed in &closed {
            self.value_bytes -= closed.value.bytes();
        }
        self.forget(now_s);
    }

    /// Adds to `closed` the values that are due and still in their contexts, and zeros for counters that had none in a bucket since their
    /// first: where nothing was counted for a while, a graph shows 0 and not a gap.
    fn close(&mut self, due: &[u64], is_open_due: bool, closed: &mut Vec<Closed>) {
        let open_s = self.buckets.open_s();
        let expiry_s = self.settings.counter_expiry_s;
        for (id, context) in self.contexts.iter_mut() {
            if !context.value.is_none() && (is_open_due || context.bucket_s != open_s) {
                let value = std::mem::take(&mut context.value);
                closed.push(Closed { id, bucket_s: context.bucket_s, value });
            }
            if context.kind != Kind::Count || expiry_s == 0 {
                continue;
            }
            // The bucket that the last sample came in has a value, here or in what was sent.
            let others = due.iter().filter(|start| **start != context.bucket_s);
            for &bucket_s in others.filter(|start| **start >= context.first_s) {
                if context.last_s + expiry_s > bucket_s {
                    closed.push(Closed { id, bucket_s, value: Value::Count(0.0) });
                }
            }
        }
    }

    /// Appends the values of one context.
    fn send(&mut self, run: &mut [Closed]) {
        let Self { contexts, fields, series, sketches, tally, points, suffixes, blocked, .. } =
            self;
        let Some(context) = run.first().and_then(|first| contexts.get(first.id)) else { return };
        let metric = metric(context);
        let mut sink = Sink { fields, series, tally };
        match context.kind {
            Kind::Histogram | Kind::Timing => {
                for closed in run.iter_mut() {
                    if let Value::Histogram(histogram) = &mut closed.value {
                        histogram.finish();
                    }
                }
                for (aggregate, suffix) in &suffixes.0 {
                    collect(points, run, |value| match value {
                        Value::Histogram(histogram) => histogram.value(*aggregate),
                        _ => None,
                    });
                    if !blocked.is_empty() && blocked.has(&metric.name_text(suffix)) {
                        sink.filter(points);
                        continue;
                    }
                    let of = if *aggregate == Aggregate::Count { Type::Rate } else { Type::Gauge };
                    sink.series(metric, suffix, of, points);
                }
            }
            Kind::Distribution => sink.sketches(sketches, metric, run),
            Kind::Count => {
                collect(points, run, |value| match value {
                    Value::Count(sum) => Some(sum / BUCKET_S as f64),
                    _ => None,
                });
                sink.series(metric, "", Type::Rate, points);
            }
            Kind::Gauge | Kind::Set => {
                collect(points, run, |value| match value {
                    Value::Gauge(last) => Some(*last),
                    Value::Set(members) => Some(members.len() as f64),
                    _ => None,
                });
                sink.series(metric, "", Type::Gauge, points);
            }
        }
    }

    /// Forgets the contexts without values whose time is up. Counters are kept as long as they are sent as zeros, but where contexts are
    /// getting short they make room first.
    fn forget(&mut self, now_s: u64) {
        let Settings { contexts_max, bytes_max, counter_expiry_s, context_expiry_s, .. } =
            self.settings;
        let open_s = self.buckets.open_s();
        let is_crowded = self.contexts.len() > contexts_max / 8 * 7
            || self.contexts.bytes() > bytes_max / 32 * 7;
        self.contexts.retain(|context| {
            let sends_zeros =
                context.kind == Kind::Count && context.last_s + counter_expiry_s > open_s;
            let is_recent = context.last_s + context_expiry_s > now_s;
            !context.value.is_none() || is_recent || sends_zeros && !is_crowded
        });
    }
}

fn metric(context: &Context) -> Metric<'_> {
    let (name, tags) = context.fields();
    Metric { name, tags, is_shared: context.is_shared(), origin: context.origin }
}

/// Fills `points` with the values of a run, but for those that are not finite, as the agent does.
fn collect(points: &mut Vec<Point>, run: &[Closed], value: impl Fn(&Value) -> Option<f64>) {
    points.clear();
    points.extend(run.iter().filter_map(|closed| Some((closed.bucket_s, value(&closed.value)?))));
    points.retain(|(_, value)| value.is_finite());
}

/// Where items go, and are counted.
pub(super) struct Sink<'a> {
    pub(super) fields: &'a Fields,
    pub(super) series: &'a mut Bodies,
    pub(super) tally: &'a mut Tally,
}

/// Points of one series in one item.
const POINTS_PER_ITEM_MAX: usize = 1000;

impl Sink<'_> {
    /// Adds a series, unless it has no points.
    pub(super) fn series(&mut self, metric: Metric<'_>, suffix: &str, of: Type, points: &[Point]) {
        for points in points.chunks(POINTS_PER_ITEM_MAX) {
            let count = points.len() as u64;
            let added = self.series.push(count, |out| {
                self.fields.series(out, metric, suffix, of, points.iter().copied());
            });
            self.tally.points(count, added);
        }
    }

    /// Counts the points of a series that is not wanted.
    fn filter(&mut self, points: &[Point]) {
        self.tally.received.points += points.len() as u64;
        self.tally.filtered.points += points.len() as u64;
    }

    /// Adds the sketches of a run, unless there are none.
    fn sketches(&mut self, bodies: &mut Bodies, metric: Metric<'_>, run: &[Closed]) {
        let sketches = run.iter().filter_map(|closed| match &closed.value {
            Value::Sketch(sketch) if !sketch.is_empty() => Some((closed.bucket_s, &**sketch)),
            _ => None,
        });
        let count = sketches.clone().count() as u64;
        if count > 0 {
            let added = bodies.push(count, |out| self.fields.sketches(out, metric, sketches));
            self.tally.points(count, added);
        }
    }
}
