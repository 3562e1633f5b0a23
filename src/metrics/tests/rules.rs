//! One rule after the other, by examples.

use crate::ledger::Shed;

use super::decoded::{Metadata, Origin as DecodedOrigin, Resource};
use super::{Bench, Kind, OpenBuckets, Origin, Sample, Settings, Values, sample};

use OpenBuckets::{Flush, Keep};

#[test]
fn a_count_is_a_rate_over_ten_seconds_at_the_start_of_its_bucket() {
    let mut bench = Bench::new(Settings::default());
    bench.put(Kind::Count, "a", &[], &[1.0], 1_000_003);
    assert_eq!(bench.flush(1_000_009, Keep).series, []);
    let intake = bench.flush(1_000_010, Keep);
    let [series] = &intake.series[..] else { panic!("{intake:?}") };
    assert_eq!((intake.points("a"), series.kind, series.interval), (vec![(1_000_000, 0.1)], 2, 10));
    assert_eq!(series.resources, [Resource { kind: "host".to_owned(), name: String::new() }]);
    assert_eq!((&*series.unit, &*series.source_type_name), ("", ""));
}

#[test]
fn counts_are_added_up_each_for_as_many_as_its_rate_says() {
    let mut bench = Bench::new(Settings::default());
    for (rate, numbers) in
        [(1.0, [1.0, 2.0]), (0.5, [1.0, 0.5]), (0.0, [1.0, 1.0]), (4.0, [4.0, 4.0])]
    {
        let sample = Sample { kind: Kind::Count, rate, ..sample("a", &numbers) };
        bench.aggregator.sample(&sample, 1005);
    }
    assert_eq!(bench.flush(1010, Keep).points("a"), [(1000, 1.0)]);
}

#[test]
fn a_gauge_is_its_last_value_and_a_set_the_number_of_its_members() {
    let mut bench = Bench::new(Settings::default());
    bench.put(Kind::Gauge, "g", &[], &[5.0, 7.0], 1001);
    bench.put(Kind::Gauge, "g", &[], &[3.0], 1009);
    for member in ["x", "y:z", "x", "", "y"] {
        let sample = Sample { kind: Kind::Set, values: Values::Member(member), ..sample("s", &[]) };
        bench.aggregator.sample(&sample, 1002);
    }
    let intake = bench.flush(1010, Keep);
    assert_eq!((intake.points("g"), intake.points("s")), (vec![(1000, 3.0)], vec![(1000, 4.0)]));
    assert!(intake.series.iter().all(|series| (series.kind, series.interval) == (3, 0)));
    // Neither is sent again.
    assert_eq!(bench.flush(1020, Keep).outputs, []);
}

#[test]
fn a_histogram_becomes_the_series_that_are_set() {
    let mut bench = Bench::new(Settings::default());
    for n in 1..=20 {
        let kind = if n % 2 == 0 { Kind::Timing } else { Kind::Histogram };
        bench.put(kind, "h", &["a:1"], &[f64::from(n)], 1000);
    }
    let intake = bench.flush(1010, Keep);
    let tags = vec!["a:1".to_owned()];
    let expect = [
        ("h.95percentile", 19.0),
        ("h.avg", 10.5),
        ("h.count", 2.0),
        ("h.max", 20.0),
        ("h.median", 10.0),
    ];
    let expect = expect.map(|(name, value)| ((name.to_owned(), tags.clone()), vec![(1000, value)]));
    assert_eq!(intake.by_name().into_iter().collect::<Vec<_>>(), expect);
    for series in &intake.series {
        let expect = if series.metric == "h.count" { (2, 10) } else { (3, 0) };
        assert_eq!((series.kind, series.interval), expect, "{}", series.metric);
    }
}

#[test]
fn series_of_a_histogram_that_are_not_wanted_are_filtered() {
    for (is_blocked_by_prefix, expect) in
        [(false, vec!["h.avg", "h.count", "h.max"]), (true, vec!["h.avg"])]
    {
        let blocked = ["h.95percentile", "h.median", "h.c", "h.m"].map(str::to_owned).to_vec();
        let settings = Settings { blocked, is_blocked_by_prefix, ..Settings::default() };
        let mut bench = Bench::new(settings);
        bench.put(Kind::Histogram, "h", &["a:1"], &[1.0, 2.0], 1000);
        // What came in is for who brings it.
        bench.put(Kind::Gauge, "h.max", &["g"], &[1.0], 1000);
        let intake = bench.flush(1010, Keep);
        let mut names: Vec<&str> = intake
            .series
            .iter()
            .filter(|one| one.tags == ["a:1"])
            .map(|one| &*one.metric)
            .collect();
        names.sort_unstable();
        assert_eq!(names, expect);
        assert_eq!(intake.points("h.max").len(), 2 - usize::from(is_blocked_by_prefix));
        let points = bench.ledger.points.read();
        assert_eq!((points.received, points.filtered), (6, 5 - expect.len() as u64));
    }
}

