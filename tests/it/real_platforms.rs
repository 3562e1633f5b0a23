//! The same app on every platform, with a real tracer and a real DogStatsD client: all that arrives is compared with `tests/platforms`, a file for
//! each platform with its environment and what has to arrive. Times and ids are left out, and what says something of this machine.
//!
//! After a change that is wanted: `PILLION_RECORD=1 cargo test --test it -- --ignored real_platforms`, and a look at the difference.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;

use crate::platform::metadata;
use crate::support::decoded::Value;
use crate::support::logged::entries;
use crate::support::recorder::Recorder;
use crate::support::wrapped::{Wrapped, cache, free_port, pillion, wait_until};

/// What stands before what has to arrive.
const MARK: &str = "\n--- what arrives ---\n";

/// Attributes with another value in each run or in each folder.
const VOLATILE: &[&str] =
    &["process_id", "runtime-id", "_dd.p.tid", "error.stack", "_dd.p.ksr", "_dd.tags.process"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

#[expect(clippy::disallowed_methods, reason = "a person asks for it")]
fn records() -> bool {
    std::env::var_os("PILLION_RECORD").is_some()
}

/// One run: the app ends in this way, and the wrapper with this code.
fn run(environment: &str, task: &str, code: i32) -> String {
    let (intake, traces, metrics) = (Recorder::http(), free_port(), free_port());
    let (pillion, url) = (pillion(), intake.url());
    let (traces, metrics) = (traces.to_string(), metrics.to_string());
    let mut all = vec![
        ("DD_API_KEY", "0123456789abcdef0123456789abcdef"),
        ("DD_APM_DD_URL", url.as_str()),
        ("DD_DD_URL", url.as_str()),
        ("DD_LOGS_CONFIG_LOGS_DD_URL", url.as_str()),
        ("DD_LOGS_ENABLED", "true"),
        ("DD_APM_RECEIVER_PORT", traces.as_str()),
        ("DD_TRACE_AGENT_PORT", traces.as_str()),
        ("DD_DOGSTATSD_PORT", metrics.as_str()),
        ("DD_DOGSTATSD_SOCKET", ""),
        ("DD_INSTRUMENTATION_TELEMETRY_ENABLED", "false"),
        ("DD_ENV", "testing"),
        ("DD_VERSION", "1.2.3"),
        ("DD_TAGS", "team:web"),
        ("DD_SOURCE", "python"),
        ("DD_ENHANCED_METRICS", "true"),
    ];
    let host = metadata(Some(std::time::Duration::ZERO));
    for line in environment.lines() {
        let (name, value) = line.split_once('=').expect("NAME=value");
        all.push((name, if value == "<metadata>" { &host } else { value }));
    }
    let app = root().join("tests/real/platforms/app.py").display().to_string();
    let path = cache().join("platforms/bin");
    assert!(path.exists(), "no {}: tests/run.sh installs it", path.display());
    let words = [pillion.to_str().unwrap(), "python", &app, task];
    let mut wrapped = Wrapped::start(&words, &path, &all);
    if task == "wait" {
        wait_until("the app is ready", || wrapped.stdout().ends_with(b"ready\n"));
        wrapped.signal(Signal::SIGTERM);
    }
    assert_eq!(wrapped.wait().code(), Some(code), "{}", wrapped.stderr());
    let mut out = format!("\n# an app that is to {task}: exit code {code}\n\n");
    out.push_str(&traces_of(&intake));
    out.push_str(&metrics_of(&intake));
    out.push_str(&logs_of(&intake));
    out
}

fn traces_of(intake: &Recorder) -> String {
    let mut out = String::new();
    let attributes = |out: &mut String, all: &BTreeMap<String, Value>, indent: &str| {
        for (key, value) in all.iter().filter(|(key, _)| !VOLATILE.contains(&key.as_str())) {
            writeln!(out, "{indent}{key} = {}", text(value)).unwrap();
        }
    };
    for payload in intake.tracer_payloads() {
        let (env, version) = (&payload.env, &payload.app_version);
        writeln!(
            out,
            "traces of {}: env {env:?}, version {version:?}, host {:?}",
            payload.language_name, payload.hostname
        )
        .unwrap();
        attributes(&mut out, &payload.attributes, "    ");
        for chunk in &payload.chunks {
            let (priority, origin) = (chunk.priority, &chunk.origin);
            writeln!(out, "  trace: priority {priority}, origin {origin:?}").unwrap();
            attributes(&mut out, &chunk.attributes, "      ");
            for span in &chunk.spans {
                writeln!(
                    out,
                    "    span {:?}: service {:?}, resource {:?}, type {:?}, error {}, env {:?}, version {:?}",
                    span.name, span.service, span.resource, span.kind, span.error, span.env, span.version
                )
                .unwrap();
                attributes(&mut out, &span.attributes, "        ");
            }
        }
    }
    out
}

fn text(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("{:?}", without_time(text)),
        Value::Double(number) => number.to_string(),
        other => format!("{other:?}"),
    }
}

/// A text without how long the app lived, where it says so.
fn without_time(text: &str) -> String {
    match text
        .split_once(" after ")
        .and_then(|(before, time)| Some((before, time.split_once(" s")?)))
    {
        Some((before, (time, behind))) if time.parse::<f64>().is_ok() => {
            format!("{before} after <time>{behind}")
        }
        _ => text.to_owned(),
    }
}

