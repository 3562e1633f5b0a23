//! Metrics and logs beside traces: each kind has its place and its form, and no family stands in the way of another.

use std::time::{Duration, Instant};

use pillion::ledger::{Counts, Shed};
use pillion::relay::{Compression, Destination, Intake, Kind, Part, Payload, Settings};
use pillion::secret::{ApiKey, Url};
use prost::Message;

use crate::relay::{Fixture, KEY, intake, numbered, settings, wait_until};
use crate::support::lines;
use crate::support::metrics::{MetricPayload, Point, Series, Sketch, SketchPayload};
use crate::support::recorder::{Answer, Recorder};

const LOGS_KEY: &str = "l0gs-key-of-the-families-tests";
const COPY_KEY: &str = "c0py-key-of-the-families-tests";

fn payload(kind: Kind, body: Vec<u8>, counts: Counts) -> Payload {
    Payload { kind, body, counts, languages: String::new(), parts: Vec::new() }
}

/// Appends a part that is in `counts`.
fn part(payload: &mut Payload, bytes: &[u8], counts: Counts) {
    let start = payload.body.len();
    payload.body.extend_from_slice(bytes);
    payload.counts.add(counts);
    payload.parts.push(Part { bytes: start..payload.body.len(), counts });
}

/// Log entries with these messages.
fn logs(messages: impl IntoIterator<Item = String>) -> Payload {
    let mut all = payload(Kind::Logs, b"[".to_vec(), Counts::default());
    for message in messages {
        if all.body.len() > 1 {
            all.body.push(b',');
        }
        let entry = serde_json::json!({ "message": message }).to_string();
        part(&mut all, entry.as_bytes(), Counts { log_lines: 1, ..Counts::default() });
    }
    all.body.push(b']');
    all
}

/// One series with `points` points, under a name of its own.
fn one_series(name: &str, points: u64) -> Series {
    let point = |at| Point { value: fastrand::f64(), timestamp: at };
    Series {
        metric: name.to_owned(),
        points: (0..points as i64).map(point).collect(),
        kind: 3,
        ..Series::default()
    }
}

fn series(count: u64, points: u64) -> Payload {
    let mut all = payload(Kind::Series, Vec::new(), Counts::default());
    for number in 0..count {
        let one = MetricPayload { series: vec![one_series(&format!("m.{number}"), points)] };
        part(&mut all, &one.encode_to_vec(), Counts { points, ..Counts::default() });
    }
    all
}

fn sketch() -> Payload {
    let sketch = Sketch { metric: "d".to_owned(), ..Sketch::default() };
    let body = SketchPayload { sketches: vec![sketch] }.encode_to_vec();
    payload(Kind::Sketches, body, Counts { points: 1, ..Counts::default() })
}

fn check() -> Payload {
    let body = br#"[{"check":"c","status":0}]"#.to_vec();
    payload(Kind::Checks, body, Counts { checks: 1, ..Counts::default() })
}

fn event() -> Payload {
    let body = br#"{"apiKey":"","events":{"api":[{"msg_title":"t"}]}}"#.to_vec();
    payload(Kind::Events, body, Counts { events: 1, ..Counts::default() })
}

/// An intake for each family: of traces, of metrics, of logs.
fn apart() -> ([Recorder; 3], Settings) {
    let intakes = [(); 3].map(|()| Recorder::http());
    let [traces, metrics, of_logs] = &intakes;
    let settings = Settings {
        metrics: intake(&metrics.url()),
        logs: Intake::new(&of_logs.url(), ApiKey::new(LOGS_KEY)),
        ..settings(&traces.url())
    };
    (intakes, settings)
}

fn push_all(fixture: &Fixture) {
    fixture.push(numbered(1, 100));
    fixture.push(series(2, 3));
    fixture.push(sketch());
    fixture.push(check());
    fixture.push(event());
    fixture.push(logs(["a".to_owned(), "b".to_owned()]));
}

