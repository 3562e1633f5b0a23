//! What our container uses and may use: CPU, memory, and whether the kernel killed for want of memory.
//!
//! The kernel says it in files of our own control group (cgroup). [`Cgroup::open`] finds that group and opens its files, once; each question after
//! that is one or two `pread`s into a buffer on the stack. Controllers are looked for one by one, because a machine may have some in hierarchies of
//! version 1 and the others in version 2 (`man 7 cgroups`):
//!
//! - `place` is where our group of a hierarchy is in the file system, by `/proc/self/cgroup` and `/proc/self/mountinfo`;
//! - `v1` and `v2` are the files of the two versions, `cpu` and `memory` what is made of them;
//! - `machine` is what `/proc` has where the kernel knows no cgroups, as in a sandbox of gVisor, which is a machine of our own;
//! - `parse` reads numbers out of the files' bytes, `file` gets those bytes.
//!
//! A file that is missing or says something else than expected is no answer; nothing in here fails.

mod cpu;
mod file;
mod machine;
mod memory;
mod parse;
mod place;
#[cfg(test)]
mod tests;
mod v1;
mod v2;

use std::path::Path;

use cpu::Cpu;
use memory::Memory;
use place::Hierarchies;

/// The cgroup that we run in, its files open.
#[derive(Debug)]
pub struct Cgroup {
    cpu: Cpu,
    memory: Memory,
}

impl Cgroup {
    /// Finds our own cgroup and opens its files: some dozens of system calls, a few files for each level of cgroups that is visible (at most
    /// eight levels), none of them inherited by programs that are started later.
    pub fn open() -> Self {
        Self::open_under(Path::new("/"))
    }

    /// The same of a recorded file system. `/proc/self` in it is a folder.
    fn open_under(root: &Path) -> Self {
        let hierarchies = Hierarchies::read(root);
        Self { cpu: Cpu::open(root, &hierarchies), memory: Memory::open(root, &hierarchies) }
    }

    /// CPU time used since the cgroup began, in nanoseconds, of all its processes. Without cgroups: of all processes that are visible, to
    /// a hundredth of a second.
    pub fn cpu_ns(&self) -> Option<u64> {
        self.cpu.used_ns()
    }

    /// CPU that can be used, in nanocores (a second of one CPU per second is 1,000,000,000): the least of the quotas of our cgroup and those
    /// above it that are visible, and of the CPUs that it may run on, which are the machine's where nothing limits them.
    pub fn cpu_limit_nanocores(&self) -> Option<u64> {
        self.cpu.limit_nanocores()
    }

    /// Memory in use, in bytes: the working set, which is what is charged to the cgroup without the file pages that the kernel would give up
    /// first (`inactive_file`). It is what Kubernetes and `docker stats` show, and what the kernel kills for.
    pub fn memory_bytes(&self) -> Option<u64> {
        self.memory.used()
    }

    /// Memory that can be used, in bytes: the least limit of our cgroup and those above it. Nothing where there is none: what the machine has
    /// is others', too. Without cgroups the machine is ours, and its memory the limit.
    pub fn memory_limit_bytes(&self) -> Option<u64> {
        self.memory.limit()
    }

    /// How many processes of our cgroup the kernel has killed because memory ran out, since the cgroup began. Version 2 counts those of
    /// the groups below, too.
    pub fn oom_kills(&self) -> Option<u64> {
        self.memory.oom_kills()
    }
}

/// For properties and the fuzz target: all parsers, with any file's bytes.
#[doc(hidden)]
pub fn parse_any(bytes: &[u8]) {
    parse::all(bytes);
    let text = String::from_utf8_lossy(bytes);
    Hierarchies::of_texts(Path::new("/"), &text, &text).place("memory");
}
