//! What payloads say of this place, and when stats of tracers leave: bodies through the pipeline, with the settings as a user writes them.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use pillion::config::{self, Env, Mode};
use pillion::ledger::Ledger;
use pillion::pipeline::{OpenBuckets, Pipeline, TraceRequest};
use pillion::relay::{Kind, Payload};
use pillion::trace::Tracer;
use pillion::trace::decode::ApiVersion;
use serde_json::{Value, json};

use crate::support::decoded::{self, AgentPayload, Span};

const NOW_NS: u64 = 1_750_000_000_000_000_000;
const SECOND_NS: u64 = 1_000_000_000;

const ID: (&str, &str) = ("DD_INSTRUMENTATION_INSTALL_ID", "an-id");
const KIND: (&str, &str) = ("DD_INSTRUMENTATION_INSTALL_TYPE", "docker");
const TIME: (&str, &str) = ("DD_INSTRUMENTATION_INSTALL_TIME", "1700000000");

type Sent = Rc<RefCell<Vec<Payload>>>;

fn pipeline(settings: &[(&str, &str)]) -> (Pipeline, Sent) {
    let pairs = [&[("DD_API_KEY", "k")], settings].concat();
    let (settings, problems) = config::read(&Env::of(&pairs), Mode::Wrapper);
    assert!(problems.is_empty(), "{problems:?}");
    let sent = Sent::default();
    let outlet = Rc::clone(&sent);
    let outlet = move |payload| {
        outlet.borrow_mut().push(payload);
        Vec::new()
    };
    let ledger = Arc::new(Ledger::default());
    (Pipeline::new(settings.pipeline, ledger, Box::new(outlet), None, NOW_NS), sent)
}

/// The payload that these bodies make.
fn payload(settings: &[(&str, &str)], bodies: &[Value]) -> AgentPayload {
    let (mut pipeline, sent) = pipeline(settings);
    for body in bodies {
        let body = serde_json::to_vec(body).unwrap();
        let request = TraceRequest {
            version: ApiVersion::V04,
            content_type: Some("application/json"),
            tracer: Tracer::default(),
            body: &body,
        };
        pipeline.traces(&request, NOW_NS).unwrap();
    }
    pipeline.flush(NOW_NS, OpenBuckets::Keep);
    let sent = sent.borrow();
    let traces = sent.iter().find(|payload| payload.kind == Kind::Traces).unwrap();
    decoded::agent_payload(&traces.body)
}

/// A trace of a root and a child, both of `service`.
fn trace(id: u64, service: &str, priority: i32, meta: &Value) -> Value {
    let span = |span_id: u64, parent_id: u64, meta: &Value| {
        json!({
            "trace_id": id, "span_id": span_id, "parent_id": parent_id, "service": service, "name": "n", "resource": "r",
            "start": NOW_NS, "duration": 1, "meta": meta, "metrics": {"_sampling_priority_v1": priority},
        })
    };
    json!([span(id * 10 + 1, id * 10, &json!({})), span(id * 10, 0, meta)])
}

fn span(payload: &AgentPayload, id: u64) -> &Span {
    let chunks = payload.tracer_payloads.iter().flat_map(|payload| &payload.chunks);
    chunks.flat_map(|chunk| &chunk.spans).find(|span| span.span_id == id).unwrap()
}

fn install(span: &Span) -> [Option<&str>; 3] {
    ["_dd.install.id", "_dd.install.type", "_dd.install.time"].map(|key| span.text(key))
}

#[test]
fn the_first_trace_of_each_service_that_is_kept_says_how_tracing_was_installed() {
    let none = json!({});
    let bodies = [
        json!([trace(1, "web", -1, &none)]),
        json!([trace(2, "web", 1, &none), trace(3, "web", 1, &none)]),
        json!([trace(4, "db", 2, &none), trace(5, "web", 1, &none)]),
    ];
    let sent = payload(&[ID, KIND, TIME], &bodies);
    let all = [Some("an-id"), Some("docker"), Some("1700000000")];
    for (id, expect) in [(20, all), (21, [None; 3]), (30, [None; 3]), (40, all), (41, [None; 3])] {
        assert_eq!(install(span(&sent, id)), expect, "{id}");
    }
    assert_eq!(install(span(&sent, 50)), [None; 3]);
}

