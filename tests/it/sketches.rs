//! Latencies as sketches: every quantile is right within what the sketch promises, for data of several shapes, after one span each and after
//! merging what several tracers have computed; and it is what the vendor's own implementation says.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use libdd_ddsketch::DDSketch;
use libdd_trace_protobuf::pb;
use pillion::config::{self, Env, Mode};
use pillion::ledger::Ledger;
use pillion::pipeline::{OpenBuckets, Pipeline, TraceRequest};
use pillion::relay::{Kind, Payload};
use pillion::trace::Tracer;
use pillion::trace::decode::ApiVersion;
use rmpv::Value;

const NOW_NS: u64 = 1_750_000_000_000_000_000;

const QUANTILES: [f64; 10] = [0.0, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 1.0];

/// A value is known within 1 %, and of a duration in nanoseconds 10 bits count.
const ACCURACY: f64 = 0.0125;

/// The vendor's sketches have other bins, of which each is spread over those of ours that it covers.
const ACCURACY_OF_OTHERS: f64 = 0.03;

/// A shape, and one duration of it in nanoseconds.
type Shape = (&'static str, fn(&mut fastrand::Rng) -> f64);

const SHAPES: [Shape; 7] = [
    ("all the same", |_| 1_234_567.0),
    ("uniform", |random| 1e3 + random.f64() * 1e9),
    ("exponential", |random| 1.0 - (1.0 - random.f64()).ln() * 1e7),
    ("log-normal", |random| (normal(random) * 1.5 + 15.0).exp()),
    ("two kinds", |random| {
        if random.u8(..4) == 0 { 5e9 + random.f64() * 1e8 } else { 2e5 + random.f64() * 1e4 }
    }),
    // Over nine powers of ten.
    ("heavy tail", |random| 1e2 / (1.0 - random.f64()).powf(1.0 / 0.7)),
    ("zeros and small ones", |random| f64::from(random.u8(..4))),
];

fn normal(random: &mut fastrand::Rng) -> f64 {
    (0..12).map(|_| random.f64()).sum::<f64>() - 6.0
}

/// Whole nanoseconds, as spans have them.
fn durations(shape: Shape, count: usize, random: &mut fastrand::Rng) -> Vec<u64> {
    (0..count).map(|_| (shape.1)(random) as u64).collect()
}

/// A pipeline, and the stats groups that come out of it.
struct Running {
    pipeline: Pipeline,
    sent: Rc<RefCell<Vec<Payload>>>,
}

impl Running {
    fn new() -> Self {
        let settings = config::read(&Env::of(&[("DD_API_KEY", "x")]), Mode::Wrapper).0.pipeline;
        let sent: Rc<RefCell<Vec<Payload>>> = Rc::default();
        let outlet = Rc::clone(&sent);
        let outlet = move |payload| {
            outlet.borrow_mut().push(payload);
            Vec::new()
        };
        let ledger = Arc::new(Ledger::default());
        Self { pipeline: Pipeline::new(settings, ledger, Box::new(outlet), None, NOW_NS), sent }
    }

    /// The only group of all that was sent since the last time.
    fn group(&mut self) -> pb::ClientGroupedStats {
        self.pipeline.flush(NOW_NS, OpenBuckets::Flush);
        let mut groups = Vec::new();
        for payload in self.sent.take().iter().filter(|payload| payload.kind == Kind::Stats) {
            let read: pb::StatsPayload = rmp_serde::from_slice(&payload.body).unwrap();
            let buckets = read.stats.into_iter().flat_map(|client| client.stats);
            groups.extend(buckets.flat_map(|bucket| bucket.stats));
        }
        assert_eq!(groups.len(), 1);
        groups.remove(0)
    }

    /// Counts a span of each duration.
    fn count(&mut self, durations: &[u64]) {
        let field = |name: &str, value: Value| (Value::from(name), value);
        let span = |(number, duration): (u64, &u64)| {
            Value::Array(vec![Value::Map(vec![
                field("service", "shop".into()),
                field("name", "web.request".into()),
                field("span_id", (number + 1).into()),
                field("start", (NOW_NS - 1).into()),
                field("duration", (*duration).into()),
            ])])
        };
        let chunks = (0..).zip(durations).map(span).collect();
        let mut body = Vec::new();
        rmpv::encode::write_value(&mut body, &Value::Array(chunks)).unwrap();
        let request = TraceRequest {
            version: ApiVersion::V04,
            content_type: Some("application/msgpack"),
            tracer: Tracer::default(),
            body: &body,
        };
        self.pipeline.traces(&request, NOW_NS).unwrap();
    }

    /// Adds a sketch that a tracer has computed, of so many spans.
    fn add(&mut self, sketch: &[u8], count: usize) {
        let map = |pairs: Vec<(&str, Value)>| {
            Value::Map(pairs.into_iter().map(|(key, value)| (key.into(), value)).collect())
        };
        let group = map(vec![
            ("Service", "shop".into()),
            ("Name", "web.request".into()),
            ("Hits", count.into()),
            ("OkSummary", Value::Binary(sketch.to_vec())),
            ("ErrorSummary", Value::Binary(Vec::new())),
        ]);
        let bucket = map(vec![("Start", NOW_NS.into()), ("Stats", Value::Array(vec![group]))]);
        let mut body = Vec::new();
        let stats = map(vec![("Stats", Value::Array(vec![bucket]))]);
        rmpv::encode::write_value(&mut body, &stats).unwrap();
        self.pipeline.client_stats(&Tracer::default(), &body, NOW_NS).unwrap();
    }
}

/// A quantile of a sketch: the value of the bin in which it is.
fn quantile(sketch: &DDSketch, quantile: f64) -> f64 {
    // In the middle of a value, so that no rounding of counts leads to its neighbour.
    let rank = (quantile * (sketch.count().round() - 1.0)).floor() + 0.5;
    let mut seen = 0.0;
    let bins = sketch.ordered_bins();
    let found = bins.iter().find(|(_, count)| {
        seen += count;
        seen > rank
    });
    found.expect("a bin for every rank").0
}

fn exact(sorted: &[u64], quantile: f64) -> f64 {
    sorted[(quantile * (sorted.len() - 1) as f64).floor() as usize] as f64
}

/// Compares all quantiles of an encoded sketch with those of the data.
fn compare(encoded: &[u8], durations: &[u64], accuracy: f64, what: &str) {
    let sketch = DDSketch::from_encoded(encoded).expect("a sketch");
    let mut sorted = durations.to_vec();
    sorted.sort_unstable();
    let count = sketch.count();
    assert!((count - sorted.len() as f64).abs() < 1e-6 * count, "{what}: {count}");
    for at in QUANTILES {
        let (ours, exact) = (quantile(&sketch, at), exact(&sorted, at));
        let is_right = (ours - exact).abs() <= accuracy * exact;
        assert!(is_right, "{what}: quantile {at} is {exact}, and {ours} in the sketch");
    }
}

/// The vendor's sketch of the same data.
fn vendors(durations: &[u64]) -> DDSketch {
    let mut sketch = DDSketch::default();
    for duration in durations {
        sketch.add(*duration as f64).unwrap();
    }
    sketch
}

#[test]
fn quantiles_of_counted_spans_are_right_for_every_shape() {
    let mut random = fastrand::Rng::with_seed(1);
    for shape in SHAPES {
        for count in [1, 2, 5, 100, 2500] {
            let durations = durations(shape, count, &mut random);
            let mut running = Running::new();
            running.count(&durations);
            let group = running.group();
            let what = format!("{}, {count}", shape.0);
            assert_eq!(group.hits, count as u64, "{what}");
            compare(&group.ok_summary, &durations, ACCURACY, &what);
            let (ours, theirs) =
                (DDSketch::from_encoded(&group.ok_summary).unwrap(), vendors(&durations));
            for at in QUANTILES {
                let (ours, theirs) = (quantile(&ours, at), quantile(&theirs, at));
                let is_near = (ours - theirs).abs() <= 2.0 * ACCURACY * theirs;
                assert!(is_near, "{what}: quantile {at} is {ours} here and {theirs} there");
            }
        }
    }
}

#[test]
fn quantiles_stay_right_when_sketches_of_several_tracers_are_merged() {
    let mut random = fastrand::Rng::with_seed(2);
    for first in SHAPES {
        for second in SHAPES {
            let parts: Vec<Vec<u64>> = [first, second, first, second]
                .into_iter()
                .map(|shape| {
                    let count = random.usize(1..400);
                    durations(shape, count, &mut random)
                })
                .collect();
            let all = parts.concat();
            let what = format!("{} and {}", first.0, second.0);
            // As the vendor's tracers make them.
            let mut running = Running::new();
            for part in &parts {
                running.add(&vendors(part).encode_to_vec(), part.len());
            }
            let group = running.group();
            assert_eq!(group.hits, all.len() as u64, "{what}");
            compare(&group.ok_summary, &all, ACCURACY_OF_OTHERS, &what);
            // And with the intake's own bins, which are added up as they are.
            let mut running = Running::new();
            for part in &parts {
                let mut counting = Running::new();
                counting.count(part);
                running.add(&counting.group().ok_summary, part.len());
            }
            compare(&running.group().ok_summary, &all, ACCURACY, &what);
        }
    }
}
