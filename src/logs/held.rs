//! Lines that wait for more of their message, as one text: joined they are a message without being copied once more, and each can still be
//! had alone.

use std::borrow::Cow;

use super::lines::trim;
use super::message::{Line, Message, Stream};

/// What stands between the lines of one message: a backslash and an `n`, which Datadog shows as a line break (spec: metrics-logs 4.5).
const SEPARATOR: &[u8] = b"\\n";

/// Lines of one message at most. The agent bounds bytes only; blank lines have none, and each line costs memory of its own.
const LINES_MAX: usize = 20_000;

/// Capacity that is kept for the next message. What a larger one took is given back.
const KEPT_BYTES_MAX: usize = 64 * 1024;

/// One line's place in the text.
#[derive(Clone, Copy, Debug)]
struct Place {
    end: usize,
    time_ms: u64,
    is_cut: bool,
    /// Whether the line itself has something in it.
    is_filled: bool,
}

/// The lines that are held, all of one place where they were written.
#[derive(Debug)]
pub(super) struct Held {
    text: Vec<u8>,
    places: Vec<Place>,
    stream: Stream,
    origin_tags: String,
}

impl Default for Held {
    fn default() -> Self {
        Self {
            text: Vec::new(),
            places: Vec::new(),
            stream: Stream::Stdout,
            origin_tags: String::new(),
        }
    }
}

impl Held {
    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// How many lines there are, blank ones included.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether all lines are blank.
    pub(super) fn is_blank(&self) -> bool {
        !self.places.iter().any(|place| place.is_filled)
    }

    /// Bytes of the lines with what stands between them.
    pub(super) fn bytes(&self) -> usize {
        self.text.len()
    }

    /// Whether no further line has room, however short it is.
    pub(super) fn is_full(&self) -> bool {
        self.len() >= LINES_MAX
    }

    /// Whether `line` can come in as well without reaching `bytes_max`.
    pub(super) fn has_room(&self, line: &Line<'_>, bytes_max: usize) -> bool {
        self.bytes() + SEPARATOR.len() + line.text.len() < bytes_max && !self.is_full()
    }

    /// Takes a line behind the others, and `before` in front of its text.
    pub(super) fn push(&mut self, line: &Line<'_>, before: &[u8]) {
        if self.is_empty() {
            self.stream = line.stream;
            // The usual lines have none, and to compare two empty texts costs more than the rest of this: their addresses are none, from which
            // the C library loads nothing under a mask, and that is slow.
            let are_same = match line.tags {
                "" => self.origin_tags.is_empty(),
                tags => self.origin_tags == tags,
            };
            if !are_same {
                self.origin_tags.clear();
                self.origin_tags.push_str(line.tags);
            }
        } else {
            self.text.extend_from_slice(SEPARATOR);
        }
        self.text.extend_from_slice(before);
        self.text.extend_from_slice(line.text);
        self.places.push(Place {
            end: self.text.len(),
            time_ms: line.time_ms,
            is_cut: line.is_cut,
            is_filled: !trim(line.text).is_empty(),
        });
    }

    /// Puts `text` behind the last line, as part of it.
    pub(super) fn extend_last(&mut self, text: &[u8]) {
        if let Some(place) = self.places.last_mut() {
            self.text.extend_from_slice(text);
            place.end = self.text.len();
        }
    }

    /// The line at `at`; nothing behind the last.
    pub(super) fn line(&self, at: usize) -> Option<Line<'_>> {
        let place = self.places.get(at)?;
        let start = self.start_of(at);
        Some(Line {
            text: self.text.get(start..place.end).unwrap_or_default(),
            stream: self.stream,
            time_ms: place.time_ms,
            tags: &self.origin_tags,
            is_cut: place.is_cut,
        })
    }

    /// All lines from that at `at` on.
    pub(super) fn lines_from(&self, at: usize) -> impl Iterator<Item = Line<'_>> {
        (at..self.len()).filter_map(|at| self.line(at))
    }

    fn start_of(&self, at: usize) -> usize {
        let before = at.checked_sub(1).and_then(|before| self.places.get(before));
        before.map_or(0, |place| place.end + SEPARATOR.len())
    }

    /// The first `len` lines as one message without white space and blank lines around it; nothing where all of them are blank.
    pub(super) fn message(&self, len: usize, tags: &'static [&'static str]) -> Option<Message<'_>> {
        let lines = self.places.get(..len)?;
        let is_blank = |at: usize| self.line(at).is_none_or(|line| trim(line.text).is_empty());
        let first = (0..len).find(|at| !is_blank(*at))?;
        let last = (first..len).rev().find(|at| !is_blank(*at))?;
        let end = lines.get(last)?.end;
        let text = trim(self.text.get(self.start_of(first)..end)?);
        let filled = lines.iter().filter(|place| place.is_filled).count();
        Some(Message {
            text: Cow::Borrowed(text),
            stream: self.stream,
            time_ms: lines.get(first)?.time_ms,
            origin_tags: Cow::Borrowed(&self.origin_tags),
            tags,
            source: None,
            lines: u32::try_from(filled).unwrap_or(u32::MAX),
            is_truncated: lines.iter().any(|place| place.is_cut),
        })
    }

    /// Forgets all lines.
    pub(super) fn clear(&mut self) {
        if self.text.capacity() > KEPT_BYTES_MAX {
            self.text = Vec::new();
            self.places = Vec::new();
        }
        self.text.clear();
        self.places.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::{Line, Stream};
    use super::Held;

    fn line(text: &'static str, time_ms: u64) -> Line<'static> {
        let stream = Stream::File;
        Line { text: text.as_bytes(), stream, time_ms, tags: "filename:a", is_cut: false }
    }

    #[test]
    fn lines_are_one_message_and_still_lines() {
        let mut held = Held::default();
        for (text, time_ms) in [("", 1), ("  a ", 2), (" ", 3), ("\tb ", 4), ("", 5)] {
            held.push(&line(text, time_ms), b"");
        }
        let message = held.message(held.len(), &["x"]).unwrap();
        assert_eq!(&*message.text, b"a \\n \\n\tb");
        assert_eq!((message.time_ms, message.lines), (2, 2));
        assert_eq!((&*message.origin_tags, message.tags), ("filename:a", &["x"][..]));
        let texts: Vec<&[u8]> = held.lines_from(1).map(|line| line.text).collect();
        assert_eq!(texts, [&b"  a "[..], b" ", b"\tb ", b""]);
        assert!(held.message(1, &[]).is_none(), "a blank line is no message");
        held.clear();
        assert!(held.is_empty() && held.line(0).is_none());
    }
}
