//! Spans of our own: what we saw of the app from outside.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Error, Pipeline, TraceRequest};
use crate::trace::Tracer;
use crate::trace::decode::ApiVersion;

/// The priority of a trace that the user wants to be kept.
const USER_KEEP: f64 = 2.0;

/// A span of our own, a trace of its own body. It goes the way of every other span: filters, rules, obfuscation and stats have their say.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct OwnSpan {
    /// Its service.
    pub service: String,
    /// Its operation name.
    pub name: String,
    /// Its resource.
    pub resource: String,
    /// The lower half of its trace's id; the upper one is in `meta`.
    pub trace_id: u64,
    /// Its id, not 0.
    pub span_id: u64,
    /// The id of its parent; 0 where it is a root.
    pub parent_id: u64,
    /// Nanoseconds since 1970.
    pub start: u64,
    /// Nanoseconds.
    pub duration: u64,
    /// 1 where it is an error.
    pub error: i32,
    /// Attributes that are text.
    pub meta: BTreeMap<&'static str, String>,
    /// Attributes that are numbers.
    pub metrics: BTreeMap<&'static str, f64>,
}

impl OwnSpan {
    /// Puts the span into this trace, all 128 bits of the id.
    pub fn in_trace(&mut self, trace_id: u128) {
        let (high, low) = (trace_id >> 64, trace_id & u128::from(u64::MAX));
        self.trace_id = u64::try_from(low).unwrap_or_default();
        if high != 0 {
            self.meta.insert("_dd.p.tid", format!("{high:016x}"));
        }
    }
}

/// A number for a span or a trace, not 0.
pub fn new_id() -> u64 {
    fastrand::u64(1..)
}

impl Pipeline {
    /// Takes a span of our own, which no sampler drops.
    ///
    /// # Errors
    /// As for a body of a tracer; there is no span for which that is known to happen.
    pub fn own_span(&mut self, mut span: OwnSpan, now_ns: u64) -> Result<(), Error> {
        span.metrics.insert("_sampling_priority_v1", USER_KEEP);
        let body = rmp_serde::to_vec_named(&[[span]])
            .map_err(|error| Error { status: 500, text: error.to_string() })?;
        let request = TraceRequest {
            version: ApiVersion::V04,
            content_type: Some("application/msgpack"),
            tracer: Tracer::default(),
            body: &body,
        };
        self.traces(&request, now_ns)
    }
}
