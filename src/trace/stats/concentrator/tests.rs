//! Vectors observed with the agent 7.85.2, and a slow reference; what is sent is read with an independent decoder.

use std::collections::BTreeMap;

use libdd_trace_protobuf::pb;
use proptest::prelude::*;

use super::*;

const SECOND_NS: u64 = 1_000_000_000;
const CLOCK_NS: u64 = 1_750_000_000 * SECOND_NS;
const HIT: Hit = Hit { duration_ns: 1_000_000, weight: 1.0, error: false, top_level: true };
const PAYLOAD: PayloadKey<'_> = PayloadKey {
    env: "none",
    hostname: "",
    version: "",
    container_id: "",
    git_commit_sha: "",
    image_tag: "",
    lang: "python",
    process_tags: "",
    base_service: "",
};

fn concentrator(now_ns: u64) -> Concentrator {
    Concentrator::new(Agent { env: "none".to_owned(), hostname: "host".to_owned() }, now_ns, 1)
}

fn key<'a>(resource: &'a str) -> GroupKey<'a> {
    GroupKey {
        service: "web-store",
        name: "web.request",
        resource,
        kind: "web",
        span_kind: "internal",
        is_trace_root: true,
        ..GroupKey::default()
    }
}

fn flushed(concentrator: &mut Concentrator, now_ns: u64, force: bool) -> Vec<pb::StatsPayload> {
    let mut payloads = Vec::new();
    concentrator.flush(now_ns, force, &mut |flushed| {
        let payload: pb::StatsPayload = rmp_serde::from_slice(&flushed.body).unwrap();
        assert_eq!(flushed.groups as usize, groups_of(&payload).count());
        assert_eq!(
            (&*payload.agent_env, &*payload.agent_hostname, &*payload.agent_version),
            ("none", "host", "7.85.2")
        );
        assert!(!payload.client_computed);
        payloads.push(payload);
    });
    payloads
}

fn groups_of(payload: &pb::StatsPayload) -> impl Iterator<Item = &pb::ClientGroupedStats> {
    payload.stats.iter().flat_map(|client| &client.stats).flat_map(|bucket| &bucket.stats)
}

/// Counts a span that ended at `end_ns`, as the pipeline does.
fn count(
    concentrator: &mut Concentrator,
    end_ns: u64,
    payload: &PayloadKey<'_>,
    key: &GroupKey<'_>,
    hit: Hit,
) {
    let bucket = concentrator.bucket(end_ns, u64::MAX);
    let id = concentrator.group(bucket, payload, key);
    concentrator.add(id, hit);
}

#[test]
fn what_is_to_come_is_counted_now_and_what_has_no_time_in_the_oldest_bucket() {
    let concentrator = concentrator(CLOCK_NS);
    let now = CLOCK_NS + 25 * SECOND_NS;
    for (end, bucket) in [
        (now, CLOCK_NS + 20 * SECOND_NS),
        // Later than now, but in the bucket that has begun.
        (now + 4 * SECOND_NS, CLOCK_NS + 20 * SECOND_NS),
        (now + 5 * SECOND_NS, CLOCK_NS + 20 * SECOND_NS),
        (i64::MAX.cast_unsigned(), CLOCK_NS + 20 * SECOND_NS),
        // Before 1970 for the agent.
        (i64::MAX.cast_unsigned() + 1, CLOCK_NS),
        (u64::MAX, CLOCK_NS),
        (CLOCK_NS - 1, CLOCK_NS),
    ] {
        assert_eq!(concentrator.bucket(end, now), bucket, "{end}");
    }
    // A clock that was set back does not bring back buckets that have left.
    assert_eq!(concentrator.bucket(now, 0), CLOCK_NS);
}

