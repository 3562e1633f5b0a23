//! Lines out of bytes that come in pieces.
//!
//! A line comes as it is, blank ones too: later steps tell the lines of a stack trace by the white space before them, and take it off what is a
//! message. What is longer than a message may be comes in pieces that say so: each but the last ends with a mark, each but the first begins with
//! it.

use std::mem;

/// Bytes of a line at the most (the agent's `max_message_size_bytes`).
pub const LINE_BYTES_MAX: usize = 900_000;

/// What stands where a line was cut, as the agent has it.
pub const CUT_MARK: &[u8] = b"...TRUNCATED...";

/// Capacity that is kept for the beginnings of lines.
const KEPT_BYTES_MAX: usize = 16 * 1024;

/// Splits the bytes of one stream, or of one file.
#[derive(Debug)]
pub struct Splitter {
    line_bytes_max: usize,
    /// The beginning of a line whose end has not come yet; never longer than a line may be.
    begun: Vec<u8>,
    /// Whether the line that goes on was cut.
    is_cut: bool,
    /// A piece with its marks, for the time of a call.
    marked: Vec<u8>,
}

/// Where a piece of a line ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// Where the line does.
    Line,
    /// In the middle.
    Cut,
}

impl Splitter {
    /// A splitter for lines of at most `line_bytes_max` bytes, marks not counted; at least one byte.
    pub fn new(line_bytes_max: usize) -> Self {
        Self {
            line_bytes_max: line_bytes_max.max(1),
            begun: Vec::new(),
            is_cut: false,
            marked: Vec::new(),
        }
    }

    /// Takes the next bytes and gives each line that ends in them to `line`: its text without its end (`\n` or `\r\n`), and whether it is a piece of a
    /// line that was cut. A piece has no white space around it, and is never empty.
    pub fn bytes(&mut self, bytes: &[u8], line: &mut dyn FnMut(&[u8], bool)) {
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', bytes) {
            let text = bytes.get(start..end).unwrap_or_default();
            start = end + 1;
            if self.begun.is_empty() && text.len() <= self.line_bytes_max {
                self.whole(text, End::Line, line);
                continue;
            }
            self.begin(text, line);
            self.end_begun(End::Line, line);
        }
        self.begin(bytes.get(start..).unwrap_or_default(), line);
    }

    /// Bytes right here were lost: what has begun goes out as a cut line, and what comes next begins with the mark.
    pub fn gap(&mut self, line: &mut dyn FnMut(&[u8], bool)) {
        self.end_begun(End::Cut, line);
    }

    /// The stream has ended, or is not waited for: gives what has no line feed yet.
    pub fn finish(&mut self, line: &mut dyn FnMut(&[u8], bool)) {
        if !self.begun.is_empty() {
            self.end_begun(End::Line, line);
        }
    }

    /// Bytes that are held: the beginning of a line.
    pub fn held_bytes(&self) -> usize {
        self.begun.len()
    }

    /// Takes bytes of a line that goes on, and cuts it where it is too long.
    fn begin(&mut self, mut text: &[u8], line: &mut dyn FnMut(&[u8], bool)) {
        while self.begun.len() + text.len() > self.line_bytes_max {
            let (fits, rest) = text.split_at(self.line_bytes_max - self.begun.len());
            self.begun.extend_from_slice(fits);
            let kept = char_start(&self.begun);
            let over = self.begun.split_off(kept);
            self.end_begun(End::Cut, line);
            self.begun = over;
            text = rest;
        }
        self.begun.extend_from_slice(text);
    }

    fn end_begun(&mut self, end: End, line: &mut dyn FnMut(&[u8], bool)) {
        let mut begun = mem::take(&mut self.begun);
        self.whole(&begun, end, line);
        begun.clear();
        // One long line should not hold its memory for ever.
        begun.shrink_to(KEPT_BYTES_MAX);
        self.begun = begun;
    }

    /// Gives a line, or the piece of one, with its marks.
    fn whole(&mut self, text: &[u8], end: End, line: &mut dyn FnMut(&[u8], bool)) {
        let was_cut = mem::replace(&mut self.is_cut, end == End::Cut);
        if !was_cut && !self.is_cut {
            line(text.strip_suffix(b"\r").unwrap_or(text), false);
            return;
        }
        let text = trim(text);
        if text.is_empty() {
            return;
        }
        self.marked.clear();
        if was_cut {
            self.marked.extend_from_slice(CUT_MARK);
        }
        self.marked.extend_from_slice(text);
        if self.is_cut {
            self.marked.extend_from_slice(CUT_MARK);
        }
        line(&self.marked, true);
        self.marked.shrink_to(KEPT_BYTES_MAX);
    }
}

