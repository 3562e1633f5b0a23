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
    for (key, value) in &work.chunk_attributes {
        text_entry(out, 0x1a, *key, *value);
    }
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

/// A map entry whose value is a string: put together in a register and appended at once.
#[inline]
pub fn text_entry(out: &mut Vec<u8>, tag: u8, key: Ref, text: Ref) {
    let mut entry = Small::default();
    let (key_bytes, text_bytes) = (varint_len(key), varint_len(text));
    // The entry is always shorter than 128 bytes, so its lengths are one byte each.
    entry.put(u64::from_le_bytes([tag, key_bytes + text_bytes + 4, 0x08, 0, 0, 0, 0, 0]), 3);
    entry.put(varint_bits(key), key_bytes);
    entry.put(u64::from_le_bytes([0x12, text_bytes + 1, 0x08, 0, 0, 0, 0, 0]), 3);
    entry.put(varint_bits(text), text_bytes);
    entry.append_to(out);
}

/// A map entry whose value is a double.
#[inline]
fn number_entry(out: &mut Vec<u8>, tag: u8, key: Ref, number: f64) {
    let mut entry = Small::default();
    let key_bytes = varint_len(key);
    entry.put(u64::from_le_bytes([tag, key_bytes + 12, 0x08, 0, 0, 0, 0, 0]), 3);
    entry.put(varint_bits(key), key_bytes);
    entry.put(u64::from_le_bytes([0x12, 9, 0x19, 0, 0, 0, 0, 0]), 3);
    entry.append_to(out);
    out.extend_from_slice(&number.to_bits().to_le_bytes());
}

/// Up to 16 bytes in a register. Two numbers of at most 5 bytes each and 6 bytes around them are the longest entry.
#[derive(Default)]
struct Small {
    bits: u128,
    len: u8,
}

impl Small {
    #[inline(always)]
    fn put(&mut self, bits: u64, len: u8) {
        self.bits |= u128::from(bits) << (u32::from(self.len) * 8);
        self.len += len;
    }

    /// A copy of fixed size and a cut are faster than a copy of the right size.
    #[inline(always)]
    fn append_to(&self, out: &mut Vec<u8>) {
        let end = out.len() + usize::from(self.len);
        out.extend_from_slice(&self.bits.to_le_bytes());
        out.truncate(end);
    }
}

/// A varint of up to 5 bytes, the first in the lowest byte.
#[inline(always)]
fn varint_bits(value: u32) -> u64 {
    let value = u64::from(value);
    match value {
        0..0x80 => value,
        0x80..0x4000 => 0x80 | value & 0x7f | (value & 0x3f80) << 1,
        0x4000..0x20_0000 => {
            0x8080 | value & 0x7f | (value & 0x3f80) << 1 | (value & 0x1f_c000) << 2
        }
        _ => {
            let more = if value < 0x1000_0000 { 0x80_8080 } else { 0x8080_8080 };
            let low = value & 0x7f | (value & 0x3f80) << 1 | (value & 0x1f_c000) << 2;
            more | low | (value & 0xfe0_0000) << 3 | (value & 0xf000_0000) << 4
        }
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

#[cfg(test)]
mod tests {
    use super::{varint_bits, varint_len};
    use crate::trace::wire;

    #[test]
    fn varints_in_registers_are_those_of_the_wire() {
        for bit in 0..32 {
            for value in [1_u32 << bit, (1_u32 << bit) - 1, (1_u32 << bit) | 1, u32::MAX >> bit] {
                let mut expect = Vec::new();
                wire::varint(&mut expect, u64::from(value));
                assert_eq!(usize::from(varint_len(value)), expect.len());
                assert_eq!(varint_bits(value).to_le_bytes()[..expect.len()], expect, "{value}");
            }
        }
    }
}
