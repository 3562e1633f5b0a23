//! What is wrong with a setting, in one line for its owner.

use std::fmt;

/// Characters of a bad value that are shown.
const SHOWN_CHARS_MAX: usize = 80;

/// Where a person reads on.
const WHY: &str = "the table of such settings in the README says why";

/// Where a value stands, as a problem names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place<'a> {
    /// In this variable.
    Variable(&'static str),
    /// Under this key of the file.
    File {
        /// The key with those above it, between dots.
        key: &'static str,
        /// The file's path.
        path: &'a str,
    },
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => f.write_str(name),
            Self::File { key, path } => write!(f, "{key} in {path}"),
        }
    }
}

/// A value that was not used as it is. Its `Display` names the variable or the file's key, the value (unless it is a secret), what is wrong with
/// it and what is used instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    text: String,
}

impl Problem {
    /// `invalid DD_X: "value" is not …, using …`.
    pub(super) fn new(place: impl fmt::Display, value: &str, wrong: &str, using: &str) -> Self {
        let mut shown: String = value.chars().take(SHOWN_CHARS_MAX).collect();
        if shown.len() < value.len() {
            shown.push('…');
        }
        Self { text: format!("invalid {place}: {shown:?} {wrong}, {using}") }
    }

    /// The same for a value that must not be seen.
    pub(super) fn of_secret(place: impl fmt::Display, wrong: &str, using: &str) -> Self {
        Self { text: format!("invalid {place}: its value {wrong}, {using}") }
    }

    /// A file of which nothing is used.
    pub(super) fn of_file(path: &str, wrong: &str, remedy: &str) -> Self {
        Self { text: format!("{path} {wrong}: its settings are not used; {remedy}") }
    }

    /// Settings of the agent that have no effect here, all in one line.
    pub(super) fn unsupported(names: &[&str]) -> Option<Self> {
        let text = format!("not supported, ignored: {}; {WHY}", names.join(", "));
        (!names.is_empty()).then_some(Self { text })
    }

    /// The same of keys of the file.
    pub(super) fn unsupported_in(path: &str, keys: &[String]) -> Option<Self> {
        let text = format!("not supported in {path}, ignored: {}; {WHY}", keys.join(", "));
        (!keys.is_empty()).then_some(Self { text })
    }

    /// Keys of the file that nobody knows, all in one line.
    pub(super) fn unknown(path: &str, keys: &[String]) -> Option<Self> {
        let text = format!("unknown in {path}, ignored: {}; check the spelling", keys.join(", "));
        (!keys.is_empty()).then_some(Self { text })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
