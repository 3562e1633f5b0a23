//! Chunks and payloads as protobuf, in the form with a string table for each tracer payload (`AgentPayload.idxTracerPayloads`). Numbers of
//! fields are those of Datadog's `datadog.trace.idx` messages.

use crate::trace::chunk::{ChunkFacts, Ready, ReadyValue, Work};
use crate::trace::model::{Body, Event, EventValue, Link, Slice, Text};
use crate::trace::strings::Ref;
use crate::trace::table::{Table, as_text};
use crate::trace::{normalise, wire};

/// What is added to a chunk's spans on their way out.
#[derive(Clone, Copy, Debug)]
pub struct Additions<'a> {
    /// Attributes of the root alone.
    pub root: &'a [(Ref, ReadyValue)],
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
) {
    let ChunkFacts { priority, origin, sampling_mechanism, trace_id } = work.facts;
    let field = wire::open(out, 0x5a);
    wire::number(out, 0x08, i64::from(priority).cast_unsigned());
    wire::number(out, 0x10, u64::from(origin));
    for (index, ready) in work.spans.iter().enumerate() {
        let root = if index == work.root { additions.root } else { &[] };
        let marker = (index < additions.marks).then_some(&additions.marker);
        let mut encoder = Encoder { out, table, body, source };
        let own = work.attributes[ready.attributes.range()].iter();
        encoder.span(ready, own.chain(marker).chain(root), additions);
    }
    wire::bytes(out, 0x32, &trace_id.to_be_bytes());
    wire::number(out, 0x38, u64::from(sampling_mechanism.unwrap_or(0)));
    wire::close(out, field);
}

struct Encoder<'a> {
    out: &'a mut Vec<u8>,
    table: &'a mut Table,
    body: &'a Body,
    source: &'a [u8],
}

impl Encoder<'_> {
    fn span<'b>(
        &mut self,
        ready: &Ready,
        attributes: impl Iterator<Item = &'b (Ref, ReadyValue)>,
        additions: &Additions<'_>,
    ) {
        let field = wire::open(self.out, 0x22);
        wire::number(self.out, 0x08, u64::from(ready.service));
        wire::number(self.out, 0x10, u64::from(ready.name));
        wire::number(self.out, 0x18, u64::from(ready.resource));
        wire::fixed(self.out, 0x21, ready.span_id);
        wire::number(self.out, 0x28, ready.parent_id);
        wire::fixed(self.out, 0x31, ready.start);
        wire::number(self.out, 0x38, ready.duration);
        wire::number(self.out, 0x40, u64::from(ready.error));
        for (key, value) in attributes {
            self.attribute(0x4a, *key, *value);
        }
        if ready.add_top_level {
            self.attribute(0x4a, additions.top_level, ReadyValue::Number(1.0));
        }
        for (bit, (key, value)) in additions.lacking.iter().enumerate() {
            if ready.span_tags & 1 << bit == 0 {
                self.attribute(0x4a, *key, ReadyValue::Text(*value));
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

    /// An entry of a map from string numbers to values.
    #[inline]
    fn attribute(&mut self, tag: u8, key: Ref, value: ReadyValue) {
        match value {
            ReadyValue::Text(text) => text_entry(self.out, tag, key, text),
            ReadyValue::Number(number) => number_entry(self.out, tag, key, number),
            ReadyValue::Bytes(text) => {
                let entry = wire::open(self.out, tag);
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
        }
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
            self.attribute(0x1a, key, ReadyValue::Text(value));
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
            let entry = wire::open(self.out, 0x1a);
            let key = self.table.intern(*key, self.source);
            wire::number(self.out, 0x08, u64::from(key));
            self.event_value(0x12, *value);
            wire::close(self.out, entry);
        }
        wire::close(self.out, field);
    }

    /// A value as a field of its own; all its forms are parts of a oneof, so zeros are written too.
    fn event_value(&mut self, tag: u8, value: EventValue) {
        let field = wire::open(self.out, tag);
        match value {
            EventValue::None => {}
            EventValue::Text(text) => {
                let text = self.event_text(text);
                self.out.push(0x08);
                wire::varint(self.out, u64::from(text));
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

/// A map entry whose value is a string: at most 16 bytes, put together on the stack and appended at once.
#[inline]
pub fn text_entry(out: &mut Vec<u8>, tag: u8, key: Ref, text: Ref) {
    let mut entry = Small::default();
    let (key_bytes, text_bytes) = (varint_len(key), varint_len(text));
    entry.put(tag);
    entry.put(key_bytes + 1 + 2 + text_bytes + 1);
    entry.put(0x08);
    entry.varint(key);
    entry.put(0x12);
    entry.put(text_bytes + 1);
    entry.put(0x08);
    entry.varint(text);
    out.extend_from_slice(entry.bytes());
}

/// A map entry whose value is a double.
#[inline]
fn number_entry(out: &mut Vec<u8>, tag: u8, key: Ref, number: f64) {
    let mut entry = Small::default();
    // The entry is always shorter than 128 bytes, so its length is one byte.
    entry.put(tag);
    entry.put(varint_len(key) + 1 + 2 + 9);
    entry.put(0x08);
    entry.varint(key);
    entry.put(0x12);
    entry.put(9);
    entry.put(0x19);
    entry.fixed(number.to_bits());
    out.extend_from_slice(entry.bytes());
}

/// A few bytes on the stack.
#[derive(Default)]
struct Small {
    bytes: [u8; 32],
    len: usize,
}

impl Small {
    #[inline(always)]
    fn put(&mut self, byte: u8) {
        self.bytes[self.len & 31] = byte;
        self.len += 1;
    }

    #[inline(always)]
    fn varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.put(value as u8 | 0x80);
            value >>= 7;
        }
        self.put(value as u8);
    }

    #[inline(always)]
    fn fixed(&mut self, value: u64) {
        let rest = self.bytes.get_mut(self.len..);
        if let Some(place) = rest.and_then(|rest| rest.first_chunk_mut::<8>()) {
            *place = value.to_le_bytes();
            self.len += 8;
        }
    }

    #[inline(always)]
    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len.min(32)]
    }
}

#[inline]
fn varint_len(value: u32) -> u8 {
    match value {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        0x20_0000..0x1000_0000 => 4,
        _ => 5,
    }
}
