//! Spans by the rules of the older form of payloads: texts, numbers and bytes are maps of their own, only texts are hidden and cut, only numbers
//! are flags and rates, and what a span's tags say of it is what they say once the user's rules have replaced them (spec: trace-agent 3.3,
//! 3.4, 3.7).

use super::redacted::database;
use super::{Context, PRIORITY_NONE, Ready, ReadyValue, SpanKind, Work};
use crate::trace::chunk_values::hex;
use crate::trace::keys::{Class, Meaning};
use crate::trace::model::{Attribute, Body, Chunk, Slice, Span, Text, Value};
use crate::trace::normalise;
use crate::trace::redact::older::Number;
use crate::trace::redact::{Redactor, SpanType};
use crate::trace::strings::{Ref, Strings};
use crate::trace::table::{Derived, Table, as_text};

/// The chunk's tag for how the sampling decision was made.
const DECISION_MAKER: &[u8] = b"_dd.p.dm";

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

    /// Appends a text as it is sent, and looks at it where some rule looks for it.
    fn push_text(
        &mut self,
        class: Class,
        key: Ref,
        text: Ref,
        draft: &mut Draft,
        table: &mut Table,
    ) {
        self.attributes.push((key, ReadyValue::Text(text)));
        if class.is_none() {
            return;
        }
        if class.span_tag > 0 {
            draft.ready.span_tags |= 1 << (class.span_tag - 1);
        }
        if class.is_peer() {
            self.peers.push((key, text));
        }
        if class.is_primary() {
            self.primaries.push((key, text));
        }
        self.facts.marks.see(class.meaning);
        let notes = &mut draft.ready.notes;
        notes.marks.see(class.meaning);
        let value = table.strings.get(text);
        match class.meaning {
            Meaning::SpanKind => {
                notes.span_kind = text;
                draft.ready.span_kind = kind(value);
            }
            Meaning::TraceIdHigh => {
                if let Some(high) = hex(value) {
                    self.facts.trace_id = u128::from(high) << 64;
                }
            }
            Meaning::HttpStatus => {
                notes.http_status = text;
                draft.see_status(3, status(value));
            }
            Meaning::HttpResponseStatus => draft.see_status(1, status(value)),
            Meaning::GrpcStatus
            | Meaning::GrpcCode
            | Meaning::RpcGrpcStatusCode
            | Meaning::GrpcStatusCode
            | Meaning::RpcResponseStatusCode => {
                draft.see_grpc(grpc_weight(class.meaning, true), text);
            }
            Meaning::BaseService => notes.base_service = (key, text),
            Meaning::ServiceSource => notes.service_source = text,
            Meaning::ErrorMessage => notes.error_message = text,
            Meaning::ErrorType => notes.error_type = text,
            _ => {}
        }
    }

    /// The same of a number. On no list of tags that stats are grouped by is a number.
    fn push_number(
        &mut self,
        class: Class,
        key: Ref,
        number: f64,
        draft: &mut Draft,
        table: &mut Table,
    ) {
        self.attributes.push((key, ReadyValue::Number(number)));
        if class.is_none() {
            return;
        }
        self.facts.marks.see(class.meaning);
        draft.ready.notes.marks.see(class.meaning);
        match class.meaning {
            Meaning::HttpStatus => draft.see_status(4, whole(number)),
            Meaning::HttpResponseStatus => draft.see_status(2, whole(number)),
            Meaning::GrpcStatus
            | Meaning::GrpcCode
            | Meaning::RpcGrpcStatusCode
            | Meaning::GrpcStatusCode
            | Meaning::RpcResponseStatusCode => {
                if let Some(code) = whole(number) {
                    let text = table.strings.intern(code.to_string().as_bytes());
                    draft.see_grpc(grpc_weight(class.meaning, false), text);
                }
            }
            // Of the chunk, and the root's counts first.
            Meaning::Priority => {}
            meaning => {
                self.note_number(meaning, ReadyValue::Number(number), &mut draft.ready, table);
            }
        }
    }

    /// Whether the span that is being taken in, whose attributes start at `from`, says that it is a gRPC call. Without that
    /// `rpc.response.status_code` is the status of something else.
    pub(super) fn is_grpc(&self, from: usize, strings: &Strings) -> bool {
        let text = |key: &str| {
            let found = self.attributes[from..].iter().rev().find_map(|(own, value)| match value {
                ReadyValue::Text(text) if strings.get(*own) == key => Some(strings.get(*text)),
                _ => None,
            });
            found.filter(|text| !text.is_empty())
        };
        text("rpc.system.name").or_else(|| text("rpc.system")) == Some("grpc")
    }

    /// What is said of the chunk, as it came: by the body itself, else by its spans: priority and origin by the root, the decision maker by the
    /// first span that names one.
    #[expect(clippy::cast_possible_truncation, reason = "as casts saturate, like the agent's")]
    pub(super) fn take_older_facts(
        &mut self,
        chunk: &Chunk,
        table: &mut Table,
        context: &Context<'_>,
    ) {
        let Context { body, source, .. } = *context;
        let Some(spans) = body.spans.get(chunk.spans.range()) else { return };
        let Some(root) = spans.get(self.root) else { return };
        self.chunk_attributes = chunk.attributes;
        let priority = |span: &Span| number_of(span, body, Meaning::Priority);
        if let Some(priority) = chunk.priority.filter(|priority| *priority != PRIORITY_NONE) {
            self.facts.priority = priority;
        } else if let Some(priority) = priority(root).or_else(|| spans.iter().find_map(priority)) {
            self.facts.priority = priority as i32;
        }
        let origin = Some(chunk.origin).filter(|origin| !origin.is_empty());
        let origin = origin.or_else(|| text_of(root, body, Meaning::Origin));
        self.facts.origin = origin.map_or(0, |text| table.intern(text, source));
        let of_tags = body.entries[chunk.attributes.range()].iter().rev();
        let of_tags = of_tags.filter(|(key, _)| key.of(source) == DECISION_MAKER);
        let of_tags = of_tags.into_iter().find_map(|(_, value)| match value {
            Value::Text(text) => Some(*text),
            _ => None,
        });
        let of_spans = || spans.iter().find_map(|span| text_of(span, body, Meaning::DecisionMaker));
        let maker = of_tags.or_else(of_spans);
        self.facts.decision_maker = maker.map(|text| table.intern(text, source));
        self.facts.trace_id |= u128::from(root.trace_id);
    }
}

