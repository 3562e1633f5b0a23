//! Samplers: which traces are kept, and the rates that tracers are told. Source: the agent's behaviour, observed with 7.85.2.
//!
//! A trace is asked about in this order, and the first that keeps it ends the questions:
//!
//! 1. error tracking alone (not there yet);
//! 2. rare traces (not there yet);
//! 3. the probabilistic sampler, which where it is on takes the place of all that follows (not there yet);
//! 4. a negative priority: dropped at once;
//! 5. a trace with a priority: [`Priority`]; one without: [`NoPriority`];
//! 6. what is still dropped and has an error: the errors sampler (not there yet).
//!
//! [`Priority`] keeps what the tracer chose to keep and measures the traffic of every service, to tell the tracers with every answer how
//! much to keep. [`NoPriority`] decides itself. Both count traces in [`rates`].

mod catalog;
mod no_priority;
mod priority;
mod rates;

pub use no_priority::{NoPriority, SpanText};
pub use priority::{Priority, Reply};

/// The priority of a chunk that carries none.
pub const PRIORITY_NONE: i32 = -128;

/// What the samplers look at in a chunk's root span.
#[derive(Clone, Copy, Debug)]
pub struct Root<'a> {
    /// The low 64 bits of the trace id.
    pub trace_id: u64,
    /// The span's parent: 0 for the root of a whole trace.
    pub parent_id: u64,
    /// The normalised service.
    pub service: &'a str,
    /// The env of the payload, empty for the agent's own.
    pub env: &'a str,
    /// How many traces it stands for, see [`weight`].
    pub weight: f32,
    /// The metric `_sample_rate`, as it is; 1 where there is none.
    pub sample_rate: f64,
    /// The span has a rate of the tracer's: a metric `_dd.agent_psr`, `_dd.rule_psr` or `_sampling_priority_rate_v1`.
    pub has_rate: bool,
}

/// What a sampler says of a trace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    /// Whether the trace is kept.
    pub keep: bool,
    /// The rate to write on the root as a metric: `_sampling_priority_rate_v1` ([`Priority::KEY`]) or `_dd.no_p_sr` ([`NoPriority::KEY`]).
    pub rate: Option<f64>,
}

impl Verdict {
    const DROP: Self = Self { keep: false, rate: None };
}

/// How many traces a root stands for: 1 over the product of its metrics `_sample_rate` and `_dd1.sr.rapre`, each of which counts only when
/// it is a rate, in (0, 1].
#[must_use]
pub fn weight(sample_rate: Option<f64>, pre_sampler_rate: Option<f64>) -> f32 {
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
#[must_use]
pub fn belongs_to_share(trace_id: u64, rate: f64) -> bool {
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
