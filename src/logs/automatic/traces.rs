//! Stack traces that have no timestamp before them: tracebacks of Python, exceptions of Java and .NET, errors of Node, panics of Rust and stacks
//! that a Go program prints itself. The agent sends each line of them as a message; here they are one.
//!
//! It sees the lines of one place in their order and says of each whether it goes on with the trace before it. It knows the forms in which the
//! runtimes print; a line that it does not know ends the trace. So ordinary lines are never joined to each other.

use crate::logs::lines::trim;

/// Lines of any form that are taken where frames have to come: the rest of an exception's message.
const MESSAGE_LINES_MAX: u8 = 16;

/// What the lines so far are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// One line that may be the beginning of anything.
    #[default]
    Any,
    /// One line that says that something failed, of which the trace may follow.
    Failure,
    /// Frames of Python.
    Python,
    /// The exception at the end of Python's frames.
    PythonEnd,
    /// What stands before another traceback that belongs to it.
    PythonLink,
    /// Frames of the form `  at …`.
    Frames,
    /// An exception whose frames have to come, within so many lines.
    Exception(u8),
    /// Place of an error in a script; the line of the script has to come.
    NodePlace,
    /// Line of the script; the mark below it has to come.
    NodeScript,
    /// The mark; the error has to come.
    NodeMark,
    /// Functions and files in turn.
    Go,
    /// A panic of Rust; its message has to come.
    Rust,
    /// What follows the message.
    RustStack,
}

/// The trace that the last lines are part of.
#[derive(Debug, Default)]
pub(super) struct Trace {
    state: State,
}

impl Trace {
    /// Begins anew with a line.
    pub(super) fn begin(&mut self, text: &[u8]) {
        self.state = first(text);
    }

    /// Whether a line goes on with the trace before it, if there is one.
    pub(super) fn continues(&mut self, text: &[u8]) -> bool {
        let next = if trim(text).is_empty() {
            (self.state != State::Any && self.state != State::Failure).then_some(self.state)
        } else {
            next(self.state, text)
        };
        self.state = next.unwrap_or_default();
        next.is_some()
    }
}

/// What a line is the beginning of.
fn first(text: &[u8]) -> State {
    if is_python_header(text) {
        return State::Python;
    }
    if let Some(rest) = text.strip_prefix(b"Exception in thread ") {
        // Java puts the thread in quotes and the exception behind it, Python the traceback below.
        let is_java = rest.first() == Some(&b'"');
        return if is_java { State::Exception(MESSAGE_LINES_MAX) } else { State::PythonLink };
    }
    if is_python_cause(text) {
        return State::PythonLink;
    }
    if is_cause(text) {
        return State::Exception(MESSAGE_LINES_MAX);
    }
    if is_node_place(text) {
        return State::NodePlace;
    }
    // An error without frames of its own, and what it has beside its message.
    if text.starts_with(b"[") && text.ends_with(b"] {") && has(text, b"Error") {
        return State::Frames;
    }
    if text.starts_with(b"goroutine ") && text.ends_with(b"]:") {
        return State::Go;
    }
    if text.starts_with(b"thread '") && has(text, b" panicked at ") {
        return State::Rust;
    }
    if is_failure(text) { State::Failure } else { State::Any }
}

