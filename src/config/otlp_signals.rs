//! The settings of OTLP metrics and logs: what each means, and how they are read together.

use super::keys::Key;
use super::parse::{self, Wrong};
use super::read::Reader;
use crate::logs;
use crate::otlp::logs::Settings as Logs;
use crate::otlp::metrics::{FirstTotal, Histograms, Settings as Metrics};

/// Whether metrics are taken.
pub(super) const METRICS: Key = Key {
    names: &["DD_OTLP_CONFIG_METRICS_ENABLED"],
    yaml: &["otlp_config.metrics.enabled"],
    default: "true",
    meaning: "`false`: no OTLP metrics.",
};
/// Whether logs are taken.
pub(super) const LOGS: Key = Key {
    names: &["DD_OTLP_CONFIG_LOGS_ENABLED"],
    yaml: &["otlp_config.logs.enabled"],
    default: "false",
    meaning: "`true`: takes OTLP logs, too. They cost what other logs cost.",
};
/// All attributes of resources are tags.
pub(super) const RESOURCE_AS_TAGS: Key = Key {
    names: &["DD_OTLP_CONFIG_METRICS_RESOURCE_ATTRIBUTES_AS_TAGS"],
    yaml: &["otlp_config.metrics.resource_attributes_as_tags"],
    default: "false",
    meaning: "`true`: every attribute of a resource is a tag of its metrics, and not only those that Datadog has a name for, such as `service.name`.",
};
/// The library is a tag.
pub(super) const SCOPE_AS_TAGS: Key = Key {
    names: &["DD_OTLP_CONFIG_METRICS_INSTRUMENTATION_SCOPE_METADATA_AS_TAGS"],
    yaml: &["otlp_config.metrics.instrumentation_scope_metadata_as_tags"],
    default: "true",
    meaning: "`false`: the library that measures is no tag of OTLP metrics.",
};
/// How long totals are remembered.
pub(super) const DELTA_TTL: Key = Key {
    names: &["DD_OTLP_CONFIG_METRICS_DELTA_TTL"],
    yaml: &["otlp_config.metrics.delta_ttl"],
    default: "3600",
    meaning: "Seconds for which the last total of an OTLP metric is remembered; the next one is sent as the difference.",
};
/// What becomes of histograms.
pub(super) const HISTOGRAMS: Key = Key {
    names: &["DD_OTLP_CONFIG_METRICS_HISTOGRAMS_MODE"],
    yaml: &["otlp_config.metrics.histograms.mode"],
    default: "distributions",
    meaning: "What becomes of OTLP histograms: `distributions`, `counters` (a count for each bucket) or, with the next setting, `nobuckets`.",
};
/// Aggregations of histograms.
pub(super) const AGGREGATIONS: Key = Key {
    names: &[
        "DD_OTLP_CONFIG_METRICS_HISTOGRAMS_SEND_AGGREGATION_METRICS",
        "DD_OTLP_CONFIG_METRICS_HISTOGRAMS_SEND_COUNT_SUM_METRICS",
    ],
    yaml: &[
        "otlp_config.metrics.histograms.send_aggregation_metrics",
        "otlp_config.metrics.histograms.send_count_sum_metrics",
    ],
    default: "false",
    meaning: "`true`: OTLP histograms are also sent as `<name>.count` and `<name>.sum`, and where they are deltas as `.min` and `.max`.",
};
/// What becomes of totals that only grow.
pub(super) const TOTALS: Key = Key {
    names: &["DD_OTLP_CONFIG_METRICS_SUMS_CUMULATIVE_MONOTONIC_MODE"],
    yaml: &["otlp_config.metrics.sums.cumulative_monotonic_mode"],
    default: "to_delta",
    meaning: "`raw_value`: OTLP counters that come as totals are sent as they are, as gauges.",
};
/// What becomes of the first total.
pub(super) const FIRST: Key = Key {
    names: &["DD_OTLP_CONFIG_METRICS_SUMS_INITIAL_CUMULATIVE_MONOTONIC_VALUE"],
    yaml: &["otlp_config.metrics.sums.initial_cumulative_monotonic_value"],
    default: "auto",
    meaning: "Whether the first total of an OTLP counter is sent: `auto` where it began after we did, `keep` always, `drop` never.",
};
/// What becomes of summaries.
pub(super) const SUMMARIES: Key = Key {
    names: &["DD_OTLP_CONFIG_METRICS_SUMMARIES_MODE"],
    yaml: &["otlp_config.metrics.summaries.mode"],
    default: "gauges",
    meaning: "`noquantiles`: of OTLP summaries only count and sum are sent.",
};
/// Further tags.
pub(super) const TAGS: Key = Key {
    names: &["DD_OTLP_CONFIG_METRICS_TAGS"],
    yaml: &["otlp_config.metrics.tags"],
    default: "",
    meaning: "Tags for all OTLP metrics, beside those of `DD_TAGS`, between commas.",
};

