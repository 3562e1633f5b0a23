//! The open batch: each message is written into it as an entry of a JSON array, the form of `/api/v2/logs`, when it comes.
//!
//! It leaves when it has as many messages or bytes as the intake takes, or has been open for the time that is set.

use std::borrow::Cow;
use std::mem;
use std::ops::Range;
use std::time::Duration;

use crate::ledger::Counts;
use crate::relay::{Kind, Part, Payload};

use super::escape::{push_number, push_str, push_text};
use super::message::{Message, Status};

/// A part of the body (see [`Part`]) is closed when it has so many bytes: it can then be sent apart from the others.
const PART_BYTES: usize = 32 * 1024;

/// When a batch leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long it is open: from the first message on.
    pub wait: Duration,
    /// Messages, at least 1.
    pub messages_max: usize,
    /// Bytes of the body. A message that alone has more is shed.
    pub bytes_max: usize,
}

/// What all entries say beside their own text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// `hostname`; empty on a platform where a host means nothing.
    pub hostname: String,
    /// `service`. Empty: whoever wires logs says what the platform calls the app.
    pub service: String,
    /// `ddsource`. Empty: the same.
    pub source: String,
    /// `ddtags`: tags joined by commas.
    pub tags: String,
    /// Whether what was cut has a tag that says so.
    pub tags_truncated: bool,
}

/// Finds the status that a message names in its own text.
pub type Level = fn(&[u8]) -> Option<Status>;

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It is in the batch.
    In,
    /// It alone is larger than a batch.
    TooLarge,
}

/// The open batch.
#[derive(Debug)]
pub struct Batch {
    limits: Limits,
    attributes: Attributes,
    level: Level,
    /// The end of an entry with no tags of its own, from the timestamp on.
    usual_end: Vec<u8>,
    body: Vec<u8>,
    messages: usize,
    lines: u64,
    parts: Vec<Part>,
    /// The part that is open: where it starts, and its lines.
    part: (usize, u64),
    opened_ms: u64,
}

impl Batch {
    /// A batch without a message.
    pub fn new(limits: Limits, attributes: Attributes, level: Level) -> Self {
        let mut usual_end = Vec::new();
        attributes.push_end(None, &mut usual_end);
        Self {
            limits,
            attributes,
            level,
            usual_end,
            body: Vec::new(),
            messages: 0,
            lines: 0,
            parts: Vec::new(),
            part: (0, 0),
            opened_ms: 0,
        }
    }

    /// Changes what further entries say beside their own text: the platform may tell its tags late.
    pub fn set_attributes(&mut self, attributes: Attributes) {
        self.usual_end.clear();
        attributes.push_end(None, &mut self.usual_end);
        self.attributes = attributes;
    }

    /// Writes a message into the batch. Where the batch is full before or after it, `out` gets what leaves, and gives a buffer for the next.
    /// `now_ms` is of any clock that does not go back.
    pub fn push(
        &mut self,
        message: &Message<'_>,
        now_ms: u64,
        out: &mut dyn FnMut(Payload) -> Vec<u8>,
    ) -> Pushed {
        self.push_with(u64::from(message.lines), now_ms, out, |batch| batch.write(message))
    }

    /// The same with an entry that is written already, a JSON object, and counts as so many lines.
    pub fn push_entry(
        &mut self,
        entry: &[u8],
        lines: u64,
        now_ms: u64,
        out: &mut dyn FnMut(Payload) -> Vec<u8>,
    ) -> Pushed {
        self.push_with(lines, now_ms, out, |batch| {
            batch.begin();
            batch.body.extend_from_slice(entry);
        })
    }

    fn push_with(
        &mut self,
        lines: u64,
        now_ms: u64,
        out: &mut dyn FnMut(Payload) -> Vec<u8>,
        write: impl Fn(&mut Self),
    ) -> Pushed {
        let before = self.body.len();
        write(self);
        // The bracket at the end counts too.
        if self.body.len() >= self.limits.bytes_max && self.messages > 0 {
            // The batch leaves without it. It is large, so that it is rare.
            self.body.truncate(before);
            self.leave(out);
            write(self);
        }
        if self.body.len() >= self.limits.bytes_max {
            self.body.clear();
            return Pushed::TooLarge;
        }
        if self.messages == 0 {
            self.opened_ms = now_ms;
        }
        self.count(lines);
        if self.messages >= self.limits.messages_max {
            self.leave(out);
        }
        Pushed::In
    }

    /// When the batch has to leave, in the clock of [`Batch::push`]; nothing where it is empty.
    pub fn due_ms(&self) -> Option<u64> {
        let wait_ms = u64::try_from(self.limits.wait.as_millis()).unwrap_or(u64::MAX);
        (self.messages > 0).then(|| self.opened_ms.saturating_add(wait_ms))
    }

