//! Exactly what is sent, and exactly what is answered.

use std::net::UdpSocket;
use std::time::Duration;

use crate::proxy::{Fixture, KEY, wait_for_settled};
use crate::support::http::{Client, request};
use crate::support::recorder::{Answer, Recorder, Request};
use crate::support::running_intake::{RunningIntake, Wanted};

/// The headers but for those of HTTP itself, as lines in the order of their names.
fn headers(request: &Request) -> Vec<String> {
    let of_http = ["host", "accept", "content-length", "transfer-encoding"];
    let mut lines: Vec<String> = request
        .headers
        .iter()
        .filter(|(name, _)| !of_http.contains(&name.as_str()))
        .map(|(name, value)| match name.as_str() {
            "dd-request-id" => format!("{name}: <{} characters>", value.len()),
            _ => format!("{name}: {value}").trim_end().to_owned(),
        })
        .collect();
    lines.sort();
    lines
}

/// What a tracer sends with everything.
const TRACER: [(&str, &str); 5] = [
    ("Content-Type", "application/json"),
    ("User-Agent", "tracer/1"),
    ("Datadog-Meta-Lang", "python"),
    ("Connection", "keep-alive, X-Hop"),
    ("X-Hop", "not passed on"),
];

const WHENCE: [&str; 3] =
    ["x-forwarded-for: 127.0.0.1", "x-forwarded-host: 2f746d70", "x-forwarded-proto: http"];

/// One request: where it goes, and with which headers beside the tracer's own.
fn check(path: &str, host: &str, target: &str, more: &[&str]) {
    let fixture = Fixture::start();
    let answer = fixture.post(path, &TRACER, b"{\"a\":1}");
    let status =
        if path.starts_with("/telemetry") || path.starts_with("/profiling") { 200 } else { 202 };
    assert_eq!((answer.status, answer.text()), (status, "{}"), "{path}");
    assert_eq!(answer.header("Content-Type"), "text/plain; charset=utf-8", "{path}");
    assert_eq!(answer.header("Datadog-Agent-Version"), "7.85.2", "{path}");
    assert_eq!(answer.header("Datadog-Agent-State").len(), 64, "{path}");
    fixture.outside.wait_for(path, |requests| requests.len() == 1);
    let request = &fixture.outside.requests()[0];
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", target), "{path}");
    assert_eq!(request.header("host"), Some(host), "{path}");
    assert_eq!(
        (request.header("content-length"), &request.wire[..]),
        (Some("7"), &b"{\"a\":1}"[..])
    );
    let key = format!("dd-api-key: {KEY}");
    let mut expect: Vec<String> = more.iter().map(|line| (*line).to_owned()).collect();
    expect.extend(["content-type: application/json", "user-agent: tracer/1"].map(str::to_owned));
    if !path.starts_with("/openlineage") {
        expect.push(key);
    }
    if !path.starts_with("/evp_proxy") {
        expect.push("datadog-meta-lang: python".to_owned());
    }
    expect.sort();
    assert_eq!(headers(request), expect, "{path}");
    assert_eq!(fixture.way.asked()[0].target, format!("{host}:443"), "{path}");
}

#[test]
fn telemetry_is_passed_on_as_the_agent_does() {
    check(
        "/telemetry/proxy/api/v2/apmtelemetry?a=%41",
        "instrumentation-telemetry-intake.dd.test",
        "/api/v2/apmtelemetry?a=%41",
        &["dd-agent-env: prod", "dd-agent-hostname: box", "via: trace-agent 7.85.2"],
    );
}

const TAGS: &str = "x-datadog-additional-tags: host:box,default_env:prod,agent_version:7.85.2";

#[test]
fn profiles_and_data_streams_are_passed_on_as_the_agent_does() {
    let more = [&["via: trace-agent 7.85.2", TAGS][..], &WHENCE].concat();
    check("/profiling/v1/input?a=1", "intake.profile.dd.test", "/api/v2/profile", &more);
    check("/v0.1/pipeline_stats", "trace.agent.dd.test", "/api/v0.1/pipeline_stats", &more);
}

