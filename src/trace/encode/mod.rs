//! Chunks and payloads as protobuf, in the form with a string table for each tracer payload (`AgentPayload.idxTracerPayloads`). Numbers of
//! fields are those of Datadog's `datadog.trace.idx` messages.

pub mod older;

use std::borrow::Cow;

use crate::trace::chunk::{ChunkFacts, Ready, ReadyValue, Work};
use crate::trace::decode::Form;
use crate::trace::model::{Body, Event, Link, Slice, Text, Value};
use crate::trace::normalise;
use crate::trace::redact::Scalar;
use crate::trace::redact::replace::Rules;
use crate::trace::strings::Ref;
use crate::trace::table::{Table, as_text};
use crate::trace::value_text::value_text;
use crate::wire;

/// What is added to a chunk's spans on their way out.
#[derive(Clone, Copy, Debug)]
pub struct Additions<'a> {
    /// Whether the trace counts as dropped.
    pub is_dropped: bool,
    /// Attributes of the chunk.
    pub chunk: &'a [(Ref, Ref)],
    /// Attributes of single spans, by their index.
    pub single: &'a [(usize, (Ref, ReadyValue))],
    /// The marker of the form, where it has one.
    pub marker: Option<(Ref, ReadyValue)>,
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
    let mut room = wire::Room::open(out, additions.chunk.len() * ENTRY_BYTES_MAX);
    for (key, text) in additions.chunk {
        room.put_all(text_entry(0x1a, *key, *text));
    }
    room.close();
    Encoder { rules, out, table, body, source }.entries(0x1a, work.chunk_attributes);
    for (index, ready) in work.spans.iter().enumerate() {
        let single = additions.single.iter().filter(|(span, _)| *span == index);
        let marker = additions.marker.as_ref().filter(|_| index < additions.marks);
        let mut encoder = Encoder { rules, out, table, body, source };
        let own = &work.attributes[ready.attributes.range()];
        encoder.span(ready, own, marker.into_iter().chain(single.map(|(_, own)| own)), additions);
    }
    wire::number(out, 0x28, u64::from(additions.is_dropped));
    wire::bytes(out, 0x32, &trace_id.to_be_bytes());
    wire::number(out, 0x38, u64::from(sampling_mechanism.unwrap_or(0)));
    wire::close(out, field);
}

