//! OTLP over gRPC: calls, their packing, their refusals, and clients that do as they like.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::Method;
use nix::sys::socket::{setsockopt, sockopt::Linger};
use pillion::otlp::Settings;

use crate::support::grpc::{Client, EXPORT, framed};
use crate::support::otlp::{self, of, span};
use crate::support::running_otlp::{BoundOtlp, RunningOtlp, settings};

#[test]
fn a_call_is_answered_with_a_message_and_a_status_behind_it() {
    let mut running = RunningOtlp::new();
    let mut client = Client::new(running.grpc);
    for _ in 0..3 {
        let answer = client.export(&otlp::request(2, 3));
        assert_eq!((answer.http_status, answer.code()), (200, 0), "{answer:?}");
        assert!(answer.trailers.contains_key("grpc-status") && answer.unframed().is_empty());
        assert_eq!(answer.headers["content-type"], "application/grpc");
    }
    assert_eq!(running.spans().len(), 3 * 6);
}

#[test]
fn messages_may_be_packed_by_gzip() {
    let running = RunningOtlp::new();
    let mut client = Client::new(running.grpc);
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(&otlp::request(2, 3)).unwrap();
    let packed = packer.finish().unwrap();
    let gzip = [("grpc-encoding", "gzip")];
    assert_eq!(client.call(EXPORT, &gzip, &framed(true, &packed)).code(), 0);
    assert_eq!(client.call(EXPORT, &gzip, &framed(false, &otlp::request(1, 1))).code(), 0);
    assert_eq!(running.ledger.spans.read().received, 7);
    assert_eq!(client.call(EXPORT, &gzip, &framed(true, &packed[..20])).code(), 13);
    assert_eq!(client.call(EXPORT, &[], &framed(true, &packed)).code(), 13);
    let answer = client.call(EXPORT, &[("grpc-encoding", "snappy")], &framed(true, &packed));
    assert_eq!(
        (answer.code(), &answer.headers["grpc-accept-encoding"]),
        (12, &"gzip".parse().unwrap())
    );
}

#[test]
fn refusals_have_codes_and_words() {
    let running = RunningOtlp::new();
    let mut client = Client::new(running.grpc);
    let message = otlp::request(1, 1);
    for path in [
        "/opentelemetry.proto.collector.metrics.v1.MetricsService/Import",
        "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export",
        "/grpc.health.v1.Health/Check",
        "/",
    ] {
        let answer = client.call(path, &[], &framed(false, &message));
        assert_eq!((answer.http_status, answer.code()), (200, 12), "{path}");
        assert!(answer.message().contains("unknown method"), "{}", answer.message());
    }
    let answer = client.export(&message[..message.len() - 1]);
    assert_eq!(answer.code(), 3);
    assert!(answer.message().contains("ends early"), "{}", answer.message());
    for body in [
        vec![],
        framed(false, &message)[..20].to_vec(),
        [framed(false, b""), framed(false, b"")].concat(),
    ] {
        assert_eq!(client.call(EXPORT, &[], &body).code(), 13, "{} bytes", body.len());
    }
    assert_eq!(
        client.call(EXPORT, &[("content-type", "application/json")], b"{}").http_status,
        415
    );
    assert_eq!(client.ask(Method::GET, EXPORT, &[], b"").http_status, 405);
    assert_eq!((client.export(&message).code(), running.ledger.spans.read().received), (0, 1));
}

#[test]
fn spans_without_ids_are_a_partial_success() {
    let running = RunningOtlp::new();
    let mut no_trace = span(1, 1);
    no_trace.trace_id = vec![0; 16];
    let answer = Client::new(running.grpc).export(&of("shop", vec![no_trace, span(2, 1)]));
    assert_eq!((answer.code(), answer.unframed()[2..4].to_vec()), (0, vec![0x08, 1]));
    let read = running.ledger.spans.read();
    assert_eq!((read.received, read.rejected), (2, 1));
}

#[test]
fn a_message_above_the_limit_is_refused_and_one_of_just_the_limit_taken() {
    let limit = 1 << 20;
    let running = RunningOtlp::with(Settings { grpc_message_bytes_max: limit, ..settings() });
    let mut client = Client::new(running.grpc);
    let large = |bytes: usize| {
        let mut message = otlp::request(1, 1);
        // A field that nobody knows, to fill it up.
        let rest = bytes - message.len() - 5;
        message.extend_from_slice(&[0x82, 0x7d]);
        let mut length = rest;
        for _ in 0..2 {
            message.push(length as u8 | 0x80);
            length >>= 7;
        }
        message.push(length as u8);
        message.resize(bytes, 0);
        message
    };
    assert_eq!(client.export(&large(limit)).code(), 0);
    let answer = client.export(&large(limit + 1));
    assert_eq!(answer.code(), 8);
    assert!(answer.message().contains("1048576"), "{}", answer.message());
    assert_eq!(client.export(&otlp::request(1, 1)).code(), 0);
}

#[test]
fn calls_at_once_on_one_connection_each_have_their_own_time() {
    let running =
        RunningOtlp::with(Settings { receive_timeout: Duration::from_millis(400), ..settings() });
    let mut client = Client::new(running.grpc);
    let body = framed(false, &otlp::request(20, 10));
    let stalled: Vec<_> = (0..3)
        .map(|_| client.begin(Method::POST, EXPORT, &[], &body[..body.len() / 2], false))
        .collect();
    let start = Instant::now();
    for _ in 0..5 {
        assert_eq!(client.call(EXPORT, &[], &body).code(), 0);
    }
    assert!(start.elapsed() < Duration::from_millis(400), "{:?}", start.elapsed());
    for call in stalled {
        assert_eq!(client.finish(call).unwrap().code(), 4);
    }
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(client.call(EXPORT, &[], &body).code(), 0);
    assert_eq!(running.ledger.spans.read().received, 6 * 200);
}

