//! The whole way of a traces body: bytes in, payloads out, read by the vendor's own types. What was received is what was sent, filtered or
//! sampled out; a body that is refused leaves nothing behind; and none has an effect on the next one.

use std::sync::atomic::Ordering;

use libdd_trace_protobuf::pb;
use pillion::pipeline::{OpenBuckets, Tap, TraceRequest};
use pillion::relay::Kind;
use pillion::trace::Tracer;
use pillion::trace::decode::ApiVersion;
use pillion::view;

use super::chosen;
use super::decoded::{self, AgentPayload, Chunk, Span};
use super::recorded::Recorded;

pub(super) const JSON: &[&str] = &[
    "\u{0}\u{0}[[{\"service\":\"a\",\"name\":\"b\",\"resource\":\"c\",\"trace_id\":1,\"span_id\":2,\"start\":3,\"duration\":4,\"meta\":{\"env\":\"x\",\"_dd.p.tid\":\"1f\"},\"metrics\":{\"_sampling_priority_v1\":-1,\"_dd.span_sampling.mechanism\":8}}]]",
    "\u{2}\u{1}[[{\"span_id\":2,\"type\":\"sql\",\"resource\":\"SELECT 1\",\"meta\":{\"sql.query\":\"SELECT 'a'\",\"card\":\"4111111111111111\",\"span.kind\":\"client\",\"out.host\":\"10.0.0.1\"}},{\"span_id\":3,\"parent_id\":2,\"error\":1,\"type\":\"web\",\"meta\":{\"http.url\":\"http://u@h/1?x\"}}]]",
    "\u{3}\u{2}[[{\"span_id\":9,\"metrics\":{\"_dd1.sr.eausr\":1,\"_sample_rate\":0.25},\"span_links\":[{\"trace_id\":1,\"span_id\":3,\"attributes\":{\"link.name\":\"a b\"}}],\"span_events\":[{\"name\":\"e\",\"attributes\":{\"s\":{\"type\":3,\"double_value\":1e300}}}]}]]",
];

const NOW_NS: u64 = 1_750_000_000_000_000_000;

/// Settings as users write them. The first bits of a run's first byte choose one.
const SETTINGS: [&[(&str, &str)]; 5] = [
    &[("DD_API_KEY", "x")],
    // Without a key nothing is sampled out, and the traces are shown.
    &[("DD_TAGS", "team:a,version:1"), ("DD_APM_SQL_OBFUSCATION_MODE", "obfuscate_only")],
    &[
        ("DD_API_KEY", "x"),
        ("DD_ENV", "prod"),
        ("DD_APM_SQL_OBFUSCATION_MODE", "obfuscate_and_normalize"),
        ("DD_APM_OBFUSCATION_HTTP_REMOVE_QUERY_STRING", "1"),
        ("DD_APM_OBFUSCATION_HTTP_REMOVE_PATHS_WITH_DIGITS", "1"),
        ("DD_APM_OBFUSCATION_REMOVE_STACK_TRACES", "1"),
        (
            "DD_APM_REPLACE_TAGS",
            r#"[{"name":"*","pattern":"[0-9]{3,}","repl":"<$0>"},{"name":"env","pattern":"p","repl":"q"},{"name":"card","pattern":"(","repl":""}]"#,
        ),
        ("DD_APM_FILTER_TAGS_REJECT", "drop version:none"),
        ("DD_APM_IGNORE_RESOURCES", "^/healthz"),
        ("DD_APM_FEATURES", "component2name,big_resource,error_rare_sample_tracer_drop"),
        ("DD_APM_ENABLE_RARE_SAMPLER", "1"),
        ("DD_APM_SPAN_DERIVED_PRIMARY_TAGS", "[\"team\"]"),
    ],
    &[
        ("DD_API_KEY", "x"),
        ("DD_APM_ERROR_TRACKING_STANDALONE_ENABLED", "1"),
        ("DD_APM_SQL_OBFUSCATION_MODE", "normalize_only"),
        ("DD_APM_PEER_TAGS", "[\"tenant\"]"),
        ("DD_APM_OBFUSCATION_CREDIT_CARDS_LUHN", "1"),
    ],
    &[
        ("DD_API_KEY", "x"),
        ("DD_APM_PROBABILISTIC_SAMPLER_ENABLED", "1"),
        ("DD_APM_PROBABILISTIC_SAMPLER_SAMPLING_PERCENTAGE", "50"),
        ("DD_APM_ANALYZED_SPANS", "shop|web.request=0.5"),
        ("DD_APM_ERROR_TPS", "0"),
        ("DD_APM_OBFUSCATION_CACHE_MAX_SIZE", "70000"),
    ],
];