#[test]
fn a_histogram_weighs_values_by_the_share_that_was_sent() {
    let mut bench = Bench::new(Settings::default());
    for (rate, numbers) in [(0.1, [1.0]), (0.3, [2.0]), (1.0, [100.0])] {
        let sample = Sample { kind: Kind::Histogram, rate, ..sample("h", &numbers) };
        bench.aggregator.sample(&sample, 1000);
    }
    let intake = bench.flush(1010, Keep);
    assert_eq!(intake.points("h.count"), [(1000, 1.4)]);
    assert_eq!(intake.points("h.avg"), [(1000, 116.0 / 14.0)]);
    assert_eq!(intake.points("h.median"), [(1000, 1.0)]);
}

#[test]
fn a_histogram_is_copied_to_a_distribution_where_that_is_set() {
    let settings =
        Settings { copy_to_distribution: Some("dist.".to_owned()), ..Settings::default() };
    let mut bench = Bench::new(settings);
    bench.put(Kind::Timing, "h", &["a:1"], &[1.0, 2.0], 1000);
    bench.put(Kind::Gauge, "g", &[], &[1.0], 1000);
    let intake = bench.flush(1010, Keep);
    let [sketch] = &intake.sketches[..] else { panic!("{intake:?}") };
    assert_eq!((&*sketch.metric, &sketch.tags[..]), ("dist.h", &["a:1".to_owned()][..]));
    assert_eq!((sketch.dogsketches[0].cnt, intake.points("h.max")), (2, vec![(1000, 2.0)]));
    let samples = bench.samples();
    assert_eq!((samples.received, samples.aggregated), (5, 5));
}

#[test]
fn a_distribution_becomes_a_sketch_for_each_bucket() {
    let mut bench = Bench::new(Settings::default());
    for (now_s, numbers) in
        [(1000, &[1.0, 2.0, 3.0, 4.0, 5.0][..]), (1019, &[0.0, -1.5, 1.5, 1e-10])]
    {
        bench.put(Kind::Distribution, "d", &["b", "a"], numbers, now_s);
    }
    let intake = bench.flush(1020, Keep);
    let [sketch] = &intake.sketches[..] else { panic!("{intake:?}") };
    assert_eq!(sketch.tags, ["a", "b"]);
    let [first, second] = &sketch.dogsketches[..] else { panic!("{sketch:?}") };
    assert_eq!((first.ts, first.cnt, first.min, first.max), (1000, 5, 1.0, 5.0));
    assert_eq!((first.sum, first.avg), (15.0, 3.0));
    assert_eq!((&first.k[..], &first.n[..]), (&[1338, 1383, 1409, 1427, 1442][..], &[1; 5][..]));
    assert_eq!(
        (second.ts, &second.k[..], &second.n[..]),
        (1010, &[-1364, 0, 1364][..], &[1, 2, 1][..])
    );
    assert_eq!(intake.outputs[0].counts.points, 2);
}

#[test]
fn a_counter_that_stops_is_zero_for_five_minutes() {
    let mut bench = Bench::new(Settings::default());
    bench.put(Kind::Count, "c", &[], &[20.0], 1005);
    bench.put(Kind::Gauge, "g", &[], &[1.0], 1005);
    let mut points = Vec::new();
    // Flushes are not in step with buckets.
    for now_s in (1006..1500).step_by(3) {
        points.extend(bench.flush(now_s, Keep).points("c"));
    }
    let starts: Vec<i64> = points.iter().map(|point| point.0).collect();
    assert_eq!(starts, (1000..1305).step_by(10).collect::<Vec<i64>>());
    assert_eq!(points[0].1, 2.0);
    assert!(points[1..].iter().all(|point| point.1 == 0.0));
    assert_eq!(bench.aggregator.contexts.len(), 0);
    let points = bench.ledger.points.read();
    assert_eq!((points.received, bench.samples().aggregated), (32, 2));
}

#[test]
fn a_zero_never_follows_a_value_of_the_same_bucket() {
    let mut bench = Bench::new(Settings::default());
    bench.put(Kind::Count, "c", &[], &[20.0], 1005);
    assert_eq!(bench.flush(1006, Flush).points("c"), [(1000, 2.0)]);
    assert_eq!(bench.flush(1010, Keep).points("c"), []);
    assert_eq!(bench.flush(1020, Keep).points("c"), [(1010, 0.0)]);
}

