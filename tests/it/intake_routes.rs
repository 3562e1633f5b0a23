//! Each path answers as the agent does: status, headers and body, observed with 7.85.2.

use std::fmt::Write;

use crate::support::bodies;
use crate::support::http::{Answer, Client, MSGPACK, request};
use crate::support::running_intake::RunningIntake;

fn once(
    intake: &RunningIntake,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    Client::tcp(intake.address).ask(method, path, headers, body)
}

fn check_refusal(answer: &Answer, status: u16, text: &str) {
    assert_eq!((answer.status, answer.text()), (status, text), "{answer:?}");
    assert_eq!(answer.header("Content-Type"), "text/plain; charset=utf-8", "{answer:?}");
    assert_eq!(answer.header("X-Content-Type-Options"), "nosniff", "{answer:?}");
}

fn has_state(answer: &Answer) -> bool {
    answer.header("Datadog-Agent-Version") == "7.85.2"
        && answer.header("Datadog-Agent-State").len() == 64
}

#[test]
fn info_is_honest_and_every_other_answer_has_its_hash() {
    let intake = RunningIntake::new();
    let answer = once(&intake, "GET", "/info", &[], b"");
    assert_eq!((answer.status, answer.header("Content-Type")), (200, "text/plain; charset=utf-8"));
    assert_eq!(
        (answer.header("Datadog-Agent-Version"), answer.header("Datadog-Agent-State")),
        ("", "")
    );
    assert!(answer.text().starts_with("{\n\t\"version\": \"7.85.2\",\n\t\"git_commit\": \"\",\n\t\"endpoints\": [\n\t\t\"/v0.3/traces\""));

    let document: serde_json::Value = serde_json::from_str(answer.text()).unwrap();
    let endpoints: Vec<_> = document["endpoints"]
        .as_array()
        .unwrap()
        .iter()
        .map(|path| path.as_str().unwrap())
        .collect();
    assert!(endpoints.contains(&"/v0.5/traces") && endpoints.contains(&"/debugger/v1/diagnostics"));
    assert!(endpoints.contains(&"/evp_proxy/v4/") && !endpoints.contains(&"/v0.7/config"));
    assert!(endpoints.contains(&"/v1.0/traces") && endpoints.contains(&"/v0.7/traces"));
    // Without an API key nobody takes a tracer's own stats, so it must not drop anything.
    assert_eq!(document["client_drop_p0s"], false);
    assert_eq!(document["config"]["receiver_port"], intake.address.port());
    assert_eq!(document["config"]["max_request_bytes"], 26_214_400);
    assert_eq!(document["config"]["default_env"], "none");
    assert_eq!(document["config"]["obfuscation"]["redis"]["enabled"], true);
    assert_eq!(document["obfuscation_version"], 1);
    assert!(document["peer_tags"].as_array().unwrap().iter().any(|tag| tag == "db.instance"));
    assert!(document["agent_implementation"].as_str().unwrap().starts_with("pillion-"));

    let mut hash = String::new();
    for byte in ring::digest::digest(&ring::digest::SHA256, &answer.body).as_ref() {
        write!(hash, "{byte:02x}").unwrap();
    }
    for path in
        ["/v0.4/services", "/debugger/v1/diagnostics", "/telemetry/proxy/api/v2/apmtelemetry"]
    {
        let answer = once(&intake, "POST", path, &[], b"{}");
        assert_eq!(
            (answer.status, answer.header("Datadog-Agent-State")),
            (200, hash.as_str()),
            "{path}"
        );
    }
    // The document is the same for every question, or tracers would read it again and again.
    assert_eq!(once(&intake, "POST", "/info", &[MSGPACK], b"\x90").body, answer.body);
}

