//! The rare sampler: keeps a trace of each kind of span that has not been seen for some minutes, whatever others decide.

use std::time::Duration;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::{SpanText, span_hash};
use crate::trace::fnv::Fnv32;

/// Kinds of spans that are remembered at once, of all services together: about 4 MB. Beyond that no further kind is rare until others
/// have not been seen for long enough. (The agent's own bound is per service, and it never forgets a service.)
const KINDS_MAX: usize = 1 << 16;

/// Traces that may be kept at once when none was kept for a while.
const BURST: f64 = 50.0;

/// A kind's time is put off only when that gains this much, so that a busy kind costs a look and no more.
const RENEWAL_NS: u64 = 60_000_000_000;

/// What counts as rare, and how much of it is kept (spec: trace-agent 4.5).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Traces per second that are kept at the most, beside a burst of 50.
    pub tps: f64,
    /// A kind of span that was not seen for so long is rare again.
    pub cooldown: Duration,
    /// Kinds of spans that are told apart in each service. Once there are more, they share this many.
    pub cardinality: u32,
}

impl Default for Settings {
    /// The agent's.
    fn default() -> Self {
        Self { tps: 5.0, cooldown: Duration::from_secs(300), cardinality: 200 }
    }
}

/// Remembers which kinds of spans were seen.
#[derive(Debug)]
pub(super) struct Rare {
    cooldown_ns: u64,
    cardinality: u32,
    tokens: Tokens,
    /// Until when a kind (the signature of its service, its own) is not rare, in nanoseconds since 1970.
    seen: HashMap<(u32, u32), u64, RandomState>,
    services: HashMap<u32, Service, RandomState>,
    /// When kinds whose time is over are looked for again, should there be too many.
    next_sweep_ns: u64,
}

/// What is known of a service in an env.
#[derive(Debug, Default)]
struct Service {
    kinds: u32,
    /// Its kinds share [`Settings::cardinality`] signatures.
    shrunk: bool,
}

impl Rare {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            cooldown_ns: u64::try_from(settings.cooldown.as_nanos()).unwrap_or(u64::MAX),
            cardinality: settings.cardinality.max(1),
            tokens: Tokens { per_second: settings.tps, left: BURST, at_ns: 0 },
            seen: HashMap::default(),
            services: HashMap::default(),
            next_sweep_ns: 0,
        }
    }

    /// Decides about a chunk: the index of the first span that makes it rare, if there is one and a token for it. `spans` are those that
    /// stats are made of, each with its index. Afterwards none of them is rare.
    pub(super) fn sample<'a>(
        &mut self,
        now_ns: u64,
        env: &str,
        spans: impl Iterator<Item = (usize, SpanText<'a>)> + Clone,
    ) -> Option<usize> {
        let rare = spans.clone().find(|(_, span)| {
            let kind = self.kind(env, span);
            self.is_rare(now_ns, kind) && self.tokens.take(now_ns)
        })?;
        let until_ns = now_ns.saturating_add(self.cooldown_ns);
        for (_, span) in std::iter::once(rare).chain(spans) {
            let kind = self.kind(env, &span);
            self.put_off(now_ns, kind, until_ns);
        }
        Some(rare.0)
    }

    /// The signatures of a span's service and of the span in it.
    fn kind(&self, env: &str, span: &SpanText<'_>) -> (u32, u32) {
        // The agent has the two the other way round here.
        let service =
            Fnv32::EMPTY.then(env.as_bytes()).then(b",").then(span.service.as_bytes()).value();
        let hash = span_hash(Fnv32::EMPTY, span, true);
        let shrunk = self.services.get(&service).is_some_and(|service| service.shrunk);
        (service, if shrunk { hash % self.cardinality } else { hash })
    }

    fn is_rare(&mut self, now_ns: u64, kind: (u32, u32)) -> bool {
        match self.seen.get(&kind) {
            Some(&until_ns) => now_ns > until_ns,
            None => self.has_room(now_ns),
        }
    }

    fn put_off(&mut self, now_ns: u64, kind: (u32, u32), until_ns: u64) {
        if let Some(own) = self.seen.get_mut(&kind) {
            if until_ns.saturating_sub(*own) >= RENEWAL_NS {
                *own = until_ns;
            }
        } else if self.has_room(now_ns) {
            self.seen.insert(kind, until_ns);
            let service = self.services.entry(kind.0).or_default();
            service.kinds += 1;
            if service.kinds > self.cardinality {
                self.shrink(kind.0);
            }
        }
    }

    /// From now on the service's kinds share signatures. It happens once for each service.
    #[cold]
    fn shrink(&mut self, service: u32) {
        let old: Vec<_> = self.seen.extract_if(|kind, _| kind.0 == service).collect();
        for ((_, hash), until_ns) in old {
            let shared = self.seen.entry((service, hash % self.cardinality)).or_default();
            *shared = until_ns.max(*shared);
        }
        let kinds = self.seen.keys().filter(|kind| kind.0 == service).count();
        let kinds = u32::try_from(kinds).unwrap_or(u32::MAX);
        self.services.insert(service, Service { kinds, shrunk: true });
    }

    fn has_room(&mut self, now_ns: u64) -> bool {
        if self.seen.len() >= KINDS_MAX && now_ns >= self.next_sweep_ns {
            self.sweep(now_ns);
        }
        self.seen.len() < KINDS_MAX
    }

    /// Forgets what has become rare again anyway.
    #[cold]
    fn sweep(&mut self, now_ns: u64) {
        self.next_sweep_ns = now_ns.saturating_add(RENEWAL_NS);
        self.seen.retain(|_, until_ns| now_ns <= *until_ns);
        self.services.values_mut().for_each(|service| service.kinds = 0);
        for (service, _) in self.seen.keys() {
            if let Some(service) = self.services.get_mut(service) {
                service.kinds += 1;
            }
        }
        self.services.retain(|_, service| service.kinds > 0);
    }
}

