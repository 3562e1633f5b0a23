//! The files of version 1.

use super::file::Kept;
use super::memory::Names;
use super::parse::{number, share};
use super::place::Place;

/// `cpuacct.usage`, which has nanoseconds.
#[derive(Debug)]
pub(super) struct Time(Kept);

impl Time {
    pub(super) fn open(place: &Place) -> Option<Self> {
        Kept::open(&place.folder.join("cpuacct.usage")).map(Self)
    }

    pub(super) fn ns(&self) -> Option<u64> {
        self.0.read(number)
    }
}

/// The quota of a level and its period; where there is none the quota is negative.
#[derive(Debug)]
pub(super) struct Quota {
    quota: Kept,
    period: Kept,
}

impl Quota {
    pub(super) fn of_levels(place: &Place) -> impl Iterator<Item = Self> {
        place.levels().filter_map(|level| {
            let open = |name: &str| Kept::open(&level.join(name));
            Some(Self { quota: open("cpu.cfs_quota_us")?, period: open("cpu.cfs_period_us")? })
        })
    }

    pub(super) fn nanocores(&self) -> Option<u64> {
        share(self.quota.read(number)?, self.period.read(number)?)
    }
}

/// The CPUs that the cgroup may run on, as a list. What is configured counts where the kernel is too old to say what is effective.
pub(super) fn cpuset(place: &Place) -> Option<Kept> {
    let open = |name: &str| Kept::open(&place.folder.join(name));
    open("cpuset.effective_cpus").or_else(|| open("cpuset.cpus"))
}

/// The files of memory. What is charged has the groups below in it, so what would go first has to have them, too. The kernel knows limits above ours
/// that are not visible here.
pub(super) const MEMORY: Names = Names {
    charged: "memory.usage_in_bytes",
    inactive_file: b"total_inactive_file",
    limit: "memory.limit_in_bytes",
    limit_above: Some(b"hierarchical_memory_limit"),
    oom: "memory.oom_control",
};