#[test]
fn a_head_request_gets_the_length_without_the_document() {
    let intake = RunningIntake::new();
    let mut client = Client::tcp(intake.address);
    let head = client.ask("HEAD", "/info", &[], b"");
    let get = client.ask("GET", "/info", &[], b"");
    assert_eq!(
        (head.status, head.header("Content-Length")),
        (200, get.body.len().to_string().as_str())
    );
}

#[test]
fn unknown_paths_are_404_in_gos_words_and_without_our_headers() {
    let intake = RunningIntake::new();
    let mut client = Client::tcp(intake.address);
    for path in [
        "/",
        "/info/",
        "/v0.4/traces/",
        "/unknown",
        "/v0.8/traces",
        "/v0.7/config",
        "/appsec/proxy/x",
    ] {
        let answer = client.ask("POST", path, &[MSGPACK], b"\x90");
        check_refusal(&answer, 404, "404 page not found\n");
        assert!(!has_state(&answer), "{path}");
    }
}

#[test]
fn unclean_paths_are_redirected() {
    let intake = RunningIntake::new();
    let mut client = Client::tcp(intake.address);
    let answer = client.ask("POST", "//v0.4/traces?x=1", &[MSGPACK], &bodies::v04(1, 1));
    assert_eq!(
        (answer.status, answer.header("Location"), answer.text()),
        (307, "/v0.4/traces?x=1", "")
    );
    let answer = client.ask("GET", "/v0.4/../info", &[], b"");
    assert_eq!((answer.status, answer.header("Location")), (307, "/info"));
    assert_eq!(answer.text(), "<a href=\"/info\">Temporary Redirect</a>.\n\n");
    assert_eq!(intake.spans(), 0);
}

#[test]
fn any_method_brings_traces_and_a_query_does_not_matter() {
    let intake = RunningIntake::new();
    let mut client = Client::tcp(intake.address);
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        let answer = client.ask(method, "/v0.4/traces?x=1", &[MSGPACK], &bodies::v04(2, 3));
        assert_eq!(
            (answer.status, answer.header("Content-Type")),
            (200, "application/json"),
            "{method}"
        );
        assert!(
            answer.text().starts_with("{\"rate_by_service\":{") && answer.text().ends_with("}\n"),
            "{answer:?}"
        );
        assert!(has_state(&answer));
    }
    assert_eq!(intake.spans(), 4 * 6);
}

#[test]
fn a_request_without_a_body_is_malformed() {
    let intake = RunningIntake::new();
    let mut client = Client::tcp(intake.address);
    for method in ["GET", "OPTIONS", "POST"] {
        let answer = client.ask(method, "/v0.4/traces", &[], b"");
        assert_eq!(answer.status, 400, "{method}");
        assert!(has_state(&answer) && answer.text().ends_with('\n'), "{answer:?}");
        assert_eq!(answer.header("X-Content-Type-Options"), "nosniff");
    }
    assert_eq!(intake.ledger.bodies_refused.load(std::sync::atomic::Ordering::Relaxed), 3);
}

#[test]
fn every_version_has_its_own_answer() {
    let intake = RunningIntake::new();
    let mut client = Client::tcp(intake.address);
    let (v04, v05) = (bodies::v04(1, 1), bodies::v05());
    for (path, body, expect) in
        [("/v0.3/traces", &v04, "OK\n"), ("/v0.4/traces", &v04, "{"), ("/v0.5/traces", &v05, "{")]
    {
        let answer = client.ask("PUT", path, &[MSGPACK], body);
        assert_eq!(answer.status, 200, "{path} {answer:?}");
        assert!(answer.text().starts_with(expect), "{path} {answer:?}");
    }
    assert_eq!(intake.spans(), 3);
    let answer = client.ask("PUT", "/v0.6/stats", &[MSGPACK], &bodies::stats());
    assert_eq!((answer.status, answer.text(), answer.header("Content-Type")), (200, "", ""));
    assert!(has_state(&answer));
}

