//! Samplers: which traces are kept, and the rates that tracers are told. Source: the agent's behaviour, observed with 7.85.2.
//!
//! [`Samplers`] asks about a trace in this order (spec: trace-agent 4.7):
//!
//! 1. where only errors are tracked: the errors sampler, and nobody else;
//! 2. rare traces ([`rare`]), which counts every trace but decides later;
//! 3. where it is on, the probabilistic sampler ([`probabilistic`]), which takes the place of 4 and 5; of a trace with an error the errors
//!    sampler has the last word then;
//! 4. a negative priority: dropped at once (with `error_rare_sample_tracer_drop` only if the user chose it);
//! 5. a trace with a priority: [`priority`]; one without: [`score`];
//! 6. what is still dropped and has an error: the errors sampler ([`score`] again).
//!
//! Of a trace that is dropped some spans may be sent all the same: those that the tracer sampled one by one, else analytics events
//! ([`events`]).
//!
//! The priority sampler keeps what the tracer chose to keep and measures the traffic of every service, to tell the tracers with every answer
//! how much to keep. The score samplers decide themselves. All of these count traces in [`rates`].

mod catalog;
mod decision;
mod events;
mod order;
mod priority;
mod probabilistic;
mod rare;
mod rates;
mod score;

pub use decision::{Decision, Key, Share, Write};
pub use events::AnalyzedSpan;
pub use order::{Samplers, Seen};
pub use priority::Reply;
pub use probabilistic::Settings as ProbabilisticSettings;
pub use rare::Settings as RareSettings;

use crate::trace::fnv::Fnv32;

/// The priority of a trace that the user wants to have dropped.
const PRIORITY_USER_DROP: i8 = -1;
/// The priority of a trace that the tracer does not choose.
const PRIORITY_AUTO_DROP: i8 = 0;
/// The priority of a trace that the tracer chooses.
const PRIORITY_AUTO_KEEP: i8 = 1;
/// The priority of a trace that the user wants to have kept.
const PRIORITY_USER_KEEP: i8 = 2;

/// How traces are sampled.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `DD_APM_TARGET_TPS`: traces per second that the priority sampler and the one of traces without a priority aim at.
    pub target_tps: f64,
    /// `DD_APM_ERROR_TPS`: traces with an error per second that are kept beside those; 0 for none.
    pub errors_tps: f64,
    /// `DD_APM_ENABLE_RARE_SAMPLER` and its settings, where it is on.
    pub rare: Option<RareSettings>,
    /// `DD_APM_PROBABILISTIC_SAMPLER_ENABLED` and its settings, where it is on.
    pub probabilistic: Option<ProbabilisticSettings>,
    /// `DD_APM_ERROR_TRACKING_STANDALONE_ENABLED`: traces with an error are all that is of use to the user.
    pub errors_alone: bool,
    /// `DD_APM_MAX_EPS`: analytics events per second.
    pub events_per_second_max: f64,
    /// `DD_APM_ANALYZED_SPANS`.
    pub analyzed_spans: Vec<AnalyzedSpan>,
    /// `DD_APM_MAX_CATALOG_SERVICES`: pairs of service and env that rates are told of, at least 1.
    pub services_max: u32,
    /// `DD_APM_FEATURES` has `error_rare_sample_tracer_drop`: of traces with a negative priority only those are dropped at once that the
    /// user chose to drop.
    pub asks_about_tracer_drops: bool,
}

impl Default for Settings {
    /// The agent's.
    fn default() -> Self {
        Self {
            target_tps: 10.0,
            errors_tps: 10.0,
            rare: None,
            probabilistic: None,
            errors_alone: false,
            events_per_second_max: 200.0,
            analyzed_spans: Vec::new(),
            services_max: catalog::SERVICES_MAX,
            asks_about_tracer_drops: false,
        }
    }
}

