//! Spans by the rules of the older form of payloads: texts, numbers and bytes are maps of their own, only texts are hidden and cut, only numbers
//! are flags and rates, and what a span's tags say of it is what they say once the user's rules have replaced them (spec: trace-agent 3.3,
//! 3.4, 3.7). [`facts`] has what is said of the chunk as a whole, [`notes`] what rules look for in a span's tags.

mod facts;
mod notes;

pub use facts::{is_rejected, parent_id, text_of};

use notes::grpc_weight;

use super::redacted::database;
use super::{Context, Ready, ReadyValue, SpanKind, Work};
use crate::trace::keys::{Class, Meaning};
use crate::trace::model::{Attribute, Chunk, Slice, Span, Text, Value};
use crate::trace::normalise;
use crate::trace::redact::older::Number;
use crate::trace::redact::{Redactor, SpanType};
use crate::trace::strings::Ref;
use crate::trace::table::{Derived, Table, as_text};

/// A span whose start lies before the year 2000 has none.
const START_MIN: i64 = 946_684_800_000_000_000;

/// A span on its way in.
#[derive(Debug, Default)]
struct Draft {
    ready: Ready,
    kind: SpanType,
    /// The HTTP status and the weight of the tag that it is from: of several tags the one with the greatest counts.
    status: (u8, i64),
    /// The gRPC status, likewise.
    grpc: (u16, Ref),
    /// Numbers that rules made texts of: they take the place of the texts that had their keys.
    moved: Vec<(Class, Ref, Ref)>,
}

impl Work {
    /// Takes a chunk's spans in. A function of its own, so that the way of the other form stays as it is.
    #[inline(never)]
    pub(super) fn take_older_spans(
        &mut self,
        chunk: &Chunk,
        table: &mut Table,
        context: &Context<'_>,
        redactor: &mut Redactor,
    ) {
        for index in chunk.spans.range() {
            self.take_older_span(index, table, context, redactor);
        }
    }

    fn take_older_span(
        &mut self,
        index: usize,
        table: &mut Table,
        context: &Context<'_>,
        redactor: &mut Redactor,
    ) {
        let span = &context.body.spans[index];
        let source = context.source;
        let (start, duration) = times(span.start, span.duration, context.now_ns);
        let mut draft = Draft {
            ready: Ready {
                service: table.service(span.service, source, context.tracer.lang),
                name: name(span, table, context),
                kind: table.cut(span.kind, source, normalise::TYPE_BYTES_MAX),
                span_kind: SpanKind::Internal,
                span_id: span.span_id,
                parent_id: parent_id(span),
                start,
                duration,
                error: span.error,
                links: span.links,
                events: span.events,
                ..Ready::default()
            },
            kind: SpanType::of(span.kind.of(source)),
            ..Draft::default()
        };
        let (attributes, peers, primaries) =
            (self.attributes.len(), self.peers.len(), self.primaries.len());
        let of_body = &context.body.attributes[span.attributes.range()];
        for (position, attribute) in of_body.iter().enumerate() {
            if redactor.concerns_older(draft.kind, attribute, source) {
                self.take_older_redacted(position, span, &mut draft, table, context, redactor);
            } else {
                self.take_older_attribute(position, attribute, &mut draft, table, source);
            }
        }
        for (class, key, text) in std::mem::take(&mut draft.moved) {
            self.push_text(class, key, text, &mut draft, table);
        }
        draft.ready.resource = self.resource(span, &draft.ready, table, context, redactor);
        self.add_tables(draft.kind, table, redactor);
        let mut ready = draft.ready;
        if context.rules.discards_own_calls && ready.notes.is_call_to_us() {
            self.attributes.truncate(attributes);
            self.peers.truncate(peers);
            self.primaries.truncate(primaries);
            return;
        }
        ready.peers = Slice::new(peers, self.peers.len());
        ready.primaries = Slice::new(primaries, self.primaries.len());
        ready.notes.is_top_level |= ready.notes.is_client_top_level;
        ready.notes.status_code = u32::try_from(draft.status.1).unwrap_or(0);
        if draft.grpc.0 != grpc_weight(Meaning::RpcResponseStatusCode, true)
            && draft.grpc.0 != grpc_weight(Meaning::RpcResponseStatusCode, false)
            || self.is_grpc(attributes, &table.strings)
        {
            ready.notes.grpc_status = draft.grpc.1;
        }
        ready.attributes = Slice::new(attributes, self.attributes.len());
        self.spans.push(ready);
    }

