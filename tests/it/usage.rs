//! The wrapper's own metrics at the intake, field by field: what they are called and tagged on each platform, and that they are there after a short
//! life, too.

use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::platform::metadata;
use crate::support::limited::Limited;
use crate::support::metrics::{Series, Sketch};
use crate::support::recorder::Recorder;
use crate::support::wrapped::{Wrapped, pillion, wait_until};

/// All that is needed for the metrics of a wrapper around `sh -c script`.
fn start(script: &str, intake: &Recorder, env: &[(&str, &str)]) -> Wrapped {
    start_words(&["sh", "-c", script], intake, env)
}

fn start_words(words: &[&str], intake: &Recorder, env: &[(&str, &str)]) -> Wrapped {
    let (url, pillion) = (intake.url(), pillion());
    let own = [
        ("DD_API_KEY", "0123456789abcdef0123456789abcdef"),
        ("DD_DD_URL", url.as_str()),
        ("DD_APM_DD_URL", url.as_str()),
        ("DD_APM_RECEIVER_PORT", "0"),
        ("DD_ENHANCED_METRICS", "true"),
        ("DD_ENV", "testing"),
        ("DD_TAGS", "team:web"),
        ("DD_LOG_LEVEL", "info"),
    ];
    let words = [&[pillion.to_str().unwrap()], words].concat();
    Wrapped::start(&words, Path::new("/bin"), &[&own[..], env].concat())
}

/// What the intake has of an app that ran to its end with this code.
fn run(script: &str, code: i32, env: &[(&str, &str)]) -> Recorder {
    let intake = Recorder::http();
    let mut wrapped = start(script, &intake, env);
    assert_eq!(wrapped.wait().code(), Some(code), "{}", wrapped.stderr());
    let stderr = wrapped.stderr();
    assert!(!stderr.contains("lost"), "{stderr}");
    intake
}

/// The sketches of a name, all of one series.
#[track_caller]
fn named(intake: &Recorder, name: &str) -> Vec<Sketch> {
    let mut found = intake.sketches();
    found.retain(|sketch| sketch.metric == name);
    assert!(!found.is_empty(), "no {name}: {:?}", names(intake));
    assert!(found.iter().all(|sketch| sketch.tags == found[0].tags), "{found:?}");
    found
}

/// The tags of a distribution, of which one value came that `is_right`.
#[track_caller]
fn one(intake: &Recorder, name: &str, is_right: impl Fn(f64) -> bool) -> Vec<String> {
    let all = named(intake, name);
    let values: i64 = all.iter().flat_map(|sketch| &sketch.dogsketches).map(|one| one.cnt).sum();
    assert_eq!(values, 1, "{name}: {all:?}");
    assert!(is_right(all[0].dogsketches[0].sum), "{all:?}");
    assert_eq!(all[0].host, "");
    all[0].tags.clone()
}

/// The tags of a distribution, whose values lie in a range.
#[track_caller]
fn within(intake: &Recorder, name: &str, range: std::ops::Range<f64>) -> Vec<String> {
    let all = named(intake, name);
    for sketch in all.iter().flat_map(|sketch| &sketch.dogsketches) {
        assert!(range.contains(&sketch.min) && range.contains(&sketch.max), "{name}: {all:?}");
    }
    all[0].tags.clone()
}

fn names(intake: &Recorder) -> Vec<String> {
    let mut names: Vec<String> = intake.sketches().into_iter().map(|one| one.metric).collect();
    names.extend(intake.series().into_iter().map(|one| one.metric));
    names.sort();
    names.dedup();
    names
}

/// The gauge of instances.
#[track_caller]
fn gauge(intake: &Recorder, name: &str) -> Series {
    let all = intake.series();
    let found = all.iter().find(|series| series.metric == name);
    let found = found.unwrap_or_else(|| panic!("no {name}: {all:?}"));
    assert_eq!((found.kind, found.interval, found.unit.as_str()), (3, 0, ""));
    assert!(found.points.iter().all(|point| point.value == 1.0), "{found:?}");
    found.clone()
}

