//! The document of `/info`: what we are, what works and with which settings, in the agent's order of keys. Tracers decide by it what they
//! send where; what does not work is not in it, and the types are exact, because some tracers drop the whole document over one of them.

use std::collections::BTreeMap;

use bytes::Bytes;
use hyper::header::HeaderValue;
use ring::digest;
use serde::{Serialize, Serializer};

use crate::intake::{Settings, route};
use crate::pipeline;
use crate::trace::stats;
use crate::version;

/// The document and what it is known by.
#[derive(Debug)]
pub(super) struct Info {
    /// The document.
    pub(super) body: Bytes,
    /// Its SHA-256 in hexadecimal, the value of `Datadog-Agent-State`.
    pub(super) state: HeaderValue,
}

#[derive(Serialize)]
struct Document<'a> {
    version: &'a str,
    git_commit: &'a str,
    endpoints: &'a [&'a str],
    /// A tracer may drop what it does not sample, once it has computed stats of it, and may compute them: only where somebody receives
    /// those stats. The viewer has to see every trace.
    client_drop_p0s: bool,
    span_meta_structs: bool,
    long_running_spans: bool,
    span_events: bool,
    evp_proxy_allowed_headers: &'a [&'a str],
    config: Config<'a>,
    peer_tags: Vec<String>,
    span_kinds_stats_computed: &'a [&'a str],
    filter_tags: Filters,
    filter_tags_regex: Filters,
    /// Not a key of the agent's. Unknown keys are skipped by every tracer.
    agent_implementation: &'a str,
}

#[derive(Serialize)]
struct Config<'a> {
    default_env: &'a str,
    #[serde(serialize_with = "as_go_writes_it")]
    target_tps: f64,
    receiver_port: u16,
    receiver_socket: String,
    connection_limit: usize,
    receiver_timeout: u64,
    max_request_bytes: usize,
    analyzed_spans_by_service: BTreeMap<&'a str, f64>,
}

/// Filters that a tracer should apply before it computes stats: there are none.
#[derive(Serialize)]
struct Filters {}

/// Whole numbers without a fraction, as in the agent's document.
fn as_go_writes_it<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    let whole = *number as i64;
    if whole as f64 == *number {
        serializer.serialize_i64(whole)
    } else {
        serializer.serialize_f64(*number)
    }
}

impl Info {
    /// The document for these settings. It stays the same for the life of the process.
    pub(super) fn new(intake: &Settings, pipeline: &pipeline::Settings) -> Self {
        let span_kinds: &[&str] = if pipeline.stats_by_span_kind {
            &["server", "consumer", "client", "producer"]
        } else {
            &[]
        };
        let document = Document {
            version: version::AGENT,
            git_commit: "",
            endpoints: &route::LISTED,
            client_drop_p0s: pipeline.sending,
            span_meta_structs: true,
            long_running_spans: true,
            span_events: true,
            evp_proxy_allowed_headers: &[],
            config: Config {
                default_env: &pipeline.env,
                target_tps: pipeline.target_tps,
                receiver_port: intake.port,
                receiver_socket: intake
                    .socket
                    .as_ref()
                    .map(|path| path.display().to_string())
                    .unwrap_or_default(),
                connection_limit: intake.connections_max,
                receiver_timeout: intake.receive_timeout.as_secs(),
                max_request_bytes: intake.body_bytes_max,
                analyzed_spans_by_service: BTreeMap::new(),
            },
            peer_tags: if pipeline.peer_tags_aggregation {
                stats::peer_tag_keys(&pipeline.peer_tags)
            } else {
                Vec::new()
            },
            span_kinds_stats_computed: span_kinds,
            filter_tags: Filters {},
            filter_tags_regex: Filters {},
            agent_implementation: version::OWN,
        };
        let body = Bytes::from(pretty(&document));
        Self { state: state_of(&body), body }
    }
}

/// JSON with a tab per level. Writing strings and numbers into memory cannot fail; an empty object stands for the impossible.
fn pretty(document: &Document<'_>) -> Vec<u8> {
    let mut body = Vec::with_capacity(4096);
    let format = serde_json::ser::PrettyFormatter::with_indent(b"\t");
    let written =
        document.serialize(&mut serde_json::Serializer::with_formatter(&mut body, format));
    if written.is_ok() { body } else { b"{}".to_vec() }
}

fn state_of(body: &[u8]) -> HeaderValue {
    let hash = digest::digest(&digest::SHA256, body);
    let text: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}
