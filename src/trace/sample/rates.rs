//! The counting and the arithmetic under every sampler: how many traces of each signature came in the last half minute, and what share of
//! each to keep so that all together stay near a target.

use std::collections::HashMap;

use foldhash::fast::RandomState;

/// Seconds of one bucket.
const BUCKET_S: u64 = 5;
/// Buckets of the ring.
const BUCKETS: usize = 6;
/// A rate grows at most by this factor from one bucket to the next: tenfold in about a minute.
const GROWTH_MAX: f64 = 1.2;
/// Signatures that are counted apart (about 60 bytes each). Above it new ones share [`SHARED_SIGNATURES`].
const SIGNATURES_MAX: usize = 10_000;
const SHARED_SIGNATURES: u32 = 100;

/// Counts and rates by signature, a 32-bit hash of what traces have in common.
#[derive(Debug)]
pub(super) struct Rates {
    target_tps: f64,
    seen: HashMap<u32, Seen, RandomState>,
    all: [f32; BUCKETS],
    bucket: u64,
    /// The lowest rate of any signature; 0 before the first rates.
    lowest: f64,
}

#[derive(Debug, Default)]
struct Seen {
    counts: [f32; BUCKETS],
    /// None until the bucket in which the signature was first seen is over.
    rate: Option<f64>,
}

impl Rates {
    pub(super) fn new(target_tps: f64) -> Self {
        Self { target_tps, seen: HashMap::default(), all: [0.0; BUCKETS], bucket: 0, lowest: 0.0 }
    }

    /// Counts traces of one signature. True when a new bucket began, so that rates may have changed.
    pub(super) fn count(&mut self, now_s: u64, signature: u32, weight: f32) -> bool {
        let bucket = now_s / BUCKET_S;
        let turned = bucket != self.bucket;
        if turned {
            self.turn(self.bucket, bucket);
            self.bucket = bucket;
        }
        let known = self.seen.len() < SIGNATURES_MAX || self.seen.contains_key(&signature);
        let seen = self
            .seen
            .entry(if known { signature } else { signature % SHARED_SIGNATURES })
            .or_default();
        seen.counts[place(bucket)] += weight;
        self.all[place(bucket)] += weight;
        turned
    }

    /// The rate of a signature, or the default rate.
    pub(super) fn rate(&self, signature: u32) -> f64 {
        self.known_rate(signature).unwrap_or_else(|| self.default_rate())
    }

    /// The rate of a signature that has one.
    pub(super) fn known_rate(&self, signature: u32) -> Option<f64> {
        self.seen.get(&signature).and_then(|seen| seen.rate)
    }

    /// The rate of signatures that have none yet: what keeps the whole traffic at the target, at most the lowest rate there is.
    pub(super) fn default_rate(&self) -> f64 {
        if self.target_tps == 0.0 {
            return 0.0;
        }
        let rate = share(self.target_tps, per_second(self.all.iter().copied().fold(0.0, f32::max)));
        if self.lowest != 0.0 && self.lowest < rate { self.lowest } else { rate }
    }

    /// How many signatures are counted.
    pub(super) fn len(&self) -> usize {
        self.seen.len()
    }

    /// The signatures that have a rate.
    pub(super) fn with_rates(&self) -> impl Iterator<Item = u32> {
        self.seen.iter().filter(|(_, seen)| seen.rate.is_some()).map(|(&signature, _)| signature)
    }

    /// A new bucket begins: the buckets that are over are emptied, and every signature gets a rate by its busiest bucket.
    fn turn(&mut self, from: u64, to: u64) {
        if self.seen.is_empty() {
            return;
        }
        let mut tps: Vec<f64> = self
            .seen
            .values_mut()
            .map(|seen| per_second(turn(&mut seen.counts, from, to)))
            .collect();
        turn(&mut self.all, from, to);
        let seen_tps = tps.clone();
        let allowed = water_level(self.target_tps, &mut tps);
        let mut lowest = 1.0f64;
        let mut seen_tps = seen_tps.into_iter();
        // `retain` and `values_mut` visit in the same order, as nothing was added or removed in between.
        self.seen.retain(|_, seen| {
            let tps = seen_tps.next().unwrap_or(0.0);
            let mut rate = share(allowed, tps);
            if let Some(before) =
                seen.rate.filter(|&before| before != 0.0 && rate / before > GROWTH_MAX)
            {
                rate = before * GROWTH_MAX;
            }
            rate = rate.min(1.0);
            let quiet = rate == 1.0 && tps == 0.0;
            if !quiet {
                lowest = lowest.min(rate);
                seen.rate = Some(rate);
            }
            !quiet
        });
        self.lowest = lowest;
    }
}

