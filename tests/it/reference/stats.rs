//! The stats of spans, slowly: maps of texts and exact sums; and those that were sent, read field by field.

use std::collections::BTreeMap;

use rmpv::Value;

use super::payload::{Head, Request};
use crate::support::decoded::{Chunk, Span};

/// Nanoseconds of a bucket.
const BUCKET_NS: u64 = 10_000_000_000;

/// Everything that counts are told apart by, as fields with their values.
pub(super) type Key = BTreeMap<&'static str, String>;

/// The counts of one key.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Counts {
    pub(super) hits: u64,
    pub(super) errors: u64,
    pub(super) duration: u64,
    pub(super) top_level_hits: u64,
    pub(super) ok: Latencies,
    pub(super) error: Latencies,
}

/// Latencies in nanoseconds. Those that were sent are known within 1 %, and what of a duration counts within 0.2 %.
#[derive(Clone, Debug, Default)]
pub(super) struct Latencies(pub(super) Vec<f64>);

impl PartialEq for Latencies {
    /// Whether they are the same within what is known, one by one: then so is every quantile.
    fn eq(&self, other: &Self) -> bool {
        let sorted = |own: &Self| {
            let mut values = own.0.clone();
            values.sort_by(f64::total_cmp);
            values
        };
        let pairs = sorted(self).into_iter().zip(sorted(other));
        self.0.len() == other.0.len()
            && pairs.into_iter().all(|(a, b)| (a - b).abs() <= 0.0125 * a.max(b))
    }
}

/// The reference.
#[derive(Debug)]
pub(super) struct Stats {
    pub(super) groups: BTreeMap<Key, Counts>,
    /// What ended before this is counted here.
    oldest: u64,
}

/// Keys of tags that say whom a span called, of those that the bodies have.
const PEER_TAGS: [&str; 4] = ["_dd.base_service", "db.name", "out.host", "peer.service"];

/// Keys of a gRPC status in the order in which they count, of those that the bodies have.
const GRPC: [&str; 2] = ["rpc.grpc.status_code", "grpc.code"];

impl Stats {
    pub(super) fn new(now_ns: u64) -> Self {
        Self { groups: BTreeMap::new(), oldest: now_ns - now_ns % BUCKET_NS }
    }

    /// Time has passed and buckets that are over have left.
    pub(super) fn tick(&mut self, now_ns: u64) {
        self.oldest = self.oldest.max(now_ns - now_ns % BUCKET_NS - BUCKET_NS);
    }

    /// Counts a chunk as it is sent.
    pub(super) fn count(&mut self, chunk: &Chunk, head: &Head, request: &Request) {
        if request.computed_stats {
            return;
        }
        let base_service = root(&chunk.spans).text("_dd.base_service").unwrap_or_default();
        for span in &chunk.spans {
            let by_kind = (2..=5).contains(&span.span_kind);
            let is_one = |key| span.number(key) == Some(1.0);
            // What the tracer says counts as what the agent finds.
            let is_top_level = is_one("_top_level") || is_one("_dd.top_level");
            let is_partial = span.number("_dd.partial_version").is_some_and(|number| number >= 0.0);
            if is_partial || !(by_kind || is_top_level || is_one("_dd.measured")) {
                continue;
            }
            let end = span.start.wrapping_add(span.duration);
            // What ends in the future counts now; a time that has no place in 63 bits is long ago.
            let end = if end > i64::MAX.cast_unsigned() { 0 } else { end.min(request.now_ns) };
            let bucket = (end - end % BUCKET_NS).max(self.oldest);
            let mut key = group_key(span, chunk);
            key.extend(payload_key(head, base_service));
            key.insert("Start", bucket.to_string());
            let counts = self.groups.entry(key).or_default();
            counts.hits += 1;
            counts.errors += u64::from(span.error);
            counts.duration += span.duration;
            counts.top_level_hits += u64::from(is_top_level);
            let latencies = if span.error { &mut counts.error } else { &mut counts.ok };
            latencies.0.push(span.duration as f64);
        }
    }
}

/// From the last span to the first the first without a parent; else the first whose parent is not there; else the last.
fn root(spans: &[Span]) -> &Span {
    let is_there = |id: u64| spans.iter().any(|span| span.span_id == id);
    let of_all = spans.iter().rev().find(|span| span.parent_id == 0);
    of_all
        .or_else(|| spans.iter().find(|span| !is_there(span.parent_id)))
        .unwrap_or_else(|| spans.last().unwrap())
}

fn payload_key(head: &Head, base_service: &str) -> Key {
    let env = if head.env.is_empty() { "none" } else { &head.env };
    Key::from([
        ("Env", env.to_owned()),
        ("Hostname", head.hostname.clone()),
        ("Version", head.version.clone()),
        ("Lang", head.lang.clone()),
        ("GitCommitSha", head.commit.clone()),
        ("ProcessTags", head.process_tags.clone()),
        ("PayloadService", base_service.to_owned()),
    ])
}

