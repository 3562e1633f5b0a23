//! The rules of the mapping, from requests in JSON to what an intake reads.

use proptest::collection::vec;
use proptest::prelude::{any, proptest};
use serde_json::{Value, json};

use super::{FirstTotal, Histograms, Mapping, Settings, Tally};
use crate::ledger::Ledger;
use crate::metrics::Writer;
use crate::metrics::tests::decoded::Intake;
use crate::trace::decode::otlp::{Encoding, Signal, message};

const STARTED_NS: u64 = 1_700_000_000_000_000_000;

struct Bench {
    mapping: Mapping,
    writer: Writer,
}

impl Bench {
    fn new(settings: Settings) -> Self {
        let settings = Settings { scope_as_tags: false, ..settings };
        let writer = Writer::new(crate::metrics::Settings::default());
        Self { mapping: Mapping::new(settings, STARTED_NS), writer }
    }

    /// What becomes of metrics of one library.
    fn metrics(&mut self, resource: &Value, metrics: &Value) -> (Intake, Tally) {
        let body = json!({"resourceMetrics": [{"resource": resource, "scopeMetrics": [{
            "scope": {"name": "lib"}, "metrics": metrics
        }]}]});
        self.body(body.to_string().as_bytes())
    }

    fn body(&mut self, body: &[u8]) -> (Intake, Tally) {
        let body = message(Signal::Metrics, Encoding::Json, body).unwrap();
        let tally = self.mapping.take(&body, at(100) / 1_000_000_000, &mut self.writer);
        let mut intake = Intake::default();
        self.writer.flush(&mut |output| intake.take(output));
        (intake, tally)
    }

    fn one(&mut self, name: &str, of: &Value) -> (Intake, Tally) {
        let mut metric = of.clone();
        metric["name"] = json!(name);
        self.metrics(&json!({}), &json!([metric]))
    }
}

/// Nanoseconds so many seconds after we began.
fn at(seconds: u64) -> u64 {
    STARTED_NS + seconds * 1_000_000_000
}

fn sum(temporality: u64, monotonic: bool, points: &Value) -> Value {
    json!({"sum": {"aggregationTemporality": temporality, "isMonotonic": monotonic, "dataPoints": points}})
}

fn total(start_s: u64, time_s: u64, value: f64) -> Value {
    json!([{"startTimeUnixNano": at(start_s), "timeUnixNano": at(time_s).to_string(), "asDouble": value}])
}

/// The type, time and value of the one series that there is.
fn only(intake: &Intake) -> (i32, i64, f64) {
    let [series] = intake.series.as_slice() else { panic!("{:?}", intake.series) };
    let point = &series.points[0];
    assert_eq!((series.interval, series.resources[0].name.as_str()), (0, ""));
    (series.kind, point.timestamp - (STARTED_NS / 1_000_000_000) as i64, point.value)
}

#[test]
fn gauges_and_sums_become_points_of_their_kind() {
    let point = json!([{"timeUnixNano": at(7), "asInt": "-3", "attributes": [
        {"key": "a", "value": {"stringValue": "x"}}, {"key": "b", "value": {"boolValue": true}},
        {"key": "c", "value": {"intValue": 5}}, {"key": "d", "value": {"doubleValue": 0.5}},
        {"key": "e", "value": {"arrayValue": {"values": []}}}, {"key": "f", "value": {"stringValue": ""}}
    ]}]);
    let (intake, tally) =
        Bench::new(Settings::default()).one("g", &json!({"gauge": {"dataPoints": point}}));
    assert_eq!((only(&intake), tally), ((3, 7, -3.0), Tally { points: 1, ..Tally::default() }));
    assert_eq!(intake.series[0].tags, ["a:x", "b:true", "c:5", "d:0.5", "f:n/a"]);
    let origin = intake.series[0].metadata.clone().unwrap().origin.unwrap();
    assert_eq!((origin.product, origin.category, origin.service), (1, 10, 472));
    for (temporality, monotonic, kind) in [(1, true, 1), (1, false, 1), (2, false, 3)] {
        let (intake, _) = Bench::new(Settings::default())
            .one("s", &sum(temporality, monotonic, &total(1, 7, 2.5)));
        assert_eq!(only(&intake), (kind, 7, 2.5), "{temporality} {monotonic}");
    }
    let raw = Settings { totals_to_deltas: false, ..Settings::default() };
    let (intake, _) = Bench::new(raw).one("s", &sum(2, true, &total(1, 7, 2.5)));
    assert_eq!(only(&intake), (3, 7, 2.5));
}

