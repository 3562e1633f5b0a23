//! A chunk between decoding and encoding: its spans normalised, their strings turned into numbers, and what the rules found on the way.

mod kind;
mod notes;
pub mod older;
mod own_call;
mod ready_value;
mod redacted;
mod tree;

pub use tree::find_root;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

pub use kind::SpanKind;
pub use notes::Notes;
pub use ready_value::ReadyValue;
use ready_value::{is_http_status, status_code};

use crate::trace::Tracer;
use crate::trace::chunk_values::{hex, mechanism, take_fields};
use crate::trace::decode::Form;
use crate::trace::keys::{Class, FieldTag, Meaning};
use crate::trace::marks::Marks;
use crate::trace::model::{Attribute, Body, Chunk, Slice, Value};
use crate::trace::normalise;
use crate::trace::redact::{Redactor, SpanType};
use crate::trace::strings::Ref;
use crate::trace::table::{Derived, Table};
use crate::trace::value_text::value_text;

/// A span whose start lies before the year 2000 has none.
const START_MIN: u64 = 946_684_800_000_000_000;

/// A span that is ready to be encoded.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ready {
    /// Service, normalised.
    pub service: Ref,
    /// Operation name, normalised.
    pub name: Ref,
    /// Resource, cut; the name where it was empty.
    pub resource: Ref,
    /// Type, cut.
    pub kind: Ref,
    /// `env`, normalised.
    pub env: Ref,
    /// `version`.
    pub version: Ref,
    /// `component`.
    pub component: Ref,
    /// `span.kind`.
    pub span_kind: SpanKind,
    /// The span's own id.
    pub span_id: u64,
    /// The parent's id.
    pub parent_id: u64,
    /// Nanoseconds since 1970.
    pub start: u64,
    /// Nanoseconds.
    pub duration: u64,
    /// 0 where it is no error. Else 1, or in the older form the number that came.
    pub error: i32,
    /// `_top_level` is to be added.
    pub add_top_level: bool,
    /// Of [`Work::attributes`].
    pub attributes: Slice,
    /// Of [`Work::peers`].
    pub peers: Slice,
    /// Of [`Work::primaries`].
    pub primaries: Slice,
    /// Of [`Body::links`].
    pub links: Slice,
    /// Of [`Body::events`].
    pub events: Slice,
    /// What rules found.
    pub notes: Notes,
    /// Bit n is set where the span has the n-th span tag of the user.
    pub span_tags: u64,
}

/// What a chunk's spans say of the chunk.
#[derive(Clone, Copy, Debug)]
pub struct ChunkFacts {
    /// −128 where no span names one.
    pub priority: i32,
    /// `_dd.origin`.
    pub origin: Ref,
    /// From `_dd.p.dm`. In the older form only what we have decided ourselves.
    pub sampling_mechanism: Option<u32>,
    /// `_dd.p.dm` itself, which the older form sends.
    pub decision_maker: Option<Ref>,
    /// All 128 bits.
    pub trace_id: u128,
    /// Attributes of its spans that samplers look at once in a while.
    pub marks: Marks,
}

/// The priority of a chunk that has none.
pub const PRIORITY_NONE: i32 = -128;

impl Default for ChunkFacts {
    fn default() -> Self {
        Self {
            priority: PRIORITY_NONE,
            origin: 0,
            sampling_mechanism: None,
            decision_maker: None,
            trace_id: 0,
            marks: Marks::NONE,
        }
    }
}

/// The rules that settings change.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The operation name is the `component` tag.
    pub component_to_name: bool,
    /// Bytes of a resource.
    pub resource_bytes_max: usize,
    /// Spans of calls from the app to the agent in its container are left out, and those of look-ups that end there (spec:
    /// serverless-init 4).
    pub discards_own_calls: bool,
    /// Chunks go into payloads of the older form, but for those of v1.0.
    pub older: bool,
    /// The keys of spans' own fields (`env` and the like) that stats are grouped by.
    pub field_tags: Vec<FieldTag>,
}

