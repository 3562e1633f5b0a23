//! CPU of our cgroup.

use std::path::Path;

use super::file::{Kept, read_once};
use super::machine::Processes;
use super::parse::{self, NANOCORES};
use super::place::{Hierarchies, Version};
use super::{v1, v2};

/// Where the CPU time is, and what limits it.
#[derive(Debug)]
pub(super) struct Cpu {
    time: Time,
    quotas: Quotas,
    cpuset: Option<Kept>,
    /// CPUs of the machine.
    machine: Option<u64>,
}

#[derive(Debug)]
enum Time {
    One(v1::Time),
    Two(v2::Time),
    Processes(Processes),
}

#[derive(Debug)]
enum Quotas {
    One(Vec<v1::Quota>),
    Two(Vec<v2::Quota>),
}

impl Cpu {
    pub(super) fn open(root: &Path, hierarchies: &Hierarchies<'_>) -> Self {
        let time = hierarchies.place("cpuacct").and_then(|place| match place.version {
            Version::One => v1::Time::open(&place).map(Time::One),
            Version::Two => v2::Time::open(&place).map(Time::Two),
        });
        let quotas = hierarchies.place("cpu").map(|place| match place.version {
            Version::One => Quotas::One(v1::Quota::of_levels(&place).collect()),
            Version::Two => Quotas::Two(v2::Quota::of_levels(&place).collect()),
        });
        let cpuset = hierarchies.place("cpuset").and_then(|place| match place.version {
            Version::One => v1::cpuset(&place),
            Version::Two => v2::cpuset(&place),
        });
        let online = read_once(&root.join("sys/devices/system/cpu/online"), parse::cpus);
        Self {
            time: time.unwrap_or_else(|| Time::Processes(Processes::of(root))),
            quotas: quotas.unwrap_or(Quotas::Two(Vec::new())),
            cpuset,
            machine: online.or_else(available),
        }
    }

    pub(super) fn used_ns(&self) -> Option<u64> {
        match &self.time {
            Time::One(time) => time.ns(),
            Time::Two(time) => time.ns(),
            Time::Processes(processes) => processes.cpu_ns(),
        }
    }

    pub(super) fn limit_nanocores(&self) -> Option<u64> {
        let quota = match &self.quotas {
            Quotas::One(quotas) => quotas.iter().filter_map(v1::Quota::nanocores).min(),
            Quotas::Two(quotas) => quotas.iter().filter_map(v2::Quota::nanocores).min(),
        };
        let cpuset = self.cpuset.as_ref().and_then(|list| list.read(parse::cpus));
        let cpus = cpuset.into_iter().chain(self.machine).min();
        quota.into_iter().chain(cpus.and_then(|cpus| cpus.checked_mul(NANOCORES))).min()
    }
}

/// The CPUs that this process may run on.
fn available() -> Option<u64> {
    std::thread::available_parallelism().ok().map(|cpus| cpus.get() as u64)
}