#[test]
fn each_kind_arrives_at_its_place_in_its_form() {
    let ([traces, metrics, of_logs], settings) = apart();
    let fixture = Fixture::start(settings);
    push_all(&fixture);
    fixture.flush();
    assert_eq!((traces.requests().len(), metrics.requests().len()), (1, 4));
    let own = format!("datadog-agent/7.85.2 pillion-{}", env!("CARGO_PKG_VERSION"));
    for request in metrics.requests() {
        let expect = match request.path.as_str() {
            "/api/v2/series" | "/api/beta/sketches" => "application/x-protobuf",
            "/api/v1/check_run" | "/intake/" => "application/json",
            path => panic!("{path}"),
        };
        for (name, value) in [
            ("content-type", expect),
            ("content-encoding", "zstd"),
            ("dd-api-key", KEY),
            ("dd-agent-version", "7.85.2"),
            ("user-agent", own.as_str()),
        ] {
            assert_eq!(request.header(name), Some(value), "{name} of {}", request.path);
        }
        assert_eq!((request.method.as_str(), request.headers.len()), ("POST", 8));
    }
    let names: Vec<_> = metrics.series().iter().map(|one| one.metric.clone()).collect();
    assert_eq!(names, ["m.0", "m.1"]);
    assert_eq!(metrics.sketches()[0].metric, "d");
    assert_eq!(metrics.service_checks()[0]["check"], "c");
    assert_eq!(metrics.events()[0]["events"]["api"][0]["msg_title"], "t");
    let [request] = of_logs.requests().try_into().unwrap();
    for (name, value) in [
        ("content-type", "application/json"),
        ("content-encoding", "zstd"),
        ("dd-api-key", LOGS_KEY),
        ("dd-protocol", "agent-json"),
        ("dd-evp-origin", "lambda-extension"),
        ("dd-evp-origin-version", "7.85.2"),
        ("user-agent", own.as_str()),
    ] {
        assert_eq!(request.header(name), Some(value), "{name}");
    }
    let time = |name| request.header(name).unwrap().parse::<u64>().unwrap();
    let (made, sent) = (time("dd-message-timestamp"), time("dd-current-timestamp"));
    assert!(made > 1_600_000_000_000 && (made..made + 20_000).contains(&sent), "{made} {sent}");
    let messages: Vec<_> = of_logs.log_entries().iter().map(|e| e["message"].clone()).collect();
    assert_eq!(messages, ["a", "b"]);
    assert_eq!(
        fixture.ledger.summary().unwrap(),
        "spans: 1 received, 1 sent; log lines: 2 received, 2 sent; metric points: 7 received, 7 sent; \
         service checks: 1 received, 1 sent; events: 1 received, 1 sent"
    );
}

#[test]
fn each_family_is_compressed_as_it_is_set() {
    let ([traces, metrics, of_logs], mut settings) = apart();
    settings.metrics.compression = Compression::Deflate(6);
    settings.logs.compression = Compression::Gzip(6);
    let fixture = Fixture::start(settings);
    push_all(&fixture);
    fixture.flush();
    let encodings = [&traces, &metrics, &of_logs].map(|intake| {
        let requests = intake.requests();
        requests[0].header("content-encoding").map(str::to_owned)
    });
    assert_eq!(encodings.map(Option::unwrap), ["zstd", "deflate", "gzip"]);
    assert_eq!((metrics.series().len(), of_logs.log_entries().len()), (2, 2));
}

#[test]
fn an_intake_that_is_down_delays_no_other_family() {
    for dead in 0..3 {
        let (intakes, settings) = apart();
        let answer = if dead == 1 { Answer::hang() } else { Answer::status(503) };
        intakes[dead].always(answer);
        let fixture = Fixture::start(settings);
        push_all(&fixture);
        for (at, intake) in intakes.iter().enumerate().filter(|(at, _)| *at != dead) {
            let expect = if at == 1 { 4 } else { 1 };
            intake.wait_for("all of it", |all| {
                all.iter().filter(|request| request.is_taken()).count() == expect
            });
        }
        wait_until("the others to be settled", || {
            let held = fixture.relay.held();
            let of_others = [held.spans, held.points + held.checks + held.events, held.log_lines];
            of_others.iter().enumerate().all(|(at, held)| (*held > 0) == (at == dead))
        });
        let start = Instant::now();
        assert!(!fixture.relay.flush(start + Duration::from_millis(200)));
        assert!(start.elapsed() < Duration::from_secs(5));
        fixture.check_balance();
    }
}

