//! What we report of the app as its parent: that it died, how and after what, and the task of a job that it was.
//!
//! All of it is text and spans, made of an [`End`] and names: [`death`] says in words what became of the app, [`span`] makes spans of it. Who writes
//! and sends them is `app`.

pub mod death;
mod measure;
mod signal;
pub mod span;

pub use death::Death;
pub use span::Names;

use std::time::Duration;

/// What is reported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// A death (`DD_PILLION_EXIT_REPORT`).
    pub exit: bool,
    /// Traces are on: spans are made.
    pub has_spans: bool,
    /// What the app is called.
    pub names: Names,
}

/// How the app ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct End {
    /// Its exit code, or 128 and the number of the signal that ended it.
    pub code: u8,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// The kernel wrote its memory to a file.
    pub has_core: bool,
    /// Somebody had asked it to stop.
    pub was_asked: bool,
    /// How long it lived.
    pub lasted: Duration,
    /// The kernel killed a process of the container for want of memory shortly before.
    pub out_of_memory: Option<OutOfMemory>,
    /// It could not be started at all, and why.
    pub not_started: Option<String>,
}

/// Memory ran out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutOfMemory {
    /// Bytes that the container may have, where that is limited.
    pub limit_bytes: Option<u64>,
}
