//! Additional addresses: each gets a copy, and the tracer gets the answer of the main one.

use std::time::{Duration, Instant};

use crate::proxy::{Fixture, KEY};
use crate::support::recorder::{Answer, Recorder};

/// `{url: [keys]}` as JSON.
fn object(entries: &[(&str, &[&str])]) -> String {
    let entries: serde_json::Map<String, serde_json::Value> =
        entries.iter().map(|(url, keys)| ((*url).to_owned(), serde_json::json!(keys))).collect();
    serde_json::Value::Object(entries).to_string()
}

#[test]
fn each_additional_address_gets_a_copy_with_its_key() {
    let other = Recorder::http();
    let url = format!("{}/copy", other.url());
    let to = object(&[(&url, &["k1", "k2"])]);
    for (variable, path, query) in [
        ("DD_APM_PROFILING_ADDITIONAL_ENDPOINTS", "/profiling/v1/input", ""),
        (
            "DD_APM_DEBUGGER_ADDITIONAL_ENDPOINTS",
            "/debugger/v1/input",
            "?ddtags=host%3Abox%2Cdefault_env%3Aprod%2Cagent_version%3A7.85.2",
        ),
        ("DD_APM_SYMDB_ADDITIONAL_ENDPOINTS", "/symdb/v1/input", ""),
    ] {
        let before = other.requests().len();
        let fixture = Fixture::with(&[(variable, to.as_str())]);
        other.script([Answer::status(500), Answer::status(404)]);
        let mut answer = Answer::status(201);
        answer.body = "of the main one".to_owned();
        fixture.outside.script([answer]);
        let answer = fixture.post(path, &[("X-Mine", "1")], b"a body");
        assert_eq!((answer.status, answer.text()), (201, "of the main one"), "{path}");
        other.wait_for("two copies", |requests| requests.len() == before + 2);
        let copies = other.requests().split_off(before);
        let mut keys: Vec<_> =
            copies.iter().map(|copy| copy.header("dd-api-key").unwrap().to_owned()).collect();
        keys.sort();
        assert_eq!(keys, ["k1", "k2"], "{path}");
        for copy in &copies {
            assert_eq!(
                (copy.path.as_str(), &copy.wire[..]),
                (format!("/copy{query}").as_str(), &b"a body"[..])
            );
            assert_eq!(
                (copy.header("x-mine"), copy.header("content-length")),
                (Some("1"), Some("6"))
            );
        }
        assert_eq!(fixture.outside.requests()[0].header("dd-api-key"), Some(KEY));
        assert_eq!(fixture.passed_on().sent, 1, "{path}");
        let copies = format!(
            "to {}: requests passed on: 2 received, 0 sent, 2 lost (2 refused by the intake)",
            other.address()
        );
        crate::relay::wait_until("copies that are counted", || {
            fixture.inside.ledger.losses().as_deref() == Some(copies.as_str())
        });
    }
}

