//! Messages are not put together, but their first lines are marked: a user sees what would be joined before it is (the agent's detecting
//! aggregator, spec: metrics-logs 4.6).

use super::label::Label;
use crate::logs::held::Held;
use crate::logs::lines::trim;
use crate::logs::message::{CUT, Line, Message};

/// The tag of a first line that others follow.
const TAGS: &[&str] = &["auto_multiline_detected:true"];

/// The same on a piece of a longer line.
const TAGS_CUT: &[&str] = &["auto_multiline_detected:true", "truncated:single_line"];

/// Waits for the line behind each first one.
#[derive(Debug, Default)]
pub(super) struct Marker {
    held: Held,
}

impl Marker {
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Takes a line with its label, and gives out those that are decided.
    pub(super) fn line(&mut self, line: Line<'_>, label: Label, out: &mut dyn FnMut(Message<'_>)) {
        let is_blank = trim(line.text).is_empty();
        self.give(label == Label::More && !is_blank, out);
        if label == Label::Start {
            self.held.push(&line, b"");
        } else if let Some(message) = Message::of_line(line) {
            out(message);
        }
    }

    /// Gives out the line that waits.
    pub(super) fn flush(&mut self, out: &mut dyn FnMut(Message<'_>)) {
        self.give(false, out);
    }

    fn give(&mut self, is_first: bool, out: &mut dyn FnMut(Message<'_>)) {
        if let Some(mut message) = self.held.line(0).and_then(Message::of_line) {
            message.tags = match (is_first, message.is_truncated) {
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