/// One chunk at a time, in lists that are used again for the next.
#[derive(Debug, Default)]
pub struct Work {
    /// The spans.
    pub spans: Vec<Ready>,
    /// The attributes of all spans.
    pub attributes: Vec<(Ref, ReadyValue)>,
    /// The peer tags of all spans.
    pub peers: Vec<(Ref, Ref)>,
    /// The tags that the user wants stats to be grouped by, of all spans.
    pub primaries: Vec<(Ref, Ref)>,
    /// What the spans say of the chunk.
    pub facts: ChunkFacts,
    /// Attributes that the body gives to the chunk, of [`Body::entries`].
    pub chunk_attributes: Slice,
    /// The root's index in `spans`.
    pub root: usize,
    /// Whether the rules of the older form hold for the attributes: texts and numbers are two maps.
    pub is_older: bool,
    services_by_span: HashMap<u64, Ref, RandomState>,
    has_priority_owner: bool,
}

/// What the body and its tracer give to each of their spans.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The decoded body.
    pub body: &'a Body,
    /// The bytes that its places refer to.
    pub source: &'a [u8],
    /// What the headers say.
    pub tracer: &'a Tracer<'a>,
    /// The rules.
    pub rules: &'a Rules,
    /// Nanoseconds since 1970.
    pub now_ns: u64,
}

impl Context<'_> {
    /// Whether the body goes into a payload of the older form, by whose rules spans are taken in. The newest form of bodies never does: the
    /// agent has no way back from it.
    #[must_use]
    pub fn is_older(&self) -> bool {
        self.rules.older && self.body.form != Form::V10
    }
}

impl Work {
    /// Takes a chunk in: normalises it, turns its strings into numbers of `table`, finds its root and its top-level spans. A chunk that the
    /// agent drops (without a span, or with a span id of 0) must not come here: see [`is_rejected`].
    pub fn take(
        &mut self,
        chunk: &Chunk,
        table: &mut Table,
        context: &Context<'_>,
        redactor: &mut Redactor,
    ) {
        self.spans.clear();
        self.attributes.clear();
        self.peers.clear();
        self.primaries.clear();
        self.facts = ChunkFacts::default();
        self.has_priority_owner = false;
        self.is_older = context.is_older();
        table.begin_chunk();
        if self.is_older {
            self.take_older_spans(chunk, table, context, redactor);
        } else {
            for index in chunk.spans.range() {
                self.take_span(index, table, context, redactor);
            }
        }
        if !self.is_older {
            self.take_chunk_values(chunk, table, context);
        }
        self.root = find_root(self.spans.len(), |index| {
            (self.spans[index].span_id, self.spans[index].parent_id)
        });
        if self.is_older {
            self.take_older_facts(chunk, table, context);
        }
        self.mark_top_level(context.tracer.computed_top_level);
    }

