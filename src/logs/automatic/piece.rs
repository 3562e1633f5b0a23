//! What goes from one step of joining to the next: lines, and messages that a step has put together already.

use crate::logs::message::{Line, Message};

/// A line or a message.
#[derive(Debug)]
pub(super) enum Piece<'a> {
    /// A line that later steps look at.
    Line(Line<'a>),
    /// A message that they leave as it is.
    Message(Message<'a>),
}

#[cfg(test)]
pub(super) mod tests {
    use super::Piece;
    use crate::logs::message::{Line, Message, Stream};

    /// The lines of a text, a millisecond apart.
    pub(in super::super) fn lines_of(text: &str) -> impl Iterator<Item = Line<'_>> {
        text.split('\n').zip(1..).map(|(text, time_ms)| Line {
            text: text.as_bytes(),
            stream: Stream::Stdout,
            time_ms,
            tags: "",
            is_cut: false,
        })
    }

    /// A message in short: its text, the number of its lines where there are several, and its tags.
    pub(in super::super) fn shown(message: &Message<'_>) -> String {
        let mut shown = String::from_utf8_lossy(&message.text).into_owned();
        if message.lines > 1 {
            shown.push_str(&format!(" x{}", message.lines));
        }
        message.tags.iter().for_each(|tag| shown.push_str(&format!(" {tag}")));
        shown
    }

    pub(in super::super) fn texts(piece: &Piece<'_>) -> String {
        match piece {
            Piece::Line(line) => String::from_utf8_lossy(line.text).into_owned(),
            Piece::Message(message) => shown(message),
        }
    }
}
