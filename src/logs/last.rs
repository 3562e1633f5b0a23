//! The last lines of the app, for the report of its death: those of its standard error, or of its standard output where it never wrote to the former.

use super::message::Stream;

/// Bytes of them at the most.
const BYTES_MAX: usize = 8 * 1024;

/// Lines of them at the most.
const LINES_MAX: usize = 20;

/// Keeps the end of what goes through. It costs a copy for each message of the stream that is kept.
#[derive(Debug, Default)]
pub(super) struct Last {
    /// At most twice what is wanted, so that the beginning is seldom cut off.
    text: Vec<u8>,
    is_stderr: bool,
}

impl Last {
    /// A message that is shipped goes by.
    pub(super) fn see(&mut self, text: &[u8], stream: Stream) {
        match stream {
            Stream::File => return,
            Stream::Stdout if self.is_stderr => return,
            Stream::Stderr if !self.is_stderr => {
                self.is_stderr = true;
                self.text.clear();
            }
            Stream::Stdout | Stream::Stderr => {}
        }
        let end = text.get(text.len().saturating_sub(BYTES_MAX)..).unwrap_or_default();
        if self.text.len() + end.len() >= 2 * BYTES_MAX {
            let cut = self.text.len().saturating_sub(BYTES_MAX);
            self.text.drain(..cut);
        }
        self.text.extend_from_slice(end);
        self.text.push(b'\n');
    }

    /// The last lines, without a line feed at their end; nothing where there is none.
    pub(super) fn lines(&self) -> Option<String> {
        let text = self.text.strip_suffix(b"\n")?;
        let from = text.len().saturating_sub(BYTES_MAX);
        // Where lines begin, from the last one on.
        let begins = memchr::memrchr_iter(b'\n', text).map(|at| at + 1).chain([0]);
        let begin = begins.take(LINES_MAX).take_while(|begin| *begin >= from).last();
        // Of a last line that is too long there is its end.
        let lines = text.get(begin.unwrap_or(from)..).unwrap_or_default();
        Some(String::from_utf8_lossy(lines).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::{BYTES_MAX, Last, Stream};

    #[test]
    fn the_last_lines_are_kept_and_no_more() {
        let mut last = Last::default();
        assert_eq!(last.lines(), None);
        last.see(b"one", Stream::Stdout);
        assert_eq!(last.lines().unwrap(), "one");
        for number in 0..5000 {
            last.see(format!("line {number}").as_bytes(), Stream::Stdout);
        }
        let lines = last.lines().unwrap();
        assert_eq!(lines.lines().count(), 20);
        assert!(lines.starts_with("line 4980\n") && lines.ends_with("line 4999"), "{lines}");
        // From the first line on standard error on, only that counts.
        last.see(b"Traceback:\n  boom", Stream::Stderr);
        last.see(b"bye", Stream::Stdout);
        last.see(b"in a file", Stream::File);
        assert_eq!(last.lines().unwrap(), "Traceback:\n  boom");
    }

    #[test]
    fn long_lines_are_cut() {
        let mut last = Last::default();
        last.see(&vec![b'a'; 100_000], Stream::Stderr);
        assert_eq!(last.lines().unwrap().len(), BYTES_MAX);
        last.see(&vec![b'b'; 3000], Stream::Stderr);
        last.see(&vec![b'c'; 3000], Stream::Stderr);
        last.see(&vec![b'd'; 3000], Stream::Stderr);
        let lines = last.lines().unwrap();
        assert_eq!(lines.len(), 6001, "whole lines");
        assert!(lines.starts_with('c') && lines.ends_with('d'));
    }
}
