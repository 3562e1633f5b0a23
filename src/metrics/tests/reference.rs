//! The aggregator against a plain list of everything that was sent, put together at the end: nothing is lost, mixed or counted twice,
//! however samples, buckets and flushes follow each other.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, prop_oneof, proptest};

use super::decoded::Intake;
use super::{Bench, Kind, OpenBuckets, Sample, Settings, Values, sample};

/// What happens, one after the other.
#[derive(Clone, Debug)]
enum Step {
    Put { kind: Kind, name: usize, tags: Vec<usize>, numbers: Vec<i16>, one_in: u32 },
    Wait(u64),
    Flush,
}

const NAMES: [&str; 3] = ["a", "b.c", "a b"];
const TAGS: [&str; 5] = ["env:prod", "region:eu-west-1", "region:eu-west-2", "a", ""];
const KINDS: [Kind; 5] = [Kind::Count, Kind::Gauge, Kind::Histogram, Kind::Distribution, Kind::Set];

fn step() -> impl Strategy<Value = Step> {
    let put = (
        0..KINDS.len(),
        0..NAMES.len(),
        vec(0..TAGS.len(), 0..4),
        vec(-20_i16..20, 1..4),
        1..4_u32,
    )
        .prop_map(|(kind, name, tags, numbers, one_in)| Step::Put {
            kind: KINDS[kind],
            name,
            tags,
            numbers,
            one_in,
        });
    prop_oneof![8 => put, 2 => (0..25_u64).prop_map(Step::Wait), 1 => Just(Step::Flush)]
}

/// A metric, and the start of a bucket.
type Place = (String, BTreeSet<String>, i64);

/// Everything that was sent, by place: the number and how many it stands for.
type Sent = BTreeMap<(Place, &'static str), Vec<(f64, u32)>>;

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Count => "count",
        Kind::Gauge => "gauge",
        Kind::Histogram | Kind::Timing => "histogram",
        Kind::Distribution => "distribution",
        Kind::Set => "set",
    }
}

/// Runs the steps; what came out, and what was sent.
fn run(steps: &[Step]) -> (Intake, Sent, Bench) {
    let mut bench = Bench::new(Settings { counter_expiry_s: 0, ..Settings::default() });
    let (mut all, mut sent, mut now_s) = (Intake::default(), Sent::new(), 1_000_000);
    let mut flush = |bench: &mut Bench, now_s, open| {
        let intake = bench.flush(now_s, open);
        intake.outputs.into_iter().for_each(|output| all.take(output));
    };
    for step in steps {
        match step {
            Step::Wait(seconds) => now_s += seconds,
            Step::Flush => flush(&mut bench, now_s, OpenBuckets::Keep),
            Step::Put { kind, name, tags, numbers, one_in } => {
                let tags: Vec<&str> = tags.iter().map(|tag| TAGS[*tag]).collect();
                let distinct = tags
                    .iter()
                    .filter(|tag| !tag.is_empty())
                    .map(|tag| (*tag).to_owned())
                    .collect();
                let start = i64::try_from(now_s / 10 * 10).unwrap();
                let place: Place = (NAMES[*name].to_owned(), distinct, start);
                let list = sent.entry((place, kind_name(*kind))).or_default();
                let floats: Vec<f64> = numbers.iter().map(|number| f64::from(*number)).collect();
                let member = numbers[0].to_string();
                let of = if *kind == Kind::Set { &floats[..1] } else { &floats[..] };
                list.extend(of.iter().map(|number| (*number, *one_in)));
                let values = if *kind == Kind::Set {
                    Values::Member(&member)
                } else {
                    Values::Numbers(&floats)
                };
                let rate = 1.0 / f64::from(*one_in);
                let sample =
                    Sample { kind: *kind, values, rate, tags: &tags, ..sample(NAMES[*name], &[]) };
                bench.aggregator.sample(&sample, now_s);
            }
        }
    }
    flush(&mut bench, now_s, OpenBuckets::Flush);
    (all, sent, bench)
}

