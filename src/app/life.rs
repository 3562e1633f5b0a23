//! The app's life: when it began, and how it ended, for those who report of it.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::init::Exit;

use super::pulse::now_ns;

/// One app, from its start. The process plane writes its end, once; the data plane reads it.
#[derive(Debug)]
pub(super) struct Life {
    /// When it was started, in nanoseconds since 1970.
    pub(super) started_ns: u64,
    started: Instant,
    end: OnceLock<End>,
}

/// How the app ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    /// Its exit code, or 128 and the number of the signal that ended it.
    pub(super) code: u8,
    /// The signal that ended it.
    pub(super) signal: Option<i32>,
    /// The kernel wrote its memory to a file.
    pub(super) has_core: bool,
    /// Somebody had asked it to stop.
    pub(super) was_asked: bool,
    /// How long it lived.
    pub(super) lasted: Duration,
}

impl Life {
    /// Begins now.
    pub(super) fn begin() -> Self {
        Self { started_ns: now_ns(), started: Instant::now(), end: OnceLock::new() }
    }

    /// The app has ended.
    pub(super) fn ended(&self, exit: &Exit) {
        let end = End {
            code: exit.code,
            signal: exit.signal,
            has_core: exit.has_core,
            was_asked: exit.stop_asked.is_some(),
            lasted: self.started.elapsed(),
        };
        self.end.set(end).ok();
    }

    /// How it ended; nothing as long as it lives.
    pub(super) fn end(&self) -> Option<End> {
        self.end.get().copied()
    }
}
