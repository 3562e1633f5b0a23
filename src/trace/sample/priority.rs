//! The sampler of traces whose tracer has decided: it follows the decision, and tells the tracers the rates to decide by.

use std::collections::BTreeMap;
use std::io::Write as _;

use super::catalog::{Catalog, SERVICES_MAX};
use super::rates::Rates;
use super::{PRIORITY_AUTO_DROP, PRIORITY_AUTO_KEEP, PRIORITY_USER_KEEP, Root};

/// The rates that tracers are told with the answer to a traces body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Changes whenever the rates do: unix seconds and a counter, in hexadecimal. Empty before the first rates.
    pub version: String,
    /// JSON, ending with a newline: `{"rate_by_service":{"service:web,env:prod":0.5,"service:,env:":1}}`.
    pub body: Vec<u8>,
}

/// What the sampler says of a trace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Verdict {
    /// Whether the trace is kept.
    pub(super) keep: bool,
    /// The rate to write on the root.
    pub(super) rate: Option<f64>,
}

/// Keeps what the tracer chose to keep, and computes a rate for every service.
#[derive(Debug)]
pub(super) struct Priority {
    agent_env: String,
    fixed_rate_one: bool,
    rates: Rates,
    catalog: Catalog,
    told: BTreeMap<String, f64>,
    versions: u64,
    reply: Reply,
}

impl Priority {
    /// `target_tps`: how many traces per second of all services together the rates aim at. `fixed_rate_one`: nothing is counted and every
    /// rate is 1, because nothing is sent and everything is looked at.
    pub(super) fn new(target_tps: f64, agent_env: &str, fixed_rate_one: bool) -> Self {
        let reply = Reply { version: String::new(), body: b"{\"rate_by_service\":{}}\n".to_vec() };
        let mut made = Self {
            agent_env: agent_env.to_owned(),
            fixed_rate_one,
            rates: Rates::new(target_tps),
            catalog: Catalog::new(SERVICES_MAX),
            told: BTreeMap::new(),
            versions: 0,
            reply,
        };
        if fixed_rate_one {
            made.tell(0, BTreeMap::from([(key("", ""), 1.0)]));
        }
        made
    }

    /// The same with rates for at most this many pairs of service and env.
    pub(super) fn telling(self, services_max: u32) -> Self {
        Self { catalog: Catalog::new(services_max), ..self }
    }

    /// Decides about a chunk with a priority. Kept are 1 (the tracer's own decision) and 2 (the user's); nothing else is.
    ///
    /// Only decisions of the tracer's own, 0 and 1, are counted, as only those follow the rates. `dropped_p0_weight` is how many traces the
    /// tracer has dropped itself for each chunk of this body.
    pub(super) fn sample(
        &mut self,
        now_s: u64,
        root: &Root<'_>,
        priority: i8,
        dropped_p0_weight: f32,
    ) -> Verdict {
        let keep = priority == PRIORITY_AUTO_KEEP || priority == PRIORITY_USER_KEEP;
        if priority != PRIORITY_AUTO_DROP && priority != PRIORITY_AUTO_KEEP {
            return Verdict { keep, rate: None };
        }
        let mut rate = 1.0;
        if !self.fixed_rate_one {
            let env = if root.env.is_empty() { &self.agent_env } else { root.env };
            let signature = self.catalog.signature(root.service, env);
            if self.rates.count(now_s, signature, root.weight + dropped_p0_weight) {
                self.update(now_s);
            }
            rate = self.rates.rate(signature);
        }
        let written = keep && root.parent_id == 0 && !root.has_rate;
        Verdict { keep, rate: written.then_some(rate) }
    }

    /// The rates as they are now.
    pub(super) fn reply(&self) -> &Reply {
        &self.reply
    }

    /// Tells the rates of all known services. Those without a rate, so also those that came up only now, are not told yet.
    fn update(&mut self, now_s: u64) {
        let mut told = BTreeMap::new();
        let (rates, agent_env) = (&self.rates, &*self.agent_env);
        self.catalog.retain(|entry| {
            let Some(rate) = rates.known_rate(entry.signature) else { return false };
            told.insert(key(&entry.service, &entry.env), rate);
            if *entry.env == *agent_env {
                told.insert(key(&entry.service, ""), rate);
            }
            true
        });
        told.insert(key("", ""), rates.default_rate());
        for rate in told.values_mut() {
            *rate = rate.clamp(0.0, 1.0);
        }
        if told != self.told {
            self.tell(now_s, told);
        }
    }

    fn tell(&mut self, now_s: u64, told: BTreeMap<String, f64>) {
        self.told = told;
        self.versions += 1;
        self.reply =
            Reply { version: format!("{now_s:x}-{:x}", self.versions), body: body(&self.told) };
    }
}

fn key(service: &str, env: &str) -> String {
    format!("service:{service},env:{env}")
}

