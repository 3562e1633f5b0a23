//! Payloads of the agent's older form (`tracerPayloads`): who asks for them, and where they go. What is in them, field by field, is compared with
//! the agent's by `tests/conformance`; here the vendor's own protobuf types read them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use libdd_trace_protobuf::pb::{AgentPayload, Span};
use nix::sys::signal::Signal;
use pillion::pipeline::{OpenBuckets, TraceRequest};
use pillion::relay::Kind;
use pillion::trace::Tracer;
use pillion::trace::decode::ApiVersion;
use prost::Message;
use serde_json::{Value, json};

use crate::support::http::Client;
use crate::support::recorded::Recorded;
use crate::support::recorder::{Recorder, Request};
use crate::support::wrapped::{Wrapped, free_port, get, pillion, wait_until};

const KEY: &str = "7ae4f9ccb1c2d3e4f5061728394a5b6d";
const NOW_NS: u64 = 1_750_000_000_000_000_000;
const FEATURE: (&str, &str) = ("DD_APM_FEATURES", "disable-convert-traces");
const OPW: &str = "DD_OBSERVABILITY_PIPELINES_WORKER_TRACES_ENABLED";
const OPW_URL: &str = "DD_OBSERVABILITY_PIPELINES_WORKER_TRACES_URL";

fn trace(id: u64) -> Value {
    json!([{
        "trace_id": id, "span_id": id, "service": "web-store", "name": "web.request", "resource": "GET /cart", "type": "web",
        "start": NOW_NS, "duration": 1_000_000, "error": 1,
        "meta": {"env": "prod", "version": "1.2.3", "http.method": "GET"}, "metrics": {"_sampling_priority_v1": 1, "size": 7},
    }])
}

/// Sends two traces to an app's agent with these variables, ends it, and gives what `/info` said of its endpoints.
fn run(env: &[(&str, &str)]) -> Vec<String> {
    let port = free_port();
    let port_text = port.to_string();
    let base = [
        ("DD_API_KEY", KEY),
        ("DD_APM_RECEIVER_PORT", port_text.as_str()),
        ("DD_APM_TELEMETRY_ENABLED", "false"),
        ("DD_TAGS", "team:cart"),
    ];
    let pillion = pillion().display().to_string();
    let all = [&base, env].concat();
    let mut wrapped = Wrapped::start(&[&pillion, "sleep", "60"], Path::new("/bin"), &all);
    wait_until("it takes requests", || get(port, "/info") == Some(200));
    let mut client = Client::tcp(SocketAddr::from(([127, 0, 0, 1], port)));
    let info: Value = serde_json::from_str(client.ask("GET", "/info", &[], b"").text()).unwrap();
    let body = json!([trace(1), trace(2)]).to_string();
    let headers = [("Content-Type", "application/json"), ("Datadog-Meta-Lang", "python")];
    let answer = client.ask("POST", "/v0.4/traces", &headers, body.as_bytes());
    assert_eq!(answer.status, 200, "{answer:?}");
    wrapped.signal(Signal::SIGTERM);
    assert_eq!(wrapped.wait().code(), Some(143));
    assert_eq!(wrapped.stderr(), "");
    let endpoints = info["endpoints"].as_array().unwrap();
    endpoints.iter().map(|path| path.as_str().unwrap().to_owned()).collect()
}

/// The bodies that were sent to a path.
fn sent(to: &Recorder, path: &str) -> Vec<Request> {
    to.requests().into_iter().filter(|request| request.path == path).collect()
}

/// The spans of the two traces, which came in one payload of the older form.
fn spans(request: &Request) -> Vec<Span> {
    let payload = AgentPayload::decode(request.body.as_slice()).unwrap();
    assert!(payload.idx_tracer_payloads.is_empty());
    assert_eq!((payload.env.as_str(), payload.target_tps), ("none", 10.0));
    let [tracer] = payload.tracer_payloads.as_slice() else { panic!("{payload:?}") };
    assert_eq!((tracer.env.as_str(), tracer.app_version.as_str()), ("prod", "1.2.3"));
    assert_eq!(tracer.language_name, "python");
    tracer.chunks.iter().flat_map(|chunk| chunk.spans.clone()).collect()
}

fn check_spans(request: &Request) {
    let mut spans = spans(request);
    spans.sort_by_key(|span| span.span_id);
    assert_eq!(spans.iter().map(|span| span.trace_id).collect::<Vec<_>>(), [1, 2]);
    for span in spans {
        assert_eq!(
            (
                span.service.as_str(),
                span.name.as_str(),
                span.resource.as_str(),
                span.r#type.as_str()
            ),
            ("web-store", "web.request", "GET /cart", "web")
        );
        assert_eq!((span.start, span.duration, span.error), (NOW_NS as i64, 1_000_000, 1));
        let text = |key: &str| span.meta.get(key).map(String::as_str);
        assert_eq!((text("http.method"), text("team")), (Some("GET"), Some("cart")));
        let numbers: BTreeMap<_, _> =
            span.metrics.iter().map(|(key, value)| (key.as_str(), *value)).collect();
        assert_eq!((numbers["size"], numbers["_top_level"]), (7.0, 1.0));
    }
}

