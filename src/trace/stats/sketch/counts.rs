//! The latencies of one group of spans.

use super::{BINS_MAX, GAMMA, encode, encoded_len};

/// Of a duration's 53 significant bits 10 are kept, as the agent does; the first of them is always set.
const MANTISSA_BITS: u32 = 9;
const MANTISSAS: usize = 1 << MANTISSA_BITS;
/// Bins that a sketch holds inline.
const FEW: usize = 4;
/// A row of bins grows in steps of this many.
const STEP: u16 = 16;

/// Finds the bin of a duration without a logarithm: one is kept for each of the few mantissas there are.
#[derive(Debug)]
pub(in crate::trace::stats) struct Bins {
    /// The logarithms of 1 to 2, in bins.
    mantissas: Box<[f64; MANTISSAS]>,
    /// The logarithm of 2, in bins.
    octave: f64,
}

impl Bins {
    pub(in crate::trace::stats) fn new() -> Self {
        let per_bin = GAMMA.ln();
        let mut mantissas = Box::new([0.0; MANTISSAS]);
        for (at, mantissa) in mantissas.iter_mut().enumerate() {
            #[expect(clippy::cast_precision_loss, reason = "both are small")]
            let value = 1.0 + at as f64 / MANTISSAS as f64;
            *mantissa = value.ln() / per_bin;
        }
        Self { mantissas, octave: std::f64::consts::LN_2 / per_bin }
    }

    /// The bin of a duration; none for 0. At most 2217.
    #[inline]
    pub(in crate::trace::stats) fn of(&self, duration_ns: u64) -> Option<u16> {
        #[expect(clippy::cast_precision_loss, reason = "most bits are cut off anyway")]
        let bits = (duration_ns as f64).to_bits();
        let exponent = (bits >> 52).checked_sub(1023)?;
        let mantissa = (bits >> (52 - MANTISSA_BITS)) as usize % MANTISSAS;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "from 0 to 2217"
        )]
        let bin = (exponent as f64 * self.octave + self.mantissas[mantissa]) as u16;
        Some(bin)
    }
}

/// Counts of durations by bin. Starts small, as most groups see few durations.
#[derive(Debug)]
pub(in crate::trace::stats) struct Counts {
    zeros: u32,
    store: Store,
}

#[derive(Debug)]
enum Store {
    /// Bins in no order, as many as `len` says.
    Few { len: u8, bins: [u16; FEW], counts: [u32; FEW] },
    /// All bins from `first` on.
    Row { first: u16, counts: Vec<u32> },
}

impl Default for Counts {
    fn default() -> Self {
        Self { zeros: 0, store: Store::Few { len: 0, bins: [0; FEW], counts: [0; FEW] } }
    }
}

impl Counts {
    /// Counts one duration. Returns the bytes by which this has grown, nearly always 0.
    #[inline]
    pub(in crate::trace::stats) fn add(&mut self, bin: Option<u16>) -> usize {
        let Some(bin) = bin else {
            self.zeros = self.zeros.saturating_add(1);
            return 0;
        };
        match &mut self.store {
            Store::Few { len, bins, counts } => {
                let used = usize::from(*len).min(FEW);
                if let Some(at) = bins[..used].iter().position(|&known| known == bin) {
                    counts[at] = counts[at].saturating_add(1);
                    return 0;
                }
                if used < FEW {
                    bins[used] = bin;
                    counts[used] = 1;
                    *len += 1;
                    return 0;
                }
            }
            Store::Row { first, counts } => {
                if let Some(count) =
                    bin.checked_sub(*first).and_then(|at| counts.get_mut(usize::from(at)))
                {
                    *count = count.saturating_add(1);
                    return 0;
                }
            }
        }
        self.grow(bin)
    }