/// A trace that is always kept, of which no other body knows, and which has something of everything.
const KNOWN: &str = r#"[[
    {"service":"known-shop","name":"known.request","resource":"GET /known","type":"web","trace_id":4242,"span_id":7001,
     "start":1750000000000000000,"duration":5000000,"meta":{"env":"known","version":"7.7","http.url":"https://known.example/a",
     "http.status_code":"200","_dd.p.tid":"6b04d59100000000","span.kind":"server","team":"known"},"metrics":{"_sampling_priority_v1":2}},
    {"service":"known-db","name":"known.query","resource":"SELECT a FROM known WHERE b = 'x'","type":"sql","trace_id":4242,
     "span_id":7002,"parent_id":7001,"start":1750000000001000000,"duration":1000000,
     "meta":{"sql.query":"SELECT a FROM known WHERE b = 'x'","db.type":"postgresql","span.kind":"client","out.host":"db.known"},
     "span_links":[{"trace_id":1,"span_id":2,"attributes":{"known":"link"}}]}]]"#;

const KNOWN_TRACE: u128 = 0x6b04_d591_0000_0000 << 64 | 4242;

/// What samplers write depends on what came before.
const OF_SAMPLERS: [&str; 7] = [
    "_dd.agent_psr",
    "_dd.rare",
    "_dd.errors_sr",
    "_dd.no_p_sr",
    "_dd.prob_sr",
    "_dd.analyzed",
    "_sampling_priority_rate_v1",
];

pub(super) fn v04(data: &[u8]) {
    check(ApiVersion::V04, "application/msgpack", data);
}

pub(super) fn v05(data: &[u8]) {
    check(ApiVersion::V05, "application/msgpack", data);
}

pub(super) fn v10(data: &[u8]) {
    check(ApiVersion::V10, "application/msgpack", data);
}

pub(super) fn json(data: &[u8]) {
    check(ApiVersion::V03, "application/json", data);
}

/// A pipeline, what it has sent, and where nothing is sent somebody who is shown the spans.
struct Running(Recorded);

impl Running {
    fn new(settings: &[(&str, &str)]) -> Self {
        let tap: Tap = Box::new(|spans: Vec<view::Span>| {
            let shown = view::render(&spans, 80, true);
            assert!(shown.lines().count() > spans.len().min(1));
        });
        Self(Recorded::with_tap(settings, Some(tap), NOW_NS))
    }

    fn take(&mut self, version: ApiVersion, media: &str, tracer: Tracer<'_>, body: &[u8]) -> bool {
        let request = TraceRequest { version, content_type: Some(media), tracer, body };
        let before = (self.0.ledger.spans.read(), self.0.ledger.chunks.read());
        match self.0.pipeline.traces(&request, NOW_NS) {
            Ok(()) => true,
            Err(error) => {
                assert!((400..500).contains(&error.status()), "{error}");
                assert_eq!((self.0.ledger.spans.read(), self.0.ledger.chunks.read()), before);
                false
            }
        }
    }

    fn take_known(&mut self) {
        assert!(self.take(
            ApiVersion::V04,
            "application/json",
            Tracer::default(),
            KNOWN.as_bytes()
        ));
    }

