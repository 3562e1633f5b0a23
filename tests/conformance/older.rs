//! Tracer payloads of the older form into the normal form of the expected files: own protobuf declarations from the published field numbers.

use std::collections::BTreeMap;

use prost::Message;
use serde_json::{Map, Value, json};

use crate::text;
use crate::traces::{put_flag, put_list, put_number, put_signed, put_text};

#[derive(Clone, PartialEq, Message)]
pub(crate) struct TracerPayload {
    #[prost(string, tag = "1")]
    container_id: String,
    #[prost(string, tag = "2")]
    language_name: String,
    #[prost(string, tag = "3")]
    language_version: String,
    #[prost(string, tag = "4")]
    tracer_version: String,
    #[prost(string, tag = "5")]
    runtime_id: String,
    #[prost(message, repeated, tag = "6")]
    chunks: Vec<Chunk>,
    #[prost(btree_map = "string, string", tag = "7")]
    tags: BTreeMap<String, String>,
    #[prost(string, tag = "8")]
    env: String,
    #[prost(string, tag = "9")]
    hostname: String,
    #[prost(string, tag = "10")]
    app_version: String,
}

#[derive(Clone, PartialEq, Message)]
struct Chunk {
    #[prost(int32, tag = "1")]
    priority: i32,
    #[prost(string, tag = "2")]
    origin: String,
    #[prost(message, repeated, tag = "3")]
    spans: Vec<Span>,
    #[prost(btree_map = "string, string", tag = "4")]
    tags: BTreeMap<String, String>,
    #[prost(bool, tag = "5")]
    dropped_trace: bool,
}

#[derive(Clone, PartialEq, Message)]
struct Span {
    #[prost(string, tag = "1")]
    service: String,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(string, tag = "3")]
    resource: String,
    #[prost(uint64, tag = "4")]
    trace_id: u64,
    #[prost(uint64, tag = "5")]
    span_id: u64,
    #[prost(uint64, tag = "6")]
    parent_id: u64,
    #[prost(int64, tag = "7")]
    start: i64,
    #[prost(int64, tag = "8")]
    duration: i64,
    #[prost(int32, tag = "9")]
    error: i32,
    #[prost(btree_map = "string, string", tag = "10")]
    meta: BTreeMap<String, String>,
    #[prost(btree_map = "string, double", tag = "11")]
    metrics: BTreeMap<String, f64>,
    #[prost(string, tag = "12")]
    kind: String,
    #[prost(btree_map = "string, bytes", tag = "13")]
    meta_struct: BTreeMap<String, Vec<u8>>,
    #[prost(message, repeated, tag = "14")]
    links: Vec<Link>,
    #[prost(message, repeated, tag = "15")]
    events: Vec<Event>,
}

#[derive(Clone, PartialEq, Message)]
struct Link {
    #[prost(uint64, tag = "1")]
    trace_id: u64,
    #[prost(uint64, tag = "2")]
    trace_id_high: u64,
    #[prost(uint64, tag = "3")]
    span_id: u64,
    #[prost(btree_map = "string, string", tag = "4")]
    attributes: BTreeMap<String, String>,
    #[prost(string, tag = "5")]
    tracestate: String,
    #[prost(uint32, tag = "6")]
    flags: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(fixed64, tag = "1")]
    time: u64,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(btree_map = "string, message", tag = "3")]
    attributes: BTreeMap<String, AnyValue>,
}

/// The value of an event's attribute. An element of an array has the same fields, but for the last.
#[derive(Clone, PartialEq, Message)]
struct AnyValue {
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(string, tag = "2")]
    text: String,
    #[prost(bool, tag = "3")]
    flag: bool,
    #[prost(int64, tag = "4")]
    int: i64,
    #[prost(double, tag = "5")]
    double: f64,
    #[prost(message, optional, tag = "6")]
    array: Option<Array>,
}

#[derive(Clone, PartialEq, Message)]
struct Array {
    #[prost(message, repeated, tag = "1")]
    values: Vec<AnyValue>,
}