    /// Makes room for a bin and counts it.
    #[cold]
    fn grow(&mut self, bin: u16) -> usize {
        let (lowest, highest) = self.range().unwrap_or((bin, bin));
        let first = lowest.min(bin) / STEP * STEP;
        let end = highest.max(bin) / STEP * STEP + STEP;
        let mut row = vec![0u32; usize::from(end - first)];
        let before = match &self.store {
            Store::Few { .. } => 0,
            Store::Row { counts, .. } => counts.len(),
        };
        self.each(|bin, count| row[usize::from(bin - first)] += count);
        row[usize::from(bin - first)] += 1;
        let grown = (row.len() - before) * size_of::<u32>();
        self.store = Store::Row { first, counts: row };
        grown
    }

    fn each(&self, mut see: impl FnMut(u16, u32)) {
        match &self.store {
            Store::Few { len, bins, counts } => {
                for (&bin, &count) in bins.iter().zip(counts).take(usize::from(*len)) {
                    see(bin, count);
                }
            }
            Store::Row { first, counts } => {
                for (bin, &count) in (*first..).zip(counts).filter(|&(_, &count)| count > 0) {
                    see(bin, count);
                }
            }
        }
    }

    /// The lowest and the highest bin with a count.
    fn range(&self) -> Option<(u16, u16)> {
        let mut range: Option<(u16, u16)> = None;
        self.each(|bin, _| {
            range = Some(
                range.map_or((bin, bin), |(lowest, highest)| (lowest.min(bin), highest.max(bin))),
            )
        });
        range
    }

    /// Bytes that [`Counts::encode`] makes, at most.
    pub(in crate::trace::stats) fn encoded_len(&self) -> usize {
        encoded_len(
            self.range()
                .map_or(0, |(lowest, highest)| usize::from(highest - lowest) + 1)
                .min(BINS_MAX),
        )
    }