/// What the lines are with one more; nothing where it is no part of the trace.
fn next(state: State, text: &[u8]) -> Option<State> {
    let is_indented = matches!(text.first(), Some(b' ' | b'\t'));
    match state {
        State::Any if is_frame(text) => Some(State::Frames),
        State::Failure if is_frame(text) => Some(State::Frames),
        State::Failure if is_python_header(text) => Some(State::Python),
        State::Failure if is_java_exception(text) => Some(State::Any),
        State::Any | State::Failure => None,
        State::Python if is_indented => Some(state),
        State::Python if is_exception(text) => Some(State::PythonEnd),
        State::PythonEnd | State::Python if is_python_link(text) => Some(State::PythonLink),
        State::PythonEnd if is_indented => Some(state),
        State::PythonLink if is_python_header(text) => Some(State::Python),
        State::PythonEnd if text == b"\"\"\"" => Some(state),
        State::PythonLink if is_indented || is_python_object(text) => Some(state),
        State::Python | State::PythonEnd | State::PythonLink => None,
        State::Frames | State::Exception(_) | State::NodeMark if is_frame(text) => {
            Some(State::Frames)
        }
        State::Frames | State::Exception(_) if is_cause(text) => {
            Some(State::Exception(MESSAGE_LINES_MAX))
        }
        State::Frames if is_indented || is_node_tail(text) => Some(state),
        State::Frames => None,
        State::Exception(0) => None,
        State::Exception(left) => Some(State::Exception(left - 1)),
        State::NodePlace => Some(State::NodeScript),
        State::NodeScript => is_mark(text).then_some(State::NodeMark),
        State::NodeMark => Some(State::Frames),
        State::Go => is_go(text).then_some(state),
        State::Rust => Some(State::RustStack),
        State::RustStack if is_indented => Some(state),
        State::RustStack => {
            (text.starts_with(b"note: ") || text == b"stack backtrace:").then_some(state)
        }
    }
}

fn has(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// `Traceback (most recent call last):`, maybe of a group and behind its marks; or the place of a syntax error, which has no such line.
fn is_python_header(text: &[u8]) -> bool {
    text.ends_with(b"Traceback (most recent call last):")
        || text.starts_with(b"  File \"") && has(text, b", line ")
}

/// What Python and its libraries write above a traceback.
fn is_python_cause(text: &[u8]) -> bool {
    const BEGINNINGS: [&[u8]; 2] = [b"Exception ignored in", b"Exception in callback "];
    const ENDS: [&[u8]; 2] = [b"exception was never retrieved", b"RemoteTraceback:"];
    let text = text.trim_ascii_end();
    BEGINNINGS.iter().any(|beginning| text.starts_with(beginning))
        || ENDS.iter().any(|end| text.ends_with(end))
        || text.starts_with(b"Process ") && text.ends_with(b":")
        || text == b"--- Logging error ---"
}

/// What stands between such a line and the traceback.
fn is_python_object(text: &[u8]) -> bool {
    text.starts_with(b"future: <") || text.starts_with(b"handle: <") || text == b"\"\"\""
}

fn is_python_link(text: &[u8]) -> bool {
    text == b"During handling of the above exception, another exception occurred:"
        || text == b"The above exception was the direct cause of the following exception:"
}

/// A name with dots, such as `ValueError` or `__main__.Full`, and maybe a colon and a message: how tracebacks end.
fn is_exception(text: &[u8]) -> bool {
    exception_name(text).is_some()
}

/// The same where nothing but its name tells that it is one: `java.io.IOException: …`.
fn is_java_exception(text: &[u8]) -> bool {
    const ENDS: [&[u8]; 3] = [b"Exception", b"Error", b"Throwable"];
    let is_known = |name: &[u8]| name.contains(&b'.') && ENDS.iter().any(|end| name.ends_with(end));
    exception_name(text).is_some_and(is_known)
}

/// The name before the colon or the end, if there is nothing else.
fn exception_name(text: &[u8]) -> Option<&[u8]> {
    let is_part = |byte: &u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'$' | b'<' | b'>')
    };
    let len = text.iter().take_while(|byte| is_part(byte)).count();
    let (name, rest) = text.split_at_checked(len)?;
    let begins = name.first().is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_');
    (begins && matches!(rest.trim_ascii_end(), [] | [b':', ..])).then_some(name)
}

/// A frame of Java, .NET or JavaScript, or what Java writes for those that it leaves out.
fn is_frame(text: &[u8]) -> bool {
    let inner = text.trim_ascii_start();
    if inner.len() == text.len() {
        return false;
    }
    if let Some(rest) = inner.strip_prefix(b"... ") {
        return rest.first().is_some_and(u8::is_ascii_digit);
    }
    let Some(place) = inner.strip_prefix(b"at ") else { return false };
    let has_line =
        place.windows(2).any(|pair| matches!(pair, [b':', digit] if digit.is_ascii_digit()));
    has_line || place.contains(&b'(') || has(place, b"<anonymous>")
}

