//! The agent's sketch of a distribution: how many values fell into each of many bins, whose bounds grow by 1.6 %. The intake adds up
//! sketches of all instances and reads percentiles off them, so the bins have to be exactly those that it expects (spec: metrics-logs 2.5).
//!
//! It is of the same family as the sketches of `trace::stats`, which have other bounds, one run of bins without gaps, no negative values, no
//! sums, and another encoding: there is nothing that both could share.

use crate::wire;

/// How much wider each bin is than the one before it.
pub(super) const GAMMA: f64 = 1.0 + 2.0 / 128.0;

/// Its natural logarithm.
pub(super) const GAMMA_LN: f64 = 0.015_504_186_535_965_254;

/// Values whose distance from 0 is less than the lower bound of bin 1 count as 0.
const NORM_MIN: f64 = 9.941_854_089_121_45e-10;

/// The bin of the value 1.
pub(super) const BIAS: f64 = 1338.0;

/// The bin of everything that is larger than its neighbours can tell.
pub(super) const KEY_MAX: i16 = i16::MAX;

/// Bins of one sketch. Above it the lowest ones are added up.
const BINS_MAX: usize = 4096;

/// A bin and how many values are in it, never 0.
pub(super) type Bin = (i16, u32);

/// A sketch of the values of one bucket.
#[derive(Debug, Default)]
pub struct Sketch {
    /// By their keys. Where one has more values than fit, several follow each other, the one that is not full first.
    pub(super) bins: Vec<Bin>,
    pub(super) count: u64,
    pub(super) min: f64,
    pub(super) max: f64,
    pub(super) sum: f64,
    pub(super) avg: f64,
}

/// The bin of a finite value.
pub(super) fn key(value: f64) -> i16 {
    let distance = value.abs();
    if distance < NORM_MIN {
        return 0;
    }
    let key = (distance.ln() / GAMMA_LN).round_ties_even() + BIAS;
    #[expect(clippy::cast_possible_truncation, reason = "it is from 1 to KEY_MAX")]
    let key = key.clamp(1.0, f64::from(KEY_MAX)) as i16;
    if value < 0.0 { -key } else { key }
}

/// Where a bin begins, seen from 0.
pub(super) fn bound(key: i16) -> f64 {
    let distance = ((f64::from(key.abs()) - BIAS) * GAMMA_LN).exp();
    match key.signum() {
        0 => 0.0,
        1 => distance,
        _ => -distance,
    }
}

impl Sketch {
    /// Adds a finite value that stands for `exact` values, of which `whole` is the whole part and at least 1: bins count whole values, the sum
    /// takes all. Whether it did: not where that takes more than `room` bytes of further memory.
    pub(super) fn add(&mut self, value: f64, exact: f64, whole: u32, room: usize) -> bool {
        self.add_in(key(value), value, exact, whole, room)
    }

    /// The same with the bin that the value is counted in.
    #[inline]
    pub(super) fn add_in(
        &mut self,
        key: i16,
        value: f64,
        exact: f64,
        whole: u32,
        room: usize,
    ) -> bool {
        if !self.count_in(key, whole, room) {
            return false;
        }
        if self.count == 0 {
            (self.min, self.max) = (value, value);
        } else {
            (self.min, self.max) = (self.min.min(value), self.max.max(value));
        }
        let whole = u64::from(whole);
        self.count = self.count.saturating_add(whole);
        self.sum += value * exact;
        self.avg += (value - self.avg) * as_f64(whole) / as_f64(self.count);
        true
    }

    /// Counts `more` values in a bin.
    fn count_in(&mut self, key: i16, more: u32, room: usize) -> bool {
        let at = self.bins.partition_point(|bin| bin.0 < key);
        match self.bins.get(at).filter(|bin| bin.0 == key).map(|bin| bin.1) {
            None if !self.insert(at, (key, more), room) => return false,
            None => {}
            Some(before) => match before.checked_add(more) {
                Some(sum) => self.bins[at].1 = sum,
                None if !self.insert(at + 1, (key, u32::MAX), room) => return false,
                // What is left of the sum beside a full bin: less than either.
                None => self.bins[at].1 = more - (u32::MAX - before),
            },
        }
        if self.bins.len() > BINS_MAX {
            self.trim();
        }
        true
    }

