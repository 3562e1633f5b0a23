//! What a failure means: again, not again, or in pieces; and when.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use pillion::ledger::{Counts, Ledger, Shed};
use pillion::relay::{Kind, Part, Payload, Relay, Settings};
use prost::Message;

use libdd_trace_protobuf::pb::AgentPayload;
use libdd_trace_protobuf::pb::idx::TracerPayload;

use crate::relay::{Fixture, number_of, numbered, numbers, settings, wait_until};
use crate::support::lines;
use crate::support::recorder::{Answer, Fault, Recorder};

#[test]
fn retriable_answers_are_tried_until_they_succeed() {
    let intake = Recorder::http();
    let statuses = [408, 429, 500, 502, 503, 504, 599];
    intake.script(statuses.map(Answer::status));
    let fixture = Fixture::to(&intake);
    fixture.push_number(7);
    fixture.flush();
    let answered: Vec<_> = intake.requests().iter().map(|request| request.answered).collect();
    assert_eq!(answered, [408, 429, 500, 502, 503, 504, 599, 202]);
    assert!(intake.requests().iter().all(|request| number_of(request) == 7));
    assert_eq!(fixture.sent(), 1);
}

#[test]
fn broken_connections_are_tried_again() {
    let intake = Recorder::http();
    let faults = [Fault::Drop, Fault::DropMidRequest, Fault::Drop];
    intake.script(faults.map(Answer::fault));
    let fixture = Fixture::to(&intake);
    fixture.push(numbered(7, 300_000));
    fixture.flush();
    assert_eq!((numbers(&intake), fixture.sent()), (vec![7], 1));
}

#[test]
fn other_answers_drop_the_payload_and_the_next_one_goes() {
    let intake = Recorder::http();
    let statuses = [400, 404, 415, 422, 301, 307];
    intake.script(statuses.map(|status| Answer::status(status).with("Location", "/elsewhere")));
    let fixture = Fixture::to(&intake);
    for number in 0..7 {
        fixture.push_number(number);
    }
    fixture.flush();
    assert_eq!((fixture.shed(Shed::Refused), fixture.sent()), (6, 1));
    assert_eq!(intake.requests().len(), 7, "no redirect is followed");
}

#[test]
fn a_refused_key_is_said_once_and_later_payloads_are_still_tried() {
    let intake = Recorder::http();
    intake.script([Answer::status(403), Answer::status(401), Answer::status(403)]);
    let fixture = Fixture::to(&intake);
    for number in 0..5 {
        fixture.push_number(number);
        fixture.flush();
    }
    assert_eq!((fixture.shed(Shed::KeyRefused), fixture.sent()), (3, 2));
    assert_eq!(numbers(&intake), [3, 4]);
    let host = intake.address().to_string();
    let [line] = lines::with(&host)
        .into_iter()
        .filter(|line| line.starts_with("WARN"))
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    assert!(line.contains(&format!("the API key was refused by {host}")), "{line}");
    assert!(line.contains("DD_API_KEY"), "{line}");
}

#[test]
fn retry_after_in_seconds_is_respected() {
    let intake = Recorder::http();
    intake.script([Answer::status(429).with("Retry-After", "1")]);
    let fixture = Fixture::to(&intake);
    fixture.push_number(1);
    intake.wait_for("two requests", |requests| requests.len() == 2);
    let requests = intake.requests();
    assert!(requests[1].at - requests[0].at >= Duration::from_millis(990));
}

