//! What the proxy is told: where each kind of request goes, and within which bounds.

use std::net::SocketAddr;
use std::time::Duration;

use super::endpoint::{ENDPOINTS, Endpoint};
use crate::relay::Destination;

/// Where each kind of request goes. What is `None` is switched off.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Only traces with an error are of use to the user, which events say of themselves then.
    pub errors_alone: bool,
    /// The host that is said in headers and tags, maybe empty.
    pub hostname: String,
    /// The env that is said there.
    pub env: String,
    /// `DD_TAGS` and `DD_EXTRA_TAGS`; those that name the platform go along with telemetry.
    pub tags: Vec<(String, String)>,
    /// What an installer said of itself.
    pub install: Option<Install>,
    /// Tracers about themselves. The addresses have no path.
    pub telemetry: Option<Upstream>,
    /// Profiles.
    pub profiles: Option<Upstream>,
    /// Tags for all profiles.
    pub profile_tags: Vec<(String, String)>,
    /// The event platform. The addresses are hosts without their first part, which the tracer names.
    pub evp: Option<Upstream>,
    /// Logs of Dynamic Instrumentation.
    pub debugger_logs: Upstream,
    /// Its snapshots and diagnostics.
    pub debugger: Upstream,
    /// Its symbols.
    pub symbols: Upstream,
    /// Statistics of data streams.
    pub pipeline_stats: Upstream,
    /// OpenLineage events.
    pub lineage: Option<Upstream>,
    /// What a tracer gathers for Datadog's support.
    pub flare: Upstream,
    /// Where metrics that come by HTTP go.
    pub statsd: Option<SocketAddr>,
}

/// Where one kind of request goes, and its bounds.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// The main one first, whose answer the tracer gets. Without any there is no key for it, and what comes is dropped.
    pub destinations: Vec<Destination>,
    /// Bytes of one request.
    pub body_bytes_max: usize,
    /// The time from a request's head to its answer.
    pub timeout: Duration,
}

/// What an installer said of itself (`DD_INSTRUMENTATION_INSTALL_*`).
#[derive(Clone, Debug, Default)]
pub struct Install {
    /// Its id.
    pub id: String,
    /// Its kind.
    pub kind: String,
    /// Its time, in seconds since 1970.
    pub time: i64,
}

impl Settings {
    /// Where each kind of request goes that is not switched off, to be changed.
    pub fn upstreams_mut(&mut self) -> impl Iterator<Item = &mut Upstream> {
        let always = [
            &mut self.debugger_logs,
            &mut self.debugger,
            &mut self.symbols,
            &mut self.pipeline_stats,
            &mut self.flare,
        ];
        let some = [&mut self.telemetry, &mut self.profiles, &mut self.evp, &mut self.lineage];
        always.into_iter().chain(some.into_iter().flatten())
    }

    /// The destinations of all kinds of request.
    pub fn destinations(&self) -> impl Iterator<Item = &Destination> {
        let all = self.upstreams().into_iter().filter_map(|(_, upstream)| upstream);
        all.flat_map(|upstream| &upstream.destinations)
    }

    /// Each endpoint with where it goes, in the order of their numbers.
    pub(super) fn upstreams(&self) -> [(Endpoint, Option<&Upstream>); ENDPOINTS] {
        [
            (Endpoint::Telemetry, self.telemetry.as_ref()),
            (Endpoint::Profiles, self.profiles.as_ref()),
            (Endpoint::PipelineStats, Some(&self.pipeline_stats)),
            (Endpoint::Lineage, self.lineage.as_ref()),
            (Endpoint::Evp, self.evp.as_ref()),
            (Endpoint::DebuggerLogs, Some(&self.debugger_logs)),
            (Endpoint::Debugger, Some(&self.debugger)),
            (Endpoint::Symbols, Some(&self.symbols)),
            (Endpoint::Flare, Some(&self.flare)),
            (Endpoint::Statsd, None),
        ]
    }
}
