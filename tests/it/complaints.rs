//! What users of `datadog-init` complain about, by the number of the issue in its repository where there is one: each a test, named after what a
//! user would want to read here.

#![allow(clippy::disallowed_types, reason = "a test starts processes")]

use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::bodies;
use crate::support::http::{Client, MSGPACK};
use crate::support::logged::{command, entries, messages, scripted};
use crate::support::place::{Place, send};
use crate::support::recorder::{Answer, Recorder};
use crate::support::wrapped::{Wrapped, free_port, pillion, wait_until};

/// An exit code of 1 became 0, and jobs were not run again (#21879).
#[test]
fn an_app_that_fails_has_failed() {
    for place in Place::ALL {
        for logs in ["true", "false"] {
            let intake = Recorder::http();
            let mut command = command(place, &intake.url(), &["sh", "-c", "exit 1"]);
            assert_eq!(command.env("DD_LOGS_ENABLED", logs).status().unwrap().code(), Some(1));
        }
    }
}

/// The wrapper went at a TERM before the app had done with it (#13940, #17124). That none is lost before the app is ready is a test of
/// `init_first_instant`.
#[test]
fn an_app_has_its_time_after_a_term_and_its_own_exit_code() {
    let intake = Recorder::http();
    let mut command = scripted(Place::Ordinary, &intake.url(), &["slow-stop", "1500", "7"]);
    let mut top = command.spawn().unwrap();
    let id = i32::try_from(top.id()).unwrap();
    let mut ready = [0; 6];
    std::io::Read::read_exact(top.stdout.as_mut().unwrap(), &mut ready).unwrap();
    let asked = Instant::now();
    send(id, libc::SIGTERM);
    assert_eq!(top.wait().unwrap().code(), Some(7));
    assert!(asked.elapsed() >= Duration::from_millis(1500), "{:?}", asked.elapsed());
    assert_eq!(messages(&intake), ["ready", "stopping"]);
}

/// A channel that was full stopped all output, that to the platform included (#20076).
#[test]
fn an_intake_that_is_stuck_stops_no_output() {
    const LINES: usize = 400_000;
    let intake = Recorder::http();
    intake.always(Answer::hang());
    let mut command = command(Place::Ordinary, &intake.url(), &["seq", "1", &LINES.to_string()]);
    let output = command.env("DD_PILLION_STOP_TIMEOUT", "1s").output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let expect: String = (1..=LINES).map(|number| format!("{number}\n")).collect();
    assert!(output.stdout == expect.as_bytes(), "{} bytes", output.stdout.len());
}

/// Of short jobs nine lines in ten were missing (#32951). `logs` has more runs of it.
#[test]
fn every_line_of_a_short_job_arrives() {
    let intake = Recorder::http();
    for _ in 0..5 {
        let mut command = command(Place::PidOne, &intake.url(), &["seq", "1", "500"]);
        assert!(command.output().unwrap().status.success());
    }
    let mut numbers: Vec<usize> =
        messages(&intake).iter().map(|message| message.parse().unwrap()).collect();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq((1..=500).flat_map(|number| [number; 5])));
}

/// A stack trace arrived in pieces, and JSON in one line was put together with others (#12998, #17080, #18608, #37551).
#[test]
fn a_stack_trace_is_one_message_and_each_line_of_json_is_one_too() {
    let intake = Recorder::http();
    let script = "printf '2026-11-25 22:00:00 ERROR no order\\n\\tat shop.Orders\\n\\tat shop.Main\\n'; \
                  printf '{\"a\": 1}\\n{\"a\": 2}\\n' >&2";
    let mut command = command(Place::Ordinary, &intake.url(), &["sh", "-c", script]);
    assert!(command.output().unwrap().status.success());
    let mut messages = messages(&intake);
    messages.sort();
    let trace = "2026-11-25 22:00:00 ERROR no order\\n\tat shop.Orders\\n\tat shop.Main";
    assert_eq!(messages, [trace, "{\"a\": 1}", "{\"a\": 2}"]);
}

