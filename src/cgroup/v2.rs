//! The files of version 2.

use super::file::Kept;
use super::parse::{self, cpu_max, keyed, number};
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

/// Files of memory.
#[derive(Debug)]
pub(super) struct Memory {
    current: Option<Kept>,
    stat: Option<Kept>,
    max: Vec<Kept>,
    events: Option<Kept>,
}

impl Memory {
    pub(super) fn open(place: &Place) -> Self {
        let open = |name: &str| Kept::open(&place.folder.join(name));
        Self {
            current: open("memory.current"),
            stat: open("memory.stat"),
            max: place.levels().filter_map(|level| Kept::open(&level.join("memory.max"))).collect(),
            events: open("memory.events"),
        }
    }

    /// Bytes charged.
    pub(super) fn charged(&self) -> Option<u64> {
        self.current.as_ref()?.read(number)
    }

    /// Bytes of file pages that go first.
    pub(super) fn inactive_file(&self) -> Option<u64> {
        self.stat.as_ref()?.read(|bytes| keyed(bytes, b"inactive_file"))
    }

    /// The least limit in bytes.
    pub(super) fn limit(&self) -> Option<u64> {
        self.max.iter().filter_map(|max| max.read(parse::limit)).min()
    }

    pub(super) fn oom_kills(&self) -> Option<u64> {
        self.events.as_ref()?.read(|bytes| keyed(bytes, b"oom_kill"))
    }
}