#[test]
fn lineage_is_passed_on_as_the_agent_does() {
    let key = format!("authorization: Bearer {KEY}");
    let more = [&["via: trace-agent 7.85.2", TAGS, key.as_str()][..], &WHENCE].concat();
    check(
        "/openlineage/api/v1/lineage",
        "data-obs-intake.dd.test",
        "/api/v1/lineage?api-version=2",
        &more,
    );
}

#[test]
fn debugger_data_are_passed_on_as_the_agent_does() {
    let more = [&["dd-evp-origin: agent-debugger", "dd-request-id: <36 characters>"][..], &WHENCE]
        .concat();
    let tags = "ddtags=host%3Abox%2Cdefault_env%3Aprod%2Cagent_version%3A7.85.2";
    check("/debugger/v1/input", "http-intake.logs.dd.test", &format!("/api/v2/logs?{tags}"), &more);
    check(
        "/debugger/v1/diagnostics?ddtags=a:b&b=1",
        "debugger-intake.dd.test",
        &format!("/api/v2/debugger?b=1&{tags}%2Ca%3Ab"),
        &more,
    );
    check(
        "/debugger/v2/input",
        "debugger-intake.dd.test",
        &format!("/api/v2/debugger?{tags}"),
        &more,
    );
}

#[test]
fn symbols_are_passed_on_as_the_agent_does() {
    let more =
        [&["dd-evp-origin: agent-symdb", "dd-request-id: <36 characters>", TAGS][..], &WHENCE]
            .concat();
    check("/symdb/v1/input", "debugger-intake.dd.test", "/api/v2/debugger", &more);
}

#[test]
fn a_flare_is_passed_on_as_the_agent_does() {
    check("/tracer_flare/v1", "7-85-2-flare.dd.test", "/api/ui/support/serverless/flare", &WHENCE);
}

#[test]
fn events_are_passed_on_with_the_allowed_headers_alone() {
    for version in 1..=4 {
        let fixture = Fixture::start();
        let mut headers_in = TRACER.to_vec();
        headers_in.extend([
            ("X-Datadog-EVP-Subdomain", "llmobs-intake"),
            ("DD-EVP-ORIGIN", "me"),
            ("Accept", "application/json"),
        ]);
        let path = format!("/evp_proxy/v{version}/api/v2/llmobs?x=%22b%22&c[]=1");
        let answer = fixture.post(&path, &headers_in, b"{}");
        assert_eq!((answer.status, answer.text()), (202, "{}"));
        let request = &fixture.outside.requests()[0];
        assert_eq!(request.path, "/api/v2/llmobs?x=%22b%22&c[]=1");
        assert_eq!(request.header("host"), Some("llmobs-intake.dd.test"));
        assert_eq!(request.header("accept"), Some("*/*"));
        assert_eq!(
            headers(request),
            [
                "content-type: application/json",
                "datadog-container-id:",
                &format!("dd-api-key: {KEY}"),
                "dd-evp-origin: me",
                "user-agent: tracer/1",
                "via: trace-agent 7.85.2",
                "x-datadog-agentdefaultenv: prod",
                "x-datadog-hostname: box",
                "x-datadog-timeout: 30",
            ]
        );
    }
}

