//! What an intake decodes of a meter's samples.

use std::time::{Duration, Instant};

use super::{Ended, Figures, Meter, Settings};
use crate::metrics::tests::decoded::{Intake, Sketch};
use crate::metrics::{self, Aggregator, OpenBuckets};
use crate::platform::{self, Kind, Tag};

/// Settings on the platform of these variables.
fn settings(env: &[(&str, &str)]) -> Settings {
    let found = platform::detect(&|name| {
        let pair = env.iter().find(|(own, _)| *own == name);
        pair.map(|(_, value)| (*value).to_owned())
    });
    Settings {
        is_on: true,
        is_sidecar: false,
        kind: found.kind,
        platform: found.tags,
        own: vec!["env:prod".to_owned(), "team:web".to_owned(), "region:mine".to_owned()],
    }
}

fn meter(settings: &Settings) -> Meter {
    Meter::open(settings.clone(), Instant::now())
}

/// What arrives of what is put in. All metrics have the tag `all:1`.
fn arrived(kind: Kind, put: impl FnOnce(&mut Aggregator)) -> Intake {
    let settings = metrics::Settings {
        tags: vec!["all:1".to_owned()],
        category: kind.metric_category(),
        ..metrics::Settings::default()
    };
    let mut aggregator = Aggregator::new(settings);
    put(&mut aggregator);
    let mut intake = Intake::default();
    aggregator.flush(100, OpenBuckets::Flush, &mut |output| intake.take(output));
    intake
}

fn sketch<'a>(intake: &'a Intake, name: &str) -> &'a Sketch {
    let found = intake.sketches.iter().find(|sketch| sketch.metric == name);
    found.unwrap_or_else(|| panic!("no {name}: {:?}", names(intake)))
}

fn names(intake: &Intake) -> Vec<&str> {
    let mut names: Vec<&str> =
        intake.sketches.iter().map(|sketch| sketch.metric.as_str()).collect();
    names.sort_unstable();
    names
}

const FIGURES: Figures = Figures {
    cpu_usage: Some(250e6),
    cpu_limit: Some(1e9),
    memory_usage: Some(4096.0),
    memory_limit: None,
};

fn tag(key: &str, value: &str) -> Tag {
    Tag { key: key.to_owned(), value: value.to_owned() }
}

const SERVICE: [(&str, &str); 2] = [("K_SERVICE", "hello"), ("K_REVISION", "hello-1")];

#[test]
fn samples_have_the_names_and_tags_of_the_platform() {
    let settings = settings(&SERVICE);
    let mut meter = meter(&settings);
    meter.learn(&[tag("location", "europe-west1"), tag("container_id", "00f4")]);
    let intake = arrived(Kind::CloudRun, |into| meter.put(FIGURES, into, 100));
    let expect = [
        "gcp.run.container.enhanced.cpu.limit",
        "gcp.run.container.enhanced.cpu.usage",
        "gcp.run.container.enhanced.memory.usage",
    ];
    assert_eq!(names(&intake), expect);
    let usage = sketch(&intake, expect[1]);
    assert_eq!((usage.dogsketches[0].cnt, usage.dogsketches[0].sum), (1, 250e6));
    let tags = [
        "env:prod",
        "location:europe-west1",
        "origin:cloudrun",
        "region:mine",
        "revision_name:hello-1",
        "service_name:hello",
        "sidecar:false",
        "team:web",
    ];
    assert_eq!(usage.tags, tags);
    let origin = usage.metadata.as_ref().unwrap().origin.as_ref().unwrap();
    assert_eq!((origin.product, origin.category, origin.service), (1, 36, 473));
    let [instance] = &intake.series[..] else { panic!("{:?}", intake.series) };
    assert_eq!(
        (instance.metric.as_str(), instance.kind),
        ("gcp.run.container.enhanced.instance", 3)
    );
    assert_eq!(instance.points[0].value, 1.0);
    let tags = [
        "instance:00f4",
        "location:europe-west1",
        "origin:cloudrun",
        "revision_name:hello-1",
        "service_name:hello",
        "sidecar:false",
    ];
    assert_eq!(instance.tags, tags);
}

