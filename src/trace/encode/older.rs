//! Chunks as protobuf in the older form, in which every span carries its strings itself (`AgentPayload.tracerPayloads`). Numbers of fields are
//! those of Datadog's `datadog.trace` messages (spec: trace-agent 6.1).

use std::borrow::Cow;

use super::Additions;
use crate::trace::chunk::{ChunkFacts, Ready, ReadyValue, Work};
use crate::trace::model::{Body, Event, Link, Slice, Text, Value};
use crate::trace::normalise;
use crate::trace::redact::Redactor;
use crate::trace::redact::older::EventScalar;
use crate::trace::strings::{Ref, Strings};
use crate::trace::table::as_text;
use crate::wire;

/// The chunk's tag for how the sampling decision was made.
const DECISION_MAKER: &str = "_dd.p.dm";

/// Fields of a span that are maps.
const META: u8 = 0x52;
const METRICS: u8 = 0x5a;
const META_STRUCT: u8 = 0x6a;

/// Fields of the entries of a map.
const KEY: u8 = 0x0a;
const TEXT_VALUE: u8 = 0x12;
const NUMBER_VALUE: u8 = 0x11;

/// The types of the values of event attributes.
mod kinds {
    pub(super) const BOOL: u64 = 1;
    pub(super) const INT: u64 = 2;
    pub(super) const DOUBLE: u64 = 3;
    pub(super) const ARRAY: u64 = 4;
}

/// Appends a chunk as field 6 of a tracer payload.
pub fn chunk(
    out: &mut Vec<u8>,
    work: &Work,
    additions: &Additions<'_>,
    strings: &Strings,
    body: &Body,
    source: &[u8],
    redactor: &Redactor,
) {
    let ChunkFacts { priority, origin, sampling_mechanism, decision_maker, .. } = work.facts;
    #[expect(clippy::cast_possible_truncation, reason = "the lower half; the upper one is a tag")]
    let trace_id = work.facts.trace_id as u64;
    let field = wire::open(out, 0x32);
    wire::number(out, 0x08, i64::from(priority).cast_unsigned());
    wire::bytes(out, 0x12, strings.bytes(origin));
    for (index, ready) in work.spans.iter().enumerate() {
        let own = &work.attributes[ready.attributes.range()];
        let single = additions.single.iter().filter(|(span, _)| *span == index);
        let mut encoder = Encoder { out, strings, body, source, redactor };
        encoder.span(ready, trace_id, own.iter().chain(single.map(|(_, own)| own)), additions);
    }
    for (key, value) in &body.entries[work.chunk_attributes.range()] {
        if let Value::Text(value) = value
            && key.of(source) != DECISION_MAKER.as_bytes()
        {
            tag(out, &as_text(key.of(source)), &as_text(value.of(source)));
        }
    }
    // What our own sampler decided counts before what the tracer says.
    let maker = sampling_mechanism.map(|mechanism| Cow::Owned(format!("-{mechanism}")));
    let maker = maker.or_else(|| decision_maker.map(|text| Cow::Borrowed(strings.get(text))));
    if let Some(maker) = maker {
        tag(out, DECISION_MAKER, &maker);
    }
    for (key, text) in additions.chunk {
        tag(out, strings.get(*key), strings.get(*text));
    }
    wire::number(out, 0x28, u64::from(additions.is_dropped));
    wire::close(out, field);
}

/// Appends a tag of a chunk.
fn tag(out: &mut Vec<u8>, key: &str, text: &str) {
    let entry = wire::open(out, 0x22);
    wire::bytes(out, KEY, key.as_bytes());
    wire::bytes(out, TEXT_VALUE, text.as_bytes());
    wire::close(out, entry);
}

struct Encoder<'a> {
    out: &'a mut Vec<u8>,
    strings: &'a Strings,
    body: &'a Body,
    source: &'a [u8],
    redactor: &'a Redactor,
}

