//! What happens to a trace, as pure functions of bytes and a time: decode, normalise, count, sample, encode. No clock, file, socket or
//! environment in here.
//!
//! A body is decoded into spans whose strings are places in the body; every string is then looked up once in the string table of the
//! payload that the span goes to, and from there on a string is a number.

pub mod chunk;
pub mod chunk_values;
pub mod decode;
pub mod encode;
pub mod filter;
mod fnv;
pub mod groups;
pub mod head;
pub mod keys;
pub mod late;
pub mod marks;
pub mod model;
pub mod normalise;
pub mod obfuscate;
pub mod older;
pub mod payload;
pub mod redact;
mod same;
pub mod sample;
pub mod stats;
pub mod strings;
pub mod table;
pub mod trim;
mod value_text;

/// What the request's headers say of the tracer that sent a body (spec: trace-agent 1.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tracer<'a> {
    /// `Datadog-Meta-Lang`.
    pub lang: &'a str,
    /// `Datadog-Meta-Lang-Version`.
    pub lang_version: &'a str,
    /// `Datadog-Meta-Tracer-Version`.
    pub version: &'a str,
    /// The container id, where the tracer sent one and it can be resolved.
    pub container_id: &'a str,
    /// `X-Datadog-Process-Tags`, the last resort for the payload's process tags.
    pub process_tags: &'a str,
    /// `Datadog-Client-Computed-Top-Level` is set and not false.
    pub computed_top_level: bool,
    /// `Datadog-Client-Computed-Stats` is set and not false: no agent-side stats for this body.
    pub computed_stats: bool,
    /// `Datadog-Client-Dropped-P0-Traces`: traces that the tracer dropped itself since its last body.
    pub dropped_p0_traces: u64,
    /// `Datadog-Client-Dropped-P0-Spans`.
    pub dropped_p0_spans: u64,
    /// `Datadog-Obfuscation-Version` is set: the tracer has obfuscated the resources of its stats itself.
    pub obfuscated_stats: bool,
}