#[test]
fn starts_and_ends_have_their_older_names_too() {
    for (env, name, older) in [
        (&SERVICE[..], "gcp.run.container.enhanced.", "gcp.run.enhanced."),
        (
            &[("WEBSITE_STACK", "PYTHON"), ("REGION_NAME", "west")],
            "azure.app_services.enhanced.",
            "azure.appservice.enhanced.",
        ),
        (
            &[("CONTAINER_APP_NAME", "a")],
            "azure.app_containerapps.enhanced.",
            "azure.containerapp.enhanced.",
        ),
    ] {
        let settings = settings(env);
        let meter = meter(&settings);
        let starts = arrived(settings.kind, |into| meter.put_start(into, 100));
        let ended = Some(Ended { has_succeeded: true, lasted: Duration::from_secs(1) });
        let ends = arrived(settings.kind, |into| meter.put_end(ended, into, 100));
        for (intake, what) in [(starts, "cold_start"), (ends, "shutdown")] {
            let mut expect = [format!("{name}{what}"), format!("{older}{what}")];
            expect.sort();
            assert_eq!(names(&intake), expect);
            assert_eq!(sketch(&intake, &format!("{older}{what}")).tags, ["all:1"]);
            let new = sketch(&intake, &format!("{name}{what}"));
            assert!(new.tags.contains(&"team:web".to_owned()), "{:?}", new.tags);
            assert_eq!(new.dogsketches[0].sum, 1.0);
        }
    }
}

#[test]
fn what_the_platform_says_counts_before_what_the_user_says() {
    let settings = settings(&[("WEBSITE_STACK", "PYTHON"), ("REGION_NAME", "west")]);
    let meter = meter(&settings);
    let starts = arrived(settings.kind, |into| meter.put_start(into, 100));
    let tags = &sketch(&starts, "azure.app_services.enhanced.cold_start").tags;
    assert_eq!(
        tags,
        &["env:prod", "origin:appservice", "region:west", "sidecar:false", "team:web"]
    );
}

#[test]
fn a_task_ends_well_or_not_after_a_time() {
    let settings = settings(&[("CLOUD_RUN_JOB", "night")]);
    let meter = meter(&settings);
    let started = arrived(settings.kind, |into| meter.put_start(into, 100));
    assert_eq!(names(&started), ["gcp.run.job.enhanced.task.started"]);
    for (has_succeeded, tag) in [(true, "succeeded:true"), (false, "succeeded:false")] {
        let ended = Ended { has_succeeded, lasted: Duration::from_millis(1234) };
        let intake = arrived(settings.kind, |into| meter.put_end(Some(ended), into, 100));
        let duration = sketch(&intake, "gcp.run.job.enhanced.task.duration");
        assert_eq!(duration.dogsketches[0].sum, 1234.0);
        let tags = ["env:prod", "job_name:night", "origin:cloudrunjobs", "region:mine"];
        let tags = [&tags[..], &["sidecar:false", "team:web"]].concat();
        assert_eq!(duration.tags, tags);
        let tags = [&tags[..5], &[tag, "team:web"]].concat();
        assert_eq!(sketch(&intake, "gcp.run.job.enhanced.task.ended").tags, tags);
    }
    // A sidecar doesn't know.
    assert!(arrived(settings.kind, |into| meter.put_end(None, into, 100)).sketches.is_empty());
    let usage = arrived(settings.kind, |into| meter.put(FIGURES, into, 100));
    assert_eq!(sketch(&usage, "gcp.run.container.enhanced.cpu.usage").dogsketches[0].sum, 250e6);
}

#[test]
fn on_no_platform_nobody_is_billed() {
    let settings = Settings { is_sidecar: true, ..settings(&[("HOSTNAME", "box")]) };
    let meter = meter(&settings);
    let intake = arrived(settings.kind, |into| {
        meter.put_start(into, 100);
        meter.put(FIGURES, into, 100);
    });
    let start = sketch(&intake, "datadog.serverless_agent.enhanced.cold_start");
    assert_eq!(start.metadata, None);
    assert_eq!(start.tags, ["env:prod", "local:true", "region:mine", "sidecar:true", "team:web"]);
    assert_eq!(intake.series[0].tags, ["instance:box", "local:true", "sidecar:true"]);
}

#[test]
fn cpu_is_what_was_used_since_the_time_before() {
    let begun = Instant::now();
    let mut meter = Meter::open(settings(&SERVICE), begun);
    meter.cpu = meter.cpu.map(|(used, _)| (used - 3_000_000_000, begun));
    let figures = meter.measure(begun + Duration::from_secs(3));
    let used = figures.cpu_usage.unwrap();
    // And what this machine has used since.
    assert!((1e9..30e9).contains(&used), "{used}");
    assert!(figures.cpu_limit.unwrap() >= 1e6);
    // No time has passed.
    assert_eq!(meter.measure(begun + Duration::from_secs(3)).cpu_usage, None);
    meter.cpu = Some((u64::MAX, begun));
    assert_eq!(meter.measure(begun + Duration::from_secs(6)).cpu_usage, None);
}
