//! OTLP over HTTP: what is taken, what is refused, and in which words.

use std::io::Write;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use pillion::ledger::Shed;
use pillion::otlp::{self, Cors, Settings};
use serde_json::Value;

use crate::support::http::{Client, request};
use crate::support::otlp::{JSON, PROTOBUF, json, of, span};
use crate::support::running_intake::FAULTY_SERVICE;
use crate::support::running_otlp::{BoundOtlp, RunningOtlp, settings};

const PATH: &str = "/v1/traces";

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut packer = ZlibEncoder::new(Vec::new(), Compression::default());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

#[test]
fn every_encoding_and_packing_is_taken_and_answered_in_kind() {
    let mut otlp = RunningOtlp::new();
    let mut client = Client::tcp(otlp.http);
    let plain = crate::support::otlp::request(2, 3);
    let zstd = zstd::encode_all(&plain[..], 1).unwrap();
    for (headers, body) in [
        (vec![PROTOBUF], plain.clone()),
        (vec![PROTOBUF, ("Content-Encoding", "gzip")], gzip(&plain)),
        (vec![PROTOBUF, ("Content-Encoding", "zstd")], zstd),
        (vec![PROTOBUF, ("Content-Encoding", "deflate")], zlib(&plain)),
        (vec![PROTOBUF, ("Content-Encoding", "identity")], plain),
    ] {
        let answer = client.ask("POST", PATH, &headers, &body);
        assert_eq!(
            (answer.status, answer.header("Content-Type")),
            (200, PROTOBUF.1),
            "{headers:?}"
        );
        assert!(answer.body.is_empty(), "{answer:?}");
    }
    for (headers, body) in [
        (vec![("Content-Type", "application/json; charset=utf-8")], json(2, 3)),
        (vec![JSON, ("Content-Encoding", "gzip")], gzip(&json(2, 3))),
    ] {
        let answer = client.ask("POST", PATH, &headers, &body);
        assert_eq!((answer.status, answer.header("Content-Type")), (200, JSON.1));
        assert_eq!(answer.text(), "{}");
    }
    assert_eq!(otlp.ledger.spans.read().received, 7 * 6);
    assert_eq!(otlp.spans().len(), 7 * 6);
}

#[test]
fn an_empty_request_is_a_request() {
    let otlp = RunningOtlp::new();
    let mut client = Client::tcp(otlp.http);
    assert_eq!(client.ask("POST", PATH, &[PROTOBUF], b"").status, 200);
    assert_eq!(client.ask("POST", PATH, &[JSON], b"{}").status, 200);
    assert_eq!(client.ask("POST", PATH, &[JSON], b"").status, 400);
    assert_eq!(otlp.ledger.spans.read().received, 0);
}

#[test]
fn spans_without_ids_are_refused_and_the_others_taken() {
    let mut otlp = RunningOtlp::new();
    let mut client = Client::tcp(otlp.http);
    let mut no_trace = span(1, 1);
    no_trace.trace_id = Vec::new();
    let mut no_id = span(2, 1);
    no_id.span_id = vec![0; 8];
    // The second span of trace 2 has an id, but its trace is not whole.
    let body = of("shop", vec![no_trace, no_id, span(2, 2), span(3, 1), span(3, 2)]);
    let answer = client.ask("POST", PATH, &[PROTOBUF], &body);
    assert_eq!(answer.status, 200);
    // Partial success: a message with the count and a text.
    assert_eq!((answer.body[0], answer.body[2], answer.body[3]), (0x0a, 0x08, 3), "{answer:?}");
    let bad = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"","spanId":"0000000000000001"}]}]}]}"#;
    let answer = client.ask("POST", PATH, &[JSON], bad.as_bytes());
    let told: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((answer.status, &told["partialSuccess"]["rejectedSpans"]), (200, &"1".into()));
    assert!(told["partialSuccess"]["errorMessage"].as_str().unwrap().contains("trace id"));
    let read = otlp.ledger.spans.read();
    assert_eq!((read.received, read.rejected), (6, 4));
    assert_eq!(otlp.spans().len(), 2);
}

