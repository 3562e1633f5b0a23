//! The probabilistic sampler: a fixed share of all traces, chosen by a hash of the trace id, as OpenTelemetry's collector chooses.

use crate::trace::chunk::Work;
use crate::trace::fnv::Fnv32;
use crate::trace::strings::Strings;

/// The root's tag with all of the trace id, of spans that came by OpenTelemetry.
const OTEL_TRACE_ID: &str = "otel.trace_id";

/// The root's tag with the upper half of the trace id.
const TRACE_ID_HIGH: &str = "_dd.p.tid";

/// Values of the hash that are told apart.
const BUCKETS: u32 = 0x4000;

/// What share is kept, and how it is chosen (spec: trace-agent 4.6).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Of all traces, in percent. From 100 on all are kept.
    pub percentage: f32,
    /// Two samplers choose the same traces only with the same seed.
    pub hash_seed: u32,
    /// All 128 bits of the trace id count, not the lower 64 alone.
    pub full_trace_id: bool,
}

/// Keeps a share of all traces.
#[derive(Debug)]
pub(super) struct Probabilistic {
    /// The hash of the seed, which comes before the trace id.
    seed: Fnv32,
    buckets_kept: u32,
    share: f64,
    full_trace_id: bool,
}

impl Probabilistic {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "the cast saturates, and a fraction of a bucket is no bucket"
    )]
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            seed: Fnv32::EMPTY.then(&settings.hash_seed.to_le_bytes()),
            buckets_kept: (settings.percentage * (BUCKETS as f32 / 100.0)) as u32,
            share: f64::from(settings.percentage) / 100.0,
            full_trace_id: settings.full_trace_id,
        }
    }

    /// The share of all traces that is kept, where this one belongs to it.
    pub(super) fn sample(&self, trace_id: u128) -> Option<f64> {
        // The lower half comes first and zeros after it, so that the choice is the same where somebody cut the upper half off.
        let id = if self.full_trace_id { trace_id } else { trace_id << 64 };
        self.sample_bytes(&id.to_be_bytes())
    }

    /// The same in the older form, where the root alone says what the trace id is. With one that can't be read the trace is not sampled.
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is what is wanted")]
    pub(super) fn sample_older(&self, work: &Work, strings: &Strings) -> Option<f64> {
        let low = work.facts.trace_id as u64;
        if !self.full_trace_id {
            return self.sample(u128::from(low));
        }
        let tag = |key| work.text_by_name(work.root, key, strings).filter(|text| !text.is_empty());
        if let Some(id) = tag(OTEL_TRACE_ID) {
            return self.sample_bytes(&from_hex(id)?);
        }
        let high = match tag(TRACE_ID_HIGH) {
            None => 0,
            Some(high) if high.starts_with('+') => return None,
            Some(high) => u64::from_str_radix(high, 16).ok()?,
        };
        self.sample(u128::from(high) << 64 | u128::from(low))
    }

    fn sample_bytes(&self, id: &[u8]) -> Option<f64> {
        let hash = self.seed.then(id).value();
        (hash % BUCKETS < self.buckets_kept).then_some(self.share)
    }
}

/// The bytes that hexadecimal digits stand for.
fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().map(|digit| digit.to_digit(16)).collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2))?;
    let byte = |pair: &[u32]| u8::try_from(pair.iter().fold(0, |byte, digit| byte << 4 | digit));
    digits.chunks(2).map(|pair| byte(pair).ok()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sampler(percentage: f32, hash_seed: u32, full_trace_id: bool) -> Probabilistic {
        Probabilistic::new(Settings { percentage, hash_seed, full_trace_id })
    }

    /// The published hash over the bytes written out, with nothing shared and no arithmetic on the id.
    fn hash(seed: u32, id: [u8; 16]) -> u32 {
        let bytes = seed.to_le_bytes().into_iter().chain(id);
        bytes.fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
    }

    #[test]
    fn the_share_kept_is_the_percentage() {
        let mut random = fastrand::Rng::with_seed(5);
        for percentage in [0.0, 0.5, 10.0, 25.0, 99.0, 100.0, 250.0] {
            let sampler = sampler(percentage, 22, false);
            let kept = (0..100_000)
                .filter(|_| sampler.sample(u128::from(random.u64(..))).is_some())
                .count();
            let expect = f64::from(percentage.min(100.0)) * 1000.0;
            assert!((kept as f64 - expect).abs() <= 500.0, "{percentage}: {kept}");
        }
    }

    #[test]
    fn a_percentage_that_is_no_double_is_told_as_the_agent_tells_it() {
        assert_eq!(sampler(100.0, 0, false).sample(1), Some(1.0));
        assert_eq!(sampler(99.9, 0, false).sample(1), Some(0.999_000_015_258_789));
    }

    #[test]
    fn only_the_full_id_looks_at_the_upper_half() {
        let (half, full) = (sampler(50.0, 7, false), sampler(50.0, 7, true));
        let upper = 0x0123_4567_89ab_cdef_u128 << 64;
        let same = |sampler: &Probabilistic| {
            (1..200_u128).all(|id| sampler.sample(id) == sampler.sample(upper | id))
        };
        assert!(same(&half) && !same(&full));
    }

    proptest! {
        #[test]
        fn the_choice_is_the_hash_rule(
            id: u128, seed: u32, percentage in 0_u32..=100, full: bool,
        ) {
            let bytes = if full {
                id.to_be_bytes()
            } else {
                let mut bytes = [0; 16];
                bytes[..8].copy_from_slice(&id.to_be_bytes()[8..]);
                bytes
            };
            // Exact in whole percents: 16384 buckets are 163.84 for each.
            let limit = percentage * 16_384 / 100;
            let kept = hash(seed, bytes) & 0x3fff < limit;
            prop_assert_eq!(sampler(percentage as f32, seed, full).sample(id).is_some(), kept);
        }
    }
}