#[test]
fn what_has_no_number_is_left_out_and_counted() {
    let points = json!([
        {"timeUnixNano": at(1), "asDouble": "NaN"}, {"timeUnixNano": at(1), "asDouble": "Infinity"},
        {"timeUnixNano": at(1)}, {"timeUnixNano": at(1), "flags": 1}, {"timeUnixNano": at(1), "asInt": 1}
    ]);
    let mut bench = Bench::new(Settings::default());
    let (intake, tally) = bench.one("g", &json!({"gauge": {"dataPoints": points}}));
    assert_eq!((intake.series.len(), tally.points, tally.rejected), (1, 5, 3));
    let (intake, tally) = bench.one("s", &sum(0, true, &total(1, 7, 1.0)));
    assert_eq!((intake.series.len(), tally.rejected), (0, 1));
    let (_, tally) = bench.one("", &sum(1, true, &total(1, 7, 1.0)));
    assert_eq!(tally.rejected, 1);
}

/// Sends totals one after the other; what came of each.
fn totals(settings: Settings, name: &str, all: &[(u64, u64, f64)]) -> Vec<Option<(i32, f64)>> {
    let mut bench = Bench::new(settings);
    let mut send = |&(start, time, value): &(u64, u64, f64)| {
        let (intake, _) = bench.one(name, &sum(2, true, &total(start, time, value)));
        (!intake.series.is_empty()).then(|| (only(&intake).0, only(&intake).2))
    };
    all.iter().map(&mut send).collect()
}

#[test]
fn totals_become_what_came_since_the_point_before() {
    let settings = Settings::default;
    // It began after we did: all of the first is new.
    assert_eq!(
        totals(settings(), "n", &[(5, 10, 4.0), (5, 20, 10.0), (5, 30, 10.0)]),
        [Some((1, 4.0)), Some((1, 6.0)), Some((1, 0.0))]
    );
    // A second time of the same, and an older one.
    assert_eq!(
        totals(settings(), "n", &[(5, 10, 4.0), (5, 10, 4.0), (5, 9, 3.0), (5, 20, 5.0)]),
        [Some((1, 4.0)), None, None, Some((1, 1.0))]
    );
    // It began anew: by its start, or by being less.
    assert_eq!(
        totals(settings(), "n", &[(5, 10, 4.0), (15, 20, 7.0), (15, 30, 1.0)]),
        [Some((1, 4.0)), Some((1, 7.0)), Some((1, 1.0))]
    );
    let drop = Settings { first_total: FirstTotal::Drop, ..settings() };
    assert_eq!(totals(drop, "n", &[(5, 10, 4.0), (5, 20, 5.0)]), [None, Some((1, 1.0))]);
    // Only the last says to send it where the start is the point's own time.
    assert_eq!(totals(settings(), "n", &[(5, 5, 4.0)]), [None]);
    let keep = Settings { first_total: FirstTotal::Keep, ..settings() };
    assert_eq!(totals(keep, "n", &[(5, 5, 4.0)]), [Some((1, 4.0))]);
    // Those that the agent has as rates.
    assert_eq!(
        totals(settings(), "kafka.messages_in.rate", &[(5, 10, 4.0), (5, 20, 9.0)]),
        [None, Some((3, 0.5))]
    );
}

