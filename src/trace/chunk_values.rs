//! What bodies say in fields of their own, beside the attributes: of a chunk, and of a span.

use crate::trace::chunk::{ChunkFacts, Context, PRIORITY_NONE, Ready, Work};
use crate::trace::decode::Form;
use crate::trace::keys::{FieldTag, Meaning};
use crate::trace::model::{Chunk, Span, Value};
use crate::trace::strings::Ref;
use crate::trace::table::{Derived, Table, as_text};

/// Takes the fields that a v1.0 span has beside its attributes.
pub(super) fn take_fields(span: &Span, ready: &mut Ready, table: &mut Table, source: &[u8]) {
    let [env, version, component] = span.fields;
    let env = table.intern(env, source);
    ready.env = if env == 0 { 0 } else { table.derive(Derived::Env, env) };
    ready.version = table.intern(version, source);
    ready.component = table.intern(component, source);
}

/// The mechanism that a decision maker such as `-4` names; nothing where it names none. The agent takes what is too large for the largest.
pub(super) fn mechanism(text: &str, too_large: Option<u32>) -> Option<u32> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().or(too_large)
}

impl Work {
    /// Puts what the body says of the chunk itself in the place of what its spans said, or beside it.
    pub(super) fn take_chunk_values(
        &mut self,
        chunk: &Chunk,
        table: &mut Table,
        context: &Context<'_>,
    ) {
        self.chunk_attributes = chunk.attributes;
        let form = context.body.form;
        if form == Form::V10 {
            self.facts = ChunkFacts {
                // The agent takes a chunk that names no priority for one of priority 0.
                priority: chunk.priority.unwrap_or(0),
                origin: table.intern(chunk.origin, context.source),
                sampling_mechanism: Some(chunk.sampling_mechanism),
                trace_id: chunk.trace_id,
                decision_maker: None,
                marks: self.facts.marks,
            };
        } else if form == Form::Otlp {
            self.facts.priority = chunk.priority.unwrap_or(self.facts.priority);
            self.facts.trace_id |= chunk.trace_id;
        } else if form.is_rebuilt() {
            self.facts.trace_id = trace_id_of_first(chunk, context);
            if self.facts.priority == PRIORITY_NONE {
                self.facts.priority = chunk.priority.unwrap_or(PRIORITY_NONE);
            }
            if self.facts.origin == 0 {
                self.facts.origin = table.intern(chunk.origin, context.source);
            }
            if self.facts.sampling_mechanism.is_none() {
                self.facts.sampling_mechanism = mechanism_of_tags(chunk, context);
            }
        }
    }

    /// Keeps those of the span's own fields that stats are grouped by.
    #[inline]
    pub(super) fn tag_by_fields(&mut self, ready: &Ready, table: &mut Table, tags: &[FieldTag]) {
        for tag in tags {
            let value = match tag.class.meaning {
                Meaning::Env => ready.env,
                Meaning::Version => ready.version,
                Meaning::Component => ready.component,
                _ => table.strings.intern(ready.span_kind.name().as_bytes()),
            };
            let pair: (Ref, Ref) = (table.strings.intern(tag.key.as_bytes()), value);
            if tag.class.is_peer() {
                self.peers.push(pair);
            }
            if tag.class.is_primary() {
                self.primaries.push(pair);
            }
        }
    }
}

/// The trace id of a chunk that the agent rebuilds: that of its first span, whose upper half is in one of two tags.
fn trace_id_of_first(chunk: &Chunk, context: &Context<'_>) -> u128 {
    let Some(span) = context.body.spans.get(chunk.spans.range().start) else { return 0 };
    let attributes = &context.body.attributes[span.attributes.range()];
    let text_of = |key: &[u8]| {
        let mut found = attributes.iter().rev().filter_map(|attribute| match attribute.value {
            Value::Text(text) if attribute.key.of(context.source) == key => Some(text),
            _ => None,
        });
        found.next().map(|text| as_text(text.of(context.source)))
    };
    let high = match text_of(b"otel.trace_id") {
        // All 32 digits of the whole id, of which the first half is wanted.
        Some(id) if id.len() == 32 => id.get(..16).and_then(hex),
        Some(id) => hex(&id),
        None => text_of(b"_dd.p.tid").and_then(|id| hex(&id)),
    };
    u128::from(high.unwrap_or(0)) << 64 | u128::from(span.trace_id)
}

/// Hexadecimal digits alone.
pub(super) fn hex(text: &str) -> Option<u64> {
    let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hex { u64::from_str_radix(text, 16).ok() } else { None }
}

fn mechanism_of_tags(chunk: &Chunk, context: &Context<'_>) -> Option<u32> {
    let entries = &context.body.entries[chunk.attributes.range()];
    let (_, value) = entries.iter().rev().find(|(key, _)| key.of(context.source) == b"_dd.p.dm")?;
    let Value::Text(text) = value else { return None };
    mechanism(&as_text(text.of(context.source)), Some(u32::MAX))
}
