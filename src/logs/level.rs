//! What a JSON line says of itself: how grave it is, and its tags. One pass over the members of its object, without copying any; what lies in
//! nested objects is passed over.

use std::borrow::Cow;
use std::ops::Range;

use super::message::{Message, Status};

/// The names of the member that says how grave a line is, the best first: what loggers write (bunyan, pino, zap and slog `level`; ECS
/// `log.level`; Google's `severity`; Python's `levelname`; .NET's `LogLevel`), and what Datadog reads (`status`).
const NAMES: [&[u8]; 6] =
    [b"level", b"status", b"severity", b"log.level", b"levelname", b"LogLevel"];

/// The status that a line names, if it is a JSON object and names one (spec: metrics-logs 4.7).
///
/// Text that is no JSON has none. An object is read as far as it makes sense; it need not be whole.
pub fn level(text: &[u8]) -> Option<Status> {
    let mut best: Option<(usize, Status)> = None;
    for member in Members::of(text)? {
        let Some(rank) = NAMES.iter().position(|name| *name == member.key) else { continue };
        if best.is_some_and(|(known, _)| known < rank) {
            continue;
        }
        if let Some(status) = status(text.get(member.value)?) {
            if rank == 0 {
                return Some(status);
            }
            best = Some((rank, status));
        }
    }
    best.map(|(_, status)| status)
}

/// The text of a member of a JSON line by its name; nothing where there is none, or it is no string. Escapes stay as they are.
pub(super) fn attribute<'a>(text: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let member = Members::of(text)?.find(|member| member.key == name)?;
    text.get(member.value)?.strip_prefix(b"\"")?.strip_suffix(b"\"")
}

/// Takes `ddtags` out of a JSON line and puts it to the tags of its origin, as Datadog's Lambda extension does. A value with escapes stays where
/// it is.
pub fn lift_tags(message: &mut Message<'_>) {
    let Some((member, tags)) = tags_of(&message.text) else { return };
    if !tags.is_empty() {
        let origin = message.origin_tags.to_mut();
        if !origin.is_empty() {
            origin.push(',');
        }
        origin.push_str(&tags);
    }
    match &mut message.text {
        Cow::Owned(text) => drop(text.drain(member)),
        Cow::Borrowed(text) => {
            let (before, behind) = (text.get(..member.start), text.get(member.end..));
            message.text = Cow::Owned([before, behind].map(Option::unwrap_or_default).concat());
        }
    }
}

/// Where the member `ddtags` is, a comma included, and its value.
fn tags_of(text: &[u8]) -> Option<(Range<usize>, String)> {
    let mut end_before = None;
    let mut members = Members::of(text)?;
    while let Some(member) = members.next() {
        if member.key == b"ddtags" {
            let value = text.get(member.value.clone())?;
            let value = value.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
            let value = std::str::from_utf8(value).ok().filter(|value| !value.contains('\\'))?;
            // With the comma behind it; the last one goes with the comma before it.
            let behind = members.next().map(|next| next.start);
            let range = match (behind, end_before) {
                (Some(next), _) => member.start..next,
                (None, Some(before)) => before..member.value.end,
                (None, None) => member.start..member.value.end,
            };
            return Some((range, value.to_owned()));
        }
        end_before = Some(member.value.end);
    }
    None
}

/// One member of the object.
struct Member<'a> {
    /// Its name between the quotes, escapes and all.
    key: &'a [u8],
    /// Where its name starts, with the quote.
    start: usize,
    /// Where its value is.
    value: Range<usize>,
}

