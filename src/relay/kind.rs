//! The kinds of payloads: what each one is, where it goes, and by which rules.

use crate::ledger::Counts;

/// Which endpoint of an intake a payload is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A protobuf `AgentPayload` for `/api/v0.2/traces`.
    Traces,
    /// A msgpack `StatsPayload` for `/api/v0.2/stats`.
    Stats,
    /// A JSON array of log entries for `/api/v2/logs`.
    Logs,
    /// A protobuf `MetricPayload` for `/api/v2/series`.
    Series,
    /// A protobuf `SketchPayload` for `/api/beta/sketches`.
    Sketches,
    /// A JSON array of service checks for `/api/v1/check_run`.
    Checks,
    /// A JSON object with events for `/intake/`.
    Events,
}

/// The kinds that go to one intake: each family has an address, a key and further destinations of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Traces and their stats.
    Traces,
    /// Series, sketches, service checks and events.
    Metrics,
    /// Logs.
    Logs,
}

impl Family {
    /// All families, in the order of their numbers (`as usize`).
    pub(super) const ALL: [Self; 3] = [Self::Traces, Self::Metrics, Self::Logs];

    /// How much of the queues' room is its part, beside the weights of others: an app that writes a lot of logs must not cost its traces.
    pub(super) fn weight(self) -> usize {
        match self {
            Self::Traces => 2,
            Self::Metrics | Self::Logs => 1,
        }
    }

    /// What of `counts` is of this family.
    pub(super) fn of(self, counts: Counts) -> Counts {
        let Counts { spans, chunks, stats_groups, log_lines, samples, points, checks, events } =
            counts;
        match self {
            Self::Traces => Counts { spans, chunks, stats_groups, ..Counts::default() },
            Self::Metrics => Counts { samples, points, checks, events, ..Counts::default() },
            Self::Logs => Counts { log_lines, ..Counts::default() },
        }
    }

    /// The settings that say where its intake is.
    pub(super) fn place(self) -> &'static str {
        match self {
            Self::Traces => "DD_APM_DD_URL and DD_SITE",
            Self::Metrics => "DD_DD_URL and DD_SITE",
            Self::Logs => "DD_LOGS_CONFIG_LOGS_DD_URL and DD_SITE",
        }
    }

    /// Those that say with which key, and for which site.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Traces | Self::Metrics => "DD_API_KEY and DD_SITE",
            Self::Logs => "DD_API_KEY, DD_LOGS_CONFIG_API_KEY and DD_SITE",
        }
    }

    /// The setting of its further destinations.
    pub(super) fn further(self) -> &'static str {
        match self {
            Self::Traces => "DD_APM_ADDITIONAL_ENDPOINTS",
            Self::Metrics => "DD_ADDITIONAL_ENDPOINTS",
            Self::Logs => "DD_LOGS_CONFIG_ADDITIONAL_ENDPOINTS",
        }
    }
}

/// How a body may be cut between its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// It can't be.
    Never,
    /// Parts are fields of a protobuf message: what stands between them belongs to every piece.
    Fields,
    /// Parts are members of one JSON array or object: what stands between them are the commas, which go with them.
    Members,
}

/// What the relay has to know of a kind.
pub(super) struct Traits {
    pub(super) family: Family,
    /// The path below the address of the intake.
    pub(super) path: &'static str,
    pub(super) content_type: &'static str,
    pub(super) cut: Cut,
    /// Bytes of a body that the intake takes, compressed and as it was before. A larger one is cut before it is sent.
    pub(super) compressed_max: usize,
    pub(super) raw_max: usize,
}

impl Kind {
    /// All kinds, in the order of their numbers (`as usize`).
    pub const ALL: [Self; 7] = [
        Self::Traces,
        Self::Stats,
        Self::Logs,
        Self::Series,
        Self::Sketches,
        Self::Checks,
        Self::Events,
    ];

    /// The family it belongs to.
    pub fn family(self) -> Family {
        self.traits().family
    }

    /// Its row in the table of kinds. Paths and forms are those of the agent. Limits are the agent's own where it has them
    /// (`serializer_max_*`), else those of the public API.
    pub(super) fn traits(self) -> &'static Traits {
        const PROTOBUF: &str = "application/x-protobuf";
        const JSON: &str = "application/json";
        /// What the agent keeps to for all metrics but series.
        const METRICS: Traits = Traits {
            family: Family::Metrics,
            path: "",
            content_type: JSON,
            cut: Cut::Members,
            compressed_max: 2_621_440,
            raw_max: 4_194_304,
        };
        const TABLE: [Traits; Kind::ALL.len()] = [
            Traits {
                family: Family::Traces,
                path: "/api/v0.2/traces",
                content_type: PROTOBUF,
                cut: Cut::Fields,
                compressed_max: usize::MAX,
                raw_max: usize::MAX,
            },
            Traits {
                family: Family::Traces,
                path: "/api/v0.2/stats",
                content_type: "application/msgpack",
                cut: Cut::Never,
                compressed_max: usize::MAX,
                raw_max: usize::MAX,
            },
            Traits {
                family: Family::Logs,
                path: "/api/v2/logs",
                content_type: JSON,
                cut: Cut::Members,
                compressed_max: usize::MAX,
                raw_max: 5_242_880,
            },
            Traits {
                path: "/api/v2/series",
                content_type: PROTOBUF,
                cut: Cut::Fields,
                compressed_max: 512_000,
                raw_max: 5_242_880,
                ..METRICS
            },
            Traits {
                path: "/api/beta/sketches",
                content_type: PROTOBUF,
                cut: Cut::Fields,
                ..METRICS
            },
            Traits { path: "/api/v1/check_run", ..METRICS },
            Traits { path: "/intake/", ..METRICS },
        ];
        &TABLE[self as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::Kind;

    #[test]
    fn kinds_are_numbered_in_the_order_of_the_table() {
        let paths = [
            (Kind::Traces, "/api/v0.2/traces"),
            (Kind::Stats, "/api/v0.2/stats"),
            (Kind::Logs, "/api/v2/logs"),
            (Kind::Series, "/api/v2/series"),
            (Kind::Sketches, "/api/beta/sketches"),
            (Kind::Checks, "/api/v1/check_run"),
            (Kind::Events, "/intake/"),
        ];
        for (at, (kind, path)) in paths.into_iter().enumerate() {
            assert_eq!((kind as usize, Kind::ALL[at], kind.traits().path), (at, kind, path));
        }
    }
}