#[test]
fn hosts_and_sites_get_copies_of_telemetry_events_and_lineage() {
    let fixture = Fixture::with(&[
        ("DD_APM_TELEMETRY_ADDITIONAL_ENDPOINTS", r#"{"https://telemetry.b.test": ["k1"]}"#),
        ("DD_EVP_PROXY_CONFIG_ADDITIONAL_ENDPOINTS", r#"{"b.test": ["k2"]}"#),
        ("DD_OL_PROXY_CONFIG_ADDITIONAL_ENDPOINTS", r#"{"b.test": ["k3"]}"#),
        ("DD_APM_ADDITIONAL_ENDPOINTS", r#"{"https://traces.b.test": ["k4"]}"#),
    ]);
    let evp = [("X-Datadog-EVP-Subdomain", "llmobs")];
    for path in [
        "/telemetry/proxy/a?x=1",
        "/evp_proxy/v2/a?x=1",
        "/openlineage/api/v1/lineage",
        "/v0.1/pipeline_stats",
    ] {
        fixture.post(path, &evp, b"x");
    }
    fixture.outside.wait_for("all of them", |requests| requests.len() == 8);
    let requests = fixture.outside.requests();
    for (host, path, header, key) in [
        ("telemetry.b.test", "/a?x=1", "dd-api-key", "k1"),
        ("llmobs.b.test", "/a?x=1", "dd-api-key", "k2"),
        ("data-obs-intake.b.test", "/api/v1/lineage?api-version=2", "authorization", "Bearer k3"),
        ("traces.b.test", "/api/v0.1/pipeline_stats", "dd-api-key", "k4"),
    ] {
        let copy = requests.iter().find(|request| request.header("host") == Some(host)).unwrap();
        assert_eq!((copy.path.as_str(), copy.header(header)), (path, Some(key)), "{host}");
        assert_eq!(copy.wire, b"x");
    }
}

#[test]
fn an_additional_address_that_is_dead_or_hangs_delays_nobody() {
    let (hangs, healthy) = (Recorder::http(), Recorder::http());
    hangs.always(Answer::hang());
    let to = object(&[
        (&hangs.url(), &["k1"]),
        (&healthy.url(), &["k2"]),
        ("http://127.0.0.1:1", &["k3"]),
    ]);
    let fixture = Fixture::with(&[("DD_APM_SYMDB_ADDITIONAL_ENDPOINTS", to.as_str())]);
    let start = Instant::now();
    // More than may hang at once: those above it go to the main address alone.
    for _ in 0..40 {
        assert_eq!(fixture.post("/symdb/v1/input", &[], b"x").status, 202);
    }
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    assert_eq!(fixture.outside.requests().len(), 40);
    assert!(healthy.requests().len() >= 10, "{}", healthy.requests().len());
    assert_eq!(fixture.passed_on().sent, 40);
}

#[test]
fn profiles_can_go_to_the_additional_addresses_alone() {
    let (a, b) = (Recorder::http(), Recorder::http());
    let mut answer = Answer::status(200);
    answer.body = "of the first".to_owned();
    let first = if a.url() < b.url() { &a } else { &b };
    first.always(answer);
    let to = object(&[(&a.url(), &["k1"]), (&b.url(), &["k2"])]);
    let fixture = Fixture::with(&[
        ("DD_APM_PROFILING_SEND_TO_MAIN_ENDPOINT", "false"),
        ("DD_APM_PROFILING_ADDITIONAL_ENDPOINTS", to.as_str()),
    ]);
    let answer = fixture.post("/profiling/v1/input", &[], b"x");
    assert_eq!((answer.status, answer.text()), (200, "of the first"));
    for other in [&a, &b] {
        other.wait_for("a copy", |requests| requests.len() == 1);
    }
    assert_eq!(fixture.outside.requests().len(), 0);
}

#[test]
fn a_body_that_cannot_be_held_for_copies_goes_to_the_main_address_alone() {
    let other = Recorder::http();
    let to = object(&[(&other.url(), &["k"])]);
    let fixture = Fixture::with(&[
        ("DD_APM_PROFILING_ADDITIONAL_ENDPOINTS", to.as_str()),
        ("DD_APM_PROFILING_MAX_REQUEST_BYTES", "100MiB"),
        ("DD_APM_PROFILING_RECEIVER_TIMEOUT", "60"),
    ]);
    // More than all bodies together may hold.
    let body = vec![7; 52_428_801];
    assert_eq!(fixture.post("/profiling/v1/input", &[], &body).status, 200);
    assert_eq!(fixture.outside.requests()[0].wire_bytes, body.len());
    // A length that is not known is found out too late for that.
    let mut client = fixture.client();
    client.send(
        b"POST /profiling/v1/input HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
    );
    client.send(&[format!("{:x}\r\n", body.len()).as_bytes(), &body, b"\r\n0\r\n\r\n"].concat());
    let answer = client.answer();
    assert_eq!((answer.status, answer.text()), (429, "{}"));
    assert_eq!((fixture.outside.requests().len(), other.requests().len()), (1, 0));
    let line = fixture.inside.ledger.losses().unwrap();
    let expect = format!(
        "to {}: requests passed on: 2 received, 0 sent, 2 lost (2 too many bytes in flight)",
        other.address()
    );
    assert!(line.contains(&expect), "{line}");
}
