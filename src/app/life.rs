//! The app's life: when it began, and how it ended, for those who report of it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

use crate::cgroup::Cgroup;
use crate::init::{Command, Exit, SpawnError};
use crate::report::{End, Kills, OutOfMemory};

use super::pulse::now_ns;

/// One app, from its start. The process plane writes its end, once; the data plane reads it.
#[derive(Debug)]
pub(super) struct Life {
    /// The name of its program, without the folder.
    pub(super) program: String,
    /// When it was started, in nanoseconds since 1970.
    pub(super) started_ns: u64,
    started: Instant,
    /// Where it runs: set by the data plane, so that nothing has to be found out before the app is watched over.
    cgroup: OnceLock<Arc<Cgroup>>,
    kills: Mutex<Kills>,
    end: OnceLock<End>,
}

impl Life {
    /// Begins now.
    pub(super) fn begin(command: &Command) -> Self {
        let program = Path::new(OsStr::from_bytes(command.program.to_bytes()));
        let name = program.file_name().unwrap_or_default();
        Self {
            program: name.to_string_lossy().into_owned(),
            started_ns: now_ns(),
            started: Instant::now(),
            cgroup: OnceLock::new(),
            kills: Mutex::default(),
            end: OnceLock::new(),
        }
    }

    /// The app could not be started.
    pub(super) fn never(command: &Command, error: &SpawnError) -> Self {
        let life = Self::begin(command);
        life.set_end(End {
            code: error.code(),
            not_started: Some(error.to_string()),
            ..End::default()
        });
        life
    }

    /// The app has ended.
    pub(super) fn ended(&self, exit: &Exit) {
        self.set_end(End {
            code: exit.code,
            signal: exit.signal,
            has_core: exit.has_core,
            was_asked: exit.stop_asked.is_some(),
            lasted: self.started.elapsed(),
            out_of_memory: self.out_of_memory(),
            ..End::default()
        });
    }

    /// The container is known: from now on kills in it are looked for.
    pub(super) fn watch(&self, cgroup: Arc<Cgroup>) {
        self.cgroup.set(cgroup).ok();
        self.look();
    }

    /// Looks whether the kernel has killed something for want of memory. To be called every few seconds; costs the reading of a file.
    pub(super) fn look(&self) {
        self.kills();
    }

    /// The kills up to now. Nothing where they can't be known, or somebody else looks right now: that is not waited for.
    fn kills(&self) -> Option<Kills> {
        let count = self.cgroup.get()?.oom_kills()?;
        let mut kills = self.kills.try_lock().ok()?;
        kills.look(count, Instant::now());
        Some(*kills)
    }

    fn out_of_memory(&self) -> Option<OutOfMemory> {
        let are_recent = self.kills()?.are_recent(Instant::now());
        let limit_bytes = self.cgroup.get()?.memory_limit_bytes();
        are_recent.then_some(OutOfMemory { limit_bytes })
    }

    fn set_end(&self, end: End) {
        self.end.set(end).ok();
    }

    /// How it ended; nothing as long as it lives.
    pub(super) fn end(&self) -> Option<&End> {
        self.end.get()
    }
}
