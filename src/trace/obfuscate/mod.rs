//! Hides what users typed: values in SQL, arguments of Redis commands, values in JSON bodies, users and query strings in URLs, card numbers. What a text is
//! follows from its span's type and its key; here is only what becomes of it.
//!
//! Every function writes into a buffer of the caller's, which keeps its memory from call to call, and says whether there is anything new in
//! it. All fail closed: what can't be understood leaves no more behind than what the agent lets through. Source of the rules: the agent's
//! behaviour, observed with 7.85.2 (spec: trace-agent 7).

pub mod cache;
pub mod cards;
pub mod hosts;
pub mod json;
pub mod memcached;
pub mod redis;
pub mod settings;
pub mod sql;
mod upper;
pub mod url;

pub use settings::Settings;

/// What became of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It stays as it is; what the buffer holds means nothing.
    Unchanged,
    /// The buffer, which was cleared first, holds the text that takes its place.
    Changed,
}

impl Outcome {
    /// Compares what was written with what was there.
    fn of(before: &str, after: &str) -> Self {
        if before == after { Self::Unchanged } else { Self::Changed }
    }
}