#[test]
fn a_tag_with_a_zero_byte_stays_one() {
    let tags = [("out.host", "a\0b\u{1}0"), ("peer.service", "\u{1}"), ("db.name", "0\0")];
    let mut concentrator = concentrator(CLOCK_NS);
    let key =
        GroupKey { span_kind: "client", peer_tags: &tags, metric_tags: &tags[..1], ..key("r") };
    count(&mut concentrator, CLOCK_NS, &PAYLOAD, &key, HIT);
    let payloads = flushed(&mut concentrator, CLOCK_NS, true);
    let groups: Vec<_> = groups_of(&payloads[0]).collect();
    assert_eq!(groups[0].peer_tags, ["db.name:0\0", "out.host:a\0b\u{1}0", "peer.service:\u{1}"]);
    assert_eq!(groups[0].additional_metric_tags, ["out.host:a\0b\u{1}0"]);
}

#[test]
fn a_group_is_sent_as_the_agent_sends_it() {
    let mut concentrator = concentrator(CLOCK_NS);
    count(
        &mut concentrator,
        CLOCK_NS + SECOND_NS,
        &PAYLOAD,
        &GroupKey { synthetics: true, ..key("GET /cart") },
        HIT,
    );
    count(
        &mut concentrator,
        CLOCK_NS + SECOND_NS,
        &PAYLOAD,
        &GroupKey { synthetics: true, ..key("GET /cart") },
        HIT,
    );
    let rich = GroupKey {
        span_kind: "client",
        status_code: 404,
        is_trace_root: false,
        grpc_status: "14",
        service_source: "m",
        ..key("other")
    };
    let failed = Hit { duration_ns: 500_000, error: true, top_level: false, ..HIT };
    count(&mut concentrator, CLOCK_NS + SECOND_NS, &PAYLOAD, &rich, failed);
    let payloads = flushed(&mut concentrator, CLOCK_NS, true);
    assert_eq!(payloads.len(), 1);
    assert!(!payloads[0].split_payload);
    let client = &payloads[0].stats[0];
    assert_eq!((&*client.env, &*client.lang, &*client.service), ("none", "python", ""));
    assert_eq!((client.stats[0].start, client.stats[0].duration), (CLOCK_NS, 10 * SECOND_NS));
    let hex = |text: &str| -> Vec<u8> {
        text.as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    };
    let empty = hex("0a0909fd4a815abf52f03f12001a00");
    let two = pb::ClientGroupedStats {
        service: "web-store".to_owned(),
        name: "web.request".to_owned(),
        resource: "GET /cart".to_owned(),
        r#type: "web".to_owned(),
        hits: 2,
        duration: 2_000_000,
        ok_summary: hex("0a0909fd4a815abf52f03f120d1208000000000000004018e40a1a00"),
        error_summary: empty.clone(),
        synthetics: true,
        top_level_hits: 2,
        span_kind: "internal".to_owned(),
        is_trace_root: 1,
        ..pb::ClientGroupedStats::default()
    };
    let one = pb::ClientGroupedStats {
        resource: "other".to_owned(),
        http_status_code: 404,
        hits: 1,
        errors: 1,
        duration: 500_000,
        ok_summary: empty,
        error_summary: hex("0a0909fd4a815abf52f03f120d1208000000000000f03f18a00a1a00"),
        synthetics: false,
        top_level_hits: 0,
        span_kind: "client".to_owned(),
        is_trace_root: 2,
        grpc_status_code: "14".to_owned(),
        service_source: "m".to_owned(),
        ..two.clone()
    };
    assert_eq!(groups_of(&payloads[0]).collect::<Vec<_>>(), [&two, &one]);
}