    /// Has the batch leave, whatever is in it; an empty one does not.
    pub fn leave(&mut self, out: &mut dyn FnMut(Payload) -> Vec<u8>) {
        if self.messages == 0 {
            return;
        }
        self.close_part();
        self.body.push(b']');
        let counts = counts(mem::take(&mut self.lines));
        let payload = Payload {
            kind: Kind::Logs,
            body: mem::take(&mut self.body),
            counts,
            languages: String::new(),
            parts: mem::take(&mut self.parts),
        };
        self.messages = 0;
        self.body = out(payload);
        self.body.clear();
    }

    /// Writes the entry, with the sign before it.
    fn write(&mut self, message: &Message<'_>) {
        self.begin();
        let body = &mut self.body;
        body.extend_from_slice(b"{\"message\":\"");
        push_text(&message.text, body);
        let status = (self.level)(&message.text);
        let status = status.unwrap_or_else(|| Status::of_stream(message.stream));
        body.extend_from_slice(b"\",\"status\":\"");
        body.extend_from_slice(status.as_str().as_bytes());
        body.extend_from_slice(b"\",\"timestamp\":");
        push_number(message.time_ms, body);
        let is_usual =
            message.origin_tags.is_empty() && message.tags.is_empty() && message.source.is_none();
        match is_usual {
            true => body.extend_from_slice(&self.usual_end),
            false => self.attributes.push_end(Some(message), body),
        }
    }

    /// Appends the sign before an entry.
    fn begin(&mut self) {
        self.body.push(if self.messages == 0 { b'[' } else { b',' });
    }

    /// Counts the entry that was just written.
    fn count(&mut self, lines: u64) {
        self.messages += 1;
        self.lines += lines;
        if self.messages == 1 {
            self.part = (1, 0);
        }
        self.part.1 += lines;
        if self.body.len() - self.part.0 >= PART_BYTES {
            self.close_part();
        }
    }

    /// Closes the part that is open, if there is anything in it. The next starts behind the comma after it.
    fn close_part(&mut self) {
        let (start, lines) = self.part;
        let end = self.body.len();
        if end > start {
            self.parts.push(Part { bytes: Range { start, end }, counts: counts(lines) });
        }
        self.part = (end + 1, 0);
    }
}

fn counts(log_lines: u64) -> Counts {
    Counts { log_lines, ..Counts::default() }
}

