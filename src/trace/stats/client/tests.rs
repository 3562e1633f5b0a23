//! Vectors observed with the agent 7.85.2; what is sent is read with an independent decoder.

use libdd_trace_protobuf::pb;
use proptest::prelude::*;
use rmpv::Value;

use super::*;
use crate::trace::filter::Filters;
use crate::trace::redact::Redactor;
use crate::trace::redact::replace::Rules;

const CLOCK_NS: u64 = 1_750_000_000 * SECOND_NS;
/// Bins 700 (5) and 710 (3), in the form of the Go tracer.
const OK: &str =
    "0a0909fd4a815abf52f03f121c0a0c08f80a1100000000000014400a0c088c0b1100000000000008401a00";
/// Bin 720 (2).
const ERRORS: &str = "0a0909fd4a815abf52f03f120e0a0c08a00b1100000000000000401a00";

/// What changes nothing of these bodies.
fn redactor() -> Redactor {
    Redactor::new(Default::default(), Rules::default())
}

fn unhex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn group(resource: &str) -> pb::ClientGroupedStats {
    pb::ClientGroupedStats {
        service: "web-store".to_owned(),
        name: "web.request".to_owned(),
        resource: resource.to_owned(),
        http_status_code: 200,
        r#type: "web".to_owned(),
        hits: 10,
        errors: 2,
        duration: 5_000_000,
        ok_summary: unhex(OK),
        error_summary: unhex(ERRORS),
        top_level_hits: 10,
        span_kind: "server".to_owned(),
        is_trace_root: 1,
        ..pb::ClientGroupedStats::default()
    }
}

fn body_at(groups: Vec<(u64, pb::ClientGroupedStats)>) -> Vec<u8> {
    let bucket = |(start, group)| pb::ClientStatsBucket {
        start,
        duration: 10 * SECOND_NS,
        stats: vec![group],
        ..pb::ClientStatsBucket::default()
    };
    let payload = pb::ClientStatsPayload {
        hostname: "h".to_owned(),
        env: "Prod".to_owned(),
        version: "1.2.3".to_owned(),
        lang: "go".to_owned(),
        tracer_version: "2.4.0".to_owned(),
        runtime_id: "rid".to_owned(),
        sequence: 7,
        service: "base-svc".to_owned(),
        stats: groups.into_iter().map(bucket).collect(),
        ..pb::ClientStatsPayload::default()
    };
    rmp_serde::to_vec_named(&payload).unwrap()
}

fn body(groups: Vec<pb::ClientGroupedStats>) -> Vec<u8> {
    body_at(groups.into_iter().map(|group| (CLOCK_NS - 10 * SECOND_NS, group)).collect())
}

fn client_stats() -> ClientStats {
    let agent = Agent { env: "none".to_owned(), hostname: String::new() };
    ClientStats::new(agent, normalise::RESOURCE_BYTES_MAX, CLOCK_NS)
}

fn flushed(stats: &mut ClientStats, now_ns: u64, force: bool) -> Vec<pb::StatsPayload> {
    let mut payloads = Vec::new();
    stats.flush(now_ns, force, &mut |flushed| payloads.push(read(&flushed)));
    payloads
}

fn read(flushed: &Flushed) -> pb::StatsPayload {
    let payload: pb::StatsPayload = rmp_serde::from_slice(&flushed.body).unwrap();
    assert_eq!(flushed.groups as usize, groups_of(&payload).len());
    assert!(payload.client_computed);
    assert_eq!((payload.agent_env.as_str(), payload.agent_version.as_str()), ("none", "7.85.2"));
    payload
}

fn groups_of(payload: &pb::StatsPayload) -> Vec<&pb::ClientGroupedStats> {
    payload.stats.iter().flat_map(|client| &client.stats).flat_map(|bucket| &bucket.stats).collect()
}

fn add(stats: &mut ClientStats, body: &[u8]) -> Result<u64, DecodeError> {
    stats.add(
        &Tracer::default(),
        body,
        (&Filters::default(), &mut redactor()),
        CLOCK_NS,
        &mut |_| panic!("not that much"),
    )
}