    /// Everything that was sent, which is all that is held.
    fn finish(mut self) -> Vec<AgentPayload> {
        self.0.pipeline.flush(NOW_NS, OpenBuckets::Flush);
        let (mut payloads, mut spans, mut chunks, mut groups) = (Vec::new(), 0, 0, 0);
        for payload in self.0.take() {
            match payload.kind {
                Kind::Traces => {
                    let read = decoded::agent_payload(&payload.body);
                    let all = || read.tracer_payloads.iter().flat_map(|tracer| &tracer.chunks);
                    assert_eq!(payload.counts.chunks, all().count() as u64);
                    let own = all().map(|chunk| chunk.spans.len() as u64).sum::<u64>();
                    assert_eq!(payload.counts.spans, own);
                    assert!(all().all(|chunk| !chunk.spans.is_empty()));
                    (spans, chunks) = (spans + own, chunks + payload.counts.chunks);
                    payloads.push(read);
                }
                Kind::Stats => {
                    let read: pb::StatsPayload =
                        rmp_serde::from_slice(&payload.body).expect("stats");
                    let buckets = read.stats.iter().flat_map(|client| &client.stats);
                    let own = buckets.map(|bucket| bucket.stats.len() as u64).sum::<u64>();
                    assert_eq!(payload.counts.stats_groups, own);
                    groups += own;
                }
                other => panic!("a payload of {other:?}"),
            }
        }
        let held = [&self.0.ledger.spans, &self.0.ledger.chunks, &self.0.ledger.stats_groups]
            .map(|flow| flow.read().held());
        assert_eq!(held, [spans, chunks, groups], "{:?}", self.0.ledger);
        payloads
    }
}

fn check(version: ApiVersion, media: &str, data: &[u8]) {
    let ([choice, flags], body) = chosen(data);
    let settings = SETTINGS[usize::from(choice) % SETTINGS.len()];
    let tracer = Tracer {
        lang: if flags & 1 == 0 { "python" } else { "" },
        computed_top_level: flags & 2 != 0,
        computed_stats: flags & 4 != 0,
        dropped_p0_traces: u64::from(flags >> 3),
        process_tags: if flags & 8 == 0 { "" } else { "a:b,c:d" },
        ..Tracer::default()
    };
    let mut running = Running::new(settings);
    let is_taken = running.take(version, media, tracer, body);
    assert_eq!(running.0.ledger.bodies_refused.load(Ordering::Relaxed), u64::from(!is_taken));
    if is_taken && let Some(spans) = spans_of(version, media, body) {
        assert_eq!(running.0.ledger.spans.read().received, spans, "spans of an accepted body");
    }
    running.take_known();
    running.take(version, media, tracer, body);
    let payloads = running.finish();
    let mut alone = Running::new(settings);
    alone.take_known();
    assert_eq!(known(payloads), known(alone.finish()), "after another body");
}

/// The spans of the known trace, in whichever payload they are, without what the samplers have written.
fn known(payloads: Vec<AgentPayload>) -> Vec<Span> {
    let chunks = payloads.into_iter().flat_map(|payload| payload.tracer_payloads);
    let is_known = |chunk: &Chunk| {
        chunk.trace_id == KNOWN_TRACE && chunk.spans.iter().any(|span| span.span_id == 7001)
    };
    let mut chunks = chunks.flat_map(|tracer| tracer.chunks).filter(is_known);
    let mut spans = chunks.next().map(|chunk| chunk.spans).unwrap_or_default();
    for span in &mut spans {
        span.attributes.retain(|key, _| !OF_SAMPLERS.contains(&key.as_str()));
    }
    spans
}

/// How many spans a body has, counted by a reader that is not the product's; nothing where that can't read it.
fn spans_of(version: ApiVersion, media: &str, body: &[u8]) -> Option<u64> {
    if media == "application/json" && !matches!(body.first(), Some(0x90..=0x9f | 0xdc | 0xdd)) {
        let text = String::from_utf8_lossy(body);
        let mut reader = serde_json::Deserializer::from_str(&text).into_iter();
        let value: serde_json::Value = reader.next()?.ok()?;
        let chunks = value.as_array()?.iter().filter_map(serde_json::Value::as_array);
        return Some(chunks.flatten().filter(|span| !span.is_null()).count() as u64);
    }
    let value = rmpv::decode::read_value(&mut &*body).ok()?;
    let items = value.as_array()?;
    let is_table = |item: &rmpv::Value| {
        let first = item.as_array().and_then(|strings| strings.first());
        first.is_some_and(|first| first.is_str() || first.is_bin())
    };
    let has_table = items.first().is_some_and(is_table) && items.len() == 2;
    let is_v04 =
        items.first().and_then(|chunk| chunk.as_array()?.first()).is_some_and(rmpv::Value::is_map);
    let chunks = match version {
        ApiVersion::V05 if !is_v04 => items.get(1)?.as_array()?,
        _ if has_table => items.get(1)?.as_array()?,
        _ => items,
    };
    let spans = chunks.iter().filter_map(rmpv::Value::as_array).flatten();
    Some(spans.filter(|span| !span.is_nil()).count() as u64)
}
