//! What is said about lines that can't be read: the first of them, and how many there were.

use super::parse::Wrong;

/// Seconds from one line to the next.
const EVERY_S: u64 = 60;

/// Characters of a line that are shown.
const SHOWN: usize = 60;

/// What is wrong since the last time it was said.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    count: u64,
    first: Option<(String, Wrong)>,
    next_s: u64,
}

impl Complaints {
    /// Notes a line. The first one is kept to be shown.
    pub(super) fn line(&mut self, line: &str, wrong: Wrong) {
        self.count += 1;
        if self.first.is_none() {
            self.first = Some((line.chars().take(SHOWN).collect(), wrong));
        }
    }

    /// What there is to say at `now_s`, seconds.
    pub(super) fn due(&mut self, now_s: u64) -> Option<String> {
        // A clock that was put back does not silence it for longer than its time.
        if self.count == 0 || now_s < self.next_s && self.next_s - now_s <= EVERY_S {
            return None;
        }
        self.next_s = now_s + EVERY_S;
        let count = std::mem::take(&mut self.count);
        let (line, wrong) = self.first.take()?;
        let more = if count > 1 { format!(", and {} more", count - 1) } else { String::new() };
        Some(format!("a DogStatsD line was rejected, {line:?}: {wrong}{more}"))
    }
}

#[cfg(test)]
mod tests {
    use super::{Complaints, Wrong};

    #[test]
    fn one_line_a_minute_with_the_first_and_the_count() {
        let mut complaints = Complaints::default();
        assert_eq!(complaints.due(1000), None);
        complaints.line("a:1\u{1b}", Wrong::NoType);
        let line = "a DogStatsD line was rejected, \"a:1\\u{1b}\": there is no type after a |";
        assert_eq!(complaints.due(1000).unwrap(), line);
        complaints.line("é".repeat(500).as_str(), Wrong::NoType);
        complaints.line("c", Wrong::NoType);
        assert_eq!(complaints.due(1059), None);
        let line = complaints.due(1060).unwrap();
        assert!(line.contains(&"é".repeat(60)) && !line.contains(&"é".repeat(61)), "{line}");
        assert!(line.ends_with(", and 1 more"), "{line}");
        assert_eq!(complaints.due(2000), None);
        complaints.line("d", Wrong::NoType);
        assert!(complaints.due(500).is_some());
    }
}
