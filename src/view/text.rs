//! Text in terminal columns: widths, cutting, durations, colours.

use std::borrow::Cow;
use std::fmt::Write;

use crate::log;

/// Columns that `c` takes at most. What some terminals draw wide counts as wide, so that a line may be shorter than counted but not longer.
pub(super) fn char_columns(c: char) -> usize {
    match u32::from(c) {
        0x20..=0x7e => 1,
        0x17d8 => 3,
        // Combining marks that every terminal draws over the letter before, and joiners.
        0x300..=0x36f | 0x200b..=0x200d | 0xfe00..=0xfe0e => 0,
        // The mark that makes an emoji of a symbol widens what is before it.
        0xfe0f => 1,
        // Clocks, weather, hands and other signs that are emoji by themselves.
        0x231a
        | 0x231b
        | 0x2329
        | 0x232a
        | 0x23e9..=0x23f3
        | 0x25fd
        | 0x25fe
        | 0x2614
        | 0x2615
        | 0x2630..=0x2637 => 2,
        0x2648..=0x2653
        | 0x267f
        | 0x268a..=0x2693
        | 0x26a1
        | 0x26aa..=0x26ce
        | 0x26d4..=0x26fd
        | 0x2705..=0x270b => 2,
        0x2728
        | 0x274c..=0x2757
        | 0x2795..=0x2797
        | 0x27b0
        | 0x27bf
        | 0x2b1b
        | 0x2b1c
        | 0x2b50
        | 0x2b55 => 2,
        // Hangul, a letter of Khmer, CJK with its punctuation, full width forms, pictographs.
        0x1100..=0x11ff
        | 0x17a4
        | 0x2e80..=0xa4cf
        | 0xa960..=0xa97f
        | 0xac00..=0xd7ff
        | 0xf900..=0xfaff => 2,
        0xfdfa..=0xfdff | 0xfe10..=0xfe6f | 0xff00..=0xffef | 0x1_6000..=0x10_ffff => 2,
        _ => 1,
    }
}

/// Columns that `text` takes at most.
pub(super) fn columns(text: &str) -> usize {
    text.chars().map(char_columns).sum()
}

/// `text` in at most `most` columns, with `…` for what was cut.
pub(super) fn cut(text: &str, most: usize) -> Cow<'_, str> {
    if columns(text) <= most {
        return Cow::Borrowed(text);
    }
    let (mut out, mut used) = (String::new(), 1);
    for c in text.chars() {
        used += char_columns(c);
        if used > most {
            break;
        }
        out.push(c);
    }
    if most > 0 {
        out.truncate(out.trim_end().len());
        out.push('…');
    }
    Cow::Owned(out)
}

/// At most `chars_max` characters of `text` for one line: runs of white space as one space, none at the ends, other control characters escaped.
pub(super) fn clean(text: &str, chars_max: usize) -> String {
    let mut out = String::new();
    let mut left = chars_max;
    for word in text.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        let end = word.char_indices().nth(left).map_or(word.len(), |(at, _)| at);
        log::escape(&mut out, word.get(..end).unwrap_or(word));
        left = left.saturating_sub(word.chars().count() + 1);
        if left == 0 {
            break;
        }
    }
    out
}

/// `text` broken at spaces into lines of at most `most` columns; the last of `lines_max` lines is cut.
pub(super) fn wrap(text: &str, most: usize, lines_max: usize) -> Vec<String> {
    let (mut lines, mut rest) = (Vec::new(), text);
    while columns(rest) > most && lines.len() + 1 < lines_max {
        let mut used = 0;
        let fits = |&(_, c): &(usize, char)| {
            used += char_columns(c);
            used <= most
        };
        let end =
            rest.char_indices().take_while(fits).last().map_or(0, |(at, c)| at + c.len_utf8());
        let Some((head, tail)) = rest.split_at_checked(end).filter(|_| end > 0) else { break };
        // A space near the end is better than a cut word, one far from it wastes the line.
        let before = head.rfind(' ').filter(|&at| at > end / 2 && !tail.starts_with(' '));
        let at = before.unwrap_or(end);
        let (line, after) = rest.split_at_checked(at).unwrap_or((rest, ""));
        lines.push(line.to_owned());
        rest = after.trim_start();
    }
    lines.push(cut(rest, most).into_owned());
    lines
}

/// A duration in at most seven columns: three digits and a unit, from a minute on two units, from a hundred hours days.
pub(super) fn duration(ns: u64) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    // The bounds are those at which three digits round up to the next unit.
    let scaled = |unit: f64, name: &str| {
        let value = ns as f64 / unit;
        let decimals = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
        format!("{value:.decimals$} {name}")
    };
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..999_500 => scaled(1e3, "µs"),
        999_500..999_500_000 => scaled(1e6, "ms"),
        999_500_000..59_950_000_000 => scaled(1e9, "s"),
        _ => {
            let seconds = ns / 1_000_000_000 + u64::from(ns % 1_000_000_000 >= 500_000_000);
            match seconds {
                0..HOUR => format!("{}m {:02}s", seconds / MINUTE, seconds % MINUTE),
                HOUR..360_000 => format!("{}h {:02}m", seconds / HOUR, seconds % HOUR / MINUTE),
                _ => format!("{}d", seconds / HOUR / 24),
            }
        }
    }
}

/// How a piece of text looks on a terminal with colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Dim,
    Bold,
    /// What failed.
    Bad,
    /// A client's mistake, such as 404.
    Odd,
    /// The colour of a service, by its place of first appearance in the trace.
    Service(usize),
}