    pub(in crate::trace::stats) fn encode(&self) -> Vec<u8> {
        let zeros = f64::from(self.zeros);
        let Some((lowest, highest)) = self.range() else {
            return encode(0, std::iter::empty(), zeros);
        };
        let first = lowest.max(highest.saturating_sub(BINS_MAX as u16 - 1));
        if let Store::Row { first: start, counts } = &self.store
            && first == lowest
        {
            let range = usize::from(lowest - start)..=usize::from(highest - start);
            let row = counts.get(range).unwrap_or_default();
            return encode(i32::from(first), row.iter().map(|&count| f64::from(count)), zeros);
        }
        let mut row = vec![0.0; usize::from(highest - first) + 1];
        self.each(|bin, count| row[usize::from(bin.saturating_sub(first))] += f64::from(count));
        encode(i32::from(first), row.into_iter(), zeros)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bin by the definition.
    fn slow_bin(duration_ns: u64) -> Option<u16> {
        #[expect(clippy::cast_precision_loss, reason = "as the agent does")]
        let value = f64::from_bits((duration_ns as f64).to_bits() & 0xffff_f800_0000_0000);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "small and positive"
        )]
        (value > 0.0).then(|| (value.ln() / GAMMA.ln()).floor() as u16)
    }

    fn sketch(durations: &[u64]) -> Counts {
        let bins = Bins::new();
        let mut counts = Counts::default();
        for &duration in durations {
            counts.add(bins.of(duration));
        }
        counts
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn the_table_of_logarithms_is_exact_for_every_duration() {
        let bins = Bins::new();
        for exponent in 0..64u32 {
            for mantissa in 0..512u64 {
                // The first and the last duration of every mantissa.
                let low = ((1u128 << exponent) * u128::from(512 + mantissa)).div_ceil(512);
                let high = ((1u128 << exponent) * u128::from(513 + mantissa)).div_ceil(512) - 1;
                for duration in [low, high.min(u128::from(u64::MAX))] {
                    let duration = u64::try_from(duration).unwrap();
                    assert_eq!(bins.of(duration), slow_bin(duration), "{duration}");
                }
            }
        }
        assert_eq!((bins.of(0), bins.of(1), bins.of(u64::MAX)), (None, Some(0), Some(2217)));
    }

    #[test]
    fn durations_fall_into_the_agents_bins() {
        let bins = Bins::new();
        for (duration, bin) in [
            (1, 0),
            (999, 345),
            (1000, 345),
            (1_000_000, 690),
            (1_000_001, 690),
            (3_000_000, 745),
            (123_456_789, 931),
            (987_654_321, 1035),
            (5_000_000_000, 1116),
            (60_000_000_000, 1240),
            (3_600_000_000_000, 1445),
            (9_007_199_254_740_993, 1836),
        ] {
            assert_eq!(bins.of(duration), Some(bin), "{duration}");
        }
    }

    #[test]
    fn sketches_are_the_agents_bytes() {
        assert_eq!(hex(&sketch(&[]).encode()), "0a0909fd4a815abf52f03f12001a00");
        assert_eq!(
            hex(&sketch(&[60_000_000_000]).encode()),
            "0a0909fd4a815abf52f03f120d1208000000000000f03f18b0131a00"
        );
        let many = hex(&sketch(&[0, 1, 1000, 1_000_000, 123_456_789, 987_654_321]).encode());
        assert!(
            many.starts_with("0a0909fd4a815abf52f03f12e34012e040000000000000f03f0000000000000000"),
            "{}",
            many.len()
        );
        assert!(many.ends_with("0000000000000000000000f03f1a0021000000000000f03f"));
        assert_eq!(many.len(), 2 * 8316);
        let errors = hex(&sketch(&[999, 1_000_001, 5_000_000_000]).encode());
        assert!(errors.starts_with("0a0909fd4a815abf52f03f12a63012a030000000000000f03f0000"));
        assert!(errors.ends_with("000000000000f03f18b2051a00"));
        assert_eq!(errors.len(), 2 * 6198);
    }

    #[test]
    fn a_range_of_more_than_the_bins_adds_up_the_lowest() {
        let counts = sketch(&[1, 1, 100, u64::MAX]);
        let sketch = libdd_ddsketch::DDSketch::from_encoded(&counts.encode()).unwrap();
        assert_eq!(sketch.count(), 4.0);
        let with_count: Vec<f64> =
            sketch.ordered_bins().iter().filter(|bin| bin.1 > 0.0).map(|bin| bin.1).collect();
        assert_eq!(
            with_count,
            [2.0, 1.0, 1.0],
            "1 ns is added to the bin that is 2047 below the highest; 100 ns are in bin 230"
        );
        assert!(counts.encode().len() <= counts.encoded_len());
    }

    #[test]
    fn small_and_large_sketches_agree_with_an_independent_one() {
        let mut random = fastrand::Rng::with_seed(11);
        for round in 0..60 {
            let mut theirs = libdd_ddsketch::DDSketch::default();
            let spread = random.u32(1..40);
            let durations: Vec<u64> =
                (0..random.usize(0..300)).map(|_| 1_000 << random.u32(..spread)).collect();
            let ours = sketch(&durations);
            for &duration in &durations {
                #[expect(clippy::cast_precision_loss, reason = "small")]
                theirs.add(duration as f64).unwrap();
            }
            let decoded = libdd_ddsketch::DDSketch::from_encoded(&ours.encode()).unwrap();
            let nonzero = |sketch: &libdd_ddsketch::DDSketch| {
                let mut bins = sketch.ordered_bins();
                bins.retain(|bin| bin.1 > 0.0);
                bins
            };
            assert_eq!(decoded.count(), theirs.count(), "round {round}");
            let (ours, theirs) = (nonzero(&decoded), nonzero(&theirs));
            assert_eq!(ours.len(), theirs.len(), "round {round}");
            for (ours, theirs) in ours.iter().zip(&theirs) {
                assert_eq!(ours.1, theirs.1);
                assert!((ours.0 - theirs.0).abs() <= theirs.0 * 0.02, "{ours:?} {theirs:?}");
            }
        }
    }

    #[test]
    fn a_sketch_says_by_how_much_it_grows() {
        let bins = Bins::new();
        let mut counts = Counts::default();
        let mut grown = 0;
        for exponent in 0..60 {
            grown += counts.add(bins.of(1 << exponent));
        }
        let Store::Row { counts: row, .. } = &counts.store else { panic!("60 bins are not few") };
        assert_eq!(grown, row.len() * size_of::<u32>());
    }
}