#[track_caller]
fn check_origin(intake: &Recorder, category: u32) {
    let of_sketches = intake.sketches().into_iter().map(|sketch| sketch.metadata);
    for metadata in of_sketches.chain(intake.series().into_iter().map(|series| series.metadata)) {
        let origin = metadata.unwrap().origin.unwrap();
        assert_eq!((origin.product, origin.category, origin.service), (1, category, 473));
    }
}

/// Some work of the app, so that CPU is used.
const WORK: &str = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; sleep 0.1";

const CPU: std::ops::Range<f64> = 1e5..1e12;
const MEMORY: std::ops::Range<f64> = 1e5..1e13;

#[test]
fn a_service_of_cloud_run() {
    let host = metadata(Some(Duration::ZERO));
    let env = [
        ("K_SERVICE", "hello"),
        ("K_REVISION", "hello-00001"),
        ("K_CONFIGURATION", "hello"),
        ("GCE_METADATA_HOST", host.as_str()),
        ("DD_SERVICE", "greeter"),
    ];
    let intake = Recorder::http();
    let mut wrapped = start("trap 'exit 0' TERM; while :; do sleep 0.05; done", &intake, &env);
    // The first bucket leaves while the app runs.
    wait_until("a first flush", || !intake.sketches().is_empty());
    wrapped.signal(Signal::SIGTERM);
    assert_eq!(wrapped.wait().code(), Some(0), "{}", wrapped.stderr());
    let tags = [
        "env:testing",
        "location:europe-west1",
        "origin:cloudrun",
        "project_id:shop",
        "revision_name:hello-00001",
        "service:greeter",
        "service_name:hello",
        "sidecar:false",
        "team:web",
    ];
    let name = |what: &str| format!("gcp.run.container.enhanced.{what}");
    assert_eq!(one(&intake, &name("cold_start"), |value| value == 1.0), tags);
    assert_eq!(one(&intake, &name("shutdown"), |value| value == 1.0), tags);
    assert_eq!(within(&intake, &name("cpu.usage"), CPU), tags);
    assert_eq!(within(&intake, &name("cpu.limit"), 1e6..1e12), tags);
    assert_eq!(within(&intake, &name("memory.usage"), MEMORY), tags);
    let samples: i64 = named(&intake, &name("memory.usage"))
        .iter()
        .flat_map(|sketch| &sketch.dogsketches)
        .map(|sketch| sketch.cnt)
        .sum();
    // The first, the last, and some each three seconds, until a bucket of ten has ended.
    assert!((2..=8).contains(&samples), "{samples}");
    let older = one(&intake, "gcp.run.enhanced.cold_start", |value| value == 1.0);
    assert!(older.contains(&"configuration_name:hello".to_owned()), "{older:?}");
    one(&intake, "gcp.run.enhanced.shutdown", |value| value == 1.0);
    let gauge = gauge(&intake, &name("instance"));
    let tags = [
        "instance:00f4",
        "location:europe-west1",
        "origin:cloudrun",
        "project_id:shop",
        "revision_name:hello-00001",
        "service_name:hello",
        "sidecar:false",
    ];
    assert_eq!(gauge.tags, tags);
    check_origin(&intake, 36);
}

#[test]
fn a_platform_that_tells_nothing_keeps_nothing_back() {
    let host = metadata(None);
    let intake = run("true", 0, &[("K_SERVICE", "hello"), ("GCE_METADATA_HOST", &host)]);
    let tags = one(&intake, "gcp.run.container.enhanced.cold_start", |value| value == 1.0);
    assert_eq!(
        tags,
        ["env:testing", "origin:cloudrun", "service_name:hello", "sidecar:false", "team:web"]
    );
    one(&intake, "gcp.run.container.enhanced.shutdown", |value| value == 1.0);
    gauge(&intake, "gcp.run.container.enhanced.instance");
}

