//! The values of a histogram in one bucket, and the series that are made of them, in the agent's arithmetic (spec: metrics-logs 2.3).

use super::BUCKET_S;

/// A series that is made of a histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregate {
    /// The largest value.
    Max,
    /// The smallest value.
    Min,
    /// The value in the middle.
    Median,
    /// The mean.
    Avg,
    /// The sum.
    Sum,
    /// Values per second, as a rate.
    Count,
    /// So many percent of the values are not above it, 0 to 100.
    Percentile(u8),
}

impl Aggregate {
    /// The aggregate of a name in `DD_HISTOGRAM_AGGREGATES`. Nothing for an unknown one, which the agent skips.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "max" => Self::Max,
            "min" => Self::Min,
            "median" => Self::Median,
            "avg" => Self::Avg,
            "sum" => Self::Sum,
            "count" => Self::Count,
            _ => return None,
        })
    }

    /// The percentile of an entry of `DD_HISTOGRAM_PERCENTILES`, such as `0.95`. Nothing for what is not a number from 0 to 1.
    pub fn percentile(text: &str) -> Option<Self> {
        let share: f64 = text.parse().ok()?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is from 0 to 100"
        )]
        let percent = |share: f64| (share * 100.0 + 0.5) as u8;
        (0.0..=1.0).contains(&share).then(|| Self::Percentile(percent(share)))
    }

    /// What the names of such series end with.
    pub(super) fn suffix(self) -> String {
        let name = match self {
            Self::Max => "max",
            Self::Min => "min",
            Self::Median => "median",
            Self::Avg => "avg",
            Self::Sum => "sum",
            Self::Count => "count",
            Self::Percentile(percent) => return format!(".{percent}percentile"),
        };
        format!(".{name}")
    }
}

/// A value, and how many values it stands for.
type Weighed = (f64, u64);

/// Values that are kept before equal ones are put together for the first time.
const APART_MAX: usize = 512;

/// The values of one bucket.
#[derive(Debug, Default)]
pub(super) struct Histogram {
    values: Vec<Weighed>,
    /// At so many values equal ones are put together: most timings are one of few numbers.
    merge_at: usize,
    count: u64,
}

impl Histogram {
    /// Adds a finite value that stands for `weight` values, unless that takes more than `room` bytes of further memory.
    pub(super) fn add(&mut self, value: f64, weight: u64, room: usize) -> bool {
        if self.values.len() >= self.merge_at.max(APART_MAX) {
            self.merge();
            self.merge_at = 2 * self.values.len();
        }
        if self.values.len() == self.values.capacity() {
            let more = (self.values.len() / 2).max(4);
            if more * size_of::<Weighed>() > room {
                return false;
            }
            self.values.reserve_exact(more);
        }
        self.values.push((value, weight));
        self.count = self.count.saturating_add(weight);
        true
    }

    /// Sorts the values and puts equal ones together.
    fn merge(&mut self) {
        self.values.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        self.values.dedup_by(|later, first| {
            let same = later.0.to_bits() == first.0.to_bits();
            if same {
                first.1 = first.1.saturating_add(later.1);
            }
            same
        });
    }

