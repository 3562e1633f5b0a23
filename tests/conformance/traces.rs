//! Trace payloads into the normal form of the expected files: own protobuf declarations from the published field numbers, so that a slip
//! in the product's encoder does not go unseen because its reader has the same.

use std::collections::HashMap;

use prost::Message;
use serde_json::{Map, Value, json};

use crate::case::Form;
use crate::{older, text};

/// What is posted to `/api/v0.2/traces`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct AgentPayload {
    #[prost(string, tag = "1")]
    host_name: String,
    #[prost(string, tag = "2")]
    env: String,
    /// The older form.
    #[prost(message, repeated, tag = "5")]
    tracer_payloads: Vec<older::TracerPayload>,
    #[prost(map = "string, string", tag = "6")]
    tags: HashMap<String, String>,
    #[prost(string, tag = "7")]
    agent_version: String,
    #[prost(double, tag = "8")]
    target_tps: f64,
    #[prost(double, tag = "9")]
    error_tps: f64,
    #[prost(bool, tag = "10")]
    rare_sampler_enabled: bool,
    #[prost(message, repeated, tag = "11")]
    idx_tracer_payloads: Vec<TracerPayload>,
}

#[derive(Clone, PartialEq, Message)]
struct TracerPayload {
    #[prost(string, repeated, tag = "1")]
    strings: Vec<String>,
    #[prost(uint32, tag = "2")]
    container_id: u32,
    #[prost(uint32, tag = "3")]
    language_name: u32,
    #[prost(uint32, tag = "4")]
    language_version: u32,
    #[prost(uint32, tag = "5")]
    tracer_version: u32,
    #[prost(uint32, tag = "6")]
    runtime_id: u32,
    #[prost(uint32, tag = "7")]
    env: u32,
    #[prost(uint32, tag = "8")]
    hostname: u32,
    #[prost(uint32, tag = "9")]
    app_version: u32,
    #[prost(map = "uint32, message", tag = "10")]
    attributes: HashMap<u32, AnyValue>,
    #[prost(message, repeated, tag = "11")]
    chunks: Vec<Chunk>,
}

