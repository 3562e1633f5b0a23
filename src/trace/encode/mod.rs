//! Chunks and payloads as protobuf, in the form with a string table for each tracer payload (`AgentPayload.idxTracerPayloads`). Numbers of
//! fields are those of Datadog's `datadog.trace.idx` messages.

pub mod older;

use std::borrow::Cow;

use crate::trace::chunk::{ChunkFacts, Ready, ReadyValue, Work};
use crate::trace::model::{Body, Event, EventValue, Link, Slice, Text};
use crate::trace::redact::replace::Rules;
use crate::trace::redact::{Scalar, double_text};
use crate::trace::strings::Ref;
use crate::trace::table::{Table, as_text};
use crate::trace::{normalise, wire};

/// What is added to a chunk's spans on their way out.
#[derive(Clone, Copy, Debug)]
pub struct Additions<'a> {
    /// Whether the trace counts as dropped.
    pub is_dropped: bool,
    /// Attributes of the chunk.
    pub chunk: &'a [(Ref, Ref)],
    /// Attributes of single spans, by their index.
    pub single: &'a [(usize, (Ref, ReadyValue))],
    /// The marker of the form.
    pub marker: (Ref, ReadyValue),
    /// How many spans get the marker, from the first on.
    pub marks: usize,
    /// Attributes of every span that lacks them; the index is the bit of [`Ready::span_tags`].
    pub lacking: &'a [(Ref, Ref)],
    /// The key `_top_level`.
    pub top_level: Ref,
}

/// Appends a chunk as field 11 of a tracer payload. Strings that only links and events name enter the table here.
pub fn chunk(
    out: &mut Vec<u8>,
    work: &Work,
    additions: &Additions<'_>,
    table: &mut Table,
    body: &Body,
    source: &[u8],
    rules: &Rules,
) {
    let ChunkFacts { priority, origin, sampling_mechanism, trace_id, .. } = work.facts;
    let field = wire::open(out, 0x5a);
    wire::number(out, 0x08, i64::from(priority).cast_unsigned());
    wire::number(out, 0x10, u64::from(origin));
    let mut room = wire::Room::open(out, additions.chunk.len() * ENTRY_BYTES);
    for (key, text) in additions.chunk {
        text_entry(&mut room, 0x1a, *key, *text);
    }
    room.close();
    for (index, ready) in work.spans.iter().enumerate() {
        let single = additions.single.iter().filter(|(span, _)| *span == index);
        let marker = (index < additions.marks).then_some(&additions.marker);
        let mut encoder = Encoder { rules, out, table, body, source };
        let own = &work.attributes[ready.attributes.range()];
        encoder.span(ready, own, marker.into_iter().chain(single.map(|(_, own)| own)), additions);
    }
    wire::number(out, 0x28, u64::from(additions.is_dropped));
    wire::bytes(out, 0x32, &trace_id.to_be_bytes());
    wire::number(out, 0x38, u64::from(sampling_mechanism.unwrap_or(0)));
    wire::close(out, field);
}

struct Encoder<'a> {
    rules: &'a Rules,
    out: &'a mut Vec<u8>,
    table: &'a mut Table,
    body: &'a Body,
    source: &'a [u8],
}

