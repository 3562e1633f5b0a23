//! OTLP metrics: points in, series and sketches out (spec: metrics-logs 5.2). Pure: bytes that were checked and a time in, calls of a
//! [`Writer`] out.
//!
//! [`mapping`] walks through a request: what a resource and a library say becomes [`tags`] ([`resource`]), each message of a point is read once
//! ([`points`]), and by its sort it becomes numbers, or a sketch of a [`histogram`]. Totals since the start of the app become what came
//! since the point before ([`changes`]). [`bounds`] has numbers as text.

mod bounds;
mod changes;
mod histogram;
mod mapping;
mod points;
pub(super) mod resource;
pub(super) mod tags;
#[cfg(test)]
mod tests;

pub use mapping::{Mapping, Tally};

#[cfg(doc)]
use crate::metrics::Writer;

/// What becomes of metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Whether they are taken at all (`DD_OTLP_CONFIG_METRICS_ENABLED`).
    pub is_enabled: bool,
    /// Every attribute of a resource is a tag, and not only those that have a name of Datadog's (`…_RESOURCE_ATTRIBUTES_AS_TAGS`).
    pub resource_as_tags: bool,
    /// The instrumentation library is a tag (`…_INSTRUMENTATION_SCOPE_METADATA_AS_TAGS`).
    pub scope_as_tags: bool,
    /// Seconds for which the last total of a metric is remembered (`…_DELTA_TTL`).
    pub delta_ttl_s: u64,
    /// What becomes of histograms (`…_HISTOGRAMS_MODE`).
    pub histograms: Histograms,
    /// Histograms have series of their count and sum beside that (`…_HISTOGRAMS_SEND_AGGREGATION_METRICS`).
    pub aggregations: bool,
    /// Totals that only grow are sent as what came since the point before, and else as they are
    /// (`…_SUMS_CUMULATIVE_MONOTONIC_MODE`).
    pub totals_to_deltas: bool,
    /// What becomes of the first total of a metric (`…_SUMS_INITIAL_CUMULATIVE_MONOTONIC_VALUE`).
    pub first_total: FirstTotal,
    /// Quantiles of summaries are sent (`…_SUMMARIES_MODE`).
    pub quantiles: bool,
    /// Tags that all of them have beside those of all metrics (`…_TAGS`).
    pub tags: Vec<String>,
}

/// What becomes of histograms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Histograms {
    /// Distributions: the values are spread over a sketch.
    Distributions,
    /// A count for each bucket.
    Counters,
    /// Nothing but their aggregations.
    NoBuckets,
}

/// What becomes of the first total of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstTotal {
    /// It is sent where it began after we did: then all of it is new.
    Auto,
    /// It is sent.
    Keep,
    /// It is not.
    Drop,
}

impl Default for Settings {
    /// The agent's defaults.
    fn default() -> Self {
        Self {
            is_enabled: true,
            resource_as_tags: false,
            scope_as_tags: true,
            delta_ttl_s: 3600,
            histograms: Histograms::Distributions,
            aggregations: false,
            totals_to_deltas: true,
            first_total: FirstTotal::Auto,
            quantiles: true,
            tags: Vec::new(),
        }
    }
}