/// Appends entries of `body` as entries of a map, each a field of its own.
pub(super) fn entries(
    out: &mut Vec<u8>,
    tag: u8,
    entries: Slice,
    table: &mut Table,
    body: &Body,
    source: &[u8],
) {
    let rules = &Rules::default();
    Encoder { rules, out, table, body, source }.entries(tag, entries);
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
        let more = additions.single.len() + additions.lacking.len() + 2;
        let mut room = wire::Room::open(self.out, SPAN_BYTES + more * ENTRY_BYTES_MAX);
        room.number(0x08, ready.service);
        room.number(0x10, ready.name);
        room.number(0x18, ready.resource);
        room.fixed(0x21, ready.span_id);
        room.long(0x28, ready.parent_id);
        room.fixed(0x31, ready.start);
        room.long(0x38, ready.duration);
        room.number(0x40, ready.error.cast_unsigned());
        if entries_of(&mut room, attributes) {
            // Before what is added: of two entries with one key the last counts.
            room.close();
            self.others(attributes);
            room = wire::Room::open(self.out, more * ENTRY_BYTES_MAX);
        }
        for pair in added {
            entries_of(&mut room, std::slice::from_ref(pair));
        }
        if ready.add_top_level {
            room.put_all(number_entry(additions.top_level, 1.0));
        }
        for (bit, (key, value)) in additions.lacking.iter().enumerate() {
            if ready.span_tags & 1 << bit == 0 {
                room.put_all(text_entry(ATTRIBUTE, *key, *value));
            }
        }
        room.close();
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
        let kind = ready.span_kind.number();
        if kind != 0 {
            self.out.extend_from_slice(&[0x80, 0x01]);
            wire::varint(self.out, i64::from(kind).cast_unsigned());
        }
        wire::close(self.out, field);
    }

    /// The attributes whose values are of the rarer kinds.
    #[cold]
    fn others(&mut self, attributes: &[(Ref, ReadyValue)]) {
        for (key, value) in attributes {
            if let ReadyValue::Other(other) = value {
                self.entry(ATTRIBUTE, *key, *other);
            }
        }
    }

    fn link(&mut self, link: &Link) {
        let field = wire::open(self.out, 0x5a);
        if self.body.form == Form::V10 {
            wire::bytes(self.out, 0x0a, link.trace_id_bytes.of(self.source));
        } else {
            let trace_id = u128::from(link.trace_id_high) << 64 | u128::from(link.trace_id);
            wire::bytes(self.out, 0x0a, &trace_id.to_be_bytes());
        }
        wire::fixed(self.out, 0x11, link.span_id);
        for index in link.attributes.range() {
            let (key, value) = self.body.entries[index];
            let is_name = key.of(self.source) == b"link.name";
            let key = self.table.intern(key, self.source);
            if is_name {
                let name = value_text(value, self.body, self.source);
                let name = self.table.strings.intern(normalise::name(&name).as_bytes());
                let mut room = wire::Room::open(self.out, ENTRY_BYTES_MAX);
                room.put_all(text_entry(0x1a, key, name));
                room.close();
            } else {
                self.entry(0x1a, key, value);
            }
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
        if self.rules.is_empty() {
            self.entries(0x1a, event.attributes);
        } else {
            for index in event.attributes.range() {
                self.replaced_entry(0x1a, self.body.entries[index]);
            }
        }
        wire::close(self.out, field);
    }

    /// Entries of a map, or of a list of keys and values, which is the same on the wire.
    fn entries(&mut self, tag: u8, entries: Slice) {
        for index in entries.range() {
            let (key, value) = self.body.entries[index];
            let key = self.table.intern(key, self.source);
            self.entry(tag, key, value);
        }
    }

    fn entry(&mut self, tag: u8, key: Ref, value: Value) {
        let entry = wire::open(self.out, tag);
        wire::number(self.out, 0x08, u64::from(key));
        self.value(0x12, value);
        wire::close(self.out, entry);
    }

    /// An attribute of an event by replace rules, which look at its value's text.
    fn replaced_entry(&mut self, tag: u8, (key, value): (Text, Value)) {
        let name = as_text(key.of(self.source));
        let text = value_text(value, self.body, self.source);
        let key = self.table.strings.intern(name.as_bytes());
        match self.rules.of_event(&name, Scalar::Text(Cow::Borrowed(&text))) {
            None => {}
            Some(Scalar::Text(same)) if *same == *text => self.entry(tag, key, value),
            Some(Scalar::Text(new)) => {
                let new = self.table.strings.intern(new.as_bytes());
                let mut room = wire::Room::open(self.out, ENTRY_BYTES_MAX);
                room.put_all(text_entry(tag, key, new));
                room.close();
            }
            Some(Scalar::Int(int)) => self.entry(tag, key, Value::Int(int)),
            Some(Scalar::Double(double)) => self.entry(tag, key, Value::Number(double)),
        }
    }

    /// A value as a field of its own; all its forms are parts of a oneof, so zeros are written too.
    fn value(&mut self, tag: u8, value: Value) {
        let field = wire::open(self.out, tag);
        match value {
            Value::None | Value::Unknown(_) => {}
            Value::Text(text) => {
                let text = self.table.intern(text, self.source);
                self.out.push(0x08);
                wire::varint(self.out, u64::from(text));
            }
            Value::Bool(flag) => self.out.extend_from_slice(&[0x10, u8::from(flag)]),
            Value::Number(double) => {
                self.out.push(0x19);
                self.out.extend_from_slice(&double.to_bits().to_le_bytes());
            }
            Value::Int(int) => {
                self.out.push(0x20);
                wire::varint(self.out, int.cast_unsigned());
            }
            Value::Bytes(text) => {
                let bytes = text.of(self.source);
                self.out.push(0x2a);
                wire::varint(self.out, bytes.len() as u64);
                self.out.extend_from_slice(bytes);
            }
            Value::Array(values) => {
                let array = wire::open(self.out, 0x32);
                for index in values.range() {
                    self.value(0x0a, self.body.values[index]);
                }
                wire::close(self.out, array);
            }
            Value::Map(entries) => {
                let map = wire::open(self.out, 0x3a);
                self.entries(0x0a, entries);
                wire::close(self.out, map);
            }
        }
        wire::close(self.out, field);
    }
}

