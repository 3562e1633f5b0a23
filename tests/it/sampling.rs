//! Which traces and spans are sent, and that every other one is counted: bodies through the pipeline, with the settings as a user writes them.

use pillion::pipeline::{OpenBuckets, TraceRequest};
use pillion::trace::Tracer;
use pillion::trace::decode::ApiVersion;
use serde_json::{Value, json};

use crate::support::decoded::{self, AgentPayload, Chunk};
use crate::support::recorded::{self, Recorded};

const NOW_NS: u64 = 1_750_000_000_000_000_000;

/// What is called rare costs nobody else a decision here: no trace is kept by its rate.
const NO_RATES: [(&str, &str); 2] = [("DD_APM_TARGET_TPS", "0"), ("DD_APM_ERROR_TPS", "0")];

/// What became of some bodies.
struct Outcome {
    payload: Option<AgentPayload>,
    /// The ids of the traces of which something was sent, in their order, each with the ids of its spans.
    sent: Vec<(u128, Vec<u64>)>,
    /// Spans that were received, sampled out, and held for sending.
    spans: (u64, u64, u64),
    /// The same of chunks.
    chunks: (u64, u64, u64),
}

impl Outcome {
    fn chunk(&self, trace_id: u128) -> &Chunk {
        let payload = self.payload.as_ref().unwrap();
        let mut chunks = payload.tracer_payloads.iter().flat_map(|payload| &payload.chunks);
        chunks.find(|chunk| chunk.trace_id == trace_id).unwrap()
    }
}

fn send(settings: &[(&str, &str)], tracer: Tracer<'_>, bodies: &[(u64, Value)]) -> Outcome {
    let mut pairs = vec![("DD_API_KEY", "k")];
    pairs.extend_from_slice(settings);
    let mut run = Recorded::new(&pairs, NOW_NS);
    for (after_ns, body) in bodies {
        let body = serde_json::to_vec(body).unwrap();
        let request = TraceRequest {
            version: ApiVersion::V04,
            content_type: Some("application/json"),
            tracer,
            body: &body,
        };
        run.pipeline.traces(&request, NOW_NS + after_ns).unwrap();
    }
    run.pipeline.flush(NOW_NS, OpenBuckets::Keep);
    let sent = run.take();
    let payload = recorded::traces(&sent).map(decoded::agent_payload);
    let chunks = payload.iter().flat_map(|payload| &payload.tracer_payloads);
    let chunks = chunks.flat_map(|payload| &payload.chunks);
    let ids = |chunk: &Chunk| chunk.spans.iter().map(|span| span.span_id).collect();
    let [spans, groups] = [run.ledger.spans.read(), run.ledger.chunks.read()]
        .map(|read| (read.received, read.sampled_out, read.held()));
    Outcome {
        sent: chunks.map(|chunk| (chunk.trace_id, ids(chunk))).collect(),
        payload,
        spans,
        chunks: groups,
    }
}

fn send_one(settings: &[(&str, &str)], body: Value) -> Outcome {
    send(settings, Tracer::default(), &[(0, body)])
}

/// A span of the trace; `more` has what differs from the usual.
fn span(trace_id: u64, span_id: u64, more: Value) -> Value {
    let mut span = json!({
        "trace_id": trace_id, "span_id": span_id, "parent_id": span_id - 1, "service": "web-store", "name": "web.request",
        "resource": "GET /cart", "start": 1_750_000_000_000_000_000_u64, "duration": 1_000_000, "meta": {}, "metrics": {},
    });
    for (key, value) in more.as_object().unwrap() {
        span[key] = value.clone();
    }
    span
}

/// A trace of one span with a priority.
fn trace(trace_id: u64, priority: i32, more: Value) -> Value {
    let mut span = span(trace_id, 1, more);
    span["metrics"]["_sampling_priority_v1"] = priority.into();
    json!([span])
}