    fn take_span(
        &mut self,
        index: usize,
        table: &mut Table,
        context: &Context<'_>,
        redactor: &mut Redactor,
    ) {
        let span = &context.body.spans[index];
        let source = context.source;
        let mut ready = Ready {
            service: table.service(span.service, source, context.tracer.lang),
            name: table.name(span.name, source),
            kind: table.cut(span.kind, source, normalise::TYPE_BYTES_MAX),
            span_kind: match context.body.form {
                Form::V05 => SpanKind::Unspecified,
                Form::V10 => SpanKind::of_number(span.span_kind),
                _ => SpanKind::Internal,
            },
            span_id: span.span_id,
            parent_id: if span.parent_id == span.span_id { 0 } else { span.parent_id },
            error: i32::from(is_error(span.error, context.body.form)),
            links: span.links,
            events: span.events,
            ..Ready::default()
        };
        (ready.start, ready.duration) = times(span.start, span.duration, context.now_ns);
        self.facts.trace_id = self.facts.trace_id >> 64 << 64 | u128::from(span.trace_id);
        if context.body.form == Form::V10 {
            take_fields(span, &mut ready, table, source);
        }
        let (attributes, peers, primaries) =
            (self.attributes.len(), self.peers.len(), self.primaries.len());
        let kind = SpanType::of(span.kind.of(source));
        let rules_apply = !redactor.rules.is_empty();
        let of_body = &context.body.attributes[span.attributes.range()];
        for (position, attribute) in of_body.iter().enumerate() {
            if attribute.class.is_long() && is_replaced(attribute, &of_body[position + 1..], source)
            {
                continue;
            }
            if rules_apply || Redactor::is_concerned(kind, attribute, source) {
                self.take_redacted(position, index, &mut ready, table, context, redactor);
            } else {
                self.take_attribute(position, attribute, &mut ready, table, context);
            }
        }
        if context.rules.discards_own_calls && ready.notes.is_call_to_us() {
            self.attributes.truncate(attributes);
            self.peers.truncate(peers);
            self.primaries.truncate(primaries);
            return;
        }
        self.tag_by_fields(&ready, table, &context.rules.field_tags);
        ready.peers = Slice::new(peers, self.peers.len());
        ready.primaries = Slice::new(primaries, self.primaries.len());
        if context.rules.component_to_name && ready.component != 0 {
            let component = table.strings.get(ready.component).to_owned();
            ready.name = table.strings.intern(normalise::name(&component).as_bytes());
        }
        ready.resource = self.resource(span, &ready, table, context, redactor);
        self.add_tables(kind, table, redactor);
        if rules_apply {
            self.replace_fields(span, &mut ready, table, context, redactor);
        }
        ready.attributes = Slice::new(attributes, self.attributes.len());
        if ready.notes.grpc_weight == grpc_weight(Meaning::RpcResponseStatusCode)
            && !self.is_grpc(attributes, &table.strings)
        {
            ready.notes.grpc_status = 0;
        }
        self.spans.push(ready);
    }

    #[inline]
    fn take_attribute(
        &mut self,
        position: usize,
        attribute: &Attribute,
        ready: &mut Ready,
        table: &mut Table,
        context: &Context<'_>,
    ) {
        let source = context.source;
        let value = match attribute.value {
            Value::Text(text) => {
                // A long key is cut here, but not where the same string is a value, or the key of a number.
                let quick = if attribute.class.is_long() {
                    None
                } else {
                    table.quick_pair(position, attribute.key, text, source)
                };
                let (key, value) =
                    quick.unwrap_or_else(|| table.slow_pair(position, attribute, text, source));
                (key, ReadyValue::Text(value))
            }
            Value::Number(number) => {
                (table.key(position, attribute.key, source), ReadyValue::Number(number))
            }
            Value::Int(number) => {
                (table.key(position, attribute.key, source), ReadyValue::Int(number))
            }
            other => (table.key(position, attribute.key, source), ReadyValue::Other(other)),
        };
        self.attributes.push(value);
        if attribute.class.is_none() {
            return;
        }
        let is_kept = self.note_last(attribute.class, ready, table, context);
        if !is_kept || context.body.form.is_rebuilt() && attribute.class.meaning.has_field() {
            self.attributes.pop();
        }
    }

    /// Looks at the attribute taken last, which some rule looks for, and changes it where the rule says so: whether it is sent.
    fn note_last(
        &mut self,
        class: Class,
        ready: &mut Ready,
        table: &mut Table,
        context: &Context<'_>,
    ) -> bool {
        let Some(&(key, mut value)) = self.attributes.last() else { return false };
        ready.notes.marks.see(class.meaning);
        self.facts.marks.see(class.meaning);
        match value {
            ReadyValue::Text(text) => {
                let Some(changed) = self.note_text(class.meaning, text, ready, table, context)
                else {
                    return false;
                };
                if changed != text {
                    value = ReadyValue::Text(changed);
                    if let Some(last) = self.attributes.last_mut() {
                        last.1 = value;
                    }
                }
                if class.meaning == Meaning::BaseService {
                    ready.notes.base_service = (key, changed);
                }
            }
            other => {
                if class.meaning == Meaning::HttpStatus && !is_http_status(other, context) {
                    return false;
                }
                self.note_number(class.meaning, other, ready, table);
            }
        }
        if class.is_listed() {
            self.list(class, (key, value), ready, table, context);
        }
        true
    }