#[test]
fn totals_of_different_resources_are_different_ones() {
    let mut bench = Bench::new(Settings::default());
    let of = |id: &str| json!({"attributes": [{"key": "service.instance.id", "value": {"stringValue": id}}]});
    let metric = |value| {
        let mut metric = sum(2, true, &total(0, value as u64, value));
        metric["name"] = json!("n");
        json!([metric])
    };
    bench.metrics(&of("one"), &metric(10.0));
    bench.metrics(&of("two"), &metric(90.0));
    assert_eq!(only(&bench.metrics(&of("one"), &metric(11.0)).0).2, 1.0);
    assert_eq!(only(&bench.metrics(&of("two"), &metric(92.0)).0).2, 2.0);
}

fn histogram(temporality: u64, time_s: u64, counts: &[u64], more: &Value) -> Value {
    let mut point = json!({
        "startTimeUnixNano": at(1), "timeUnixNano": at(time_s), "count": counts.iter().sum::<u64>().to_string(),
        "bucketCounts": counts.iter().map(u64::to_string).collect::<Vec<_>>(), "explicitBounds": [0, 5, 10.0],
    });
    point.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"histogram": {"aggregationTemporality": temporality, "dataPoints": [point]}})
}

#[test]
fn histograms_become_sketches_with_exact_sums() {
    let mut bench = Bench::new(Settings::default());
    let (intake, _) = bench.one("h", &histogram(1, 7, &[0, 4, 2, 1], &json!({"sum": 42.0})));
    let sketch = &intake.sketches[0].dogsketches[0];
    assert_eq!(
        (sketch.cnt, sketch.sum, sketch.avg, sketch.n.iter().sum::<u32>()),
        (7, 42.0, 6.0, 7)
    );
    assert_eq!((sketch.min, sketch.max), (0.0, 10.0));
    assert!(intake.series.is_empty());
    let exact = json!({"sum": 42.0, "min": 1.5, "max": 20.0});
    let (intake, _) = bench.one("h", &histogram(1, 7, &[0, 4, 2, 1], &exact));
    let sketch = &intake.sketches[0].dogsketches[0];
    assert_eq!((sketch.min, sketch.max), (1.5, 20.0));
    // One bucket for everything.
    let whole = json!({"histogram": {"aggregationTemporality": 1, "dataPoints": [
        {"timeUnixNano": at(7), "count": 3, "sum": 6, "min": 1, "max": 3}]}});
    let (intake, _) = bench.one("h", &whole);
    let sketch = &intake.sketches[0].dogsketches[0];
    assert_eq!((sketch.cnt, sketch.k[0], sketch.avg), (3, 1338, 2.0));
    for wrong in [json!({"explicitBounds": [5, 0, 10]}), json!({"explicitBounds": [1]})] {
        let (intake, tally) = bench.one("h", &histogram(1, 7, &[0, 4, 2, 1], &wrong));
        assert_eq!((intake.sketches.len(), tally.rejected), (0, 1), "{wrong}");
    }
    // Nothing was measured: nothing is said.
    assert!(
        bench.one("h", &histogram(1, 7, &[0, 0, 0, 0], &json!({"sum": 0}))).0.sketches.is_empty()
    );
}

#[test]
fn totals_of_histograms_become_what_came_since() {
    let mut bench = Bench::new(Settings { aggregations: true, ..Settings::default() });
    let first = json!({"sum": 10, "min": 1, "max": 9});
    assert!(bench.one("h", &histogram(2, 7, &[0, 4, 0, 0], &first)).0.sketches.is_empty());
    let (intake, _) =
        bench.one("h", &histogram(2, 17, &[0, 4, 3, 0], &json!({"sum": 30, "min": 1, "max": 9.5})));
    let sketch = &intake.sketches[0].dogsketches[0];
    assert_eq!((sketch.cnt, sketch.sum), (3, 20.0));
    // The lowest of all time is none of this window, the highest is.
    assert_eq!((sketch.min, sketch.max), (5.0, 9.5));
    assert_eq!((intake.points("h.count")[0].1, intake.points("h.sum")[0].1), (3.0, 20.0));
    assert!(intake.points("h.min").is_empty());
    // Less than before: it began anew.
    assert!(bench.one("h", &histogram(2, 27, &[0, 1, 0, 0], &first)).0.sketches.is_empty());
    assert_eq!(bench.one("h", &histogram(2, 27, &[0, 1, 0, 0], &first)).1.rejected, 1);
}