#[test]
fn a_counter_without_samples_in_a_bucket_of_others_is_zero_in_it() {
    let mut bench = Bench::new(Settings::default());
    bench.put(Kind::Count, "c", &[], &[20.0], 1005);
    bench.put(Kind::Count, "other", &[], &[10.0], 1015);
    bench.put(Kind::Count, "c", &[], &[30.0], 1025);
    let intake = bench.flush(1030, Keep);
    assert_eq!(intake.points("c"), [(1000, 2.0), (1010, 0.0), (1020, 3.0)]);
    assert_eq!(intake.series.len(), 2);
}

#[test]
fn the_open_bucket_leaves_at_the_end_only() {
    let mut bench = Bench::new(Settings::default());
    for (now_s, number) in [(1005, 1.0), (1012, 2.0)] {
        bench.put(Kind::Gauge, "g", &[], &[number], now_s);
        bench.put(Kind::Distribution, "d", &[], &[number], now_s);
    }
    assert_eq!(bench.flush(1013, Keep).points("g"), [(1000, 1.0)]);
    assert_eq!(bench.samples().held(), 2);
    let intake = bench.flush(1014, Flush);
    assert_eq!(
        (intake.points("g"), intake.sketches[0].dogsketches[0].ts),
        (vec![(1010, 2.0)], 1010)
    );
    assert_eq!(bench.samples().held(), 0);
    assert_eq!(bench.flush(1020, Keep).outputs, []);
}

#[test]
fn a_value_with_a_time_of_its_own_is_sent_as_it_is() {
    let mut bench = Bench::new(Settings { tags: vec!["env:x".to_owned()], ..Settings::default() });
    for (kind, rate) in
        [(Kind::Count, 0.5), (Kind::Gauge, 1.0), (Kind::Histogram, 1.0), (Kind::Distribution, 1.0)]
    {
        let timed = Sample {
            kind,
            rate,
            timestamp_s: Some(1_700_000_003),
            tags: &["b", "a", "b"],
            ..sample("t", &[1.0])
        };
        bench.aggregator.sample(&timed, 2_000_000_000);
    }
    let set = Sample {
        kind: Kind::Set,
        values: Values::Member("x"),
        timestamp_s: Some(1),
        ..sample("t", &[])
    };
    bench.aggregator.sample(&set, 2_000_000_000);
    let intake = bench.flush(2_000_000_000, Keep);
    let seen: Vec<_> = intake
        .series
        .iter()
        .map(|series| (series.kind, series.interval, series.points[0].value))
        .collect();
    assert_eq!(seen, [(2, 10, 0.1), (3, 0, 1.0)]);
    assert_eq!(intake.points("t"), [(1_700_000_003, 0.1), (1_700_000_003, 1.0)]);
    assert_eq!(intake.series[0].tags, ["a", "b", "env:x"]);
    let samples = bench.samples();
    assert_eq!(
        (samples.received, samples.aggregated, samples.rejected, samples.held()),
        (5, 2, 3, 0)
    );
}

#[test]
fn what_all_metrics_have_is_sent_with_each_but_bare_ones() {
    let mut bench = Bench::new(Settings { tags: vec!["old".to_owned()], ..Settings::default() });
    bench.put(Kind::Gauge, "g", &["z", "env:prod"], &[1.0], 1000);
    bench.put(Kind::Distribution, "d", &[], &[1.0], 1000);
    bench.aggregator.bare_sample(&sample("g", &[2.0]), 1000);
    bench.aggregator.set_tags(vec!["env:prod".to_owned(), "team:a".to_owned()]);
    bench.put(Kind::Gauge, "h", &["env:prod"], &[1.0], 1000);
    bench.put(Kind::Gauge, "h", &[], &[2.0], 1000);
    let intake = bench.flush(1010, Keep);
    let mut all: Vec<_> = intake.by_name().into_iter().collect();
    all.sort_by_key(|((name, tags), _)| (name.clone(), tags.len()));
    let tags = |tags: &[&str]| tags.iter().map(|tag| (*tag).to_owned()).collect::<Vec<String>>();
    assert_eq!(all[0], (("g".to_owned(), tags(&[])), vec![(1000, 2.0)]));
    assert_eq!(all[1].0, ("g".to_owned(), tags(&["env:prod", "z", "env:prod", "team:a"])));
    assert_eq!(all[2], (("h".to_owned(), tags(&["env:prod", "team:a"])), vec![(1000, 2.0)]));
    assert_eq!(intake.sketches[0].tags, tags(&["env:prod", "team:a"]));
}