    /// Puts an attribute on the lists that its key is on. Those that stand for a field of the span are there already.
    fn list(
        &mut self,
        class: Class,
        (key, value): (Ref, ReadyValue),
        ready: &mut Ready,
        table: &mut Table,
        context: &Context<'_>,
    ) {
        if class.span_tag > 0 {
            ready.span_tags |= 1 << (class.span_tag - 1);
        }
        let is_source = class.meaning == Meaning::ServiceSource;
        if !(class.is_peer() || class.is_primary() || is_source) || class.meaning.has_field() {
            return;
        }
        let text = match value {
            ReadyValue::Text(text) => text,
            other => {
                let text = value_text(other.in_body(), context.body, context.source);
                table.strings.intern(text.as_bytes())
            }
        };
        if class.is_peer() {
            self.peers.push((key, text));
        }
        if class.is_primary() {
            self.primaries.push((key, text));
        }
        if is_source {
            ready.notes.service_source = text;
        }
    }

    fn note_text(
        &mut self,
        meaning: Meaning,
        text: Ref,
        ready: &mut Ready,
        table: &mut Table,
        context: &Context<'_>,
    ) -> Option<Ref> {
        let is_rebuilt = context.body.form.is_rebuilt();
        match meaning {
            Meaning::Env => ready.env = table.derive(Derived::Env, text),
            Meaning::Version => ready.version = text,
            Meaning::Component => ready.component = text,
            Meaning::SpanKind => {
                ready.span_kind = SpanKind::parse(table.strings.bytes(text));
            }
            Meaning::Origin if !is_rebuilt || self.facts.origin == 0 => self.facts.origin = text,
            Meaning::TraceIdHigh => {
                if let Some(high) = hex(table.strings.get(text)) {
                    self.facts.trace_id =
                        u128::from(high) << 64 | self.facts.trace_id & u128::from(u64::MAX);
                }
            }
            Meaning::DecisionMaker if !is_rebuilt => {
                let named = mechanism(table.strings.get(text), None);
                self.facts.sampling_mechanism = named.or(self.facts.sampling_mechanism);
            }
            Meaning::DecisionMaker if self.facts.sampling_mechanism.is_none() => {
                let named = mechanism(table.strings.get(text), Some(u32::MAX));
                self.facts.sampling_mechanism = named.filter(|mechanism| *mechanism != 0);
            }
            Meaning::HttpStatus => {
                // One that is not valid is dropped, and then the other key is all that counts.
                match table.derive(Derived::StatusCode, text) {
                    0 => return None,
                    code => ready.notes.status_code = code,
                }
            }
            Meaning::HttpResponseStatus if ready.notes.status_code == 0 => {
                ready.notes.status_code = table.strings.get(text).parse().unwrap_or(0);
            }
            Meaning::GrpcStatus
            | Meaning::GrpcCode
            | Meaning::RpcGrpcStatusCode
            | Meaning::GrpcStatusCode
            | Meaning::RpcResponseStatusCode => note_grpc(ready, meaning, text),
            Meaning::PeerService | Meaning::BaseService => {
                return Some(table.derive(Derived::PeerService, text));
            }
            Meaning::HttpUrl
            | Meaning::TcpRemoteHost
            | Meaning::TcpRemotePort
            | Meaning::DnsAddress => ready.notes.note_call(meaning, table.strings.get(text)),
            Meaning::ErrorMessage => ready.notes.error_message = text,
            Meaning::ErrorType => ready.notes.error_type = text,
            _ if meaning.is_number() => {
                if let Ok(number) = table.strings.get(text).parse() {
                    self.note_number(meaning, ReadyValue::Number(number), ready, table);
                }
            }
            _ => {}
        }
        Some(text)
    }