impl Reader<'_> {
    /// The settings of OTLP metrics.
    pub(super) fn otlp_metrics(&mut self) -> Metrics {
        let default = Metrics::default();
        let histograms = |text: &str| {
            word(
                text,
                &[
                    ("distributions", Histograms::Distributions),
                    ("counters", Histograms::Counters),
                    ("nobuckets", Histograms::NoBuckets),
                ],
            )
        };
        let first = |text: &str| {
            word(
                text,
                &[
                    ("auto", FirstTotal::Auto),
                    ("keep", FirstTotal::Keep),
                    ("drop", FirstTotal::Drop),
                ],
            )
        };
        let aggregations = self.take(&AGGREGATIONS, default.aggregations, parse::boolean);
        Metrics {
            is_enabled: self.take(&METRICS, default.is_enabled, parse::boolean),
            resource_as_tags: self.take(&RESOURCE_AS_TAGS, false, parse::boolean),
            scope_as_tags: self.take(&SCOPE_AS_TAGS, true, parse::boolean),
            delta_ttl_s: self
                .take(&DELTA_TTL, default.delta_ttl_s, |text| Ok(parse::count(text)? as u64)),
            histograms: self.take(&HISTOGRAMS, default.histograms, |text| {
                match histograms(text)? {
                    Histograms::NoBuckets if !aggregations => {
                        Err("leaves nothing of histograms unless their aggregations are sent"
                            .to_owned())
                    }
                    mode => Ok(mode),
                }
            }),
            aggregations,
            totals_to_deltas: self.take(&TOTALS, true, |text| {
                word(text, &[("to_delta", true), ("raw_value", false)])
            }),
            first_total: self.take(&FIRST, default.first_total, first),
            quantiles: self.take(&SUMMARIES, true, |text| {
                word(text, &[("gauges", true), ("noquantiles", false)])
            }),
            tags: self.take(&TAGS, Vec::new(), parse::list),
        }
    }

    /// The settings of OTLP logs, which leave as those of the app's output do.
    pub(super) fn otlp_logs(&mut self, logs: &logs::Settings) -> Logs {
        Logs {
            is_enabled: self.take(&LOGS, false, parse::boolean),
            limits: logs.batch,
            attributes: logs.attributes.clone(),
        }
    }
}

fn word<T: Copy>(text: &str, words: &[(&str, T)]) -> Result<T, Wrong> {
    let found = words.iter().find(|(word, _)| text.eq_ignore_ascii_case(word));
    found.map(|(_, meaning)| *meaning).ok_or_else(|| {
        let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        format!("is none of {}", words.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Env, Mode, read};
    use super::{FirstTotal, Histograms, Metrics};

    fn settings(pairs: &[(&str, &str)]) -> (crate::otlp::Settings, Vec<String>) {
        let (settings, problems) = read(&Env::of(pairs), Mode::Wrapper);
        (settings.otlp, problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn metrics_are_taken_and_logs_where_they_are_asked_for() {
        let (own, problems) = settings(&[]);
        assert!(problems.is_empty() && !own.logs.is_enabled, "{problems:?}");
        assert_eq!(own.metrics, Metrics::default());
        let (own, _) = settings(&[
            ("DD_OTLP_CONFIG_LOGS_ENABLED", "true"),
            ("DD_LOGS_CONFIG_BATCH_MAX_SIZE", "7"),
            ("DD_SERVICE", "shop"),
        ]);
        assert!(own.logs.is_enabled);
        assert_eq!(
            (own.logs.limits.messages_max, own.logs.attributes.service.as_str()),
            (7, "shop")
        );
    }

    #[test]
    fn every_setting_is_read() {
        let name = |rest: &str| format!("DD_OTLP_CONFIG_METRICS_{rest}");
        let pairs = [
            ("ENABLED", "false"),
            ("RESOURCE_ATTRIBUTES_AS_TAGS", "true"),
            ("INSTRUMENTATION_SCOPE_METADATA_AS_TAGS", "false"),
            ("DELTA_TTL", "60"),
            ("HISTOGRAMS_MODE", "nobuckets"),
            ("HISTOGRAMS_SEND_COUNT_SUM_METRICS", "true"),
            ("SUMS_CUMULATIVE_MONOTONIC_MODE", "raw_value"),
            ("SUMS_INITIAL_CUMULATIVE_MONOTONIC_VALUE", "keep"),
            ("SUMMARIES_MODE", "noquantiles"),
            ("TAGS", "a:b,c"),
        ]
        .map(|(rest, value)| (name(rest), value));
        let pairs: Vec<(&str, &str)> =
            pairs.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        let (own, problems) = settings(&pairs);
        assert!(problems.is_empty(), "{problems:?}");
        let expect = Metrics {
            is_enabled: false,
            resource_as_tags: true,
            scope_as_tags: false,
            delta_ttl_s: 60,
            histograms: Histograms::NoBuckets,
            aggregations: true,
            totals_to_deltas: false,
            first_total: FirstTotal::Keep,
            quantiles: false,
            tags: vec!["a:b".to_owned(), "c".to_owned()],
        };
        assert_eq!(own.metrics, expect);
    }

    #[test]
    fn what_is_wrong_is_said_and_changes_nothing() {
        for (rest, value) in [
            ("HISTOGRAMS_MODE", "heatmaps"),
            ("HISTOGRAMS_MODE", "nobuckets"),
            ("SUMS_CUMULATIVE_MONOTONIC_MODE", "x"),
            ("SUMS_INITIAL_CUMULATIVE_MONOTONIC_VALUE", "x"),
            ("SUMMARIES_MODE", "x"),
            ("DELTA_TTL", "soon"),
        ] {
            let name = format!("DD_OTLP_CONFIG_METRICS_{rest}");
            let (own, problems) = settings(&[(&name, value)]);
            assert!(problems.len() == 1 && problems[0].contains(&name), "{problems:?}");
            assert_eq!(own.metrics, Metrics::default(), "{rest}");
        }
    }
}
