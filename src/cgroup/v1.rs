//! The files of version 1.

use super::file::Kept;
use super::parse::{self, keyed, number, share};
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

/// Files of memory.
#[derive(Debug)]
pub(super) struct Memory {
    usage: Option<Kept>,
    stat: Option<Kept>,
    limits: Vec<Kept>,
    oom_control: Option<Kept>,
}

impl Memory {
    pub(super) fn open(place: &Place) -> Self {
        let open = |name: &str| Kept::open(&place.folder.join(name));
        let limits =
            place.levels().filter_map(|level| Kept::open(&level.join("memory.limit_in_bytes")));
        Self {
            usage: open("memory.usage_in_bytes"),
            stat: open("memory.stat"),
            limits: limits.collect(),
            oom_control: open("memory.oom_control"),
        }
    }

    /// Bytes charged, those of the groups below among them.
    pub(super) fn charged(&self) -> Option<u64> {
        self.usage.as_ref()?.read(number)
    }

    /// Bytes of file pages that go first, counted as what is charged is.
    pub(super) fn inactive_file(&self) -> Option<u64> {
        self.stat.as_ref()?.read(|bytes| keyed(bytes, b"total_inactive_file"))
    }

    /// The least limit in bytes. The kernel knows those above ours that are not visible here.
    pub(super) fn limit(&self) -> Option<u64> {
        let above = self.stat.as_ref().and_then(|stat| {
            stat.read(|bytes| keyed(bytes, b"hierarchical_memory_limit")).filter(parse::is_limit)
        });
        self.limits.iter().filter_map(|limit| limit.read(parse::limit)).chain(above).min()
    }

    pub(super) fn oom_kills(&self) -> Option<u64> {
        self.oom_control.as_ref()?.read(|bytes| keyed(bytes, b"oom_kill"))
    }
}