#[test]
fn peer_tags_count_by_the_kind_of_span() {
    let tags = [
        ("out.host", "10.0.0.1"),
        ("_dd.base_service", "base"),
        ("db.name", "d"),
        ("peer.service", ""),
        ("server.address", "127.0.0.1"),
    ];
    for (span_kind, wanted) in [
        (
            "client",
            &[
                "_dd.base_service:base",
                "db.name:d",
                "out.host:blocked-ip-address",
                "server.address:127.0.0.1",
            ][..],
        ),
        (
            "producer",
            &[
                "_dd.base_service:base",
                "db.name:d",
                "out.host:blocked-ip-address",
                "server.address:127.0.0.1",
            ],
        ),
        (
            "consumer",
            &[
                "_dd.base_service:base",
                "db.name:d",
                "out.host:blocked-ip-address",
                "server.address:127.0.0.1",
            ],
        ),
        ("internal", &["_dd.base_service:base"]),
        ("unknown", &[]),
        ("server", &[]),
    ] {
        let mut concentrator = concentrator(CLOCK_NS);
        count(
            &mut concentrator,
            CLOCK_NS,
            &PAYLOAD,
            &GroupKey { span_kind, peer_tags: &tags, ..key("r") },
            HIT,
        );
        let payloads = flushed(&mut concentrator, CLOCK_NS, true);
        assert_eq!(groups_of(&payloads[0]).next().unwrap().peer_tags, wanted, "{span_kind}");
    }
}

#[test]
fn peer_tags_in_any_order_are_one_group_and_other_values_are_another() {
    let mut concentrator = concentrator(CLOCK_NS);
    for tags in [
        [("db.name", "a"), ("out.host", "10.1.1.1")],
        [("out.host", "10.2.2.2"), ("db.name", "a")],
        [("db.name", "b"), ("out.host", "h")],
    ] {
        count(
            &mut concentrator,
            CLOCK_NS,
            &PAYLOAD,
            &GroupKey { span_kind: "client", peer_tags: &tags, ..key("r") },
            HIT,
        );
    }
    let payloads = flushed(&mut concentrator, CLOCK_NS, true);
    assert_eq!(groups_of(&payloads[0]).map(|group| group.hits).collect::<Vec<_>>(), [2, 1]);
}

#[test]
fn metric_tags_are_sorted_and_long_values_blocked() {
    let mut concentrator = concentrator(CLOCK_NS);
    let long = "x".repeat(201);
    let tags = [("tenant", "t1"), ("region", &*long), ("zone", "")];
    count(&mut concentrator, CLOCK_NS, &PAYLOAD, &GroupKey { metric_tags: &tags, ..key("r") }, HIT);
    let payloads = flushed(&mut concentrator, CLOCK_NS, true);
    assert_eq!(
        groups_of(&payloads[0]).next().unwrap().additional_metric_tags,
        ["region:agent_blocked_value", "tenant:t1"]
    );
}

#[test]
fn spans_fall_into_the_buckets_of_the_agent() {
    // The clock and the spans of an observed case: start and duration in nanoseconds after the second 1,750,000,000.
    let mut concentrator = concentrator(CLOCK_NS + 3 * SECOND_NS);
    for (start, duration) in [
        (1_000_000_000i64, 1_000_000u64),
        (9_999_900_000, 1_000_000),
        (9_999_900_000, 200_000_000),
        (10_000_000_000, 1_000_000),
        (25_000_000_000, 1_000_000),
        (-5_000_000_000, 1_000_000),
        (-500_000_000_000, 1_000_000),
        (-12_000_000_000, 13_000_000_000),
    ] {
        let end = CLOCK_NS.saturating_add_signed(start) + duration;
        count(&mut concentrator, end, &PAYLOAD, &key("r"), Hit { duration_ns: duration, ..HIT });
    }
    let payloads = flushed(&mut concentrator, CLOCK_NS, true);
    assert_eq!(payloads[0].stats.len(), 1, "one payload key");
    let buckets: Vec<_> = payloads[0].stats[0]
        .stats
        .iter()
        .map(|bucket| (bucket.start - CLOCK_NS, bucket.stats[0].hits, bucket.stats[0].duration))
        .collect();
    assert_eq!(
        buckets,
        [(0, 4, 13_003_000_000), (10 * SECOND_NS, 3, 202_000_000), (20 * SECOND_NS, 1, 1_000_000)]
    );
}