    fn take_older_attribute(
        &mut self,
        position: usize,
        attribute: &Attribute,
        draft: &mut Draft,
        table: &mut Table,
        source: &[u8],
    ) {
        let Attribute { key, class, value } = *attribute;
        match value {
            Value::Text(text) => {
                let (key, text) = pair(position, attribute, text, table, source);
                if class.is_none() {
                    self.attributes.push((key, ReadyValue::Text(text)));
                } else if let Some(text) = normal(class.meaning, text, table) {
                    self.push_text(class, key, text, draft, table);
                }
            }
            Value::Number(number) => {
                let key = number_key(position, key, table, source);
                self.push_number(class, key, number, draft, table);
            }
            other => {
                let key = table.key(position, key, source);
                self.attributes.push((key, ReadyValue::Other(other)));
            }
        }
    }

    /// Takes the attribute at `position` of a span, which the redactor wants to see.
    #[inline(never)]
    fn take_older_redacted(
        &mut self,
        position: usize,
        span: &Span,
        draft: &mut Draft,
        table: &mut Table,
        context: &Context<'_>,
        redactor: &mut Redactor,
    ) {
        let source = context.source;
        let Attribute { key, class, value } =
            context.body.attributes[span.attributes.range()][position];
        match value {
            Value::Text(text) => {
                let raw = table.intern(text, source);
                let Some(text) = normal(class.meaning, raw, table) else { return };
                let key = if class.is_long() {
                    table.long_key(key, source)
                } else {
                    table.key(position, key, source)
                };
                let name = table.strings.get(key).to_owned();
                let text = table.strings.get(text).to_owned();
                let database = database(redactor, draft.kind, span, context);
                let new = redactor.older_text(draft.kind, class, &name, &text, &database);
                let Some(new) = new else { return };
                let new = table.strings.intern(new.as_bytes());
                self.push_text(class, key, new, draft, table);
            }
            Value::Number(number) => {
                let key = number_key(position, key, table, source);
                let name = table.strings.get(key).to_owned();
                match redactor.rules.older_number(&name, number) {
                    None => {}
                    Some(Number::Number(number)) => {
                        self.push_number(class, key, number, draft, table);
                    }
                    Some(Number::Text(text)) => {
                        let text = table.strings.intern(text.as_bytes());
                        draft.moved.push((class, key, text));
                    }
                }
            }
            other => {
                let key = table.key(position, key, source);
                self.attributes.push((key, ReadyValue::Other(other)));
            }
        }
    }
}

/// The operation name, which a feature takes from the tag `component` as it came.
fn name(span: &Span, table: &mut Table, context: &Context<'_>) -> Ref {
    let component = context.rules.component_to_name.then(|| {
        let component = text_of(span, context.body, Meaning::Component)?;
        Some(component).filter(|text| !text.is_empty())
    });
    table.name(component.flatten().unwrap_or(span.name), context.source)
}

/// The numbers of a text's key and value, cut where they are too long.
#[inline(always)]
fn pair(
    position: usize,
    attribute: &Attribute,
    text: Text,
    table: &mut Table,
    source: &[u8],
) -> (Ref, Ref) {
    let quick = if attribute.class.is_long() {
        None
    } else {
        table.quick_pair(position, attribute.key, text, source)
    };
    quick.unwrap_or_else(|| table.slow_pair(position, attribute, text, source))
}

/// The number of a number's key, cut where it is too long, whatever it is.
fn number_key(position: usize, key: Text, table: &mut Table, source: &[u8]) -> Ref {
    if key.len() <= normalise::META_KEY_BYTES_MAX {
        return table.key(position, key, source);
    }
    let key = as_text(key.of(source));
    table.strings.intern(normalise::metric_key(&key).as_bytes())
}

/// A text in its normal form, where rules want one; nothing where the tag is dropped for having none.
fn normal(meaning: Meaning, text: Ref, table: &mut Table) -> Option<Ref> {
    match meaning {
        Meaning::Env => Some(table.derive(Derived::Env, text)),
        Meaning::PeerService | Meaning::BaseService => {
            Some(table.derive(Derived::PeerService, text))
        }
        Meaning::HttpStatus if table.derive(Derived::StatusCode, text) == 0 => None,
        _ => Some(text),
    }
}

/// Start and duration as they are sent: no negative duration, no end beyond 63 bits, no start before 2000.
#[expect(clippy::cast_possible_wrap, reason = "the clock is far below 2^63")]
fn times(start: i64, duration: i64, now_ns: u64) -> (u64, u64) {
    let mut duration = duration.max(0);
    if duration > i64::MAX.wrapping_sub(start) {
        duration = 0;
    }
    let now = now_ns as i64;
    let start = match now - duration {
        _ if start >= START_MIN => start,
        before if before >= 0 => before,
        _ => now,
    };
    (start.cast_unsigned(), duration.cast_unsigned())
}
