//! Memory of our cgroup.

use std::path::Path;

use super::file::Kept;
use super::parse::{self, keyed, number};
use super::place::{Hierarchies, Place, Version};
use super::{machine, v1, v2};

/// Where the figures of memory are.
#[derive(Debug)]
pub(super) enum Memory {
    Files(Files),
    Machine(machine::Memory),
    /// The kernel has cgroups, but shows us none: what `/proc/meminfo` has is of a machine that others use, too.
    Unknown,
}

/// What a version calls the files of memory, and the lines in them. `memory.stat` has one name in both.
#[derive(Debug)]
pub(super) struct Names {
    /// Bytes charged.
    pub(super) charged: &'static str,
    /// The line of `memory.stat` with the bytes of file pages that go first, counted as what is charged is.
    pub(super) inactive_file: &'static [u8],
    /// The limit of a level.
    pub(super) limit: &'static str,
    /// The line of `memory.stat` with the least limit of all levels, where there is one.
    pub(super) limit_above: Option<&'static [u8]>,
    /// The file with the line `oom_kill`.
    pub(super) oom: &'static str,
}

/// The files of a version, open.
#[derive(Debug)]
pub(super) struct Files {
    names: Names,
    charged: Option<Kept>,
    stat: Option<Kept>,
    limits: Vec<Kept>,
    oom: Option<Kept>,
}

impl Memory {
    pub(super) fn open(root: &Path, hierarchies: &Hierarchies<'_>) -> Self {
        match hierarchies.place("memory") {
            Some(place) => Self::Files(Files::open(&place)),
            None if hierarchies.is_empty() => {
                machine::Memory::open(root).map_or(Self::Unknown, Self::Machine)
            }
            None => Self::Unknown,
        }
    }

    pub(super) fn used(&self) -> Option<u64> {
        match self {
            Self::Files(files) => files.used(),
            Self::Machine(memory) => memory.used(),
            Self::Unknown => None,
        }
    }

    pub(super) fn limit(&self) -> Option<u64> {
        match self {
            Self::Files(files) => files.limit(),
            Self::Machine(memory) => memory.total(),
            Self::Unknown => None,
        }
    }

    pub(super) fn oom_kills(&self) -> Option<u64> {
        match self {
            Self::Files(files) => files.oom.as_ref()?.read(|bytes| keyed(bytes, b"oom_kill")),
            Self::Machine(_) | Self::Unknown => None,
        }
    }
}

impl Files {
    fn open(place: &Place) -> Self {
        let names = match place.version {
            Version::One => v1::MEMORY,
            Version::Two => v2::MEMORY,
        };
        let open = |name: &str| Kept::open(&place.folder.join(name));
        let limits = place.levels().filter_map(|level| Kept::open(&level.join(names.limit)));
        Self {
            charged: open(names.charged),
            stat: open("memory.stat"),
            limits: limits.collect(),
            oom: open(names.oom),
            names,
        }
    }

    /// What is charged, less what would go first.
    fn used(&self) -> Option<u64> {
        let charged = self.charged.as_ref()?.read(number)?;
        let inactive_file = self.in_stat(self.names.inactive_file);
        Some(charged.saturating_sub(inactive_file.unwrap_or_default()))
    }

    /// The least limit in bytes.
    fn limit(&self) -> Option<u64> {
        let above = self.names.limit_above.and_then(|key| self.in_stat(key));
        let above = above.filter(parse::is_limit);
        self.limits.iter().filter_map(|limit| limit.read(parse::limit)).chain(above).min()
    }

    fn in_stat(&self, key: &[u8]) -> Option<u64> {
        self.stat.as_ref()?.read(|bytes| keyed(bytes, key))
    }
}
