//! What people are told: one line per condition, at most one every ten seconds, and never a secret.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The shortest time between two lines about the same condition.
const EVERY: Duration = Duration::from_secs(10);

/// What may be wrong, each with lines of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// No answer, or one that asks for a retry.
    Unreachable,
    /// 401 or 403.
    KeyRefused,
    /// 413.
    TooLarge,
    /// Any other answer that a retry does not change.
    Refused,
    /// The oldest payloads are shed.
    QueueFull,
    /// A panic or an error of our own.
    Fault,
    /// A setting that can't be used.
    Setting,
}

const CONDITIONS: usize = Condition::Setting as usize + 1;

/// When each condition was last spoken of.
#[derive(Debug, Default)]
pub(super) struct Said(Mutex<[Option<Instant>; CONDITIONS]>);

impl Said {
    /// Says it as a warning, unless that was done in the last ten seconds.
    pub(super) fn at_times(&self, condition: Condition, text: impl FnOnce() -> String) {
        let now = Instant::now();
        if self.turn(
            condition,
            |last| last.is_none_or(|last| now.duration_since(last) >= EVERY),
            Some(now),
        ) {
            let text = text();
            tracing::warn!("{text}");
        }
    }

    /// Says it as a warning, once until [`Said::over`].
    pub(super) fn once(&self, condition: Condition, text: impl FnOnce() -> String) {
        if self.turn(condition, |last| last.is_none(), Some(Instant::now())) {
            let text = text();
            tracing::warn!("{text}");
        }
    }

    /// The condition is over. Whether it had been spoken of.
    pub(super) fn over(&self, condition: Condition) -> bool {
        self.turn(condition, |last| last.is_some(), None)
    }

    /// Sets the time of a condition where `is_due`, and says whether it did. The lock is not held while a line is written.
    fn turn(
        &self,
        condition: Condition,
        is_due: impl FnOnce(Option<Instant>) -> bool,
        set: Option<Instant>,
    ) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = &mut last[condition as usize];
        let due = is_due(*last);
        if due {
            *last = set;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::{Condition, Said};

    #[test]
    fn a_condition_is_not_repeated_and_others_are_not_muted_by_it() {
        let (said, lines) = (Said::default(), Cell::new(0));
        let line = || {
            lines.set(lines.get() + 1);
            String::new()
        };
        said.at_times(Condition::Unreachable, line);
        said.at_times(Condition::Unreachable, line);
        assert_eq!(lines.get(), 1);
        said.once(Condition::KeyRefused, line);
        said.once(Condition::KeyRefused, line);
        assert_eq!(lines.get(), 2);
        assert!(said.over(Condition::KeyRefused));
        assert!(!said.over(Condition::KeyRefused));
        said.once(Condition::KeyRefused, line);
        assert_eq!(lines.get(), 3);
    }
}