#[test]
fn what_is_malformed_is_a_400_with_a_status_in_the_same_encoding() {
    let otlp = RunningOtlp::new();
    let mut client = Client::tcp(otlp.http);
    let whole = crate::support::otlp::request(1, 5);
    for (headers, body) in [
        (vec![PROTOBUF], whole[..whole.len() - 1].to_vec()),
        (vec![PROTOBUF], json(1, 1)),
        (vec![PROTOBUF, ("Content-Encoding", "gzip")], whole.clone()),
    ] {
        let answer = client.ask("POST", PATH, &headers, &body);
        assert_eq!((answer.status, answer.header("Content-Type")), (400, PROTOBUF.1));
        assert_eq!(answer.body[..3], [0x08, 3, 0x12], "a google.rpc.Status: {answer:?}");
    }
    let answer = client.ask("POST", PATH, &[JSON], b"{\"resourceSpans\": 5}");
    let told: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((answer.status, answer.header("Content-Type")), (400, JSON.1));
    assert_eq!(told["code"], 3);
    assert!(told["message"].as_str().unwrap().contains("resourceSpans"), "{told}");
    // Nothing of a body whose last byte is missing is left.
    assert_eq!(otlp.ledger.spans.read().received, 0);
    assert_eq!(otlp.ledger.bodies_refused.load(std::sync::atomic::Ordering::Relaxed), 4);
}

#[test]
fn other_paths_methods_and_media_are_refused() {
    let otlp = RunningOtlp::new();
    let mut client = Client::tcp(otlp.http);
    let body = crate::support::otlp::request(1, 1);
    for path in ["/", "/v1/profiles", "/v1/metrics/", "/v1/traces/", "/v0.4/traces"] {
        assert_eq!(client.ask("POST", path, &[PROTOBUF], &body).status, 404, "{path}");
    }
    let answer = client.ask("GET", PATH, &[], b"");
    assert_eq!((answer.status, answer.header("Allow")), (405, "POST"));
    for headers in
        [vec![], vec![("Content-Type", "text/plain")], vec![PROTOBUF, ("Content-Encoding", "br")]]
    {
        assert_eq!(client.ask("POST", PATH, &headers, &body).status, 415, "{headers:?}");
    }
    assert_eq!(client.ask("POST", PATH, &[PROTOBUF], &body).status, 200);
}

#[test]
fn what_is_too_large_is_a_413_however_it_is_packed() {
    let otlp = RunningOtlp::with(Settings { http_body_bytes_max: 100_000, ..settings() });
    let mut client = Client::tcp(otlp.http);
    let large = crate::support::otlp::request(100, 100);
    assert!(large.len() > 100_000 && gzip(&large).len() < 100_000);
    for (headers, body) in [
        (vec![PROTOBUF], large.clone()),
        (vec![PROTOBUF, ("Content-Encoding", "gzip")], gzip(&large)),
    ] {
        let answer = client.ask("POST", PATH, &headers, &body);
        assert_eq!((answer.status, answer.body[..2].to_vec()), (413, vec![0x08, 8]), "{headers:?}");
    }
    assert_eq!(
        client.ask("POST", PATH, &[PROTOBUF], &crate::support::otlp::request(1, 1)).status,
        200
    );
}

#[test]
fn a_small_body_that_becomes_huge_spans_is_refused() {
    // Each span carries the attributes of its resource: a megabyte of them a hundred times.
    let otlp = RunningOtlp::new();
    let spans: Vec<_> = (1..=200).map(|number| span(1, number)).collect();
    let body = of(&"x".repeat(100), spans);
    let mut request = <libdd_trace_protobuf::opentelemetry::proto::collector::trace::v1::ExportTraceServiceRequest as prost::Message>::decode(&body[..]).unwrap();
    let resource = request.resource_spans[0].resource.as_mut().unwrap();
    resource.attributes.push(crate::support::otlp::text("large", &"y".repeat(1_000_000)));
    let body = prost::Message::encode_to_vec(&request);
    let answer = Client::tcp(otlp.http).ask("POST", PATH, &[PROTOBUF], &body);
    assert_eq!((answer.status, otlp.ledger.spans.read().received), (413, 0));
}

#[test]
fn a_slow_body_is_408_and_others_do_not_wait_for_it() {
    let otlp =
        RunningOtlp::with(Settings { receive_timeout: Duration::from_millis(300), ..settings() });
    let mut slow = Client::tcp(otlp.http);
    slow.send(b"POST /v1/traces HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{");
    let body = crate::support::otlp::request(1, 1);
    assert_eq!(Client::tcp(otlp.http).ask("POST", PATH, &[PROTOBUF], &body).status, 200);
    let late = slow.answer();
    assert_eq!((late.status, late.header("Connection")), (408, "close"));
    assert!(slow.rest().is_empty());
}