impl Attributes {
    /// Appends the end of an entry, from the comma after the timestamp on, with what `message` has of its own.
    fn push_end(&self, message: Option<&Message<'_>>, out: &mut Vec<u8>) {
        let source = message.and_then(|message| message.source.as_deref());
        let mut tags = Cow::Borrowed(self.tags.as_str());
        if let Some(message) = message {
            let own = message.tags.iter().copied();
            let own = own.filter(|tag| self.tags_truncated || !tag.starts_with("truncated:"));
            for tag in [&*message.origin_tags].into_iter().chain(own).filter(|tag| !tag.is_empty())
            {
                if !tags.is_empty() {
                    tags.to_mut().push(',');
                }
                tags.to_mut().push_str(tag);
            }
        }
        let fields = [
            (",\"hostname\":\"", self.hostname.as_str()),
            ("\",\"service\":\"", self.service.as_str()),
            ("\",\"ddsource\":\"", source.unwrap_or(&self.source)),
            ("\",\"ddtags\":\"", &tags),
        ];
        for (name, value) in fields {
            out.extend_from_slice(name.as_bytes());
            push_str(value, out);
        }
        out.extend_from_slice(b"\"}");
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::{Attributes, Batch, Limits, Message, Payload, Pushed, Status};
    use crate::logs::{Line, Stream};

    fn limits() -> Limits {
        Limits { wait: Duration::from_secs(5), messages_max: 1000, bytes_max: 5_000_000 }
    }

    fn attributes() -> Attributes {
        Attributes {
            hostname: String::new(),
            service: "shop".into(),
            source: "cloud\"run".into(),
            tags: "env:prod,team:a".into(),
            tags_truncated: true,
        }
    }

    fn batch(limits: Limits) -> Batch {
        Batch::new(limits, attributes(), |text| text.starts_with(b"{").then_some(Status::Warn))
    }

    fn line<'a>(text: &'a [u8], stream: Stream) -> Line<'a> {
        Line { text, stream, time_ms: 1_750_000_000_000, tags: "", is_cut: false }
    }

    /// Pushes these texts, each at a millisecond of its own, and returns the payloads.
    fn payloads(batch: &mut Batch, texts: &[&[u8]]) -> Vec<Payload> {
        let mut payloads = Vec::new();
        let mut out = |payload| {
            payloads.push(payload);
            Vec::new()
        };
        for (now_ms, text) in (0..).zip(texts) {
            let message = Message::of_line(line(text, Stream::Stdout)).unwrap();
            assert_eq!(batch.push(&message, now_ms, &mut out), Pushed::In);
        }
        batch.leave(&mut out);
        batch.leave(&mut out);
        payloads
    }

    /// The entries of a payload, after its parts were looked at.
    fn entries(payload: &Payload) -> Vec<Value> {
        let mut lines = 0;
        for part in &payload.parts {
            let text = std::str::from_utf8(&payload.body[part.bytes.clone()]).unwrap();
            let alone: Vec<Value> = serde_json::from_str(&format!("[{text}]")).unwrap();
            assert_eq!(alone.len() as u64, part.counts.log_lines);
            lines += part.counts.log_lines;
        }
        let entries: Vec<Value> = serde_json::from_slice(&payload.body).unwrap();
        assert_eq!((entries.len() as u64, lines), (payload.counts.log_lines, lines));
        entries
    }

    #[test]
    fn an_entry_has_the_fields_of_the_intake() {
        let mut batch = batch(limits());
        let payload = &payloads(&mut batch, &[b"a \"b\"\xff", b"{}"])[0];
        let entry = |message, status| {
            json!({
                "message": message, "status": status, "timestamp": 1_750_000_000_000_u64, "hostname": "",
                "service": "shop", "ddsource": "cloud\"run", "ddtags": "env:prod,team:a"
            })
        };
        assert_eq!(entries(payload), [entry("a \"b\"\u{fffd}", "info"), entry("{}", "warn")]);
    }

    #[test]
    fn what_a_message_has_of_its_own_goes_along() {
        let cut = Line { is_cut: true, tags: "filename:a.log", ..line(b"x", Stream::Stderr) };
        let message =
            Message { source: Some(Cow::Borrowed("nginx")), ..Message::of_line(cut).unwrap() };
        let entry = |tags_truncated| {
            let attributes = Attributes { tags_truncated, ..attributes() };
            let (mut batch, mut entry) = (Batch::new(limits(), attributes, |_| None), Value::Null);
            let mut out = |payload: Payload| {
                entry = serde_json::from_slice::<Vec<Value>>(&payload.body).unwrap().remove(0);
                Vec::new()
            };
            batch.push(&message, 0, &mut out);
            batch.leave(&mut out);
            entry
        };
        let with = entry(true);
        assert_eq!((&with["status"], &with["ddsource"]), (&json!("error"), &json!("nginx")));
        let tags = "env:prod,team:a,filename:a.log";
        assert_eq!(with["ddtags"], json!(format!("{tags},truncated:single_line")));
        assert_eq!(entry(false)["ddtags"], json!(tags));
    }

    #[test]
    fn it_leaves_with_so_many_messages() {
        let mut batch = batch(Limits { messages_max: 3, ..limits() });
        let payloads = payloads(&mut batch, &[b"a".as_slice(); 7]);
        let lens: Vec<usize> = payloads.iter().map(|payload| entries(payload).len()).collect();
        assert_eq!(lens, [3, 3, 1]);
    }

    #[test]
    fn it_never_has_more_bytes_than_it_may() {
        let mut batch = batch(Limits { bytes_max: 1000, ..limits() });
        let texts: Vec<Vec<u8>> = (0..200).map(|len| vec![b'"'; 1 + len * 2]).collect();
        let texts: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
        let payloads = payloads(&mut batch, &texts);
        assert!(payloads.iter().all(|payload| payload.body.len() <= 1000));
        let messages = payloads.iter().flat_map(entries);
        let lens: Vec<usize> = messages.map(|e| e["message"].as_str().unwrap().len()).collect();
        assert_eq!(lens, texts.iter().map(|text| text.len()).collect::<Vec<_>>());
        let long = vec![b'a'; 1000];
        let message = Message::of_line(line(&long, Stream::Stdout)).unwrap();
        assert_eq!(batch.push(&message, 0, &mut |_| Vec::new()), Pushed::TooLarge);
        assert_eq!(batch.due_ms(), None);
    }

    #[test]
    fn its_parts_can_be_sent_apart() {
        let text = vec![b'a'; 10_000];
        let payload = &payloads(&mut batch(limits()), &[text.as_slice(); 20])[0];
        assert_eq!(entries(payload).len(), 20);
        assert_eq!(payload.parts.len(), 5);
    }

    #[test]
    fn it_is_due_the_set_time_after_its_first_message() {
        let mut batch = batch(limits());
        assert_eq!(batch.due_ms(), None);
        for now_ms in [100, 2000] {
            batch.push(&Message::of_line(line(b"a", Stream::Stdout)).unwrap(), now_ms, &mut |_| {
                Vec::new()
            });
        }
        assert_eq!(batch.due_ms(), Some(5100));
        batch.leave(&mut |_| Vec::new());
        assert_eq!(batch.due_ms(), None);
    }
}
