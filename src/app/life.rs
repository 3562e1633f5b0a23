//! The app's life: when it began, and how it ended, for those who report of it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Instant;

use crate::init::{Command, Exit, SpawnError};
use crate::report::End;

use super::pulse::now_ns;

/// One app, from its start. The process plane writes its end, once; the data plane reads it.
#[derive(Debug)]
pub(super) struct Life {
    /// The name of its program, without the folder.
    pub(super) program: String,
    /// When it was started, in nanoseconds since 1970.
    pub(super) started_ns: u64,
    started: Instant,
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
            ..End::default()
        });
    }

    fn set_end(&self, end: End) {
        self.end.set(end).ok();
    }

    /// How it ended; nothing as long as it lives.
    pub(super) fn end(&self) -> Option<&End> {
        self.end.get()
    }
}