fn body(told: &BTreeMap<String, f64>) -> Vec<u8> {
    let mut body = b"{\"rate_by_service\":{".to_vec();
    for (at, (key, rate)) in told.iter().enumerate() {
        if at > 0 {
            body.push(b',');
        }
        // Writing into a Vec can't fail; a number as `Display` writes it (1, 0.25) is JSON.
        _ = serde_json::to_writer(&mut body, key);
        _ = write!(body, ":{rate}");
    }
    body.extend_from_slice(b"}}\n");
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root<'a>(service: &'a str, env: &'a str) -> Root<'a> {
        Root {
            trace_id: 1,
            parent_id: 0,
            service,
            env,
            weight: 1.0,
            sample_rate: 1.0,
            has_rate: false,
        }
    }

    fn told(sampler: &mut Priority) -> String {
        String::from_utf8(sampler.reply().body.clone()).unwrap()
    }

    #[test]
    fn only_priorities_one_and_two_are_kept() {
        let mut sampler = Priority::new(10.0, "none", false);
        for (priority, keep, rate) in [
            (-128, false, None),
            (-2, false, None),
            (-1, false, None),
            (0, false, None),
            (1, true, Some(1.0)),
            (2, true, None),
            (3, false, None),
        ] {
            assert_eq!(
                sampler.sample(1000, &root("web-store", ""), priority, 0.0),
                Verdict { keep, rate },
                "{priority}"
            );
        }
    }

    #[test]
    fn a_rate_is_written_on_whole_traces_that_have_none() {
        let mut sampler = Priority::new(10.0, "none", false);
        let has_rate = Root { has_rate: true, ..root("a", "") };
        assert_eq!(sampler.sample(1000, &has_rate, 1, 0.0), Verdict { keep: true, rate: None });
        let inner = Root { parent_id: 5, ..root("a", "") };
        assert_eq!(sampler.sample(1000, &inner, 1, 0.0), Verdict { keep: true, rate: None });
        let mut nothing = Priority::new(0.0, "none", false);
        assert_eq!(
            nothing.sample(1000, &root("a", ""), 1, 0.0),
            Verdict { keep: true, rate: Some(0.0) }
        );
    }

    #[test]
    fn rates_are_told_as_the_agent_tells_them() {
        let mut sampler = Priority::new(10.0, "none", false);
        assert_eq!(told(&mut sampler), "{\"rate_by_service\":{}}\n");
        assert_eq!(sampler.reply().version, "");
        sampler.sample(1000, &root("a", "prod"), 1, 0.0);
        sampler.sample(1000, &root("b", "prod"), 0, 0.0);
        sampler.sample(1000, &root("a", "none"), 1, 0.0);
        assert_eq!(told(&mut sampler), "{\"rate_by_service\":{\"service:,env:\":1}}\n");
        let first = sampler.reply().version.clone();
        assert_eq!(first, "3e8-1");
        sampler.sample(1001, &root("web-store", ""), 1, 0.0);
        assert_eq!(sampler.reply().version, first);
        sampler.sample(1005, &root("a", ""), 1, 0.0);
        assert_eq!(
            told(&mut sampler),
            "{\"rate_by_service\":{\"service:,env:\":1,\"service:a,env:\":1,\"service:a,env:none\":1,\"service:b,env:prod\":1,\
             \"service:web-store,env:\":1,\"service:web-store,env:none\":1}}\n",
            "the very first service was forgotten when its bucket began, as it had no rate then"
        );
        assert_ne!(sampler.reply().version, first);
        let second = sampler.reply().version.clone();
        sampler.sample(1010, &root("a", ""), 1, 0.0);
        assert_eq!(sampler.reply().version, second, "same rates, same version");
    }

    #[test]
    fn traces_that_the_tracer_dropped_count() {
        let mut sampler = Priority::new(10.0, "none", false);
        // 10 chunks that each stand for 49 more: 500 traces in 5 seconds.
        for _ in 0..10 {
            sampler.sample(1000, &root("a", ""), 1, 49.0);
        }
        let verdict = sampler.sample(1005, &root("a", ""), 1, 49.0);
        assert_eq!(verdict, Verdict { keep: true, rate: Some(0.1) });
        assert!(told(&mut sampler).contains("\"service:a,env:none\":0.1"));
    }

    #[test]
    fn tracers_that_follow_the_rates_keep_about_the_target_together() {
        let mut random = fastrand::Rng::with_seed(13);
        let mut sampler = Priority::new(10.0, "none", false);
        // Traces per second of each service, at random moments; each tracer follows the rate that it was told last.
        let services = [("busy", 900), ("busier", 2500), ("quiet", 1)];
        let mut kept = [0; 3];
        for second in 1000..1120 {
            for (at, (service, per_second)) in services.into_iter().enumerate() {
                let told =
                    sampler.told.get(&key(service, "")).or_else(|| sampler.told.get(&key("", "")));
                let rate = told.copied().unwrap_or(1.0);
                let arrived = (0..per_second * 2).filter(|_| random.bool()).count();
                for _ in 0..arrived {
                    let is_chosen = random.f64() < rate;
                    sampler.sample(second, &root(service, ""), i8::from(is_chosen), 0.0);
                    kept[at] += i32::from(is_chosen && second >= 1060);
                }
            }
        }
        let all: i32 = kept.iter().sum();
        assert!((500..=700).contains(&all), "10 a second for a minute: {kept:?}");
        assert!((0.6..=1.6).contains(&(f64::from(kept[0]) / f64::from(kept[1]))), "{kept:?}");
        assert!(kept[2] >= 35, "one a second is less than its share: {kept:?}");
    }

    #[test]
    fn the_fixed_rate_is_one_whatever_comes() {
        let mut sampler = Priority::new(10.0, "none", true);
        for second in 1000..1020 {
            for _ in 0..200 {
                assert_eq!(
                    sampler.sample(second, &root("a", ""), 1, 9.0),
                    Verdict { keep: true, rate: Some(1.0) }
                );
            }
        }
        assert_eq!(told(&mut sampler), "{\"rate_by_service\":{\"service:,env:\":1}}\n");
        assert_ne!(sampler.reply().version, "");
    }
}
