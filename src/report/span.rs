//! Spans of the app's life: that of its death, and that of a job's task.

use super::{Death, End};
use crate::pipeline::OwnSpan;

/// What the app is called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// The service of its own spans: that of the user, else what the platform calls the app, else the program.
    pub service: String,
    /// The environment, where the user names one.
    pub env: String,
    /// The version, where the user names one.
    pub version: String,
    /// The name of the program, without its folder and its arguments.
    pub program: String,
    /// The job's name where the app is a task of one.
    pub job: Option<String>,
}

/// Where spans stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The trace.
    pub trace_id: u128,
    /// The span's own id.
    pub span_id: u64,
    /// That of its parent, or 0.
    pub parent_id: u64,
    /// When the app started, nanoseconds since 1970.
    pub started_ns: u64,
}

/// The span of a death, `pillion.exit`: as long as the app's life, an error, with the `last_lines` of its standard error where they are known.
pub fn death(
    names: &Names,
    place: Place,
    end: &End,
    death: &Death,
    last_lines: Option<&str>,
) -> OwnSpan {
    let mut span = of_life(names, place, end, "pillion.exit");
    span.resource.clone_from(&names.program);
    span.error = 1;
    let meta = &mut span.meta;
    meta.insert("error.type", death.kind.clone());
    meta.insert("error.message", format!("{} {}", names.program, death.what));
    meta.insert("exit_code", end.code.to_string());
    meta.insert("component", "pillion".to_owned());
    meta.insert("span.kind", "internal".to_owned());
    if let Some(number) = end.signal {
        meta.insert("signal", super::signal::name(number).into_owned());
    }
    if let Some(lines) = last_lines {
        meta.insert("error.stack", lines.to_owned());
    }
    span
}

/// The span of a job's task, `gcp.run.job.task` (spec: serverless-init 7). An exit code other than 0 is an error, whoever asked for the end:
/// the platform counts it as one, too.
pub fn task(names: &Names, place: Place, end: &End) -> OwnSpan {
    let mut span = of_life(names, place, end, "gcp.run.job.task");
    let job = names.job.as_deref().filter(|job| !job.is_empty()).unwrap_or("gcp.run.job");
    job.clone_into(&mut span.resource);
    if end.code != 0 {
        span.error = 1;
        span.meta.insert("exit_code", end.code.to_string());
        let what = match end.death() {
            Some(death) => format!("{} {}", names.program, death.what),
            None => format!("exit status {}", end.code),
        };
        span.meta.insert("error.msg", what.clone());
        span.meta.insert("error.message", what);
    }
    span
}

fn of_life(names: &Names, place: Place, end: &End, name: &str) -> OwnSpan {
    let mut span = OwnSpan {
        service: names.service.clone(),
        name: name.to_owned(),
        span_id: place.span_id,
        parent_id: place.parent_id,
        start: place.started_ns,
        duration: u64::try_from(end.lasted.as_nanos()).unwrap_or(u64::MAX),
        ..OwnSpan::default()
    };
    span.in_trace(place.trace_id);
    for (key, value) in [("env", &names.env), ("version", &names.version)] {
        if !value.is_empty() {
            span.meta.insert(key, value.clone());
        }
    }
    span
}
