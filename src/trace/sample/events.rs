//! Analytics events, the older way to keep single spans: those of an operation that the user names, or to which the tracer gave a rate, are
//! sent even where their trace is not (spec: trace-agent 4.8).

use super::belongs_to_share;
use crate::trace::sample::PRIORITY_USER_KEEP;

/// A setting: the spans of one operation of one service, and what share of them become events.
#[derive(Clone, Debug, PartialEq)]
pub struct AnalyzedSpan {
    /// The service, in any case.
    pub service: String,
    /// The operation name, in any case.
    pub operation: String,
    /// The share, from 0 to 1.
    pub rate: f64,
}

/// Chooses events.
#[derive(Debug)]
pub(super) struct Events {
    analyzed: Vec<AnalyzedSpan>,
    events_per_second_max: f64,
    /// Events, of which a ninth is forgotten each second.
    score: f64,
    /// Up to when it has fallen, in nanoseconds since 1970.
    fallen_ns: u64,
}

const SECOND_NS: u64 = 1_000_000_000;
/// What the score is divided by each second.
const FALL: f64 = 1.125;
/// The score of one event per second in the long run, seen just before the score falls.
const SCORE_OF_ONE: f64 = 9.0;
/// After so many seconds without an event nothing is left.
const SECONDS_MAX: u64 = 600;

impl Events {
    pub(super) fn new(
        analyzed: Vec<AnalyzedSpan>,
        events_per_second_max: f64,
        now_ns: u64,
    ) -> Self {
        Self { analyzed, events_per_second_max, score: 0.0, fallen_ns: now_ns }
    }

    /// Whether spans become events that have no rate themselves.
    pub(super) fn looks_at_all(&self) -> bool {
        !self.analyzed.is_empty()
    }

    /// The share of the spans like this one that become events, or nothing where none do. `own` is the span's own rate.
    pub(super) fn rate(
        &self,
        own: Option<f64>,
        service: &str,
        operation: &str,
        priority: i8,
    ) -> Option<f64> {
        let named = |analyzed: &&AnalyzedSpan| {
            is_same(&analyzed.service, service) && is_same(&analyzed.operation, operation)
        };
        // Of two settings for one operation the later counts.
        let rate = own.or_else(|| Some(self.analyzed.iter().rfind(named)?.rate))?;
        Some(if rate > 0.0 && priority >= PRIORITY_USER_KEEP { 1.0 } else { rate })
    }

    /// The rate by which an event is kept so that there are not too many, or nothing where it is not. All events of a trace are kept or none.
    pub(super) fn admit(&mut self, now_ns: u64, trace_id: u64, priority: i8) -> Option<f64> {
        if priority == PRIORITY_USER_KEEP {
            return Some(1.0);
        }
        self.fall(now_ns);
        self.score += 1.0;
        // On the high side, as in the agent: the score may be about to fall.
        let per_second = self.score / SCORE_OF_ONE * FALL;
        let max = self.events_per_second_max;
        let rate = if per_second > max { max / per_second } else { 1.0 };
        belongs_to_share(trace_id, rate).then_some(rate)
    }

    /// Second by second, so that the rates are the agent's to the last bit.
    fn fall(&mut self, now_ns: u64) {
        let seconds = now_ns.saturating_sub(self.fallen_ns) / SECOND_NS;
        self.fallen_ns += seconds * SECOND_NS;
        for _ in 0..seconds.min(SECONDS_MAX) {
            self.score /= FALL;
        }
    }
}

fn is_same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other) || lower(one).eq(lower(other))
}

fn lower(text: &str) -> impl Iterator<Item = char> + '_ {
    text.chars().flat_map(char::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(rate: f64, events_per_second_max: f64) -> Events {
        let analyzed =
            AnalyzedSpan { service: "Web-Störe".into(), operation: "web.Request".into(), rate };
        Events::new(vec![analyzed], events_per_second_max, 0)
    }

    #[test]
    fn the_spans_own_rate_counts_before_the_setting() {
        let events = events(0.5, 200.0);
        assert_eq!(events.rate(Some(0.25), "web-störe", "web.request", 0), Some(0.25));
        assert_eq!(events.rate(None, "web-störe", "web.request", 0), Some(0.5));
        assert_eq!(events.rate(None, "WEB-STÖRE", "WEB.REQUEST", -128), Some(0.5));
        assert_eq!(events.rate(None, "web-störe", "other", 0), None);
        assert_eq!(events.rate(None, "other", "web.request", 0), None);
    }

    #[test]
    fn what_the_user_keeps_becomes_an_event_unless_its_rate_is_none() {
        let mut some = events(0.5, 0.0);
        assert_eq!(some.rate(None, "web-störe", "web.request", 2), Some(1.0));
        assert_eq!(some.rate(Some(1e-6), "other", "other", 3), Some(1.0));
        assert_eq!(some.rate(Some(0.0), "other", "other", 2), Some(0.0));
        assert_eq!(events(0.0, 0.0).rate(None, "web-störe", "web.request", 2), Some(0.0));
        assert_eq!((some.admit(0, 1, 2), some.score), (Some(1.0), 0.0));
    }

    #[test]
    fn events_are_kept_at_their_limit_in_the_long_run() {
        let mut events = events(1.0, 200.0);
        let mut random = fastrand::Rng::with_seed(11);
        let (mut kept, mut rate) = (0, 1.0);
        for tick in 0..120_000 {
            let now_ns = tick * 1_000_000;
            if let Some(new) = events.admit(now_ns, random.u64(..), 1) {
                kept += u32::from(now_ns > 60 * SECOND_NS);
                rate = new;
            }
        }
        // The score is an overestimate by up to an eighth.
        assert!((170 * 60..=205 * 60).contains(&kept), "{kept}");
        assert!((0.17..=0.21).contains(&rate), "{rate}");
    }

    #[test]
    fn few_events_are_all_kept_and_a_rush_is_forgotten() {
        let mut events = events(1.0, 200.0);
        assert!((0..1600).all(|id| events.admit(0, id, 1) == Some(1.0)), "8 seconds of 200");
        assert!(events.admit(0, 0, 1).is_some_and(|rate| rate < 1.0));
        assert_eq!(events.admit(SECOND_NS, 0, 1), Some(1.0));
    }
}
