//! A Flask app with the real Python tracer under the release binary: what the tracer sends is what arrives, and the app can't tell.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};

use crate::support::connect_proxy::ConnectProxy;
use crate::support::recorder::Recorder;
use crate::support::traced::{self, Run};
use crate::support::wrapped::{self, Wrapped};

/// Pages of the app, and their statuses.
const PAGES: [(&str, u16); 3] = [("/", 200), ("/orders/7", 200), ("/fail", 500)];

/// Where `ddtrace-run` and the Python that has Flask are.
fn path() -> PathBuf {
    let path = wrapped::cache().join("python/bin");
    assert!(
        path.join("ddtrace-run").exists(),
        "no {}: tests/run.sh installs the tracers",
        path.display()
    );
    path
}

fn start(arguments: &[&str], env: &[(&str, &str)]) -> Run {
    Run::start(
        arguments,
        &["ddtrace-run", "python", &wrapped::example("python/hello.py")],
        &path(),
        env,
    )
}

/// Four requests, then TERM; everything that the tracer sent has to have arrived.
fn every_span_arrives(env: &[(&str, &str)], endpoint: &str) {
    let intake = Recorder::http();
    let url = intake.url();
    let mut all =
        vec![("DD_APM_DD_URL", url.as_str()), ("DD_API_KEY", "0123456789abcdef0123456789abcdef")];
    all.extend(env);
    let mut run = start(&[], &all);
    run.get("/", 200);
    run.get("/orders/7", 200);
    run.get("/fail", 500);
    run.get("/nowhere", 404);
    let status = run.term();
    assert_eq!(
        (status.code(), status.signal()),
        (Some(143), None),
        "the app dies by TERM: {}",
        run.wrapped.stderr()
    );
    assert!(run.tee.used(endpoint), "the tracer speaks {endpoint}");

    let spans = run.check_delivery(&intake, "python");
    let (root, _) = traced::request(&spans, "/");
    assert_eq!((root.span.name.as_str(), root.span.resource.as_str()), ("flask.request", "GET /"));
    assert_eq!(root.span.text("http.status_code"), Some("200"));
    assert_eq!((root.span.kind.as_str(), root.span.service.as_str()), ("web", traced::SERVICE));

    let (root, below) = traced::request(&spans, "/orders/7");
    assert!(below > 3, "only {below} spans below /orders/7");
    let own = traced::below(&spans, root, "order.load", "order 7");
    assert_eq!(own.span.number("order.number"), Some(7.0));
    let query = traced::below(&spans, root, "sqlite.query", "SELECT item FROM orders");
    assert_eq!((query.span.parent_id, query.span.kind.as_str()), (own.span.span_id, "sql"));

    let (root, _) = traced::request(&spans, "/fail");
    assert!(root.span.error);
    assert_eq!(root.span.text("http.status_code"), Some("500"));
    let view = traced::below(&spans, root, "main.fail", "/fail");
    assert_eq!(view.span.text("error.message"), Some("the warehouse is closed"));
    assert!(!traced::request(&spans, "/nowhere").0.span.error);

    // The tracer has nothing to say about its agent, and pillion has nothing to say when nothing was lost.
    let stderr = run.wrapped.stderr();
    let about_us = |line: &&str| {
        line.contains("pillion")
            || line.to_ascii_lowercase().contains("agent")
            || line.contains("Datadog")
    };
    assert_eq!(stderr.lines().filter(about_us).collect::<Vec<_>>(), Vec::<&str>::new());
}

#[test]
#[ignore = "needs ddtrace and Flask: run by tests/run.sh"]
fn every_span_arrives_in_the_form_that_the_tracer_prefers() {
    every_span_arrives(&[], "/v0.5/traces");
}

#[test]
#[ignore = "needs ddtrace and Flask: run by tests/run.sh"]
fn every_span_arrives_in_the_older_form() {
    every_span_arrives(&[("DD_TRACE_API_VERSION", "v0.4")], "/v0.4/traces");
}

#[test]
#[ignore = "needs ddtrace and Flask: run by tests/run.sh"]
fn spans_that_were_sent_arrive_when_the_app_is_killed_right_after() {
    let intake = Recorder::http();
    let mut run = start(
        &[],
        &[
            ("DD_APM_DD_URL", &intake.url()),
            ("DD_API_KEY", "0123456789abcdef0123456789abcdef"),
            // A span of ours would be one that the tracer did not send.
            ("DD_PILLION_EXIT_REPORT", "false"),
        ],
    );
    run.get("/orders/7", 200);
    wrapped::wait_until("the tracer has sent its spans", || !run.tee.spans().is_empty());
    kill(run.wrapped.app(), Signal::SIGKILL).unwrap();
    let status = run.wrapped.wait();
    assert_eq!(status.code(), Some(137));
    let spans = run.check_delivery(&intake, "python");
    traced::request(&spans, "/orders/7");
}

