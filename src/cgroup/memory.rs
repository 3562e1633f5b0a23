//! Memory of our cgroup.

use std::path::Path;

use super::machine;
use super::place::{Hierarchies, Version};
use super::{v1, v2};

/// Where the figures of memory are.
#[derive(Debug)]
pub(super) enum Memory {
    One(v1::Memory),
    Two(v2::Memory),
    Machine(machine::Memory),
    /// The kernel has cgroups, but shows us none: what `/proc/meminfo` has is of a machine that others use, too.
    Unknown,
}

impl Memory {
    pub(super) fn open(root: &Path, hierarchies: &Hierarchies<'_>) -> Self {
        match hierarchies.place("memory") {
            Some(place) if place.version == Version::One => Self::One(v1::Memory::open(&place)),
            Some(place) => Self::Two(v2::Memory::open(&place)),
            None if hierarchies.is_empty() => {
                machine::Memory::open(root).map_or(Self::Unknown, Self::Machine)
            }
            None => Self::Unknown,
        }
    }

    pub(super) fn used(&self) -> Option<u64> {
        let (charged, inactive_file) = match self {
            Self::One(files) => (files.charged()?, files.inactive_file()),
            Self::Two(files) => (files.charged()?, files.inactive_file()),
            Self::Machine(memory) => return memory.used(),
            Self::Unknown => return None,
        };
        Some(charged.saturating_sub(inactive_file.unwrap_or_default()))
    }

    pub(super) fn limit(&self) -> Option<u64> {
        match self {
            Self::One(files) => files.limit(),
            Self::Two(files) => files.limit(),
            Self::Machine(memory) => memory.total(),
            Self::Unknown => None,
        }
    }

    pub(super) fn oom_kills(&self) -> Option<u64> {
        match self {
            Self::One(files) => files.oom_kills(),
            Self::Two(files) => files.oom_kills(),
            Self::Machine(_) | Self::Unknown => None,
        }
    }
}