/// Where to cut so that no character of UTF-8 is cut: at the end, or at the start of the character that is not complete there. Never at 0.
fn char_start(bytes: &[u8]) -> usize {
    let tail = bytes.get(bytes.len().saturating_sub(4)..).unwrap_or_default();
    let Some(back) = tail.iter().rev().position(|byte| byte & 0b1100_0000 != 0b1000_0000) else {
        return bytes.len();
    };
    let at = bytes.len() - 1 - back;
    let is_whole = bytes.get(at..).is_none_or(|last| match std::str::from_utf8(last) {
        Ok(_) => true,
        Err(error) => error.error_len().is_some(),
    });
    if is_whole || at == 0 { bytes.len() } else { at }
}

/// The text without white space around it: that of ASCII, the vertical tab included, and of Unicode.
#[inline]
pub fn trim(text: &[u8]) -> &[u8] {
    match (text.first(), text.last()) {
        (Some(first), Some(last)) if first.is_ascii_graphic() && last.is_ascii_graphic() => text,
        _ => trim_all(text),
    }
}

fn trim_all(text: &[u8]) -> &[u8] {
    let is_space = |byte: &u8| byte.is_ascii_whitespace() || *byte == b'\x0b';
    let start = text.iter().position(|byte| !is_space(byte)).unwrap_or(text.len());
    let end = text.iter().rposition(|byte| !is_space(byte)).map_or(start, |last| last + 1);
    let text = text.get(start..end).unwrap_or_default();
    let is_wide = |byte: Option<&u8>| byte.is_some_and(|byte| !byte.is_ascii());
    match is_wide(text.first()) || is_wide(text.last()) {
        true => std::str::from_utf8(text).map_or(text, |text| text.trim().as_bytes()),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Just, Strategy, any, prop_assert_eq, prop_oneof, proptest};

    use super::{CUT_MARK, Splitter, trim};

    /// What comes out of these pieces, without white space around it, with a mark where a line was cut, and at the end.
    fn split(limit: usize, pieces: &[&[u8]]) -> Vec<String> {
        let (mut splitter, mut lines) = (Splitter::new(limit), Vec::new());
        let mut line = |text: &[u8], is_cut: bool| {
            let text = String::from_utf8_lossy(trim(text)).replace("...TRUNCATED...", "~");
            assert_eq!(text.contains('~'), is_cut, "{text}");
            lines.extend((!text.is_empty()).then_some(text));
        };
        for piece in pieces {
            splitter.bytes(piece, &mut line);
            assert!(splitter.held_bytes() <= limit);
        }
        splitter.finish(&mut line);
        lines
    }

    #[test]
    fn lines_end_at_line_feeds_wherever_the_pieces_end() {
        assert_eq!(split(100, &[b"a\nb\n"]), ["a", "b"]);
        assert_eq!(split(100, &[b"a", b"b\nc", b"\n", b"\n"]), ["ab", "c"]);
        assert_eq!(split(100, &[b"a\n unfinished"]), ["a", "unfinished"]);
        assert_eq!(split(100, &[b"\r\n \t\x0b\n\n  a b \r\n"]), ["a b"]);
        assert_eq!(split(100, &["\u{a0}\u{2003}ä\u{3000}\n".as_bytes()]), ["ä"]);
        assert_eq!(split(100, &[b"\xff x \xfe\n"]), ["\u{fffd} x \u{fffd}"]);
    }

    #[test]
    fn white_space_around_lines_and_blank_lines_are_kept() {
        let (mut splitter, mut lines) = (Splitter::new(100), Vec::new());
        let mut line = |text: &[u8], _| lines.push(String::from_utf8_lossy(text).into_owned());
        splitter.bytes(b"a\r\n\tat b \n\n  c", &mut line);
        splitter.finish(&mut line);
        assert_eq!(lines, ["a", "\tat b ", "", "  c"]);
    }

    #[test]
    fn a_long_line_is_cut_and_says_so_on_both_sides() {
        assert_eq!(split(4, &[b"abcd\n"]), ["abcd"]);
        assert_eq!(split(4, &[b"abcde\nf\n"]), ["abcd~", "~e", "f"]);
        assert_eq!(split(4, &[b"abc", b"defghi\nj"]), ["abcd~", "~efgh~", "~i", "j"]);
        assert_eq!(split(4, &[b"abcdefgh\n"]), ["abcd~", "~efgh"]);
        assert_eq!(split(4, &[b"abcd    e\n"]), ["abcd~", "~e"], "a piece of nothing but spaces");
    }

    #[test]
    fn a_character_is_not_cut() {
        assert_eq!(split(4, &["abcü\n".as_bytes()]), ["abc~", "~ü"]);
        assert_eq!(split(4, &["ab\u{20ac}\n".as_bytes()]), ["ab~", "~\u{20ac}"]);
        assert_eq!(split(4, &["\u{1f600}\u{1f600}\n".as_bytes()]), ["\u{1f600}~", "~\u{1f600}"]);
        assert_eq!(split(1, &["ü\n".as_bytes()]), ["\u{fffd}~", "~\u{fffd}"]);
        assert_eq!(split(4, &[b"\x80\x80\x80\x80\x80\n"]).len(), 2);
    }

    #[test]
    fn a_gap_is_marked_on_both_sides() {
        let (mut splitter, mut lines) = (Splitter::new(100), Vec::new());
        let mut line = |text: &[u8], is_cut| lines.push((text.to_vec(), is_cut));
        splitter.bytes(b"a\nbeg", &mut line);
        splitter.gap(&mut line);
        splitter.bytes(b"inning\nc\n", &mut line);
        splitter.gap(&mut line);
        splitter.bytes(b"d\n", &mut line);
        let cut = |text: &[u8]| (text.to_vec(), true);
        let expect = [
            (b"a".to_vec(), false),
            cut(b"beg...TRUNCATED..."),
            cut(b"...TRUNCATED...inning"),
            (b"c".to_vec(), false),
            cut(b"...TRUNCATED...d"),
        ];
        assert_eq!(lines, expect);
    }

    /// Bytes as apps write them, with much of what matters here.
    fn piece() -> impl Strategy<Value = Vec<u8>> {
        let byte =
            prop_oneof![3 => Just(b'\n'), 2 => Just(b' '), 8 => Just(b'x'), 2 => any::<u8>()];
        proptest::collection::vec(byte, 0..40)
    }

    proptest! {
        #[test]
        fn nothing_but_white_space_and_line_feeds_is_lost(
            pieces in proptest::collection::vec(piece(), 0..8),
            limit in 1_usize..30,
        ) {
            let (mut splitter, mut together) = (Splitter::new(limit), Vec::new());
            let mut line = |text: &[u8], is_cut: bool| {
                assert!(!text.contains(&b'\n') && (!is_cut || trim(text) == text));
                let text = if is_cut { text.strip_prefix(CUT_MARK).unwrap_or(text) } else { text };
                let text = if is_cut { text.strip_suffix(CUT_MARK).unwrap_or(text) } else { text };
                assert!(text.len() <= limit);
                together.extend_from_slice(text);
            };
            pieces.iter().for_each(|piece| splitter.bytes(piece, &mut line));
            splitter.finish(&mut line);
            let kept = |bytes: &[u8]| -> Vec<u8> {
                bytes.iter().copied().filter(|b| !b.is_ascii_whitespace() && *b != b'\x0b').collect()
            };
            prop_assert_eq!(kept(&together), kept(&pieces.concat()));
        }
    }
}
