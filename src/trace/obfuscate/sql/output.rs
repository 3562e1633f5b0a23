//! The result while it is written. Most of a result is the query itself, so pieces that lie in the query as they will in the result are
//! held as one run and copied once; a result that is one run of the whole query needs no copy.

use super::bytes;

/// The result so far: what was written, then a run of the query that is not written yet.
#[derive(Debug)]
pub(super) struct Output<'a> {
    source: &'a [u8],
    written: &'a mut Vec<u8>,
    run_start: usize,
    run_end: usize,
}

impl<'a> Output<'a> {
    /// `written` is cleared.
    pub(super) fn new(source: &'a [u8], written: &'a mut Vec<u8>) -> Self {
        written.clear();
        Self { source, written, run_start: 0, run_end: 0 }
    }

    /// Nothing was added yet.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.run_start == self.run_end && self.written.is_empty()
    }

    /// Adds the bytes of the query from `start` to `end`, after a space if `spaced` and something precedes.
    #[inline]
    pub(super) fn copy(&mut self, spaced: bool, start: usize, end: usize) {
        if self.run_start < self.run_end {
            let joins = if spaced {
                start == self.run_end + 1 && self.source[self.run_end] == b' '
            } else {
                start == self.run_end
            };
            if joins {
                self.run_end = end;
                return;
            }
            self.write_run();
        }
        if spaced && !self.written.is_empty() {
            if start > 0 && self.source[start - 1] == b' ' {
                (self.run_start, self.run_end) = (start - 1, end);
                return;
            }
            self.written.push(b' ');
        }
        (self.run_start, self.run_end) = (start, end);
    }

    /// Adds `bytes`, after a space if `spaced` and something precedes.
    #[inline]
    pub(super) fn add(&mut self, spaced: bool, bytes: &[u8]) {
        self.write_run();
        if spaced && !self.written.is_empty() {
            self.written.push(b' ');
        }
        self.written.extend_from_slice(bytes);
    }

    #[inline]
    fn write_run(&mut self) {
        self.written.extend_from_slice(&self.source[self.run_start..self.run_end]);
        self.run_start = self.run_end;
    }

    /// Writes what is not written. False: the result is the query, and nothing was written.
    pub(super) fn finish(mut self) -> bool {
        if self.is_query() {
            return false;
        }
        self.write_run();
        true
    }

    /// As [`finish`](Self::finish), without the white space at the ends and, if so wanted, without a semicolon at the very end.
    pub(super) fn finish_trimmed(mut self, drops_semicolon: bool) -> bool {
        if self.is_query() {
            let (start, end) = trimmed(self.source, drops_semicolon);
            (self.run_start, self.run_end) = (start, end);
            return self.finish();
        }
        self.write_run();
        let (start, end) = trimmed(self.written, drops_semicolon);
        self.written.truncate(end);
        self.written.drain(..start);
        true
    }

    fn is_query(&self) -> bool {
        self.written.is_empty() && self.run_start == 0 && self.run_end == self.source.len()
    }
}

/// Where `text` starts and ends without white space, after it lost one semicolon at its very end.
fn trimmed(text: &[u8], drops_semicolon: bool) -> (usize, usize) {
    let text = match text {
        [text @ .., b';'] if drops_semicolon => text,
        _ => text,
    };
    let kept = bytes::trim_start(text);
    let start = text.len() - kept.len();
    (start, start + bytes::trim(kept).len())
}
