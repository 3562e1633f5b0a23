//! What the platform decides where the user has not: the stop deadline, tags, origins; and the settings of the platforms themselves.

use std::time::Duration;

use super::keys::Key;
use super::parse;
use super::read::Reader;
use crate::pipeline;
use crate::platform::{self, Platform};
use crate::proxy;

/// The subscription of an app of Container Apps.
pub const AZURE_SUBSCRIPTION: Key = Key {
    names: &["DD_AZURE_SUBSCRIPTION_ID"],
    yaml: &[],
    default: "",
    meaning: "The subscription of an app of Azure Container Apps, which the platform does not tell it. With the resource group it makes the tag that \
              Datadog joins the app's Azure metrics by.",
};
/// The resource group of an app of Container Apps.
pub const AZURE_RESOURCE_GROUP: Key = Key {
    names: &["DD_AZURE_RESOURCE_GROUP"],
    yaml: &[],
    default: "",
    meaning: "Its resource group.",
};
/// The port of the platform's probe.
pub const HEALTH_PORT: Key = Key {
    names: &["DD_HEALTH_PORT"],
    yaml: &["health_port"],
    default: "0",
    meaning: "A port, on all interfaces, that answers a platform's probe (TCP, or HTTP with 200): the start-up probe of a sidecar. 0: none.",
};

/// What is kept back of the platform's time for the exit itself.
const MARGIN: Duration = Duration::from_millis(500);

impl Reader<'_> {
    /// Which platform the environment speaks of.
    pub(super) fn platform(&self) -> Platform {
        platform::detect(&|name| self.env.variable(name))
    }

    pub(super) fn health_port(&mut self) -> u16 {
        self.take(&HEALTH_PORT, 0, parse::port)
    }
}

/// The time from the first TERM to our exit, unless the user names it.
pub(super) fn stop_timeout(platform: &Platform) -> Duration {
    platform.stop_grace.saturating_sub(MARGIN)
}

/// Has traces say what the platform does. Its tags precede those of the user, which are what payloads say of themselves on a platform where
/// `datadog-init` is what runs.
pub(super) fn apply(platform: &Platform, pipeline: &mut pipeline::Settings) {
    if let Some(origin) = platform.kind.origin() {
        origin.clone_into(&mut pipeline.origin);
        // Elsewhere the agent is what one compares with, which sends them.
        pipeline.discards_own_calls = true;
        let own = pipeline.span_tags.iter().map(|(key, value)| format!("{key}:{value}"));
        pipeline.function_tags = own.collect::<Vec<_>>().join(",");
    }
    pipeline.container_tags = platform.tags.container();
    let mut tags = platform.tags.spans();
    let is_own = |key: &String| !tags.iter().any(|(of_platform, _)| of_platform == key);
    let own: Vec<_> = pipeline.span_tags.drain(..).filter(|(key, _)| is_own(key)).collect();
    tags.extend(own);
    pipeline.span_tags = tags;
}

/// Has profiles say it.
pub(super) fn apply_to_profiles(platform: &Platform, proxy: &mut proxy::Settings) {
    let own = std::mem::take(&mut proxy.profile_tags);
    proxy.profile_tags = platform.tags.profiles();
    proxy.profile_tags.extend(own);
}
