//! The platform as a user sees it: its tags on everything, the app's start and its exit never later for them, and data that leaves although the
//! instance is frozen most of the time.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::support::bodies;
use crate::support::decoded::{TracerPayload, Value};
use crate::support::http::{Client, MSGPACK, request};
use crate::support::recorder::Recorder;
use crate::support::wrapped::{Wrapped, free_port, get, pillion, wait_until};

/// A metadata server that answers after `delay`, or never.
pub fn metadata(delay: Option<Duration>) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let host = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || drop(answer(stream.unwrap(), delay)));
        }
    });
    host
}

fn answer(mut stream: TcpStream, delay: Option<Duration>) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut piece = [0; 512];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut piece)? {
            0 => return Ok(()),
            bytes => head.extend_from_slice(&piece[..bytes]),
        }
    }
    let head = String::from_utf8(head).unwrap();
    let body = match head.split(' ').nth(1).unwrap() {
        "/computeMetadata/v1/instance/id" => "00F4",
        "/computeMetadata/v1/instance/region" => "projects/7/regions/europe-west1",
        "/computeMetadata/v1/project/project-id" => "shop",
        other => panic!("{other}"),
    };
    std::thread::sleep(delay.unwrap_or(Duration::from_secs(60)));
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// A freeze that is noticed even where the pulse rested when it began: three beats, and the second and a half by which it has to be late.
const FREEZE: Duration = Duration::from_secs(5);

/// An app under the binary, and where it sends.
struct Place {
    wrapped: Wrapped,
    intake: Recorder,
    port: u16,
}

impl Place {
    fn start(script: &str, env: &[(&str, &str)]) -> Self {
        let pillion = pillion();
        Self::start_as(&[pillion.to_str().unwrap(), "sh", "-c", script], env)
    }

    fn start_as(words: &[&str], env: &[(&str, &str)]) -> Self {
        let intake = Recorder::http();
        let (port, url) = (free_port(), intake.url());
        let port_text = port.to_string();
        let own = [
            ("DD_API_KEY", "0123456789abcdef0123456789abcdef"),
            ("DD_APM_DD_URL", url.as_str()),
            ("DD_APM_RECEIVER_PORT", &port_text),
        ];
        let env = [&own[..], env].concat();
        Self { wrapped: Wrapped::start(words, Path::new("/bin"), &env), intake, port }
    }

    fn client(&self) -> Client {
        wait_until("it listens", || get(self.port, "/info") == Some(200));
        Client::tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)))
    }

    /// The group of all that was started: as a platform freezes an instance.
    fn signal_all(&self, signal: Signal) {
        killpg(Pid::from_raw(i32::try_from(self.wrapped.id()).unwrap()), signal).unwrap();
    }

    fn payloads(&self, spans: usize) -> Vec<TracerPayload> {
        self.intake.wait_for("the spans", |_| true);
        wait_until("the spans", || self.intake.spans().len() >= spans);
        self.intake.tracer_payloads()
    }
}

fn post(client: &mut Client, body: &[u8]) {
    let took = Instant::now();
    assert_eq!(client.ask("POST", "/v0.4/traces", &[MSGPACK], body).status, 200);
    assert!(took.elapsed() < Duration::from_secs(2), "{:?}", took.elapsed());
}

const CLOUD_RUN: [(&str, &str); 2] = [("K_SERVICE", "hello"), ("K_REVISION", "hello-1")];

#[test]
fn spans_have_the_tags_of_the_platform_also_those_that_were_there_before_the_answer() {
    // Well within the bound, and longer than the first spans take.
    let host = metadata(Some(Duration::from_millis(150)));
    let env = [
        &CLOUD_RUN[..],
        &[
            ("GCE_METADATA_HOST", host.as_str()),
            ("DD_TAGS", "team:web,location:mine"),
            ("DD_PILLION_FLUSH_INTERVAL", "100ms"),
        ],
    ]
    .concat();
    let place = Place::start("exec sleep 60", &env);
    let mut client = place.client();
    post(&mut client, &bodies::v04(3, 4));
    for payload in place.payloads(12) {
        let function = payload.attributes.get("_dd.tags.function");
        assert_eq!(function, Some(&Value::Text("team:web,location:mine".to_owned())));
        for chunk in payload.chunks {
            assert_eq!(chunk.origin, "cloudrun");
            for span in chunk.spans {
                for (key, value) in [
                    ("service_name", "hello"),
                    ("gcr.service_name", "hello"),
                    ("gcr.revision_name", "hello-1"),
                    ("container_id", "00f4"),
                    ("gcr.container_id", "00f4"),
                    ("gcr.location", "europe-west1"),
                    ("gcr.project_id", "shop"),
                    ("gcr.resource_name", "projects/shop/locations/europe-west1/services/hello"),
                    ("origin", "cloudrun"),
                    ("_dd.origin", "cloudrun"),
                    ("team", "web"),
                    ("user", "ünïcode"),
                ] {
                    assert_eq!(span.text(key), Some(value), "{key}");
                }
            }
        }
    }
    // From now on the platform's value of a tag counts before the user's.
    post(&mut client, &bodies::v04(1, 1));
    let payloads = place.payloads(13);
    let last = payloads.last().unwrap().chunks.last().unwrap().spans.last().unwrap();
    assert_eq!(last.text("location"), Some("europe-west1"));
}