#[test]
fn retry_after_as_a_date_is_respected() {
    let intake = Recorder::http();
    // A date has whole seconds: two seconds ahead are more than one.
    let date = httpdate(SystemTime::now() + Duration::from_secs(2));
    intake.script([Answer::status(503).with("Retry-After", &date)]);
    let fixture = Fixture::to(&intake);
    fixture.push_number(1);
    intake.wait_for("two requests", |requests| requests.len() == 2);
    let requests = intake.requests();
    assert!(requests[1].at - requests[0].at >= Duration::from_millis(900));
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`.
fn httpdate(time: SystemTime) -> String {
    httpdate::fmt_http_date(time)
}

#[test]
fn retry_after_holds_back_all_payloads_of_the_endpoint_but_not_the_other_endpoint() {
    let intake = Recorder::http();
    intake.script([Answer::status(429).with("Retry-After", "30")]);
    let fixture = Fixture::to(&intake);
    fixture.push_number(1);
    wait_until("the refusal", || intake.requests().len() == 1);
    wait_until("its evaluation", || !lines::with(&intake.address().to_string()).is_empty());
    fixture.push_number(2);
    let stats = Counts { stats_groups: 1, ..Counts::default() };
    fixture.push(Payload { kind: Kind::Stats, counts: stats, ..numbered(3, 0) });
    intake.wait_for("stats", |requests| {
        requests.iter().any(|request| request.path == "/api/v0.2/stats")
    });
    assert_eq!(intake.requests().len(), 2);
    assert_eq!(fixture.relay.held().spans, 2);
}

#[test]
fn hurry_ends_all_waits() {
    let intake = Recorder::http();
    intake.script([Answer::status(503).with("Retry-After", "60")]);
    let fixture = Fixture::to(&intake);
    fixture.push_number(1);
    wait_until("the failure", || !lines::with(&intake.address().to_string()).is_empty());
    fixture.relay.hurry();
    intake.wait_for("the second attempt", |requests| requests.len() == 2);
    fixture.flush();
}

#[test]
fn what_comes_while_the_intake_is_down_arrives_when_it_is_up() {
    let intake = Recorder::http();
    intake.refuse(true);
    let fixture = Fixture::to(&intake);
    for number in 0..20 {
        fixture.push_number(number);
    }
    let host = intake.address().to_string();
    let warning = || lines::with(&host).into_iter().find(|line| line.starts_with("WARN"));
    wait_until("a warning", || warning().is_some());
    let warning = warning().unwrap();
    assert!(
        warning.contains(&format!("{host} takes no data now: connection refused; ")),
        "{warning}"
    );
    intake.refuse(false);
    fixture.flush();
    let mut all = numbers(&intake);
    all.sort_unstable();
    assert_eq!(all, (0..20).collect::<Vec<_>>());
    assert!(lines::with(&host).iter().any(|line| line.contains("takes data again")));
    let warnings = lines::with(&host).iter().filter(|line| line.starts_with("WARN")).count();
    assert!(warnings <= 3, "{warnings} lines");
}

#[test]
fn a_failing_intake_is_asked_by_one_request_at_a_time() {
    let intake = Recorder::http();
    intake.always(Answer::status(503));
    let fixture = Fixture::to(&intake);
    for number in 0..100 {
        fixture.push_number(number);
    }
    intake.wait_for("ten requests", |requests| requests.len() >= 10);
    // The first five may have started together. After them, each round of waiting has one request, whatever the number of payloads.
    let requests = intake.requests();
    let took = requests[9].at - requests[4].at;
    assert!(took >= Duration::from_millis(100), "five more attempts within {took:?}");
    drop(fixture);
}

#[test]
fn a_payload_that_always_fails_does_not_hold_up_the_others() {
    let intake = Recorder::http();
    intake.script([Answer::hang()]);
    let fixture = Fixture::to(&intake);
    for number in 0..30 {
        fixture.push_number(number);
    }
    intake.wait_for("all but one", |requests| {
        requests.iter().filter(|request| request.is_taken()).count() == 29
    });
    wait_until("the count", || fixture.sent() == 29);
    assert_eq!(fixture.relay.held().spans, 1);
}

#[test]
fn a_request_that_takes_too_long_is_given_up_and_tried_again() {
    let intake = Recorder::http();
    intake.script([Answer::hang()]);
    let fixture = Fixture::start(Settings {
        request_timeout: Duration::from_millis(500),
        ..settings(&intake.url())
    });
    fixture.push_number(1);
    fixture.flush();
    assert!(intake.requests().len() >= 2);
    assert_eq!(fixture.sent(), 1);
    assert!(
        lines::with(&intake.address().to_string())
            .iter()
            .any(|line| line.contains("no answer within 0.5 s"))
    );
}

#[test]
fn an_answer_that_breaks_after_its_head_counts_and_is_not_sent_twice() {
    for fault in [Fault::CloseMidBody, Fault::HangAfterHeaders] {
        let intake = Recorder::http();
        intake.script([Answer::fault(fault)]);
        let fixture = Fixture::to(&intake);
        fixture.push_number(1);
        fixture.flush();
        fixture.push_number(2);
        fixture.flush();
        assert_eq!((numbers(&intake), fixture.sent()), (vec![1, 2], 2), "{fault:?}");
    }
}

#[test]
fn a_reused_connection_that_fails_is_no_failed_attempt() {
    let intake = Recorder::http();
    // The intake reads the second request and closes: the connection that worked before is dead.
    intake.script([Answer::ok(), Answer::drop()]);
    let fixture = Fixture::to(&intake);
    fixture.push_number(1);
    fixture.flush();
    fixture.push_number(2);
    fixture.flush();
    let connections: Vec<_> = intake.requests().iter().map(|request| request.connection).collect();
    assert_eq!(connections, [0, 0, 1]);
    assert_eq!((numbers(&intake), fixture.sent()), (vec![1, 2], 2));
    let lines = lines::with(&intake.address().to_string());
    assert!(lines.is_empty(), "a failed attempt was spoken of: {lines:?}");
}

#[test]
fn connections_that_were_closed_while_idle_cost_no_payload() {
    let intake = Recorder::http();
    let fixture = Fixture::to(&intake);
    for number in 0..5 {
        fixture.push_number(number);
        fixture.flush();
        intake.close_connections();
    }
    assert_eq!((numbers(&intake), fixture.sent()), (vec![0, 1, 2, 3, 4], 5));
}

#[test]
fn after_a_jump_of_the_clock_connections_are_made_anew() {
    let intake = Recorder::http();
    let ahead = Arc::new(AtomicU64::new(0));
    let offset = Arc::clone(&ahead);
    let wall =
        Box::new(move || SystemTime::now() + Duration::from_secs(offset.load(Ordering::SeqCst)));
    lines::start();
    let ledger = Arc::new(Ledger::default());
    let relay =
        Relay::start_with_clock(settings(&intake.url()), Arc::clone(&ledger), wall).unwrap();
    let fixture = Fixture { relay, ledger };
    for (number, jump) in [(0, 0), (1, 0), (2, 600), (3, 0)] {
        ahead.fetch_add(jump, Ordering::SeqCst);
        fixture.push_number(number);
        fixture.flush();
    }
    let connections: Vec<_> = intake.requests().iter().map(|request| request.connection).collect();
    assert_eq!(connections, [0, 0, 1, 1]);
}

/// A payload with `payloads` tracer payloads of about `bytes` each, one span per tracer payload.
fn agent_payload(payloads: u32, bytes: usize) -> Payload {
    let mut body =
        AgentPayload { host_name: "here".to_owned(), ..AgentPayload::default() }.encode_to_vec();
    let mut parts = Vec::new();
    for number in 0..payloads {
        let start = body.len();
        let noise: String = (0..bytes).map(|_| fastrand::alphanumeric()).collect();
        let tracer_payload = TracerPayload {
            strings: vec![String::new(), number.to_string(), noise],
            ..TracerPayload::default()
        };
        let one =
            AgentPayload { idx_tracer_payloads: vec![tracer_payload], ..AgentPayload::default() };
        body.extend(one.encode_to_vec());
        parts.push(Part {
            bytes: start..body.len(),
            counts: Counts { spans: 1, chunks: 1, ..Counts::default() },
        });
    }
    body.extend(
        AgentPayload { agent_version: "7.85.2".to_owned(), ..AgentPayload::default() }
            .encode_to_vec(),
    );
    let counts =
        Counts { spans: u64::from(payloads), chunks: u64::from(payloads), ..Counts::default() };
    Payload { kind: Kind::Traces, body, counts, languages: "go".to_owned(), parts }
}

#[test]
fn a_payload_that_is_too_large_is_cut_until_it_fits() {
    let intake = Recorder::http();
    intake.limit_bodies(3_500);
    let fixture = Fixture::to(&intake);
    fixture.push(agent_payload(20, 1000));
    fixture.flush();
    assert_eq!((fixture.sent(), fixture.shed(Shed::TooLarge)), (20, 0));
    let mut all = Vec::new();
    for request in intake.taken("/api/v0.2/traces") {
        let payload = AgentPayload::decode(request.body.as_slice()).unwrap();
        assert_eq!(
            (payload.host_name.as_str(), payload.agent_version.as_str()),
            ("here", "7.85.2")
        );
        assert_eq!(request.header("x-datadog-reported-languages"), Some("go"));
        all.extend(
            payload
                .idx_tracer_payloads
                .iter()
                .map(|payload| payload.strings[1].parse::<u32>().unwrap()),
        );
    }
    all.sort_unstable();
    assert_eq!(all, (0..20).collect::<Vec<_>>());
}

#[test]
fn what_is_too_large_and_cannot_be_cut_is_dropped_and_counted() {
    let intake = Recorder::http();
    intake.limit_bodies(500);
    let fixture = Fixture::to(&intake);
    fixture.push(agent_payload(4, 1000));
    fixture.push(numbered(1, 1000));
    let stats = Counts { stats_groups: 5, ..Counts::default() };
    fixture.push(Payload { kind: Kind::Stats, counts: stats, ..numbered(2, 1000) });
    fixture.push_number(3);
    fixture.flush();
    assert_eq!((fixture.sent(), fixture.shed(Shed::TooLarge)), (1, 5));
    assert_eq!(fixture.ledger.stats_groups.read().shed[Shed::TooLarge as usize], 5);
}

#[test]
fn parts_whose_counts_do_not_add_up_are_not_cut() {
    let intake = Recorder::http();
    intake.limit_bodies(3_500);
    let fixture = Fixture::to(&intake);
    let mut payload = agent_payload(20, 1000);
    payload.counts.spans += 1;
    fixture.push(payload);
    fixture.flush();
    assert_eq!((fixture.sent(), fixture.shed(Shed::TooLarge)), (0, 21));
}

#[test]
fn waits_grow_but_a_flush_does_not_wait_for_them() {
    let intake = Recorder::http();
    intake.always(Answer::status(500));
    let fixture = Fixture::to(&intake);
    fixture.push_number(1);
    intake.wait_for("six attempts", |requests| requests.len() == 6);
    intake.always(Answer::ok());
    let start = Instant::now();
    fixture.flush();
    assert!(start.elapsed() < Duration::from_secs(5));
}