#[test]
fn more_calls_than_are_allowed_at_once_wait_and_are_served() {
    let running = RunningOtlp::with(Settings { grpc_requests_max: 2, ..settings() });
    let mut client = Client::new(running.grpc);
    let body = framed(false, &otlp::request(5, 10));
    assert_eq!(client.call(EXPORT, &[], &body).code(), 0, "the client has heard the limit by now");
    let calls: Vec<_> =
        (0..20).map(|_| client.begin(Method::POST, EXPORT, &[], &body, true)).collect();
    for call in calls {
        assert_eq!(client.finish(call).unwrap().code(), 0);
    }
    assert_eq!(running.ledger.spans.read().received, 21 * 50);
}

#[test]
fn what_is_not_http2_is_closed_and_others_are_served() {
    let running =
        RunningOtlp::with(Settings { receive_timeout: Duration::from_millis(300), ..settings() });
    let mut random = fastrand::Rng::with_seed(5);
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    for round in 0..200 {
        let mut stream = TcpStream::connect(running.grpc).unwrap();
        let mut bytes: Vec<u8> = (0..random.usize(1..400)).map(|_| random.u8(..)).collect();
        match round % 3 {
            0 => {}
            1 => drop(bytes.splice(0..0, preface.iter().copied())),
            _ => bytes = b"POST /v1/traces HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        }
        stream.write_all(&bytes).ok();
        if round % 10 == 0 {
            stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
            drop(stream.read(&mut [0; 100]));
        }
    }
    let mut client = Client::new(running.grpc);
    assert_eq!(client.export(&otlp::request(1, 1)).code(), 0);
}

#[test]
fn an_idle_connection_outlives_the_time_limit_and_does_not_hold_up_the_end() {
    let mut running =
        RunningOtlp::with(Settings { receive_timeout: Duration::from_millis(100), ..settings() });
    let mut idle = Client::new(running.grpc);
    assert_eq!(idle.export(&otlp::request(1, 1)).code(), 0);
    let mut busy = Client::new(running.grpc);
    let stalled = busy.begin(Method::POST, EXPORT, &[], &[0, 0], false);
    assert_eq!(busy.finish(stalled).unwrap().code(), 4, "the passes over requests have run by now");
    assert_eq!(idle.export(&otlp::request(1, 1)).code(), 0);
    let took = running.stop(Duration::from_secs(20));
    assert!(took < Duration::from_millis(1500), "{took:?}");
}

/// Everything that a client sends for one call, frame by frame.
fn frames(message: &[u8]) -> Vec<u8> {
    let frame = |kind: u8, flags: u8, stream: u32, content: &[u8]| {
        let length = u32::try_from(content.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), content].concat()
    };
    let literal = |name: &[u8], value: &[u8]| [name, &[value.len() as u8], value].concat();
    // POST, http, and the others without a table: path, authority, content-type.
    let head = [
        vec![0x83, 0x86],
        literal(&[0x04], EXPORT.as_bytes()),
        literal(&[0x01], b"localhost"),
        literal(&[0x0f, 0x10], b"application/grpc"),
    ]
    .concat();
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(4, 0, 0, &[]));
    bytes.extend(frame(1, 4, 1, &head));
    let body = framed(false, message);
    let pieces = body.len().div_ceil(16_000);
    for (number, piece) in body.chunks(16_000).enumerate() {
        bytes.extend(frame(0, u8::from(number + 1 == pieces), 1, piece));
    }
    bytes
}

#[test]
fn calls_in_the_backlog_of_clients_that_are_gone_are_served() {
    let bound = BoundOtlp::new(settings());
    let bytes = frames(&otlp::request(20, 10));
    for number in 0..20 {
        let mut stream = TcpStream::connect(bound.grpc).unwrap();
        if number % 2 == 0 {
            setsockopt(&stream, Linger, &libc::linger { l_onoff: 1, l_linger: 0 }).unwrap();
        }
        stream.write_all(&bytes).unwrap();
    }
    let mut running = bound.serve(Some(Instant::now() + Duration::from_secs(20)));
    running.join();
    assert_eq!(running.ledger.spans.read().received, 20 * 200);
}

#[test]
fn a_client_that_dies_in_the_middle_of_a_call_is_forgotten() {
    let running =
        RunningOtlp::with(Settings { receive_timeout: Duration::from_millis(300), ..settings() });
    let bytes = frames(&otlp::request(20, 10));
    for _ in 0..20 {
        TcpStream::connect(running.grpc).unwrap().write_all(&bytes[..bytes.len() / 2]).unwrap();
    }
    let mut client = Client::new(running.grpc);
    assert_eq!(client.export(&otlp::request(1, 1)).code(), 0);
    assert_eq!(running.ledger.spans.read().received, 1);
}

#[test]
fn connections_of_clients_that_never_speak_do_not_keep_others_out() {
    let running = RunningOtlp::with(Settings { connections_max: 4, ..settings() });
    let silent: Vec<_> = (0..4).map(|_| TcpStream::connect(running.grpc).unwrap()).collect();
    let mut client = Client::new(running.grpc);
    assert_eq!(client.export(&otlp::request(1, 1)).code(), 0);
    drop(silent);
}