/// The field of a span that holds its attributes.
pub(super) const ATTRIBUTE: u8 = 0x4a;

/// Bytes of the fields of a span before its attributes, at the most.
const SPAN_BYTES: usize = 80;

/// Bytes of an attribute with a string or a number as its value, at the most.
pub(super) const ENTRY_BYTES_MAX: usize = 24;

/// Appends attributes, but not those whose values are of the rarer kinds: whether there are such.
#[inline(never)]
fn entries_of(room: &mut wire::Room<'_>, attributes: &[(Ref, ReadyValue)]) -> bool {
    let mut has_others = false;
    // What is filled in is small and of a known size, so that it is all in registers.
    let mut words = room.words(attributes.len() * ENTRY_BYTES_MAX);
    for (key, value) in attributes {
        if let ReadyValue::Text(text) = value {
            words.put_all(text_entry(ATTRIBUTE, *key, *text));
        } else if let ReadyValue::Number(number) = value {
            words.put_all(number_entry(*key, *number));
        } else if let ReadyValue::Int(int) = value {
            int_entry(&mut words, *key, *int);
        } else {
            has_others = true;
        }
    }
    words.close();
    has_others
}

/// A map entry whose value is a string, as words. It is always shorter than 128 bytes, so its lengths are one byte each.
#[inline(always)]
pub(super) fn text_entry(tag: u8, key: Ref, text: Ref) -> [(u64, usize); 2] {
    let (key, key_bytes) = wire::varint_word(key);
    let (text, text_bytes) = wire::varint_word(text);
    let (len, value_len) = ((key_bytes + text_bytes + 4) as u64, (text_bytes + 1) as u64);
    [
        (u64::from(tag) | len << 8 | 0x08 << 16 | key << 24, 3 + key_bytes),
        (0x12 | value_len << 8 | 0x08 << 16 | text << 24, 3 + text_bytes),
    ]
}

/// A map entry whose value is a double, as words.
#[inline(always)]
fn number_entry(key: Ref, number: f64) -> [(u64, usize); 3] {
    let (key, key_bytes) = wire::varint_word(key);
    let len = (key_bytes + 12) as u64;
    [
        (u64::from(ATTRIBUTE) | len << 8 | 0x08 << 16 | key << 24, 3 + key_bytes),
        (0x19_0912, 3),
        (number.to_bits(), 8),
    ]
}

/// A map entry whose value is an integer.
#[inline]
fn int_entry(words: &mut wire::Words<'_>, key: Ref, int: i64) {
    let (key, key_bytes) = wire::varint_word(key);
    let int = int.cast_unsigned();
    let int_bytes = wire::varint_len(int);
    let (len, value_len) = ((key_bytes + int_bytes + 4) as u64, (int_bytes + 1) as u64);
    words.put(u64::from(ATTRIBUTE) | len << 8 | 0x08 << 16 | key << 24, 3 + key_bytes);
    // A part of a oneof, which is written even where it is 0.
    words.put(0x12 | value_len << 8 | 0x20 << 16, 3);
    words.varint(int, int_bytes);
}
