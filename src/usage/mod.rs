//! The wrapper's own metrics: that the app was started and has ended, and what CPU and memory its container uses and may use. Datadog calls them
//! enhanced metrics and knows them by [`names`] (spec: serverless-init 5); [`tags`] are few, so that they stay cheap. A [`Meter`] reads the
//! [`Cgroup`](crate::cgroup::Cgroup) and puts samples into the aggregator of all metrics; who holds it says when.
//!
//! Where `datadog-init` is not the same on all platforms, or not known, this is chosen:
//!
//! - Memory is measured, too, under the names that follow from those of CPU.
//! - What a tag would say and is not known is left out, where `datadog-init` says `unknown`.
//! - CPU of which nothing was used counts as 0 and is no gap.
//! - A job's tasks use CPU under the name of Cloud Run's containers, which is what they are.
//! - A sidecar says the same of its own container and has `sidecar:true`. Of a job's task it says neither start nor end: how it ended is
//!   not for it to know.

mod meter;
mod names;
mod tags;
#[cfg(test)]
mod tests;

use crate::platform;

pub use meter::{Ended, Figures, Meter};

/// What is measured, and what it is called.
#[derive(Clone, Debug)]
pub struct Settings {
    /// There is anything to measure for: `DD_ENHANCED_METRICS` does not say no, and metrics have a key to be sent with.
    pub is_on: bool,
    /// We are a container beside the app's.
    pub is_sidecar: bool,
    /// The platform, which names the metrics.
    pub kind: platform::Kind,
    /// Its tags as far as they are known from the start.
    pub platform: platform::Tags,
    /// Tags of the user: service, env and version, `DD_TAGS` and `DD_EXTRA_TAGS`, each as `key:value`. Of a key that the platform has, too, its
    /// value counts, as with `datadog-init`.
    pub own: Vec<String>,
}
