//! The rules of aggregation and encoding, read off what an intake decodes.

pub(crate) mod decoded;
mod limits;
mod messages;
mod reference;
mod rules;

use crate::ledger::{Ledger, Reading};

use super::{Aggregator, Kind, OpenBuckets, Origin, Sample, Settings, Values};
use decoded::Intake;

/// An aggregator, a ledger and an intake.
struct Bench {
    aggregator: Aggregator,
    ledger: Ledger,
}

impl Bench {
    fn new(settings: Settings) -> Self {
        Self { aggregator: Aggregator::new(settings), ledger: Ledger::default() }
    }

    fn put(&mut self, kind: Kind, name: &str, tags: &[&str], numbers: &[f64], now_s: u64) {
        self.aggregator.sample(&Sample { kind, tags, ..sample(name, numbers) }, now_s);
    }

    /// What a flush hands out. The ledger is told.
    fn flush(&mut self, now_s: u64, open: OpenBuckets) -> Intake {
        let mut intake = Intake::default();
        self.aggregator.flush(now_s, open, &mut |output| intake.take(output));
        self.aggregator.settle(&self.ledger);
        intake
    }

    fn samples(&mut self) -> Reading {
        self.aggregator.settle(&self.ledger);
        self.ledger.samples.read()
    }
}

/// A gauge without tags, for tests that change what they are about.
fn sample<'a>(name: &'a str, numbers: &'a [f64]) -> Sample<'a> {
    Sample {
        name,
        kind: Kind::Gauge,
        values: Values::Numbers(numbers),
        rate: 1.0,
        timestamp_s: None,
        tags: &[],
        origin: Origin::Custom,
    }
}