#[test]
fn a_metadata_server_that_hangs_delays_neither_the_start_nor_the_first_spans_nor_the_exit() {
    let host = metadata(None);
    let env = [
        &CLOUD_RUN[..],
        &[("GCE_METADATA_HOST", host.as_str()), ("DD_PILLION_FLUSH_INTERVAL", "100ms")],
    ]
    .concat();
    let mut place = Place::start("exit 7", &env);
    assert_eq!(place.wrapped.wait().code(), Some(7));
    assert!(place.wrapped.age() < Duration::from_secs(5), "{:?}", place.wrapped.age());

    let place = Place::start("exec sleep 60", &env);
    post(&mut place.client(), &bodies::v04(1, 2));
    let payloads = place.payloads(2);
    // Two askings of 300 ms, a pause, and the pulse of a second.
    assert!(place.wrapped.age() < Duration::from_secs(8), "{:?}", place.wrapped.age());
    for span in payloads.iter().flat_map(|payload| &payload.chunks).flat_map(|chunk| &chunk.spans) {
        assert_eq!(span.text("service_name"), Some("hello"));
        assert_eq!((span.text("location"), span.text("gcr.resource_name")), (None, None));
        let says_unknown =
            |value: &Value| matches!(value, Value::Text(text) if text.contains("unknown"));
        assert!(!span.attributes.values().any(says_unknown), "{:?}", span.attributes);
    }
}

#[test]
fn at_the_end_nothing_waits_for_the_metadata() {
    let host = metadata(None);
    let env = [&CLOUD_RUN[..], &[("GCE_METADATA_HOST", host.as_str())]].concat();
    let place = Place::start("exec sleep 60", &env);
    let mut client = place.client();
    post(&mut client, &bodies::v04(1, 2));
    let asked = Instant::now();
    place.wrapped.signal(Signal::SIGTERM);
    let mut place = place;
    place.wrapped.wait();
    assert!(asked.elapsed() < Duration::from_secs(4), "{:?}", asked.elapsed());
    assert_eq!(place.intake.spans().len(), 2);
}

#[test]
fn a_frozen_instance_sends_what_it_holds_and_what_waits_at_its_door_when_it_wakes() {
    let place = Place::start("exec sleep 60", &[("DD_PILLION_FLUSH_INTERVAL", "60s")]);
    let mut client = place.client();
    post(&mut client, &bodies::v04_of("before", 1, 2));
    place.signal_all(Signal::SIGSTOP);
    // The kernel takes it, and nobody reads it.
    client.send(&request("POST", "/v0.4/traces", &[MSGPACK], &bodies::v04_of("frozen", 1, 3)));
    std::thread::sleep(FREEZE);
    assert!(place.intake.spans().is_empty());
    place.signal_all(Signal::SIGCONT);
    let woken = Instant::now();
    assert_eq!(client.answer().status, 200);
    let payloads = place.payloads(5);
    assert!(woken.elapsed() < Duration::from_secs(5), "{:?}", woken.elapsed());
    let services: std::collections::BTreeSet<_> = payloads
        .iter()
        .flat_map(|payload| &payload.chunks)
        .flat_map(|chunk| &chunk.spans)
        .map(|span| span.service.clone())
        .collect();
    assert_eq!(services.into_iter().collect::<Vec<_>>(), ["before", "frozen"]);
}

#[test]
fn after_waking_data_leaves_over_a_fresh_connection() {
    let place = Place::start("exec sleep 60", &[("DD_PILLION_FLUSH_INTERVAL", "100ms")]);
    let mut client = place.client();
    post(&mut client, &bodies::v04(1, 1));
    drop(place.payloads(1));
    let before = place.intake.connections();
    place.signal_all(Signal::SIGSTOP);
    std::thread::sleep(FREEZE);
    place.signal_all(Signal::SIGCONT);
    // It has woken when it answers; the pulse that tells comes within the same turn or the next.
    std::thread::sleep(Duration::from_secs(1));
    post(&mut client, &bodies::v04(1, 1));
    drop(place.payloads(2));
    assert!(place.intake.connections() > before, "the connection was used again");
}

/// A cgroup that gets two hundredths of a CPU, where one can be made.
struct Limited(std::path::PathBuf);

impl Limited {
    fn new() -> Option<Self> {
        let folder =
            Path::new("/sys/fs/cgroup/cpu").join(format!("pillion-{}", std::process::id()));
        std::fs::create_dir(&folder).ok()?;
        let limited = Self(folder);
        std::fs::write(limited.0.join("cpu.cfs_period_us"), "100000").ok()?;
        std::fs::write(limited.0.join("cpu.cfs_quota_us"), "2000").ok()?;
        Some(limited)
    }

