//! Bodies that are almost right: whatever they are, the intake answers with a word that is not 5xx, and the next body is taken.

use crate::support::bodies;
use crate::support::http::{Client, MSGPACK};
use crate::support::mutate::{mutate, resident_bytes};
use crate::support::running_intake::RunningIntake;

fn check(path: &str, media: &str, body: &[u8], rounds: u32, seed: u64) {
    let intake = RunningIntake::new();
    let mut random = fastrand::Rng::with_seed(seed);
    let mut client = Client::tcp(intake.address);
    let before = resident_bytes();
    for round in 0..rounds {
        let mut body = body.to_vec();
        mutate(&mut random, &mut body);
        let answer = client.ask("POST", path, &[("Content-Type", media)], &body);
        assert!(
            matches!(answer.status, 200 | 400 | 404 | 413 | 415),
            "{path} seed {seed} round {round}: {answer:?}"
        );
    }
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 200_000_000, "{path}: {grown} bytes more");
    let answer = client.ask("POST", "/v0.4/traces", &[MSGPACK], &bodies::v04(1, 1));
    assert_eq!(answer.status, 200);
    let shed = intake.ledger.spans.read().shed[pillion::ledger::Shed::Fault as usize];
    assert_eq!(shed, 0, "{path} seed {seed}: a body made the pipeline panic");
}

#[test]
fn almost_right_v04_bodies() {
    check("/v0.4/traces", "application/msgpack", &bodies::v04(2, 3), 4000, 1);
}

#[test]
fn almost_right_v05_bodies() {
    check("/v0.5/traces", "application/msgpack", &bodies::v05(), 4000, 2);
}

#[test]
fn almost_right_v07_bodies() {
    check("/v0.7/traces", "application/msgpack", &bodies::v07(2), 4000, 5);
}

#[test]
fn almost_right_v10_bodies() {
    check("/v1.0/traces", "application/msgpack", &bodies::v10(), 4000, 6);
}

#[test]
fn the_bodies_that_are_changed_are_right_before() {
    let intake = RunningIntake::new();
    let mut client = Client::tcp(intake.address);
    for (path, body) in [
        ("/v0.4/traces", bodies::v04(2, 3)),
        ("/v0.5/traces", bodies::v05()),
        ("/v0.7/traces", bodies::v07(2)),
        ("/v1.0/traces", bodies::v10()),
        ("/v0.6/stats", bodies::stats()),
    ] {
        assert_eq!(client.ask("POST", path, &[MSGPACK], &body).status, 200, "{path}");
    }
}

#[test]
fn almost_right_stats_bodies() {
    check("/v0.6/stats", "application/msgpack", &bodies::stats(), 4000, 3);
}

#[test]
fn almost_right_json_bodies() {
    let body = br#"[[{"service":"a","name":"b","resource":"c","trace_id":1,"span_id":2,"start":3,"duration":4,"meta":{"k":"v"},"metrics":{"m":1.5}}]]"#;
    check("/v0.3/traces", "application/json", body, 4000, 4);
}

#[test]
fn bodies_that_claim_to_be_huge_take_no_memory() {
    let intake = RunningIntake::new();
    let mut client = Client::tcp(intake.address);
    for head in [
        &b"\xdd\xff\xff\xff\xff"[..],
        b"\x91\xdd\xff\xff\xff\xff",
        b"\x91\x91\xdf\xff\xff\xff\xff",
        b"\x91\x91\x81\xdb\xff\xff\xff\xff",
    ] {
        for path in ["/v0.4/traces", "/v0.5/traces", "/v0.7/traces", "/v1.0/traces", "/v0.6/stats"]
        {
            assert_eq!(client.ask("POST", path, &[MSGPACK], head).status, 400, "{path} {head:x?}");
        }
    }
    // Maps and arrays of v0.7 and v1.0 that claim as much, and values that are nested without end.
    for (path, head) in [
        ("/v0.7/traces", &b"\x81\xa6chunks\xdd\xff\xff\xff\xff"[..]),
        ("/v1.0/traces", b"\x81\x0b\xdd\xff\xff\xff\xff"),
        ("/v1.0/traces", b"\x81\x01\xdd\xff\xff\xff\xff"),
        ("/v1.0/traces", b"\x81\x0a\xdd\xff\xff\xff\xff"),
    ] {
        assert_eq!(client.ask("POST", path, &[MSGPACK], head).status, 400, "{path} {head:x?}");
    }
    for nested in [&[0x06, 0x92][..], &[0x07, 0x93, 0x00]] {
        let deep = [&b"\x81\x0a\x93\xa1k"[..], &nested.repeat(50_000)].concat();
        assert_eq!(client.ask("POST", "/v1.0/traces", &[MSGPACK], &deep).status, 400);
    }
    let unknown = [&b"\x81\x63"[..], &[0x91; 100_000]].concat();
    assert_eq!(client.ask("POST", "/v1.0/traces", &[MSGPACK], &unknown).status, 400);
    let deep = [0x91; 100_000];
    assert_eq!(client.ask("POST", "/v0.4/traces", &[MSGPACK], &deep).status, 400);
}
