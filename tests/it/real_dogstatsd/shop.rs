//! What the shop of `tests/real/dogstatsd` measures, and what of it has to arrive, whichever client measured it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::support::metrics::{Metadata, Origin, Series, Sketch};
use crate::support::recorder::Recorder;

/// Seconds since 1970 of what the shop says about an earlier time.
pub const THEN: i64 = 1_700_000_003;

/// What a client says of itself.
const TELEMETRY: &str = "datadog.dogstatsd.client.";

/// Tags that everything has: of the client (which reads them in the environment as we do), of the settings, and of where we run.
const SHARED: [&str; 5] =
    ["env:testing", "local:true", "service:shop", "team:web", "version:1.2.3"];

/// Series in which a value says how many times a second something happened, and those in which it is the value.
const RATE: i32 = 2;
const GAUGE: i32 = 3;

/// What arrived, by name and tags.
struct Arrived {
    series: BTreeMap<(String, Vec<String>), Series>,
    sketches: BTreeMap<(String, Vec<String>), Sketch>,
}

/// Tags in one order, for comparing. A tag that is there twice stays so.
fn tags(own: &[&str]) -> Vec<String> {
    let mut all: Vec<String> = own.iter().chain(&SHARED).map(ToString::to_string).collect();
    all.sort();
    all
}

fn sorted(tags: &[String]) -> Vec<String> {
    let mut tags = tags.to_vec();
    tags.sort();
    tags
}

/// Whose a metric is: made by the user of a serverless agent, by DogStatsD on no platform that it knows.
fn is_custom(metadata: Option<&Metadata>) -> bool {
    let origin = metadata.and_then(|metadata| metadata.origin.as_ref());
    matches!(origin, Some(Origin { product: 1, category: 10, service: 472 }))
}

impl Arrived {
    /// Everything that the app measured, each once.
    fn of(intake: &Recorder) -> Self {
        let mut arrived = Self { series: BTreeMap::new(), sketches: BTreeMap::new() };
        for one in intake.series().into_iter().filter(|one| !one.metric.starts_with(TELEMETRY)) {
            assert!(one.resources.iter().all(|it| it.name.is_empty()), "a host: {one:?}");
            assert!(is_custom(one.metadata.as_ref()), "{one:?}");
            let [point] = one.points.as_slice() else { panic!("one bucket: {one:?}") };
            assert!(point.timestamp % 10 == 0 || point.timestamp == THEN, "{one:?}");
            let twice = arrived.series.insert((one.metric.clone(), sorted(&one.tags)), one);
            assert!(twice.is_none(), "it arrived twice: {twice:?}");
        }
        for one in intake.sketches() {
            assert!(one.host.is_empty() && is_custom(one.metadata.as_ref()), "{one:?}");
            let twice = arrived.sketches.insert((one.metric.clone(), sorted(&one.tags)), one);
            assert!(twice.is_none(), "it arrived twice: {twice:?}");
        }
        arrived
    }

    /// Takes a series out: what is left in the end was not measured by the app.
    fn take(&mut self, name: &str, own: &[&str]) -> Series {
        let found = self.series.remove(&(name.to_owned(), tags(own)));
        found.unwrap_or_else(|| {
            let near: Vec<_> = self.series.keys().filter(|(other, _)| other == name).collect();
            panic!("no {name} with {own:?}, but {near:?}")
        })
    }

    fn gauge(&mut self, name: &str, own: &[&str], value: f64) {
        let series = self.take(name, own);
        assert_eq!((series.kind, series.interval), (GAUGE, 0), "{name}");
        assert_eq!(series.points[0].value, value, "{name}");
    }

    /// How many there were in all, of a count.
    fn count(&mut self, name: &str, own: &[&str]) -> f64 {
        let series = self.take(name, own);
        assert_eq!((series.kind, series.interval), (RATE, 10), "{name}");
        series.points[0].value * 10.0
    }

    /// The numbers from 1 to 100 as a histogram, by the agent's arithmetic.
    fn one_to_hundred(&mut self, name: &str) {
        assert_eq!(self.count(&format!("{name}.count"), &[]), 100.0);
        for (of, value) in [("max", 100.0), ("avg", 50.5), ("median", 50.0), ("95percentile", 95.0)]
        {
            self.gauge(&format!("{name}.{of}"), &[], value);
        }
    }

    fn sketch(&mut self, name: &str) -> (i64, f64, f64, f64) {
        let found = self.sketches.remove(&(name.to_owned(), tags(&[])));
        let found = found.unwrap_or_else(|| panic!("no {name}: {:?}", self.sketches.keys()));
        let [one] = found.dogsketches.as_slice() else { panic!("one bucket: {found:?}") };
        let in_bins: i64 = one.n.iter().map(|count| i64::from(*count)).sum();
        assert_eq!((in_bins, one.avg), (one.cnt, one.sum / one.cnt as f64), "{name}");
        (one.cnt, one.sum, one.min, one.max)
    }
}

/// Half of 400, which the client chooses by chance: a number further from 200 than this is not seen in a million runs.
fn is_about_half(sent: f64) -> bool {
    sent.fract() == 0.0 && sent % 2.0 == 0.0 && (sent - 400.0).abs() < 100.0
}