/// The members of the outermost object, in their order, as far as they can be read.
struct Members<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Members<'a> {
    /// Those of a text that begins as an object.
    fn of(text: &'a [u8]) -> Option<Self> {
        let start = text.iter().position(|byte| !byte.is_ascii_whitespace())?;
        (text.get(start) == Some(&b'{')).then_some(Self { text, at: start + 1 })
    }

    fn skip_space(&mut self) {
        let rest = self.text.get(self.at..).unwrap_or_default();
        self.at += rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    }

    /// Passes over a byte, if it is that one.
    fn take(&mut self, byte: u8) -> Option<()> {
        self.skip_space();
        (self.text.get(self.at) == Some(&byte)).then(|| self.at += 1)
    }

    /// Passes over a string whose first quote is the next byte; where it was.
    fn string(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        let mut at = start + 1;
        loop {
            let rest = self.text.get(at..)?;
            at += memchr::memchr2(b'"', b'\\', rest)?;
            if self.text.get(at) == Some(&b'"') {
                self.at = at + 1;
                return Some(start..self.at);
            }
            at += 2;
        }
    }

    /// Passes over a value; where it was.
    fn value(&mut self) -> Option<Range<usize>> {
        self.skip_space();
        let start = self.at;
        let mut depth = 0_usize;
        loop {
            match self.text.get(self.at)? {
                b'"' => {
                    self.string()?;
                }
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' if depth > 0 => {
                    depth -= 1;
                    self.at += 1;
                }
                // The end of what a number or a word is.
                b',' | b'}' | b']' if depth == 0 => break,
                byte if depth == 0 && byte.is_ascii_whitespace() => break,
                _ => {
                    self.at += 1;
                    continue;
                }
            }
            if depth == 0 {
                break;
            }
        }
        (self.at > start).then_some(start..self.at)
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = Member<'a>;

    fn next(&mut self) -> Option<Member<'a>> {
        self.skip_space();
        let start = self.at;
        (self.text.get(start) == Some(&b'"')).then_some(())?;
        let key = self.string()?;
        let key = self.text.get(key.start + 1..key.end - 1)?;
        self.take(b':')?;
        let value = self.value()?;
        // Nothing is read behind a member with no comma.
        if self.take(b',').is_none() {
            self.at = self.text.len();
        }
        Some(Member { key, start, value })
    }
}

/// What a value says. Words in any case; numbers are those of syslog (RFC 5424, 0 to 7) and of bunyan and pino (10 to 60).
fn status(value: &[u8]) -> Option<Status> {
    const WORD_BYTES_MAX: usize = 13;
    let word = match value {
        [b'"', word @ .., b'"'] => word,
        number => return status_of_number(number),
    };
    let mut lower = [0; WORD_BYTES_MAX];
    let lower = lower.get_mut(..word.len())?;
    lower.copy_from_slice(word);
    lower.make_ascii_lowercase();
    match &*lower {
        b"emergency" | b"emerg" => Some(Status::Emergency),
        b"alert" => Some(Status::Alert),
        b"critical" | b"crit" | b"fatal" | b"panic" | b"dpanic" => Some(Status::Critical),
        b"error" | b"err" | b"severe" => Some(Status::Error),
        b"warn" | b"warning" => Some(Status::Warn),
        b"notice" => Some(Status::Notice),
        b"info" | b"information" | b"informational" => Some(Status::Info),
        b"debug" | b"fine" => Some(Status::Debug),
        b"trace" | b"verbose" | b"finer" | b"finest" => Some(Status::Trace),
        _ => None,
    }
}