#[test]
fn spans_that_the_tracer_sampled_by_themselves_outlive_their_trace() {
    let sampled = json!({ "metrics": { "_dd.span_sampling.mechanism": 8 }, "meta": { "kept": "with the span" } });
    let by_text = json!({ "meta": { "_dd.span_sampling.mechanism": "8" } });
    let no_number =
        json!({ "meta": { "_dd.span_sampling.mechanism": "eight", "gone": "with the span" } });
    let out = send_one(
        &[],
        json!([[
            span(7, 1, json!({ "metrics": { "_sampling_priority_v1": -1, "_dd1.sr.eausr": 1 } })),
            span(7, 2, no_number),
            span(7, 3, sampled),
            span(7, 4, by_text),
        ]]),
    );
    assert_eq!(out.sent, [(7, vec![3, 4])]);
    assert_eq!((out.spans, out.chunks), ((4, 2, 2), (1, 0, 1)));
    let chunk = out.chunk(7);
    assert_eq!((chunk.priority, chunk.dropped_trace), (2, false));
    assert_eq!(chunk.spans[0].text("kept"), Some("with the span"));
    assert_eq!(chunk.spans[0].parent_id, 2);
    let strings = &out.payload.as_ref().unwrap().tracer_payloads[0].strings;
    assert!(!strings.iter().any(|text| text == "gone" || text == "eight"), "{strings:?}");
}

#[test]
fn events_outlive_their_trace_where_no_span_was_sampled_by_itself() {
    let event = json!({ "metrics": { "_dd1.sr.eausr": 1, "_dd1.sr.eamax": 0.5 } });
    let body = json!([[
        span(
            7,
            1,
            json!({ "metrics": { "_sampling_priority_v1": 0, "_sample_rate": 0.5, "_dd1.sr.rapre": 0.25 } })
        ),
        span(7, 2, event),
        span(7, 3, json!({ "name": "other" })),
    ]]);
    let out = send_one(&[], body.clone());
    assert_eq!((&out.sent, out.spans), (&vec![(7, vec![2])], (3, 2, 1)));
    let chunk = out.chunk(7);
    assert_eq!((chunk.priority, chunk.dropped_trace), (0, true));
    let rates =
        ["_dd.analyzed", "_dd1.sr.rcusr", "_dd1.sr.rapre", "_dd1.sr.eausr", "_dd1.sr.eamax"]
            .map(|key| chunk.spans[0].number(key));
    assert_eq!(rates, [Some(1.0), Some(0.5), Some(0.25), None, None]);

    let named = [("DD_APM_ANALYZED_SPANS", "Web-Store|OTHER=1,web-store|web.request=0")];
    assert_eq!(send_one(&named, body).sent, [(7, vec![2, 3])]);
}

#[test]
fn the_events_of_a_kept_trace_are_marked_and_stay_in_it() {
    let out = send_one(
        &[("DD_APM_MAX_EPS", "0")],
        json!([
            [
                span(
                    7,
                    1,
                    json!({ "metrics": { "_sampling_priority_v1": 2, "_dd1.sr.eausr": 0.1 } })
                ),
                span(7, 2, json!({})),
            ],
            trace(8, 1, json!({ "metrics": { "_dd1.sr.eausr": 1 } })),
        ]),
    );
    assert_eq!(out.sent, [(7, vec![1, 2]), (8, vec![1])]);
    let analyzed = |trace_id| out.chunk(trace_id).spans[0].number("_dd.analyzed");
    assert_eq!(
        (analyzed(7), analyzed(8)),
        (Some(1.0), None),
        "the limit is not for the user's own"
    );
}

#[test]
fn the_errors_sampler_keeps_what_others_drop_but_not_what_the_user_drops() {
    let error = || json!({ "error": 1 });
    let body = json!([
        trace(1, 0, error()),
        trace(2, -1, error()),
        trace(3, 0, json!({})),
        trace(4, 1, error()),
    ]);
    let out = send_one(&[], body.clone());
    let ids = |out: &Outcome| out.sent.iter().map(|(id, _)| *id).collect::<Vec<_>>();
    assert_eq!(ids(&out), [1, 4]);
    assert_eq!(out.chunk(1).priority, 0);
    assert_eq!(out.chunk(1).spans[0].number("_dd.errors_sr"), Some(1.0));
    assert_eq!(out.chunk(4).spans[0].number("_dd.errors_sr"), None);
    assert_eq!(ids(&send_one(&[("DD_APM_ERROR_TPS", "0")], body)), [4]);
}

