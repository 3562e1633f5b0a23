//! Requests that are almost right: whatever they are, they are answered with a word that is not the server's fault, and the next one is taken.

use crate::support::grpc::{self, EXPORT, framed};
use crate::support::http::Client;
use crate::support::mutate::{mutate, resident_bytes};
use crate::support::otlp::{JSON, PROTOBUF, cases, json, request};
use crate::support::running_otlp::RunningOtlp;

/// Bodies with everything in them that a span may have.
fn bodies(file: &str) -> Vec<Vec<u8>> {
    let names = ["attributes", "events-and-links", "traces", "resources"];
    let chosen = cases().into_iter().filter(|case| names.iter().any(|name| case.ends_with(name)));
    chosen.map(|case| std::fs::read(case.join(file)).unwrap()).collect()
}

fn check_http(media: (&str, &str), bodies: &[Vec<u8>], rounds: usize, seed: u64) {
    let running = RunningOtlp::new();
    let mut random = fastrand::Rng::with_seed(seed);
    let mut client = Client::tcp(running.http);
    let before = resident_bytes();
    for round in 0..rounds {
        let mut body = bodies[round % bodies.len()].clone();
        mutate(&mut random, &mut body);
        let answer = client.ask("POST", "/v1/traces", &[media], &body);
        assert!(matches!(answer.status, 200 | 400 | 413), "seed {seed} round {round}: {answer:?}");
    }
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 300_000_000, "{grown} bytes more");
    check_end(&running, seed);
}

fn check_end(running: &RunningOtlp, seed: u64) {
    let answer = Client::tcp(running.http).ask("POST", "/v1/traces", &[PROTOBUF], &request(1, 1));
    assert_eq!(answer.status, 200);
    let shed = running.ledger.spans.read().shed[pillion::ledger::Shed::Fault as usize];
    assert_eq!(shed, 0, "seed {seed}: a body made the pipeline panic");
}

#[test]
fn almost_right_protobuf_bodies() {
    check_http(PROTOBUF, &[request(2, 3)], 2000, 11);
    check_http(PROTOBUF, &bodies("request.bin"), 1000, 12);
}

#[test]
fn almost_right_json_bodies() {
    check_http(JSON, &[json(2, 3)], 2000, 13);
    check_http(JSON, &bodies("request.json"), 400, 14);
}

#[test]
fn almost_right_calls() {
    let running = RunningOtlp::new();
    let mut random = fastrand::Rng::with_seed(15);
    let mut client = grpc::Client::new(running.grpc);
    for round in 0..1000 {
        let mut body = framed(false, &request(2, 3));
        mutate(&mut random, &mut body);
        let answer = client.call(EXPORT, &[], &body);
        assert!(matches!(answer.code(), 0 | 3 | 8 | 12 | 13), "round {round}: {answer:?}");
    }
    check_end(&running, 15);
}

/// A field of bytes.
fn field(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut field = vec![tag];
    let mut length = content.len();
    while length >= 0x80 {
        field.push(length as u8 | 0x80);
        length >>= 7;
    }
    field.push(length as u8);
    field.extend_from_slice(content);
    field
}

/// A request whose resource has one attribute, with this value.
fn with_value(value: &[u8]) -> Vec<u8> {
    let attribute = [field(0x0a, b"k"), field(0x12, value)].concat();
    field(0x0a, &field(0x0a, &field(0x0a, &attribute)))
}

#[test]
fn bodies_that_nest_deep_or_claim_to_be_huge_are_refused() {
    let running = RunningOtlp::new();
    let mut client = Client::tcp(running.http);
    let nested = |lists: usize| {
        let lists = (0..lists).fold(Vec::new(), |value, _| field(0x2a, &field(0x0a, &value)));
        with_value(&lists)
    };
    let mut ask = |media, body: &[u8]| client.ask("POST", "/v1/traces", &[media], body).status;
    assert_eq!(ask(PROTOBUF, &nested(10)), 200);
    assert_eq!(ask(PROTOBUF, &nested(5000)), 400);
    for claim in [
        &[0x0a, 0xff, 0xff, 0xff, 0x0f][..],
        &[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    ] {
        assert_eq!(ask(PROTOBUF, claim), 400);
        assert_eq!(ask(PROTOBUF, &with_value(claim)), 400);
    }
    let start = br#"{"resourceSpans":[{"resource":{"attributes":[{"key":"k","value":"#.to_vec();
    let deep = [start, br#"{"arrayValue":{"values":["#.repeat(100_000)].concat();
    assert_eq!(ask(JSON, &deep), 400);
    check_end(&running, 0);
}

#[test]
fn a_million_empty_messages_take_hardly_more_memory_than_they_are() {
    let running = RunningOtlp::new();
    let mut client = Client::tcp(running.http);
    let before = resident_bytes();
    let empty = [0x0a, 0].repeat(1_000_000);
    let scopes = field(0x0a, &[0x12, 0].repeat(1_000_000));
    let spans = field(0x0a, &field(0x12, &[0x12, 0].repeat(1_000_000)));
    for body in [empty, scopes, spans] {
        assert_eq!(client.ask("POST", "/v1/traces", &[PROTOBUF], &body).status, 200);
    }
    let attributes = with_value(&[0x0a, 0].repeat(1_000_000));
    assert_eq!(client.ask("POST", "/v1/traces", &[PROTOBUF], &attributes).status, 200);
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 200_000_000, "{grown} bytes more");
    assert_eq!(running.ledger.spans.read().rejected, 1_000_000);
    check_end(&running, 0);
}

#[test]
fn more_attributes_than_anything_has_are_refused() {
    let running = RunningOtlp::new();
    let attribute = field(0x0a, &field(0x0a, b"k"));
    let body = field(0x0a, &field(0x0a, &attribute.repeat(70_000)));
    let answer = Client::tcp(running.http).ask("POST", "/v1/traces", &[PROTOBUF], &body);
    assert_eq!(answer.status, 400);
    check_end(&running, 0);
}