impl Draft {
    fn see_status(&mut self, weight: u8, code: Option<i64>) {
        if let Some(code) = code
            && weight >= self.status.0
        {
            self.status = (weight, code);
        }
    }

    fn see_grpc(&mut self, weight: u16, text: Ref) {
        if text != 0 && weight >= self.grpc.0 {
            self.grpc = (weight, text);
        }
    }
}

/// Whether the agent drops the chunk whole: it has no span, one whose own or trace id is 0, or one of another trace than the first. The upper
/// half of a trace id counts only where both name it.
pub fn is_rejected(chunk: &Chunk, body: &Body, source: &[u8]) -> bool {
    let spans = &body.spans[chunk.spans.range()];
    let Some(first) = spans.first() else { return true };
    let high = |span: &Span| text_of(span, body, Meaning::TraceIdHigh).map(|text| text.of(source));
    let high_of_first = high(first);
    spans.iter().any(|span| {
        span.trace_id == 0
            || span.span_id == 0
            || span.trace_id != first.trace_id
            || high_of_first.is_some() && high(span).is_some_and(|high| Some(high) != high_of_first)
    })
}

/// The parent of a span: none where the three ids are the same.
pub fn parent_id(span: &Span) -> u64 {
    if span.parent_id == span.span_id && span.span_id == span.trace_id { 0 } else { span.parent_id }
}

/// The last text of a span's tag.
pub fn text_of(span: &Span, body: &Body, meaning: Meaning) -> Option<Text> {
    body.attributes[span.attributes.range()].iter().rev().find_map(|attribute| {
        match attribute.value {
            Value::Text(text) if attribute.class.meaning == meaning => Some(text),
            _ => None,
        }
    })
}

fn number_of(span: &Span, body: &Body, meaning: Meaning) -> Option<f64> {
    body.attributes[span.attributes.range()].iter().rev().find_map(|attribute| {
        match attribute.value {
            Value::Number(number) if attribute.class.meaning == meaning => Some(number),
            _ => None,
        }
    })
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

/// The kind in any case. None is as good as internal; another word is none of them.
fn kind(text: &str) -> SpanKind {
    match text.to_ascii_lowercase().as_str() {
        "server" => SpanKind::Server,
        "client" => SpanKind::Client,
        "producer" => SpanKind::Producer,
        "consumer" => SpanKind::Consumer,
        "internal" | "" => SpanKind::Internal,
        _ => SpanKind::Unspecified,
    }
}

/// How far before the end of the gRPC keys' order a key stands; its text goes before its number.
fn grpc_weight(key: Meaning, is_text: bool) -> u16 {
    2 * u16::from(u8::MAX - key as u8) + u16::from(is_text)
}

/// A status that is a text.
fn status(text: &str) -> Option<i64> {
    text.parse().ok().or_else(|| whole(text.parse().ok()?))
}

/// A number that has no fraction.
#[expect(clippy::cast_possible_truncation, reason = "bounded just before")]
fn whole(number: f64) -> Option<i64> {
    // 2^63 is the first double that does not fit.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    (number.fract() == 0.0 && (-LIMIT..LIMIT).contains(&number)).then_some(number as i64)
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