#[test]
fn traces_that_the_tracer_drops_can_be_asked_about() {
    let feature = [("DD_APM_FEATURES", "error_rare_sample_tracer_drop")];
    let by_hand = json!({ "error": 1, "meta": { "_dd.p.dm": "-4" } });
    let by_rule = json!({ "error": 1, "meta": { "_dd.p.dm": "-3" } });
    let no_number = json!({ "error": 1, "meta": { "_dd.p.dm": "+4" } });
    let body = json!([
        trace(1, -1, by_hand),
        trace(2, -1, by_rule),
        trace(3, -1, json!({})),
        trace(4, -1, no_number),
    ]);
    assert_eq!(send_one(&feature, body.clone()).sent, [(4, vec![1]), (2, vec![1])]);
    assert!(send_one(&[], body).sent.is_empty());
}

#[test]
fn rare_traces_are_kept_whatever_their_priority_says() {
    let mut settings = NO_RATES.to_vec();
    settings.push(("DD_APM_ENABLE_RARE_SAMPLER", "true"));
    let resource = |name: &str| json!({ "resource": name });
    // As the agent does it, the last trace takes the place of one that is dropped: 4 is looked at before 2.
    let body = json!([
        trace(1, -1, resource("first")),
        trace(2, 0, resource("a")),
        trace(3, 0, resource("b")),
        trace(4, 0, resource("a")),
    ]);
    let five_minutes_ns = 300_000_000_000;
    let again = json!([trace(5, 0, resource("a")), trace(6, 0, resource("first"))]);
    let later = json!([trace(7, 0, resource("b"))]);
    let bodies = [(0, body), (five_minutes_ns, again), (five_minutes_ns + 1, later)];
    let out = send(&settings, Tracer::default(), &bodies);
    assert_eq!(out.sent, [(4, vec![1]), (3, vec![1]), (7, vec![1])]);
    assert_eq!(out.chunk(4).spans[0].number("_dd.rare"), Some(1.0));
    assert!(out.payload.as_ref().unwrap().rare_sampler_enabled);
    assert!(send(&NO_RATES, Tracer::default(), &bodies).sent.is_empty());
}

#[test]
fn only_spans_that_stats_are_made_of_are_rare() {
    let mut settings = NO_RATES.to_vec();
    settings.push(("DD_APM_ENABLE_RARE_SAMPLER", "true"));
    let inner = |id, resource: &str, metrics: Value| {
        json!([
            span(id, 1, json!({ "metrics": { "_sampling_priority_v1": 0 } })),
            span(id, 2, json!({ "resource": resource, "metrics": metrics })),
        ])
    };
    let out = send_one(
        &settings,
        json!([
            inner(1, "a", json!({})),
            inner(2, "b", json!({ "_dd.measured": 1 })),
            inner(3, "c", json!({ "_dd.top_level": 1 })),
            trace(4, 0, json!({})),
            inner(5, "d", json!({})),
        ]),
    );
    assert_eq!(out.sent, [(1, vec![1, 2]), (2, vec![1, 2]), (3, vec![1, 2])]);
    assert_eq!(out.chunk(1).spans[0].number("_dd.rare"), Some(1.0));
    assert_eq!(out.chunk(2).spans[1].number("_dd.rare"), Some(1.0));
}