/// The exception behind another one.
fn is_cause(text: &[u8]) -> bool {
    let text = text.trim_ascii_start();
    text.starts_with(b"Caused by: ") || text.starts_with(b"Suppressed: ")
}

/// Where Node says that an error happened: `/app/server.js:12`, `file:///app/server.mjs:3`, `node:internal/…:288`.
fn is_node_place(text: &[u8]) -> bool {
    let digits = text.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let Some(rest) = text.get(..text.len() - digits) else { return false };
    let Some(path) = rest.strip_suffix(b":").filter(|_| digits > 0) else { return false };
    const ENDS: [&[u8]; 6] = [b".js", b".mjs", b".cjs", b".ts", b".mts", b".cts"];
    let is_script = ENDS.iter().any(|end| path.ends_with(end));
    path.starts_with(b"node:") || is_script && !path.contains(&b' ')
}

/// The mark below a line of a script.
fn is_mark(text: &[u8]) -> bool {
    let mark = text.trim_ascii();
    !mark.is_empty() && mark.iter().all(|byte| *byte == b'^')
}

/// What Node writes below the frames.
fn is_node_tail(text: &[u8]) -> bool {
    const TAILS: [&[u8]; 5] =
        [b"}", b"Node.js v", b"Emitted 'error' event", b"Thrown at:", b"(Use `node --trace"];
    TAILS.iter().any(|tail| text.starts_with(tail))
}

/// A line of a goroutine's stack.
fn is_go(text: &[u8]) -> bool {
    text.starts_with(b"\t")
        || text.ends_with(b")")
        || text.starts_with(b"created by ")
        || text.starts_with(b"goroutine ") && text.ends_with(b"]:")
}

/// Whether a line begins with a word for a failure, as logs without timestamps do: `ERROR:app:…`, `[error] …`, `CRITICAL …`.
fn is_failure(text: &[u8]) -> bool {
    const WORDS: [&[u8]; 7] =
        [b"error", b"critical", b"fatal", b"severe", b"warning", b"warn", b"exception"];
    let text = text.strip_prefix(b"[").unwrap_or(text);
    let len = text.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let word = text.get(..len).unwrap_or_default();
    WORDS.iter().any(|known| word.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::{State, Trace, first, is_frame, is_node_place};

    #[test]
    fn ordinary_lines_begin_nothing_and_go_on_with_nothing() {
        let lines = [
            "started",
            "  indented",
            "at noon (or so)",
            "  at noon",
            "listening on :8080",
            "ERROR: failed",
            "done",
            "Error",
            "/app/data.csv:12",
            "goroutine leak",
            "",
            "}",
            "Node.js v20",
            "note: this",
            "ValueError: x",
            "Traceback follows",
        ];
        for text in lines {
            for before in lines {
                let mut trace = Trace::default();
                trace.begin(before.as_bytes());
                assert!(!trace.continues(text.as_bytes()), "{before:?} then {text:?}");
            }
        }
    }

    #[test]
    fn frames_and_places_are_told_from_words() {
        for text in [
            "\tat com.example.App.main(App.java:12)",
            "    at async f (/app/a.js:1:2)",
            "    at /app/a.js:3:4",
            "   at App.Main() in /app/a.cs:line 5",
            "\t... 3 more",
            "      at new Promise (<anonymous>)",
        ] {
            assert!(is_frame(text.as_bytes()), "{text:?}");
        }
        for text in
            ["at com.example.App.main(App.java:12)", "  at once", "  ... more", "  attic (x)"]
        {
            assert!(!is_frame(text.as_bytes()), "{text:?}");
        }
        for (text, expect) in [
            ("/app/server.js:12", true),
            ("file:///app/server.mjs:3", true),
            ("node:internal/process/promises:288", true),
            ("/app/server.js", false),
            ("/app/server.js:", false),
            ("see /app/server.js:12", false),
            ("8080", false),
            (":1", false),
        ] {
            assert_eq!(is_node_place(text.as_bytes()), expect, "{text:?}");
        }
        assert_eq!(first(b"[ERROR] x"), State::Failure);
        assert_eq!(first(b"errors: 0"), State::Any);
    }
}
