//! What goes through the stages: a line as it was written, and the message that is made of one or several of them.

use std::borrow::Cow;

use super::lines::trim;

/// Where a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stream {
    /// The app's standard output.
    Stdout,
    /// The app's standard error. Its messages have the status `error` unless they name another.
    Stderr,
    /// A file that is followed.
    File,
}

/// One line, or a piece of one that is longer than a message may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Its bytes without the line feed, and as they came apart from that: white space at the beginning tells the lines of a stack trace, and blank
    /// lines stand within some. They need not be UTF-8.
    pub text: &'a [u8],
    /// Where it was written.
    pub stream: Stream,
    /// When its end arrived, milliseconds since 1970.
    pub time_ms: u64,
    /// Tags of the place where it was written (`filename:…,dirname:…`), joined by commas; empty for the app's own streams.
    pub tags: &'a str,
    /// Whether it is a piece of a line that was cut; its marks are in `text`.
    pub is_cut: bool,
}

/// One message: what becomes one entry in a payload, unless a rule drops it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// Its text: not empty, not checked for UTF-8.
    pub text: Cow<'a, [u8]>,
    /// Where it was written.
    pub stream: Stream,
    /// When its first line arrived, milliseconds since 1970.
    pub time_ms: u64,
    /// Tags of the place where it was written, joined by commas, as [`Line::tags`].
    pub origin_tags: Cow<'a, str>,
    /// Tags that say what was done with it, such as `truncated:single_line`.
    pub tags: &'static [&'static str],
    /// Another source (`ddsource`) than the one in the settings, where a rule says so.
    pub source: Option<Cow<'a, str>>,
    /// How many lines (or pieces of lines) that are not blank are in it, at least 1: what the ledger counts.
    pub lines: u32,
    /// Whether some of it was cut off or it is a piece of something longer.
    pub is_truncated: bool,
}

/// The tag of a line that was cut, as the agent names it.
pub(super) const CUT: &[&str] = &["truncated:single_line"];

impl<'a> Message<'a> {
    /// The message of one line alone, without white space around it; nothing where the line is blank.
    pub fn of_line(line: Line<'a>) -> Option<Self> {
        let text = trim(line.text);
        (!text.is_empty()).then_some(Self {
            text: Cow::Borrowed(text),
            stream: line.stream,
            time_ms: line.time_ms,
            origin_tags: Cow::Borrowed(line.tags),
            tags: if line.is_cut { CUT } else { &[] },
            source: None,
            lines: 1,
            is_truncated: line.is_cut,
        })
    }
}

/// How grave a message is, in the words of the intake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// The system is unusable.
    Emergency,
    /// Somebody must act at once.
    Alert,
    /// A part does not work at all.
    Critical,
    /// Something failed.
    Error,
    /// Something may fail.
    Warn,
    /// Normal, and worth to be seen.
    Notice,
    /// Normal.
    Info,
    /// For those who look for a fault.
    Debug,
    /// The same in more detail.
    Trace,
}

impl Status {
    /// The word that is sent. The intake has none for `trace` and shows that as `debug`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Emergency => "emergency",
            Self::Alert => "alert",
            Self::Critical => "critical",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Notice => "notice",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }

    /// The status of a message that names none.
    pub fn of_stream(stream: Stream) -> Self {
        match stream {
            Stream::Stderr => Self::Error,
            Stream::Stdout | Stream::File => Self::Info,
        }
    }
}
