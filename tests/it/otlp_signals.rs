//! OTLP metrics and logs over HTTP and gRPC: what is taken, what is answered, what leaves, and that everything is counted.

use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use pillion::metrics::BodyKind;
use pillion::otlp::{self, Settings};
use prost::Message;
use serde_json::{Value, json};

use crate::support::grpc::{self, framed};
use crate::support::http::Client;
use crate::support::metrics::{MetricPayload, SketchPayload};
use crate::support::otlp::{JSON, PROTOBUF};
use crate::support::running_otlp::{Other, RunningOtlp, settings};

const METRICS_METHOD: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
const LOGS_METHOD: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

/// A point of a gauge as protobuf, written by hand: `NumberDataPoint` with a time and a double or none.
#[derive(Clone, PartialEq, Message)]
struct Point {
    #[prost(fixed64, tag = "3")]
    time: u64,
    #[prost(double, optional, tag = "4")]
    value: Option<f64>,
}

#[derive(Clone, PartialEq, Message)]
struct Gauge {
    #[prost(message, repeated, tag = "1")]
    points: Vec<Point>,
}

#[derive(Clone, PartialEq, Message)]
struct Metric {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "5")]
    gauge: Option<Gauge>,
}

#[derive(Clone, PartialEq, Message)]
struct ScopeMetrics {
    #[prost(message, repeated, tag = "2")]
    metrics: Vec<Metric>,
}

#[derive(Clone, PartialEq, Message)]
struct ResourceMetrics {
    #[prost(message, repeated, tag = "2")]
    scopes: Vec<ScopeMetrics>,
}

#[derive(Clone, PartialEq, Message)]
struct MetricsRequest {
    #[prost(message, repeated, tag = "1")]
    resources: Vec<ResourceMetrics>,
}

/// What every `Export…ServiceResponse` has.
#[derive(Clone, PartialEq, Message)]
struct ExportResponse {
    #[prost(message, optional, tag = "1")]
    partial: Option<Partial>,
}

#[derive(Clone, PartialEq, Message)]
struct Partial {
    #[prost(int64, tag = "1")]
    rejected: i64,
    #[prost(string, tag = "2")]
    why: String,
}

/// A gauge with these values; `None` is a point without one.
fn gauge(values: &[Option<f64>]) -> Vec<u8> {
    let points =
        values.iter().map(|value| Point { time: 1_750_000_000_000_000_000, value: *value });
    let metric =
        Metric { name: "depth".to_owned(), gauge: Some(Gauge { points: points.collect() }) };
    let scopes = vec![ScopeMetrics { metrics: vec![metric] }];
    MetricsRequest { resources: vec![ResourceMetrics { scopes }] }.encode_to_vec()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

fn histogram() -> Vec<u8> {
    json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": "took", "histogram": {
        "aggregationTemporality": 1, "dataPoints": [{"count": "3", "sum": 6.0, "bucketCounts": ["1", "2"],
            "explicitBounds": [1.0], "timeUnixNano": "1750000000000000000"}]}}]}]}]})
    .to_string()
    .into_bytes()
}

fn records(texts: &[&str]) -> Vec<u8> {
    let records: Vec<Value> = texts
        .iter()
        .map(|text| json!({"body": {"stringValue": text}, "severityText": "WARN"}))
        .collect();
    json!({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}).to_string().into_bytes()
}

/// What left of a kind, once the receivers have ended.
fn bodies(running: &mut RunningOtlp, kind: Other) -> Vec<Vec<u8>> {
    running.stop(Duration::from_secs(20));
    let others = running.others.lock().unwrap();
    others.iter().filter(|(of, _)| *of == kind).map(|(_, body)| body.clone()).collect()
}

#[test]
fn metrics_are_taken_in_every_form_and_leave_together() {
    let mut running = RunningOtlp::new();
    let mut client = Client::tcp(running.http);
    let one = gauge(&[Some(1.5)]);
    let answer = client.ask("POST", "/v1/metrics", &[PROTOBUF], &one);
    assert_eq!((answer.status, answer.header("Content-Type")), (200, PROTOBUF.1));
    assert!(answer.body.is_empty());
    let packed = [PROTOBUF, ("Content-Encoding", "gzip")];
    assert_eq!(client.ask("POST", "/v1/metrics", &packed, &gzip(&one)).status, 200);
    let answer = client.ask("POST", "/v1/metrics", &[JSON], &histogram());
    assert_eq!((answer.status, answer.text()), (200, "{}"));
    let mut calls = grpc::Client::new(running.grpc);
    let answer = calls.call(METRICS_METHOD, &[], &framed(false, &one));
    assert_eq!((answer.code(), answer.unframed().len()), (0, 0));

    let series = bodies(&mut running, Other::Metrics(BodyKind::Series));
    let [series] = series.as_slice() else { panic!("{} bodies", series.len()) };
    let series = MetricPayload::decode(series.as_slice()).unwrap().series;
    assert_eq!(series.len(), 3);
    assert!(series.iter().all(|series| series.metric == "depth" && series.points[0].value == 1.5));
    let sketches = bodies(&mut running, Other::Metrics(BodyKind::Sketches));
    let sketches = SketchPayload::decode(sketches[0].as_slice()).unwrap().sketches;
    assert_eq!(sketches.len(), 1);
    let (samples, points) = (running.ledger.samples.read(), running.ledger.points.read());
    assert_eq!((samples.received, samples.aggregated, samples.held()), (4, 4, 0));
    assert_eq!(points.received, 4);
}

