//! A case through the library: the pipeline with the case's settings and clock, and what it would hand to the relay.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use pillion::config::{self, Env, Mode};
use pillion::ledger::Ledger;
use pillion::pipeline::{OpenBuckets, Pipeline, TraceRequest};
use pillion::relay::{Kind, Payload};
use pillion::trace::Tracer;
use pillion::trace::decode::ApiVersion;
use serde_json::{Value, json};

use crate::case::{Case, Form, Request};
use crate::{stats, traces};

/// What a case gave.
pub(crate) struct Ours {
    /// The payloads in the normal form: `{"traces": […], "stats": […]}`.
    pub(crate) intake: Value,
    /// The rates that each request which was accepted on a path with rates is answered with: those from before it was sampled.
    pub(crate) rates: Vec<Option<String>>,
}

/// The settings of a case, read as the program reads them. An API key is there, so that traces are sampled.
pub(crate) fn settings(case: &Case, form: Form) -> config::Settings {
    settings_with(case, form, &[])
}

/// The same with more of them.
pub(crate) fn settings_with(case: &Case, form: Form, more: &[(&str, &str)]) -> config::Settings {
    const FEATURES: &str = "DD_APM_FEATURES";
    let mut features: Vec<&str> = Vec::new();
    let mut pairs: Vec<(&str, &str)> = Vec::new();
    for (key, value) in &case.settings {
        match key.as_str() {
            FEATURES => features.push(value),
            key => pairs.push((key, value)),
        }
    }
    if form == Form::Older {
        features.push("disable-convert-traces");
    }
    let features = features.join(",");
    pairs.extend([("DD_API_KEY", "x"), (FEATURES, &features)]);
    pairs.extend(more);
    config::read(&Env::of(&pairs), Mode::Sidecar).0
}

/// The time between two requests of a recording.
const PAUSE_NS: u64 = 60_000_000;

/// The recorded agent's stats were started with the case's clock; all else saw the real one, which was months later. So no span of a case ends in
/// the future, however late it is by the case's clock.
const LATER_S: u64 = 500 * 24 * 3600;

/// The time at which a case's traces come.
pub(crate) fn now_ns(clock: u64) -> u64 {
    start_ns(clock + LATER_S)
}

/// The time at which a case's stats start, and those of tracers come: in the middle of a second, so that a time taken from the clock is not taken
/// for one of a body.
fn start_ns(clock: u64) -> u64 {
    clock * 1_000_000_000 + 500_000_123
}

/// Runs the case's requests through a pipeline and decodes what it sends.
pub(crate) fn through_the_library(case: &Case, form: Form) -> Result<Ours, String> {
    let sent: Rc<RefCell<Vec<Payload>>> = Rc::default();
    let outlet = Rc::clone(&sent);
    let outlet = move |payload| {
        outlet.borrow_mut().push(payload);
        Vec::new()
    };
    let mut now_ns = now_ns(case.clock);
    let mut pipeline = Pipeline::new(
        settings(case, form).pipeline,
        Arc::new(Ledger::default()),
        Box::new(outlet),
        None,
        start_ns(case.clock),
    );
    let mut rates = Vec::new();
    for request in &case.requests {
        // The clock stands, so that every time that is taken from it is known. Where the rates of answers matter it goes.
        if case.raw_rates {
            now_ns += u64::try_from(request.wait.as_nanos()).map_err(|error| error.to_string())?
                + PAUSE_NS;
        }
        let before = String::from_utf8_lossy(&pipeline.reply().body).into_owned();
        let times = [start_ns(case.clock), now_ns];
        rates.push(take(&mut pipeline, request, times).then_some(before));
    }
    pipeline.flush(now_ns, OpenBuckets::Flush);
    let (mut trace_payloads, mut stats_payloads) = (Vec::new(), Vec::new());
    for payload in sent.borrow().iter() {
        match payload.kind {
            Kind::Traces => trace_payloads.push(traces::normal(&payload.body, form)?),
            Kind::Stats => stats_payloads.push(stats::normal(&payload.body)?),
            other => return Err(format!("a payload of {other:?}")),
        }
    }
    Ok(Ours { intake: json!({ "traces": trace_payloads, "stats": stats_payloads }), rates })
}

/// One request, at the time of stats of tracers or at that of traces; whether it is answered with rates. Paths that are not offered, and bodies over the limit, do not get to the pipeline.
fn take(pipeline: &mut Pipeline, request: &Request, [stats_ns, now_ns]: [u64; 2]) -> bool {
    let tracer = tracer(request);
    let path = request.path.split('?').next().unwrap_or_default();
    let version = match path {
        "/spans" | "/v0.1/spans" => ApiVersion::V01,
        "/v0.2/traces" => ApiVersion::V02,
        "/v0.3/traces" => ApiVersion::V03,
        "/v0.4/traces" => ApiVersion::V04,
        "/v0.5/traces" => ApiVersion::V05,
        "/v0.7/traces" => ApiVersion::V07,
        "/v1.0/traces" => ApiVersion::V10,
        "/v0.6/stats" => {
            // The answer is compared where it is sent over TCP.
            drop(pipeline.client_stats(&tracer, &request.body, stats_ns));
            return false;
        }
        _ => return false,
    };
    if request.body.len() > BODY_BYTES_MAX || request.header("Sec-Fetch-Site") == Some("cross-site")
    {
        return false;
    }
    let request = TraceRequest {
        version,
        content_type: request.header("Content-Type"),
        tracer,
        body: &request.body,
    };
    let is_old = matches!(version, ApiVersion::V01 | ApiVersion::V02 | ApiVersion::V03);
    pipeline.traces(&request, now_ns).is_ok() && !is_old
}

/// The agent's limit of a body.
const BODY_BYTES_MAX: usize = 26_214_400;

/// What the intake reads from the headers, read here anew.
fn tracer(request: &Request) -> Tracer<'_> {
    let text = |name: &str| request.header(name).unwrap_or_default();
    let flag = |name: &str| !["", "0", "f", "F", "FALSE", "False", "false"].contains(&text(name));
    Tracer {
        lang: text("Datadog-Meta-Lang"),
        lang_version: text("Datadog-Meta-Lang-Version"),
        version: text("Datadog-Meta-Tracer-Version"),
        container_id: "",
        process_tags: text("X-Datadog-Process-Tags"),
        computed_top_level: flag("Datadog-Client-Computed-Top-Level"),
        computed_stats: flag("Datadog-Client-Computed-Stats"),
        dropped_p0_traces: text("Datadog-Client-Dropped-P0-Traces").parse().unwrap_or_default(),
        dropped_p0_spans: text("Datadog-Client-Dropped-P0-Spans").parse().unwrap_or_default(),
        obfuscated_stats: !text("Datadog-Obfuscation-Version").is_empty(),
    }
}