#[test]
#[ignore = "needs ddtrace and Flask: run by tests/run.sh"]
fn profiles_and_telemetry_arrive_and_the_tracer_says_nothing() {
    let intake = Recorder::https();
    let way = ConnectProxy::start(intake.address(), 200);
    let mut env = traced::outside(&way);
    env.extend([
        ("DD_PROFILING_ENABLED", "true".to_owned()),
        ("DD_PROFILING_UPLOAD_INTERVAL", "2".to_owned()),
        ("DD_RUNTIME_METRICS_ENABLED", "true".to_owned()),
        ("DD_DYNAMIC_INSTRUMENTATION_ENABLED", "true".to_owned()),
    ]);
    let env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut run = start(&[], &env);
    run.get("/orders/7", 200);
    traced::wait_for_profile_and_telemetry(&intake, b"profile.pprof");
    assert_eq!(run.term().code(), Some(143));
    run.check_delivery(&intake, "python");
    let stderr = run.wrapped.stderr();
    let about_us = |line: &&str| line.contains("pillion") || line.contains("atadog");
    assert_eq!(stderr.lines().filter(about_us).collect::<Vec<_>>(), Vec::<&str>::new());
}

#[test]
#[ignore = "needs ddtrace and Flask: run by tests/run.sh"]
fn an_intake_that_is_down_holds_the_end_no_longer_than_the_deadline() {
    let nobody = format!("http://127.0.0.1:{}", wrapped::free_port());
    let mut run = start(
        &[],
        &[("DD_APM_DD_URL", &nobody), ("DD_API_KEY", "0123456789abcdef0123456789abcdef")],
    );
    run.get("/orders/7", 200);
    let asked = Instant::now();
    let status = run.term();
    assert_eq!(status.code(), Some(143));
    assert!(asked.elapsed() < Duration::from_secs(10), "it took {:?}", asked.elapsed());
    let (stderr, sent) = (run.wrapped.stderr(), run.tee.spans().len());
    let told = stderr.lines().filter(|line| line.contains("not delivered")).collect::<Vec<_>>();
    assert_eq!(told.len(), 1, "one line says what was lost: {stderr}");
    assert!(told[0].contains(&sent.to_string()), "it names the {sent} spans: {told:?}");
}

#[test]
#[ignore = "needs ddtrace and Flask: run by tests/run.sh"]
fn the_view_shows_the_traces_and_leaves_the_apps_output_alone() {
    let mut run = start(&["--view", "--"], &[]);
    for (page, status) in PAGES {
        run.get(page, status);
    }
    assert_eq!(run.term().code(), Some(143));
    let stderr = run.wrapped.stderr();
    for part in [
        "GET /",
        "order.load",
        "order 7",
        "SELECT item",
        "500",
        "ValueError",
        "the warehouse is closed",
        traced::SERVICE,
    ] {
        assert!(stderr.contains(part), "no {part:?} in {stderr}");
    }

    let port = wrapped::free_port();
    let port_text = port.to_string();
    let mut env = traced::settings(&port_text);
    env.push(("DD_TRACE_ENABLED", "false"));
    let python = path().join("ddtrace-run").display().to_string();
    let mut bare =
        Wrapped::start(&[&python, "python", &wrapped::example("python/hello.py")], &path(), &env);
    bare.wait_until_serving(port);
    for (page, status) in PAGES {
        assert_eq!(wrapped::get(port, page), Some(status), "{page}: {}", bare.stderr());
    }
    bare.signal(Signal::SIGTERM);
    bare.wait();
    let expect = said(&bare);
    assert!(expect.iter().any(|line| line == "order 7 is a pillion seat"), "{expect:?}");
    assert_eq!(said(&run.wrapped), expect);
}

/// What an app wrote to its standard output, without what differs from run to run: times, ids, and the frames below an exception.
fn said(app: &Wrapped) -> Vec<String> {
    let stdout = app.stdout();
    let text = String::from_utf8_lossy(&stdout);
    // The client says so where nobody takes its metrics, as here.
    let lines = text.lines().filter(|line| !line.contains("[datadog.dogstatsd]"));
    lines
        .filter(|line| !line.starts_with("  ") && !line.starts_with("Traceback"))
        .map(|line| line.split_once("] - ").map_or(line, |(_, message)| message).to_owned())
        .collect()
}
