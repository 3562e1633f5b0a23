//! The messages of points, each read once.

use crate::trace::decode::otlp::wire::Fields;

/// What points of all sorts say.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Head {
    /// When the total began, nanoseconds since 1970; 0 where that is not known.
    pub(super) start_ns: u64,
    /// When it was read.
    pub(super) time_ns: u64,
    /// Bit 0: there is no value, which is said once when a metric ends.
    flags: u64,
}

impl Head {
    /// Whether it only says that there is nothing.
    pub(super) fn has_no_value(&self) -> bool {
        self.flags & 1 != 0
    }
}

/// A point of a gauge or sum.
#[derive(Debug, Default)]
pub(super) struct Number {
    pub(super) head: Head,
    pub(super) value: Option<f64>,
}

impl Number {
    /// The field of its attributes.
    pub(super) const ATTRIBUTES: u32 = 7;

    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut point = Self::default();
        for (number, field) in Fields::of(bytes) {
            match number {
                2 => point.head.start_ns = field.number(),
                3 => point.head.time_ns = field.number(),
                4 => point.value = Some(field.double()),
                #[expect(clippy::cast_precision_loss, reason = "points are doubles")]
                6 => point.value = Some(field.number().cast_signed() as f64),
                8 => point.head.flags = field.number(),
                _ => {}
            }
        }
        point
    }
}

/// What histograms of both sorts say beside their buckets.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    pub(super) count: u64,
    /// Where it is said and is a number.
    pub(super) sum: Option<f64>,
    pub(super) min: Option<f64>,
    pub(super) max: Option<f64>,
}

fn finite(number: f64) -> Option<f64> {
    number.is_finite().then_some(number)
}

/// A point of a histogram.
#[derive(Debug, Default)]
pub(super) struct Explicit {
    pub(super) head: Head,
    pub(super) totals: Totals,
    /// One more than there are bounds, or none.
    pub(super) counts: Vec<u64>,
    pub(super) bounds: Vec<f64>,
}

impl Explicit {
    /// The field of its attributes.
    pub(super) const ATTRIBUTES: u32 = 9;

    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut point = Self::default();
        for (number, field) in Fields::of(bytes) {
            match number {
                2 => point.head.start_ns = field.number(),
                3 => point.head.time_ns = field.number(),
                4 => point.totals.count = field.number(),
                5 => point.totals.sum = finite(field.double()),
                6 => point.counts.extend(field.longs()),
                7 => point.bounds.extend(field.longs().map(f64::from_bits)),
                10 => point.head.flags = field.number(),
                11 => point.totals.min = finite(field.double()),
                12 => point.totals.max = finite(field.double()),
                _ => {}
            }
        }
        point
    }

    /// Whether there is a bound between every two buckets, and each bound is above the one before.
    pub(super) fn is_sound(&self) -> bool {
        let fits = match self.counts.len() {
            0 => self.bounds.is_empty(),
            counts => counts == self.bounds.len() + 1,
        };
        fits && self.bounds.iter().all(|bound| bound.is_finite()) && self.bounds.is_sorted()
    }
}

/// The buckets of an exponential histogram on one side of 0.
#[derive(Debug, Default)]
pub(super) struct Buckets {
    pub(super) offset: i64,
    pub(super) counts: Vec<u64>,
}

impl Buckets {
    fn of(bytes: &[u8]) -> Self {
        let mut buckets = Self::default();
        for (number, field) in Fields::of(bytes) {
            match number {
                // 32 bits, whatever was sent.
                1 => buckets.offset = field.signed().clamp(i32::MIN.into(), i32::MAX.into()),
                2 => buckets.counts.extend(field.varints()),
                _ => {}
            }
        }
        buckets
    }
}

/// A point of an exponential histogram.
#[derive(Debug, Default)]
pub(super) struct Exponential {
    pub(super) head: Head,
    pub(super) totals: Totals,
    pub(super) scale: i32,
    pub(super) zeros: u64,
    pub(super) positive: Buckets,
    pub(super) negative: Buckets,
}

impl Exponential {
    /// The field of its attributes.
    pub(super) const ATTRIBUTES: u32 = 1;

    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut point = Self::default();
        for (number, field) in Fields::of(bytes) {
            match number {
                2 => point.head.start_ns = field.number(),
                3 => point.head.time_ns = field.number(),
                4 => point.totals.count = field.number(),
                5 => point.totals.sum = finite(field.double()),
                6 => point.scale = i32::try_from(field.signed()).unwrap_or(i32::MIN),
                7 => point.zeros = field.number(),
                8 => point.positive = Buckets::of(field.bytes()),
                9 => point.negative = Buckets::of(field.bytes()),
                10 => point.head.flags = field.number(),
                12 => point.totals.min = finite(field.double()),
                13 => point.totals.max = finite(field.double()),
                _ => {}
            }
        }
        point
    }
}

/// A point of a summary.
#[derive(Debug, Default)]
pub(super) struct Summary {
    pub(super) head: Head,
    pub(super) count: u64,
    pub(super) sum: f64,
    /// Shares and the values that they are below.
    pub(super) quantiles: Vec<(f64, f64)>,
}

impl Summary {
    /// The field of its attributes.
    pub(super) const ATTRIBUTES: u32 = 7;

    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut point = Self::default();
        for (number, field) in Fields::of(bytes) {
            match number {
                2 => point.head.start_ns = field.number(),
                3 => point.head.time_ns = field.number(),
                4 => point.count = field.number(),
                5 => point.sum = field.double(),
                6 => point.quantiles.push(quantile(field.bytes())),
                8 => point.head.flags = field.number(),
                _ => {}
            }
        }
        point
    }
}

fn quantile(bytes: &[u8]) -> (f64, f64) {
    let mut pair = (0.0, 0.0);
    for (number, field) in Fields::of(bytes) {
        match number {
            1 => pair.0 = field.double(),
            2 => pair.1 = field.double(),
            _ => {}
        }
    }
    pair
}