#[derive(Clone, PartialEq, Message)]
struct Chunk {
    #[prost(int32, tag = "1")]
    priority: i32,
    #[prost(uint32, tag = "2")]
    origin: u32,
    #[prost(map = "uint32, message", tag = "3")]
    attributes: HashMap<u32, AnyValue>,
    #[prost(message, repeated, tag = "4")]
    spans: Vec<Span>,
    #[prost(bool, tag = "5")]
    dropped_trace: bool,
    #[prost(bytes = "vec", tag = "6")]
    trace_id: Vec<u8>,
    #[prost(uint32, tag = "7")]
    sampling_mechanism: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Span {
    #[prost(uint32, tag = "1")]
    service: u32,
    #[prost(uint32, tag = "2")]
    name: u32,
    #[prost(uint32, tag = "3")]
    resource: u32,
    #[prost(fixed64, tag = "4")]
    span_id: u64,
    #[prost(uint64, tag = "5")]
    parent_id: u64,
    #[prost(fixed64, tag = "6")]
    start: u64,
    #[prost(uint64, tag = "7")]
    duration: u64,
    #[prost(bool, tag = "8")]
    error: bool,
    #[prost(map = "uint32, message", tag = "9")]
    attributes: HashMap<u32, AnyValue>,
    #[prost(uint32, tag = "10")]
    kind_of_work: u32,
    #[prost(message, repeated, tag = "11")]
    links: Vec<Link>,
    #[prost(message, repeated, tag = "12")]
    events: Vec<Event>,
    #[prost(uint32, tag = "13")]
    env: u32,
    #[prost(uint32, tag = "14")]
    version: u32,
    #[prost(uint32, tag = "15")]
    component: u32,
    #[prost(int32, tag = "16")]
    kind: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Link {
    #[prost(bytes = "vec", tag = "1")]
    trace_id: Vec<u8>,
    #[prost(fixed64, tag = "2")]
    span_id: u64,
    #[prost(map = "uint32, message", tag = "3")]
    attributes: HashMap<u32, AnyValue>,
    #[prost(uint32, tag = "4")]
    tracestate: u32,
    #[prost(uint32, tag = "5")]
    flags: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(fixed64, tag = "1")]
    time: u64,
    #[prost(uint32, tag = "2")]
    name: u32,
    #[prost(map = "uint32, message", tag = "3")]
    attributes: HashMap<u32, AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct AnyValue {
    #[prost(oneof = "AnyKind", tags = "1, 2, 3, 4, 5, 6, 7")]
    value: Option<AnyKind>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum AnyKind {
    #[prost(uint32, tag = "1")]
    Text(u32),
    #[prost(bool, tag = "2")]
    Bool(bool),
    #[prost(double, tag = "3")]
    Double(f64),
    #[prost(int64, tag = "4")]
    Int(i64),
    #[prost(bytes, tag = "5")]
    Bytes(Vec<u8>),
    #[prost(message, tag = "6")]
    Array(AnyArray),
    #[prost(message, tag = "7")]
    Pairs(AnyPairs),
}

#[derive(Clone, PartialEq, Message)]
struct AnyArray {
    #[prost(message, repeated, tag = "1")]
    values: Vec<AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct AnyPairs {
    #[prost(message, repeated, tag = "1")]
    pairs: Vec<AnyPair>,
}

#[derive(Clone, PartialEq, Message)]
struct AnyPair {
    #[prost(uint32, tag = "1")]
    key: u32,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

/// The bytes of a payload of that form in the normal form.
pub(crate) fn normal(body: &[u8], form: Form) -> Result<Value, String> {
    let payload = AgentPayload::decode(body).map_err(|error| format!("trace payload: {error}"))?;
    // Bodies of v1.0 have no older form.
    let is_older = !payload.tracer_payloads.is_empty();
    if is_older && (form == Form::Indexed || !payload.idx_tracer_payloads.is_empty()) {
        return Err("trace payload: it has the older form where it should not".to_owned());
    }
    let mut out = Map::new();
    put_text(&mut out, "hostName", &payload.host_name);
    put_text(&mut out, "env", &payload.env);
    put_text(&mut out, "agentVersion", &payload.agent_version);
    out.insert("targetTPS".to_owned(), text::double(payload.target_tps));
    out.insert("errorTPS".to_owned(), text::double(payload.error_tps));
    if payload.rare_sampler_enabled {
        out.insert("rareSamplerEnabled".to_owned(), Value::Bool(true));
    }
    if !payload.tags.is_empty() {
        out.insert("tags".to_owned(), json!(payload.tags));
    }
    if is_older {
        let payloads = payload.tracer_payloads.iter().map(older::payload);
        out.insert("tracerPayloads".to_owned(), payloads.collect());
        return Ok(Value::Object(out));
    }
    let payloads = payload
        .idx_tracer_payloads
        .iter()
        .map(|payload| Strings(&payload.strings).payload(payload));
    out.insert("idxTracerPayloads".to_owned(), Value::Array(payloads.collect::<Result<_, _>>()?));
    Ok(Value::Object(out))
}

/// The string table of one tracer payload.
struct Strings<'a>(&'a [String]);

impl Strings<'_> {
    fn get(&self, at: u32) -> Result<&str, String> {
        let found = self.0.get(at as usize).map(String::as_str);
        found.ok_or_else(|| format!("trace payload: string {at} of a table of {}", self.0.len()))
    }

    fn put(&self, out: &mut Map<String, Value>, key: &str, at: u32) -> Result<(), String> {
        put_text(out, key, self.get(at)?);
        Ok(())
    }

    fn payload(&self, payload: &TracerPayload) -> Result<Value, String> {
        if self.0.first().is_some_and(|first| !first.is_empty()) {
            return Err("trace payload: string 0 is not the empty one".to_owned());
        }
        let mut out = Map::new();
        self.put(&mut out, "containerID", payload.container_id)?;
        self.put(&mut out, "languageName", payload.language_name)?;
        self.put(&mut out, "languageVersion", payload.language_version)?;
        self.put(&mut out, "tracerVersion", payload.tracer_version)?;
        self.put(&mut out, "runtimeID", payload.runtime_id)?;
        self.put(&mut out, "env", payload.env)?;
        self.put(&mut out, "hostname", payload.hostname)?;
        self.put(&mut out, "appVersion", payload.app_version)?;
        self.attributes(&mut out, &payload.attributes)?;
        let chunks = payload.chunks.iter().map(|chunk| self.chunk(chunk));
        out.insert("chunks".to_owned(), Value::Array(chunks.collect::<Result<_, _>>()?));
        Ok(Value::Object(out))
    }

    fn chunk(&self, chunk: &Chunk) -> Result<Value, String> {
        let mut out = Map::new();
        out.insert("priority".to_owned(), json!(chunk.priority));
        self.put(&mut out, "origin", chunk.origin)?;
        self.attributes(&mut out, &chunk.attributes)?;
        put_flag(&mut out, "droppedTrace", chunk.dropped_trace);
        put_number(&mut out, "samplingMechanism", u64::from(chunk.sampling_mechanism));
        out.insert("traceID".to_owned(), Value::String(text::hex(&chunk.trace_id)));
        let mut spans: Vec<&Span> = chunk.spans.iter().collect();
        spans.sort_by_key(|span| span.span_id);
        let spans = spans.into_iter().map(|span| self.span(span));
        out.insert("spans".to_owned(), Value::Array(spans.collect::<Result<_, _>>()?));
        Ok(Value::Object(out))
    }

    fn span(&self, span: &Span) -> Result<Value, String> {
        let mut out = Map::new();
        self.put(&mut out, "service", span.service)?;
        self.put(&mut out, "name", span.name)?;
        self.put(&mut out, "resource", span.resource)?;
        self.put(&mut out, "type", span.kind_of_work)?;
        self.put(&mut out, "env", span.env)?;
        self.put(&mut out, "version", span.version)?;
        self.put(&mut out, "component", span.component)?;
        put_number(&mut out, "spanID", span.span_id);
        put_number(&mut out, "parentID", span.parent_id);
        // A time before 1970 went through a cast to unsigned; the expected files show it signed.
        put_signed(&mut out, "start", span.start.cast_signed());
        put_signed(&mut out, "duration", span.duration.cast_signed());
        put_flag(&mut out, "error", span.error);
        let kinds = ["unspecified", "internal", "server", "client", "producer", "consumer"];
        match kinds.get(usize::try_from(span.kind).unwrap_or(usize::MAX)) {
            Some(kind) => put_text(&mut out, "kind", kind),
            None => put_text(&mut out, "kind", &span.kind.to_string()),
        }
        self.attributes(&mut out, &span.attributes)?;
        let links = span.links.iter().map(|link| self.link(link)).collect::<Result<Vec<_>, _>>()?;
        put_list(&mut out, "links", links);
        let events =
            span.events.iter().map(|event| self.event(event)).collect::<Result<Vec<_>, _>>()?;
        put_list(&mut out, "events", events);
        Ok(Value::Object(out))
    }

    fn link(&self, link: &Link) -> Result<Value, String> {
        let mut out = Map::new();
        out.insert("traceID".to_owned(), Value::String(text::hex(&link.trace_id)));
        put_number(&mut out, "spanID", link.span_id);
        self.put(&mut out, "tracestate", link.tracestate)?;
        put_number(&mut out, "flags", u64::from(link.flags));
        self.attributes(&mut out, &link.attributes)?;
        Ok(Value::Object(out))
    }

    fn event(&self, event: &Event) -> Result<Value, String> {
        let mut out = Map::new();
        put_number(&mut out, "time", event.time);
        self.put(&mut out, "name", event.name)?;
        self.attributes(&mut out, &event.attributes)?;
        Ok(Value::Object(out))
    }

    fn attributes(
        &self,
        out: &mut Map<String, Value>,
        attributes: &HashMap<u32, AnyValue>,
    ) -> Result<(), String> {
        let mut all = Map::new();
        for (key, value) in attributes {
            if all.insert(self.get(*key)?.to_owned(), self.any(value)?).is_some() {
                return Err(format!("trace payload: attribute {:?} stands twice", self.get(*key)?));
            }
        }
        if !all.is_empty() {
            out.insert("attributes".to_owned(), Value::Object(all));
        }
        Ok(())
    }

    fn any(&self, value: &AnyValue) -> Result<Value, String> {
        Ok(match &value.value {
            None => Value::Null,
            Some(AnyKind::Text(at)) => text::string(self.get(*at)?),
            Some(AnyKind::Bool(fact)) => json!({ "bool": fact }),
            Some(AnyKind::Double(number)) => json!({ "double": text::double(*number) }),
            Some(AnyKind::Int(number)) => json!({ "int": number }),
            Some(AnyKind::Bytes(bytes)) => json!({ "bytes": text::base64(bytes) }),
            Some(AnyKind::Array(list)) => {
                let values = list
                    .values
                    .iter()
                    .map(|value| self.any(value))
                    .collect::<Result<Vec<_>, _>>()?;
                json!({ "array": values })
            }
            Some(AnyKind::Pairs(list)) => {
                let mut all = Map::new();
                for pair in &list.pairs {
                    let value =
                        pair.value.as_ref().map_or(Ok(Value::Null), |value| self.any(value))?;
                    all.insert(self.get(pair.key)?.to_owned(), value);
                }
                json!({ "map": all })
            }
        })
    }
}

pub(crate) fn put_text(out: &mut Map<String, Value>, key: &str, value: &str) {
    if !value.is_empty() {
        out.insert(key.to_owned(), text::string(value));
    }
}

pub(crate) fn put_number(out: &mut Map<String, Value>, key: &str, value: u64) {
    if value != 0 {
        out.insert(key.to_owned(), json!(value));
    }
}

pub(crate) fn put_signed(out: &mut Map<String, Value>, key: &str, value: i64) {
    if value != 0 {
        out.insert(key.to_owned(), json!(value));
    }
}

pub(crate) fn put_flag(out: &mut Map<String, Value>, key: &str, value: bool) {
    if value {
        out.insert(key.to_owned(), Value::Bool(true));
    }
}

pub(crate) fn put_list(out: &mut Map<String, Value>, key: &str, value: Vec<Value>) {
    if !value.is_empty() {
        out.insert(key.to_owned(), Value::Array(value));
    }
}
