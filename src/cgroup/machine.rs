//! What there is without cgroups: a machine that is ours alone, as a sandbox of gVisor or a small virtual machine.

use std::fs;
use std::path::{Path, PathBuf};

use super::file::{Kept, read_once};
use super::parse::{meminfo, process_ticks};

/// Nanoseconds of a clock tick as `/proc` has them: a hundredth of a second on every architecture that we are built for (`man 5 proc`: `USER_HZ`).
const TICK_NS: u64 = 10_000_000;

/// Processes that are looked at; with more the answer would cost too much, and there is none.
const PROCESSES_MAX: usize = 128;

/// All processes that we see. `/proc/stat` would be shorter, but is all zeros in gVisor, where this is needed most.
#[derive(Debug)]
pub(super) struct Processes(PathBuf);

impl Processes {
    pub(super) fn of(root: &Path) -> Self {
        Self(root.join("proc"))
    }

    /// CPU time in nanoseconds. What a process has used goes over to its parent with the wait for it, so that the sum loses nothing but the time
    /// of processes that nobody waits for.
    pub(super) fn cpu_ns(&self) -> Option<u64> {
        let (mut ticks, mut found) = (0_u64, 0_usize);
        for entry in fs::read_dir(&self.0).ok()?.flatten() {
            if !entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit) {
                continue;
            }
            // It may have ended in between.
            let Some(own) = read_once(&entry.path().join("stat"), process_ticks) else { continue };
            ticks = ticks.checked_add(own)?;
            found += 1;
            if found > PROCESSES_MAX {
                return None;
            }
        }
        (found > 0).then_some(ticks)?.checked_mul(TICK_NS)
    }
}

/// `/proc/meminfo`.
#[derive(Debug)]
pub(super) struct Memory(Kept);

impl Memory {
    pub(super) fn open(root: &Path) -> Option<Self> {
        Kept::open(&root.join("proc/meminfo")).map(Self)
    }

    /// Bytes in use, without what the kernel would give up.
    pub(super) fn used(&self) -> Option<u64> {
        self.0.read(|bytes| {
            meminfo(bytes, b"MemTotal")?.checked_sub(meminfo(bytes, b"MemAvailable")?)
        })
    }

    /// Bytes that there are.
    pub(super) fn total(&self) -> Option<u64> {
        self.0.read(|bytes| meminfo(bytes, b"MemTotal"))
    }
}