#[test]
fn a_bucket_leaves_ten_seconds_after_its_end_and_latecomers_go_to_the_oldest_that_stays() {
    let mut concentrator = concentrator(CLOCK_NS);
    count(&mut concentrator, CLOCK_NS, &PAYLOAD, &key("r"), HIT);
    let generation = concentrator.generation();
    assert_eq!(flushed(&mut concentrator, CLOCK_NS + 20 * SECOND_NS - 1, false), []);
    assert_eq!(concentrator.generation(), generation);
    assert_eq!(flushed(&mut concentrator, CLOCK_NS + 20 * SECOND_NS, false).len(), 1);
    assert_ne!(concentrator.generation(), generation);
    assert_eq!(concentrator.bytes(), 0);
    assert_eq!(concentrator.bucket(CLOCK_NS, u64::MAX), CLOCK_NS + 10 * SECOND_NS);
    // An id of a group that has left is of no use, and does no harm.
    concentrator.add(GroupId { bucket: 0, group: 0 }, HIT);
    assert_eq!(flushed(&mut concentrator, CLOCK_NS, true), []);
}

#[test]
fn payload_keys_are_told_apart_and_span_buckets() {
    let mut concentrator = concentrator(CLOCK_NS);
    let renamed =
        PayloadKey { base_service: "base", process_tags: "a:b,c:d", version: "7", ..PAYLOAD };
    for end_ns in [CLOCK_NS, CLOCK_NS + 10 * SECOND_NS] {
        count(&mut concentrator, end_ns, &PAYLOAD, &key("r"), HIT);
        count(&mut concentrator, end_ns, &renamed, &key("r"), HIT);
    }
    let payloads = flushed(&mut concentrator, CLOCK_NS, true);
    assert_eq!(payloads.len(), 1);
    let clients: Vec<_> = payloads[0]
        .stats
        .iter()
        .map(|client| {
            (&*client.service, &*client.version, client.process_tags_hash, client.stats.len())
        })
        .collect();
    assert_eq!(clients, [("base", "7", 957_091_387_073_971_591, 2), ("", "", 0, 2)]);
}

#[test]
fn weighted_counts_are_rounded_fairly() {
    let mut hits = 0;
    for seed in 0..2000 {
        let mut concentrator = Concentrator::new(
            Agent { env: "none".to_owned(), hostname: "host".to_owned() },
            CLOCK_NS,
            seed,
        );
        count(&mut concentrator, CLOCK_NS, &PAYLOAD, &key("r"), Hit { weight: 1.0 / 0.3, ..HIT });
        let group =
            groups_of(&flushed(&mut concentrator, CLOCK_NS, true)[0]).next().unwrap().clone();
        assert!(group.hits == 3 || group.hits == 4, "{}", group.hits);
        assert!(group.duration == 3_333_333 || group.duration == 3_333_334);
        assert_eq!(libdd_ddsketch::DDSketch::from_encoded(&group.ok_summary).unwrap().count(), 1.0);
        hits += group.hits;
    }
    assert!((6500..6850).contains(&hits), "{hits} of 6667");
}

#[test]
fn more_groups_than_one_payload_takes_are_split() {
    let mut concentrator = concentrator(CLOCK_NS);
    for group in 0..9001 {
        count(&mut concentrator, CLOCK_NS, &PAYLOAD, &key(&group.to_string()), HIT);
    }
    let payloads = flushed(&mut concentrator, CLOCK_NS, true);
    let counts: Vec<_> = payloads.iter().map(|payload| groups_of(payload).count()).collect();
    assert_eq!(counts, [4000, 4000, 1001]);
    assert!(payloads.iter().all(|payload| payload.split_payload));
}

