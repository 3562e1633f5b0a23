//! Which lines are one message: by the user's pattern where there is one, else by their look, else each line alone.

use std::sync::Arc;

use super::automatic::{self, Automatic, Detection};
use super::message::{Line, Message};
use super::multi_line::{self, MultiLine};
use crate::pattern::Pattern;

/// How lines are joined, for all places where lines are written.
#[derive(Clone, Debug)]
pub enum Plan {
    /// Not at all.
    Lines,
    /// By a pattern.
    MultiLine(Arc<Pattern>, multi_line::Settings),
    /// By their look.
    Automatic(Arc<Detection>),
}

impl Plan {
    /// The plan of these settings; `pattern` is that of the rules ([`super::rules::Rules::multi_line`]) and comes first, as it does for the
    /// agent. A sentence for each sample that can't be used.
    pub fn new(
        pattern: Option<&Arc<Pattern>>,
        multi_line: multi_line::Settings,
        automatic: automatic::Settings,
        problems: &mut Vec<String>,
    ) -> Self {
        if let Some(pattern) = pattern {
            return Self::MultiLine(Arc::clone(pattern), multi_line);
        }
        let detection = Detection::new(automatic, problems);
        if detection.is_off() { Self::Lines } else { Self::Automatic(Arc::new(detection)) }
    }

    /// For one place: a stream of the app, or a file.
    pub fn start(&self) -> Join {
        match self {
            Self::Lines => Join::Lines,
            Self::MultiLine(pattern, settings) => {
                Join::MultiLine(MultiLine::new(pattern, *settings))
            }
            Self::Automatic(detection) => Join::Automatic(Box::new(Automatic::new(detection))),
        }
    }
}

/// The lines of one place on their way to messages.
#[derive(Debug)]
pub enum Join {
    /// Each is a message.
    Lines,
    /// Those behind one that matches are part of its message.
    MultiLine(MultiLine),
    /// Those that look so are one message.
    Automatic(Box<Automatic>),
}

impl Join {
    /// Takes the next line, blank ones too. Messages go to `out` in the order of their lines, as soon as they are whole.
    pub fn line(&mut self, line: Line<'_>, now_ms: u64, out: &mut dyn FnMut(Message<'_>)) {
        match self {
            Self::Lines => Message::of_line(line).into_iter().for_each(out),
            Self::MultiLine(multi_line) => multi_line.line(line, now_ms, out),
            Self::Automatic(automatic) => automatic.line(line, now_ms, out),
        }
    }

    /// When [`Join::tick`] has to be called, in the clock of [`Join::line`]; nothing while no line is held.
    pub fn due_ms(&self) -> Option<u64> {
        match self {
            Self::Lines => None,
            Self::MultiLine(multi_line) => multi_line.due_ms(),
            Self::Automatic(automatic) => automatic.due_ms(),
        }
    }

    /// Gives out what has waited for long enough.
    pub fn tick(&mut self, now_ms: u64, out: &mut dyn FnMut(Message<'_>)) {
        match self {
            Self::Lines => {}
            Self::MultiLine(multi_line) => multi_line.tick(now_ms, out),
            Self::Automatic(automatic) => automatic.tick(now_ms, out),
        }
    }

    /// Gives out all that is held: no more lines will come, or not in time.
    pub fn flush(&mut self, out: &mut dyn FnMut(Message<'_>)) {
        match self {
            Self::Lines => {}
            Self::MultiLine(multi_line) => multi_line.flush(out),
            Self::Automatic(automatic) => automatic.flush(out),
        }
    }
}
