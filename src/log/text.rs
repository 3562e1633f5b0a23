//! How a line looks.

use std::fmt::{self, Write};

use crate::limits::LOG_LINE_BYTES_MAX;

/// Copies `text` to `into` with control characters as escapes (`\n`, `\u{1b}`), so that no value can end a line or steer a terminal. Marks
/// that turn the direction of writing are escaped too.
pub fn escape(into: &mut String, text: &str) {
    for c in text.chars() {
        let steers = c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if steers {
            into.extend(c.escape_default());
        } else {
            into.push(c);
        }
    }
}

const DIM: &str = "\x1b[2m";
const RED: &str = "\x1b[31m";
const YELLOW: &str = "\x1b[33m";
const PLAIN: &str = "\x1b[0m";

/// One line in the making.
pub(super) struct Line {
    text: String,
    colour: bool,
}

impl Line {
    pub(super) fn new(colour: bool) -> Self {
        let mut line = Self { text: String::with_capacity(160), colour };
        line.paint(DIM, "pillion:");
        line.text.push(' ');
        line
    }

    /// Text of our own, in a colour where there are colours.
    fn paint(&mut self, colour: &str, text: &str) {
        if self.colour {
            self.text.extend([colour, text, PLAIN]);
        } else {
            self.text.push_str(text);
        }
    }

    /// The word for the level, where it has one.
    pub(super) fn level(&mut self, level: tracing::Level, verbose: bool) {
        match level {
            tracing::Level::ERROR => self.paint(RED, "error: "),
            tracing::Level::WARN => self.paint(YELLOW, "warning: "),
            tracing::Level::INFO if verbose => self.paint(DIM, "info: "),
            tracing::Level::DEBUG => self.paint(DIM, "debug: "),
            tracing::Level::TRACE => self.paint(DIM, "trace: "),
            _ => {}
        }
    }

    /// The time of day in UTC, to the millisecond.
    pub(super) fn time(&mut self, since_1970: std::time::Duration) {
        let (seconds, millis) = (since_1970.as_secs() % 86_400, since_1970.subsec_millis());
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
        self.paint(DIM, &format!("{hours:02}:{minutes:02}:{:02}.{millis:03} ", seconds % 60));
    }

    pub(super) fn push(&mut self, text: &str) {
        escape(&mut self.text, text);
    }

    pub(super) fn push_args(&mut self, args: &dyn fmt::Debug) {
        // What fails is a `Debug` of its own accord; the line then ends there.
        write!(self, "{args:?}").unwrap_or_default();
    }

    /// ` key=value`.
    pub(super) fn field(&mut self, key: &str, value: &dyn fmt::Debug) {
        self.text.push(' ');
        self.push(key);
        self.text.push('=');
        self.push_args(value);
    }

    /// The bytes to write: cut to what one write takes, with a line feed.
    pub(super) fn finish(mut self) -> Vec<u8> {
        const MORE: &str = "…";
        if self.text.len() >= LOG_LINE_BYTES_MAX {
            let mut end = LOG_LINE_BYTES_MAX - MORE.len() - 1;
            while !self.text.is_char_boundary(end) {
                end -= 1;
            }
            self.text.truncate(end);
            self.text.push_str(MORE);
        }
        self.text.push('\n');
        self.text.into_bytes()
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Line;
    use crate::limits::LOG_LINE_BYTES_MAX;

    fn finish(line: Line) -> String {
        String::from_utf8(line.finish()).unwrap()
    }

    #[test]
    fn a_line_has_its_level_its_message_and_its_fields() {
        let mut line = Line::new(false);
        line.level(tracing::Level::WARN, false);
        line.push("port in use");
        line.field("port", &8126);
        line.field("host", &"a b");
        assert_eq!(finish(line), "pillion: warning: port in use port=8126 host=\"a b\"\n");
    }

    #[test]
    fn info_has_no_word_unless_there_are_debug_lines_too() {
        let mut line = Line::new(false);
        line.level(tracing::Level::INFO, false);
        line.push("started");
        assert_eq!(finish(line), "pillion: started\n");
        let mut line = Line::new(false);
        line.time(Duration::from_millis(86_400_000 * 3 + 3_723_004));
        line.level(tracing::Level::INFO, true);
        line.push("started");
        assert_eq!(finish(line), "pillion: 01:02:03.004 info: started\n");
    }

    #[test]
    fn no_value_can_steer_the_terminal_or_end_the_line() {
        let mut line = Line::new(false);
        line.push("a\nb\x1b[31mc\u{9b}d\u{202e}e é 漢");
        assert_eq!(finish(line), "pillion: a\\nb\\u{1b}[31mc\\u{9b}d\\u{202e}e é 漢\n");
    }

    #[test]
    fn colours_are_of_our_own_words_alone() {
        let mut line = Line::new(true);
        line.level(tracing::Level::ERROR, false);
        line.push("x\x1b[1m");
        assert_eq!(finish(line), "\x1b[2mpillion:\x1b[0m \x1b[31merror: \x1b[0mx\\u{1b}[1m\n");
    }

    #[test]
    fn a_long_line_is_cut_between_characters_to_what_one_write_takes() {
        for lead in 0..4 {
            let mut line = Line::new(false);
            line.push(&format!("{}{}", "a".repeat(lead), "漢".repeat(3000)));
            let text = finish(line);
            assert!(text.ends_with("漢…\n"), "{lead}");
            assert!(
                text.len() <= LOG_LINE_BYTES_MAX && text.len() > LOG_LINE_BYTES_MAX - 4,
                "{}",
                text.len()
            );
        }
    }
}