/// A bucket of tokens that fills up over time.
#[derive(Debug)]
struct Tokens {
    per_second: f64,
    left: f64,
    at_ns: u64,
}

impl Tokens {
    #[expect(clippy::cast_precision_loss, reason = "a time between two traces")]
    fn take(&mut self, now_ns: u64) -> bool {
        let passed_s = now_ns.saturating_sub(self.at_ns) as f64 / 1e9;
        let left = (self.left + passed_s * self.per_second).min(BURST) - 1.0;
        let is_granted = left >= 0.0;
        if is_granted {
            (self.left, self.at_ns) = (left, self.at_ns.max(now_ns));
        }
        is_granted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_NS: u64 = 60_000_000_000;
    const START_NS: u64 = 1_750_000_000_000_000_000;

    fn span<'a>(service: &'a str, resource: &'a str) -> SpanText<'a> {
        SpanText { service, name: "web.request", resource, error: 0, tags: [""; 2] }
    }

    fn rare(cardinality: u32) -> Rare {
        Rare::new(Settings { cardinality, ..Settings::default() })
    }

    /// Whether a trace of one span is kept.
    fn keeps(rare: &mut Rare, now_ns: u64, service: &str, resource: &str) -> bool {
        rare.sample(now_ns, "prod", [(0, span(service, resource))].into_iter()).is_some()
    }

    #[test]
    fn a_kind_is_rare_once_in_five_minutes() {
        let mut rare = rare(200);
        assert!(keeps(&mut rare, START_NS, "a", "r"));
        assert!(!keeps(&mut rare, START_NS, "a", "r"));
        assert!(keeps(&mut rare, START_NS, "a", "other"));
        assert!(keeps(&mut rare, START_NS, "b", "r"));
        assert!(!keeps(&mut rare, START_NS + 5 * MINUTE_NS, "a", "r"));
        assert!(keeps(&mut rare, START_NS + 5 * MINUTE_NS + 1, "a", "r"));
        assert!(!keeps(&mut rare, START_NS + 6 * MINUTE_NS, "a", "r"));
    }

    #[test]
    fn what_a_rare_trace_shows_is_not_rare_any_more() {
        let mut rare = rare(200);
        let spans = [(3, span("a", "1")), (5, span("a", "2")), (9, span("b", "3"))];
        assert_eq!(rare.sample(START_NS, "prod", spans.into_iter()), Some(3));
        assert_eq!(rare.sample(START_NS, "prod", spans.into_iter()), None);
        assert!(!keeps(&mut rare, START_NS, "b", "3"));
        // Seen with something rare beside it, a kind stays known for longer, but only if that is a minute or more.
        let with_new = [(0, span("a", "1")), (1, span("a", "new"))];
        assert_eq!(rare.sample(START_NS + 4 * MINUTE_NS, "prod", with_new.into_iter()), Some(1));
        assert!(!keeps(&mut rare, START_NS + 5 * MINUTE_NS + 1, "a", "1"));
        assert!(keeps(&mut rare, START_NS + 5 * MINUTE_NS + 1, "a", "2"));
        let too_soon = [(0, span("a", "1")), (1, span("a", "newer"))];
        let now_ns = START_NS + 5 * MINUTE_NS - 1;
        assert_eq!(rare.sample(now_ns, "prod", too_soon.into_iter()), Some(1));
        assert!(keeps(&mut rare, START_NS + 9 * MINUTE_NS + 1, "a", "1"));
    }

    #[test]
    fn an_env_has_its_own_kinds() {
        let mut rare = rare(200);
        let one = [(0, span("a", "r"))];
        assert_eq!(rare.sample(START_NS, "prod", one.into_iter()), Some(0));
        assert_eq!(rare.sample(START_NS, "test", one.into_iter()), Some(0));
        assert_eq!(rare.sample(START_NS, "test", one.into_iter()), None);
    }

    #[test]
    fn fifty_are_kept_at_once_and_then_five_a_second() {
        let mut rare = rare(10_000);
        let mut number = 0;
        let mut kept_of = |tries: usize, now_ns| {
            (0..tries)
                .filter(|_| {
                    number += 1;
                    keeps(&mut rare, now_ns, "a", &number.to_string())
                })
                .count()
        };
        assert_eq!(kept_of(500, START_NS), 50);
        assert_eq!(kept_of(500, START_NS + 1_000_000_000), 5);
        assert_eq!(
            kept_of(500, START_NS + 500_000_000),
            0,
            "time that goes backwards gives nothing"
        );
        assert_eq!(kept_of(500, START_NS + 3_100_000_000), 10);
        assert_eq!(kept_of(500, START_NS + 10 * MINUTE_NS), 50);
    }

    #[test]
    fn more_kinds_than_the_cardinality_share_as_many_places() {
        let mut rare = rare(20);
        let mut now_ns = START_NS;
        for number in 0..5000 {
            now_ns += 200_000_000;
            keeps(&mut rare, now_ns, "a", &number.to_string());
            assert!(rare.seen.len() <= 20);
        }
        // 5 a second could have been kept; all places are known for five minutes at a time.
        let kept = (0..1500).filter(|number| {
            keeps(&mut rare, now_ns + number * 200_000_000, "a", &format!("next {number}"))
        });
        assert!((1..=40).contains(&kept.count()));
        assert!(keeps(&mut rare, now_ns, "b", "r"), "another service has places of its own");
    }

    #[test]
    fn the_memory_is_bounded_whatever_comes() {
        let mut rare = Rare::new(Settings { tps: 1e12, ..Settings::default() });
        let mut now_ns = START_NS;
        for number in 0..KINDS_MAX + 1000 {
            now_ns += 1000;
            let is_kept = keeps(&mut rare, now_ns, &format!("service {number}"), "r");
            assert_eq!(is_kept, number < KINDS_MAX, "{number}");
        }
        assert_eq!((rare.seen.len(), rare.services.len()), (KINDS_MAX, KINDS_MAX));
        assert!(keeps(&mut rare, now_ns + 5 * MINUTE_NS, "one more", "r"));
        assert!(rare.seen.len() < 1100 && rare.services.len() == rare.seen.len());
    }
}
