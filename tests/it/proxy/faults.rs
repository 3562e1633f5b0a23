//! Datadog, the network and the tracer at their worst.

use std::time::{Duration, Instant};

use pillion::ledger::Shed;

use crate::proxy::{Fixture, KEY, wait_for_settled};
use crate::support::bodies;
use crate::support::http::{Client, MSGPACK, request};
use crate::support::lines;
use crate::support::recorder::{Answer, Fault};

#[test]
fn a_dead_intake_is_a_502_and_is_said_once() {
    let fixture = Fixture::with(&[
        ("DD_APM_SYMDB_DD_URL", "http://127.0.0.1:1/x"),
        ("DD_APM_DEBUGGER_DD_URL", "https://no-such-host.of-this-test.invalid/x"),
        ("DD_PROXY_HTTPS", ""),
    ]);
    for _ in 0..3 {
        let answer = fixture.post("/symdb/v1/input", &[], b"x");
        assert_eq!((answer.status, answer.text()), (502, ""));
    }
    assert_eq!(fixture.shed(Shed::Unanswered), 3);
    let lines = lines::with("takes no symbols");
    let warnings = lines.iter().filter(|line| line.starts_with("WARN")).count();
    assert!(warnings >= 1 && lines.len() > warnings, "{lines:?}");
}

#[test]
fn an_intake_that_hangs_up_is_a_502() {
    let fixture = Fixture::start();
    for fault in [Fault::Drop, Fault::DropMidRequest, Fault::CloseMidBody] {
        fixture.outside.script([Answer::fault(fault)]);
        assert_eq!(fixture.post("/symdb/v1/input", &[], b"x").status, 502, "{fault:?}");
    }
    assert_eq!(fixture.post("/symdb/v1/input", &[], b"x").status, 202);
}

#[test]
fn an_answer_that_breaks_off_after_much_of_it_breaks_off() {
    let fixture = Fixture::start();
    let mut answer = Answer::fault(Fault::CloseMidBody);
    answer.body = "x".repeat(4_000_000);
    fixture.outside.script([answer]);
    let mut client = fixture.client();
    client.send(&request("POST", "/symdb/v1/input", &[], b"x"));
    assert_eq!(client.head().header("Content-Length"), "4000000");
    assert!(client.rest().len() < 4_000_000);
}

#[test]
fn an_intake_that_hangs_is_a_502_in_time_and_a_408_for_profiles() {
    let env = [
        ("DD_APM_PROFILING_RECEIVER_TIMEOUT", "0.3"),
        ("DD_EVP_PROXY_CONFIG_RECEIVER_TIMEOUT", "0.3"),
    ];
    let fixture = Fixture::with(&env);
    fixture.outside.always(Answer::hang());
    let start = Instant::now();
    assert_eq!(fixture.post("/profiling/v1/input", &[], b"x").status, 408);
    let evp = [("X-Datadog-EVP-Subdomain", "api")];
    assert_eq!(fixture.post("/evp_proxy/v2/x", &evp, b"x").status, 502);
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    assert_eq!(fixture.shed(Shed::Unanswered), 2);
}

#[test]
fn a_profile_is_tried_three_times_and_nothing_else_is() {
    let fixture = Fixture::start();
    let bad = |status| [Answer::status(status), Answer::status(status)];
    for status in [502, 503, 504] {
        fixture.outside.script(bad(status));
        let chunked = "POST /profiling/v1/input HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
        let mut client = fixture.client();
        client.send(chunked.as_bytes());
        assert_eq!(client.answer().status, 200, "{status}");
    }
    let requests = fixture.outside.requests();
    assert_eq!(requests.len(), 9);
    assert!(requests.iter().all(|request| request.wire == b"abc"));
    fixture.outside.script(bad(503).into_iter().chain([Answer::status(503)]));
    assert_eq!(fixture.post("/profiling/v1/input", &[], b"x").status, 503);
    fixture.outside.script([Answer::drop(), Answer::drop(), Answer::ok()]);
    assert_eq!(fixture.post("/profiling/v1/input", &[], b"x").status, 200);
    assert_eq!(fixture.outside.requests().len(), 15);
    // What a retry does not change, and what other endpoints get.
    fixture.outside.script([Answer::status(500)]);
    assert_eq!(fixture.post("/profiling/v1/input", &[], b"x").status, 500);
    fixture.outside.script([Answer::status(503)]);
    assert_eq!(fixture.post("/symdb/v1/input", &[], b"x").status, 503);
    assert_eq!(fixture.outside.requests().len(), 17);
}

