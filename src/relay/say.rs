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
}

const CONDITIONS: usize = Condition::Fault as usize + 1;

/// When each condition was last spoken of, and whether it has been since it was last over.
#[derive(Debug, Default)]
pub(super) struct Said(Mutex<[Turn; CONDITIONS]>);

#[derive(Clone, Copy, Debug, Default)]
struct Turn {
    last: Option<Instant>,
    is_known: bool,
}

impl Turn {
    /// Whether a line may be written now; it then counts as written.
    fn take(&mut self, now: Instant) -> bool {
        let is_due = self.last.is_none_or(|last| now.duration_since(last) >= EVERY);
        if is_due {
            *self = Self { last: Some(now), is_known: true };
        }
        is_due
    }
}

impl Said {
    /// Says it as a warning, unless that was done in the last ten seconds.
    pub(super) fn at_times(&self, condition: Condition, text: impl FnOnce() -> String) {
        let is_due = self.with(condition, |turn| turn.take(Instant::now()));
        warn_if(is_due, text);
    }

    /// Says it as a warning, once until [`Said::over`], and not again within ten seconds even then.
    pub(super) fn once(&self, condition: Condition, text: impl FnOnce() -> String) {
        let is_due = self.with(condition, |turn| !turn.is_known && turn.take(Instant::now()));
        warn_if(is_due, text);
    }

    /// The condition is over. Whether it had been spoken of.
    pub(super) fn over(&self, condition: Condition) -> bool {
        self.with(condition, |turn| std::mem::take(&mut turn.is_known))
    }

    fn with<T>(&self, condition: Condition, f: impl FnOnce(&mut Turn) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner)[condition as usize])
    }
}

/// Writes the line, if it is due, while no lock is held.
fn warn_if(is_due: bool, text: impl FnOnce() -> String) {
    if is_due {
        let text = text();
        tracing::warn!("{text}");
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::{Duration, Instant};

    use super::{Condition, EVERY, Said, Turn};

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
    }

    #[test]
    fn a_condition_that_comes_and_goes_is_still_not_repeated_within_ten_seconds() {
        let (said, lines) = (Said::default(), Cell::new(0));
        let line = || {
            lines.set(lines.get() + 1);
            String::new()
        };
        for _ in 0..5 {
            said.at_times(Condition::Unreachable, line);
            said.once(Condition::KeyRefused, line);
            let over = [Condition::Unreachable, Condition::KeyRefused]
                .map(|condition| said.over(condition));
            assert_eq!(over[0], over[1]);
        }
        assert_eq!(lines.get(), 2);
        assert!(!said.over(Condition::Unreachable));
    }

    #[test]
    fn after_ten_seconds_it_is_said_again() {
        let (mut turn, now) = (Turn::default(), Instant::now());
        assert!(turn.take(now));
        assert!(!turn.take(now + EVERY - Duration::from_millis(1)));
        assert!(turn.take(now + EVERY));
    }
}
