//! OTLP traces: what OpenTelemetry's SDKs send, as protobuf or JSON, made into spans of Datadog's (spec: trace-agent 9).
//!
//! Bodies of all three signals are read here ([`message`]); what becomes of metrics and logs is not the business of traces.
//!
//! A body is checked whole by its [`schema`], JSON after it was rewritten as protobuf ([`json`]). Then each resource becomes a payload of its own
//! ([`convert`]): its spans by trace, each with the resource's tags, written as the msgpack of v0.4, which goes the way of every tracer's body
//! from there on. Nothing is handed over before the whole body is converted.

mod convert;
mod error;
mod host;
pub(crate) mod json;
mod known;
mod lists;
mod msgpack;
mod names;
mod reason;
mod resource;
pub(crate) mod schema;
mod span;
mod tags;
#[cfg(test)]
mod tests;
pub(crate) mod text;
mod tracestate;
pub(crate) mod value;
pub(crate) mod wire;

use std::borrow::Cow;
use std::collections::BTreeMap;

pub use self::convert::{Export, Payload};
pub use self::error::Error;

use super::{Form, v04};
use crate::trace::keys::Keys;
use crate::trace::model::{Body, Slice, Text, Value};

type Fallible<T> = Result<T, Error>;

/// What a body is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// `application/x-protobuf`.
    Protobuf,
    /// `application/json`.
    Json,
}

/// What a request carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Points of metrics.
    Metrics,
    /// Records of logs.
    Logs,
}

/// The body of a request as protobuf, checked whole.
///
/// # Errors
/// When it is malformed.
pub fn message(signal: Signal, encoding: Encoding, body: &[u8]) -> Result<Cow<'_, [u8]>, Error> {
    let schema = match signal {
        Signal::Traces => &schema::EXPORT_TRACE_REQUEST,
        Signal::Metrics => &schema::EXPORT_METRICS_REQUEST,
        Signal::Logs => &schema::EXPORT_LOGS_REQUEST,
    };
    let body = match encoding {
        Encoding::Protobuf => Cow::Borrowed(body),
        Encoding::Json => Cow::Owned(json::transcode(body, schema)?),
    };
    wire::check(&body, schema)?;
    Ok(body)
}

/// The user's rules for spans of OpenTelemetry.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// Of a hundred traces that many are kept, where the app does not decide itself; 0 and less, 100 and more are all
    /// (`DD_OTLP_CONFIG_TRACES_PROBABILISTIC_SAMPLER_SAMPLING_PERCENTAGE`).
    pub sampling_percentage: f64,
    /// The operation is the span's own name (`DD_OTLP_CONFIG_TRACES_SPAN_NAME_AS_RESOURCE_NAME`).
    pub span_name_as_resource_name: bool,
    /// Other names for operations (`DD_OTLP_CONFIG_TRACES_SPAN_NAME_REMAPPINGS`).
    pub span_name_remappings: BTreeMap<String, String>,
    /// Operations are named after library and kind, as older agents did (`DD_APM_FEATURES`:
    /// `disable_operation_and_resource_name_logic_v2`).
    pub older_names: bool,
    /// Roots, servers and consumers are counted in stats, clients and producers are measured (`DD_APM_FEATURES`:
    /// `enable_otlp_compute_top_level_by_span_kind`).
    pub top_level_by_kind: bool,
    /// Another sampler decides over all traces, so none is decided here (the agent's probabilistic sampler).
    pub decided_later: bool,
    /// Libraries are named by `otel.library.*` alone (`DD_APM_FEATURES`: `disable_otel_scope_convention`).
    pub older_scope_names_only: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            sampling_percentage: 100.0,
            span_name_as_resource_name: false,
            span_name_remappings: BTreeMap::new(),
            older_names: false,
            top_level_by_kind: false,
            decided_later: false,
            older_scope_names_only: false,
        }
    }
}

impl Rules {
    /// Whether operations and resources are named by the older rules: also where the user renames them.
    fn uses_older_names(&self) -> bool {
        self.older_names || self.span_name_as_resource_name || !self.span_name_remappings.is_empty()
    }

    /// The share of traces that is kept.
    fn sampling_rate(&self) -> f64 {
        let rate = self.sampling_percentage / 100.0;
        if rate > 0.0 && rate < 1.0 { rate } else { 1.0 }
    }
}

/// Converts the body of a traces request. `hostname` is the host of resources that do not say theirs.
///
/// # Errors
/// When it is malformed, or becomes more than is allowed.
pub fn decode(
    bytes: &[u8],
    encoding: Encoding,
    rules: &Rules,
    hostname: &str,
) -> Result<Export, Error> {
    let bytes = message(Signal::Traces, encoding, bytes)?;
    convert::request(&bytes, rules, hostname)
}

/// The attribute of a chunk that says which share of traces was kept.
const RATE_KEY: &str = "_dd.otlp_sr";

/// Reads a payload into `body`, as the body of a tracer is read.
///
/// # Errors
/// Never, for what [`decode`] has written.
pub fn open(payload: &mut Payload, keys: &Keys, body: &mut Body) -> Result<(), super::Error> {
    let mut source = std::mem::take(&mut payload.msgpack);
    v04::decode_as(Form::Otlp, &source, keys, body).map_err(|error| *error)?;
    let mut place = |text: &str| {
        source.extend_from_slice(text.as_bytes());
        Text::place(source.len() - text.len(), text.len())
    };
    body.entries.push((place(RATE_KEY), Value::Text(place(&payload.sampling_rate))));
    let attributes = Slice::new(body.entries.len() - 1, body.entries.len());
    for (chunk, said) in body.chunks.iter_mut().zip(&payload.chunks) {
        chunk.priority = said.priority;
        chunk.trace_id = u128::from(said.trace_id_high) << 64;
        chunk.attributes = attributes;
    }
    body.transcoded = Some(source);
    Ok(())
}