#[test]
fn what_may_not_be_asked_of_the_event_platform_is_a_502_and_asks_nobody() {
    let fixture = Fixture::start();
    for (path, subdomain) in [
        ("/evp_proxy/v2/api/v2/x", None),
        ("/evp_proxy/v2/api/v2/x", Some("a/b")),
        ("/evp_proxy/v2/api/v2/x:y", Some("x")),
        ("/evp_proxy/v3/x?a=$", Some("x")),
    ] {
        let headers: Vec<_> =
            subdomain.map(|subdomain| ("X-Datadog-EVP-Subdomain", subdomain)).into_iter().collect();
        let answer = fixture.post(path, &headers, b"{}");
        assert_eq!((answer.status, answer.text(), answer.header("Content-Type")), (502, "", ""));
        assert_eq!(answer.header("Datadog-Agent-State").len(), 64);
    }
    assert_eq!((fixture.outside.requests().len(), fixture.way.asked().len()), (0, 0));
    assert_eq!((fixture.passed_on().received, fixture.passed_on().held()), (4, 0));
}

#[test]
fn the_roots_of_trees_of_paths_are_redirected_into_them() {
    let fixture = Fixture::start();
    for path in ["/telemetry/proxy", "/evp_proxy/v2"] {
        let answer = fixture.post(path, &[], b"{}");
        assert_eq!((answer.status, answer.header("Location")), (307, format!("{path}/").as_str()));
    }
    let answer = fixture.post("/evp_proxy/v2/api/../x?a", &[], b"{}");
    assert_eq!((answer.status, answer.header("Location")), (307, "/evp_proxy/v2/x?a"));
}

#[test]
fn an_answer_comes_back_with_its_status_headers_and_body() {
    let fixture = Fixture::start();
    let of = |status| {
        let mut answer = Answer::status(status)
            .with("Content-Type", "application/x-own")
            .with("X-Own", "1")
            .with("Keep-Alive", "timeout=5")
            .with("Connection", "X-Hop")
            .with("X-Hop", "1");
        answer.body = "an answer".to_owned();
        answer
    };
    for status in [200, 302, 400, 403, 404, 413, 429, 500] {
        fixture.outside.script([of(status)]);
        let answer = fixture.post("/symdb/v1/input", &[], b"x");
        assert_eq!((answer.status, answer.text()), (status, "an answer"));
        assert_eq!(
            ["Content-Type", "X-Own", "Keep-Alive", "X-Hop"].map(|name| answer.header(name)),
            ["application/x-own", "1", "", ""]
        );
    }
    let read = fixture.passed_on();
    assert_eq!((read.received, read.sent, read.shed_total()), (8, 2, 6));
}

#[test]
fn a_request_without_a_body_keeps_its_method() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    for method in ["GET", "PUT", "DELETE"] {
        let headers = [("X-Datadog-EVP-Subdomain", "api")];
        assert_eq!(client.ask(method, "/evp_proxy/v2/api/v2/x", &headers, b"").status, 202);
    }
    let methods: Vec<_> =
        fixture.outside.requests().iter().map(|r| (r.method.clone(), r.wire_bytes)).collect();
    assert_eq!(methods, ["GET", "PUT", "DELETE"].map(|method| (method.to_owned(), 0)));
    let head = client.ask("HEAD", "/evp_proxy/v2/x", &[("X-Datadog-EVP-Subdomain", "api")], b"");
    assert_eq!(head.status, 202);
}

#[test]
fn a_body_goes_on_while_it_comes_and_arrives_as_it_was() {
    let fixture = Fixture::start();
    let body: Vec<u8> = (0..20_000_000_u32).map(|n| (n % 251) as u8).collect();
    let mut client = fixture.client();
    client.send(
        b"POST /profiling/v1/input HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
    );
    let (first, rest) = body.split_at(500_000);
    client.send(format!("{:x}\r\n", first.len()).as_bytes());
    client.send(first);
    client.send(b"\r\n");
    // The other side has it before we have sent all.
    while fixture.outside.busy_max() == 0 {
        std::thread::sleep(Duration::from_millis(2));
    }
    for piece in rest.chunks(1_000_000) {
        client.send(format!("{:x}\r\n", piece.len()).as_bytes());
        client.send(piece);
        client.send(b"\r\n");
    }
    client.send(b"0\r\n\r\n");
    assert_eq!(client.answer().status, 200);
    let request = &fixture.outside.requests()[0];
    assert_eq!(request.header("transfer-encoding"), Some("chunked"));
    assert!(request.wire == body, "{} bytes", request.wire.len());
}