/// One tracer payload.
pub(crate) fn payload(payload: &TracerPayload) -> Value {
    let mut out = Map::new();
    put_text(&mut out, "containerID", &payload.container_id);
    put_text(&mut out, "languageName", &payload.language_name);
    put_text(&mut out, "languageVersion", &payload.language_version);
    put_text(&mut out, "tracerVersion", &payload.tracer_version);
    put_text(&mut out, "runtimeID", &payload.runtime_id);
    put_text(&mut out, "env", &payload.env);
    put_text(&mut out, "hostname", &payload.hostname);
    put_text(&mut out, "appVersion", &payload.app_version);
    put_map(&mut out, "tags", &payload.tags, |value| text::string(value));
    out.insert("chunks".to_owned(), payload.chunks.iter().map(chunk).collect());
    Value::Object(out)
}

fn chunk(chunk: &Chunk) -> Value {
    let mut out = Map::new();
    out.insert("priority".to_owned(), json!(chunk.priority));
    put_text(&mut out, "origin", &chunk.origin);
    put_map(&mut out, "tags", &chunk.tags, |value| text::string(value));
    put_flag(&mut out, "droppedTrace", chunk.dropped_trace);
    let mut spans: Vec<&Span> = chunk.spans.iter().collect();
    spans.sort_by_key(|span| span.span_id);
    out.insert("spans".to_owned(), spans.into_iter().map(span).collect());
    Value::Object(out)
}

fn span(span: &Span) -> Value {
    let mut out = Map::new();
    put_text(&mut out, "service", &span.service);
    put_text(&mut out, "name", &span.name);
    put_text(&mut out, "resource", &span.resource);
    put_text(&mut out, "type", &span.kind);
    put_number(&mut out, "traceID", span.trace_id);
    put_number(&mut out, "spanID", span.span_id);
    put_number(&mut out, "parentID", span.parent_id);
    put_signed(&mut out, "start", span.start);
    put_signed(&mut out, "duration", span.duration);
    put_signed(&mut out, "error", i64::from(span.error));
    put_map(&mut out, "meta", &span.meta, |value| text::string(value));
    put_map(&mut out, "metrics", &span.metrics, |value| text::double(*value));
    put_map(&mut out, "meta_struct", &span.meta_struct, |value| json!(text::base64(value)));
    put_list(&mut out, "spanLinks", span.links.iter().map(link).collect());
    put_list(&mut out, "spanEvents", span.events.iter().map(event).collect());
    Value::Object(out)
}

fn link(link: &Link) -> Value {
    let mut out = Map::new();
    put_number(&mut out, "traceID", link.trace_id);
    put_number(&mut out, "traceID_high", link.trace_id_high);
    put_number(&mut out, "spanID", link.span_id);
    put_text(&mut out, "tracestate", &link.tracestate);
    put_number(&mut out, "flags", u64::from(link.flags));
    put_map(&mut out, "attributes", &link.attributes, |value| text::string(value));
    Value::Object(out)
}

fn event(event: &Event) -> Value {
    let mut out = Map::new();
    put_number(&mut out, "time_unix_nano", event.time);
    put_text(&mut out, "name", &event.name);
    put_map(&mut out, "attributes", &event.attributes, any);
    Value::Object(out)
}

fn any(value: &AnyValue) -> Value {
    match value.kind {
        0 => text::string(&value.text),
        1 => json!({ "bool": value.flag }),
        2 => json!({ "int": value.int }),
        3 => json!({ "double": text::double(value.double) }),
        // A type that nobody knows looks like an empty array in the recordings.
        _ => {
            let values = value.array.iter().flat_map(|array| &array.values);
            let values: Vec<Value> = values.map(any).collect();
            json!({ "array": if values.is_empty() { Value::Null } else { Value::Array(values) } })
        }
    }
}

fn put_map<T>(
    out: &mut Map<String, Value>,
    key: &str,
    map: &BTreeMap<String, T>,
    value: impl Fn(&T) -> Value,
) {
    if !map.is_empty() {
        let entries: Map<String, Value> =
            map.iter().map(|(key, item)| (key.clone(), value(item))).collect();
        out.insert(key.to_owned(), Value::Object(entries));
    }
}
