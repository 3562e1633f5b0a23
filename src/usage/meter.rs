//! Reads the cgroup and puts samples into the aggregator.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::cgroup::Cgroup;
use crate::metrics::{Aggregator, Kind, Origin, Sample, Values};
use crate::platform::Tag;

use super::names::Names;
use super::{Settings, tags};

/// The least time over which CPU is measured. The kernel counts it when it looks at its clock, so of less time nothing sensible can be said.
const CPU_INTERVAL_MIN: Duration = Duration::from_millis(10);

/// Knows what is measured, and what was when it was measured last.
#[derive(Debug)]
pub struct Meter {
    settings: Settings,
    names: Names,
    tags: Vec<String>,
    instance_tags: Vec<String>,
    cgroup: Arc<Cgroup>,
    /// CPU time in nanoseconds, and when it was that.
    pub(super) cpu: Option<(u64, Instant)>,
}

/// What is measured at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    /// CPU used since the time before, in nanocores.
    pub cpu_usage: Option<f64>,
    /// CPU that can be used, in nanocores.
    pub cpu_limit: Option<f64>,
    /// Memory in use, in bytes.
    pub memory_usage: Option<f64>,
    /// Memory that can be used, in bytes.
    pub memory_limit: Option<f64>,
}

/// How the app ended, for those who were its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its exit code was 0.
    pub has_succeeded: bool,
    /// How long it lived.
    pub lasted: Duration,
}

impl Meter {
    /// Measures this cgroup. CPU is counted from `now` on.
    pub fn new(settings: Settings, cgroup: Arc<Cgroup>, now: Instant) -> Self {
        Self {
            names: Names::of(settings.kind),
            tags: tags::base(&settings),
            instance_tags: tags::instance(&settings),
            cpu: cgroup.cpu_ns().map(|used| (used, now)),
            cgroup,
            settings,
        }
    }

    /// Adds what was learnt of the platform. Samples that were put in before go without.
    pub fn learn(&mut self, found: &[Tag]) {
        self.settings.platform.learn(found.to_vec());
        self.tags = tags::base(&self.settings);
        self.instance_tags = tags::instance(&self.settings);
    }

    /// Measures: some readings of files, no allocation where there are cgroups.
    pub fn measure(&mut self, now: Instant) -> Figures {
        Figures {
            cpu_usage: self.cpu_usage(now),
            cpu_limit: self.cgroup.cpu_limit_nanocores().map(number),
            memory_usage: self.cgroup.memory_bytes().map(number),
            memory_limit: self.cgroup.memory_limit_bytes().map(number),
        }
    }

    fn cpu_usage(&mut self, now: Instant) -> Option<f64> {
        let is_soon =
            |(_, at): (u64, Instant)| now.saturating_duration_since(at) < CPU_INTERVAL_MIN;
        if self.cpu.is_some_and(is_soon) {
            return None;
        }
        let before = self.cpu;
        self.cpu = self.cgroup.cpu_ns().map(|used| (used, now));
        share(before?, self.cpu?)
    }

    /// Puts in a sample of each figure that is known, and of the gauge of instances.
    pub fn put(&self, figures: Figures, into: &mut Aggregator, now_s: u64) {
        let instance = texts(&self.instance_tags);
        self.add(into, &self.names.instance, Kind::Gauge, 1.0, &instance, now_s);
        let tags = texts(&self.tags);
        let names = &self.names;
        let figures = [
            (&names.cpu_usage, figures.cpu_usage),
            (&names.cpu_limit, figures.cpu_limit),
            (&names.memory_usage, figures.memory_usage),
            (&names.memory_limit, figures.memory_limit),
        ];
        for (name, value) in figures {
            if let Some(value) = value {
                self.add(into, name, Kind::Distribution, value, &tags, now_s);
            }
        }
    }

    /// Puts in that the app was started. Of a job's task only its parent says that, who will say how it ended, too.
    pub fn put_start(&self, into: &mut Aggregator, now_s: u64) {
        if self.settings.is_sidecar && self.names.duration.is_some() {
            return;
        }
        self.add(into, &self.names.start, Kind::Distribution, 1.0, &texts(&self.tags), now_s);
        if let Some([start, _]) = self.names.legacy {
            self.add_legacy(into, start, now_s);
        }
    }

    /// Puts in that the app has ended, and how, where that is known. Of a job's task nothing else is said.
    pub fn put_end(&self, ended: Option<Ended>, into: &mut Aggregator, now_s: u64) {
        let mut tags = texts(&self.tags);
        if let Some(duration) = &self.names.duration {
            let Some(Ended { has_succeeded, lasted }) = ended else { return };
            let ms = number(u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX));
            self.add(into, duration, Kind::Distribution, ms, &tags, now_s);
            tags.push(if has_succeeded { "succeeded:true" } else { "succeeded:false" });
        }
        self.add(into, &self.names.end, Kind::Distribution, 1.0, &tags, now_s);
        if let Some([_, end]) = self.names.legacy {
            self.add_legacy(into, end, now_s);
        }
    }

    /// A sample with these tags alone.
    fn add(
        &self,
        into: &mut Aggregator,
        name: &str,
        kind: Kind,
        value: f64,
        tags: &[&str],
        now_s: u64,
    ) {
        into.bare_sample(&self.sample(name, kind, &[value], tags), now_s);
    }

    /// A start or an end under its older name, which has the tags of all metrics, as with `datadog-init`.
    fn add_legacy(&self, into: &mut Aggregator, name: &str, now_s: u64) {
        into.sample(&self.sample(name, Kind::Distribution, &[1.0], &[]), now_s);
    }

    fn sample<'a>(
        &self,
        name: &'a str,
        kind: Kind,
        values: &'a [f64],
        tags: &'a [&'a str],
    ) -> Sample<'a> {
        let values = Values::Numbers(values);
        // On no platform of its own they are what an agent says of itself, which nobody is billed for.
        let origin = self.settings.kind.origin().map_or(Origin::None, |_| Origin::Enhanced);
        Sample { name, kind, values, tags, rate: 1.0, timestamp_s: None, origin }
    }
}

/// Nanoseconds of CPU per second between two times. Nothing where no time has passed, or where the count went back.
fn share((used, at): (u64, Instant), (used_now, now): (u64, Instant)) -> Option<f64> {
    let seconds = now.checked_duration_since(at)?.as_secs_f64();
    let used = used_now.checked_sub(used)?;
    (seconds > 0.0).then(|| number(used) / seconds)
}

#[expect(clippy::cast_precision_loss, reason = "figures of this size are none to the last digit")]
fn number(number: u64) -> f64 {
    number as f64
}

fn texts(tags: &[String]) -> Vec<&str> {
    tags.iter().map(String::as_str).collect()
}