#[test]
fn stats_seen_once_leave_as_they_came() {
    let mut stats = client_stats();
    let rich = pb::ClientGroupedStats {
        errors: 0,
        error_summary: Vec::new(),
        peer_tags: vec!["peer.service:x".to_owned(), "a:b".to_owned()],
        is_trace_root: 2,
        grpc_status_code: "5".to_owned(),
        http_method: "GET".to_owned(),
        http_endpoint: "/cart".to_owned(),
        service_source: "m".to_owned(),
        additional_metric_tags: vec!["t:1".to_owned()],
        span_derived_primary_tags: vec!["z:1".to_owned()],
        ..group("POST /cart")
    };
    assert_eq!(add(&mut stats, &body(vec![group("GET /cart"), rich.clone()])), Ok(2));
    let payloads = flushed(&mut stats, CLOCK_NS, true);
    assert_eq!(payloads.len(), 1);
    let client = &payloads[0].stats[0];
    assert_eq!(
        (&*client.hostname, &*client.env, &*client.version, &*client.lang, &*client.service),
        ("h", "prod", "1.2.3", "go", "base-svc")
    );
    assert_eq!((&*client.tracer_version, &*client.runtime_id, client.sequence), ("", "", 0));
    assert_eq!(
        (client.stats[0].start, client.stats[0].duration),
        (CLOCK_NS - 9 * SECOND_NS, 10 * SECOND_NS)
    );
    let sorted = pb::ClientGroupedStats {
        peer_tags: vec!["a:b".to_owned(), "peer.service:x".to_owned()],
        span_derived_primary_tags: Vec::new(),
        ..rich
    };
    assert_eq!(groups_of(&payloads[0]), [&group("GET /cart"), &sorted]);
    assert_eq!(stats.bytes(), 0);
}

#[test]
fn stats_of_one_key_are_added_up() {
    let mut stats = client_stats();
    let second = pb::ClientGroupedStats {
        hits: 5,
        errors: 1,
        ok_summary: unhex("0a0909fd4a815abf52f03f120e0a0c08f80a1100000000000010401a00"),
        error_summary: unhex("0a0909fd4a815abf52f03f120e0a0c08b40b11000000000000f03f1a00"),
        ..group("GET /cart")
    };
    add(&mut stats, &body(vec![group("GET /cart")])).unwrap();
    add(&mut stats, &body(vec![second])).unwrap();
    let payloads = flushed(&mut stats, CLOCK_NS, true);
    let groups = groups_of(&payloads[0]);
    assert_eq!(groups.len(), 1);
    assert_eq!(
        (groups[0].hits, groups[0].errors, groups[0].duration, groups[0].top_level_hits),
        (15, 3, 10_000_000, 20)
    );
    let zeros = "0".repeat(16 * 9);
    let row = |first: &str, last: &str, bin: &str| {
        format!("0a0909fd4a815abf52f03f125d1258{first}{zeros}{last}18{bin}1a00")
    };
    assert_eq!(hex(&groups[0].ok_summary), row("0000000000002240", "0000000000000840", "f80a"));
    assert_eq!(hex(&groups[0].error_summary), row("0000000000000040", "000000000000f03f", "a00b"));
}

#[test]
fn versions_are_kept_apart() {
    let mut stats = client_stats();
    let other = |version: &str| {
        let mut payload: pb::ClientStatsPayload =
            rmp_serde::from_slice(&body(vec![group("GET /cart")])).unwrap();
        payload.version = version.to_owned();
        rmp_serde::to_vec_named(&payload).unwrap()
    };
    add(&mut stats, &other("1")).unwrap();
    add(&mut stats, &other("2")).unwrap();
    let payloads = flushed(&mut stats, CLOCK_NS, true);
    assert_eq!(payloads.len(), 1, "one bucket, one payload");
    assert_eq!(payloads[0].stats.len(), 2);
}