impl Encoder<'_> {
    fn span<'b>(
        &mut self,
        ready: &Ready,
        attributes: &[(Ref, ReadyValue)],
        added: impl Iterator<Item = &'b (Ref, ReadyValue)>,
        additions: &Additions<'_>,
    ) {
        let field = wire::open(self.out, 0x22);
        let entries = attributes.len() + additions.single.len() + additions.lacking.len() + 2;
        let mut room = wire::Room::open(self.out, SPAN_BYTES + entries * ENTRY_BYTES);
        room.number(0x08, ready.service);
        room.number(0x10, ready.name);
        room.number(0x18, ready.resource);
        room.fixed(0x21, ready.span_id);
        room.long(0x28, ready.parent_id);
        room.fixed(0x31, ready.start);
        room.long(0x38, ready.duration);
        room.number(0x40, ready.error.cast_unsigned());
        let mut bytes = 0;
        for (key, value) in attributes {
            bytes += usize::from(!entry(&mut room, *key, *value));
        }
        for (key, value) in added {
            entry(&mut room, *key, *value);
        }
        if ready.add_top_level {
            number_entry(&mut room, additions.top_level, 1.0);
        }
        for (bit, (key, value)) in additions.lacking.iter().enumerate() {
            if ready.span_tags & 1 << bit == 0 {
                text_entry(&mut room, ATTRIBUTE, *key, *value);
            }
        }
        room.close();
        if bytes > 0 {
            for (key, value) in attributes {
                if let ReadyValue::Bytes(text) = value {
                    self.bytes_entry(*key, *text);
                }
            }
        }
        wire::number(self.out, 0x50, u64::from(ready.kind));
        for index in ready.links.range() {
            self.link(&self.body.links[index]);
        }
        for index in ready.events.range() {
            self.event(&self.body.events[index]);
        }
        wire::number(self.out, 0x68, u64::from(ready.env));
        wire::number(self.out, 0x70, u64::from(ready.version));
        wire::number(self.out, 0x78, u64::from(ready.component));
        if ready.span_kind as u64 != 0 {
            self.out.extend_from_slice(&[0x80, 0x01, ready.span_kind as u8]);
        }
        wire::close(self.out, field);
    }

    /// An attribute whose value is bytes of the body.
    fn bytes_entry(&mut self, key: Ref, text: Text) {
        let entry = wire::open(self.out, ATTRIBUTE);
        wire::number(self.out, 0x08, u64::from(key));
        let value = wire::open(self.out, 0x12);
        let bytes = text.of(self.source);
        // Part of a oneof, so it is written even where it is empty.
        self.out.push(0x2a);
        wire::varint(self.out, bytes.len() as u64);
        self.out.extend_from_slice(bytes);
        wire::close(self.out, value);
        wire::close(self.out, entry);
    }

    fn link(&mut self, link: &Link) {
        let field = wire::open(self.out, 0x5a);
        let trace_id = u128::from(link.trace_id_high) << 64 | u128::from(link.trace_id);
        wire::bytes(self.out, 0x0a, &trace_id.to_be_bytes());
        wire::fixed(self.out, 0x11, link.span_id);
        for (key, value) in &self.body.pairs[link.attributes.range()] {
            let is_name = key.of(self.source) == b"link.name";
            let key = self.table.intern(*key, self.source);
            let value = if is_name {
                let name = as_text(value.of(self.source));
                self.table.strings.intern(normalise::name(&name).as_bytes())
            } else {
                self.table.intern(*value, self.source)
            };
            let mut room = wire::Room::open(self.out, ENTRY_BYTES);
            text_entry(&mut room, 0x1a, key, value);
            room.close();
        }
        let tracestate = self.table.intern(link.tracestate, self.source);
        wire::number(self.out, 0x20, u64::from(tracestate));
        wire::number(self.out, 0x28, u64::from(link.flags));
        wire::close(self.out, field);
    }

    fn event(&mut self, event: &Event) {
        let field = wire::open(self.out, 0x62);
        wire::fixed(self.out, 0x09, event.time);
        let name = self.table.intern(event.name, self.source);
        wire::number(self.out, 0x10, u64::from(name));
        for (key, value) in &self.body.event_attributes[event.attributes.range()] {
            if self.rules.is_empty() {
                let key = self.table.intern(*key, self.source);
                self.event_attribute(key, |encoder| encoder.event_value(0x12, *value));
            } else {
                self.replaced_event_attribute(*key, *value);
            }
        }
        wire::close(self.out, field);
    }

    fn event_attribute(&mut self, key: Ref, value: impl FnOnce(&mut Self)) {
        let entry = wire::open(self.out, 0x1a);
        wire::number(self.out, 0x08, u64::from(key));
        value(self);
        wire::close(self.out, entry);
    }

    /// The same by replace rules, which look at the value's text.
    fn replaced_event_attribute(&mut self, key: Text, value: EventValue) {
        let name = as_text(key.of(self.source));
        let text = self.event_value_text(value).into_owned();
        let key = self.table.strings.intern(name.as_bytes());
        match self.rules.of_event(&name, Scalar::Text(Cow::Borrowed(&text))) {
            None => {}
            Some(Scalar::Text(same)) if *same == *text => {
                self.event_attribute(key, |encoder| encoder.event_value(0x12, value));
            }
            Some(Scalar::Text(new)) => {
                let new = self.table.strings.intern(new.as_bytes());
                self.event_attribute(key, |encoder| {
                    let field = wire::open(encoder.out, 0x12);
                    encoder.text_value(new);
                    wire::close(encoder.out, field);
                });
            }
            Some(Scalar::Int(int)) => {
                self.event_attribute(key, |encoder| {
                    encoder.event_value(0x12, EventValue::Int(int))
                });
            }
            Some(Scalar::Double(double)) => self.event_attribute(key, |encoder| {
                encoder.event_value(0x12, EventValue::Double(double));
            }),
        }
    }

    /// A value as the text that rules look at.
    fn event_value_text(&self, value: EventValue) -> Cow<'_, str> {
        match value {
            EventValue::None | EventValue::Other(_) => Cow::Borrowed(""),
            EventValue::Text(text) => as_text(text.of(self.source)),
            EventValue::Bool(flag) => Cow::Borrowed(if flag { "true" } else { "false" }),
            EventValue::Int(int) => Cow::Owned(int.to_string()),
            EventValue::Double(double) => Cow::Owned(double_text(double)),
            EventValue::Array(values) => {
                let values = &self.body.array_values[values.range()];
                let texts: Vec<_> =
                    values.iter().map(|value| self.event_value_text(*value)).collect();
                Cow::Owned(format!("[{}]", texts.join(",")))
            }
        }
    }

    fn text_value(&mut self, text: Ref) {
        self.out.push(0x08);
        wire::varint(self.out, u64::from(text));
    }

    /// A value as a field of its own; all its forms are parts of a oneof, so zeros are written too.
    fn event_value(&mut self, tag: u8, value: EventValue) {
        let field = wire::open(self.out, tag);
        match value {
            EventValue::None | EventValue::Other(_) => {}
            EventValue::Text(text) => {
                let text = self.event_text(text);
                self.text_value(text);
            }
            EventValue::Bool(flag) => self.out.extend_from_slice(&[0x10, u8::from(flag)]),
            EventValue::Double(double) => {
                self.out.push(0x19);
                self.out.extend_from_slice(&double.to_bits().to_le_bytes());
            }
            EventValue::Int(int) => {
                self.out.push(0x20);
                wire::varint(self.out, int.cast_unsigned());
            }
            EventValue::Array(values) => self.event_array(values),
        }
        wire::close(self.out, field);
    }

    fn event_array(&mut self, values: Slice) {
        let array = wire::open(self.out, 0x32);
        for index in values.range() {
            self.event_value(0x0a, self.body.array_values[index]);
        }
        wire::close(self.out, array);
    }

    fn event_text(&mut self, text: Text) -> Ref {
        self.table.intern(text, self.source)
    }
}