#[test]
fn a_large_answer_comes_back_as_it_was() {
    let fixture = Fixture::start();
    let mut answer = Answer::status(200);
    answer.body = "0123456789abcdef".repeat(200_000);
    fixture.outside.script([answer.clone()]);
    let got = fixture.post("/evp_proxy/v4/x", &[("X-Datadog-EVP-Subdomain", "api")], b"");
    assert_eq!((got.status, got.body.len()), (200, answer.body.len()));
    assert!(got.text() == answer.body);
}

#[test]
fn an_address_of_its_own_is_asked_as_it_is_written() {
    let outside = Recorder::http();
    let url = format!("{}/some/path", outside.url());
    let env = [
        ("DD_APM_PROFILING_DD_URL", url.as_str()),
        ("DD_APM_SYMDB_DD_URL", url.as_str()),
        ("DD_APM_SYMDB_API_KEY", "its-own-key"),
        ("DD_OL_PROXY_CONFIG_DD_URL", url.as_str()),
        ("DD_APM_ADDITIONAL_PROFILE_TAGS", r#"{"b": 2, "a": "1"}"#),
    ];
    let fixture = Fixture::with(&env);
    for path in ["/profiling/v1/input", "/symdb/v1/input", "/openlineage/api/v1/lineage"] {
        fixture.post(path, &[], b"x");
    }
    let requests = outside.requests();
    let paths: Vec<_> = requests.iter().map(|request| request.path.as_str()).collect();
    assert_eq!(paths, ["/some/path", "/some/path", "/some/path?api-version=2"]);
    assert_eq!(requests[0].header("host"), Some(outside.address().to_string().as_str()));
    let tags = requests[0].header("x-datadog-additional-tags").unwrap();
    assert!(tags.ends_with("agent_version:7.85.2,a:1,b:2"), "{tags}");
    assert_eq!(requests[1].header("dd-api-key"), Some("its-own-key"));
}

#[test]
fn over_a_unix_socket_there_is_no_address_to_pass_on() {
    let (outside, folder) = (Recorder::http(), tempfile::tempdir().unwrap());
    let path = folder.path().join("apm.socket");
    let env = vec![
        ("DD_API_KEY", KEY.to_owned()),
        ("DD_APM_SYMDB_DD_URL", format!("{}/x", outside.url())),
    ];
    let _intake =
        RunningIntake::with(Wanted { socket: Some(path.clone()), env, ..Wanted::default() });
    let headers = [("X-Forwarded-For", "6.6.6.6")];
    assert_eq!(Client::unix(&path).ask("POST", "/symdb/v1/input", &headers, b"x").status, 202);
    let request = &outside.requests()[0];
    assert_eq!(request.header("x-forwarded-for"), None);
    assert_eq!(request.header("x-forwarded-proto"), Some("http"));
}

#[test]
fn metrics_go_to_the_statsd_port_line_by_line() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    server.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let port = server.local_addr().unwrap().port().to_string();
    let fixture = Fixture::with(&[("DD_DOGSTATSD_PORT", port.as_str())]);
    for path in ["/dogstatsd/v1/proxy", "/dogstatsd/v2/proxy"] {
        let answer = fixture.post(path, &[], b"a:1|c\nb:2|g\n");
        assert_eq!((answer.status, answer.text(), answer.header("Content-Type")), (200, "", ""));
        for expect in ["a:1|c", "b:2|g"] {
            let mut bytes = [0; 100];
            let length = server.recv(&mut bytes).unwrap();
            assert_eq!(std::str::from_utf8(&bytes[..length]).unwrap(), expect);
        }
    }
    let answer = fixture.post("/dogstatsd/v2/proxy", &[], &[b'\n'; 100_001]);
    assert_eq!((answer.status, answer.text()), (413, "too many dogstatsd payloads in request\n"));
    let off = Fixture::with(&[("DD_USE_DOGSTATSD", "false")]);
    assert_eq!(off.post("/dogstatsd/v2/proxy", &[], b"a:1|c").status, 503);
}