#[test]
fn histograms_may_be_counters() {
    let settings =
        Settings { histograms: Histograms::Counters, aggregations: true, ..Settings::default() };
    let exact = json!({"sum": 42.0, "min": 1.5, "max": 20.0});
    let (intake, _) = Bench::new(settings).one("h", &histogram(1, 7, &[1, 4, 2, 3], &exact));
    let tags = |bounds: [&str; 2]| {
        vec![format!("lower_bound:{}", bounds[0]), format!("upper_bound:{}", bounds[1])]
    };
    let by_name = intake.by_name();
    for (bounds, count) in
        [(["-inf", "0"], 1.0), (["0", "5.0"], 4.0), (["5.0", "10.0"], 2.0), (["10.0", "inf"], 3.0)]
    {
        assert_eq!(by_name[&("h.bucket".to_owned(), tags(bounds))][0].1, count);
    }
    let of = |name: &str| intake.points(name)[0].1;
    assert_eq!((of("h.count"), of("h.sum"), of("h.min"), of("h.max")), (10.0, 42.0, 1.5, 20.0));
    assert!(intake.sketches.is_empty());
}

#[test]
fn exponential_histograms_become_sketches() {
    let of = |temporality: u64, more: Value| {
        let mut point = json!({"timeUnixNano": at(7), "count": 5, "sum": 30, "scale": 0, "zeroCount": 1,
            "positive": {"offset": 1, "bucketCounts": [1, "3"]}, "negative": {"offset": -2}});
        point.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let metric = json!({"exponentialHistogram": {"aggregationTemporality": temporality, "dataPoints": [point]}});
        Bench::new(Settings::default()).one("e", &metric)
    };
    let (intake, _) = of(1, json!({"min": 0, "max": 7.5}));
    let sketch = &intake.sketches[0].dogsketches[0];
    assert_eq!((sketch.cnt, sketch.sum, sketch.avg, sketch.max), (5, 30.0, 6.0, 7.5));
    assert_eq!((sketch.k[0], sketch.n[0], sketch.n.iter().sum::<u32>()), (0, 1, 5));
    let (intake, _) = of(
        1,
        json!({"count": 1, "sum": 3, "zeroCount": 0, "positive": {"offset": 1, "bucketCounts": [1]}}),
    );
    let sketch = &intake.sketches[0].dogsketches[0];
    assert_eq!((sketch.min, sketch.max), (3.0, 3.0));
    assert_eq!(of(2, json!({})).1.rejected, 1);
    assert_eq!(of(1, json!({"positive": {"offset": 2000, "bucketCounts": [1]}})).1.rejected, 1);
}

#[test]
fn summaries_become_counts_and_quantiles() {
    let mut bench = Bench::new(Settings::default());
    let mut of = |time_s: u64, count: u64, sum: f64| {
        let point = json!({"startTimeUnixNano": at(1), "timeUnixNano": at(time_s), "count": count, "sum": sum,
            "quantileValues": [{"quantile": 0.0, "value": 1}, {"quantile": 0.99, "value": 9}]});
        bench.one("s", &json!({"summary": {"dataPoints": [point]}})).0
    };
    let first = of(10, 4, 8.0);
    assert_eq!((first.points("s.count")[0].1, first.points("s.sum").len()), (4.0, 0));
    let second = of(20, 10, 11.0);
    assert_eq!((second.points("s.count")[0].1, second.points("s.sum")[0].1), (6.0, 3.0));
    let quantiles = second.by_name();
    let of = |tag: &str| quantiles[&("s.quantile".to_owned(), vec![tag.to_owned()])][0].1;
    assert_eq!((of("quantile:0"), of("quantile:0.99")), (1.0, 9.0));
}