#[test]
fn logs_do_not_push_out_traces_and_take_what_nobody_else_needs() {
    let (intakes, settings) = apart();
    intakes.iter().for_each(|intake| intake.refuse(true));
    const BOUND: usize = 4 << 20;
    let fixture = Fixture::start(Settings { queue_bytes_max: BOUND, ..settings });
    let noise = || (0..50_000).map(|_| fastrand::alphanumeric()).collect::<String>();
    let push_logs = |count: u32| {
        for _ in 0..count {
            fixture.push(logs([noise()]));
            assert!(fixture.relay.held_bytes() <= BOUND);
        }
    };
    push_logs(200);
    let alone = fixture.relay.held().log_lines;
    assert!(fixture.relay.held_bytes() > BOUND * 3 / 4, "logs have all of it");
    for number in 0..18 {
        fixture.push(numbered(number, 100_000));
        assert!(fixture.relay.held_bytes() <= BOUND);
    }
    push_logs(200);
    // 1.8 MB are less than the half that is the part of traces.
    assert_eq!((fixture.relay.held().spans, fixture.shed(Shed::QueueFull)), (18, 0));
    let beside = fixture.relay.held().log_lines;
    assert!(beside > 10 && beside < alone, "{beside} of {alone}");
    intakes.iter().for_each(|intake| intake.refuse(false));
    fixture.flush();
    assert_eq!(fixture.sent(), 18);
    assert!(fixture.ledger.losses().unwrap().starts_with("log lines: 400 received, "));
}

#[test]
fn copies_go_where_their_family_has_them() {
    let ([traces, metrics, of_logs], mut settings) = apart();
    let (to_metrics, to_logs, once) = (Recorder::http(), Recorder::http(), Recorder::http());
    let to = |intake: &Recorder| {
        vec![Destination { url: intake.url(), api_key: ApiKey::new(COPY_KEY).unwrap() }]
    };
    settings.metrics.further = to(&to_metrics);
    settings.logs.further = to(&to_logs);
    settings.logs.best_effort = to(&once);
    to_logs.script([Answer::status(503)]);
    once.script([Answer::status(503)]);
    let fixture = Fixture::start(settings);
    push_all(&fixture);
    fixture.flush();
    let paths = |intake: &Recorder| {
        let taken = intake.requests().into_iter().filter(|request| request.is_taken());
        let mut paths: Vec<_> = taken.map(|request| request.path).collect();
        paths.sort();
        paths
    };
    assert_eq!(paths(&traces), ["/api/v0.2/traces"]);
    assert_eq!(paths(&to_metrics), paths(&metrics));
    assert_eq!((paths(&to_logs), paths(&of_logs)), (paths(&of_logs), vec!["/api/v2/logs".into()]));
    assert_eq!(to_logs.requests().len(), 2, "it is tried again");
    assert_eq!(once.requests().len(), 1, "it is tried once");
    assert_eq!(to_metrics.requests()[0].header("dd-api-key"), Some(COPY_KEY));
    let lost = format!(
        "to {}: log lines: 2 received, 0 sent, 2 lost (2 no answer from the intake)",
        once.address()
    );
    assert_eq!(fixture.ledger.losses().unwrap(), lost);
}

#[test]
fn logs_that_are_too_large_are_cut_until_they_fit() {
    let of_logs = Recorder::http();
    of_logs.limit_bodies(500);
    let fixture = Fixture::to(&of_logs);
    let expect: Vec<_> = (0..40).map(|number| format!("{number:0>80}")).collect();
    fixture.push(logs(expect.clone()));
    fixture.push(logs(["x".repeat(600)]));
    fixture.flush();
    let mut messages: Vec<_> =
        of_logs.log_entries().iter().map(|e| e["message"].as_str().unwrap().to_owned()).collect();
    messages.sort();
    assert_eq!(messages, expect);
    let flow = fixture.ledger.log_lines.read();
    assert_eq!((flow.sent, flow.shed[Shed::TooLarge as usize]), (40, 1));
}