#[test]
fn what_is_not_http_is_refused_and_large_heads_too() {
    let otlp = RunningOtlp::new();
    let mut client = Client::tcp(otlp.http);
    client.try_send(b"\x16\x03\x01 hello\r\n\r\n");
    assert!(client.rest().starts_with(b"HTTP/1.1 400 "));
    let mut client = Client::tcp(otlp.http);
    client.try_send(
        format!("POST /v1/traces HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(100_000)).as_bytes(),
    );
    assert!(client.rest().starts_with(b"HTTP/1.1 431 "));
}

#[test]
fn pages_that_the_user_names_may_send() {
    let cors =
        Cors { origins: vec!["https://*.example".to_owned()], headers: vec!["x-team".to_owned()] };
    let otlp = RunningOtlp::with(Settings { cors, ..settings() });
    let mut client = Client::tcp(otlp.http);
    let asked = [
        ("Origin", "https://shop.example"),
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "content-type,x-team"),
    ];
    let answer = client.ask("OPTIONS", PATH, &asked, b"");
    assert_eq!(
        (
            answer.status,
            answer.header("Access-Control-Allow-Origin"),
            answer.header("Access-Control-Allow-Headers")
        ),
        (204, "https://shop.example", "content-type,x-team")
    );
    let body = json(1, 1);
    let answer = client.ask("POST", PATH, &[JSON, asked[0]], &body);
    assert_eq!(
        (answer.status, answer.header("Access-Control-Allow-Origin")),
        (200, "https://shop.example")
    );
    let answer = client.ask("POST", PATH, &[JSON, ("Origin", "https://other.site")], &body);
    assert_eq!((answer.status, answer.header("Access-Control-Allow-Origin")), (200, ""));
    let silent = RunningOtlp::new();
    assert_eq!(Client::tcp(silent.http).ask("OPTIONS", PATH, &asked, b"").status, 405);
}

#[test]
fn stats_that_were_computed_before_are_not_computed_again() {
    for (headers, expect) in [
        (vec![PROTOBUF], 1),
        (vec![PROTOBUF, ("Datadog-Client-Computed-Stats", "yes")], 0),
        (vec![PROTOBUF, ("Datadog-Client-Computed-Stats", "false")], 1),
    ] {
        let mut otlp = RunningOtlp::new();
        let body = crate::support::otlp::request(1, 1);
        assert_eq!(Client::tcp(otlp.http).ask("POST", PATH, &headers, &body).status, 200);
        otlp.stop(Duration::from_secs(20));
        assert_eq!(otlp.ledger.stats_groups.read().received, expect, "{headers:?}");
    }
}

#[test]
fn a_panic_over_a_body_is_counted_and_not_the_apps_concern() {
    let otlp = RunningOtlp::new();
    let mut client = Client::tcp(otlp.http);
    let answer = client.ask("POST", PATH, &[PROTOBUF], &of(FAULTY_SERVICE, vec![span(1, 1)]));
    assert_eq!(answer.status, 200);
    assert_eq!(otlp.ledger.spans.read().shed[Shed::Fault as usize], 1);
    assert_eq!(
        client.ask("POST", PATH, &[PROTOBUF], &crate::support::otlp::request(1, 1)).status,
        200
    );
}

#[test]
fn requests_in_the_backlog_of_clients_that_are_gone_are_served() {
    let bound = BoundOtlp::new(settings());
    let request = request("POST", PATH, &[PROTOBUF], &crate::support::otlp::request(3, 10));
    for _ in 0..20 {
        Client::tcp(bound.http).send(&request);
    }
    let mut otlp = bound.serve(Some(Instant::now() + Duration::from_secs(20)));
    otlp.join();
    assert_eq!(otlp.ledger.spans.read().received, 20 * 30);
}

#[test]
fn a_taken_port_is_one_line_and_the_other_listens() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut wanted = settings();
    wanted.http.as_mut().unwrap().port = other.local_addr().unwrap().port();
    let (listeners, problems) = otlp::bind(&wanted);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(
        problems[0].contains("in use") && problems[0].contains("HTTP_ENDPOINT"),
        "{problems:?}"
    );
    assert_eq!((listeners.http_addresses().len(), listeners.grpc_addresses().len()), (0, 1));
    assert!(otlp::bind(&Settings { http: None, grpc: None, ..wanted }).0.is_empty());
}