fn group_key(span: &Span, chunk: &Chunk) -> Key {
    const KINDS: [&str; 6] = ["unknown", "internal", "server", "client", "producer", "consumer"];
    let text = |key: &str| span.text(key).unwrap_or_default();
    let status = text("http.status_code").parse().unwrap_or(0);
    let status =
        if status == 0 { text("http.response.status_code").parse().unwrap_or(0) } else { status };
    let grpc = GRPC.iter().find_map(|key| span.text(key)).unwrap_or_default();
    let grpc = match grpc {
        "5" | "NotFound" => "5",
        "StatusCode.UNAVAILABLE" => "14",
        _ => "",
    };
    let is_root = if span.parent_id == 0 { "1" } else { "2" };
    let service_source = text("_dd.svc_src");
    Key::from([
        ("Service", span.service.clone()),
        ("Name", span.name.clone()),
        ("Resource", span.resource.clone()),
        ("Type", span.kind.clone()),
        ("SpanKind", KINDS[usize::try_from(span.span_kind).unwrap()].to_owned()),
        ("HTTPStatusCode", u32::to_string(&status)),
        ("GRPCStatusCode", grpc.to_owned()),
        ("srv_src", service_source.to_owned()),
        ("Synthetics", chunk.origin.starts_with("synthetics").to_string()),
        ("IsTraceRoot", is_root.to_owned()),
        ("PeerTags", peer_tags(span)),
        ("AdditionalMetricTags", tags(span, &["team"])),
    ])
}

fn tags(span: &Span, keys: &[&str]) -> String {
    let texts = keys.iter().filter_map(|key| {
        let value = match span.text(key)? {
            "" => return None,
            "10.0.0.1:5432" => "blocked-ip-address:5432",
            "10.0.0.1,10.0.0.2" => "blocked-ip-address",
            value => value,
        };
        Some(format!("{key}:{value}"))
    });
    texts.collect::<Vec<_>>().join(" ")
}

fn peer_tags(span: &Span) -> String {
    match span.span_kind {
        3..=5 => tags(span, &PEER_TAGS),
        1 => tags(span, &["_dd.base_service"]),
        _ => String::new(),
    }
}

fn field<'a>(value: &'a Value, name: &str) -> &'a Value {
    let fields = value.as_map().unwrap_or_else(|| panic!("{name} of {value}"));
    let found = fields.iter().find(|(key, _)| key.as_str() == Some(name));
    &found.unwrap_or_else(|| panic!("{name} of {value}")).1
}

fn items<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    field(value, name).as_array().unwrap()
}

fn number(value: &Value, name: &str) -> u64 {
    field(value, name).as_u64().unwrap()
}

/// A field as text: lists with spaces between.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.as_str().unwrap().to_owned(),
        Value::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

/// The latencies of an encoded sketch.
fn latencies(sketch: &Value) -> Latencies {
    let sketch = libdd_ddsketch::DDSketch::from_encoded(sketch.as_slice().unwrap()).unwrap();
    let bins = sketch.ordered_bins().into_iter();
    let all = bins.flat_map(|(value, count)| std::iter::repeat_n(value, count as usize));
    Latencies(all.collect())
}

/// Adds the groups of a payload that was sent to those of others; how many there were.
pub(super) fn read(body: &[u8], groups: &mut BTreeMap<Key, Counts>) -> usize {
    const OF_GROUP: [&str; 12] = [
        "Service",
        "Name",
        "Resource",
        "Type",
        "SpanKind",
        "HTTPStatusCode",
        "GRPCStatusCode",
        "srv_src",
        "Synthetics",
        "IsTraceRoot",
        "PeerTags",
        "AdditionalMetricTags",
    ];
    const OF_PAYLOAD: [&str; 6] =
        ["Env", "Hostname", "Version", "Lang", "GitCommitSha", "ProcessTags"];
    let payload = rmpv::decode::read_value(&mut &*body).unwrap();
    assert_eq!(field(&payload, "AgentEnv").as_str(), Some("none"));
    let mut count = 0;
    for client in items(&payload, "Stats") {
        for bucket in items(client, "Stats") {
            assert_eq!(number(bucket, "Duration"), BUCKET_NS);
            for group in items(bucket, "Stats") {
                let mut key: Key =
                    OF_GROUP.map(|name| (name, shown(field(group, name)))).into_iter().collect();
                key.extend(OF_PAYLOAD.map(|name| (name, shown(field(client, name)))));
                key.insert("PayloadService", shown(field(client, "Service")));
                key.insert("Start", number(bucket, "Start").to_string());
                let sum = groups.entry(key).or_default();
                sum.hits += number(group, "Hits");
                sum.errors += number(group, "Errors");
                sum.duration += number(group, "Duration");
                sum.top_level_hits += number(group, "TopLevelHits");
                sum.ok.0.extend(latencies(field(group, "OkSummary")).0);
                sum.error.0.extend(latencies(field(group, "ErrorSummary")).0);
                count += 1;
            }
        }
    }
    count
}