#[test]
fn resources_and_libraries_become_tags() {
    let text = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    let resource = json!({"attributes": [
        text("service.name", "shop"), text("deployment.environment.name", "prod"), text("service.version", ""),
        {"key": "process.pid", "value": {"intValue": 7}}, text("k8s.pod.name", "p-1"), text("team", "a"),
        text("datadog.container.tag.env", "other"), text("datadog.container.tag.tier", "one"),
        text("kube_node", "n"), text("host.name", "h"),
    ]});
    let gauge = json!([{"name": "g", "gauge": {"dataPoints": [{"asInt": 1}]}}]);
    let tags = |settings: Settings| {
        let mut bench = Bench::new(settings.clone());
        bench.mapping = Mapping::new(settings, STARTED_NS);
        let (intake, _) = bench.metrics(&resource, &gauge);
        // A point without a time has that of its arrival.
        assert_eq!(intake.series[0].points[0].timestamp, (at(100) / 1_000_000_000) as i64);
        intake.series[0].tags.clone()
    };
    let usual = [
        "env:prod",
        "instrumentation_scope:lib",
        "instrumentation_scope_version:n/a",
        "kube_node:n",
        "pod_name:p-1",
        "process.pid:7",
        "service:shop",
        "tier:one",
    ];
    assert_eq!(tags(Settings::default()), usual);
    let all = tags(Settings { resource_as_tags: true, ..Settings::default() });
    assert!(usual.iter().all(|tag| all.contains(&(*tag).to_owned())));
    assert!(
        ["team:a", "host.name:h", "service.name:shop"]
            .iter()
            .all(|tag| all.contains(&(*tag).to_owned()))
    );
}

#[test]
fn totals_beyond_the_bound_are_counted_as_lost() {
    let mut bench = Bench::new(Settings::default());
    let long = "x".repeat(100_000);
    let (mut lost, mut taken) = (0, 0);
    for number in 0..300 {
        let (_, tally) = bench.one(&format!("{long}{number}"), &sum(2, true, &total(5, 10, 1.0)));
        lost += tally.not_tracked;
        taken += tally.points - tally.not_tracked;
    }
    assert!(lost > 100 && taken > 100, "{lost} {taken}");
}

proptest! {
    /// Whatever passes the check can be taken, and nothing is lost uncounted.
    #[test]
    fn strange_requests_are_taken_or_refused(
        mut bytes in vec(any::<u8>(), 0..200), at in any::<proptest::sample::Index>(), seed in any::<u8>(),
    ) {
        let valid = json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": [
            {"name": "h", "histogram": {"aggregationTemporality": 1, "dataPoints": [
                {"count": 3, "bucketCounts": [1, 2], "explicitBounds": [5], "timeUnixNano": 5}]}},
            {"name": "e", "exponentialHistogram": {"aggregationTemporality": 1, "dataPoints": [
                {"count": 3, "scale": 3, "positive": {"offset": 3, "bucketCounts": [1, 2]}}]}},
            {"name": "s", "sum": {"aggregationTemporality": 2, "isMonotonic": true, "dataPoints": [{"asInt": 3}]}},
        ]}]}]});
        let valid = message(Signal::Metrics, Encoding::Json, valid.to_string().as_bytes()).unwrap().into_owned();
        let place = at.index(valid.len());
        let mut mutated = valid.clone();
        mutated[place] = seed;
        bytes.splice(0..0, valid[..place].iter().copied());
        for body in [&mutated, &bytes] {
            let Ok(body) = message(Signal::Metrics, Encoding::Protobuf, body) else { continue };
            let mut bench = Bench::new(Settings { aggregations: true, ..Settings::default() });
            let tally = bench.mapping.take(&body, 1, &mut bench.writer);
            assert!(tally.rejected + tally.not_tracked <= tally.points);
            let (ledger, mut intake) = (Ledger::default(), Intake::default());
            bench.writer.settle(&ledger);
            bench.writer.flush(&mut |output| intake.take(output));
            let written = intake.outputs.iter().map(|output| output.counts.points).sum::<u64>();
            assert_eq!(ledger.points.read().held(), written);
        }
    }
}