#[test]
fn a_task_that_ends_well_and_one_that_does_not() {
    let host = metadata(Some(Duration::ZERO));
    let env = [("CLOUD_RUN_JOB", "night"), ("GCE_METADATA_HOST", host.as_str())];
    for (code, tag) in [(0, "succeeded:true"), (3, "succeeded:false")] {
        let intake = run(&format!("{WORK}; sleep 0.3; exit {code}"), code, &env);
        let tags = [
            "env:testing",
            "job_name:night",
            "location:europe-west1",
            "origin:cloudrunjobs",
            "project_id:shop",
            "sidecar:false",
            "team:web",
        ];
        let name = |what: &str| format!("gcp.run.job.enhanced.task.{what}");
        assert_eq!(one(&intake, &name("started"), |value| value == 1.0), tags);
        assert_eq!(one(&intake, &name("duration"), |ms| (300.0..60e3).contains(&ms)), tags);
        let ended = one(&intake, &name("ended"), |value| value == 1.0);
        assert_eq!(ended, [&tags[..6], &[tag, "team:web"]].concat());
        assert_eq!(within(&intake, "gcp.run.container.enhanced.cpu.usage", CPU), tags);
        let gauge = gauge(&intake, "gcp.run.container.enhanced.instance");
        assert!(gauge.tags.contains(&"instance:00f4".to_owned()), "{gauge:?}");
        check_origin(&intake, 36);
        assert!(!names(&intake).iter().any(|name| name.contains("cold_start")));
    }
}

#[test]
fn a_task_that_is_killed_and_one_that_can_not_be_started() {
    let env = [("CLOUD_RUN_JOB", "night"), ("GCE_METADATA_HOST", "127.0.0.1:1")];
    let killed = run("kill -9 $$", 137, &env);
    let tags = one(&killed, "gcp.run.job.enhanced.task.ended", |value| value == 1.0);
    assert!(tags.contains(&"succeeded:false".to_owned()), "{tags:?}");
    let intake = Recorder::http();
    let mut wrapped = start_words(&["/no/such/program"], &intake, &env);
    assert_eq!(wrapped.wait().code(), Some(127));
    let tags = one(&intake, "gcp.run.job.enhanced.task.ended", |value| value == 1.0);
    assert!(tags.contains(&"succeeded:false".to_owned()), "{tags:?}");
}

#[test]
fn a_site_of_app_service() {
    let env = [
        ("WEBSITE_STACK", "PYTHON"),
        ("WEBSITE_SITE_NAME", "shop"),
        ("WEBSITE_OWNER_NAME", "sub-1+group-region"),
        ("WEBSITE_RESOURCE_GROUP", "group"),
        ("REGION_NAME", "West Europe"),
        ("COMPUTERNAME", "lw0sdlwk"),
    ];
    let intake = run(WORK, 0, &env);
    let tags = [
        "env:testing",
        "name:shop",
        "origin:appservice",
        "region:West Europe",
        "resource_group:group",
        "sidecar:false",
        "subscription_id:sub-1",
        "team:web",
    ];
    let name = |what: &str| format!("azure.app_services.enhanced.{what}");
    for what in ["cold_start", "shutdown"] {
        assert_eq!(one(&intake, &name(what), |value| value == 1.0), tags);
        one(&intake, &format!("azure.appservice.enhanced.{what}"), |value| value == 1.0);
    }
    assert_eq!(within(&intake, &name("cpu.usage"), CPU), tags);
    assert_eq!(within(&intake, &name("memory.usage"), MEMORY), tags);
    let gauge = gauge(&intake, &name("instance"));
    assert!(gauge.tags.contains(&"instance:lw0sdlwk".to_owned()), "{gauge:?}");
    check_origin(&intake, 35);
}

#[test]
fn on_no_platform_they_are_the_agents() {
    let intake = run(WORK, 0, &[("HOSTNAME", "box")]);
    let tags = ["env:testing", "local:true", "sidecar:false", "team:web"];
    let name = |what: &str| format!("datadog.serverless_agent.enhanced.{what}");
    for what in ["cold_start", "shutdown"] {
        assert_eq!(one(&intake, &name(what), |value| value == 1.0), tags);
    }
    within(&intake, &name("cpu.usage"), CPU);
    assert!(gauge(&intake, &name("instance")).tags.contains(&"instance:box".to_owned()));
    let metadata = intake.sketches().into_iter().map(|sketch| sketch.metadata);
    assert!(metadata.into_iter().all(|metadata| metadata.is_none()));
}

