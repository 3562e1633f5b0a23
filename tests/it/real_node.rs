//! An Express app with the real Node tracer under the release binary: what the tracer sends is what arrives, in both forms that it speaks.

use std::path::PathBuf;

use crate::support::connect_proxy::ConnectProxy;
use crate::support::recorder::Recorder;
use crate::support::traced::{self, Run};
use crate::support::wrapped;

/// Every request of the example, then TERM, on which it stops serving, sends what it holds and ends with 0.
fn every_span_arrives(env: &[(&str, &str)], endpoint: &str) {
    let modules = wrapped::cache().join("node/node_modules");
    assert!(
        modules.join("dd-trace").exists(),
        "no {}: tests/run.sh installs the tracers",
        modules.display()
    );
    let intake = Recorder::http();
    let (url, modules) = (intake.url(), modules.display().to_string());
    let mut all = vec![
        ("DD_APM_DD_URL", url.as_str()),
        ("DD_API_KEY", "0123456789abcdef0123456789abcdef"),
        ("NODE_PATH", modules.as_str()),
    ];
    all.extend(env);
    let mut run = Run::start(
        &[],
        &["node", &wrapped::example("node/app.js")],
        &PathBuf::from("/usr/local/bin"),
        &all,
    );
    run.get("/", 200);
    run.get("/orders/7", 200);
    run.get("/fail", 500);
    run.get("/nowhere", 404);
    let status = run.term();
    assert_eq!(status.code(), Some(0), "the app ends by itself: {}", run.wrapped.stderr());
    assert!(run.tee.used(endpoint), "the tracer speaks {endpoint}");

    let spans = run.check_delivery(&intake, "nodejs");
    let (root, _) = traced::request(&spans, "/");
    assert_eq!((root.span.name.as_str(), root.span.resource.as_str()), ("express.request", "GET"));
    assert_eq!(
        (root.span.text("http.status_code"), root.span.service.as_str()),
        (Some("200"), traced::SERVICE)
    );

    // One trace through two requests: the page, its own span, the request that it sends, and the route that answers it.
    let (root, below) = traced::request(&spans, "/orders/7");
    assert!(below > 3, "only {below} spans below /orders/7");
    let own = traced::below(&spans, root, "order.load", "order 7");
    assert_eq!(own.span.number("order.number"), Some(7.0));
    let stock = traced::below(&spans, root, "express.request", "GET /stock/:number");
    let asking = &spans[&stock.span.parent_id];
    assert_eq!((asking.span.parent_id, asking.span.span_kind), (own.span.span_id, 3));

    let (root, _) = traced::request(&spans, "/fail");
    assert!(root.span.error);
    assert_eq!(
        (root.span.text("http.status_code"), root.span.text("error.message")),
        (Some("500"), Some("the warehouse is closed"))
    );
    assert!(!traced::request(&spans, "/nowhere").0.span.error);
}

#[test]
#[ignore = "needs dd-trace and Express: run by tests/run.sh"]
fn every_span_arrives_in_the_form_that_the_tracer_prefers() {
    every_span_arrives(&[], "/v0.4/traces");
}

#[test]
#[ignore = "needs dd-trace and Express: run by tests/run.sh"]
fn every_span_arrives_in_the_form_with_a_string_table() {
    every_span_arrives(&[("DD_TRACE_AGENT_PROTOCOL_VERSION", "0.5")], "/v0.5/traces");
}

#[test]
#[ignore = "needs dd-trace and Express: run by tests/run.sh"]
fn profiles_and_telemetry_arrive_and_the_tracer_says_nothing() {
    let modules = wrapped::cache().join("node/node_modules").display().to_string();
    let intake = Recorder::https();
    let way = ConnectProxy::start(intake.address(), 200);
    let mut env = traced::outside(&way);
    env.extend([
        ("NODE_PATH", modules),
        ("DD_PROFILING_ENABLED", "true".to_owned()),
        ("DD_PROFILING_UPLOAD_PERIOD", "2".to_owned()),
        ("DD_RUNTIME_METRICS_ENABLED", "true".to_owned()),
    ]);
    let env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let command = ["node", &wrapped::example("node/app.js")];
    let mut run = Run::start(&[], &command, &PathBuf::from("/usr/local/bin"), &env);
    run.get("/orders/7", 200);
    traced::wait_for_profile_and_telemetry(&intake, b"wall.pprof");
    assert_eq!(run.term().code(), Some(0));
    run.check_delivery(&intake, "nodejs");
    let stderr = run.wrapped.stderr();
    let about_us = |line: &&str| line.contains("pillion") || line.contains("atadog");
    assert_eq!(stderr.lines().filter(about_us).collect::<Vec<_>>(), Vec::<&str>::new());
}