impl Encoder<'_> {
    fn span<'b>(
        &mut self,
        ready: &Ready,
        trace_id: u64,
        attributes: impl Iterator<Item = &'b (Ref, ReadyValue)>,
        additions: &Additions<'_>,
    ) {
        let field = wire::open(self.out, 0x1a);
        for (tag, string) in
            [(0x0a, ready.service), (0x12, ready.name), (0x1a, ready.resource), (0x62, ready.kind)]
        {
            if string != 0 {
                self.string(tag, string);
            }
        }
        for (tag, number) in [
            (0x20, trace_id),
            (0x28, ready.span_id),
            (0x30, ready.parent_id),
            (0x38, ready.start),
            (0x40, ready.duration),
            (0x48, i64::from(ready.error).cast_unsigned()),
        ] {
            wire::number(self.out, tag, number);
        }
        for (key, value) in attributes {
            match *value {
                ReadyValue::Text(text) => self.text_entry(*key, text),
                ReadyValue::Number(number) => self.number_entry(*key, number),
                #[expect(clippy::cast_precision_loss, reason = "the map holds doubles")]
                ReadyValue::Int(int) => self.number_entry(*key, int as f64),
                ReadyValue::Other(Value::Bytes(text)) => self.bytes_entry(*key, text),
                // No form that comes here has others.
                ReadyValue::Other(_) => {}
            }
        }
        if ready.add_top_level {
            self.number_entry(additions.top_level, 1.0);
        }
        for (bit, (key, text)) in additions.lacking.iter().enumerate() {
            if ready.span_tags & 1 << bit == 0 {
                self.text_entry(*key, *text);
            }
        }
        for index in ready.links.range() {
            self.link(&self.body.links[index]);
        }
        for index in ready.events.range() {
            self.event(&self.body.events[index]);
        }
        wire::close(self.out, field);
    }

    /// A string of the table as a field: it is one there, of another number.
    #[inline]
    fn string(&mut self, tag: u8, string: Ref) {
        let at = self.out.len();
        self.out.extend_from_slice(self.strings.field(string));
        self.out[at] = tag;
    }

    #[inline]
    fn text_entry(&mut self, key: Ref, text: Ref) {
        let len = self.strings.field(key).len() + self.strings.field(text).len();
        self.out.push(META);
        wire::varint(self.out, len as u64);
        self.string(KEY, key);
        self.string(TEXT_VALUE, text);
    }

    #[inline]
    fn number_entry(&mut self, key: Ref, number: f64) {
        let len = self.strings.field(key).len() + 1 + size_of::<f64>();
        self.out.push(METRICS);
        wire::varint(self.out, len as u64);
        self.string(KEY, key);
        self.out.push(NUMBER_VALUE);
        self.out.extend_from_slice(&number.to_bits().to_le_bytes());
    }

    fn bytes_entry(&mut self, key: Ref, text: Text) {
        let entry = wire::open(self.out, META_STRUCT);
        self.string(KEY, key);
        wire::bytes(self.out, TEXT_VALUE, text.of(self.source));
        wire::close(self.out, entry);
    }

    /// A text of the body as a field, repaired where it is none.
    fn text(&mut self, tag: u8, text: Text) {
        wire::bytes(self.out, tag, as_text(text.of(self.source)).as_bytes());
    }

    fn link(&mut self, link: &Link) {
        let field = wire::open(self.out, 0x72);
        wire::number(self.out, 0x08, link.trace_id);
        wire::number(self.out, 0x10, link.trace_id_high);
        wire::number(self.out, 0x18, link.span_id);
        for (key, value) in &self.body.entries[link.attributes.range()] {
            let Value::Text(value) = value else { continue };
            let entry = wire::open(self.out, 0x22);
            self.text(KEY, *key);
            if key.of(self.source) == b"link.name" {
                let name = as_text(value.of(self.source));
                wire::bytes(self.out, TEXT_VALUE, normalise::name(&name).as_bytes());
            } else {
                self.text(TEXT_VALUE, *value);
            }
            wire::close(self.out, entry);
        }
        self.text(0x2a, link.tracestate);
        wire::number(self.out, 0x30, u64::from(link.flags));
        wire::close(self.out, field);
    }

    fn event(&mut self, event: &Event) {
        let field = wire::open(self.out, 0x7a);
        wire::fixed(self.out, 0x09, event.time);
        self.text(0x12, event.name);
        for (key, value) in &self.body.entries[event.attributes.range()] {
            let name = as_text(key.of(self.source));
            if *value == Value::None || self.redactor.rules.withholds(&name) {
                continue;
            }
            let entry = wire::open(self.out, 0x1a);
            wire::bytes(self.out, KEY, name.as_bytes());
            let message = wire::open(self.out, TEXT_VALUE);
            match *value {
                Value::Array(values) => self.array(&name, values),
                single => self.single(&name, single),
            }
            wire::close(self.out, message);
            wire::close(self.out, entry);
        }
        wire::close(self.out, field);
    }

    fn array(&mut self, key: &str, values: Slice) {
        wire::number(self.out, 0x08, kinds::ARRAY);
        let array = wire::open(self.out, 0x32);
        for value in &self.body.values[values.range()] {
            if *value != Value::None {
                let field = wire::open(self.out, 0x0a);
                self.single(key, *value);
                wire::close(self.out, field);
            }
        }
        wire::close(self.out, array);
    }

    /// The fields of a value that is no array: its type and what goes with it.
    fn single(&mut self, key: &str, value: Value) {
        let scalar = match value {
            Value::Text(text) => EventScalar::Text(as_text(text.of(self.source))),
            Value::Bool(flag) => EventScalar::Bool(flag),
            Value::Int(int) => EventScalar::Int(int),
            Value::Number(double) => EventScalar::Double(double),
            Value::Unknown(kind) => EventScalar::Other(kind),
            Value::None | Value::Array(_) | Value::Bytes(_) | Value::Map(_) => return,
        };
        match self.redactor.older_event(key, scalar) {
            None => {}
            Some(EventScalar::Text(text)) => wire::bytes(self.out, 0x12, text.as_bytes()),
            Some(EventScalar::Bool(flag)) => {
                wire::number(self.out, 0x08, kinds::BOOL);
                wire::number(self.out, 0x18, u64::from(flag));
            }
            Some(EventScalar::Int(int)) => {
                wire::number(self.out, 0x08, kinds::INT);
                wire::number(self.out, 0x20, int.cast_unsigned());
            }
            Some(EventScalar::Double(double)) => {
                wire::number(self.out, 0x08, kinds::DOUBLE);
                wire::double(self.out, 0x29, double);
            }
            Some(EventScalar::Other(kind)) => {
                wire::number(self.out, 0x08, i64::from(kind).cast_unsigned());
            }
        }
    }
}