#[test]
fn the_bytes_that_are_held_are_known_and_bounded() {
    let mut concentrator = concentrator(CLOCK_NS);
    let mut random = fastrand::Rng::with_seed(5);
    let (mut groups, mut hits) = (0u64, 0);
    while !concentrator.is_full() {
        let resource = format!("{groups}{}", "r".repeat(random.usize(..500)));
        for _ in 0..random.u32(1..30) {
            count(
                &mut concentrator,
                CLOCK_NS,
                &PAYLOAD,
                &key(&resource),
                Hit { duration_ns: 1 << random.u32(..40), ..HIT },
            );
            hits += 1;
        }
        groups += 1;
    }
    assert!(concentrator.bytes() < limits::STATS_BYTES_MAX + 20_000);
    assert!((1000..30_000).contains(&groups), "{groups}");
    let payloads = flushed(&mut concentrator, CLOCK_NS, true);
    assert_eq!(payloads.iter().flat_map(groups_of).map(|group| group.hits).sum::<u64>(), hits);
    assert_eq!(concentrator.bytes(), 0);
}

/// A span as the property test makes it.
#[derive(Clone, Debug)]
struct Span {
    end_s: u64,
    env: &'static str,
    resource: &'static str,
    span_kind: &'static str,
    status_code: u32,
    host: &'static str,
    duration_ns: u64,
    error: bool,
    top_level: bool,
}

fn spans() -> impl Strategy<Value = Span> {
    let texts = (
        prop::sample::select(vec!["none", "prod"]),
        prop::sample::select(vec!["a", "b", "ab"]),
        prop::sample::select(vec!["client", "server"]),
    );
    let numbers = (
        0u64..40,
        prop::sample::select(vec![0u32, 200, 500]),
        prop_oneof![Just(0u64), 1u64..1000, any::<u64>().prop_map(|ns| ns >> 20)],
    );
    (
        texts,
        numbers,
        prop::sample::select(vec!["", "h", "10.0.0.1", "10.0.0.2"]),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(
            |(
                (env, resource, span_kind),
                (end_s, status_code, duration_ns),
                host,
                error,
                top_level,
            )| Span {
                end_s,
                env,
                resource,
                span_kind,
                status_code,
                host,
                duration_ns,
                error,
                top_level,
            },
        )
}

/// Bucket, env, resource, span kind, status code and peer tag.
type SlowKey = (u64, String, String, String, u32, String);

#[derive(Debug, Default, PartialEq)]
struct SlowGroup {
    hits: u64,
    errors: u64,
    top_level_hits: u64,
    duration: u64,
    ok: Vec<u64>,
    error: Vec<u64>,
}

/// Latencies as the values of their bins, to compare sketches by.
fn bin_values(sketch: &[u8]) -> Vec<u64> {
    let sketch = libdd_ddsketch::DDSketch::from_encoded(sketch).unwrap();
    let mut values = Vec::new();
    for (value, count) in sketch.ordered_bins() {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "small and positive"
        )]
        values.extend(std::iter::repeat_n(
            if value == 0.0 { 0 } else { 1 + (value.ln() / (1.01f64 / 0.99).ln()) as u64 },
            count as usize,
        ));
    }
    values
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn counts_are_those_of_a_slow_reference(spans in proptest::collection::vec(spans(), 0..150), flushes in proptest::collection::vec(0u64..60, 0..4)) {
        let mut concentrator = concentrator(CLOCK_NS);
        let mut slow: BTreeMap<SlowKey, SlowGroup> = BTreeMap::new();
        let mut payloads = Vec::new();
        let mut flushes = flushes;
        flushes.sort_unstable();
        for (at, span) in spans.iter().enumerate() {
            let end_ns = CLOCK_NS + span.end_s * SECOND_NS;
            let bucket = concentrator.bucket(end_ns, u64::MAX);
            let tags = [("out.host", span.host)];
            let payload = PayloadKey { env: span.env, ..PAYLOAD };
            let key = GroupKey { span_kind: span.span_kind, status_code: span.status_code, peer_tags: &tags, ..key(span.resource) };
            let id = concentrator.group(bucket, &payload, &key);
            concentrator.add(id, Hit { duration_ns: span.duration_ns, weight: 1.0, error: span.error, top_level: span.top_level });
            let host = if span.host.starts_with("10.") { "blocked-ip-address" } else { span.host };
            let tag = if host.is_empty() || span.span_kind == "server" { String::new() } else { format!("out.host:{host}") };
            let group = slow.entry((bucket, span.env.into(), span.resource.into(), span.span_kind.into(), span.status_code, tag)).or_default();
            group.hits += 1;
            group.duration += span.duration_ns;
            group.errors += u64::from(span.error);
            group.top_level_hits += u64::from(span.top_level);
            let bin = concentrator.bins.of(span.duration_ns).map_or(0, |bin| 1 + u64::from(bin));
            if span.error { group.error.push(bin) } else { group.ok.push(bin) };
            if at % 40 == 39 && let Some(after) = flushes.pop() {
                payloads.extend(flushed(&mut concentrator, CLOCK_NS + after * SECOND_NS, false));
            }
        }
        payloads.extend(flushed(&mut concentrator, CLOCK_NS, true));
        let mut sent: BTreeMap<SlowKey, SlowGroup> = BTreeMap::new();
        for client in payloads.iter().flat_map(|payload| &payload.stats) {
            for bucket in &client.stats {
                for group in &bucket.stats {
                    let key = (bucket.start, client.env.clone(), group.resource.clone(), group.span_kind.clone(), group.http_status_code, group.peer_tags.join(","));
                    let sum = sent.entry(key).or_default();
                    sum.hits += group.hits;
                    sum.errors += group.errors;
                    sum.duration += group.duration;
                    sum.top_level_hits += group.top_level_hits;
                    sum.ok.extend(bin_values(&group.ok_summary));
                    sum.error.extend(bin_values(&group.error_summary));
                }
            }
        }
        for group in slow.values_mut().chain(sent.values_mut()) {
            group.ok.sort_unstable();
            group.error.sort_unstable();
        }
        prop_assert_eq!(sent, slow);
    }
}