#[test]
fn json_is_taken_on_the_older_paths() {
    let intake = RunningIntake::new();
    let mut client = Client::tcp(intake.address);
    let body = br#"[[{"service":"shop","name":"web.request","resource":"GET /","trace_id":7,"span_id":8,"start":1750000000000000000,"duration":5}]]"#;
    for path in ["/v0.2/traces", "/v0.3/traces", "/v0.4/traces"] {
        let answer = client.ask("POST", path, &[("Content-Type", "application/json")], body);
        assert_eq!(answer.status, 200, "{path} {answer:?}");
    }
    // The oldest of all is a flat list.
    let flat = &body[1..body.len() - 1];
    for path in ["/spans", "/v0.1/spans"] {
        let answer = client.ask("POST", path, &[("Content-Type", "application/json")], flat);
        assert_eq!((answer.status, answer.text()), (200, "OK\n"), "{path} {answer:?}");
    }
    assert_eq!(intake.spans(), 5);
}

#[test]
fn the_oldest_paths_refuse_msgpack() {
    let intake = RunningIntake::new();
    let mut client = Client::tcp(intake.address);
    for path in ["/v0.2/traces", "/spans", "/v0.2/services", "/services"] {
        let answer = client.ask("POST", path, &[MSGPACK], b"\x90");
        check_refusal(&answer, 415, "unsupported media type: \"application/msgpack\"\n");
        assert!(has_state(&answer));
    }
    for path in ["/v0.3/services", "/v0.4/services", "/services"] {
        let answer = client.ask("POST", path, &[("Content-Type", "application/json")], b"{}");
        assert_eq!(
            (answer.status, answer.text(), answer.header("Content-Type")),
            (200, "OK\n", "text/plain; charset=utf-8")
        );
    }
}

#[test]
fn the_body_decides_on_the_newest_path() {
    let intake = RunningIntake::new();
    let mut client = Client::tcp(intake.address);
    // dd-trace-js sends a v0.4 array there.
    let answer = client.ask("PUT", "/v1.0/traces", &[MSGPACK], &bodies::v04(1, 2));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.text().starts_with('{') && has_state(&answer));
    // The map that the path is named for, here an empty payload.
    let answer = client.ask("POST", "/v1.0/traces", &[MSGPACK], b"\x80");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.text().starts_with('{') && has_state(&answer));
    assert_eq!(intake.spans(), 2);
}

#[test]
fn a_page_of_another_site_is_refused_but_not_for_stats() {
    let intake = RunningIntake::new();
    let mut client = Client::tcp(intake.address);
    let site = ("Sec-Fetch-Site", "cross-site");
    let answer = client.ask("POST", "/v0.4/traces", &[MSGPACK, site], &bodies::v04(1, 1));
    check_refusal(&answer, 403, "cross-site request rejected\n");
    assert!(has_state(&answer));
    let answer = client.ask("POST", "/v0.6/stats", &[MSGPACK, site], &bodies::stats());
    assert_eq!(answer.status, 200);
    let answer = client.ask(
        "POST",
        "/v0.4/traces",
        &[MSGPACK, ("Sec-Fetch-Site", "same-origin")],
        &bodies::v04(1, 1),
    );
    assert_eq!((answer.status, intake.spans()), (200, 1));
}

#[test]
fn a_tracer_that_has_the_newest_rates_gets_an_empty_object() {
    let intake = RunningIntake::new();
    let mut client = Client::tcp(intake.address);
    let body = bodies::v04(1, 1);
    let plain = client.ask("POST", "/v0.4/traces", &[MSGPACK], &body);
    assert_eq!(plain.header("Datadog-Rates-Payload-Version"), "");
    let named = client.ask(
        "POST",
        "/v0.4/traces",
        &[MSGPACK, ("Datadog-Rates-Payload-Version", "none")],
        &body,
    );
    assert!(named.text().starts_with("{\"rate_by_service\":"), "{named:?}");
    let version = named.header("Datadog-Rates-Payload-Version").to_owned();
    assert!(!version.is_empty(), "{named:?}");
    let known = client.ask(
        "POST",
        "/v0.5/traces",
        &[MSGPACK, ("Datadog-Rates-Payload-Version", &version)],
        &bodies::v05(),
    );
    assert_eq!(
        (known.status, known.header("Datadog-Rates-Payload-Version")),
        (200, version.as_str())
    );
    // New rates may have come between; with the same version there is nothing to say.
    assert!(known.text() == "{}" || known.text().starts_with("{\"rate_by_service\":"));
}

