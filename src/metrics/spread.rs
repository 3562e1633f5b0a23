//! Sketches of histograms: what is known of the values is how many lie between two bounds, so they are spread over the bins between them, in the
//! agent's ways (spec: metrics-logs 2.5 and 5.2).

use super::sketch::{BIAS, GAMMA, GAMMA_LN, KEY_MAX, Sketch, bound, key};

/// The buckets of an exponential histogram on one side of 0: bucket `i` holds values from `base^i` to `base^(i+1)`.
#[derive(Clone, Copy, Debug)]
pub struct Exponential<'a> {
    /// The first bucket's `i`.
    pub offset: i64,
    /// How many values each has.
    pub counts: &'a [u64],
}

/// A value that no bin can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfRange;

impl Sketch {
    /// Spreads `count` values evenly from `low` to `high`, which are finite and in this order: each bin gets the whole part of its share, and
    /// what is left of shares above 1 is added up.
    pub fn spread(&mut self, low: f64, high: f64, count: u32) {
        let (mut left, mut rest) = (count, 0.0);
        let (first, last) = (key(low), key(high));
        let mut open = first;
        let mut open_bound = bound(open);
        let width = high - low;
        for next in first..last {
            if left == 0 {
                return;
            }
            let next = next + 1;
            let next_bound = bound(next);
            let share = (next_bound - open_bound) / width * f64::from(count);
            if share > 1.0 {
                rest += share.fract();
            }
            // A share that is no number comes of bounds that are next to each other; it is none.
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "saturates"
            )]
            let mut whole = share as u32;
            if rest > 1.0 {
                whole = whole.saturating_add(1);
                rest -= 1.0;
            }
            if whole > 0 {
                self.add_at(open, whole.min(left));
                left -= whole.min(left);
                (open, open_bound) = (next, next_bound);
            }
        }
        if left > 0 {
            self.add_at(open, left);
        }
    }

    /// The lower bound of a bin, so many times.
    fn add_at(&mut self, key: i16, count: u32) {
        let value = bound(key);
        self.add_in(key, value, f64::from(count), count, usize::MAX);
    }

    /// Replaces what was estimated by what is known: how many values there are, at least one, and their sum.
    pub fn set_sum(&mut self, count: u64, sum: f64) {
        self.count = count;
        self.sum = sum;
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
        let average = sum / count as f64;
        self.avg = average;
    }

    /// Replaces the lowest and the highest value.
    pub fn set_range(&mut self, min: Option<f64>, max: Option<f64>) {
        self.min = min.unwrap_or(self.min);
        self.max = max.unwrap_or(self.max);
    }

    /// The sketch of an exponential histogram, whose base is 2 to the power of 2 to the power of `-scale`. Each bucket's values are
    /// spread over the bins that it meets by how wide they meet; then the counts are rounded so that their sums are right.
    ///
    /// # Errors
    /// A bucket is beyond the last bin, which is at about 10^211.
    pub fn of_exponential(
        scale: i32,
        zeros: u64,
        positive: Exponential<'_>,
        negative: Exponential<'_>,
    ) -> Result<Self, OutOfRange> {
        let base_ln = std::f64::consts::LN_2 * f64::from(scale).exp2().recip();
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
        let mut zeros = zeros as f64;
        let above = meet(base_ln, positive, &mut zeros)?;
        let below = meet(base_ln, negative, &mut zeros)?;
        let below = below.iter().rev().map(|(key, count)| (-key, *count));
        let all = below.chain([(0, zeros)]).chain(above.iter().copied());
        let (mut sketch, mut exact, mut whole) = (Self::default(), 0.0_f64, 0_u64);
        for (key, count) in all {
            exact += count;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "saturates"
            )]
            let mut more = (exact.round() as u64).saturating_sub(whole);
            whole += more;
            while more > 0 {
                let some = u32::try_from(more).unwrap_or(u32::MAX);
                sketch.add_in(key, middle(key), f64::from(some), some, usize::MAX);
                more -= u64::from(some);
            }
        }
        Ok(sketch)
    }
}

/// The value that stands for a bin: as near to its lower as to its upper bound, by ratio.
fn middle(key: i16) -> f64 {
    let value = edge(key.abs()) * (2.0 - 2.0 / (1.0 + GAMMA));
    match key.signum() {
        0 => 0.0,
        1 => value,
        _ => -value,
    }
}

/// Where a positive bin begins: half a bin below the value that it is named after.
fn edge(key: i16) -> f64 {
    ((f64::from(key) - BIAS - 0.5) * GAMMA_LN).exp()
}