#[test]
fn a_large_profile_has_one_attempt() {
    let fixture = Fixture::start();
    fixture.outside.script([Answer::status(503)]);
    assert_eq!(fixture.post("/profiling/v1/input", &[], &vec![7; 5_000_000]).status, 503);
    assert_eq!(fixture.outside.requests().len(), 1);
}

#[test]
fn what_is_too_large_is_not_passed_on_whether_it_says_so_or_not() {
    let env = [
        ("DD_APM_PROFILING_MAX_REQUEST_BYTES", "1000"),
        ("DD_EVP_PROXY_CONFIG_MAX_PAYLOAD_SIZE", "1000"),
    ];
    let fixture = Fixture::with(&env);
    let evp = [("X-Datadog-EVP-Subdomain", "api")];
    for path in ["/profiling/v1/input", "/evp_proxy/v2/x"] {
        assert_eq!(fixture.post(path, &evp, &[7; 1001]).status, 502, "{path}");
        let mut client = fixture.client();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nX-Datadog-EVP-Subdomain: api\r\nTransfer-Encoding: chunked\r\n\r\n"
        );
        client.send(head.as_bytes());
        client.send(&[b"3e9\r\n".to_vec(), vec![7; 1001], b"\r\n0\r\n\r\n".to_vec()].concat());
        assert_eq!(client.answer().status, 502, "{path}");
        assert_eq!(fixture.post(path, &evp, &[7; 1000]).status / 100, 2, "{path}");
    }
    assert_eq!(fixture.outside.requests().iter().filter(|r| r.wire_bytes != 1000).count(), 0);
    assert_eq!(fixture.shed(Shed::TooLarge), 4);
    let answer = fixture.post("/telemetry/proxy/x", &[], &vec![7; 25_000_001]);
    assert_eq!((answer.status, answer.text()), (429, "{}"));
}

#[test]
fn a_tracer_that_goes_away_in_the_middle_passes_nothing_on() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    client.send(b"POST /symdb/v1/input HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nsome");
    while fixture.outside.busy_max() == 0 {
        std::thread::sleep(Duration::from_millis(2));
    }
    drop(client);
    assert_eq!(wait_for_settled(&fixture.inside.ledger.passed_on, 1).sent, 0);
    assert_eq!(fixture.outside.requests().len(), 0);
    assert_eq!(fixture.post("/symdb/v1/input", &[], b"x").status, 202);
}

#[test]
fn a_tracer_that_goes_away_after_its_request_has_it_passed_on() {
    let fixture = Fixture::start();
    fixture.outside.script([Answer::ok().after(Duration::from_millis(200))]);
    fixture.client().send(&request("POST", "/symdb/v1/input", &[], b"all of it"));
    fixture.outside.wait_for("the request", |requests| requests.len() == 1);
    assert_eq!(wait_for_settled(&fixture.inside.ledger.passed_on, 1).sent, 1);
}

#[test]
fn an_answer_before_the_end_of_the_request_is_seen() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    // The path alone is refused: the body is read all the same, and the connection goes on.
    client.send(&request("POST", "/evp_proxy/v2/x", &[], &vec![7; 3_000_000]));
    assert_eq!(client.answer().status, 502);
    assert_eq!(client.ask("GET", "/info", &[], b"").status, 200);
}