#[test]
fn the_probabilistic_sampler_decides_instead_of_the_tracer() {
    let settings = |percentage| {
        [
            ("DD_APM_PROBABILISTIC_SAMPLER_ENABLED", "true"),
            ("DD_APM_PROBABILISTIC_SAMPLER_SAMPLING_PERCENTAGE", percentage),
        ]
    };
    let body = json!([
        trace(1, -1, json!({})),
        trace(2, 2, json!({ "error": 1, "meta": { "_dd.p.dm": "-4" } })),
    ]);
    let all = send_one(&settings("100"), body.clone());
    assert_eq!(all.sent, [(1, vec![1]), (2, vec![1])]);
    assert_eq!((all.chunk(1).priority, all.chunk(1).sampling_mechanism), (1, 9));
    assert_eq!(all.chunk(1).spans[0].number("_dd.prob_sr"), Some(1.0));
    assert_eq!(all.chunk(2).spans[0].number("_dd.errors_sr"), Some(1.0));
    assert_eq!(all.chunk(2).spans[0].text("_dd.p.dm"), Some("-4"));

    let errors = send_one(&settings("0"), body.clone());
    assert_eq!(errors.sent, [(2, vec![1])]);
    assert_eq!((errors.chunk(2).priority, errors.chunk(2).sampling_mechanism), (1, 4));

    let mut no_errors = settings("100").to_vec();
    no_errors.push(("DD_APM_ERROR_TPS", "0"));
    assert_eq!(
        send_one(&no_errors, body).sent,
        [(1, vec![1])],
        "of errors its sampler has the last word"
    );
}

#[test]
fn where_errors_alone_are_tracked_all_others_are_sent_as_dropped() {
    let settings = [("DD_APM_ERROR_TRACKING_STANDALONE_ENABLED", "true")];
    let exception = json!({ "meta": { "_dd.span_events.has_exception": "true" } });
    let out = send_one(
        &settings,
        json!([
            trace(
                1,
                2,
                json!({ "metrics": { "_dd.span_sampling.mechanism": 8, "_dd1.sr.eausr": 1 } })
            ),
            trace(2, -1, json!({ "error": 1 })),
            trace(3, 0, exception),
        ]),
    );
    assert_eq!(out.sent, [(1, vec![1]), (2, vec![1]), (3, vec![1])]);
    assert_eq!((out.spans, out.chunks), ((3, 0, 3), (3, 0, 3)));
    let dropped = |id| (out.chunk(id).dropped_trace, out.chunk(id).attributes.len());
    assert_eq!([dropped(1), dropped(2), dropped(3)], [(true, 0), (false, 1), (false, 1)]);
    let tag = decoded::Value::Text("true".to_owned());
    assert_eq!(out.chunk(2).attributes["_dd.error_tracking_standalone.error"], tag);
    assert_eq!(out.chunk(1).spans[0].number("_dd.analyzed"), None);
}

#[test]
fn what_the_tracer_dropped_counts_for_the_chunks_that_are_left() {
    let body = json!([
        trace(1, 0, json!({})),
        trace(2, 0, json!({})),
        trace(3, 0, json!({})),
        trace(4, 1, json!({})),
    ]);
    let tracer = Tracer { dropped_p0_traces: 60, ..Tracer::default() };
    let last = json!([trace(5, 1, json!({}))]);
    let out = send(&[], tracer, &[(0, body), (5_000_000_000, last)]);
    // In the agent's order 1, 4, 2, 3, while 4, 3, 3 and 2 chunks are left.
    let seen = [60.0 / 4.0, 60.0 / 3.0, 60.0 / 3.0, 60.0 / 2.0].map(|dropped: f64| 1.0 + dropped);
    let rate = out.chunk(5).spans[0].number("_sampling_priority_rate_v1");
    assert_eq!(rate, Some(10.0 / (seen.iter().sum::<f64>() / 5.0)));
}

#[test]
fn the_rate_of_the_tracer_is_named_on_the_root() {
    let rates = |rate: Value| json!({ "meta": { "_sample_rate": rate }, "metrics": { "_dd1.sr.rcusr": 0.75 } });
    let out = send_one(
        &[],
        json!([
            trace(1, 1, rates("0.5".into())),
            trace(2, 1, rates("1".into())),
            trace(3, 1, json!({}))
        ]),
    );
    let named = |id| out.chunk(id).spans[0].number("_dd1.sr.rcusr");
    assert_eq!([named(1), named(2), named(3)], [Some(0.5), None, None]);
}