    /// Looks at a value that is no string.
    #[expect(clippy::float_cmp, reason = "flags are written as exactly 1")]
    #[expect(clippy::cast_possible_truncation, reason = "as casts saturate, like the agent's")]
    fn note_number(
        &mut self,
        meaning: Meaning,
        value: ReadyValue,
        ready: &mut Ready,
        table: &mut Table,
    ) {
        let notes = &mut ready.notes;
        let whole = value.whole();
        match meaning {
            Meaning::HttpStatus => notes.status_code = status_code(whole),
            Meaning::HttpResponseStatus if notes.status_code == 0 => {
                notes.status_code = status_code(whole);
            }
            Meaning::GrpcStatus
            | Meaning::GrpcCode
            | Meaning::RpcGrpcStatusCode
            | Meaning::GrpcStatusCode
            | Meaning::RpcResponseStatusCode => {
                if let Some(whole) = whole {
                    let text = table.strings.intern(whole.to_string().as_bytes());
                    note_grpc(ready, meaning, text);
                }
                return;
            }
            _ => {}
        }
        let Some(number) = value.number() else { return };
        match meaning {
            Meaning::Priority if !self.has_priority_owner || ready.parent_id == 0 => {
                self.facts.priority = number as i32;
                self.has_priority_owner |= ready.parent_id == 0;
            }
            Meaning::TopLevel => notes.is_top_level = number == 1.0,
            Meaning::ClientTopLevel => notes.is_client_top_level = number == 1.0,
            Meaning::Measured => notes.is_measured = number == 1.0,
            Meaning::PartialVersion => notes.is_partial = number >= 0.0,
            Meaning::SampleRate => notes.sample_rate = Some(number),
            Meaning::PreSampleRate => notes.pre_sample_rate = Some(number),
            Meaning::AgentSampleRate | Meaning::RuleSampleRate | Meaning::PrioritySampleRate => {
                notes.has_rate = true
            }
            _ => {}
        }
    }
}

/// Whether a span is one with an error. Where the agent goes through its older structures only positive numbers are one.
fn is_error(error: i32, form: Form) -> bool {
    if form.is_rebuilt() { error > 0 } else { error != 0 }
}

/// Whether the agent drops the chunk whole: it has no span, or one whose id is 0.
pub fn is_rejected(chunk: &Chunk, body: &Body) -> bool {
    let spans = &body.spans[chunk.spans.range()];
    spans.is_empty() || spans.iter().any(|span| span.span_id == 0)
}

/// Of two attributes with one key the later counts, and whoever reads the payload sees to that; but not where the first one's key is cut.
fn is_replaced(attribute: &Attribute, later: &[Attribute], source: &[u8]) -> bool {
    let key = attribute.key.of(source);
    later.iter().any(|other| other.key.of(source) == key)
}

/// The more the earlier a key with a gRPC status comes in the order of [`Meaning`]. 0 is no key's.
fn grpc_weight(key: Meaning) -> u8 {
    u8::MAX - key as u8
}

/// Keeps a gRPC status if its key comes before that of the one that is kept already, in the order of [`Meaning`].
fn note_grpc(ready: &mut Ready, key: Meaning, text: Ref) {
    let weight = grpc_weight(key);
    if weight > ready.notes.grpc_weight {
        ready.notes.grpc_weight = weight;
        ready.notes.grpc_status = text;
    }
}

/// Start and duration as they are sent: no end beyond 63 bits, which no negative duration has, and no start before 2000. The agent counts in
/// unsigned numbers that wrap, so a negative start is a late one.
fn times(start: i64, duration: i64, now_ns: u64) -> (u64, u64) {
    let (start, mut duration) = (start.cast_unsigned(), duration.cast_unsigned());
    if duration > i64::MAX.cast_unsigned().wrapping_sub(start) {
        duration = 0;
    }
    let start =
        if start < START_MIN { now_ns.checked_sub(duration).unwrap_or(now_ns) } else { start };
    (start, duration)
}
