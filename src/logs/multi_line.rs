//! Lines that belong together by a pattern of the user's: one that matches begins a message, and those behind it are part of it until the next
//! one that matches (rules of the type `multi_line`, spec: metrics-logs 4.5).

use std::sync::Arc;

use super::held::Held;
use super::lines::{CUT_MARK, trim};
use super::message::{Line, Message};
use crate::pattern::Pattern;

/// The settings, by their names in the agent below `DD_LOGS_CONFIG_`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `MAX_MESSAGE_SIZE_BYTES`, 900,000: a message that reaches this is cut.
    pub message_bytes_max: usize,
    /// `AGGREGATION_TIMEOUT`, 1,000 ms: how long lines wait for the next one.
    pub wait_ms: u64,
    /// `TAG_MULTI_LINE_LOGS`, true: a message of several lines has the tag `multiline:multi_line`.
    pub tags_multi_line: bool,
    /// `TAG_TRUNCATED_LOGS`, true: a message that was cut has the tag `truncated:multiline_regex`.
    pub tags_truncated: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            message_bytes_max: 900_000,
            wait_ms: 1000,
            tags_multi_line: true,
            tags_truncated: true,
        }
    }
}

/// The lines of one place where lines are written.
#[derive(Debug)]
pub struct MultiLine {
    pattern: Arc<Pattern>,
    settings: Settings,
    held: Held,
    /// Whether the pattern has matched once. Until then each line is a message: a wrong pattern must not join everything.
    has_matched: bool,
    /// Whether the message before was cut, so that the next line goes on with it.
    is_behind_cut: bool,
    is_cut: bool,
    due_ms: u64,
}

impl MultiLine {
    /// For one place.
    pub fn new(pattern: &Arc<Pattern>, settings: Settings) -> Self {
        Self {
            pattern: Arc::clone(pattern),
            settings,
            held: Held::default(),
            has_matched: false,
            is_behind_cut: false,
            is_cut: false,
            due_ms: 0,
        }
    }