#[test]
fn points_that_are_not_taken_are_said_and_counted() {
    let running = RunningOtlp::new();
    let mut client = Client::tcp(running.http);
    let body = gauge(&[Some(1.0), None, Some(f64::NAN)]);
    let answer = client.ask("POST", "/v1/metrics", &[PROTOBUF], &body);
    assert_eq!(answer.status, 200);
    let partial = ExportResponse::decode(answer.body.as_slice()).unwrap().partial.unwrap();
    assert!(partial.rejected == 2 && partial.why.contains("finite number"), "{partial:?}");
    let mut calls = grpc::Client::new(running.grpc);
    let answer = calls.call(METRICS_METHOD, &[], &framed(false, &body));
    let partial = ExportResponse::decode(answer.unframed()).unwrap().partial.unwrap();
    assert_eq!((answer.code(), partial.rejected), (0, 2));
    let samples = running.ledger.samples.read();
    assert_eq!((samples.received, samples.rejected, samples.aggregated), (6, 4, 2));
}

#[test]
fn logs_are_taken_in_both_encodings_and_leave_as_a_batch() {
    let mut running = RunningOtlp::new();
    let mut client = Client::tcp(running.http);
    let answer = client.ask("POST", "/v1/logs", &[JSON], &records(&["one", "two"]));
    assert_eq!((answer.status, answer.text()), (200, "{}"));
    // LogRecord { body { string_value: "three" } }
    let record = [&[0x0a, 13, 0x12, 11, 0x12, 9, 0x2a, 7, 0x0a, 5][..], b"three"].concat();
    let mut calls = grpc::Client::new(running.grpc);
    assert_eq!(calls.call(LOGS_METHOD, &[], &framed(false, &record)).code(), 0);
    let batches = bodies(&mut running, Other::Logs);
    let [batch] = batches.as_slice() else { panic!("{} batches", batches.len()) };
    let entries: Vec<Value> = serde_json::from_slice(batch).unwrap();
    let said = entries.iter().map(|entry| (entry["message"].as_str(), entry["status"].as_str()));
    assert_eq!(
        said.collect::<Vec<_>>(),
        [(Some("one"), Some("warn")), (Some("two"), Some("warn")), (Some("three"), Some("info"))]
    );
    assert_eq!(running.ledger.log_lines.read().received, 3);
}

#[test]
fn points_leave_while_the_app_runs() {
    let running = RunningOtlp::new();
    let mut client = Client::tcp(running.http);
    assert_eq!(client.ask("POST", "/v1/metrics", &[PROTOBUF], &gauge(&[Some(1.0)])).status, 200);
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while running.others.lock().unwrap().is_empty() {
        assert!(std::time::Instant::now() < deadline, "nothing left");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_is_malformed_is_refused_and_counted() {
    let running = RunningOtlp::new();
    let mut client = Client::tcp(running.http);
    for (path, headers, body, expect) in [
        ("/v1/metrics", [PROTOBUF], &b"\x0a\x05"[..], "ends early"),
        ("/v1/metrics", [JSON], &b"{\"resourceMetrics\":5}"[..], "resourceMetrics"),
        ("/v1/logs", [PROTOBUF], &b"\x0b"[..], "form"),
        ("/v1/logs", [JSON], &b"["[..], "JSON"),
    ] {
        let answer = client.ask("POST", path, &headers, body);
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(answer.status == 400 && text.contains(expect), "{path}: {text}");
    }
    let mut calls = grpc::Client::new(running.grpc);
    assert_eq!(calls.call(LOGS_METHOD, &[], &framed(false, b"\x0a\x05")).code(), 3);
    let refused = &running.ledger.bodies_refused;
    assert_eq!(refused.load(std::sync::atomic::Ordering::Relaxed), 5);
}

#[test]
fn what_is_switched_off_is_not_there() {
    let off = Settings {
        are_traces_taken: false,
        metrics: otlp::metrics::Settings {
            is_enabled: false,
            ..otlp::metrics::Settings::default()
        },
        logs: otlp::logs::Settings::default(),
        ..settings()
    };
    let running = RunningOtlp::with(off);
    let mut client = Client::tcp(running.http);
    for path in ["/v1/traces", "/v1/metrics", "/v1/logs"] {
        assert_eq!(client.ask("POST", path, &[PROTOBUF], b"").status, 404, "{path}");
    }
    let mut calls = grpc::Client::new(running.grpc);
    for method in [METRICS_METHOD, LOGS_METHOD] {
        let answer = calls.call(method, &[], &framed(false, b""));
        assert_eq!(answer.code(), 12);
        assert!(answer.message().contains("switched off"), "{}", answer.message());
    }
}