#[test]
fn the_origin_is_said_in_the_words_of_the_intake() {
    let mut bench = Bench::new(Settings { category: 36, ..Settings::default() });
    let origins = [
        (Origin::None, None),
        (Origin::Custom, Some(472)),
        (Origin::Enhanced, Some(473)),
        (Origin::Runtime, Some(474)),
    ];
    for (kind, of_sketch) in [(Kind::Gauge, false), (Kind::Distribution, true)] {
        for (origin, service) in origins {
            bench.aggregator.sample(&Sample { kind, origin, ..sample("o", &[1.0]) }, 1000);
            let intake = bench.flush(1000, Flush);
            let metadata =
                if of_sketch { &intake.sketches[0].metadata } else { &intake.series[0].metadata };
            let origin = service.map(|service| DecodedOrigin { product: 1, category: 36, service });
            assert_eq!(*metadata, origin.map(|origin| Metadata { origin: Some(origin) }));
            // The next sample is of another origin, and so has to be of another context.
            bench.aggregator.contexts.retain(|_| false);
        }
    }
}

#[test]
fn kinds_of_one_name_do_not_mix() {
    let mut bench = Bench::new(Settings::default());
    bench.put(Kind::Count, "m", &[], &[10.0], 1000);
    bench.put(Kind::Gauge, "m", &[], &[7.0], 1000);
    let mut points = bench.flush(1010, Keep).points("m");
    points.sort_by(|a, b| a.1.total_cmp(&b.1));
    assert_eq!(points, [(1000, 1.0), (1000, 7.0)]);
}

#[test]
fn numbers_that_are_not_finite_are_rejected_and_leave_the_others_alone() {
    let mut bench = Bench::new(Settings::default());
    for kind in [Kind::Count, Kind::Gauge, Kind::Histogram, Kind::Distribution] {
        bench.put(kind, "n", &[], &[f64::NAN, 1.0, f64::INFINITY, f64::NEG_INFINITY], 1000);
        bench.put(kind, "only", &[], &[f64::NAN], 1000);
        let timed = Sample { kind, timestamp_s: Some(9), ..sample("t", &[f64::NAN]) };
        bench.aggregator.sample(&timed, 1000);
    }
    let intake = bench.flush(1010, Keep);
    let names: Vec<&str> = intake.series.iter().map(|series| &*series.metric).collect();
    assert_eq!(names.iter().filter(|name| **name != "only").count(), 7, "{names:?}");
    assert_eq!((intake.sketches.len(), intake.sketches[0].dogsketches[0].cnt), (1, 1));
    assert_eq!(intake.points("only"), []);
    let samples = bench.samples();
    assert_eq!((samples.received, samples.rejected, samples.aggregated), (24, 20, 4));
}

#[test]
fn a_number_for_a_set_and_a_member_for_a_gauge_are_rejected() {
    let mut bench = Bench::new(Settings::default());
    bench.put(Kind::Set, "s", &[], &[1.0, 2.0], 1000);
    bench.aggregator.sample(&Sample { values: Values::Member("x"), ..sample("g", &[]) }, 1000);
    assert_eq!(bench.flush(1010, Keep).outputs, []);
    let samples = bench.samples();
    assert_eq!((samples.received, samples.rejected), (3, 3));
}

#[test]
fn a_sum_that_is_no_longer_finite_is_not_sent() {
    let mut bench = Bench::new(Settings::default());
    bench.put(Kind::Count, "c", &[], &[f64::MAX, f64::MAX], 1000);
    bench.put(Kind::Gauge, "g", &[], &[f64::MAX], 1000);
    assert_eq!(bench.flush(1010, Keep).by_name().len(), 1);
    assert_eq!(bench.samples().shed[Shed::TooLarge as usize], 0);
}

#[test]
fn a_clock_that_is_set_back_loses_nothing() {
    let mut bench = Bench::new(Settings::default());
    let mut sum = 0.0;
    for now_s in [100_005, 100_015, 100_009, 50_000, 50_011, 100_020] {
        bench.put(Kind::Count, "c", &[], &[10.0], now_s);
        sum += bench.flush(now_s, Keep).points("c").iter().map(|point| point.1).sum::<f64>();
    }
    sum += bench.flush(100_021, Flush).points("c").iter().map(|point| point.1).sum::<f64>();
    assert_eq!(sum, 6.0);
    assert_eq!(bench.samples().held(), 0);
}