fn place(bucket: u64) -> usize {
    usize::try_from(bucket % BUCKETS as u64).unwrap_or(0)
}

#[expect(clippy::cast_precision_loss, reason = "it is 5")]
fn per_second(count: f32) -> f64 {
    f64::from(count) / BUCKET_S as f64
}

fn share(allowed_tps: f64, seen_tps: f64) -> f64 {
    if seen_tps > 0.0 && allowed_tps < seen_tps { allowed_tps / seen_tps } else { 1.0 }
}

/// Empties the buckets that are over and the new one; returns the highest count, the bucket that the new one takes the place of included.
fn turn(counts: &mut [f32; BUCKETS], from: u64, to: u64) -> f32 {
    let mut highest = 0.0f32;
    for bucket in from + 1..=from + BUCKETS as u64 {
        let count = &mut counts[place(bucket)];
        if bucket >= to {
            highest = highest.max(*count);
        }
        if bucket <= to {
            *count = 0.0;
        }
    }
    highest
}

/// What each signature may use of `target`, so that those that need less leave the rest to the others. Sorts `tps`.
#[expect(clippy::cast_precision_loss, reason = "few signatures")]
fn water_level(mut target: f64, tps: &mut [f64]) -> f64 {
    tps.sort_unstable_by(f64::total_cmp);
    let mut level = target / tps.len() as f64;
    for (at, &tps_of_one) in tps.iter().enumerate() {
        let left = tps.len() - at - 1;
        if tps_of_one >= level || left == 0 {
            break;
        }
        target -= tps_of_one;
        level = target / left as f64;
    }
    level
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count_times(rates: &mut Rates, now_s: u64, signature: u32, times: u32) {
        for _ in 0..times {
            rates.count(now_s, signature, 1.0);
        }
    }

    #[test]
    fn the_target_is_shared_and_the_rest_of_the_quiet_goes_to_the_busy() {
        assert_eq!(water_level(10.0, &mut [2.0, 100.0, 100.0]), 4.0);
        assert_eq!(water_level(10.0, &mut [100.0, 100.0]), 5.0);
        assert_eq!(water_level(10.0, &mut [1.0]), 10.0);
        assert_eq!(water_level(30.0, &mut [1.0, 2.0]), 29.0);
    }

    #[test]
    fn a_signature_gets_a_rate_when_its_first_bucket_is_over() {
        let mut rates = Rates::new(10.0);
        assert!(rates.count(1000, 7, 1.0));
        count_times(&mut rates, 1000, 7, 499);
        assert_eq!(rates.known_rate(7), None);
        assert_eq!(rates.rate(7), 0.1, "100 per second: the default rate sees it at once");
        assert!(rates.count(1005, 7, 1.0));
        assert_eq!(rates.known_rate(7), Some(0.1));
        assert_eq!(rates.rate(8), 0.1);
    }

    #[test]
    fn a_rate_grows_slowly_and_is_forgotten_when_it_is_one_again() {
        let mut rates = Rates::new(10.0);
        count_times(&mut rates, 1000, 7, 500);
        let mut rate = 0.1;
        for bucket in 1..=6 {
            rates.count(1000 + bucket * 5, 9, 1.0);
            assert!((rates.rate(7) - rate).abs() < 0.05, "the busiest of six buckets still counts");
        }
        for bucket in 7..40 {
            rates.count(1000 + bucket * 5, 9, 1.0);
            let after = rates.rate(7);
            assert!(after <= rate * 1.2 + 1e-9 || after == 1.0, "{after} after {rate}");
            rate = after;
        }
        assert_eq!(rates.known_rate(7), None);
        assert_eq!(rates.len(), 1);
    }

    #[test]
    fn a_gap_of_more_than_the_ring_empties_it() {
        let mut rates = Rates::new(10.0);
        count_times(&mut rates, 1000, 7, 500);
        rates.count(1200, 8, 1.0);
        assert_eq!((rates.len(), rates.rate(8)), (1, 1.0));
    }

    #[test]
    fn a_target_of_zero_keeps_nothing_and_time_may_go_backwards() {
        let mut rates = Rates::new(0.0);
        assert_eq!(rates.rate(1), 0.0);
        rates.count(1000, 1, 1.0);
        rates.count(500, 1, 1.0);
        rates.count(0, 1, 1.0);
        assert_eq!(rates.rate(1), 0.0);
    }

    #[test]
    fn more_signatures_than_the_limit_share_a_few() {
        let mut rates = Rates::new(10.0);
        for signature in 0..100_000u32 {
            rates.count(1000, signature.wrapping_mul(0x9e37_79b9), 1.0);
        }
        assert!(rates.len() <= SIGNATURES_MAX + SHARED_SIGNATURES as usize, "{}", rates.len());
    }
}