/// The field of a span that holds its attributes.
const ATTRIBUTE: u8 = 0x4a;

/// Bytes of the fields of a span before its attributes, at the most.
const SPAN_BYTES: usize = 80;

/// Bytes of an attribute with a string or a number as its value, at the most; and what a last word may write over.
const ENTRY_BYTES: usize = 20;

/// Appends an attribute, but not one whose value is bytes: then it says no.
#[inline(always)]
fn entry(room: &mut wire::Room<'_>, key: Ref, value: ReadyValue) -> bool {
    match value {
        ReadyValue::Text(text) => text_entry(room, ATTRIBUTE, key, text),
        ReadyValue::Number(number) => number_entry(room, key, number),
        ReadyValue::Int(int) => int_entry(room, key, int),
        ReadyValue::Bytes(_) => return false,
    }
    true
}

/// A map entry whose value is a string. It is always shorter than 128 bytes, so its lengths are one byte each.
#[inline(always)]
pub(super) fn text_entry(room: &mut wire::Room<'_>, tag: u8, key: Ref, text: Ref) {
    let (key, key_bytes) = wire::varint_word(key);
    let (text, text_bytes) = wire::varint_word(text);
    let len = (key_bytes + text_bytes + 4) as u64;
    room.put(u64::from(tag) | len << 8 | 0x08 << 16 | key << 24, 3 + key_bytes);
    let len = (text_bytes + 1) as u64;
    room.put(0x12 | len << 8 | 0x08 << 16 | text << 24, 3 + text_bytes);
}

/// A map entry whose value is an integer.
#[inline(never)]
fn int_entry(room: &mut wire::Room<'_>, key: Ref, int: i64) {
    let (key, key_bytes) = wire::varint_word(key);
    let int_bytes = wire::varint_bytes(int.cast_unsigned());
    let len = (key_bytes + int_bytes + 4) as u64;
    room.put(u64::from(ATTRIBUTE) | len << 8 | 0x08 << 16 | key << 24, 3 + key_bytes);
    room.put(0x12 | (int_bytes as u64 + 1) << 8, 2);
    // Part of a oneof, so it is written even where it is 0.
    if int == 0 { room.put(0x20, 2) } else { room.long(0x20, int.cast_unsigned()) }
}

/// A map entry whose value is a double.
#[inline(always)]
fn number_entry(room: &mut wire::Room<'_>, key: Ref, number: f64) {
    let (key, key_bytes) = wire::varint_word(key);
    let len = (key_bytes + 12) as u64;
    room.put(u64::from(ATTRIBUTE) | len << 8 | 0x08 << 16 | key << 24, 3 + key_bytes);
    room.put(0x19_0912, 3);
    room.put(number.to_bits(), 8);
}
