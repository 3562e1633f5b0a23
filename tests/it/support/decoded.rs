//! What trace payloads say, with every string reference resolved: decoded by the vendor's own protobuf types, not by the product.

use std::collections::{BTreeMap, HashMap};

use libdd_trace_protobuf::pb::AgentPayload as Wire;
use libdd_trace_protobuf::pb::idx;
use libdd_trace_protobuf::pb::idx::any_value::Value as WireValue;
use prost::Message;

/// One trace request.
#[derive(Clone, Debug, PartialEq)]
pub struct AgentPayload {
    pub hostname: String,
    pub env: String,
    pub agent_version: String,
    pub target_tps: f64,
    pub error_tps: f64,
    pub rare_sampler_enabled: bool,
    pub tags: BTreeMap<String, String>,
    /// `idxTracerPayloads`.
    pub tracer_payloads: Vec<TracerPayload>,
    /// How many payloads came in the older form, `tracerPayloads`.
    pub older_payloads: usize,
}

/// One tracer's part of it.
#[derive(Clone, Debug, PartialEq)]
pub struct TracerPayload {
    pub container_id: String,
    pub language_name: String,
    pub language_version: String,
    pub tracer_version: String,
    pub runtime_id: String,
    pub env: String,
    pub hostname: String,
    pub app_version: String,
    pub attributes: BTreeMap<String, Value>,
    pub chunks: Vec<Chunk>,
    /// The string table as it came.
    pub strings: Vec<String>,
}

/// The spans of one trace.
#[derive(Clone, Debug, PartialEq)]
pub struct Chunk {
    pub trace_id: u128,
    pub priority: i32,
    pub origin: String,
    pub sampling_mechanism: u32,
    pub dropped_trace: bool,
    pub attributes: BTreeMap<String, Value>,
    pub spans: Vec<Span>,
}

/// A span, with the trace id of its chunk.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    pub trace_id: u128,
    pub span_id: u64,
    pub parent_id: u64,
    pub service: String,
    pub name: String,
    pub resource: String,
    /// The span's type, such as `web`.
    pub kind: String,
    pub start: u64,
    pub duration: u64,
    pub error: bool,
    pub env: String,
    pub version: String,
    pub component: String,
    /// 0 unspecified, 1 internal, 2 server, 3 client, 4 producer, 5 consumer.
    pub span_kind: i32,
    pub attributes: BTreeMap<String, Value>,
    pub links: Vec<Link>,
    pub events: Vec<Event>,
}

impl Span {
    /// An attribute that is a string.
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.attributes.get(key) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// An attribute that is a number, of whichever kind.
    pub fn number(&self, key: &str) -> Option<f64> {
        match self.attributes.get(key) {
            Some(Value::Double(number)) => Some(*number),
            Some(Value::Int(number)) => Some(*number as f64),
            _ => None,
        }
    }
}

/// A span link.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    pub trace_id: u128,
    pub span_id: u64,
    pub attributes: BTreeMap<String, Value>,
    pub tracestate: String,
    pub flags: u32,
}

/// A span event.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub time: u64,
    pub name: String,
    pub attributes: BTreeMap<String, Value>,
}

/// An attribute's value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Text(String),
    Bool(bool),
    Double(f64),
    Int(i64),
    Bytes(Vec<u8>),
    List(Vec<Value>),
    Map(Vec<(String, Value)>),
    /// An `AnyValue` without a value.
    Nothing,
}

/// Decodes the body of a trace request; fails the test where it is no `AgentPayload` or a reference leads out of its table.
pub fn agent_payload(body: &[u8]) -> AgentPayload {
    let wire = Wire::decode(body).expect("an AgentPayload");
    AgentPayload {
        hostname: wire.host_name,
        env: wire.env,
        agent_version: wire.agent_version,
        target_tps: wire.target_tps,
        error_tps: wire.error_tps,
        rare_sampler_enabled: wire.rare_sampler_enabled,
        tags: wire.tags.into_iter().collect(),
        tracer_payloads: wire.idx_tracer_payloads.into_iter().map(tracer_payload).collect(),
        older_payloads: wire.tracer_payloads.len(),
    }
}

