//! What one metric's values of one bucket are put together to, by kind.

use hashbrown::HashTable;

use super::histogram::Histogram;
use super::sample::Kind;
use super::sketch::Sketch;

/// How many values one that was sent stands for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Weight {
    /// For the sum of counts, as the agent has it: one by the rate, whatever that is, or 1 where that is no number.
    count: f64,
    /// For distributions: one by the rate; at least 1.
    exact: f64,
    /// The whole part of that, which histograms and bins count by.
    whole: u32,
}

/// The smallest rate that makes a difference, for histograms and distributions (Datadog's newer agent has the same).
const RATE_MIN: f64 = 3.845e-9;

impl Weight {
    /// The weight of a sample rate. For histograms and distributions, a rate that is no share of the whole is 1.
    pub(super) fn of(rate: f64) -> Self {
        #[expect(clippy::float_cmp, reason = "the rate of a sample that has none is this number")]
        if rate == 1.0 {
            return Self { count: 1.0, exact: 1.0, whole: 1 };
        }
        let count = 1.0 / rate;
        let count = if count.is_finite() { count } else { 1.0 };
        let is_share = rate > 0.0 && rate <= 1.0;
        let exact = if is_share { 1.0 / rate.max(RATE_MIN) } else { 1.0 };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "from 1 to 1 / RATE_MIN"
        )]
        Self { count, exact, whole: exact as u32 }
    }
}

/// The members of a set: a hash of each, with a key that is this process's own. That two have the same one is less likely than a broken
/// machine: one in 10^13 for a thousand members, one in 10^7 for a million.
#[derive(Debug, Default)]
pub(super) struct Members(HashTable<u64>);

impl Members {
    /// Adds a member, unless that takes more than `room` bytes of further memory.
    fn add(&mut self, hash: u64, room: usize) -> bool {
        if self.0.find(hash, |other| *other == hash).is_some() {
            return true;
        }
        if self.0.len() == self.0.capacity() && self.0.allocation_size().max(64) * 2 > room {
            return false;
        }
        self.0.insert_unique(hash, hash, |other| *other);
        true
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.0.allocation_size()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// The values of one bucket.
#[derive(Debug, Default)]
pub(super) enum Value {
    /// There are none.
    #[default]
    None,
    /// Their sum.
    Count(f64),
    /// The last one.
    Gauge(f64),
    /// What there was in the set.
    Set(Box<Members>),
    /// All of them, with weights.
    Histogram(Box<Histogram>),
    /// How many there are in each bin.
    Sketch(Box<Sketch>),
}

impl Value {
    /// Adds a finite number. Whether it did: not where that takes more than `room` bytes of further memory. No kind changes while there
    /// are values.
    #[inline]
    pub(super) fn add(&mut self, kind: Kind, number: f64, weight: Weight, room: usize) -> bool {
        match self {
            Self::Count(sum) => *sum += number * weight.count,
            Self::Gauge(last) => *last = number,
            Self::Histogram(histogram) => {
                return histogram.add(number, u64::from(weight.whole), room);
            }
            Self::Sketch(sketch) => return sketch.add(number, weight.exact, weight.whole, room),
            Self::Set(_) => return false,
            Self::None => {
                *self = match kind {
                    Kind::Count => Self::Count(number * weight.count),
                    Kind::Gauge => Self::Gauge(number),
                    Kind::Histogram | Kind::Timing => Self::Histogram(Box::default()),
                    Kind::Distribution => Self::Sketch(Box::default()),
                    Kind::Set => return false,
                };
                if matches!(self, Self::Histogram(_) | Self::Sketch(_)) {
                    return self.add(kind, number, weight, room);
                }
            }
        }
        true
    }

    /// Adds a member of a set, by its hash.
    pub(super) fn add_member(&mut self, hash: u64, room: usize) -> bool {
        if matches!(self, Self::None) {
            *self = Self::Set(Box::default());
        }
        match self {
            Self::Set(members) => members.add(hash, room),
            _ => false,
        }
    }

    /// Bytes of memory that it takes beside itself.
    #[inline]
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::None | Self::Count(_) | Self::Gauge(_) => 0,
            Self::Set(members) => members.bytes(),
            Self::Histogram(histogram) => histogram.bytes(),
            Self::Sketch(sketch) => sketch.bytes(),
        }
    }

    pub(super) fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, Value, Weight};

    #[test]
    fn a_rate_that_is_no_share_weighs_nothing_twice() {
        for rate in [1.0, 0.0, -0.5, 2.0, f64::NAN, f64::INFINITY] {
            let weight = Weight::of(rate);
            assert_eq!((weight.exact, weight.whole), (1.0, 1), "{rate}");
        }
        assert_eq!(Weight::of(0.3), Weight { count: 1.0 / 0.3, exact: 1.0 / 0.3, whole: 3 });
        assert_eq!(Weight::of(1e-300).whole, 260_078_023);
        assert_eq!((Weight::of(0.0).count, Weight::of(2.0).count), (1.0, 0.5));
        assert_eq!((Weight::of(f64::NAN).count, Weight::of(-0.5).count), (1.0, -2.0));
    }

    #[test]
    fn a_set_counts_members_once_and_stays_within_its_room() {
        let mut value = Value::None;
        for hash in (0..1000_u64).chain(0..1000) {
            assert!(value.add_member(hash.wrapping_mul(0x9e37_79b9_7f4a_7c15), usize::MAX));
        }
        let Value::Set(members) = &value else { panic!("{value:?}") };
        assert_eq!(members.len(), 1000);
        let before = value.bytes();
        let more = (1000..4000_u64).filter(|n| value.add_member(n << 40, 0)).count();
        assert!(more < 1000 && value.bytes() == before, "{more}");
        assert!(!value.add(Kind::Set, 1.0, Weight::of(1.0), usize::MAX));
    }
}
