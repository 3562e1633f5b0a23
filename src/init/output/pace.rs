//! When a copying thread rests between two reads.
//!
//! An app that writes line after line would wake it for every one, which costs both more than the line. So after a small read it leaves the
//! pipe alone for a few milliseconds, and the pipe gathers what comes. It does so only where that pays: not for an app that writes now and then,
//! whose line is then on its way at once, and not for one whose other end answers each line before it writes the next.

use std::time::{Duration, Instant};

/// How long it rests.
pub(super) const REST: Duration = Duration::from_millis(5);

/// A read of so many bytes is worth its wake-up.
const LARGE_READ_BYTES: usize = 16 * 1024;

/// After a rest in which no more came than before it, so many reads are made without one.
const READS_WITHOUT_REST: u32 = 32;

/// What was seen of the app's writing.
#[derive(Debug, Default)]
pub(super) struct Pace {
    last: Option<Instant>,
    /// Bytes of the last read that came without a rest.
    at_once: usize,
    has_rested: bool,
    without_rest: u32,
}

impl Pace {
    /// Whether to rest after a read of so many bytes.
    pub(super) fn rests_after(&mut self, bytes: usize, now: Instant) -> bool {
        let is_dense = self.last.replace(now).is_some_and(|last| now - last < 2 * REST);
        if self.has_rested && bytes < 2 * self.at_once {
            self.without_rest = READS_WITHOUT_REST;
        }
        if !self.has_rested {
            self.at_once = bytes;
        }
        self.without_rest = self.without_rest.saturating_sub(1);
        self.has_rested = is_dense && bytes < LARGE_READ_BYTES && self.without_rest == 0;
        self.has_rested
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Instant, Pace, REST};

    /// How many of 1,000 reads are followed by a rest, where an app writes `line` bytes every `gap`, as long as what it writes is not waited for.
    fn rests(line: usize, gap: Duration, waits_for_answer: bool) -> usize {
        let (mut pace, mut now, mut rests, mut has_rested) =
            (Pace::default(), Instant::now(), 0, false);
        for _ in 0..1000 {
            let lines = match has_rested && !waits_for_answer {
                true => (REST.as_micros() / gap.as_micros()).max(1),
                false => 1,
            };
            has_rested = pace.rests_after(line * usize::try_from(lines).unwrap(), now);
            rests += usize::from(has_rested);
            now += if has_rested { REST } else { gap };
        }
        rests
    }

    #[test]
    fn it_rests_where_much_is_written_in_small_pieces() {
        assert!(rests(100, Duration::from_micros(100), false) > 900);
        assert_eq!(rests(100_000, Duration::from_micros(100), false), 0);
    }

    #[test]
    fn it_does_not_rest_where_a_line_comes_now_and_then_or_is_waited_for() {
        assert_eq!(rests(100, Duration::from_millis(20), false), 0);
        let rested = rests(100, Duration::from_micros(100), true);
        assert!(rested < 50, "{rested}");
    }
}
