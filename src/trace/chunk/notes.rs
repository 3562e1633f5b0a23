//! What a span's attributes say to later steps.

use crate::trace::marks::Marks;
use crate::trace::strings::Ref;

/// What rules found among a span's attributes. Numbers of strings are 0 where there is none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Notes {
    /// `http.status_code`, else `http.response.status_code`; 0 where there is none or it is no number.
    pub status_code: u32,
    /// The first of the gRPC status keys that is there, as a string or the text of a number.
    pub grpc_status: Ref,
    /// How far before the end of the gRPC keys' order that key stands.
    pub(super) grpc_weight: u8,
    /// `_dd.svc_src`.
    pub service_source: Ref,
    /// `error.type`.
    pub error_type: Ref,
    /// `error.message`.
    pub error_message: Ref,
    /// `_sample_rate`.
    pub sample_rate: Option<f64>,
    /// `_dd1.sr.rapre`.
    pub pre_sample_rate: Option<f64>,
    /// `_dd.measured` is 1.
    pub is_measured: bool,
    /// `_top_level` is 1.
    pub is_top_level: bool,
    /// `_dd.top_level` is 1.
    pub is_client_top_level: bool,
    /// `_dd.partial_version` is 0 or more: a snapshot of a span that is still open.
    pub is_partial: bool,
    /// The tracer has written a rate itself: `_dd.agent_psr`, `_dd.rule_psr` or `_sampling_priority_rate_v1` is there.
    pub has_rate: bool,
    /// Key and value of `_dd.base_service`.
    pub base_service: (Ref, Ref),
    /// The text of `span.kind`, and of `http.status_code`. Only the older form looks at them.
    pub span_kind: Ref,
    /// See [`Notes::span_kind`].
    pub http_status: Ref,
    /// Attributes that samplers look at once in a while.
    pub marks: Marks,
    /// It is a call to us: see [`super::Rules::discards_own_calls`].
    pub(super) is_own_call: bool,
    /// `tcp.remote.host` is our own.
    pub(super) has_own_host: bool,
    /// `tcp.remote.port` is one of ours.
    pub(super) has_own_port: bool,
}