#[test]
fn the_feature_flag_changes_the_form_and_nothing_else() {
    let datadog = Recorder::http();
    let endpoints = run(&[FEATURE, ("DD_APM_DD_URL", &datadog.url())]);
    // What a tracer sends as v1.0 leaves in the default form here, which Datadog reads: the agent does the same.
    assert!(endpoints.iter().any(|path| path == "/v1.0/traces"));
    let [traces] = &sent(&datadog, "/api/v0.2/traces")[..] else { panic!() };
    check_spans(traces);
    assert_eq!(sent(&datadog, "/api/v0.2/stats").len(), 1);
}

#[test]
fn vector_takes_the_place_of_datadog_and_gets_what_it_reads() {
    let (vector, datadog) = (Recorder::http(), Recorder::http());
    let endpoints = run(&[
        ("DD_VECTOR_TRACES_ENABLED", "true"),
        ("DD_VECTOR_TRACES_URL", &vector.url()),
        ("DD_APM_DD_URL", &datadog.url()),
    ]);
    assert!(endpoints.iter().any(|path| path == "/v0.4/traces"));
    assert!(!endpoints.iter().any(|path| path == "/v1.0/traces"), "{endpoints:?}");
    assert!(datadog.requests().is_empty());
    let [traces] = &sent(&vector, "/api/v0.2/traces")[..] else { panic!() };
    check_spans(traces);
    assert_eq!(traces.method, "POST");
    for (name, value) in [
        ("content-type", "application/x-protobuf"),
        ("content-encoding", "zstd"),
        ("dd-api-key", KEY),
        ("x-datadog-reported-languages", "python"),
    ] {
        assert_eq!(traces.header(name), Some(value), "{name}");
    }
    assert!(traces.header("user-agent").unwrap().starts_with("Datadog Trace Agent/"));
    assert_eq!(sent(&vector, "/api/v0.2/stats").len(), 1);
}

#[test]
fn further_destinations_get_the_same_as_the_worker() {
    let (worker, further) = (Recorder::http(), Recorder::http());
    let copies = json!({ further.url(): ["an0ther-key"] }).to_string();
    run(&[(OPW, "true"), (OPW_URL, &worker.url()), ("DD_APM_ADDITIONAL_ENDPOINTS", &copies)]);
    for (to, key) in [(&worker, KEY), (&further, "an0ther-key")] {
        let [traces] = &sent(to, "/api/v0.2/traces")[..] else { panic!() };
        check_spans(traces);
        assert_eq!(traces.header("dd-api-key"), Some(key));
        assert_eq!(sent(to, "/api/v0.2/stats").len(), 1);
    }
    assert_eq!(
        sent(&worker, "/api/v0.2/traces")[0].wire,
        sent(&further, "/api/v0.2/traces")[0].wire
    );
}

#[test]
fn bodies_of_v10_leave_in_the_default_form_beside_the_others() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/0009-v10-all-fields");
    let v10 = std::fs::read(folder.join("body.bin")).unwrap();
    let mut run = Recorded::new(&[("DD_API_KEY", "k"), FEATURE], NOW_NS);
    let json = json!([trace(1), trace(2)]).to_string();
    for (version, content_type, body) in [
        (ApiVersion::V04, "application/json", json.as_bytes()),
        (ApiVersion::V10, "application/msgpack", &v10),
        (ApiVersion::V04, "application/json", json.as_bytes()),
    ] {
        let (tracer, content_type) = (Tracer::default(), Some(content_type));
        run.pipeline.traces(&TraceRequest { version, content_type, tracer, body }, NOW_NS).unwrap();
    }
    run.pipeline.flush(NOW_NS, OpenBuckets::Keep);
    let sent = run.take();
    let mut traces: Vec<_> = sent.iter().filter(|payload| payload.kind == Kind::Traces).collect();
    traces.sort_by_key(|payload| payload.counts.chunks);
    let counted: u64 = traces.iter().map(|payload| payload.counts.spans).sum();
    assert_eq!(run.ledger.spans.read().held(), counted);
    let payloads =
        traces.iter().map(|payload| AgentPayload::decode(payload.body.as_slice()).unwrap());
    let forms: Vec<(usize, usize)> = payloads
        .map(|payload| (payload.tracer_payloads.len(), payload.idx_tracer_payloads.len()))
        .collect();
    let mut forms = forms;
    forms.sort_unstable();
    assert_eq!(forms, [(0, 1), (1, 0)]);
}
