//! Random bodies through the pipeline, and what is sent compared with a slow reference that knows nothing of tables, numbers and places: every
//! span with every attribute, and every count of every group. (Nothing in these bodies is to be hidden, filtered or sampled.)

mod model;
mod normal;
mod payload;
mod stats;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use pillion::config::{self, Env, Mode};
use pillion::ledger::Ledger;
use pillion::pipeline::{OpenBuckets, Pipeline, TraceRequest};
use pillion::relay::{Kind, Payload};
use pillion::trace::Tracer;
use pillion::trace::decode::ApiVersion;

use self::model::{Body, Form};
use self::payload::{Head, Request};
use crate::support::decoded::{self, Chunk, TracerPayload, Value};

const START_NS: u64 = 1_750_000_003_000_000_000;

/// Chunks in their order, by the payload that they are in.
type Sent = BTreeMap<Head, Vec<Chunk>>;

/// A pipeline that keeps everything, with tags of the user's own.
fn pipeline(sent: &Rc<RefCell<Vec<Payload>>>, ledger: &Arc<Ledger>) -> Pipeline {
    let own_tags = payload::OWN_TAGS.map(|(key, value)| format!("{key}:{value}")).join(",");
    let variables =
        [("DD_TAGS", own_tags.as_str()), ("DD_APM_SPAN_DERIVED_PRIMARY_TAGS", "[\"team\"]")];
    let settings = config::read(&Env::of(&variables), Mode::Wrapper).0.pipeline;
    assert!(!settings.sending, "without a key nothing is sampled out");
    let outlet = Rc::clone(sent);
    let outlet = move |payload| {
        outlet.borrow_mut().push(payload);
        Vec::new()
    };
    Pipeline::new(settings, Arc::clone(ledger), Box::new(outlet), None, START_NS)
}

fn take(pipeline: &mut Pipeline, body: &Body, request: &Request) {
    let (version, media) = match body.form {
        Form::V04 => (ApiVersion::V04, "application/msgpack"),
        Form::V05 => (ApiVersion::V05, "application/msgpack"),
        Form::Json => (ApiVersion::V04, "application/json"),
    };
    let traces = TraceRequest {
        version,
        content_type: Some(media),
        tracer: Tracer {
            lang: request.lang,
            computed_top_level: request.computed_top_level,
            computed_stats: request.computed_stats,
            ..Tracer::default()
        },
        body: &body.encode(),
    };
    pipeline.traces(&traces, request.now_ns).unwrap_or_else(|error| panic!("{error}: {body:?}"));
}

/// The head and the chunks of a payload that was sent.
fn read(payload: TracerPayload) -> (Head, Vec<Chunk>) {
    let attribute = |key: &str| match payload.attributes.get(key) {
        Some(Value::Text(text)) => text.clone(),
        None => String::new(),
        Some(other) => panic!("{key}: {other:?}"),
    };
    let head = Head {
        lang: payload.language_name.clone(),
        env: payload.env.clone(),
        hostname: payload.hostname.clone(),
        version: payload.app_version.clone(),
        commit: attribute("_dd.git.commit.sha"),
        apm_mode: attribute("_dd.apm_mode"),
        process_tags: attribute("_dd.tags.process"),
    };
    (head, payload.chunks)
}

/// Some bodies, one after the other, and all that is sent of them.
fn check(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let (sent, ledger) = (Rc::default(), Arc::new(Ledger::default()));
    let mut pipeline = pipeline(&sent, &ledger);
    let mut expected = Sent::new();
    let mut stats = stats::Stats::new(START_NS);
    let (mut now_ns, mut received, mut held) = (START_NS, 0, 0);
    for _ in 0..random.usize(1..16) {
        now_ns += random.u64(0..9_000_000_000);
        let request = Request {
            lang: if random.u8(..5) == 0 { "" } else { "python" },
            computed_top_level: random.u8(..5) == 0,
            computed_stats: random.u8(..8) == 0,
            now_ns,
        };
        let form = [Form::V04, Form::V04, Form::V05, Form::Json][random.usize(..4)];
        let body = Body::random(&mut random, form, now_ns);
        take(&mut pipeline, &body, &request);
        let head = payload::head(&body, &request);
        received += body.chunks.iter().map(Vec::len).sum::<usize>() as u64;
        for chunk in payload::chunks(&body, &request) {
            held += chunk.spans.len() as u64;
            stats.count(&chunk, &head, &request);
            expected.entry(head.clone()).or_default().push(chunk);
        }
        if random.u8(..3) == 0 {
            pipeline.tick(now_ns);
            stats.tick(now_ns);
        }
    }
    pipeline.flush(now_ns, OpenBuckets::Flush);
    let (mut ours, mut counted) = (Sent::new(), BTreeMap::new());
    for payload in sent.take() {
        match payload.kind {
            Kind::Traces => {
                for tracer in decoded::agent_payload(&payload.body).tracer_payloads {
                    let (head, chunks) = read(tracer);
                    ours.entry(head).or_default().extend(chunks);
                }
            }
            Kind::Stats => {
                let groups = stats::read(&payload.body, &mut counted);
                assert_eq!(payload.counts.stats_groups, groups as u64);
            }
            other => panic!("a payload of {other:?}"),
        }
    }
    let spans = ledger.spans.read();
    assert_eq!((spans.received, spans.held()), (received, held), "seed {seed}");
    compare(&ours, &expected, seed);
    for (key, counts) in &stats.groups {
        assert_eq!(counted.get(key), Some(counts), "seed {seed}: {key:#?}");
    }
    assert_eq!(counted.len(), stats.groups.len(), "seed {seed}");
}

/// Compares span by span, so that a difference can be read.
fn compare(ours: &Sent, expected: &Sent, seed: u64) {
    let heads = |sent: &Sent| sent.keys().cloned().collect::<Vec<_>>();
    assert_eq!(heads(ours), heads(expected), "seed {seed}");
    for (head, chunks) in expected {
        assert_eq!(ours[head].len(), chunks.len(), "seed {seed}: {head:?}");
        for (own, chunk) in ours[head].iter().zip(chunks) {
            for (own, span) in own.spans.iter().zip(&chunk.spans) {
                assert_eq!(own, span, "seed {seed}");
            }
            assert_eq!(own, chunk, "seed {seed}");
        }
    }
}

#[test]
fn what_is_sent_and_counted_of_random_bodies_is_what_a_slow_reference_says() {
    for seed in 0..60 {
        check(seed);
    }
}
