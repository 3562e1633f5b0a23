//! Metrics: samples in, payloads out. Values of one metric and the same tags are put together in buckets of 10 seconds, as the agent does,
//! and become series and sketches in the forms of the intake; events and service checks are only written down. Pure: time is an argument,
//! and there is no clock, file or socket in here.
//!
//! A [`sample`] goes to the [`Aggregator`], which writes its [`key`], finds its [`contexts`] entry and adds to the [`value`] of the open
//! bucket ([`buckets`]): a sum, the last number, a set, a [`histogram`] or a [`sketch`]. A [`flush`] turns the values of buckets that have
//! ended into [`series`] and sketches in a [`body`] that keeps the intake's limits, but for series that are [`blocked`]. [`messages`] are events and service checks. A sample with
//! a time of its own goes straight into a body.
//!
//! What a metric is sent under is encoded once, when it is first seen; a known one costs one look and an addition, and no allocation.
//!
//! Points that others have put together already, such as those of OTLP, go through a [`writer`], and the sketches of their histograms are made in
//! [`spread`].
//!
//! Counting ([`tally`]): each value is a sample, and so is the copy of a histogram that is sent as a distribution. Samples that came are
//! aggregated once their bucket is flushed, or rejected (not finite; a time of its own where the kind has none), or shed. The points that are made of
//! them are items of their own, which begin when they are made, as stats groups do: one for each value of a series, one for each bucket of
//! a sketch.

mod aggregator;
mod blocked;
mod body;
mod buckets;
mod contexts;
mod flush;
mod histogram;
mod key;
mod messages;
pub mod sample;
mod series;
mod sketch;
mod spread;
mod tally;
#[cfg(test)]
pub(crate) mod tests;
mod value;
mod writer;

use crate::limits::{METRIC_BYTES_MAX, METRIC_CONTEXTS_MAX};

pub use aggregator::Aggregator;
pub use blocked::Blocked;
pub use body::{BodyKind, Output, OutputPart};
pub use histogram::Aggregate;
pub use sample::{Check, Event, Kind, Origin, Sample, Values};
pub use sketch::Sketch;
pub use spread::{Exponential, OutOfRange};
pub use writer::{Number, Series, Writer};

/// Seconds of a bucket, and the interval of every rate.
const BUCKET_S: u64 = 10;

/// Whether the open bucket leaves with a flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenBuckets {
    /// It stays until its time is up.
    Keep,
    /// It leaves as it is: the end is near.
    Flush,
}

/// What is made of metrics.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Tags that everything has beside its own: `DD_TAGS`, `DD_EXTRA_TAGS`, `DD_DOGSTATSD_TAGS` and those of the platform. They are looked
    /// up by no sample and kept once, so they cost nothing; a caller need not add them to each. Doubles and empty ones are left out.
    pub tags: Vec<String>,
    /// The host of everything that names none. Empty in a serverless container, whatever `DD_HOSTNAME` says (spec: metrics-logs 1.6).
    pub hostname: String,
    /// What the platform is for the intake (`origin_category`): 35 App Service, 36 Cloud Run, 37 Container Apps, 38 Lambda, 71 Azure
    /// Functions, 10 none of these (spec: metrics-logs 3.1).
    pub category: u32,
    /// The series that are made of each histogram: those of `DD_HISTOGRAM_AGGREGATES` and of `DD_HISTOGRAM_PERCENTILES`. None: histograms are
    /// not sent (but for their copies).
    pub histogram: Vec<Aggregate>,
    /// Histograms are sent as distributions, too, under their names with this before them (`DD_HISTOGRAM_COPY_TO_DISTRIBUTION` and
    /// `…_PREFIX`). It may be empty.
    pub copy_to_distribution: Option<String>,
    /// Series of histograms that are not sent, by their whole names, such as `latency.avg` (`DD_METRIC_FILTERLIST`). What comes in under such
    /// a name is for who brings the samples.
    pub blocked: Vec<String>,
    /// Those are what names begin with (`…_MATCH_PREFIX`).
    pub is_blocked_by_prefix: bool,
    /// Seconds for which a counter that no longer counts is sent as 0 (`DD_DOGSTATSD_EXPIRY_SECONDS`). 0: not at all.
    pub counter_expiry_s: u64,
    /// Seconds for which a metric that is no longer sent is remembered (`DD_DOGSTATSD_CONTEXT_EXPIRY_SECONDS`).
    pub context_expiry_s: u64,
    /// Metrics with different names or tags that are known at once. A sample of a further one is shed.
    pub contexts_max: usize,
    /// Bytes that everything held may take, but for events and service checks, which have a limit of their own: a quarter for metrics' names
    /// and tags, half for values, a quarter for samples with times of their own. What is beyond it is shed.
    pub bytes_max: usize,
    /// Whether series are compressed on their way: then bodies may be larger.
    pub are_series_compressed: bool,
}

impl Default for Settings {
    /// The agent's defaults, on no platform.
    fn default() -> Self {
        Self {
            tags: Vec::new(),
            hostname: String::new(),
            category: 10,
            histogram: vec![
                Aggregate::Max,
                Aggregate::Median,
                Aggregate::Avg,
                Aggregate::Count,
                Aggregate::Percentile(95),
            ],
            copy_to_distribution: None,
            blocked: Vec::new(),
            is_blocked_by_prefix: false,
            counter_expiry_s: 300,
            context_expiry_s: 20,
            contexts_max: METRIC_CONTEXTS_MAX,
            bytes_max: METRIC_BYTES_MAX,
            are_series_compressed: true,
        }
    }
}