    /// Bytes of memory that it takes.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + self.values.capacity() * size_of::<Weighed>()
    }

    /// To be called once all values are there: sorts them.
    pub(super) fn finish(&mut self) {
        self.merge();
    }

    /// The value of a series, once [`Histogram::finish`] was called. Nothing where there are no values.
    pub(super) fn value(&self, aggregate: Aggregate) -> Option<f64> {
        let (least, most) = (self.values.first()?.0, self.values.last()?.0);
        Some(match aggregate {
            Aggregate::Max => most,
            Aggregate::Min => least,
            Aggregate::Median => self.above(self.count.saturating_sub(1) / 2).unwrap_or(most),
            Aggregate::Avg => self.sum() / as_f64(self.count),
            Aggregate::Sum => self.sum(),
            Aggregate::Count => as_f64(self.count) / as_f64(BUCKET_S),
            Aggregate::Percentile(percent) => {
                let values = u64::from(percent).saturating_mul(self.count);
                self.above(values.saturating_sub(1) / 100).unwrap_or(most)
            }
        })
    }

    /// The first value up to which more than `target` values are.
    fn above(&self, target: u64) -> Option<f64> {
        let mut seen = 0_u64;
        let found = self.values.iter().find(|(_, weight)| {
            seen = seen.saturating_add(*weight);
            seen > target
        });
        found.map(|(value, _)| *value)
    }

    /// The sum of all values, with what each addition rounds off carried along (Neumaier), as the agent has it since 2026.
    fn sum(&self) -> f64 {
        let (mut sum, mut rest) = (0.0_f64, 0.0);
        for &(value, weight) in &self.values {
            let more = value * as_f64(weight);
            let next = sum + more;
            rest += if sum.abs() >= more.abs() { (sum - next) + more } else { (more - next) + sum };
            sum = next;
        }
        sum + rest
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
fn as_f64(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::proptest;

    use super::{Aggregate, Histogram};

    fn of(values: impl IntoIterator<Item = (f64, u64)>) -> Histogram {
        let mut histogram = Histogram::default();
        for (value, weight) in values {
            assert!(histogram.add(value, weight, usize::MAX));
        }
        histogram.finish();
        histogram
    }

    #[test]
    fn twenty_values_have_the_aggregates_of_the_agent() {
        let histogram = of((1..=20).rev().map(|n| (f64::from(n), 1)));
        let check = |aggregate, expect: f64| assert_eq!(histogram.value(aggregate), Some(expect));
        check(Aggregate::Max, 20.0);
        check(Aggregate::Min, 1.0);
        check(Aggregate::Median, 10.0);
        check(Aggregate::Avg, 10.5);
        check(Aggregate::Sum, 210.0);
        check(Aggregate::Count, 2.0);
        check(Aggregate::Percentile(95), 19.0);
        check(Aggregate::Percentile(0), 1.0);
        check(Aggregate::Percentile(100), 20.0);
    }

    #[test]
    fn a_weight_counts_as_so_many_values() {
        let histogram = of([(1.0, 1), (2.0, 10), (50.0, 2)]);
        let check = |aggregate, expect: f64| assert_eq!(histogram.value(aggregate), Some(expect));
        check(Aggregate::Count, 1.3);
        check(Aggregate::Sum, 121.0);
        check(Aggregate::Median, 2.0);
        check(Aggregate::Percentile(95), 50.0);
        check(Aggregate::Percentile(80), 2.0);
    }

    #[test]
    fn a_sum_keeps_what_each_addition_rounds_off() {
        let histogram = of([(1.0, 1), (1e100, 1), (1.0, 1), (-1e100, 1)]);
        assert_eq!(histogram.value(Aggregate::Sum), Some(2.0));
    }

    #[test]
    fn names_and_percentiles_are_those_of_the_settings() {
        assert_eq!(Aggregate::named("avg").map(Aggregate::suffix).as_deref(), Some(".avg"));
        assert_eq!(Aggregate::named("mean"), None);
        assert_eq!(Aggregate::percentile("0.29"), Some(Aggregate::Percentile(29)));
        assert_eq!(Aggregate::percentile("1"), Some(Aggregate::Percentile(100)));
        for text in ["1.01", "-0.1", "NaN", "x", ""] {
            assert_eq!(Aggregate::percentile(text), None, "{text}");
        }
        assert_eq!(Aggregate::Percentile(95).suffix(), ".95percentile");
    }

    #[test]
    fn memory_that_is_not_there_is_not_taken() {
        let mut histogram = Histogram::default();
        assert!(!histogram.add(1.0, 1, 0));
        assert!(histogram.add(1.0, 1, 1000));
        let before = histogram.bytes();
        let more = (0..100).filter(|n| histogram.add(f64::from(*n), 1, 0)).count();
        assert_eq!((more, histogram.bytes()), (3, before));
    }

    #[test]
    fn values_that_repeat_take_little_memory() {
        let histogram = of((0..100_000).map(|n| (f64::from(n % 50), 1)));
        assert!(histogram.bytes() < 16 * 1024, "{}", histogram.bytes());
        assert_eq!(histogram.value(Aggregate::Count), Some(10_000.0));
    }

    proptest! {
        /// Against every value written down as often as it counts, in a list that is sorted at the end.
        #[test]
        fn it_is_the_plain_list_of_all_values(values in vec((-50_i32..50, 1_u64..4), 1..2000), percent in 0_u8..=100) {
            let histogram = of(values.iter().map(|&(value, weight)| (f64::from(value), weight)));
            let mut list: Vec<i32> = Vec::new();
            for &(value, weight) in &values {
                list.extend(std::iter::repeat_n(value, weight as usize));
            }
            list.sort_unstable();
            let check = |aggregate, expect: f64| assert_eq!(histogram.value(aggregate), Some(expect), "{aggregate:?}");
            check(Aggregate::Max, f64::from(list[list.len() - 1]));
            check(Aggregate::Min, f64::from(list[0]));
            check(Aggregate::Median, f64::from(list[(list.len() - 1) / 2]));
            check(Aggregate::Sum, f64::from(list.iter().sum::<i32>()));
            check(Aggregate::Count, list.len() as f64 / 10.0);
            let target = (usize::from(percent) * list.len()).saturating_sub(1) / 100;
            check(Aggregate::Percentile(percent), f64::from(list[target]));
        }
    }
}
