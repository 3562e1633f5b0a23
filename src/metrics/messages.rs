//! Events and service checks: written as JSON when they come, held until the next flush (spec: metrics-logs 3.2).

use std::ops::Range;

use serde::Serialize;

use crate::ledger::Counts;
use crate::limits::{MESSAGES_BODY_BYTES_MAX, MESSAGES_BYTES_MAX, MESSAGES_PER_BODY_MAX};

use super::body::{BodyKind, Output, OutputPart};
use super::sample::{Alert, Check, Event, Priority};

/// A message in the form of the intake, and what it is listed under.
#[derive(Debug)]
struct Message {
    /// Of events: their source type.
    list: String,
    json: Box<[u8]>,
}

/// Why a message is not held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// No body has room for it.
    TooLarge,
    /// There are too many bytes of messages already.
    Full,
}

/// Messages until the next flush.
#[derive(Debug, Default)]
pub(super) struct Messages {
    checks: Vec<Message>,
    events: Vec<Message>,
    bytes: usize,
}

/// An event as the intake has it. What is empty is left out, but for what the agent always writes.
#[derive(Serialize)]
struct EventJson<'a> {
    msg_title: &'a str,
    msg_text: &'a str,
    timestamp: i64,
    priority: &'static str,
    host: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    tags: &'a [&'a str],
    alert_type: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    aggregation_key: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    source_type_name: &'a str,
}

/// A service check as the intake has it.
#[derive(Serialize)]
struct CheckJson<'a> {
    check: &'a str,
    host_name: &'a str,
    timestamp: i64,
    status: u8,
    message: &'a str,
    tags: &'a [&'a str],
}

/// The list of events that name no source type.
const NO_SOURCE: &str = "api";

/// What is around the lists of events; there is no key in the body, as the agent has it.
const EVENTS_BEGIN: &str = r#"{"apiKey":"","events":{"#;

impl Messages {
    /// Takes an event, with all its tags.
    pub(super) fn event(
        &mut self,
        event: &Event<'_>,
        tags: &[&str],
        hostname: &str,
        now_s: u64,
    ) -> Result<(), Refused> {
        let json = EventJson {
            msg_title: event.title,
            msg_text: event.text,
            timestamp: time(event.timestamp_s, now_s),
            priority: match event.priority {
                Priority::Normal => "normal",
                Priority::Low => "low",
            },
            host: or(event.host, hostname),
            tags,
            alert_type: match event.alert {
                Alert::Info => "info",
                Alert::Success => "success",
                Alert::Warning => "warning",
                Alert::Error => "error",
            },
            aggregation_key: event.aggregation_key,
            source_type_name: event.source_type,
        };
        let list = or(event.source_type, NO_SOURCE);
        // Names of lists are strings of JSON, too, and in the worst case there is one for each event.
        let around = 6 * list.len() + EVENTS_BEGIN.len() + 6 * hostname.len() + 64;
        let message = self.admit(&json, list, around)?;
        self.events.push(message);
        Ok(())
    }

    /// Takes a service check, with all its tags.
    pub(super) fn check(
        &mut self,
        check: &Check<'_>,
        tags: &[&str],
        hostname: &str,
        now_s: u64,
    ) -> Result<(), Refused> {
        let json = CheckJson {
            check: check.name,
            host_name: or(check.host, hostname),
            timestamp: time(check.timestamp_s, now_s),
            status: check.status as u8,
            message: check.message,
            tags,
        };
        let message = self.admit(&json, "", 2)?;
        self.checks.push(message);
        Ok(())
    }

    fn admit(
        &mut self,
        json: &impl Serialize,
        list: &str,
        around: usize,
    ) -> Result<Message, Refused> {
        // Strings and numbers always can be written.
        let json = serde_json::to_vec(json).map_err(|_| Refused::TooLarge)?;
        if json.len() + around > MESSAGES_BODY_BYTES_MAX {
            return Err(Refused::TooLarge);
        }
        let message = Message { list: list.to_owned(), json: json.into() };
        let bytes = self.bytes + message.bytes();
        if bytes > MESSAGES_BYTES_MAX {
            return Err(Refused::Full);
        }
        self.bytes = bytes;
        Ok(message)
    }

