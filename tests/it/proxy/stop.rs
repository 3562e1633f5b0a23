//! At the end: what is under way has the rest of the time, and no more.

use std::time::{Duration, Instant};

use pillion::ledger::Shed;

use crate::proxy::Fixture;
use crate::support::bodies;
use crate::support::http::{MSGPACK, request};
use crate::support::recorder::Answer;

#[test]
fn a_request_under_way_is_answered_after_the_stop() {
    let mut fixture = Fixture::start();
    fixture.outside.always(Answer::ok().after(Duration::from_millis(700)));
    let mut client = fixture.client();
    client.send(&request("POST", "/symdb/v1/input", &[], b"x"));
    while fixture.outside.busy_max() == 0 {
        std::thread::sleep(Duration::from_millis(2));
    }
    let took = fixture.inside.stop(Duration::from_secs(20));
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(client.answer().status, 202);
    assert!(client.rest().is_empty(), "the connection ends with the answer");
    assert_eq!(fixture.passed_on().sent, 1);
}

#[test]
fn a_request_that_still_comes_is_passed_on_after_the_stop() {
    let mut fixture = Fixture::start();
    let mut client = fixture.client();
    let whole = request("POST", "/symdb/v1/input", &[], &vec![7; 2_000_000]);
    let (first, rest) = whole.split_at(500_000);
    client.send(first);
    while fixture.outside.busy_max() == 0 {
        std::thread::sleep(Duration::from_millis(2));
    }
    let rest = rest.to_vec();
    let sender = std::thread::spawn(move || {
        // Later than a client that is in the middle of traces would be waited for.
        std::thread::sleep(Duration::from_millis(400));
        client.send(&rest);
        client.answer().status
    });
    fixture.inside.stop(Duration::from_secs(20));
    assert_eq!(sender.join().unwrap(), 202);
    assert_eq!(fixture.outside.requests()[0].wire_bytes, 2_000_000);
}

#[test]
fn a_request_of_a_tracer_that_is_gone_is_passed_on_after_the_stop() {
    let mut fixture = Fixture::start();
    fixture.outside.always(Answer::ok().after(Duration::from_millis(300)));
    let mut client = fixture.client();
    client.send(&request("POST", "/profiling/v1/input", &[], &vec![7; 1_000_000]));
    drop(client);
    fixture.inside.stop(Duration::from_secs(20));
    assert_eq!(
        (fixture.passed_on().sent, fixture.outside.requests()[0].wire_bytes),
        (1, 1_000_000)
    );
}

#[test]
fn what_hangs_ends_at_the_deadline_and_is_counted_and_traces_are_taken_before() {
    let mut fixture = Fixture::with(&[("DD_EVP_PROXY_CONFIG_RECEIVER_TIMEOUT", "600")]);
    fixture.outside.always(Answer::hang());
    let mut hanging = fixture.client();
    let evp = [("X-Datadog-EVP-Subdomain", "api")];
    hanging.send(&request("POST", "/evp_proxy/v2/x", &evp, b"x"));
    fixture.outside.wait_for("the request", |requests| requests.len() == 1);
    let mut client = fixture.client();
    client.send(&request("POST", "/v0.4/traces", &[MSGPACK], &bodies::v04(2, 10)));
    let took = fixture.inside.stop(Duration::from_millis(1500));
    assert!((Duration::from_millis(1400)..Duration::from_secs(6)).contains(&took), "{took:?}");
    assert_eq!(client.answer().status, 200);
    assert_eq!(fixture.inside.spans(), 20);
    let read = fixture.passed_on();
    assert_eq!(read.held() + read.shed[Shed::Deadline as usize], 1, "{read:?}");
    let line = fixture.inside.ledger.losses().unwrap();
    assert!(
        line.contains(
            "requests passed on: 1 received, 0 sent, 1 lost (1 not delivered by the stop deadline)"
        ),
        "{line}"
    );
}

#[test]
fn telemetry_has_a_second_at_the_end() {
    let mut fixture = Fixture::start();
    fixture.outside.script([Answer::ok().after(Duration::from_millis(300)), Answer::hang()]);
    for _ in 0..2 {
        assert_eq!(fixture.post("/telemetry/proxy/x", &[], b"{}").status, 200);
    }
    let start = Instant::now();
    fixture.inside.stop(Duration::from_secs(30));
    let took = start.elapsed();
    assert!((Duration::from_millis(900)..Duration::from_secs(8)).contains(&took), "{took:?}");
    assert_eq!(fixture.inside.ledger.telemetry.read().sent, 1);
    assert_eq!(fixture.inside.ledger.losses(), None);
}