#[test]
fn traces_do_not_wait_for_what_is_passed_on() {
    let fixture = Fixture::start();
    fixture.outside.always(Answer::hang());
    let address = fixture.inside.address;
    let mut waiting: Vec<Client> = (0..40)
        .map(|number| {
            let mut client = Client::tcp(address);
            let path = if number % 2 == 0 { "/symdb/v1/input" } else { "/telemetry/proxy/x" };
            client.send(&request("POST", path, &[], &vec![7; 100_000]));
            client
        })
        .collect();
    fixture.outside.wait_for("requests that hang", |requests| requests.len() >= 20);
    let mut client = fixture.client();
    let start = Instant::now();
    for _ in 0..20 {
        let answer = client.ask("POST", "/v0.4/traces", &[MSGPACK], &bodies::v04(2, 10));
        assert_eq!(answer.status, 200);
    }
    // A machine that is busy takes its time, but nothing like a request that hangs.
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    assert_eq!(fixture.inside.spans(), 400);
    // Telemetry has had its answer.
    assert_eq!(waiting[1].answer().status, 200);
}

#[test]
fn more_at_once_than_there_are_places_are_told_to_come_again() {
    let fixture = Fixture::start();
    fixture.outside.always(Answer::hang());
    let waiting: Vec<Client> = (0..32)
        .map(|_| {
            let mut client = fixture.client();
            client.send(&request("POST", "/symdb/v1/input", &[], b"x"));
            client
        })
        .collect();
    fixture.outside.wait_for("requests that hang", |requests| requests.len() == 32);
    let answer = fixture.post("/symdb/v1/input", &[], b"x");
    assert_eq!((answer.status, answer.text(), fixture.shed(Shed::Busy)), (429, "{}", 1));
    drop(waiting);
}

#[test]
fn telemetry_is_answered_before_it_is_passed_on_and_refused_when_too_much_waits() {
    let fixture = Fixture::start();
    fixture.outside.always(Answer::hang());
    let post = || fixture.post("/telemetry/proxy/api/v2/apmtelemetry", &[], &[7; 240_000]).status;
    let statuses: Vec<u16> = (0..102).map(|_| post()).collect();
    assert!(statuses.iter().take(100).all(|status| *status == 200), "{statuses:?}");
    assert_eq!(&statuses[100..], [429, 429]);
    fixture.outside.wait_for("twenty", |requests| requests.len() == 20);
    assert_eq!(fixture.outside.busy_max(), 20);
}

#[test]
fn telemetry_that_is_refused_is_counted_and_the_tracer_does_not_hear_of_it() {
    let fixture = Fixture::start();
    fixture.outside.script([Answer::status(403), Answer::status(500), Answer::drop()]);
    for count in 1..=4 {
        assert_eq!(fixture.post("/telemetry/proxy/x", &[], b"{}").status, 200);
        wait_for_settled(&fixture.inside.ledger.telemetry, count);
    }
    let read = fixture.inside.ledger.telemetry.read();
    assert_eq!((read.received, read.sent, read.shed_total()), (4, 1, 3));
    assert_eq!(fixture.inside.ledger.losses(), None);
}

#[test]
fn no_key_is_in_any_line() {
    let fixture = Fixture::with(&[
        ("DD_APM_SYMDB_API_KEY", "s3cret-of-symbols"),
        ("DD_APM_SYMDB_DD_URL", "http://127.0.0.1:1/x"),
        (
            "DD_APM_PROFILING_ADDITIONAL_ENDPOINTS",
            r#"{"http://127.0.0.1:1/y": ["s3cret-of-copies"]}"#,
        ),
    ]);
    let mut echo = Answer::status(403);
    echo.body = KEY.to_owned();
    fixture.outside.script([echo]);
    for path in ["/profiling/v1/input", "/symdb/v1/input", "/openlineage/api/v1/lineage"] {
        fixture.post(path, &[], b"x");
    }
    for secret in [KEY, "s3cret-of-symbols", "s3cret-of-copies"] {
        assert_eq!(lines::of_all_with(secret), Vec::<String>::new());
    }
}
