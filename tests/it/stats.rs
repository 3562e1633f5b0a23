//! What spans are counted under: bodies through the pipeline, with the settings as a user writes them, in both forms of payloads.

use libdd_trace_protobuf::pb;
use pillion::pipeline::{OpenBuckets, TraceRequest};
use pillion::relay::Kind;
use pillion::trace::Tracer;
use pillion::trace::decode::ApiVersion;
use serde_json::{Value, json};

use crate::support::recorded::Recorded;

const SECOND_NS: u64 = 1_000_000_000;
const NOW_NS: u64 = 1_750_000_005 * SECOND_NS;
const BUCKET_NS: u64 = 1_750_000_000 * SECOND_NS;

/// The forms of payloads, as settings.
const FORMS: [&str; 2] = ["big_resource", "big_resource,disable-convert-traces"];

fn span(id: u64, more: Value) -> Value {
    let mut span = json!({
        "trace_id": id, "span_id": id, "service": "s", "name": "n", "resource": id.to_string(), "start": NOW_NS - SECOND_NS, "duration": 1,
    });
    for (key, value) in more.as_object().unwrap() {
        span[key] = value.clone();
    }
    json!([span])
}

/// The buckets that these traces are counted in, each with its start, its groups in the order of their resources.
fn buckets(
    form: &str,
    settings: &[(&str, &str)],
    traces: &[Value],
) -> Vec<(u64, Vec<pb::ClientGroupedStats>)> {
    let pairs = [&[("DD_API_KEY", "k"), ("DD_APM_FEATURES", form)], settings].concat();
    let mut run = Recorded::new(&pairs, NOW_NS);
    let body = json!(traces).to_string();
    let request = TraceRequest {
        version: ApiVersion::V04,
        content_type: Some("application/json"),
        tracer: Tracer::default(),
        body: body.as_bytes(),
    };
    run.pipeline.traces(&request, NOW_NS).unwrap();
    run.pipeline.flush(NOW_NS, OpenBuckets::Flush);
    let sent = run.take().into_iter().filter(|payload| payload.kind == Kind::Stats);
    let read = sent.map(|payload| rmp_serde::from_slice(&payload.body).unwrap());
    let clients = read.flat_map(|read: pb::StatsPayload| read.stats);
    let mut buckets: Vec<_> = clients
        .flat_map(|client| client.stats)
        .map(|mut bucket| {
            bucket.stats.sort_by(|one, other| one.resource.cmp(&other.resource));
            (bucket.start, bucket.stats)
        })
        .collect();
    buckets.sort_by_key(|(start, _)| *start);
    buckets
}

#[test]
fn spans_that_end_in_the_future_are_counted_in_the_present_bucket() {
    for form in FORMS {
        let late = |id, seconds: u64| span(id, json!({"start": NOW_NS + seconds * SECOND_NS}));
        let buckets = buckets(form, &[], &[span(1, json!({})), late(2, 2), late(3, 3_000_000)]);
        let found: Vec<_> = buckets.iter().map(|(start, groups)| (*start, groups.len())).collect();
        assert_eq!(found, [(BUCKET_NS, 3)], "{form}");
    }
}

#[test]
fn the_status_of_a_response_is_one_of_grpc_only_where_the_span_says_so() {
    for form in FORMS {
        let traces: Vec<Value> = (1..)
            .zip([
                json!({"rpc.response.status_code": "NOT_FOUND"}),
                json!({"rpc.response.status_code": "NOT_FOUND", "rpc.system": "grpc"}),
                json!({"rpc.system.name": "grpc", "rpc.response.status_code": "NOT_FOUND"}),
                json!({"rpc.system": "grpc", "rpc.system.name": "dubbo", "rpc.response.status_code": "5"}),
                json!({"rpc.system": "GRPC", "rpc.response.status_code": "5"}),
                json!({"rpc.response.status_code": "5", "grpc.status.code": "14"}),
            ])
            .map(|(id, meta)| span(id, json!({"meta": meta})))
            .collect();
        let buckets = buckets(form, &[], &traces);
        let found: Vec<_> =
            buckets[0].1.iter().map(|group| group.grpc_status_code.as_str()).collect();
        assert_eq!(found, ["", "5", "5", "", "", "14"], "{form}");
    }
}

#[test]
fn a_peer_tag_with_a_zero_byte_is_one_tag() {
    for form in FORMS {
        let meta = json!({"span.kind": "client", "topicname": "a\0b", "db.name": "\u{1}0"});
        let buckets = buckets(form, &[], &[span(1, json!({"meta": meta}))]);
        assert_eq!(buckets[0].1[0].peer_tags, ["db.name:\u{1}0", "topicname:a\0b"], "{form}");
    }
}

#[test]
fn tags_that_the_user_gives_all_spans_are_counted_by_where_he_wants_stats_by_them() {
    let settings = [
        ("DD_TAGS", "team:cart,tenant:t1,other:o"),
        ("DD_APM_SPAN_DERIVED_PRIMARY_TAGS", r#"["team"]"#),
        ("DD_APM_PEER_TAGS", r#"["tenant"]"#),
    ];
    let traces = [
        span(1, json!({})),
        span(2, json!({"meta": {"span.kind": "client"}})),
        span(3, json!({"meta": {"span.kind": "client", "tenant": "own", "team": "own"}})),
        // The same group but for the tag.
        span(2, json!({"meta": {"span.kind": "client", "tenant": "t2"}})),
    ];
    for form in FORMS {
        let buckets = buckets(form, &settings, &traces);
        let mut found: Vec<_> = buckets[0]
            .1
            .iter()
            .map(|group| {
                (
                    group.resource.as_str(),
                    group.peer_tags.join(","),
                    group.additional_metric_tags.join(","),
                )
            })
            .collect();
        found.sort();
        let own = |resource, peers: &str, primaries: &str| {
            (resource, peers.to_owned(), primaries.to_owned())
        };
        assert_eq!(
            found,
            [
                own("1", "", "team:cart"),
                own("2", "tenant:t1", "team:cart"),
                own("2", "tenant:t2", "team:cart"),
                own("3", "tenant:own", "team:own"),
            ],
            "{form}"
        );
    }
}
