//! What we say ourselves: one line per event on stderr, as `pillion: <message> key=value`. Nothing in here ever waits for stderr: a line that
//! would block is skipped and counted.

mod fault;
mod stderr;
mod subscriber;
mod text;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use crate::ledger::Ledger;

pub use fault::report_panics;
pub use stderr::{colour, columns, is_terminal, write_all};
pub use text::escape;

/// How much is said. A line is written where its level is at least as grave as the one set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Per request and payload.
    Trace,
    /// Per payload, with times.
    Debug,
    /// Phases: started, stopping, what was delivered.
    Info,
    /// What somebody should mend.
    #[default]
    Warn,
    /// What does not work.
    Error,
    /// Nothing at all.
    Off,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The least grave level that is written (`DD_LOG_LEVEL`).
    pub level: Level,
    /// Colours are allowed where stderr is a terminal (no `NO_COLOR`, and `TERM` is not `dumb`).
    pub colour: bool,
}

static LEDGER: OnceLock<Arc<Ledger>> = OnceLock::new();

/// Lines that were skipped before there was a ledger.
static SKIPPED_EARLY: AtomicU64 = AtomicU64::new(0);

/// Sends the events of `tracing` to stderr from now on, and counts skipped lines in `ledger`. A second call changes nothing.
pub fn install(settings: Settings, ledger: Arc<Ledger>) {
    stderr::allow_colour(settings.colour);
    ledger.lines_skipped.fetch_add(SKIPPED_EARLY.swap(0, Ordering::Relaxed), Ordering::Relaxed);
    if LEDGER.set(ledger).is_ok() {
        subscriber::install(settings.level);
    }
}

/// Writes `pillion: <text>`, whatever the level: for the process plane, which works before and without everything else. Line feeds and other
/// control characters in `text` are escaped.
pub fn line(text: &str) {
    let mut line = text::Line::new(colour());
    line.push(text);
    write(line);
}

fn write(line: text::Line) {
    if !stderr::write_line(&line.finish()) {
        let count = LEDGER.get().map_or(&SKIPPED_EARLY, |ledger| &ledger.lines_skipped);
        count.fetch_add(1, Ordering::Relaxed);
    }
}