fn tracer_payload(wire: idx::TracerPayload) -> TracerPayload {
    let table = Table(&wire.strings);
    TracerPayload {
        container_id: table.text(wire.container_id_ref),
        language_name: table.text(wire.language_name_ref),
        language_version: table.text(wire.language_version_ref),
        tracer_version: table.text(wire.tracer_version_ref),
        runtime_id: table.text(wire.runtime_id_ref),
        env: table.text(wire.env_ref),
        hostname: table.text(wire.hostname_ref),
        app_version: table.text(wire.app_version_ref),
        attributes: table.attributes(&wire.attributes),
        chunks: wire.chunks.iter().map(|chunk| table.chunk(chunk)).collect(),
        strings: wire.strings.clone(),
    }
}

struct Table<'a>(&'a [String]);

impl Table<'_> {
    fn text(&self, at: u32) -> String {
        match self.0.get(at as usize) {
            Some(text) => text.clone(),
            // A table without any string stands for one with the empty string alone.
            None if at == 0 => String::new(),
            None => panic!("string {at} of a table of {}", self.0.len()),
        }
    }

    fn attributes(&self, wire: &HashMap<u32, idx::AnyValue>) -> BTreeMap<String, Value> {
        wire.iter().map(|(key, value)| (self.text(*key), self.value(value))).collect()
    }

    fn value(&self, wire: &idx::AnyValue) -> Value {
        match &wire.value {
            None => Value::Nothing,
            Some(WireValue::StringValueRef(at)) => Value::Text(self.text(*at)),
            Some(WireValue::BoolValue(value)) => Value::Bool(*value),
            Some(WireValue::DoubleValue(value)) => Value::Double(*value),
            Some(WireValue::IntValue(value)) => Value::Int(*value),
            Some(WireValue::BytesValue(value)) => Value::Bytes(value.clone()),
            Some(WireValue::ArrayValue(list)) => {
                Value::List(list.values.iter().map(|value| self.value(value)).collect())
            }
            Some(WireValue::KeyValueList(map)) => Value::Map(
                map.key_values
                    .iter()
                    .map(|pair| {
                        (
                            self.text(pair.key),
                            pair.value.as_ref().map_or(Value::Nothing, |value| self.value(value)),
                        )
                    })
                    .collect(),
            ),
        }
    }

    fn chunk(&self, wire: &idx::TraceChunk) -> Chunk {
        let trace_id = trace_id(&wire.trace_id);
        Chunk {
            trace_id,
            priority: wire.priority,
            origin: self.text(wire.origin_ref),
            sampling_mechanism: wire.sampling_mechanism,
            dropped_trace: wire.dropped_trace,
            attributes: self.attributes(&wire.attributes),
            spans: wire.spans.iter().map(|span| self.span(trace_id, span)).collect(),
        }
    }

    fn span(&self, trace_id: u128, wire: &idx::Span) -> Span {
        Span {
            trace_id,
            span_id: wire.span_id,
            parent_id: wire.parent_id,
            service: self.text(wire.service_ref),
            name: self.text(wire.name_ref),
            resource: self.text(wire.resource_ref),
            kind: self.text(wire.type_ref),
            start: wire.start,
            duration: wire.duration,
            error: wire.error,
            env: self.text(wire.env_ref),
            version: self.text(wire.version_ref),
            component: self.text(wire.component_ref),
            span_kind: wire.kind,
            attributes: self.attributes(&wire.attributes),
            links: wire.links.iter().map(|link| self.link(link)).collect(),
            events: wire.events.iter().map(|event| self.event(event)).collect(),
        }
    }

    fn link(&self, wire: &idx::SpanLink) -> Link {
        Link {
            trace_id: trace_id(&wire.trace_id),
            span_id: wire.span_id,
            attributes: self.attributes(&wire.attributes),
            tracestate: self.text(wire.tracestate_ref),
            flags: wire.flags,
        }
    }

    fn event(&self, wire: &idx::SpanEvent) -> Event {
        Event {
            time: wire.time,
            name: self.text(wire.name_ref),
            attributes: self.attributes(&wire.attributes),
        }
    }
}

fn trace_id(bytes: &[u8]) -> u128 {
    let bytes: [u8; 16] =
        bytes.try_into().unwrap_or_else(|_| panic!("a trace id of {} bytes", bytes.len()));
    u128::from_be_bytes(bytes)
}