/// Where something else has the ports, the app is none the worse for it.
#[test]
fn taken_ports_cost_the_app_nothing() {
    let intake = Recorder::http();
    let traces = TcpListener::bind("127.0.0.1:0").unwrap();
    let metrics = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = |address: std::net::SocketAddr| address.port().to_string();
    let ports = [port(traces.local_addr().unwrap()), port(metrics.local_addr().unwrap())];
    let mut command = command(Place::Ordinary, &intake.url(), &["sh", "-c", "echo out; exit 3"]);
    command
        .env("DD_APM_RECEIVER_PORT", &ports[0])
        .env("DD_DOGSTATSD_PORT", &ports[1])
        .env("DD_LOG_LEVEL", "warn");
    let output = command.output().unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(3), &b"out\n"[..]));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    for port in &ports {
        assert_eq!(said.matches(port.as_str()).count(), 1, "{said}");
    }
    assert_eq!(messages(&intake), ["out"]);
}

/// In jobs of Container Apps, which have no `CONTAINER_APP_ENV_DNS_SUFFIX`, it panicked at its start (#17738).
#[test]
fn a_job_of_container_apps_runs() {
    let intake = Recorder::http();
    let mut command = command(Place::Ordinary, &intake.url(), &["sh", "-c", "echo out; exit 4"]);
    command
        .env("CONTAINER_APP_JOB_NAME", "nightly")
        .env("CONTAINER_APP_JOB_EXECUTION_NAME", "nightly-7")
        .env("CONTAINER_APP_REPLICA_NAME", "nightly-7-x")
        .env("DD_LOG_LEVEL", "warn");
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(4));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.starts_with("pillion: error: the app ended with exit code 4 after "), "{said}");
    assert_eq!((said.lines().count(), messages(&intake)), (1, vec!["out".to_owned()]));
    assert!(entries(&intake)[0]["ddtags"].as_str().unwrap().contains("nightly"));
}

/// The files that a program loads, and where: what a root has to have for one that is not static.
fn libraries(program: &Path) -> Vec<PathBuf> {
    let output = Command::new("ldd").arg(program).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from).collect()
}

