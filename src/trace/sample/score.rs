//! The samplers that decide themselves: of traces without a priority, and of traces with an error that nobody else keeps. Each aims at a
//! number of traces per second, shared by the kinds of traces there are.

use std::collections::HashSet;

use foldhash::fast::RandomState;

use super::rates::Rates;
use super::{Root, SpanText, belongs_to_share, span_hash};
use crate::trace::fnv::Fnv32;

/// Signatures that are told apart. Once there are this many, those that have a rate keep it and all others share as many more: with those of
/// a turn of the ring that is the bound of the table.
const SIGNATURES_MAX: u32 = 100;

/// Keeps a share of each kind of traces.
#[derive(Debug)]
pub(super) struct Score {
    target_tps: f64,
    rates: Rates,
    told_apart: Option<HashSet<u32, RandomState>>,
    /// Reused for the span hashes of one trace.
    hashes: HashSet<u32, RandomState>,
}

impl Score {
    /// `target_tps`: traces per second to keep; none are kept at 0, and none are counted.
    pub(super) fn new(target_tps: f64) -> Self {
        Self {
            target_tps,
            rates: Rates::new(target_tps),
            told_apart: None,
            hashes: HashSet::default(),
        }
    }

    /// The rate at which a chunk is kept, or nothing where it is not. `spans` are all spans of the chunk, the root among them.
    pub(super) fn sample<'a>(
        &mut self,
        now_s: u64,
        root: &Root<'_>,
        root_text: &SpanText<'_>,
        spans: impl Iterator<Item = SpanText<'a>>,
    ) -> Option<f64> {
        if self.target_tps == 0.0 {
            return None;
        }
        let signature = self.signature(root.env, root_text, spans);
        let signature = self.shrink(signature);
        self.rates.count(now_s, signature, root.weight);
        let rate = self.rates.rate(signature);
        belongs_to_share(root.trace_id, root.sample_rate * rate).then_some(rate)
    }

    /// The hash of a trace: of its root with the resource, and of each kind of span in it once, in whatever order and number they come.
    fn signature<'a>(
        &mut self,
        env: &str,
        root: &SpanText<'_>,
        spans: impl Iterator<Item = SpanText<'a>>,
    ) -> u32 {
        let env = Fnv32::EMPTY.then(env.as_bytes());
        self.hashes.clear();
        let mut all = span_hash(env, root, true);
        for span in spans {
            let hash = span_hash(env, &span, false);
            if self.hashes.insert(hash) {
                all ^= hash;
            }
        }
        all
    }

    fn shrink(&mut self, signature: u32) -> u32 {
        if self.rates.len() < SIGNATURES_MAX as usize {
            self.told_apart = None;
            return signature;
        }
        let rates = &self.rates;
        let told_apart = self.told_apart.get_or_insert_with(|| rates.with_rates().collect());
        if told_apart.contains(&signature) { signature } else { signature % SIGNATURES_MAX }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn span<'a>(name: &'a str, resource: &'a str) -> SpanText<'a> {
        SpanText { service: "web-store", name, resource, error: 0, tags: [""; 2] }
    }

    fn root(trace_id: u64) -> Root<'static> {
        Root {
            trace_id,
            parent_id: 0,
            service: "web-store",
            env: "none",
            weight: 1.0,
            sample_rate: 1.0,
            has_rate: false,
        }
    }

    #[test]
    fn the_first_trace_is_kept_at_rate_one() {
        let mut sampler = Score::new(10.0);
        let text = span("web.request", "GET /cart");
        assert_eq!(sampler.sample(1000, &root(4671), &text, [text].into_iter()), Some(1.0));
        assert_eq!(Score::new(0.0).sample(1000, &root(4671), &text, [text].into_iter()), None);
    }

    #[test]
    fn traces_of_one_kind_have_one_signature_however_many_spans_they_have() {
        let mut sampler = Score::new(10.0);
        let (request, query) = (span("web.request", "GET /cart"), span("db.query", "SELECT 1"));
        let once = sampler.signature("none", &request, [request, query].into_iter());
        let often = sampler.signature(
            "none",
            &request,
            [query, request, query, span("db.query", "SELECT 2")].into_iter(),
        );
        assert_eq!(once, often);
        assert_ne!(
            once,
            sampler.signature("none", &span("web.request", "GET /"), [request, query].into_iter())
        );
        assert_ne!(once, sampler.signature("prod", &request, [request, query].into_iter()));
        let failed = SpanText { error: 1, ..query };
        assert_ne!(once, sampler.signature("none", &request, [request, failed].into_iter()));
    }

    #[test]
    fn a_busy_kind_is_kept_near_the_target_and_a_quiet_one_whole() {
        let mut sampler = Score::new(10.0);
        let (busy, quiet) = (span("web.request", "GET /busy"), span("web.request", "GET /quiet"));
        let mut random = fastrand::Rng::with_seed(3);
        let (mut kept, mut kept_quiet) = (0, 0);
        for tick in 0..60_000u64 {
            let now_s = 1000 + tick / 1000;
            kept += u64::from(
                sampler.sample(now_s, &root(random.u64(..)), &busy, [busy].into_iter()).is_some()
                    && now_s >= 1005,
            );
            if tick % 1000 == 0 {
                kept_quiet += u64::from(
                    sampler
                        .sample(now_s, &root(random.u64(..)), &quiet, [quiet].into_iter())
                        .is_some(),
                );
            }
        }
        assert!((400..650).contains(&kept), "9 a second for 55 seconds: {kept}");
        assert!(kept_quiet >= 54, "{kept_quiet}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn kinds_that_come_at_random_share_the_target(
            seed: u64, target in 5..50_u64, loads in prop::collection::vec(1..300_u64, 1..6),
        ) {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut sampler = Score::new(target as f64);
            let resources: Vec<String> = (0..loads.len()).map(|kind| kind.to_string()).collect();
            let mut kept = 0;
            for second in 0..60 {
                for (load, resource) in loads.iter().zip(&resources) {
                    for _ in 0..(0..load * 2).filter(|_| random.bool()).count() {
                        let text = span("web.request", resource);
                        let spans = [text].into_iter();
                        let rate = sampler.sample(1000 + second, &root(random.u64(..)), &text, spans);
                        kept += u64::from(rate.is_some() && second >= 30);
                    }
                }
            }
            // By the busiest of six buckets the rates are on the low side.
            let expect = (target.min(loads.iter().sum()) * 30) as f64;
            prop_assert!((expect * 0.6..expect * 1.15 + 40.0).contains(&(kept as f64)), "{} of {}", kept, expect);
        }
    }

    #[test]
    fn the_rate_of_the_tracer_counts_too() {
        let mut sampler = Score::new(10.0);
        let text = span("web.request", "GET /cart");
        let rare = Root { sample_rate: 1e-9, ..root(1) };
        assert_eq!(sampler.sample(1000, &rare, &text, [text].into_iter()), None);
    }

    #[test]
    fn the_kinds_told_apart_are_bounded() {
        let mut sampler = Score::new(10.0);
        for kind in 0..10_000 {
            let resource = kind.to_string();
            let text = span("web.request", &resource);
            sampler.sample(1000 + kind / 100, &root(kind), &text, [text].into_iter());
        }
        assert!(sampler.rates.len() <= 200 + 1, "{}", sampler.rates.len());
    }
}