    /// Takes the next line, blank ones too. Messages go to `out` as soon as they are whole.
    pub fn line(&mut self, line: Line<'_>, now_ms: u64, out: &mut dyn FnMut(Message<'_>)) {
        self.due_ms = now_ms.saturating_add(self.settings.wait_ms);
        let is_first = self.pattern.is_in(&String::from_utf8_lossy(line.text));
        self.has_matched |= is_first;
        if is_first || !self.has_matched {
            self.give(out);
        }
        // A mark on nothing would be a message that nobody wrote.
        let is_marked = self.is_behind_cut && !trim(line.text).is_empty();
        self.held.push(&line, if is_marked { CUT_MARK } else { b"" });
        self.is_behind_cut &= !is_marked;
        self.is_cut |= is_marked;
        if self.held.bytes() >= self.settings.message_bytes_max || self.held.is_full() {
            if self.held.is_blank() {
                return self.held.clear();
            }
            self.held.extend_last(CUT_MARK);
            self.is_cut = true;
            self.give(out);
            self.is_behind_cut = true;
        }
    }

    /// When [`MultiLine::tick`] has to be called; nothing while no line is held.
    pub fn due_ms(&self) -> Option<u64> {
        (!self.held.is_empty()).then_some(self.due_ms)
    }

    /// Gives out what has waited for long enough.
    pub fn tick(&mut self, now_ms: u64, out: &mut dyn FnMut(Message<'_>)) {
        if self.due_ms().is_some_and(|due_ms| due_ms <= now_ms) {
            self.flush(out);
        }
    }

    /// Gives out all that is held: no more lines will come, or not in time.
    pub fn flush(&mut self, out: &mut dyn FnMut(Message<'_>)) {
        self.give(out);
        self.is_behind_cut = false;
    }

    fn give(&mut self, out: &mut dyn FnMut(Message<'_>)) {
        let is_cut = std::mem::take(&mut self.is_cut);
        if let Some(mut message) = self.held.message(self.held.len(), &[]) {
            let tags_lines = self.settings.tags_multi_line && message.lines > 1;
            message.tags = match (is_cut && self.settings.tags_truncated, tags_lines) {
                (true, true) => &["truncated:multiline_regex", "multiline:multi_line"],
                (true, false) => &["truncated:multiline_regex"],
                (false, true) => &["multiline:multi_line"],
                (false, false) => &[],
            };
            // Only what is cut here counts: the agent does not look at whether a line was cut before.
            message.is_truncated = is_cut;
            out(message);
        }
        self.held.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::{prop_assert_eq, proptest};

    use super::super::message::{Line, Stream};
    use super::{MultiLine, Settings};
    use crate::pattern::Pattern;

    fn multi_line(pattern: &str, message_bytes_max: usize) -> MultiLine {
        let pattern = Arc::new(Pattern::new(&format!("^{pattern}")).unwrap());
        MultiLine::new(&pattern, Settings { message_bytes_max, ..Settings::default() })
    }

    fn line(text: &str, time_ms: u64) -> Line<'_> {
        Line { text: text.as_bytes(), stream: Stream::Stdout, time_ms, tags: "", is_cut: false }
    }

    fn run(multi_line: &mut MultiLine, input: &str) -> Vec<String> {
        let mut messages = Vec::new();
        let mut out = |message: super::Message<'_>| {
            let text = String::from_utf8_lossy(&message.text).into_owned();
            messages.push(format!("{text} x{} {}", message.lines, message.tags.join(" ")));
        };
        for (text, now_ms) in input.split('\n').zip(1..) {
            multi_line.line(line(text, now_ms), now_ms, &mut out);
        }
        multi_line.flush(&mut out);
        messages
    }

    #[test]
    fn a_line_that_matches_begins_a_message() {
        let messages = run(&mut multi_line("[0-9]", 100), "a\n b\n1 c\n  d\n\ne \n2\n3 f\ng");
        assert_eq!(
            messages,
            [
                "a x1 ",
                "b x1 ",
                "1 c\\n  d\\n\\ne x3 multiline:multi_line",
                "2 x1 ",
                "3 f\\ng x2 multiline:multi_line",
            ]
        );
    }

    #[test]
    fn what_is_too_long_is_cut_and_marked_on_both_sides() {
        let messages = run(&mut multi_line("1", 8), "1234\n567\n8\n9\n1");
        assert_eq!(
            messages,
            [
                "1234\\n567...TRUNCATED... x2 truncated:multiline_regex multiline:multi_line",
                "...TRUNCATED...8...TRUNCATED... x1 truncated:multiline_regex",
                "...TRUNCATED...9...TRUNCATED... x1 truncated:multiline_regex",
                "...TRUNCATED...1...TRUNCATED... x1 truncated:multiline_regex",
            ]
        );
    }

    #[test]
    fn blank_lines_get_no_marks() {
        let messages = run(&mut multi_line("1", 8), "12345678\n\n \na\n1\n\n\n\n\n\n");
        assert_eq!(
            messages,
            [
                "12345678...TRUNCATED... x1 truncated:multiline_regex",
                "...TRUNCATED...a...TRUNCATED... x1 truncated:multiline_regex",
                "...TRUNCATED...1...TRUNCATED... x1 truncated:multiline_regex",
            ]
        );
    }

    #[test]
    fn what_waits_is_given_out_in_time() {
        let mut multi_line = multi_line("1", 100);
        let mut count = 0;
        assert_eq!(multi_line.due_ms(), None);
        multi_line.line(line("1", 5), 10, &mut |_| count += 1);
        assert_eq!(multi_line.due_ms(), Some(1010));
        multi_line.line(line("2", 6), 500, &mut |_| count += 1);
        multi_line.tick(1499, &mut |_| count += 1);
        assert_eq!(count, 0);
        let mut seen = Vec::new();
        multi_line.tick(1500, &mut |message| seen.push((message.text.to_vec(), message.time_ms)));
        assert_eq!(seen, [(b"1\\n2".to_vec(), 5)]);
        assert_eq!(multi_line.due_ms(), None);
    }

    proptest! {
        /// Every line comes out once and in its order, whatever is joined.
        #[test]
        fn no_line_is_lost(lines in proptest::collection::vec("[a-c1]{1,5}", 0..40)) {
            let input = lines.join("\n");
            let messages = run(&mut multi_line("1", 1000), &input);
            let texts = messages.iter().map(|message| message.rsplit_once(" x").unwrap().0);
            let came: Vec<&str> = texts.flat_map(|text| text.split("\\n")).collect();
            let expect: Vec<&str> = input.split('\n').filter(|line| !line.is_empty()).collect();
            prop_assert_eq!(came, expect);
        }
    }
}
