//! Requests of OTLP, made by messages that are not the product's, and what recorded clients sent.

use std::path::{Path, PathBuf};

use libdd_trace_protobuf::opentelemetry::proto::collector::trace::v1::ExportTraceServiceRequest;
use libdd_trace_protobuf::opentelemetry::proto::common::v1::any_value::Value;
use libdd_trace_protobuf::opentelemetry::proto::common::v1::{AnyValue, KeyValue};
use libdd_trace_protobuf::opentelemetry::proto::resource::v1::Resource;
use libdd_trace_protobuf::opentelemetry::proto::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

pub(crate) const PROTOBUF: (&str, &str) = ("Content-Type", "application/x-protobuf");
pub(crate) const JSON: (&str, &str) = ("Content-Type", "application/json");

/// A span of a trace, both by their numbers.
pub(crate) fn span(trace: u64, number: u64) -> Span {
    let id = trace * 1000 + number;
    Span {
        trace_id: (u128::from(trace) << 64 | u128::from(trace)).to_be_bytes().to_vec(),
        span_id: id.to_be_bytes().to_vec(),
        parent_span_id: if number == 1 {
            Vec::new()
        } else {
            (trace * 1000 + 1).to_be_bytes().to_vec()
        },
        name: "GET /items".to_owned(),
        kind: 2,
        start_time_unix_nano: 1_750_000_000_000_000_000,
        end_time_unix_nano: 1_750_000_000_001_000_000 + number,
        attributes: vec![text("http.request.method", "GET"), text("user", "ünïcode")],
        ..Span::default()
    }
}

pub(crate) fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

/// A request with spans of one resource.
pub(crate) fn of(service: &str, spans: Vec<Span>) -> Vec<u8> {
    let resource =
        Resource { attributes: vec![text("service.name", service)], ..Resource::default() };
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let resource_spans =
        ResourceSpans { resource: Some(resource), scope_spans, ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![resource_spans] }.encode_to_vec()
}

/// A request of so many traces of so many spans.
pub(crate) fn request(traces: u64, spans_per_trace: u64) -> Vec<u8> {
    let spans = |trace| (1..=spans_per_trace).map(move |number| span(trace, number));
    of("shop", (1..=traces).flat_map(spans).collect())
}

/// The same as JSON.
pub(crate) fn json(traces: u64, spans_per_trace: u64) -> Vec<u8> {
    let span = |trace: u64, number: u64| {
        serde_json::json!({
            "traceId": format!("{trace:016x}{trace:016x}"),
            "spanId": format!("{:016x}", trace * 1000 + number),
            "name": "GET /items",
            "kind": 2,
            "startTimeUnixNano": "1750000000000000000",
            "endTimeUnixNano": "1750000000001000000",
            "attributes": [{"key": "user", "value": {"stringValue": "ünïcode"}}, {"key": "n", "value": {"intValue": 5}}],
            "status": {},
        })
    };
    let spans: Vec<_> = (1..=traces)
        .flat_map(|trace| (1..=spans_per_trace).map(move |number| span(trace, number)))
        .collect();
    let resource = serde_json::json!({"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]});
    let request = serde_json::json!({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]});
    request.to_string().into_bytes()
}

/// The folders of `tests/otlp`.
pub(crate) fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/otlp");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut cases: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    cases.sort();
    cases
}

/// The spans of a protobuf body.
pub(crate) fn spans(body: &[u8]) -> Vec<Span> {
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    let scopes = request.resource_spans.into_iter().flat_map(|spans| spans.scope_spans);
    scopes.flat_map(|scope| scope.spans).collect()
}
