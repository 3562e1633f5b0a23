//! Stats that tracers have computed: every group of an accepted body is in what is sent, which the vendor's own types can read.

use std::sync::atomic::Ordering;

use libdd_trace_protobuf::pb;
use pillion::pipeline::OpenBuckets;
use pillion::relay::Kind;
use pillion::trace::Tracer;
use rmpv::Value;

use super::chosen;
use super::recorded::Recorded;

const NOW_NS: u64 = 1_750_000_000_000_000_000;

/// Encoded sketches, as texts: their bytes are those of the text.
pub(super) const SKETCHES: &[&str] = &[
    "\n\t\t\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{8}@\u{12}\u{c}\u{12}\u{8}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{10}@\u{18}\u{2}",
    "\n\t\t\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}@\u{12}\r\n\u{b}\u{8}\u{4}\u{11}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{10}@!\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{10}@",
    "\u{1a}\u{0}",
];

/// The groups of all that was sent, counted by the vendor's own types and by the ledger.
fn groups(run: &mut Recorded) -> Vec<pb::ClientGroupedStats> {
    run.pipeline.flush(NOW_NS + 3_600_000_000_000, OpenBuckets::Flush);
    let mut all = Vec::new();
    for payload in run.take() {
        assert_eq!(payload.kind, Kind::Stats);
        let read: pb::StatsPayload = rmp_serde::from_slice(&payload.body).expect("stats");
        let buckets = read.stats.into_iter().flat_map(|client| client.stats);
        let groups: Vec<_> = buckets.flat_map(|bucket| bucket.stats).collect();
        assert_eq!(payload.counts.stats_groups, groups.len() as u64);
        all.extend(groups);
    }
    assert_eq!(run.ledger.stats_groups.read().received, all.len() as u64);
    all
}

pub(super) fn body(data: &[u8]) {
    let ([choice], body) = chosen(data);
    const SETTINGS: [&[(&str, &str)]; 2] = [
        &[("DD_API_KEY", "x")],
        &[
            ("DD_API_KEY", "x"),
            ("DD_APM_IGNORE_RESOURCES", "^GET /health"),
            ("DD_APM_REPLACE_TAGS", r#"[{"name":"*","pattern":"4..","repl":"200"}]"#),
        ],
    ];
    let mut running = Recorded::new(SETTINGS[usize::from(choice) % SETTINGS.len()], NOW_NS);
    let tracer = Tracer { lang: "go", obfuscated_stats: choice & 0x80 != 0, ..Tracer::default() };
    let taken = running.pipeline.client_stats(&tracer, body, NOW_NS);
    let refused = running.ledger.bodies_refused.load(Ordering::Relaxed);
    assert_eq!(refused, u64::from(taken.is_err()));
    let groups = groups(&mut running);
    if let Err(error) = taken {
        assert_eq!(error.status(), 400);
        assert!(groups.is_empty(), "a refused body leaves nothing behind");
    }
}

/// A body of one group with these sketches.
fn body_with(ok: &[u8], error: &[u8]) -> Vec<u8> {
    let map = |pairs: Vec<(&str, Value)>| {
        Value::Map(pairs.into_iter().map(|(key, value)| (key.into(), value)).collect())
    };
    let group = map(vec![
        ("Service", "shop".into()),
        ("Name", "web.request".into()),
        ("Resource", "GET /".into()),
        ("Hits", 2.into()),
        ("OkSummary", Value::Binary(ok.to_vec())),
        ("ErrorSummary", Value::Binary(error.to_vec())),
    ]);
    let bucket = map(vec![
        ("Start", NOW_NS.into()),
        ("Duration", 10_000_000_000_u64.into()),
        ("Stats", Value::Array(vec![group])),
    ]);
    let mut body = Vec::new();
    let stats = map(vec![("Stats", Value::Array(vec![bucket]))]);
    rmpv::encode::write_value(&mut body, &stats).unwrap();
    body
}

/// The bytes as a sketch that is added to others: the sum is one that the vendor's own type can read, and no less than the others.
pub(super) fn sketch(data: &[u8]) {
    let mut usual = libdd_ddsketch::DDSketch::default();
    for duration in [0.0, 1.0, 1e6, 5e9] {
        usual.add(duration).expect("a duration");
    }
    let usual = usual.encode_to_vec();
    let mut running = Recorded::new(&[("DD_API_KEY", "x")], NOW_NS);
    for (ok, error) in [(&usual[..], &[][..]), (data, data), (data, data)] {
        let body = body_with(ok, error);
        running.pipeline.client_stats(&Tracer::default(), &body, NOW_NS).expect("a body");
    }
    let groups = groups(&mut running);
    let [group] = &groups[..] else { panic!("{} groups", groups.len()) };
    assert_eq!(group.hits, 6);
    let sum = libdd_ddsketch::DDSketch::from_encoded(&group.ok_summary).expect("a sketch");
    assert!(sum.count() >= 3.9, "{}", sum.count());
    if !group.error_summary.is_empty() {
        libdd_ddsketch::DDSketch::from_encoded(&group.error_summary).expect("a sketch");
    }
}