#[test]
fn texts_are_made_uniform_and_groups_that_become_the_same_are_added_up() {
    let mut stats = client_stats();
    let bare = pb::ClientGroupedStats {
        service: String::new(),
        name: String::new(),
        r#type: "t".repeat(120),
        ..group("")
    };
    let odd = pb::ClientGroupedStats {
        service: "Bad Svc!".to_owned(),
        name: "Bad-Name".to_owned(),
        span_kind: "SERVER".to_owned(),
        http_status_code: 999,
        ..group(&"r".repeat(6000))
    };
    let odd_again = pb::ClientGroupedStats { service: "bad svc?".to_owned(), ..odd.clone() };
    add(&mut stats, &body(vec![bare, odd, odd_again])).unwrap();
    let payloads = flushed(&mut stats, CLOCK_NS, true);
    let groups = groups_of(&payloads[0]);
    assert_eq!(groups.len(), 2);
    let texts = |group: &pb::ClientGroupedStats| {
        [&group.service, &group.name, &group.resource, &group.span_kind].map(String::clone)
    };
    assert_eq!(
        texts(groups[0]),
        ["unnamed-service", "unnamed_operation", "unnamed_operation", "server"]
    );
    assert_eq!(groups[0].r#type.len(), 120, "types are not cut here");
    assert_eq!(texts(groups[1]), ["bad_svc", "Bad_Name", &"r".repeat(5000), "SERVER"]);
    assert_eq!((groups[1].http_status_code, groups[1].hits), (999, 20));
}

#[test]
fn times_too_old_or_to_come_go_to_the_oldest_and_the_present_bucket() {
    let mut stats = client_stats();
    let ages = [600, 21, 19, 11, 2, 0, -30, -600, 1_750_000_000];
    let at = |age: i64| CLOCK_NS.saturating_add_signed(-age * SECOND_NS.cast_signed());
    add(&mut stats, &body_at(ages.iter().map(|&age| (at(age), group(&age.to_string()))).collect()))
        .unwrap();
    let payloads = flushed(&mut stats, CLOCK_NS, true);
    let found: Vec<(i64, Vec<&str>)> = payloads
        .iter()
        .map(|payload| {
            let start = payload.stats[0].stats[0].start;
            let age = CLOCK_NS.cast_signed() - start.cast_signed();
            (
                age / SECOND_NS.cast_signed(),
                groups_of(payload).iter().map(|group| &*group.resource).collect(),
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            (17, vec!["600", "21", "19", "1750000000"]),
            (11, vec!["11"]),
            (1, vec!["2"]),
            (-1, vec!["0", "-30", "-600"])
        ]
    );
}

#[test]
fn a_bucket_waits_for_others_of_its_time() {
    let mut stats = client_stats();
    add(&mut stats, &body_at(vec![(CLOCK_NS, group("GET /cart"))])).unwrap();
    assert_eq!(flushed(&mut stats, CLOCK_NS + 19 * SECOND_NS, false), []);
    assert_eq!(flushed(&mut stats, CLOCK_NS + 20 * SECOND_NS, false).len(), 1);
    assert_eq!(flushed(&mut stats, CLOCK_NS + 40 * SECOND_NS, true), []);
}

#[test]
fn sketches_that_are_not_understood_are_left_out_of_sums() {
    let mut stats = client_stats();
    let with = |resource: &str, ok: &[u8]| pb::ClientGroupedStats {
        ok_summary: ok.to_vec(),
        ..group(resource)
    };
    let good = unhex(OK);
    for (first, second) in [
        (b"garbage".as_slice(), b"garbage".as_slice()),
        (b"garbage", &good),
        (&good, b"garbage"),
        (b"", &good),
        (&good, b""),
        (b"", b""),
    ] {
        let bodies = [first, second].map(|ok| body(vec![with("r", ok)]));
        add(&mut stats, &bodies[0]).unwrap();
        let alone = groups_of(&flushed(&mut stats, CLOCK_NS, true)[0])[0].ok_summary.clone();
        assert_eq!(alone, first, "kept as it is");
        add(&mut stats, &bodies[0]).unwrap();
        add(&mut stats, &bodies[1]).unwrap();
        let payloads = flushed(&mut stats, CLOCK_NS, true);
        let sum = &groups_of(&payloads[0])[0].ok_summary;
        let count = libdd_ddsketch::DDSketch::from_encoded(sum).map(|sketch| sketch.count());
        let wanted = if first == good || second == good { Some(8.0) } else { None };
        assert_eq!(count.filter(|_| !sum.is_empty()), wanted, "{first:?} {second:?}");
        assert_eq!(groups_of(&payloads[0])[0].hits, 20);
    }
}

#[test]
fn sketches_with_other_bins_are_mapped_to_the_intakes() {
    // The same latencies in the bins of the Java tracer and of the Rust library, each bin about 1.5 % wide.
    let java = "0a0b096180773e9a2cf03f1801120d1208000000000000f03f18a4141a00";
    let rust = "0a1209000000000040f03f110000000000ea9440120d1208000000000000f03f18ee221a00";
    for (encoded, low, high) in [(java, 1_343_488.0, 1_359_872.0), (rust, 1_020_000.0, 1_050_000.0)]
    {
        let mut merged = Merged::default();
        assert!(merged.add(&unhex(encoded)) && merged.add(&unhex(encoded)));
        let sketch = libdd_ddsketch::DDSketch::from_encoded(&merged.encode()).unwrap();
        assert!((sketch.count() - 2.0).abs() < 1e-9, "{}", sketch.count());
        for (value, count) in sketch.ordered_bins() {
            assert!(count == 0.0 || (value > low * 0.97 && value < high * 1.03), "{value} {count}");
        }
    }
}

#[test]
fn a_body_without_stats_leaves_nothing() {
    let mut stats = client_stats();
    for empty in
        [body(Vec::new()), vec![0x80], rmp(&Value::Map(vec![("Stats".into(), Value::Nil)]))]
    {
        assert_eq!(add(&mut stats, &empty), Ok(0));
    }
    let empty_bucket = rmp(&payload_of(Value::Array(Vec::new())));
    assert_eq!(add(&mut stats, &empty_bucket), Ok(0));
    assert_eq!(flushed(&mut stats, CLOCK_NS, true), []);
}

fn rmp(value: &Value) -> Vec<u8> {
    let mut body = Vec::new();
    rmpv::encode::write_value(&mut body, value).unwrap();
    body
}

fn payload_of(groups: Value) -> Value {
    let bucket = Value::Map(vec![("Stats".into(), groups), ("Start".into(), CLOCK_NS.into())]);
    Value::Map(vec![("Stats".into(), Value::Array(vec![bucket]))])
}

fn group_with(field: &str, value: Value) -> Vec<u8> {
    rmp(&payload_of(Value::Array(vec![Value::Map(vec![
        ("Resource".into(), "r".into()),
        (field.into(), value),
    ])])))
}

#[test]
fn values_are_taken_in_any_form_that_makes_sense() {
    let accepted = [
        ("Hits", Value::from(3.0)),
        ("Hits", Value::from(3u64)),
        ("Hits", Value::from(3i64)),
        ("Hits", Value::Nil),
        ("Service", Value::Nil),
        ("Service", Value::Binary(b"web".to_vec())),
        ("Service", Value::String(rmpv::Utf8String::from("web"))),
        ("Synthetics", Value::Nil),
        ("PeerTags", Value::Nil),
        ("IsTraceRoot", Value::from(9)),
        ("Unknown", Value::Array(vec![Value::Map(vec![(Value::from(1), Value::Nil)])])),
    ];
    for (field, value) in accepted {
        let mut stats = client_stats();
        assert_eq!(add(&mut stats, &group_with(field, value.clone())), Ok(1), "{field} {value}");
        assert_eq!(
            flushed(&mut stats, CLOCK_NS, true)[0].stats[0].stats[0].start,
            CLOCK_NS + SECOND_NS,
            "the start after the groups"
        );
    }
    // A text that is not UTF-8.
    let mut odd = group_with("Service", Value::from("web?store"));
    let at = odd.iter().position(|&byte| byte == b'?').unwrap();
    odd[at] = 0xff;
    let mut stats = client_stats();
    assert_eq!(add(&mut stats, &odd), Ok(1));
    assert_eq!(groups_of(&flushed(&mut stats, CLOCK_NS, true)[0])[0].service, "web_store");
}

#[test]
fn a_malformed_body_is_refused_and_leaves_nothing() {
    let good = body(vec![group("a"), group("b")]);
    let nil_sketch = group_with("OkSummary", Value::Nil);
    let mut refused = vec![
        Vec::new(),
        vec![0x90],
        vec![0xc0],
        vec![0xc1],
        b"{}".to_vec(),
        nil_sketch,
        group_with("Hits", Value::from(-1)),
        group_with("Hits", Value::from("many")),
        group_with("Service", Value::from(1)),
        group_with("PeerTags", Value::Array(vec![Value::Nil; 1001])),
        rmp(&payload_of(Value::Array(vec![Value::Nil]))),
        rmp(&payload_of(Value::Array(vec![Value::Array(Vec::new())]))),
        rmp(&payload_of(Value::from("no list"))),
        rmp(&Value::Map(vec![("Stats".into(), Value::Array(vec![Value::Nil]))])),
    ];
    refused.extend((1..good.len()).map(|len| good[..len].to_vec()));
    let mut deep = vec![0x81, 0xa1, b'x'];
    deep.extend(vec![0x91; 100_000]);
    deep.push(0xc0);
    refused.push(deep);
    let mut stats = client_stats();
    for (at, body) in refused.iter().enumerate() {
        let error = add(&mut stats, body).expect_err(&format!("{at}")).to_string();
        assert!(error.len() <= 200, "{error}");
    }
    assert_eq!(stats.bytes(), 0);
    assert_eq!(flushed(&mut stats, CLOCK_NS, true), []);
}

#[test]
fn more_than_the_limit_leaves_early_and_nothing_is_lost() {
    let mut stats = client_stats();
    let many = |from: usize| {
        let groups = (from..from + 6000).map(|at| group(&format!("{at}{}", "x".repeat(1000))));
        body(groups.collect())
    };
    let mut sent = Vec::new();
    for round in 0..3 {
        let added = stats.add(
            &Tracer::default(),
            &many(round * 6000),
            (&Filters::default(), &mut redactor()),
            CLOCK_NS,
            &mut |flushed| sent.push(flushed),
        );
        assert_eq!(added, Ok(6000));
        assert!(stats.bytes() <= limits::STATS_BYTES_MAX);
    }
    assert!(!sent.is_empty());
    stats.flush(CLOCK_NS, true, &mut |flushed| sent.push(flushed));
    let mut hits = 0;
    for flushed in &sent {
        assert!(flushed.groups as usize <= limits::STATS_GROUPS_PER_PAYLOAD_MAX);
        assert!(flushed.body.len() < limits::TRACES_PAYLOAD_BYTES_MAX + 10_000);
        let payload = read(flushed);
        hits += groups_of(&payload).iter().map(|group| group.hits).sum::<u64>();
    }
    assert_eq!(hits, 3 * 6000 * 10);
}

#[test]
fn hostile_sketches_take_neither_memory_nor_time() {
    let mapping = unhex("0a0909fd4a815abf52f03f");
    let store = |inner: &[u8]| {
        let mut all = mapping.clone();
        all.push(0x12);
        all.push(u8::try_from(inner.len()).unwrap());
        all.extend_from_slice(inner);
        all
    };
    // Bins at both ends of all that a sint32 can say, and counts that are none.
    let far = store(&unhex("0a0f08ffffffff0f11000000000000f03f0a0f08feffffff0f11000000000000f03f"));
    let no_count = store(&unhex(
        "0a0c08f80a11000000000000f87f0a0c08f80a11000000000000f07f0a0c08f80a11000000000000f0bf",
    ));
    let mut merged = Merged::default();
    assert!(merged.add(&far) && merged.add(&no_count) && merged.add(&unhex(OK)));
    assert!(merged.heap_bytes() <= 64 * 1024);
    let sketch = merged.encode();
    assert!(sketch.len() < 2048 * 8 + 64);
    // Bins so wide or so narrow that mapping them would take long.
    for gamma in [1.0, 1.000_000_1, 1e300, f64::NAN, -1.0] {
        let mut odd = vec![0x0a, 9, 9];
        odd.extend(gamma.to_le_bytes());
        odd.extend_from_slice(&unhex("120e0a0c08f80a1100000000000010401a00"));
        assert!(!Merged::default().add(&odd), "{gamma}");
    }
}

proptest! {
    #[test]
    fn a_mutated_body_is_taken_or_refused(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut stats = client_stats();
        let mut mutated = body(vec![group("GET /cart"), group("GET /cart"), group("other")]);
        for (at, byte) in changes {
            let at = at.index(mutated.len());
            mutated[at] = byte;
        }
        for body in [&mutated[..], &mutated[..cut.index(mutated.len())]] {
            let mut sent = 0;
            let before = stats.bytes();
            if let Err(error) = stats.add(&Tracer::default(), body, (&Filters::default(), &mut redactor()), CLOCK_NS, &mut |_| sent += 1) {
                prop_assert!(error.to_string().len() <= 200);
                prop_assert_eq!(stats.bytes(), before);
            }
            prop_assert!(stats.bytes() < 200_000);
        }
        for payload in flushed(&mut stats, CLOCK_NS, true) {
            prop_assert!(!groups_of(&payload).is_empty());
        }
    }

    #[test]
    fn any_sketch_is_added_or_left_out(bytes in proptest::collection::vec(any::<u8>(), 0..64), flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4)) {
        let mut merged = Merged::default();
        merged.add(&bytes);
        let mut near = unhex(OK);
        for (at, byte) in flips {
            let at = at.index(near.len());
            near[at] = byte;
        }
        merged.add(&near);
        prop_assert!(merged.heap_bytes() <= 64 * 1024);
        prop_assert!(merged.encode().len() <= merged.encoded_len());
    }
}