#[test]
fn what_the_tracer_says_of_its_installation_stays_and_without_an_id_nothing_is_said() {
    let own = json!({"_dd.install.id": "own", "_dd.install.time": "7"});
    let sent = payload(&[ID, KIND, TIME], &[json!([trace(1, "web", 1, &own)])]);
    assert_eq!(install(span(&sent, 10)), [Some("own"), Some("docker"), Some("7")]);
    let sent = payload(&[ID], &[json!([trace(1, "web", 1, &json!({}))])]);
    assert_eq!(install(span(&sent, 10)), [Some("an-id"), Some(""), Some("0")]);
    let sent = payload(&[KIND, TIME], &[json!([trace(1, "web", 1, &json!({}))])]);
    assert_eq!(install(span(&sent, 10)), [None; 3]);
}

#[test]
fn a_trace_that_counts_as_dropped_says_nothing_of_it() {
    let event = json!({"_dd.span_sampling.mechanism": "8"});
    let mut dropped = trace(1, "web", 0, &json!({}));
    // An analytics event of a trace that is dropped: it is sent, and the trace counts as dropped.
    dropped[0]["metrics"] = json!({"_dd1.sr.eausr": 1, "_sampling_priority_v1": 0});
    dropped[0]["service"] = json!("web");
    let sent = payload(
        &[ID, ("DD_APM_TARGET_TPS", "0"), ("DD_APM_ERROR_TPS", "0")],
        &[json!([dropped, trace(2, "web", 1, &event)])],
    );
    assert_eq!(install(span(&sent, 11)), [None; 3]);
    assert_eq!(install(span(&sent, 20))[0], Some("an-id"));
}

#[test]
fn the_mode_is_a_tag_of_every_payload() {
    let bodies = [json!([trace(1, "web", 1, &json!({}))])];
    let tags = |settings: &[(&str, &str)]| payload(settings, &bodies).tags;
    assert!(tags(&[]).is_empty());
    let expect = [("_dd.apm_mode".to_owned(), "edge".to_owned())];
    assert_eq!(tags(&[("DD_APM_MODE", "edge")]), expect.into());
}

#[test]
fn the_pairs_that_rates_are_told_of_are_limited() {
    let services = |settings: &[(&str, &str)]| {
        let (mut pipeline, _) = pipeline(settings);
        for second in 0..20 {
            let bodies: Vec<Value> =
                (1..9).map(|id| trace(id, &format!("s{id}"), 1, &json!({}))).collect();
            let body = serde_json::to_vec(&json!(bodies)).unwrap();
            let request = TraceRequest {
                version: ApiVersion::V04,
                content_type: Some("application/json"),
                tracer: Tracer::default(),
                body: &body,
            };
            pipeline.traces(&request, NOW_NS + second * SECOND_NS).unwrap();
        }
        // Of each service with its env and, for tracers that name none, without.
        // Each once with its env, and once without for tracers that name none.
        String::from_utf8(pipeline.reply().body.clone()).unwrap().matches("service:s").count()
    };
    assert_eq!(services(&[]), 16);
    assert_eq!(services(&[("DD_APM_MAX_CATALOG_SERVICES", "3")]), 6);
}

#[test]
fn stats_of_tracers_are_looked_at_as_often_as_is_set() {
    let text = rmpv::Value::from;
    let map = |entries: &[(&str, rmpv::Value)]| {
        rmpv::Value::Map(
            entries.iter().map(|(key, value)| ((*key).into(), value.clone())).collect(),
        )
    };
    let group = map(&[("Service", text("s")), ("Name", text("n")), ("Hits", 1.into())]);
    let bucket = map(&[
        ("Start", NOW_NS.into()),
        ("Duration", (10 * SECOND_NS).into()),
        ("Stats", rmpv::Value::Array(vec![group])),
    ]);
    let payload = map(&[("Env", text("e")), ("Stats", rmpv::Value::Array(vec![bucket]))]);
    let mut body = Vec::new();
    rmpv::encode::write_value(&mut body, &payload).unwrap();
    // A bucket is complete after some 20 seconds.
    let left_at = |interval: &str| {
        let (mut pipeline, sent) = pipeline(&[("DD_APM_CLIENT_STATS_FLUSH_INTERVAL", interval)]);
        pipeline.client_stats(&Tracer::default(), &body, NOW_NS).unwrap();
        (0..200).find(|second| {
            pipeline.tick(NOW_NS + second * SECOND_NS);
            !sent.borrow().is_empty()
        })
    };
    assert_eq!(left_at("1"), Some(20));
    assert_eq!(left_at("7"), Some(21));
    assert_eq!(left_at("15"), Some(30));
    assert_eq!(left_at("60"), Some(60));
}
