//! The lines between one beginning of a message and the next become one message (the agent's combining aggregator, spec: metrics-logs 4.6).
//! Where there is no beginning, a line waits for the next one all the same, as that may be the first frame of a stack trace.

use super::label::Label;
use super::traces::Trace;
use crate::logs::held::Held;
use crate::logs::lines::trim;
use crate::logs::message::{CUT, Line, Message};

/// The tag of a message of several lines.
const TAGS: &[&str] = &["multiline:auto_multiline"];

/// The same where a piece of a longer line is in it.
const TAGS_CUT: &[&str] = &["multiline:auto_multiline", "truncated:single_line"];

/// The message that is being put together.
#[derive(Debug)]
pub(super) struct Combiner {
    held: Held,
    /// Whether the lines that are held began with a beginning. Otherwise only a stack trace goes on with them.
    has_start: bool,
    trace: Trace,
    pub(super) bytes_max: usize,
    pub(super) joins_traces: bool,
    pub(super) is_tagged: bool,
}

impl Combiner {
    pub(super) fn new(bytes_max: usize, joins_traces: bool, is_tagged: bool) -> Self {
        let (held, trace) = (Held::default(), Trace::default());
        Self { held, has_start: false, trace, bytes_max, joins_traces, is_tagged }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Takes a line with its label. Messages go to `out` as soon as they are whole.
    pub(super) fn line(&mut self, line: Line<'_>, label: Label, out: &mut dyn FnMut(Message<'_>)) {
        match label {
            Label::Alone => {
                self.flush(out);
                emit(line, out);
            }
            Label::Start => {
                self.flush(out);
                self.hold(&line, true, out);
            }
            Label::More if self.held.is_empty() => self.first(line, out),
            Label::More if self.has_start || self.trace.continues(line.text) => {
                if self.held.has_room(&line, self.bytes_max) {
                    return self.held.push(&line, b"");
                }
                // What would be too long together is sent line by line, so that nothing is cut off.
                self.held.lines_from(0).for_each(|line| emit(line, out));
                self.held.clear();
                emit(line, out);
            }
            Label::More if trim(line.text).is_empty() => {}
            Label::More => {
                self.flush(out);
                self.first(line, out);
            }
        }
    }

    /// Takes a line with nothing before it that it could belong to.
    fn first(&mut self, line: Line<'_>, out: &mut dyn FnMut(Message<'_>)) {
        if !self.joins_traces || trim(line.text).is_empty() {
            return emit(line, out);
        }
        self.trace.begin(line.text);
        self.hold(&line, false, out);
    }

    fn hold(&mut self, line: &Line<'_>, has_start: bool, out: &mut dyn FnMut(Message<'_>)) {
        if line.text.len() >= self.bytes_max {
            return emit(*line, out);
        }
        self.held.push(line, b"");
        self.has_start = has_start;
    }

    /// Takes a message that is whole.
    pub(super) fn message(&mut self, message: Message<'_>, out: &mut dyn FnMut(Message<'_>)) {
        self.flush(out);
        out(message);
    }

    /// Gives out the message as far as it has come.
    pub(super) fn flush(&mut self, out: &mut dyn FnMut(Message<'_>)) {
        if let Some(mut message) = self.held.message(self.held.len(), &[]) {
            message.tags = match (message.lines > 1 && self.is_tagged, message.is_truncated) {
                (true, false) => TAGS,
                (true, true) => TAGS_CUT,
                (false, true) => CUT,
                (false, false) => &[],
            };
            out(message);
        }
        self.held.clear();
    }
}

/// Gives out a line as a message of its own.
fn emit(line: Line<'_>, out: &mut dyn FnMut(Message<'_>)) {
    if let Some(message) = Message::of_line(line) {
        out(message);
    }
}

#[cfg(test)]
mod tests {
    use super::super::label::Label;
    use super::super::piece::tests::{lines_of, shown};
    use super::Combiner;

    /// Lines are labelled by their first letter.
    fn check(bytes_max: usize, joins_traces: bool, input: &str, expect: &[&str]) {
        let mut combiner = Combiner::new(bytes_max, joins_traces, true);
        let mut messages = Vec::new();
        for line in lines_of(input) {
            let label = match line.text.first() {
                Some(b'S') => Label::Start,
                Some(b'A') => Label::Alone,
                _ => Label::More,
            };
            combiner.line(line, label, &mut |message| messages.push(shown(&message)));
        }
        combiner.flush(&mut |message| messages.push(shown(&message)));
        assert_eq!(messages, expect, "{input:?}");
        assert!(combiner.is_empty());
    }

    #[test]
    fn lines_go_with_the_beginning_before_them() {
        for joins_traces in [false, true] {
            check(
                100,
                joins_traces,
                "more\nS1\n  a\n\nb \n\nS2\nA\nc\n\n d ",
                &["more", "S1\\n  a\\n\\nb x3 multiline:auto_multiline", "S2", "A", "c", "d"],
            );
        }
    }

    #[test]
    fn what_would_be_too_long_together_is_sent_line_by_line() {
        check(10, false, "S1\n2\n345\n6", &["S1", "2", "345", "6"]);
        check(11, false, "S1\n2\n345", &["S1\\n2\\n345 x3 multiline:auto_multiline"]);
        check(10, false, "S1\n2\n345", &["S1", "2", "345"]);
    }

    #[test]
    fn a_line_that_is_too_long_by_itself_is_not_held() {
        check(5, true, "S12345\nabcdefgh\nS1", &["S12345", "abcdefgh", "S1"]);
    }

    #[test]
    fn traces_are_joined_without_a_beginning() {
        check(
            100,
            true,
            "a\nerr\n\tat f(a.js:1)\nb",
            &["a", "err\\n\tat f(a.js:1) x2 multiline:auto_multiline", "b"],
        );
        check(100, false, "err\n\tat f(a.js:1)", &["err", "at f(a.js:1)"]);
    }
}
