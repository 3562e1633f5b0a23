//! What one sample costs: samples of metrics that are known, as a DogStatsD packet brings them (`cargo bench --bench metrics`).

#![allow(clippy::print_stdout, reason = "a program that prints its result")]

use std::hint::black_box;
use std::time::Instant;

use pillion::metrics::{Aggregator, Kind, OpenBuckets, Origin, Sample, Settings, Values};

const ROUNDS: usize = 200;
const METRICS: usize = 2000;

fn main() {
    for (kind, name) in [
        (Kind::Count, "counts"),
        (Kind::Gauge, "gauges"),
        (Kind::Set, "sets"),
        (Kind::Timing, "timings"),
        (Kind::Distribution, "distributions"),
    ] {
        measure(kind, name);
    }
}

fn measure(kind: Kind, name: &str) {
    let shared = (0..12).map(|n| format!("platform_tag_{n}:value of {n}")).collect();
    let mut aggregator = Aggregator::new(Settings { tags: shared, ..Settings::default() });
    let names: Vec<String> = (0..METRICS).map(|n| format!("app.request.duration.{n}")).collect();
    let endpoints: Vec<String> =
        (0..METRICS).map(|n| format!("endpoint:/api/v1/items/{}", n % 50)).collect();
    let mut bytes = 0;
    let start = Instant::now();
    for round in 0..ROUNDS {
        let now_s = 1_700_000_000 + round as u64 / 10;
        for (metric, endpoint) in names.iter().zip(&endpoints) {
            let number = [(round * 37 % 1000) as f64];
            let values =
                if kind == Kind::Set { Values::Member(endpoint) } else { Values::Numbers(&number) };
            let tags =
                ["status:200", endpoint, "method:GET", "region:europe-west1", "customer:gold"];
            let sample = Sample {
                name: metric,
                kind,
                values,
                rate: 1.0,
                timestamp_s: None,
                tags: &tags,
                origin: Origin::Custom,
            };
            aggregator.sample(black_box(&sample), now_s);
        }
        if round % 10 == 9 {
            aggregator.flush(now_s, OpenBuckets::Keep, &mut |output| bytes += output.body.len());
        }
    }
    let total = start.elapsed();
    let start = Instant::now();
    aggregator.flush(1_700_000_100, OpenBuckets::Flush, &mut |output| bytes += output.body.len());
    let samples = u32::try_from(ROUNDS * METRICS).unwrap_or(u32::MAX);
    let each = total / samples;
    println!(
        "{name:>14}: {each:?} a sample, {:?} a flush of {METRICS} metrics, {bytes} bytes",
        start.elapsed()
    );
}