    /// With all threads that it has, and what it starts from now on.
    fn take(&self, process: u32) {
        std::fs::write(self.0.join("cgroup.procs"), process.to_string()).unwrap();
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        let (own, parent) = (self.0.join("cgroup.procs"), "/sys/fs/cgroup/cpu/cgroup.procs");
        for process in std::fs::read_to_string(own).unwrap_or_default().lines() {
            // It may have ended.
            drop(std::fs::write(parent, process));
        }
        drop(std::fs::remove_dir(&self.0));
    }
}

#[test]
fn with_hardly_any_cpu_everything_is_sent_all_the_same() {
    let Some(limited) = Limited::new() else {
        return eprintln!("left out: no cgroup of version 1 with a CPU limit can be made here");
    };
    let mut place = Place::start("exec sleep 60", &[("DD_PILLION_FLUSH_INTERVAL", "100ms")]);
    let mut client = place.client();
    limited.take(place.wrapped.id());
    for _ in 0..5 {
        let answer = client.ask("POST", "/v0.4/traces", &[MSGPACK], &bodies::v04(20, 5));
        assert_eq!(answer.status, 200);
    }
    drop(place.payloads(400));
    place.wrapped.signal(Signal::SIGTERM);
    place.wrapped.wait();
    assert_eq!(place.intake.spans().len(), 500);
}

#[test]
fn the_apps_calls_to_us_are_no_spans_of_it() {
    let env = [("WEBSITE_STACK", "DOCKER"), ("DD_PILLION_FLUSH_INTERVAL", "100ms")];
    let place = Place::start("exec sleep 60", &env);
    let span = |id: u32, meta: &str| {
        format!(
            r#"{{"trace_id":7,"span_id":{id},"parent_id":1,"service":"a","name":"b{id}","resource":"c","start":1750000000000000000,"duration":1,"meta":{meta}}}"#
        )
    };
    let kept = [
        r#"{"http.url":"http://127.0.0.1:8080/x"}"#,
        r#"{"http.url":"http://shop/?u=http://127.0.0.1:8125"}"#,
        r#"{"tcp.remote.host":"127.0.0.1","tcp.remote.port":"5432"}"#,
        r#"{"dns.address":"10.0.0.1"}"#,
    ];
    let gone = [
        r#"{"http.url":"http://127.0.0.1:8125/metrics"}"#,
        r#"{"http.url":"http://127.0.0.1:8124/lambda"}"#,
        r#"{"tcp.remote.port":"8125","tcp.remote.host":"127.0.0.1"}"#,
        r#"{"dns.address":"0.0.0.0"}"#,
    ];
    let all: Vec<_> =
        (1..).zip(kept.iter().chain(&gone)).map(|(id, meta)| span(id, meta)).collect();
    let body = format!("[[{}],[{}]]", all.join(","), span(90, gone[0]));
    let mut client = place.client();
    let answer = client.ask(
        "POST",
        "/v0.4/traces",
        &[("Content-Type", "application/json")],
        body.as_bytes(),
    );
    assert_eq!(answer.status, 200);
    let payloads = place.payloads(kept.len());
    let mut names: Vec<_> = payloads
        .iter()
        .flat_map(|payload| &payload.chunks)
        .flat_map(|chunk| &chunk.spans)
        .map(|span| span.name.clone())
        .collect();
    names.sort();
    assert_eq!(names, ["b1", "b2", "b3", "b4"]);
    assert_eq!(payloads.iter().map(|payload| payload.chunks.len()).sum::<usize>(), 1);
}

#[test]
fn the_health_port_answers_probes_and_a_port_that_is_taken_stops_nothing() {
    let (port, taken) = (free_port(), TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap());
    let text = port.to_string();
    let place = Place::start("exec sleep 60", &[("DD_HEALTH_PORT", &text)]);
    wait_until("it is healthy", || get(port, "/") == Some(200));
    // A probe that says nothing keeps no other from its answer.
    let silent = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    assert_eq!(get(port, "/ready"), Some(200));
    drop((silent, place));

    // A sidecar answers, too.
    let port = free_port();
    let text = port.to_string();
    let sidecar = Place::start_as(&[pillion().to_str().unwrap()], &[("DD_HEALTH_PORT", &text)]);
    wait_until("the sidecar is healthy", || get(port, "/") == Some(200));
    drop(sidecar);

    let text = taken.local_addr().unwrap().port().to_string();
    let mut place = Place::start("exit 3", &[("DD_HEALTH_PORT", &text)]);
    assert_eq!(place.wrapped.wait().code(), Some(3));
    let complaint = format!("The health port {text} can't be bound");
    assert_eq!(place.wrapped.stderr().matches(&complaint).count(), 1, "{}", place.wrapped.stderr());
}