fn status_of_number(number: &[u8]) -> Option<Status> {
    match number {
        b"0" => Some(Status::Emergency),
        b"1" => Some(Status::Alert),
        b"2" | b"60" => Some(Status::Critical),
        b"3" | b"50" => Some(Status::Error),
        b"4" | b"40" => Some(Status::Warn),
        b"5" => Some(Status::Notice),
        b"6" | b"30" => Some(Status::Info),
        b"7" | b"20" => Some(Status::Debug),
        b"10" => Some(Status::Trace),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use proptest::prelude::{prop_assert_eq, proptest};
    use serde_json::{Value, json};

    use super::super::message::{Line, Message, Status, Stream};
    use super::{level, lift_tags};

    fn message(text: &str) -> Message<'_> {
        let (text, stream) = (text.as_bytes(), Stream::Stdout);
        let line = Line { text, stream, time_ms: 1, tags: "", is_cut: false };
        Message::of_line(line).unwrap()
    }

    #[test]
    fn the_level_of_a_json_line_is_its_status() {
        for (text, expect) in [
            (r#"{"level":"error","msg":"x"}"#, Some(Status::Error)),
            (r#" { "msg" : "x" , "Level":"error", "level" : "Warning" }"#, Some(Status::Warn)),
            (r#"{"severity":"NOTICE"}"#, Some(Status::Notice)),
            (r#"{"status":"FATAL"}"#, Some(Status::Critical)),
            (r#"{"severity":"error","level":"info"}"#, Some(Status::Info)),
            (r#"{"status":"error","severity":"info"}"#, Some(Status::Error)),
            (r#"{"severity":"info","status":"error"}"#, Some(Status::Error)),
            (r#"{"status":200,"severity":"debug"}"#, Some(Status::Debug)),
            (r#"{"level":30,"time":1}"#, Some(Status::Info)),
            (r#"{"level":3}"#, Some(Status::Error)),
            (r#"{"log.level":"warn","@timestamp":"x"}"#, Some(Status::Warn)),
            (
                r#"{"a":{"level":"error"},"b":[{"level":"error"}],"level":"debug"}"#,
                Some(Status::Debug),
            ),
            (r#"{"a":{"level":"error"}}"#, None),
            (r#"{"msg":"\"level\":\"error\"","b":"}{"}"#, None),
            (r#"{"msg":"a\\","level":"trace"}"#, Some(Status::Trace)),
            (r#"{"level":"ok"}"#, None),
            (r#"{"level":{"name":"error"}}"#, None),
            (r#"{"level":"error"#, None),
            (r#"{"level":"error","#, Some(Status::Error)),
            (r#"{"a":1 "level":"error"}"#, None),
            (r#"[{"level":"error"}]"#, None),
            ("level=error", None),
            ("ERROR x", None),
            ("{", None),
            ("", None),
        ] {
            assert_eq!(level(text.as_bytes()), expect, "{text}");
        }
    }

    #[test]
    fn tags_are_lifted_out_of_the_line() {
        for (text, expect_text, expect_tags) in [
            (r#"{"a":1,"ddtags":"x:1,y:2","b":2}"#, r#"{"a":1,"b":2}"#, "filename:f,x:1,y:2"),
            (r#"{"a":1, "ddtags" : "x:1" }"#, r#"{"a":1 }"#, "filename:f,x:1"),
            (r#"{"ddtags":"x:1"}"#, "{}", "filename:f,x:1"),
            (r#"{"ddtags":""}"#, "{}", "filename:f"),
            (r#"{"ddtags":["x"]}"#, r#"{"ddtags":["x"]}"#, "filename:f"),
            (r#"{"ddtags":"\u00e9"}"#, r#"{"ddtags":"\u00e9"}"#, "filename:f"),
            (r#"{"a":{"ddtags":"x"}}"#, r#"{"a":{"ddtags":"x"}}"#, "filename:f"),
            ("ddtags", "ddtags", "filename:f"),
        ] {
            for is_owned in [false, true] {
                let mut message = message(text);
                message.origin_tags = Cow::Borrowed("filename:f");
                if is_owned {
                    message.text = Cow::Owned(message.text.into_owned());
                }
                lift_tags(&mut message);
                assert_eq!(String::from_utf8_lossy(&message.text), expect_text, "{text}");
                assert_eq!(message.origin_tags, expect_tags, "{text}");
            }
        }
    }

    proptest! {
        #[test]
        fn members_are_found_where_they_are(before: String, nested: String, tags in "[a-zé:,]{0,9}") {
            let mut line = json!({ "a": before, "b": [nested, { "level": "info", "ddtags": "no" }] });
            line["ddtags"] = Value::from(tags.clone());
            line["level"] = Value::from("error");
            let text = line.to_string();
            prop_assert_eq!(level(text.as_bytes()), Some(Status::Error));
            let mut message = message(&text);
            lift_tags(&mut message);
            line.as_object_mut().unwrap().remove("ddtags");
            prop_assert_eq!(serde_json::from_slice::<Value>(&message.text).unwrap(), line);
            prop_assert_eq!(&*message.origin_tags, &tags);
        }

        #[test]
        fn any_bytes_are_read(bytes: Vec<u8>, json in "[{}\\[\\]\",:\\\\ a-d0-2]{0,40}") {
            for bytes in [&bytes[..], json.as_bytes(), &[b"{\"ddtags\":", &bytes[..]].concat()] {
                level(bytes);
                let text = String::from_utf8_lossy(bytes).into_owned();
                if !text.trim().is_empty() {
                    lift_tags(&mut message(&text));
                }
            }
        }
    }
}