#[test]
fn requests_may_come_in_one_piece_or_byte_by_byte() {
    let intake = RunningIntake::new();
    let one = request("POST", "/v0.4/traces", &[MSGPACK], &bodies::v04(1, 1));
    let mut client = Client::tcp(intake.address);
    client.send(&[&one[..], &one[..], &one[..]].concat());
    for _ in 0..3 {
        assert_eq!(client.answer().status, 200);
    }
    for byte in &one {
        client.send(&[*byte]);
    }
    assert_eq!((client.answer().status, intake.spans()), (200, 4));
}

#[test]
fn chunked_bodies_are_taken() {
    let intake = RunningIntake::new();
    let mut client = Client::tcp(intake.address);
    let body = bodies::v04(50, 10);
    client.send(b"POST /v0.4/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/msgpack\r\nTransfer-Encoding: chunked\r\n\r\n");
    for piece in body.chunks(1000) {
        client.send(format!("{:x}\r\n", piece.len()).as_bytes());
        client.send(piece);
        client.send(b"\r\n");
    }
    client.send(b"0\r\nX-Trailer: y\r\n\r\n");
    assert_eq!((client.answer().status, intake.spans()), (200, 500));
    assert_eq!(client.ask("GET", "/info", &[], b"").status, 200);
}

#[test]
fn a_client_that_asks_before_it_sends_is_told_to_go_on() {
    let intake = RunningIntake::new();
    let mut client = Client::tcp(intake.address);
    let body = bodies::v04(1, 1);
    let head = request("POST", "/v0.4/traces", &[MSGPACK, ("Expect", "100-continue")], &body);
    client.send(&head[..head.len() - body.len()]);
    assert_eq!(client.head().status, 100);
    client.send(&body);
    assert_eq!((client.answer().status, intake.spans()), (200, 1));
}

#[test]
fn http_1_0_works() {
    let intake = RunningIntake::new();
    let mut client = Client::tcp(intake.address);
    let body = bodies::v04(1, 1);
    client.send(
        format!("POST /v0.4/traces HTTP/1.0\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes(),
    );
    client.send(&body);
    let answer = String::from_utf8(client.rest()).unwrap();
    assert!(answer.starts_with("HTTP/1.0 "), "{answer}");
}

#[test]
fn large_bodies_arrive_whole() {
    let intake = RunningIntake::new();
    let mut client = Client::tcp(intake.address);
    for _ in 0..3 {
        let answer = client.ask("POST", "/v0.4/traces", &[MSGPACK], &bodies::v04(500, 10));
        assert_eq!(answer.status, 200);
    }
    assert_eq!(intake.spans(), 15_000);
}

#[test]
fn the_unix_socket_serves_like_the_port_and_is_gone_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("apm.socket");
    let wanted =
        crate::support::running_intake::Wanted { socket: Some(path.clone()), ..Default::default() };
    let mut intake = RunningIntake::with(wanted);
    let (mut tcp, mut unix) = (Client::tcp(intake.address), Client::unix(&path));
    for client in [&mut tcp, &mut unix] {
        let answer = client.ask("POST", "/v0.4/traces", &[MSGPACK], &bodies::v04(1, 1));
        assert_eq!(answer.status, 200);
    }
    assert_eq!(intake.spans(), 2);
    intake.stop(std::time::Duration::from_secs(5));
    assert!(!path.exists());
}