/// Fails unless all that the shop measured arrived, once, as its client documents it, and its service check with this message.
pub fn check(intake: &Recorder, message: &str) {
    let mut arrived = Arrived::of(intake);
    let books = arrived.count("orders", &["kind:book", "place:Zoë’s", "url:http://shop/a"]);
    assert_eq!((books, arrived.count("orders", &["kind:toy"])), (300.0, 5.0));
    assert_eq!(arrived.count("stock", &[]), -3.0);
    arrived.gauge("users", &[], 8.0);
    arrived.gauge("queue", &[], 40.0);
    arrived.one_to_hundred("took");
    arrived.one_to_hundred("load");
    assert_eq!(arrived.sketch("size"), (301, 45_150.0, 0.0, 300.0));
    let sampled = arrived.count("sampled", &[]);
    assert!(is_about_half(sampled), "{sampled}");
    let (count, sum, min, max) = arrived.sketch("sampled.size");
    assert!(is_about_half(count as f64) && (min, max) == (2.0, 2.0), "{count}");
    assert_eq!(sum, count as f64 * 2.0);
    for number in 0..400 {
        let tag = format!("n:{number}");
        arrived.gauge(&format!("many.{number}"), &[tag.as_str()], f64::from(number) + 0.5);
    }
    for (name, own, expect) in [("then", &["k:v"][..], (GAUGE, 7.25)), ("late", &[], (RATE, 2.0))] {
        let series = arrived.take(name, own);
        assert_eq!((series.kind, series.points[0].value), expect, "{name}");
        assert_eq!(series.points[0].timestamp, THEN, "{name}");
    }
    assert_eq!(arrived.series.keys().collect::<Vec<_>>(), Vec::<&(String, Vec<String>)>::new());
    assert!(arrived.sketches.is_empty(), "{:?}", arrived.sketches);
    check_messages(intake, message);
}

fn check_messages(intake: &Recorder, message: &str) {
    let mut checks = intake.service_checks();
    checks.iter_mut().for_each(sort_tags);
    let check = json!({
        "check": "db.up", "status": 2, "timestamp": THEN, "host_name": "box",
        "message": message, "tags": tags(&["k:v"]),
    });
    assert_eq!(checks, [check]);
    let bodies = intake.events();
    let lists = bodies.iter().flat_map(|body| body["events"].as_object().unwrap().values());
    let mut events: Vec<Value> =
        lists.flat_map(|list| list.as_array().expect("a list of events").clone()).collect();
    events.iter_mut().for_each(sort_tags);
    let event = json!({
        "msg_title": "déployed", "msg_text": "line 1\nlïne 2 | pipe", "timestamp": THEN, "host": "box",
        "aggregation_key": "key", "priority": "low", "source_type_name": "shop", "alert_type": "warning",
        "tags": tags(&["k:v"]),
    });
    assert_eq!(events, [event]);
}

fn sort_tags(message: &mut Value) {
    let tags = message["tags"].as_array_mut().expect("tags");
    tags.sort_by_key(|tag| tag.as_str().map(ToOwned::to_owned));
}

/// Fails unless the steady work arrived: 24 bursts of 10,000 values, in more than one bucket and nothing in a bucket twice.
pub fn check_steady(intake: &Recorder) {
    let mut buckets: BTreeMap<(String, Vec<String>), BTreeMap<i64, f64>> = BTreeMap::new();
    for series in intake.series().into_iter().filter(|one| !one.metric.starts_with(TELEMETRY)) {
        let points = buckets.entry((series.metric, sorted(&series.tags))).or_default();
        for point in &series.points {
            let twice = points.insert(point.timestamp, point.value);
            assert_eq!(twice, None, "{point:?}");
        }
    }
    let mut take = |name: &str, own: &[&str]| -> Vec<f64> {
        let found = buckets.remove(&(name.to_owned(), tags(own)));
        found.unwrap_or_else(|| panic!("no {name}")).into_values().collect()
    };
    let bursts = take("burst", &[]);
    assert!(bursts.len() > 1 && bursts.is_sorted() && bursts.last() == Some(&23.0), "{bursts:?}");
    for number in 0..10 {
        let rates = take("steady", &[format!("n:{number}").as_str()]);
        assert!((rates.iter().sum::<f64>() * 10.0 - 24_000.0).abs() < 1e-6, "{rates:?}");
        assert!(rates.len() > 1, "{rates:?}");
    }
    assert!(buckets.is_empty(), "{buckets:?}");
    let sketches = intake.sketches();
    let all: Vec<_> = sketches.iter().flat_map(|sketch| &sketch.dogsketches).collect();
    assert!(sketches.iter().all(|sketch| sketch.metric == "steady.size"), "{sketches:?}");
    let times: BTreeSet<i64> = all.iter().map(|one| one.ts).collect();
    assert!(times.len() == all.len() && all.len() > 1, "{times:?}");
    assert_eq!(all.iter().map(|one| one.cnt).sum::<i64>(), 240_000);
    assert_eq!(all.iter().map(|one| one.sum).sum::<f64>(), 24.0 * 49_995_000.0);
    assert!(all.iter().any(|one| one.min == 0.0) && all.iter().any(|one| one.max == 9999.0));
}