impl Style {
    fn code(self) -> &'static str {
        const SERVICES: [&str; 6] = ["36", "32", "34", "35", "96", "92"];
        match self {
            Self::Plain => "",
            Self::Dim => "2",
            Self::Bold => "1",
            Self::Bad => "31",
            Self::Odd => "33",
            Self::Service(place) => {
                SERVICES.get(place % SERVICES.len()).copied().unwrap_or_default()
            }
        }
    }
}

/// One line in the making, which knows how many columns it has.
pub(super) struct Line {
    text: String,
    columns: usize,
    colour: bool,
}

impl Line {
    pub(super) fn new(colour: bool) -> Self {
        Self { text: String::new(), columns: 0, colour }
    }

    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    /// Appends `text`, which has no control characters.
    pub(super) fn push(&mut self, style: Style, text: &str) {
        self.columns += columns(text);
        let code = style.code();
        if self.colour && !code.is_empty() && !text.trim().is_empty() {
            // Writing to a String does not fail.
            write!(self.text, "\x1b[{code}m{text}\x1b[0m").unwrap_or_default();
        } else {
            self.text.push_str(text);
        }
    }

    /// Appends spaces up to column `to`.
    pub(super) fn pad(&mut self, to: usize) {
        let spaces = to.saturating_sub(self.columns);
        self.text.extend(std::iter::repeat_n(' ', spaces));
        self.columns += spaces;
    }

    /// Ends the line, without spaces at its end, and appends it to `out`.
    pub(super) fn end(self, out: &mut String) {
        out.push_str(self.text.trim_end_matches(' '));
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{char_columns, clean, columns, cut, duration, wrap};

    #[test]
    fn durations_are_three_digits_and_a_unit() {
        for (ns, expect) in [
            (0, "0 ns"),
            (999, "999 ns"),
            (1_000, "1.00 µs"),
            (12_345, "12.3 µs"),
            (999_499, "999 µs"),
            (999_500, "1.00 ms"),
            (9_994_999, "9.99 ms"),
            (9_995_000, "10.0 ms"),
            (12_360_000, "12.4 ms"),
            (999_499_999, "999 ms"),
            (999_500_000, "1.00 s"),
            (59_900_000_000, "59.9 s"),
            (59_950_000_000, "1m 00s"),
            (125_400_000_000, "2m 05s"),
            (3_599_600_000_000, "1h 00m"),
            (11_220_000_000_000, "3h 07m"),
            (359_999_000_000_000, "99h 59m"),
            (360_000_000_000_000, "4d"),
            (u64::MAX, "213503d"),
        ] {
            assert_eq!(duration(ns), expect, "{ns}");
        }
    }

    #[test]
    fn text_is_cut_by_columns() {
        for (text, most, expect) in [
            ("abc", 3, "abc"),
            ("abcd", 3, "ab…"),
            ("ab cd", 4, "ab…"),
            ("漢字漢字", 8, "漢字漢字"),
            ("漢字漢字", 7, "漢字漢…"),
            ("漢字漢字", 6, "漢字…"),
            ("e\u{301}e\u{301}e\u{301}", 2, "e\u{301}…"),
            ("a", 0, ""),
            ("ab", 1, "…"),
        ] {
            assert_eq!(cut(text, most), expect, "{text:?} {most}");
        }
    }

    #[test]
    fn text_of_a_span_becomes_one_harmless_line() {
        assert_eq!(clean("SELECT *\n\t  FROM a\r\n", 100), "SELECT * FROM a");
        assert_eq!(clean("a\x1b[2J\u{9b}b\u{202e}c\0", 100), "a\\u{1b}[2J\\u{9b}b\\u{202e}c\\u{0}");
        assert_eq!(clean("one two three", 5), "one t");
        assert_eq!(clean("  ", 5), "");
    }

    #[test]
    fn long_text_is_broken_at_spaces_and_then_cut() {
        assert_eq!(wrap("short", 10, 3), ["short"]);
        assert_eq!(wrap("one two three four", 10, 3), ["one two", "three four"]);
        assert_eq!(wrap("one two three four", 10, 1), ["one two t…"]);
        assert_eq!(wrap("aaaaaaaaaaaaaaa b", 10, 3), ["aaaaaaaaaa", "aaaaa b"]);
        assert_eq!(wrap("漢字漢字漢字", 5, 9), ["漢字", "漢字", "漢字"]);
        assert_eq!(wrap("漢字", 1, 9), ["…"]);
    }

    #[test]
    fn no_character_is_wider_than_counted() {
        use unicode_width::UnicodeWidthChar;
        let wider = |c: &char| char_columns(*c) < c.width().unwrap_or(0);
        let wider: Vec<String> =
            ('\0'..=char::MAX).filter(wider).map(|c| format!("U+{:04X}", u32::from(c))).collect();
        assert!(wider.is_empty(), "{wider:?}");
    }

    proptest! {
        #[test]
        fn cut_and_broken_text_fits(text in ".{0,60}", most in 0_usize..30, lines in 1_usize..5) {
            prop_assert!(columns(&cut(&text, most)) <= most);
            let broken = wrap(&text, most, lines);
            prop_assert!(broken.len() <= lines);
            prop_assert!(broken.iter().all(|line| columns(line) <= most));
        }

        #[test]
        fn clean_text_has_no_control_characters(text in any::<String>()) {
            prop_assert!(!clean(&text, 100).chars().any(char::is_control));
        }
    }
}
