//! What is wrong with a setting, in one line for its owner.

use std::fmt;

/// Characters of a bad value that are shown.
const SHOWN_CHARS_MAX: usize = 80;

/// A value that was not used as it is. Its `Display` names the variable, the value (unless it is a secret), what is wrong with it and what is
/// used instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The variable that is set.
    pub variable: &'static str,
    text: String,
}

impl Problem {
    /// `invalid DD_X: "value" is not …, using …`.
    pub(super) fn new(variable: &'static str, value: &str, wrong: &str, using: &str) -> Self {
        let mut shown: String = value.chars().take(SHOWN_CHARS_MAX).collect();
        if shown.len() < value.len() {
            shown.push('…');
        }
        Self { variable, text: format!("invalid {variable}: {shown:?} {wrong}, {using}") }
    }

    /// The same for a value that must not be seen.
    pub(super) fn of_secret(variable: &'static str, wrong: &str, using: &str) -> Self {
        Self { variable, text: format!("invalid {variable}: its value {wrong}, {using}") }
    }

    /// Settings of the agent that have no effect here, all in one line.
    pub(super) fn unsupported(variables: &[&'static str]) -> Option<Self> {
        let variable = variables.first()?;
        Some(Self {
            variable,
            text: format!("not supported yet, ignored: {}", variables.join(", ")),
        })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
