//! A cgroup with limits, for tests that can make one.

#![allow(clippy::print_stderr, reason = "a test says what it skips")]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::wrapped::pillion;

/// A cgroup of version 1 with half a CPU and 256 MiB, which is removed at the end.
#[derive(Debug)]
pub struct Limited([PathBuf; 3]);

impl Limited {
    /// Nothing, and a word, where none can be made.
    pub fn make() -> Option<Self> {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let of = |controller: &str| {
            PathBuf::from(format!(
                "/sys/fs/cgroup/{controller}/pillion-test-{}-{}",
                std::process::id(),
                number
            ))
        };
        let limited = Self(["cpu", "cpuacct", "memory"].map(of));
        let write = |folder: &Path, file: &str, text: &str| std::fs::write(folder.join(file), text);
        let [cpu, cpuacct, memory] = &limited.0;
        let made = [cpu, cpuacct, memory]
            .into_iter()
            .try_for_each(std::fs::create_dir)
            .and_then(|()| write(cpu, "cpu.cfs_quota_us", "50000"))
            .and_then(|()| write(memory, "memory.limit_in_bytes", "268435456"));
        if let Err(error) = made {
            eprintln!("skipped: no cgroup of version 1 can be made here ({error})");
            return None;
        }
        Some(limited)
    }

    /// Words that enter it and become the wrapper around `sh -c script`.
    pub fn enter(&self, script: &str) -> String {
        let enter =
            self.0.iter().map(|folder| format!("echo $$ > {}/cgroup.procs; ", folder.display()));
        let enter: String = enter.collect();
        format!("{enter}exec {} sh -c '{script}'", pillion().display())
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        for folder in &self.0 {
            std::fs::remove_dir(folder).ok();
        }
    }
}