fn metrics_of(intake: &Recorder) -> String {
    let mut lines = Vec::new();
    let tags = |tags: &[String]| {
        let mut tags = tags.to_vec();
        tags.sort();
        tags.iter().map(|tag| format!("\n    {tag}")).collect::<String>()
    };
    // A count that is flushed in the middle is followed by one of 0.
    let mut sums: BTreeMap<String, f64> = BTreeMap::new();
    for series in intake.series() {
        let (metric, kind, interval) = (&series.metric, series.kind, series.interval);
        let what = format!("{metric}: type {kind}, interval {interval}{}", tags(&series.tags));
        let values: f64 = series.points.iter().map(|point| point.value).sum();
        if metric.ends_with(".enhanced.instance") {
            // It may come in two buckets, each of which has it.
            sums.insert(what, values / series.points.len() as f64);
            continue;
        }
        *sums.entry(what).or_default() += values;
    }
    lines.extend(sums.into_iter().map(|(what, sum)| format!("series of {sum}, {what}")));
    for sketch in intake.sketches() {
        let (count, sum) = (sketch.dogsketches[0].cnt, sketch.dogsketches[0].sum);
        if let Some(range) = range_of_machine(&sketch.metric) {
            for one in &sketch.dogsketches {
                assert!(range.contains(&one.min) && range.contains(&one.max), "{sketch:?}");
            }
            lines.push(format!(
                "sketch {}: {:e} to {:e}{}",
                sketch.metric,
                range.start,
                range.end,
                tags(&sketch.tags)
            ));
            continue;
        }
        lines.push(format!(
            "sketch {}: {count} values, sum {sum}{}",
            sketch.metric,
            tags(&sketch.tags)
        ));
    }
    for mut check in intake.service_checks() {
        check.as_object_mut().unwrap().remove("timestamp");
        lines.push(format!("check {check:#}"));
    }
    for events in intake.events() {
        for list in events["events"].as_object().unwrap().values() {
            for event in list.as_array().expect("a list of events") {
                let mut event = event.clone();
                event.as_object_mut().unwrap().remove("timestamp");
                lines.push(format!("event {event:#}"));
            }
        }
    }
    lines.sort();
    // What is measured may have come in two buckets; a limit of memory is there on some machines and not on others.
    lines.dedup_by(|one, other| one == other && one.contains(".enhanced."));
    lines.retain(|line| !line.contains(".enhanced.memory.limit"));
    lines.into_iter().map(|line| line + "\n").collect()
}

/// Between what the values of a metric lie that depends on the machine.
fn range_of_machine(metric: &str) -> Option<Range<f64>> {
    let (_, what) = metric.split_once(".enhanced.")?;
    Some(match what {
        "cpu.usage" => 0.0..1e12,
        "cpu.limit" => 1e6..1e12,
        "memory.usage" | "memory.limit" => 1e5..1e13,
        "task.duration" => 10.0..1e5,
        _ => return None,
    })
}

fn logs_of(intake: &Recorder) -> String {
    let mut lines: Vec<String> = entries(intake)
        .into_iter()
        .map(|mut entry| {
            entry.as_object_mut().unwrap().remove("timestamp");
            let word = |name: &str| entry[name].as_str().unwrap_or("<none>").to_owned();
            let message = word("message").replace(&root().display().to_string(), "<repository>");
            let message = without_time(&message);
            let tags: String =
                word("ddtags").split(',').map(|tag| format!("\n    {tag}")).collect();
            format!(
                "log {}: {:?}, service {:?}, source {:?}, host {:?}{tags}\n",
                word("status"),
                message,
                word("service"),
                word("ddsource"),
                word("hostname")
            )
        })
        .collect();
    lines.sort();
    lines.concat()
}

fn check(platform: &str) {
    let path = root().join(format!("tests/platforms/{platform}.txt"));
    let stored = std::fs::read_to_string(&path).unwrap();
    let (environment, expect) = stored.split_once(MARK).unwrap_or((stored.trim_end(), ""));
    let arrived: String = [("end", 0), ("crash", 1), ("wait", 143)]
        .into_iter()
        .map(|(task, code)| run(environment, task, code))
        .collect();
    if records() {
        return std::fs::write(&path, format!("{environment}{MARK}{arrived}")).unwrap();
    }
    let first = expect.lines().zip(arrived.lines()).position(|(one, other)| one != other);
    let at = first.unwrap_or_else(|| expect.lines().count().min(arrived.lines().count()));
    let near =
        |text: &str| text.lines().skip(at.saturating_sub(3)).take(8).collect::<Vec<_>>().join("\n");
    assert!(
        expect == arrived,
        "{platform}: line {at} differs\nexpected:\n{}\narrived:\n{}",
        near(expect),
        near(&arrived)
    );
}

macro_rules! on {
    ($($platform:ident),*) => {$(
        #[test]
        #[ignore = "needs ddtrace and datadogpy: run by tests/run.sh"]
        fn $platform() {
            check(stringify!($platform));
        }
    )*};
}

on!(
    cloud_run_service,
    cloud_run_function,
    cloud_run_job,
    container_app,
    container_app_job,
    app_service
);
