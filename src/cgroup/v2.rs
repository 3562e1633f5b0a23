//! The files of version 2.

use super::file::Kept;
use super::memory::Names;
use super::parse::{cpu_max, keyed};
use super::place::Place;

/// `cpu.stat`, which has microseconds.
#[derive(Debug)]
pub(super) struct Time(Kept);

impl Time {
    pub(super) fn open(place: &Place) -> Option<Self> {
        Kept::open(&place.folder.join("cpu.stat")).map(Self)
    }

    pub(super) fn ns(&self) -> Option<u64> {
        self.0.read(|bytes| keyed(bytes, b"usage_usec")).and_then(|us| us.checked_mul(1000))
    }
}

/// `cpu.max` of a level.
#[derive(Debug)]
pub(super) struct Quota(Kept);

impl Quota {
    pub(super) fn of_levels(place: &Place) -> impl Iterator<Item = Self> {
        place.levels().filter_map(|level| Kept::open(&level.join("cpu.max")).map(Self))
    }

    pub(super) fn nanocores(&self) -> Option<u64> {
        self.0.read(cpu_max)
    }
}

/// The CPUs that the cgroup may run on, as a list.
pub(super) fn cpuset(place: &Place) -> Option<Kept> {
    Kept::open(&place.folder.join("cpuset.cpus.effective"))
}

/// The files of memory.
pub(super) const MEMORY: Names = Names {
    charged: "memory.current",
    inactive_file: b"inactive_file",
    limit: "memory.max",
    limit_above: None,
    oom: "memory.events",
};
