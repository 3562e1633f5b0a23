//! What happens at the limits: of memory, of bodies, of the intake.

use crate::ledger::Shed;
use crate::limits::{
    SERIES_BODY_BYTES_MAX, SERIES_COMPRESSED_BYTES_MAX, SERIES_POINTS_MAX, SKETCHES_BODY_BYTES_MAX,
};
use crate::metrics::BodyKind;

use super::{Bench, Kind, OpenBuckets, Sample, Settings, Values, sample};

use OpenBuckets::{Flush, Keep};

#[test]
fn metrics_beyond_the_limit_are_shed_and_those_that_are_known_go_on() {
    let mut bench = Bench::new(Settings { contexts_max: 100, ..Settings::default() });
    for round in 0..2 {
        for n in 0..300 {
            bench.put(Kind::Gauge, "g", &[&format!("id:{n}")], &[1.0, 2.0], 1000 + round);
        }
    }
    assert_eq!(bench.flush(1010, Keep).series.len(), 100);
    let samples = bench.samples();
    assert_eq!(samples.shed[Shed::ContextsFull as usize], 800);
    assert_eq!((samples.received, samples.aggregated, samples.held()), (1200, 400, 0));
    // They make room when nobody sends them any more.
    bench.flush(1030, Keep);
    bench.put(Kind::Gauge, "g", &["id:299"], &[1.0], 1031);
    assert_eq!(bench.flush(1040, Keep).series.len(), 1);
}

#[test]
fn idle_counters_make_room_where_contexts_are_short() {
    let mut bench = Bench::new(Settings { contexts_max: 100, ..Settings::default() });
    for n in 0..100 {
        bench.put(Kind::Count, "c", &[&format!("id:{n}")], &[1.0], 1000);
    }
    assert_eq!(bench.flush(1010, Keep).series.len(), 100);
    assert_eq!(bench.flush(1020, Keep).series.len(), 100);
    assert_eq!(bench.aggregator.contexts.len(), 0);
}

#[test]
fn memory_stays_within_its_limit_whatever_comes() {
    let bytes_max = 1 << 20;
    let mut bench = Bench::new(Settings { bytes_max, ..Settings::default() });
    let kinds = [Kind::Count, Kind::Gauge, Kind::Histogram, Kind::Distribution, Kind::Set];
    let mut most = 0;
    for n in 0..200_000_u32 {
        let tag = format!("id:{}", n % 20_000);
        let kind = kinds[n as usize % kinds.len()];
        let number = [f64::from(n) * 1.37];
        let values =
            if kind == Kind::Set { Values::Member(&tag) } else { Values::Numbers(&number) };
        let timestamp_s = (n % 7 == 0).then_some(77);
        let name = if n % 3 == 0 { "same" } else { tag.as_str() };
        let sample = Sample { name, kind, values, timestamp_s, tags: &[&tag], ..sample("", &[]) };
        bench.aggregator.sample(&sample, 1000 + u64::from(n / 10_000));
        most = most.max(bench.aggregator.held_bytes());
    }
    assert!(most > bytes_max / 2 && most <= bytes_max + bytes_max / 50, "{most}");
    bench.flush(2000, Flush);
    let samples = bench.samples();
    assert_eq!((samples.received, samples.held()), (200_000, 0));
    assert!(samples.shed[Shed::ContextsFull as usize] > 0);
    assert!(samples.shed[Shed::MetricBytesFull as usize] > 0);
    bench.flush(2300, Keep);
    assert_eq!(bench.aggregator.held_bytes(), 0);
}

#[test]
fn an_aggregator_without_samples_holds_nothing() {
    let mut bench = Bench::new(Settings::default());
    assert_eq!(bench.flush(1000, Flush).outputs, []);
    assert_eq!(bench.aggregator.held_bytes(), 0);
}

/// A text that looks like a random id.
fn id(n: u64) -> String {
    let mix = |n: u64| {
        (n ^ n >> 31)
            .wrapping_mul(0xbf58_476d_1ce4_e5b9)
            .rotate_left(29)
            .wrapping_mul(0x94d0_49bb_1331_11eb)
    };
    format!("{:016x}{:016x}", mix(n), mix(mix(n + 1)))
}

#[test]
fn bodies_of_series_keep_the_limits_before_and_after_compression() {
    for are_series_compressed in [true, false] {
        let mut bench = Bench::new(Settings { are_series_compressed, ..Settings::default() });
        for n in 0..20_000_u64 {
            let tags = [
                format!("request:{}", id(n)),
                "service:checkout".to_owned(),
                format!("zone:{}", n % 3),
            ];
            let tags = [&*tags[0], &*tags[1], &*tags[2]];
            bench.put(Kind::Gauge, "app.request.duration", &tags, &[(n as f64).sqrt()], 1000);
        }
        let intake = bench.flush(1010, Keep);
        assert_eq!(intake.series.len(), 20_000);
        assert!(intake.outputs.len() >= 2);
        for output in &intake.outputs {
            let compressed = zstd::encode_all(&output.body[..], 1).unwrap();
            let sent = if are_series_compressed { compressed.len() } else { output.body.len() };
            assert!(sent <= SERIES_COMPRESSED_BYTES_MAX, "{sent}");
            assert!(
                output.body.len() <= SERIES_BODY_BYTES_MAX
                    && output.counts.points <= SERIES_POINTS_MAX
            );
            assert!(output.parts.len() > 10);
        }
        let all = intake.outputs.iter().map(|output| output.counts.points).sum::<u64>();
        assert_eq!((all, bench.ledger.points.read().received), (20_000, 20_000));
    }
}

#[test]
fn bodies_of_sketches_keep_their_limit() {
    let mut bench = Bench::new(Settings::default());
    for n in 0..3000 {
        let numbers: Vec<f64> =
            (0..400).map(|k| f64::from(k * 2 + n % 7).mul_add(0.01, 1.0).exp()).collect();
        bench.put(Kind::Distribution, "d", &[&format!("id:{n}")], &numbers, 1000);
    }
    let intake = bench.flush(1010, Keep);
    assert_eq!(intake.sketches.len(), 3000);
    assert!(intake.outputs.len() >= 2 && intake.outputs.len() <= 3, "{}", intake.outputs.len());
    assert!(intake.outputs.iter().all(|output| output.kind == BodyKind::Sketches));
    assert!(intake.outputs.iter().all(|output| output.body.len() <= SKETCHES_BODY_BYTES_MAX));
}

#[test]
fn a_series_that_no_body_has_room_for_is_shed() {
    let mut bench = Bench::new(Settings { are_series_compressed: false, ..Settings::default() });
    let long = "x".repeat(SERIES_COMPRESSED_BYTES_MAX);
    bench.put(Kind::Gauge, "g", &[&long], &[1.0], 1000);
    bench.put(Kind::Gauge, "g", &["short"], &[2.0], 1000);
    assert_eq!(bench.flush(1010, Keep).points("g"), [(1000, 2.0)]);
    let points = bench.ledger.points.read();
    assert_eq!((points.received, points.shed[Shed::TooLarge as usize]), (2, 1));
    assert_eq!(bench.samples().held(), 0);
}
