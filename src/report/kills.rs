//! Kills for want of memory: whether one was short enough before an end to have to do with it.

use std::time::{Duration, Instant};

/// How long after a kill an end may be its consequence: a large process takes seconds to go, and so does a parent that gives up.
const RECENT: Duration = Duration::from_secs(10);

/// What is known of the kernel's count of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kills {
    /// The count when it was looked at last.
    count: Option<u64>,
    /// When it was found to be larger than before.
    last: Option<Instant>,
}

impl Kills {
    /// Takes a look at the count. The first says nothing: those kills were of others.
    pub fn look(&mut self, count: u64, now: Instant) {
        if self.count.is_some_and(|before| before < count) {
            self.last = Some(now);
        }
        self.count = Some(count);
    }

    /// Whether there was one recently.
    pub fn are_recent(&self, now: Instant) -> bool {
        self.last.is_some_and(|last| now.saturating_duration_since(last) < RECENT)
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Instant, Kills, RECENT};

    #[test]
    fn a_kill_is_recent_for_a_while() {
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        let mut kills = Kills::default();
        kills.look(2, at(0));
        kills.look(2, at(3));
        assert!(!kills.are_recent(at(3)), "they were there before");
        kills.look(3, at(6));
        kills.look(3, at(9));
        assert!(kills.are_recent(at(9)));
        assert!(!kills.are_recent(at(6) + RECENT));
    }
}