#[test]
fn without_dogstatsd_they_are_sent_all_the_same_and_balance() {
    let intake = Recorder::http();
    let mut wrapped = start("true", &intake, &[("DD_USE_DOGSTATSD", "false")]);
    assert_eq!(wrapped.wait().code(), Some(0));
    one(&intake, "datadog.serverless_agent.enhanced.cold_start", |value| value == 1.0);
    let stderr = wrapped.stderr();
    let line = stderr.lines().find(|line| line.contains("metric samples: ")).expect(&stderr);
    let number = |behind: &str| {
        let digits = line.split(behind).next().unwrap().rsplit([' ', ':']).next().unwrap();
        digits.parse::<u64>().unwrap_or_else(|_| panic!("{line}"))
    };
    assert!(number(" received") > 6, "{line}");
    assert_eq!(number(" received"), number(" aggregated"), "{line}");
}

#[test]
fn who_wants_none_or_has_no_key_sends_none() {
    let off = run("true", 0, &[("DD_ENHANCED_METRICS", "false")]);
    assert!(off.requests().is_empty(), "{:?}", names(&off));
    let keyless = run("true", 0, &[("DD_API_KEY", "")]);
    assert!(keyless.requests().is_empty(), "{:?}", names(&keyless));
}

#[test]
fn a_sidecar_says_that_it_is_one() {
    let (intake, folder) = (Recorder::http(), tempfile::tempdir().unwrap());
    let socket = folder.path().join("traces");
    let env = [("DD_APM_RECEIVER_SOCKET", socket.to_str().unwrap()), ("CLOUD_RUN_JOB", "night")];
    let env = [&env[..], &[("GCE_METADATA_HOST", "127.0.0.1:1")]].concat();
    let mut sidecar = start_words(&[], &intake, &env);
    wait_until("it listens", || std::os::unix::net::UnixStream::connect(&socket).is_ok());
    sidecar.signal(Signal::SIGTERM);
    assert_eq!(sidecar.wait().code(), Some(0), "{}", sidecar.stderr());
    // How the task ended, another container knows.
    assert!(!names(&intake).iter().any(|name| name.contains("task.")), "{:?}", names(&intake));
    let used = named(&intake, "gcp.run.container.enhanced.memory.usage");
    assert!(used[0].tags.contains(&"sidecar:true".to_owned()), "{used:?}");
    within(&intake, "gcp.run.container.enhanced.memory.usage", MEMORY);
}

#[test]
fn limits_are_those_of_the_cgroup() {
    let Some(limited) = Limited::make() else { return };
    let intake = Recorder::http();
    // Half a CPU, of which an endless loop takes all, and 40 MB.
    let script = "x=$(head -c 40000000 /dev/zero | tr \"\\0\" a); timeout 4 sh -c \"while :; do :; done\"; exit 0";
    let words = ["/bin/sh", "-c", &limited.enter(script)];
    let url = intake.url();
    let env = [
        ("DD_API_KEY", "0123456789abcdef0123456789abcdef"),
        ("DD_DD_URL", url.as_str()),
        ("DD_APM_RECEIVER_PORT", "0"),
        ("DD_ENHANCED_METRICS", "true"),
    ];
    let mut wrapped = Wrapped::start(&words, Path::new("/bin"), &env);
    assert_eq!(wrapped.wait().code(), Some(0), "{}", wrapped.stderr());
    let name = |what: &str| format!("datadog.serverless_agent.enhanced.{what}");
    within(&intake, &name("cpu.limit"), 499e6..501e6);
    within(&intake, &name("memory.limit"), 268_435_455.0..268_435_457.0);
    // A burst may use what was left of the time before.
    within(&intake, &name("cpu.usage"), 100e6..700e6);
    within(&intake, &name("memory.usage"), 1e5..268_435_457.0);
    let last = named(&intake, &name("memory.usage"));
    let most = last.iter().flat_map(|sketch| &sketch.dogsketches).map(|one| one.max);
    assert!(most.fold(0.0, f64::max) > 40e6, "{last:?}");
}
