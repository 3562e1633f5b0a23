//! A net/http app with the real Go tracer under the release binary: what the tracer sends is what arrives, in the form that it prefers (v1.0)
//! and in the older one.

use std::path::PathBuf;

use crate::support::recorder::Recorder;
use crate::support::traced::{self, Run};
use crate::support::wrapped;

/// The app's own exit code on TERM.
const EXIT_CODE: i32 = 7;

/// Every page of the app, then TERM, on which it stops serving, sends what it holds and ends with its own code.
fn every_span_arrives(env: &[(&str, &str)], endpoint: &str) {
    let app = wrapped::cache().join("go/app");
    assert!(app.exists(), "no {}: tests/run.sh builds it", app.display());
    let intake = Recorder::http();
    let url = intake.url();
    let mut all = vec![
        ("DD_APM_DD_URL", url.as_str()),
        ("DD_API_KEY", "0123456789abcdef0123456789abcdef"),
        ("DD_TRACE_STARTUP_LOGS", "false"),
    ];
    all.extend(env);
    let app = app.display().to_string();
    let mut run = Run::start(&[], &[app.as_str()], &PathBuf::from("/usr/local/bin"), &all);
    run.get("/", 200);
    run.get("/orders/7", 200);
    run.get("/fail", 500);
    run.get("/nowhere", 404);
    let status = run.term();
    assert_eq!(status.code(), Some(EXIT_CODE), "the app's own code: {}", run.wrapped.stderr());
    assert!(run.tee.used(endpoint), "the tracer speaks {endpoint}");

    let spans = run.check_delivery(&intake, "go");
    let (root, _) = traced::request(&spans, "/");
    assert_eq!((root.span.name.as_str(), root.span.service.as_str()), ("http.request", "hello"));
    assert_eq!(root.span.text("http.status_code"), Some("200"));

    // One trace through two requests: the page, its own span, the request that it sends, and the page that answers it.
    let (root, below) = traced::request(&spans, "/orders/7");
    assert_eq!(below, 3);
    let own = traced::below(&spans, root, "order.load", "order 7");
    assert_eq!(own.span.number("order.number"), Some(7.0));
    let stock = traced::below(&spans, root, "http.request", "GET /stock/");
    let asking = &spans[&stock.span.parent_id];
    assert_eq!((asking.span.parent_id, asking.span.span_kind), (own.span.span_id, 3));

    let (root, _) = traced::request(&spans, "/fail");
    assert!(root.span.error);
    assert_eq!(root.span.text("http.status_code"), Some("500"));
    let check = traced::below(&spans, root, "order.check", "");
    assert_eq!(
        (check.span.error, check.span.text("error.message")),
        (true, Some("the warehouse is closed"))
    );
    assert!(!traced::request(&spans, "/nowhere").0.span.error);
}

#[test]
#[ignore = "needs an app built with dd-trace-go: run by tests/run.sh"]
fn every_span_arrives_in_the_form_that_the_tracer_prefers() {
    every_span_arrives(&[], "/v1.0/traces");
}

#[test]
#[ignore = "needs an app built with dd-trace-go: run by tests/run.sh"]
fn every_span_arrives_in_the_older_form() {
    every_span_arrives(&[("DD_TRACE_AGENT_PROTOCOL_VERSION", "0.4")], "/v0.4/traces");
}