    /// Bytes of what is held.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Hands out everything.
    pub(super) fn take(&mut self, hostname: &str, out: &mut dyn FnMut(Output)) {
        self.bytes = 0;
        let checks = std::mem::take(&mut self.checks);
        for run in runs(&checks, |check| check.json.len() + 1) {
            let mut body = vec![b'['];
            let mut parts = Vec::with_capacity(run.len());
            let one = Counts { checks: 1, ..Counts::default() };
            list(&mut body, run, |bytes| parts.push(OutputPart { bytes, counts: one }));
            body.push(b']');
            let counts = Counts { checks: run.len() as u64, ..Counts::default() };
            out(Output { kind: BodyKind::Checks, body, counts, parts });
        }
        let mut events = std::mem::take(&mut self.events);
        events.sort_by(|a, b| a.list.cmp(&b.list));
        for run in runs(&events, |event| event.json.len() + 6 * event.list.len() + 6) {
            let counts = Counts { events: run.len() as u64, ..Counts::default() };
            let (body, parts) = events_body(run, hostname);
            out(Output { kind: BodyKind::Events, body, counts, parts });
        }
    }
}

impl Message {
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.list.capacity() + self.json.len()
    }
}

/// A time that was given, or now.
fn time(given_s: Option<i64>, now_s: u64) -> i64 {
    given_s.filter(|given| *given != 0).unwrap_or_else(|| now_s.cast_signed())
}

fn or<'a>(text: &'a str, default: &'a str) -> &'a str {
    if text.is_empty() { default } else { text }
}

/// Cuts messages into runs that fit a body. `bytes` is what one takes at most.
fn runs(
    messages: &[Message],
    bytes: impl Fn(&Message) -> usize,
) -> impl Iterator<Item = &[Message]> {
    // What is around the items, the host's name included (of 255 bytes at most), is far less than this.
    const AROUND: usize = 4096;
    let mut rest = messages;
    std::iter::from_fn(move || {
        let mut total = AROUND;
        let fit = rest.iter().take(MESSAGES_PER_BODY_MAX).take_while(|message| {
            total += bytes(message);
            total <= MESSAGES_BODY_BYTES_MAX
        });
        let (run, after) = rest.split_at(fit.count().max(1).min(rest.len()));
        rest = after;
        (!run.is_empty()).then_some(run)
    })
}

/// Appends messages with commas in between, and tells the place of each.
fn list(body: &mut Vec<u8>, messages: &[Message], mut each: impl FnMut(Range<usize>)) {
    for (place, message) in messages.iter().enumerate() {
        if place > 0 {
            body.push(b',');
        }
        let start = body.len();
        body.extend_from_slice(&message.json);
        each(start..body.len());
    }
}

/// The body of events that are sorted by their lists, and where it may be cut: between events where there is one list, else between lists, as
/// what is around a part has to make sense around any other.
fn events_body(events: &[Message], hostname: &str) -> (Vec<u8>, Vec<OutputPart>) {
    let mut body = EVENTS_BEGIN.as_bytes().to_vec();
    let (mut lists, mut singles) = (Vec::new(), Vec::new());
    for (place, same) in events.chunk_by(|a, b| a.list == b.list).enumerate() {
        if place > 0 {
            body.push(b',');
        }
        let start = body.len();
        string(&mut body, same.first().map_or(NO_SOURCE, |event| &event.list));
        body.extend_from_slice(b":[");
        let one = Counts { events: 1, ..Counts::default() };
        list(&mut body, same, |bytes| singles.push(OutputPart { bytes, counts: one }));
        body.push(b']');
        let counts = Counts { events: same.len() as u64, ..Counts::default() };
        lists.push(OutputPart { bytes: start..body.len(), counts });
    }
    body.extend_from_slice(br#"},"internalHostname":"#);
    string(&mut body, hostname);
    body.push(b'}');
    (body, if lists.len() == 1 { singles } else { lists })
}

/// Appends a string of JSON.
fn string(body: &mut Vec<u8>, text: &str) {
    body.extend_from_slice(serde_json::Value::from(text).to_string().as_bytes());
}