/// An image without a bundle of CA certificates could send nothing (x509 errors within #20076).
#[test]
fn an_image_with_nothing_but_the_binary_trusts_the_public_authorities() {
    let root = tempfile::tempdir().unwrap();
    let program = pillion();
    for file in libraries(&program).iter().chain([&program]) {
        let within = match file == &program {
            true => root.path().join("pillion"),
            false => root.path().join(file.strip_prefix("/").unwrap()),
        };
        std::fs::create_dir_all(within.parent().unwrap()).unwrap();
        std::fs::copy(file, &within).unwrap();
        std::fs::set_permissions(&within, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    // An authority that nobody knows is refused for just that: there are others that are known, and the check took place.
    let intake = Recorder::https();
    let url = format!("https://{}", intake.address());
    let root = root.path().display().to_string();
    let words = ["--map-root-user", "--user", "--root", &root, "/pillion", "/pillion", "--version"];
    let output = Command::new("unshare")
        .args(words)
        .env_clear()
        .env("DD_API_KEY", "0123456789abcdef0123456789abcdef")
        .env("DD_APM_DD_URL", &url)
        .env("DD_LOGS_CONFIG_LOGS_DD_URL", &url)
        .env("DD_LOGS_ENABLED", "true")
        .env("DD_APM_RECEIVER_PORT", "0")
        .env("DD_DOGSTATSD_PORT", "0")
        .env("DD_ENHANCED_METRICS", "false")
        .env("DD_PILLION_STOP_TIMEOUT", "3s")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(output.stdout.starts_with(b"pillion"), "{said}");
    assert!(said.to_ascii_lowercase().contains("unknownissuer"), "{said}");
    assert_eq!(intake.requests().len(), 0);
}

/// Starts an app that sleeps, which sends traces to the first port and metrics to the second.
fn started(intake: &Recorder, ports: [u16; 2], env: &[(&str, &str)]) -> Wrapped {
    let (pillion, url) = (pillion(), intake.url());
    let ports = ports.map(|port| port.to_string());
    let mut all = vec![
        ("DD_API_KEY", "0123456789abcdef0123456789abcdef"),
        ("DD_APM_DD_URL", url.as_str()),
        ("DD_DD_URL", url.as_str()),
        ("DD_LOGS_CONFIG_LOGS_DD_URL", url.as_str()),
        ("DD_LOGS_ENABLED", "true"),
        ("DD_APM_RECEIVER_PORT", ports[0].as_str()),
        ("DD_DOGSTATSD_PORT", ports[1].as_str()),
        ("DD_DOGSTATSD_SOCKET", ""),
    ];
    all.extend(env);
    let words = [pillion.to_str().unwrap(), "sh", "-c", "echo out; exec sleep 60"];
    Wrapped::start(&words, Path::new("/bin"), &all)
}

fn traces_and_metrics(wrapped: &Wrapped, [traces, metrics]: [u16; 2], body: &[u8]) {
    wait_until("it listens", || std::net::TcpStream::connect(("127.0.0.1", traces)).is_ok());
    let mut client = Client::tcp((std::net::Ipv4Addr::LOCALHOST, traces).into());
    let answer = client.ask("POST", "/v0.4/traces", &[MSGPACK], body);
    assert_eq!(answer.status, 200, "{}", wrapped.stderr());
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(b"orders:1|c", ("127.0.0.1", metrics)).unwrap();
}

/// One version lost `DD_TAGS` on spans (#30743).
#[test]
fn the_tags_of_the_settings_are_on_spans_logs_and_metrics() {
    let (intake, ports) = (Recorder::http(), [free_port(), free_port()]);
    let mut wrapped = started(&intake, ports, &[("DD_TAGS", "team:web,owner:me")]);
    traces_and_metrics(&wrapped, ports, &bodies::v04(1, 2));
    wait_until("the app runs", || !wrapped.stdout().is_empty());
    wrapped.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(wrapped.wait().code(), Some(143));
    let spans = intake.spans();
    assert_eq!(spans.len(), 2);
    for span in &spans {
        assert_eq!((span.text("team"), span.text("owner")), (Some("web"), Some("me")));
    }
    assert!(entries(&intake)[0]["ddtags"].as_str().unwrap().contains("team:web,owner:me"));
    let series = intake.series();
    let tags = &series.iter().find(|series| series.metric == "orders").unwrap().tags;
    assert!(tags.contains(&"team:web".to_owned()) && tags.contains(&"owner:me".to_owned()));
}

/// Spans had the names of integrations in place of `DD_SERVICE` (#46043). Names are the tracer's: what it calls a span's service is what arrives,
/// `DD_SERVICE` where the tracer says so, the name of a database where it says that. We rename nothing, in either direction.
#[test]
fn a_span_keeps_the_service_that_the_tracer_gave_it() {
    let (intake, ports) = (Recorder::http(), [free_port(), free_port()]);
    let mut wrapped = started(&intake, ports, &[("DD_SERVICE", "shop")]);
    traces_and_metrics(&wrapped, ports, &bodies::v04_of("shop", 1, 2));
    traces_and_metrics(&wrapped, ports, &bodies::v04_of("redis", 1, 3));
    wrapped.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(wrapped.wait().code(), Some(143));
    let spans = intake.spans();
    let count = |service: &str| spans.iter().filter(|span| span.service == service).count();
    assert_eq!((spans.len(), count("shop"), count("redis")), (5, 2, 3));
}

/// The span of a job and the stats of what it held were lost at the end, or not kept (fixed by #49150).
#[test]
fn the_span_of_a_short_job_arrives_with_all_stats() {
    let (intake, ports) = (Recorder::http(), [free_port(), free_port()]);
    let job = [("CLOUD_RUN_JOB", "nightly"), ("GCE_METADATA_HOST", "127.0.0.1:1")];
    let mut wrapped = started(&intake, ports, &job);
    traces_and_metrics(&wrapped, ports, &bodies::v04(2, 3));
    wrapped.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(wrapped.wait().code(), Some(143));
    let spans = intake.spans();
    assert_eq!(spans.iter().filter(|span| span.name == "gcp.run.job.task").count(), 1);
    assert_eq!(spans.len(), 7);
    let stats = intake.stats().iter().map(ToString::to_string).collect::<String>();
    assert!(stats.contains("gcp.run.job.task") && stats.contains("web.request"), "{stats}");
}

/// PHP's tracer complained of broken pipes (dd-trace-php#2991): its connection was closed while it rested, which the agent does after five seconds.
#[test]
fn a_connection_that_rests_is_there_for_the_next_request() {
    let (intake, ports) = (Recorder::http(), [free_port(), free_port()]);
    let wrapped = started(&intake, ports, &[]);
    wait_until("it listens", || std::net::TcpStream::connect(("127.0.0.1", ports[0])).is_ok());
    let mut client = Client::tcp((std::net::Ipv4Addr::LOCALHOST, ports[0]).into());
    for _ in 0..2 {
        let answer = client.ask("POST", "/v0.4/traces", &[MSGPACK], &bodies::v04(1, 1));
        assert_eq!(answer.status, 200, "{}", wrapped.stderr());
        std::thread::sleep(Duration::from_secs(7));
    }
}