#[test]
fn series_over_the_limit_of_the_intake_are_cut_before_they_are_sent() {
    let metrics = Recorder::http();
    let fixture = Fixture::to(&metrics);
    // About 1 MB that hardly can be compressed, and one item that is too large by itself.
    fixture.push(series(100, 900));
    fixture.push(series(1, 70_000));
    fixture.flush();
    let requests = metrics.requests();
    assert!(requests.len() > 1 && requests.iter().all(|request| request.wire_bytes <= 512_000));
    assert_eq!(metrics.series().len(), 100);
    let flow = fixture.ledger.points.read();
    assert_eq!((flow.sent, flow.shed[Shed::TooLarge as usize]), (90_000, 70_000));
    let name = metrics.address().to_string();
    wait_until("a line", || {
        lines::with(&name).iter().any(|line| line.contains("one item is larger than all that"))
    });
}

#[test]
fn a_kind_that_is_switched_off_is_filtered() {
    let metrics = Recorder::http();
    let off = vec![Kind::Series, Kind::Events];
    let fixture = Fixture::start(Settings { off, ..settings(&metrics.url()) });
    push_all(&fixture);
    fixture.flush();
    assert_eq!((metrics.series().len(), metrics.events().len()), (0, 0));
    assert_eq!((metrics.sketches().len(), metrics.service_checks().len()), (1, 1));
    let points = fixture.ledger.points.read();
    assert_eq!((points.sent, points.filtered, fixture.ledger.events.read().filtered), (1, 6, 1));
    assert_eq!(fixture.ledger.losses(), None);
}

#[test]
fn a_family_without_a_key_sheds_alone() {
    let ([traces, metrics, of_logs], mut settings) = apart();
    (settings.traces.api_key, settings.metrics.api_key) = (None, None);
    let fixture = Fixture::start(settings);
    push_all(&fixture);
    fixture.flush();
    assert_eq!((traces.connections(), metrics.connections(), of_logs.requests().len()), (0, 0, 1));
    let points = fixture.ledger.points.read();
    assert_eq!((fixture.shed(Shed::NoKey), points.shed[Shed::NoKey as usize]), (1, 7));
}

#[test]
fn a_refused_key_is_said_with_the_settings_of_its_family_and_never_printed() {
    let ([_traces, metrics, of_logs], settings) = apart();
    let echo = |key: &str| Answer { body: key.to_owned(), ..Answer::status(403) };
    metrics.always(echo(KEY));
    of_logs.always(echo(LOGS_KEY));
    assert!(!format!("{settings:?}").contains(LOGS_KEY));
    let fixture = Fixture::start(settings);
    push_all(&fixture);
    fixture.flush();
    for (intake, expect) in [
        (&metrics, "check DD_API_KEY and DD_SITE"),
        (&of_logs, "check DD_API_KEY, DD_LOGS_CONFIG_API_KEY and DD_SITE"),
    ] {
        let name = intake.address().to_string();
        wait_until("a line", || lines::with(&name).iter().any(|line| line.contains(expect)));
    }
    assert_eq!(lines::of_all_with(LOGS_KEY), Vec::<String>::new());
    assert_eq!(fixture.ledger.log_lines.read().shed[Shed::KeyRefused as usize], 2);
}

#[test]
fn all_families_go_through_the_proxy() {
    let proxy = Recorder::http();
    let named = |host: &str| intake(&format!("http://{host}.families.test"));
    let fixture = Fixture::start(Settings {
        traces: named("traces"),
        metrics: named("metrics"),
        logs: named("logs"),
        proxy_http: Some(Url::new(&proxy.url())),
        ..settings("")
    });
    push_all(&fixture);
    fixture.flush();
    let mut hosts: Vec<_> =
        proxy.requests().iter().map(|request| request.header("host").unwrap().to_owned()).collect();
    hosts.sort();
    hosts.dedup();
    assert_eq!(hosts, ["logs.families.test", "metrics.families.test", "traces.families.test"]);
    assert_eq!(proxy.requests().len(), 6);
}
