//! JSON objects that are spread over lines become one line each, without the white space between their tokens (the agent's JSON aggregator,
//! spec: metrics-logs 4.6).

use std::borrow::Cow;

use super::json_scan::{Progress, Scan, compact};
use super::piece::Piece;
use crate::logs::held::Held;
use crate::logs::message::Line;

/// The tag of an object that was put together, where it is wanted.
const TAGS: &[&str] = &["aggregated_json:true"];

/// Puts objects together.
#[derive(Debug)]
pub(super) struct JsonJoin {
    held: Held,
    scan: Scan,
    out: Vec<u8>,
    bytes_max: usize,
    tags: &'static [&'static str],
}

impl JsonJoin {
    /// Objects of up to `bytes_max` bytes; with the tag `aggregated_json:true` where `is_tagged`.
    pub(super) fn new(bytes_max: usize, is_tagged: bool) -> Self {
        Self {
            held: Held::default(),
            scan: Scan::default(),
            out: Vec::new(),
            bytes_max,
            tags: if is_tagged { TAGS } else { &[] },
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Takes a line. What becomes of it and of those before goes to `out` as soon as that is known: an object, or the lines as they were.
    pub(super) fn line(&mut self, line: Line<'_>, out: &mut dyn FnMut(Piece<'_>)) {
        if self.held.is_empty() {
            if line.text.trim_ascii_start().first() != Some(&b'{') {
                return out(Piece::Line(line));
            }
            self.scan = Scan::default();
            // An object in one line is the usual case, and copied nowhere.
            if line.text.len() > self.bytes_max || self.scan.line(line.text) != Progress::Incomplete
            {
                return out(Piece::Line(line));
            }
            return self.held.push(&line, b"");
        }
        if !self.held.has_room(&line, self.bytes_max) {
            self.flush(out);
            return out(Piece::Line(line));
        }
        match self.scan.line(line.text) {
            Progress::Incomplete => self.held.push(&line, b""),
            Progress::Complete => {
                self.held.push(&line, b"");
                self.emit(out);
            }
            Progress::Invalid => {
                self.flush(out);
                out(Piece::Line(line));
            }
        }
    }

    /// Gives out the lines that are held as they were.
    pub(super) fn flush(&mut self, out: &mut dyn FnMut(Piece<'_>)) {
        self.held.lines_from(0).for_each(|line| out(Piece::Line(line)));
        self.held.clear();
    }

    fn emit(&mut self, out: &mut dyn FnMut(Piece<'_>)) {
        self.out.clear();
        for line in self.held.lines_from(0) {
            compact(line.text, &mut self.out);
        }
        if let Some(mut message) = self.held.message(self.held.len(), self.tags) {
            message.text = Cow::Borrowed(&self.out);
            out(Piece::Message(message));
        }
        self.held.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::super::piece::tests::{lines_of, texts};
    use super::JsonJoin;

    fn check(input: &str, expect: &[&str]) {
        let mut join = JsonJoin::new(60, true);
        let mut pieces = Vec::new();
        for line in lines_of(input) {
            join.line(line, &mut |piece| pieces.push(texts(&piece)));
        }
        join.flush(&mut |piece| pieces.push(texts(&piece)));
        assert_eq!(pieces, expect, "{input:?}");
        assert!(join.is_empty());
    }

    #[test]
    fn objects_over_lines_become_one_line() {
        check(
            "{\n  \"a\": 1,\n  \"b\": [\n    \"x y\"\n  ]\n}",
            &["{\"a\":1,\"b\":[\"x y\"]} x6 aggregated_json:true"],
        );
        check("{\"a\": 1}", &["{\"a\": 1}"]);
        check("a\n{\n}\nb", &["a", "{} x2 aggregated_json:true", "b"]);
        check("  {\n\n\"a\":1}", &["{\"a\":1} x2 aggregated_json:true"]);
    }

    #[test]
    fn what_is_no_object_stays_as_it_is() {
        check("[\n  1\n]", &["[", "  1", "]"]);
        check("[INFO] x", &["[INFO] x"]);
        check("{\n  a: 1\n}", &["{", "  a: 1", "}"]);
        check("{\n  \"a\": 1\nb", &["{", "  \"a\": 1", "b"]);
        check("{\n  \"a\": 1", &["{", "  \"a\": 1"]);
        let long = format!("{{\n\"a\": \"{}\"\n}}", "x".repeat(60));
        check(&long, &["{", &format!("\"a\": \"{}\"", "x".repeat(60)), "}"]);
    }
}
