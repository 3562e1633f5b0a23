//! What is passed on: the paths, and what is different about each (spec: trace-agent 8).

/// A kind of request that is passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// Tracers about themselves. Answered first, passed on then.
    Telemetry,
    /// Profiles.
    Profiles,
    /// Statistics of data streams.
    PipelineStats,
    /// OpenLineage events.
    Lineage,
    /// The event platform: the tracer names host and path, of a few letters.
    Evp,
    /// Logs of Dynamic Instrumentation.
    DebuggerLogs,
    /// Snapshots and diagnostics of Dynamic Instrumentation.
    Debugger,
    /// Symbols for Dynamic Instrumentation.
    Symbols,
    /// What a tracer gathers for Datadog's support.
    Flare,
    /// Metrics for the DogStatsD port.
    Statsd,
}

/// Request headers that the event platform gets; no others (spec: trace-agent 8).
pub const EVP_HEADERS: [&str; 7] = [
    "Content-Type",
    "Accept-Encoding",
    "Content-Encoding",
    "User-Agent",
    "DD-CI-PROVIDER-NAME",
    "DD-EVP-ORIGIN",
    "DD-EVP-ORIGIN-VERSION",
];

const TELEMETRY: &str = "/telemetry/proxy";

/// The prefixes for the event platform. They promise different things to tracers and are served alike.
const EVP: [&str; 4] = ["/evp_proxy/v1", "/evp_proxy/v2", "/evp_proxy/v3", "/evp_proxy/v4"];

/// How many kinds there are.
pub(super) const ENDPOINTS: usize = Endpoint::Statsd as usize + 1;

impl Endpoint {
    /// What `path`, which is clean, is for; nothing where it is not passed on.
    pub fn of(path: &str) -> Option<Self> {
        Some(match path {
            "/profiling/v1/input" => Self::Profiles,
            "/v0.1/pipeline_stats" => Self::PipelineStats,
            "/openlineage/api/v1/lineage" => Self::Lineage,
            "/debugger/v1/input" => Self::DebuggerLogs,
            "/debugger/v1/diagnostics" | "/debugger/v2/input" => Self::Debugger,
            "/symdb/v1/input" => Self::Symbols,
            "/tracer_flare/v1" => Self::Flare,
            "/dogstatsd/v1/proxy" | "/dogstatsd/v2/proxy" => Self::Statsd,
            _ => {
                let (endpoint, rest) = under_root(path)?;
                return rest.starts_with('/').then_some(endpoint);
            }
        })
    }

    /// Whether `path` is the root of a tree of paths without the slash at its end: it is redirected there.
    pub fn lacks_slash(path: &str) -> bool {
        under_root(path).is_some_and(|(_, rest)| rest.is_empty())
    }

    /// What the intake is told in `DD-EVP-ORIGIN`.
    pub(super) fn origin(self) -> Option<&'static str> {
        match self {
            Self::DebuggerLogs | Self::Debugger => Some("agent-debugger"),
            Self::Symbols => Some("agent-symdb"),
            _ => None,
        }
    }

    /// Whether the request says that it came through an agent, in `Via`.
    pub(super) fn says_via(self) -> bool {
        !matches!(self, Self::DebuggerLogs | Self::Debugger | Self::Symbols | Self::Flare)
    }

    /// Whether the request says where it came from, in `X-Forwarded-For` and its like.
    pub(super) fn says_whence(self) -> bool {
        !matches!(self, Self::Telemetry | Self::Evp)
    }

    /// Whether a failure of the intake's is tried again.
    pub(super) fn is_tried_again(self) -> bool {
        self == Self::Profiles
    }

    /// In lines for people.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Telemetry => "telemetry",
            Self::Profiles => "profiles",
            Self::PipelineStats => "data stream statistics",
            Self::Lineage => "lineage events",
            Self::Evp => "events",
            Self::DebuggerLogs | Self::Debugger => "debugger data",
            Self::Symbols => "symbols",
            Self::Flare => "a tracer flare",
            Self::Statsd => "metrics",
        }
    }
}

/// The part of `path` that is passed on, for what has a tree of paths.
pub(super) fn rest(path: &str) -> &str {
    under_root(path).map_or("", |(_, rest)| rest)
}

fn under_root(path: &str) -> Option<(Endpoint, &str)> {
    if let Some(rest) = path.strip_prefix(TELEMETRY) {
        return Some((Endpoint::Telemetry, rest));
    }
    let rest = EVP.iter().find_map(|root| path.strip_prefix(root))?;
    Some((Endpoint::Evp, rest))
}

#[cfg(test)]
mod tests {
    use super::{Endpoint, rest};

    #[test]
    fn paths_lead_to_what_they_are_for() {
        for (path, expect, passed) in [
            ("/telemetry/proxy/", Some(Endpoint::Telemetry), "/"),
            (
                "/telemetry/proxy/api/v2/apmtelemetry",
                Some(Endpoint::Telemetry),
                "/api/v2/apmtelemetry",
            ),
            ("/telemetry/proxyx", None, "x"),
            ("/evp_proxy/v1/a/b", Some(Endpoint::Evp), "/a/b"),
            ("/evp_proxy/v4/", Some(Endpoint::Evp), "/"),
            ("/evp_proxy/v5/", None, ""),
            ("/evp_proxy/v10/", None, "0/"),
            ("/debugger/v2/input", Some(Endpoint::Debugger), ""),
            ("/debugger/v2/input/", None, ""),
            ("/dogstatsd/v1/proxy", Some(Endpoint::Statsd), ""),
            ("/v0.7/config", None, ""),
            ("", None, ""),
        ] {
            assert_eq!((Endpoint::of(path), rest(path)), (expect, passed), "{path}");
        }
        for (path, expect) in [
            ("/telemetry/proxy", true),
            ("/evp_proxy/v2", true),
            ("/evp_proxy/v2/", false),
            ("/evp_proxy", false),
            ("/profiling/v1/input", false),
        ] {
            assert_eq!(Endpoint::lacks_slash(path), expect, "{path}");
        }
    }
}