    fn insert(&mut self, at: usize, bin: Bin, room: usize) -> bool {
        if self.bins.len() == self.bins.capacity() {
            let more = (self.bins.len() / 2).max(8);
            if more * size_of::<Bin>() > room {
                return false;
            }
            self.bins.reserve_exact(more);
        }
        self.bins.insert(at, bin);
        true
    }

    /// Adds the lowest bin to the next.
    fn trim(&mut self) {
        let (_, more) = self.bins.remove(0);
        if let Some(next) = self.bins.first_mut() {
            // A full bin stays full: that takes four thousand million values in ten seconds.
            next.1 = next.1.saturating_add(more);
        }
    }

    /// Whether it has no values.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of memory that it takes.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + self.bins.capacity() * size_of::<Bin>()
    }

    /// Appends it as a field `dogsketches` of a `Sketch`, with the time of its bucket.
    pub(super) fn encode(&self, out: &mut Vec<u8>, bucket_s: u64) {
        let sketch = wire::open(out, 0x3a);
        wire::number(out, 0x08, bucket_s);
        wire::number(out, 0x10, self.count);
        wire::double(out, 0x19, self.min);
        wire::double(out, 0x21, self.max);
        wire::double(out, 0x29, self.avg);
        wire::double(out, 0x31, self.sum);
        let keys = wire::open(out, 0x3a);
        for &(key, _) in &self.bins {
            let key = i32::from(key);
            wire::varint(out, u64::from((key << 1 ^ key >> 31).cast_unsigned()));
        }
        wire::close(out, keys);
        let counts = wire::open(out, 0x42);
        for &(_, count) in &self.bins {
            wire::varint(out, u64::from(count));
        }
        wire::close(out, counts);
        wire::close(out, sketch);
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
fn as_f64(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::vec;
    use proptest::prelude::{any, proptest};

    use super::{BIAS, BINS_MAX, GAMMA_LN, NORM_MIN, Sketch, key};

    fn of(values: &[f64]) -> Sketch {
        let mut sketch = Sketch::default();
        for value in values {
            assert!(sketch.add(*value, 1.0, 1, usize::MAX));
        }
        sketch
    }

    #[test]
    fn the_constants_follow_from_the_relative_error() {
        let eps: f64 = 1.0 / 128.0;
        assert_eq!(GAMMA_LN, (2.0 * eps).ln_1p());
        let lowest = (1e-9_f64.ln() / GAMMA_LN).floor();
        assert_eq!(BIAS, 1.0 - lowest);
        assert!((NORM_MIN / (lowest * GAMMA_LN).exp() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn values_have_the_bins_of_the_agent() {
        let check = |value: f64, expect: i16| assert_eq!(key(value), expect, "{value}");
        for (value, expect) in [
            (0.0, 0),
            (1e-10, 0),
            (1e-9, 1),
            (NORM_MIN, 1),
            (1e-6, 447),
            (0.001, 892),
            (0.01, 1041),
            (0.1, 1189),
            (0.5, 1293),
            (1.0, 1338),
            (2.0, 1383),
            (3.0, 1409),
            (10.0, 1487),
            (42.0, 1579),
            (100.0, 1635),
            (1000.0, 1784),
            (1e6, 2229),
            (1e9, 2675),
            (1e100, 16189),
            (1e300, 32767),
            (f64::MAX, 32767),
        ] {
            check(value, expect);
            check(-value, -expect);
        }
    }

    #[test]
    fn sketches_are_those_of_the_agent() {
        let sketch = of(&[1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(sketch.bins, [(1338, 1), (1383, 1), (1409, 1), (1427, 1), (1442, 1)]);
        assert_eq!((sketch.min, sketch.max, sketch.sum, sketch.avg), (1.0, 5.0, 15.0, 3.0));
        assert_eq!(of(&[0.0, -1.5, 1.5, 1e-10]).bins, [(-1364, 1), (0, 2), (1364, 1)]);
        let sketch = of(&[0.25, 100.0, 0.25, 0.25]);
        assert_eq!((sketch.bins, sketch.sum), (vec![(1249, 3), (1635, 1)], 100.75));
    }

    #[test]
    fn the_share_that_was_sent_is_a_weight() {
        let mut sketch = Sketch::default();
        assert!(sketch.add(10.0, 1.0 / 0.3, 3, usize::MAX));
        assert!(sketch.add(20.0, 1.0, 1, usize::MAX));
        assert_eq!(sketch.bins, [(1487, 3), (1531, 1)]);
        assert_eq!((sketch.count, sketch.sum, sketch.avg), (4, 10.0 * (1.0 / 0.3) + 20.0, 12.5));
    }

    #[test]
    fn a_bin_that_is_full_has_another_beside_it() {
        let mut sketch = Sketch::default();
        for _ in 0..3 {
            assert!(sketch.add(1.0, 3e9, 3_000_000_000, usize::MAX));
        }
        let rest = 9_000_000_000 - 2 * u64::from(u32::MAX);
        assert_eq!(sketch.bins, [(1338, rest as u32), (1338, u32::MAX), (1338, u32::MAX)]);
        assert_eq!(sketch.count, 9_000_000_000);
    }

    #[test]
    fn the_lowest_bins_are_added_up_when_there_are_too_many() {
        let values: Vec<f64> = (0..5000).map(|n| (f64::from(n) * GAMMA_LN).exp()).collect();
        let upwards = of(&values);
        assert_eq!(upwards.bins.len(), BINS_MAX);
        assert_eq!(upwards.bins[0], (1338 + 904, 905));
        assert_eq!(upwards.bins[BINS_MAX - 1], (1338 + 4999, 1));
        let downwards: Vec<f64> = values.into_iter().rev().collect();
        assert_eq!(of(&downwards).bins, upwards.bins);
    }

    #[test]
    fn memory_that_is_not_there_is_not_taken() {
        let mut sketch = of(&[1.0]);
        let before = sketch.bytes();
        let taken = (2..100).filter(|n| sketch.add(f64::from(*n), 1.0, 1, 0)).count();
        assert_eq!((taken, sketch.bytes(), sketch.count), (7, before, 8));
        assert!(sketch.add(1.0, 1.0, 1, 0));
    }

    /// The value that so great a share of the values is below, as the agent's own tests read it off a sketch.
    fn quantile(sketch: &Sketch, share: f64) -> f64 {
        let rank = (share * (sketch.count - 1) as f64).round_ties_even();
        let mut seen = 0.0;
        for (place, &(key, count)) in sketch.bins.iter().enumerate() {
            let count = f64::from(count);
            seen += count;
            if seen <= rank {
                continue;
            }
            let weight = (seen - rank) / count;
            let mut low = ((f64::from(key) - BIAS) * GAMMA_LN).exp();
            let mut high = low * 1.015625;
            if place == sketch.bins.len() - 1 {
                high = sketch.max;
            } else if place == 0 {
                low = sketch.min;
            }
            return (low * weight + high * (1.0 - weight)).clamp(sketch.min, sketch.max);
        }
        sketch.max
    }

    #[test]
    fn percentiles_are_read_off_as_the_agent_reads_them() {
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        let sketch = of(&values);
        for (share, expect) in [(0.5, 51.3191), (0.95, 95.4145), (0.99, 99.1884)] {
            let found = quantile(&sketch, share);
            assert!((found - expect).abs() < 5e-5, "{share}: {found}");
        }
    }

    proptest! {
        /// Against bins in a map, and bounds instead of logarithms.
        #[test]
        fn every_value_is_in_the_bin_whose_bounds_it_is_near(
            values in vec(-1e12_f64..1e12, 1..300),
        ) {
            let sketch = of(&values);
            let mut plain: BTreeMap<i16, u32> = BTreeMap::new();
            for value in &values {
                *plain.entry(key(*value)).or_default() += 1;
                let middle = ((f64::from(key(value.abs())) - BIAS) * GAMMA_LN).exp();
                assert!((value.abs() / middle).ln().abs() <= GAMMA_LN / 2.0 + 1e-9, "{value} {middle}");
            }
            assert_eq!(sketch.bins, Vec::from_iter(plain));
            assert_eq!(sketch.min, values.iter().copied().fold(f64::INFINITY, f64::min));
            assert_eq!(sketch.max, values.iter().copied().fold(f64::NEG_INFINITY, f64::max));
            assert_eq!(sketch.sum, values.iter().sum::<f64>());
        }

        #[test]
        fn no_finite_value_is_too_much(value in any::<f64>(), weight in 1..=u32::MAX) {
            if value.is_finite() {
                let mut sketch = Sketch::default();
                for _ in 0..3 {
                    assert!(sketch.add(value, f64::from(weight), weight, usize::MAX));
                }
                let counted: u64 = sketch.bins.iter().map(|bin| u64::from(bin.1)).sum();
                assert_eq!(counted, 3 * u64::from(weight));
            }
        }
    }
}