/// Nanoseconds that this thread has run.
fn cpu_ns() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    stat.split_whitespace().next().unwrap().parse().unwrap()
}

/// Prints what the hot path takes; run it with `cargo test --release --lib -- --ignored --nocapture counting_takes_nanoseconds`.
#[test]
#[ignore = "measures; of no use without --release"]
fn counting_takes_nanoseconds() {
    let mut concentrator = concentrator(CLOCK_NS);
    let resources: Vec<String> =
        (0..20_000).map(|at| format!("SELECT name, price FROM products WHERE id = {at}")).collect();
    let tags = [("db.name", "shop"), ("out.host", "10.1.2.3"), ("peer.service", "postgres")];
    let mut ids = Vec::with_capacity(resources.len());
    for name in ["new", "known"] {
        ids.clear();
        let started = cpu_ns();
        for resource in &resources {
            let key = GroupKey { span_kind: "client", peer_tags: &tags, ..key(resource) };
            ids.push(concentrator.group(CLOCK_NS, &PAYLOAD, &key));
        }
        println!("group, {name}: {} ns", (cpu_ns() - started) / 20_000);
    }
    let durations: Vec<u64> = (0..4096).map(|at| 1_000_000 + (at * 7919) % 5_000_000).collect();
    for (name, ids) in [("20", &ids[..20]), ("2000", &ids[..2000]), ("20000", &ids[..])] {
        let started = cpu_ns();
        let rounds = 4_000_000 / ids.len();
        for round in 0..rounds {
            for (at, &id) in ids.iter().enumerate() {
                let duration_ns = durations[(at + round) % 4096];
                concentrator.add(
                    id,
                    Hit { duration_ns, weight: 1.0, error: at % 50 == 0, top_level: at % 10 == 0 },
                );
            }
        }
        println!("add, to one of {name} groups: {:.1} ns", (cpu_ns() - started) as f64 / 4e6);
    }
    let started = cpu_ns();
    let mut bytes = 0;
    concentrator.flush(CLOCK_NS, true, &mut |flushed| bytes += flushed.body.len());
    println!("flush of 20000 groups, {bytes} bytes: {} µs", (cpu_ns() - started) / 1000);
}
