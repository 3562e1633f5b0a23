//! Paths: what each one is for, and which ones are not clean.

use std::borrow::Cow;

use crate::proxy::Endpoint;
use crate::trace::decode::ApiVersion;

/// The form of a traces answer that goes with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// `OK` and a line feed, for the oldest versions.
    Ok,
    /// The rates as JSON.
    Rates,
}

/// What a path is for. Methods are not looked at, as the agent does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// Traces.
    Traces(ApiVersion),
    /// The old list of services: read, dropped, and answered `OK`.
    Services {
        /// Msgpack is refused.
        json_only: bool,
    },
    /// Stats that a tracer computed itself.
    Stats,
    /// What we are and can do.
    Info,
    /// Passed on to Datadog as it is.
    Passed(Endpoint),
    /// Everything else. `/v0.7/config` is among it: to a tracer that asks for remote configuration a 404 says that there is none, and none of
    /// them complains (spec: ecosystem 2.3).
    Unknown,
}

/// The endpoints of `/info`: what works, in the agent's order.
pub(super) const LISTED: [&str; 23] = [
    "/v0.3/traces",
    "/v0.3/services",
    "/v0.4/traces",
    "/v0.4/services",
    "/v0.5/traces",
    "/profiling/v1/input",
    "/telemetry/proxy/",
    "/v0.7/traces",
    "/v1.0/traces",
    "/v0.6/stats",
    "/v0.1/pipeline_stats",
    "/openlineage/api/v1/lineage",
    "/evp_proxy/v1/",
    "/evp_proxy/v2/",
    "/evp_proxy/v3/",
    "/evp_proxy/v4/",
    "/debugger/v1/input",
    "/debugger/v1/diagnostics",
    "/debugger/v2/input",
    "/symdb/v1/input",
    "/dogstatsd/v1/proxy",
    "/dogstatsd/v2/proxy",
    "/tracer_flare/v1",
];

/// What `path` is for.
pub(super) fn of(path: &str) -> Route {
    match path {
        "/v0.4/traces" => Route::Traces(ApiVersion::V04),
        "/v0.5/traces" => Route::Traces(ApiVersion::V05),
        "/v0.3/traces" => Route::Traces(ApiVersion::V03),
        "/v0.2/traces" => Route::Traces(ApiVersion::V02),
        "/spans" | "/v0.1/spans" => Route::Traces(ApiVersion::V01),
        "/v0.7/traces" => Route::Traces(ApiVersion::V07),
        "/v1.0/traces" => Route::Traces(ApiVersion::V10),
        "/v0.6/stats" => Route::Stats,
        "/info" => Route::Info,
        "/v0.3/services" | "/v0.4/services" => Route::Services { json_only: false },
        "/services" | "/v0.1/services" | "/v0.2/services" => Route::Services { json_only: true },
        _ => Endpoint::of(path).map_or(Route::Unknown, Route::Passed),
    }
}

/// The answer that goes with the version in a traces path.
pub(super) fn reply(version: ApiVersion) -> Reply {
    match version {
        ApiVersion::V01 | ApiVersion::V02 | ApiVersion::V03 => Reply::Ok,
        ApiVersion::V04 | ApiVersion::V05 | ApiVersion::V07 | ApiVersion::V10 => Reply::Rates,
    }
}

/// `path` without empty, `.` and `..` segments, as Go's router cleans it before it looks; a slash at the end stays, and the root of a tree of
/// paths gets one. Borrowed where the path was clean already.
pub(super) fn clean(path: &str) -> Cow<'_, str> {
    let cleaned = without_dots(path);
    if Endpoint::lacks_slash(&cleaned) { Cow::Owned(cleaned.into_owned() + "/") } else { cleaned }
}

fn without_dots(path: &str) -> Cow<'_, str> {
    if path.starts_with('/') && !path.contains("//") && !path.contains("/.") {
        return Cow::Borrowed(path);
    }
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            _ => kept.push(segment),
        }
    }
    let mut cleaned = String::with_capacity(path.len() + 1);
    for segment in &kept {
        cleaned.push('/');
        cleaned.push_str(segment);
    }
    if cleaned.is_empty() || path.ends_with('/') {
        cleaned.push('/');
    }
    if cleaned == path { Cow::Borrowed(path) } else { Cow::Owned(cleaned) }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::{ApiVersion, LISTED, Reply, Route, clean, of, reply};

    #[test]
    fn everything_that_is_listed_is_routed() {
        for path in LISTED {
            assert_ne!(of(path), Route::Unknown, "{path}");
        }
    }

    #[test]
    fn what_does_not_work_yet_is_unknown() {
        for path in [
            "/",
            "/v0.7/config",
            "/v0.8/traces",
            "/info/",
            "/v0.4/traces/",
            "/evp_proxy/v5/x",
            "*",
            "",
        ] {
            assert_eq!(of(path), Route::Unknown, "{path}");
        }
    }

    #[test]
    fn only_versions_from_four_on_are_answered_with_rates() {
        for version in [ApiVersion::V01, ApiVersion::V02, ApiVersion::V03] {
            assert_eq!(reply(version), Reply::Ok);
        }
        for version in [ApiVersion::V04, ApiVersion::V05, ApiVersion::V07, ApiVersion::V10] {
            assert_eq!(reply(version), Reply::Rates);
        }
    }

    #[test]
    fn paths_are_cleaned_as_go_cleans_them() {
        let check = |path: &str, expect: &str| assert_eq!(clean(path), expect, "{path}");
        check("//v0.4/traces", "/v0.4/traces");
        check("/v0.4/../info", "/info");
        check("/v0.4/./traces", "/v0.4/traces");
        check("/../../info", "/info");
        check("/evp_proxy/v2/api/../x", "/evp_proxy/v2/x");
        check("/info/", "/info/");
        check("/info//", "/info/");
        check("/evp_proxy/v2", "/evp_proxy/v2/");
        check("/x//../telemetry/proxy", "/telemetry/proxy/");
        check("/a/..", "/");
        check("//", "/");
        check("", "/");
        check("*", "/*");
        for path in ["/", "/info", "/info/", "/a/b.c/..d", "/v0.4/traces"] {
            assert!(matches!(clean(path), Cow::Borrowed(same) if same == path), "{path}");
        }
    }
}