#[test]
fn what_is_switched_off_says_so_and_is_not_listed() {
    let fixture = Fixture::with(&[
        ("DD_APM_TELEMETRY_ENABLED", "false"),
        ("DD_EVP_PROXY_CONFIG_ENABLED", "false"),
        ("DD_OL_PROXY_CONFIG_ENABLED", "false"),
        ("DD_USE_DOGSTATSD", "false"),
    ]);
    let answers = [
        ("/telemetry/proxy/api/v2/apmtelemetry", 404, "404 page not found\n"),
        ("/evp_proxy/v2/x", 405, "EVPProxy is disabled: Has been disabled in config\n"),
        (
            "/openlineage/api/v1/lineage",
            500,
            "OpenLineage forwarder is OFF: Has been disabled in config\n",
        ),
        ("/dogstatsd/v1/proxy", 503, "503 Status Unavailable\n"),
    ];
    let info = fixture.client().ask("GET", "/info", &[], b"");
    for (path, status, text) in answers {
        let answer = fixture.post(path, &[], b"{}");
        assert_eq!((answer.status, answer.text()), (status, text), "{path}");
        let root: String = path.split_inclusive('/').take(3).collect();
        assert!(!info.text().contains(&root), "{path}");
    }
    assert!(info.text().contains("/profiling/v1/input"));
}

#[test]
fn without_a_key_all_of_it_is_taken_and_dropped_and_counted() {
    let outside = Recorder::http();
    let url = format!("{}/x", outside.url());
    let env = vec![("DD_APM_PROFILING_DD_URL", url.clone()), ("DD_APM_SYMDB_DD_URL", url)];
    let intake = RunningIntake::with(Wanted { env, ..Wanted::default() });
    let mut client = Client::tcp(intake.address);
    for path in [
        "/telemetry/proxy/api/v2/apmtelemetry",
        "/profiling/v1/input",
        "/evp_proxy/v2/api/v2/llmobs",
        "/debugger/v1/input",
        "/debugger/v1/diagnostics",
        "/debugger/v2/input",
        "/symdb/v1/input",
        "/v0.1/pipeline_stats",
        "/openlineage/api/v1/lineage",
        "/tracer_flare/v1",
    ] {
        let answer = client.ask("POST", path, &[], b"{}");
        assert_eq!((answer.status, answer.text()), (200, "{}"), "{path}");
    }
    let read = intake.ledger.passed_on.read();
    assert_eq!((read.received, read.shed_total(), outside.requests().len()), (9, 9, 0));
    assert_eq!(wait_for_settled(&intake.ledger.telemetry, 1).shed_total(), 1);
    assert_eq!(intake.ledger.losses(), None, "that there is no key has been said at the start");
}

#[test]
fn one_connection_serves_traces_and_what_is_passed_on_in_turn() {
    let fixture = Fixture::start();
    let mut client = fixture.client();
    let evp = [("X-Datadog-EVP-Subdomain", "api")];
    // Both at once on the wire: the second waits for the answer to the first.
    let both = [
        request("POST", "/evp_proxy/v2/a", &evp, b"one"),
        request("POST", "/v0.4/traces", &[("Content-Type", "application/msgpack")], b"\x90"),
        request("POST", "/evp_proxy/v2/b", &evp, b"two"),
    ];
    client.send(&both.concat());
    let statuses = [(); 3].map(|()| client.answer().status);
    assert_eq!(statuses, [202, 200, 202]);
    let paths: Vec<_> = fixture.outside.requests().iter().map(|r| r.path.clone()).collect();
    assert_eq!(paths, ["/a", "/b"]);
}