/// Every point that there has to be, by name, tags and time.
fn expected(sent: &Sent) -> BTreeMap<Place, Vec<f64>> {
    let mut points: BTreeMap<Place, Vec<f64>> = BTreeMap::new();
    for (((name, tags, start), kind), values) in sent {
        let mut expect = |suffix: &str, value: f64| {
            points
                .entry((format!("{name}{suffix}"), tags.clone(), *start))
                .or_default()
                .push(value);
        };
        let count: u32 = values.iter().map(|(_, n)| n).sum();
        let sum: f64 = values.iter().map(|(value, n)| value * f64::from(*n)).sum();
        match *kind {
            "count" => expect("", sum / 10.0),
            "gauge" => expect("", values[values.len() - 1].0),
            "set" => expect(
                "",
                values.iter().map(|(value, _)| *value as i64).collect::<BTreeSet<i64>>().len()
                    as f64,
            ),
            "histogram" => {
                let mut list: Vec<f64> = values
                    .iter()
                    .flat_map(|(value, n)| std::iter::repeat_n(*value, *n as usize))
                    .collect();
                list.sort_by(f64::total_cmp);
                expect(".max", list[list.len() - 1]);
                expect(".median", list[(list.len() - 1) / 2]);
                expect(".avg", sum / f64::from(count));
                expect(".count", f64::from(count) / 10.0);
                expect(".95percentile", list[(95 * list.len() - 1) / 100]);
            }
            _ => {}
        }
    }
    points.values_mut().for_each(|values| values.sort_by(f64::total_cmp));
    points
}

fn check_series(intake: &Intake, sent: &Sent) {
    let mut found: BTreeMap<Place, Vec<f64>> = BTreeMap::new();
    for ((name, tags), points) in intake.by_name() {
        let distinct: BTreeSet<String> = tags.iter().cloned().collect();
        assert_eq!(distinct.len(), tags.len(), "{tags:?}");
        for (time, value) in points {
            found.entry((name.clone(), distinct.clone(), time)).or_default().push(value);
        }
    }
    found.values_mut().for_each(|values| values.sort_by(f64::total_cmp));
    assert_eq!(found, expected(sent));
}

fn check_sketches(intake: &Intake, sent: &Sent) {
    let mut left: Vec<_> = sent.iter().filter(|((_, kind), _)| *kind == "distribution").collect();
    for sketch in &intake.sketches {
        let tags: BTreeSet<String> = sketch.tags.iter().cloned().collect();
        for point in &sketch.dogsketches {
            let place = (sketch.metric.clone(), tags.clone(), point.ts);
            let at =
                left.iter().position(|((other, _), _)| *other == place).expect("it was sent once");
            let (_, values) = left.swap_remove(at);
            let count: u32 = values.iter().map(|(_, n)| n).sum();
            let numbers = || values.iter().map(|(value, _)| *value);
            let sum: f64 = values.iter().map(|(value, n)| value * f64::from(*n)).sum();
            assert_eq!((point.cnt, point.n.iter().sum::<u32>()), (i64::from(count), count));
            assert_eq!(point.min, numbers().fold(f64::INFINITY, f64::min));
            assert_eq!(point.max, numbers().fold(f64::NEG_INFINITY, f64::max));
            assert!(
                (point.sum - sum).abs() < 1e-9 && (point.avg - sum / f64::from(count)).abs() < 1e-9
            );
            assert!(point.k.windows(2).all(|pair| pair[0] < pair[1]));
        }
    }
    assert!(left.is_empty(), "{left:?}");
}

proptest! {
    #[test]
    fn what_comes_out_is_what_went_in(steps in vec(step(), 1..120)) {
        let (intake, sent, mut bench) = run(&steps);
        check_series(&intake, &sent);
        check_sketches(&intake, &sent);
        let samples = bench.samples();
        let count = sent.values().map(|values| values.len() as u64).sum::<u64>();
        assert_eq!((samples.received, samples.aggregated), (count, count));
        let points = intake.outputs.iter().map(|output| output.counts.points).sum::<u64>();
        assert_eq!(bench.ledger.points.read().received, points);
    }
}