/// What each bin gets of the buckets, in ascending order. What is below the first bin counts as 0.
fn meet(
    base_ln: f64,
    buckets: Exponential<'_>,
    zeros: &mut f64,
) -> Result<Vec<(i16, f64)>, OutOfRange> {
    let mut met: Vec<(i16, f64)> = Vec::new();
    for (index, &count) in (buckets.offset..).zip(buckets.counts) {
        if count == 0 {
            continue;
        }
        #[expect(clippy::cast_precision_loss, reason = "both are far below 2^53, or out of range")]
        let (low_ln, count) = (index as f64 * base_ln, count as f64);
        let (low, high) = (low_ln.exp(), (low_ln + base_ln).exp());
        if high > edge(KEY_MAX) {
            return Err(OutOfRange);
        }
        let width = high - low;
        let first = edge(1);
        if low < first {
            // A bucket that is so near to 0 may have no width that a number can tell.
            let share = if width > 0.0 { ((high.min(first) - low) / width).min(1.0) } else { 1.0 };
            *zeros += share * count;
        }
        if high <= first {
            continue;
        }
        #[expect(clippy::cast_possible_truncation, reason = "from 1 to KEY_MAX")]
        let mut key =
            (low_ln / GAMMA_LN + BIAS + 0.5).floor().clamp(1.0, f64::from(KEY_MAX)) as i16;
        while edge(key) < high && key < KEY_MAX {
            let part = (edge(key + 1).min(high) - edge(key).max(low)).max(0.0) / width * count;
            match met.last_mut() {
                Some(last) if last.0 == key => last.1 += part,
                _ => met.push((key, part)),
            }
            key += 1;
        }
    }
    Ok(met)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::{any, proptest};

    use super::{Exponential, OutOfRange, Sketch};

    fn total(sketch: &Sketch) -> u64 {
        sketch.bins.iter().map(|bin| u64::from(bin.1)).sum()
    }

    #[test]
    fn values_are_spread_between_bounds() {
        let mut sketch = Sketch::default();
        sketch.spread(0.0, 0.0, 5);
        assert_eq!(sketch.bins, [(0, 5)]);
        let mut sketch = Sketch::default();
        sketch.spread(1.0, 10.0, 1000);
        // From the bin of 1 to below that of 10.
        assert_eq!((sketch.bins[0].0, total(&sketch)), (1338, 1000));
        assert!(sketch.bins.iter().all(|bin| bin.0 <= 1487), "{:?}", sketch.bins);
        // A bin at 5 is five times as wide as one at 1, and has as many more values.
        let at = |key| sketch.bins.iter().find(|bin| bin.0 == key).map_or(0, |bin| bin.1);
        assert!((1..=3).contains(&at(1339)) && (8..=10).contains(&at(1442)), "{:?}", sketch.bins);
        let mut few = Sketch::default();
        few.spread(-10.0, 10.0, 2);
        assert_eq!((total(&few), few.bins.len()), (2, 2));
    }

    #[test]
    fn exponential_buckets_keep_their_values_and_their_place() {
        let buckets = Exponential { offset: 0, counts: &[3, 0, 4] };
        let sketch = Sketch::of_exponential(0, 2, buckets, Exponential { counts: &[1], ..buckets });
        let sketch = sketch.unwrap();
        assert_eq!(total(&sketch), 10);
        let within = |low: i16, high: i16| {
            let bins = sketch.bins.iter().filter(|bin| (low..=high).contains(&bin.0));
            bins.map(|bin| bin.1).sum::<u32>()
        };
        // From 1 to 2, from 4 to 8, from -2 to -1, and 0.
        assert_eq!(
            (within(1338, 1383), within(1427, 1472), within(-1383, -1338), within(0, 0)),
            (3, 4, 1, 2)
        );
        assert!((4.0..8.1).contains(&sketch.max) && (-2.1..-0.9).contains(&sketch.min));
    }

    #[test]
    fn what_is_too_large_is_refused_and_what_is_too_small_is_zero() {
        let none = Exponential { offset: 0, counts: &[] };
        let of = |offset| {
            Sketch::of_exponential(0, 0, Exponential { offset, counts: &[1] }, none)
                .map(|sketch| sketch.bins)
        };
        assert_eq!(of(800), Err(OutOfRange));
        assert_eq!(of(i64::from(i32::MAX)), Err(OutOfRange));
        assert_eq!(of(-200), Ok(vec![(0, 1)]));
        assert_eq!(of(i64::from(i32::MIN)), Ok(vec![(0, 1)]));
    }

    proptest! {
        #[test]
        fn no_value_is_lost(low in -1e9_f64..1e9, width in 0.0_f64..1e9, count in any::<u32>()) {
            let mut sketch = Sketch::default();
            sketch.spread(low, low + width, count);
            assert_eq!(total(&sketch), u64::from(count));
        }

        #[test]
        fn no_exponential_bucket_is_too_strange(
            scale in -20..30_i32, zeros in any::<u32>(),
            offset in any::<i32>(), counts in vec(any::<u32>(), 0..20),
        ) {
            let counts: Vec<u64> = counts.into_iter().map(u64::from).collect();
            let buckets = Exponential { offset: i64::from(offset), counts: &counts };
            let none = Exponential { offset: 0, counts: &[] };
            if let Ok(sketch) = Sketch::of_exponential(scale, u64::from(zeros), buckets, none) {
                let expect = counts.iter().sum::<u64>() + u64::from(zeros);
                assert!(total(&sketch).abs_diff(expect) <= 1 + (expect >> 40));
            }
        }
    }
}