/// What the samplers look at in a chunk's root span.
#[derive(Clone, Copy, Debug)]
struct Root<'a> {
    /// The low 64 bits of the trace id.
    trace_id: u64,
    /// The span's parent: 0 for the root of a whole trace.
    parent_id: u64,
    /// The normalised service.
    service: &'a str,
    /// The env of the payload, empty for the agent's own.
    env: &'a str,
    /// How many traces it stands for, see [`weight`].
    weight: f32,
    /// The metric `_sample_rate`, as it is; 1 where there is none.
    sample_rate: f64,
    /// The span has a rate of the tracer's: a metric `_dd.agent_psr`, `_dd.rule_psr` or `_sampling_priority_rate_v1`.
    has_rate: bool,
}

/// What of a span tells traces apart.
#[derive(Clone, Copy, Debug)]
struct SpanText<'a> {
    /// The normalised service.
    service: &'a str,
    /// The normalised operation name.
    name: &'a str,
    /// The resource.
    resource: &'a str,
    /// Whether the span has an error; in the older form the lowest bits of the error.
    error: u8,
    /// `http.status_code` and `error.type`, one after the other. Only the older form looks at them.
    tags: [&'a str; 2],
}

/// The hash of a kind of span. `env` is the hash of the env, or of nothing.
fn span_hash(env: Fnv32, span: &SpanText<'_>, with_resource: bool) -> u32 {
    let hash = env.then(span.service.as_bytes()).then(span.name.as_bytes()).then(&[span.error]);
    let hash = if with_resource { hash.then(span.resource.as_bytes()) } else { hash };
    let [status, kind] = span.tags;
    hash.then(status.as_bytes()).then(kind.as_bytes()).value()
}

/// How many traces a root stands for: 1 over the product of its metrics `_sample_rate` and `_dd1.sr.rapre`, each of which counts only when
/// it is a rate, in (0, 1].
fn weight(sample_rate: Option<f64>, pre_sampler_rate: Option<f64>) -> f32 {
    let rate =
        |metric: Option<f64>| metric.filter(|&rate| rate > 0.0 && rate <= 1.0).unwrap_or(1.0);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "weights are counted in 32 bits, as the agent does"
    )]
    let weight = (1.0 / (rate(sample_rate) * rate(pre_sampler_rate))) as f32;
    weight
}

/// Whether a trace belongs to the share `rate` of all traces. All tracers and agents agree on it: it depends on the trace id alone.
fn belongs_to_share(trace_id: u64, rate: f64) -> bool {
    const FACTOR: u64 = 1_111_111_111_111_111_111;
    const WHOLE: f64 = 18_446_744_073_709_551_616.0;
    if rate < 1.0 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the cast saturates: a rate below 0 is none"
        )]
        let limit = (rate * WHOLE) as u64;
        trace_id.wrapping_mul(FACTOR) < limit
    } else {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_counts_only_rates() {
        assert_eq!(weight(None, None), 1.0);
        assert_eq!(weight(Some(0.5), Some(0.5)), 4.0);
        for not_a_rate in [0.0, -0.5, 1.5, f64::NAN, f64::INFINITY] {
            assert_eq!(weight(Some(not_a_rate), Some(0.25)), 4.0, "{not_a_rate}");
        }
    }

    #[test]
    fn the_share_of_traces_is_the_rate() {
        let kept = (0..100_000u64)
            .filter(|&id| belongs_to_share(id.wrapping_mul(0x9e37_79b9_7f4a_7c15), 0.1))
            .count();
        assert!((9_700..10_300).contains(&kept), "{kept}");
        assert!(belongs_to_share(u64::MAX, 1.0));
        assert!(!belongs_to_share(0, 0.0));
        assert!(!belongs_to_share(1, -1.0));
        assert!(belongs_to_share(1, f64::NAN));
        // 1 × 1111111111111111111 is 6.02 % of 2^64.
        assert!(belongs_to_share(1, 0.0603) && !belongs_to_share(1, 0.0602));
    }
}
