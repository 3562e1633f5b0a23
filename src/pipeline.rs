//! Drives `trace`: owns the batch, the stats and the samplers, takes one body at a time and hands payloads that are ready to the relay.

use std::time::Duration;

/// What the pipeline does to traces.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The agent's env (`DD_ENV`, `DD_APM_ENV`), value-normalised, `none` where unset. It is the env of spans that name none.
    pub env: String,
    /// The host of payloads: `DD_HOSTNAME`, empty where it is unset or `none` (spec: serverless-init 4).
    pub hostname: String,
    /// `DD_TAGS` and `DD_EXTRA_TAGS`: attributes of every span that lacks them.
    pub span_tags: Vec<(String, String)>,
    /// `DD_APM_TARGET_TPS`: traces per second that the priority and the no-priority sampler aim at.
    pub target_tps: f64,
    /// `DD_APM_ERROR_TPS`, reported in payloads.
    pub errors_tps: f64,
    /// `DD_APM_COMPUTE_STATS_BY_SPAN_KIND`.
    pub stats_by_span_kind: bool,
    /// `DD_APM_PEER_TAGS_AGGREGATION`.
    pub peer_tags_aggregation: bool,
    /// `DD_APM_PEER_TAGS`: further peer tags beside the agent's own list.
    pub peer_tags: Vec<String>,
    /// Agent-side stats are off (`DD_SERVERLESS_INIT_DISABLE_TRACE_STATS`).
    pub stats_disabled: bool,
    /// `DD_APM_FEATURES` has `component2name`: the operation name is the `component` tag.
    pub component_to_name: bool,
    /// `DD_APM_FEATURES` has `big_resource`: resources of 15,000 bytes instead of 5,000.
    pub big_resource: bool,
    /// How long a batch that is not full waits.
    pub flush_interval: Duration,
    /// Whether anything is sent: there is an API key. Without one nothing is sampled out, every rate is 1 and `client_drop_p0s` is false.
    pub sending: bool,
}
