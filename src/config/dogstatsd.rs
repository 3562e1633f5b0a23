//! The settings of DogStatsD and of what is made of metrics: what each means, and how they are read together.

use std::path::PathBuf;

use super::Mode;
use super::keys::{self, Key};
use super::logs;
use super::parse::{self, Wrong};
use super::read::Reader;
use super::read_proxy::Statsd;
use crate::dogstatsd::{Profile, Settings};
use crate::limits::DOGSTATSD_MAPPED_NAMES_MAX;
use crate::metrics::{self, Aggregate};
use crate::pipeline;
use crate::platform::{Platform, Tag, is_high_cardinality};
use crate::relay::{self, Compression};

/// The heading and its settings.
pub const GROUP: (&str, &[&Key]) = (
    "Metrics",
    &[
        &NON_LOCAL,
        &SOCKET,
        &STREAM_SOCKET,
        &TAGS,
        &BUFFER_SIZE,
        &RECEIVE_BUFFER,
        &LINE_FEEDS,
        &TIMESTAMPS,
        &NAMESPACE,
        &WITHOUT_NAMESPACE,
        &FILTERLIST,
        &FILTERLIST_PREFIX,
        &BLOCKLIST,
        &BLOCKLIST_PREFIX,
        &PROFILES,
        &MAPPER_CACHE,
        &FORWARD_HOST,
        &FORWARD_PORT,
        &AGGREGATES,
        &PERCENTILES,
        &COPY,
        &COPY_PREFIX,
        &EXPIRY,
        &CONTEXT_EXPIRY,
    ],
);

/// All interfaces.
pub const NON_LOCAL: Key = Key {
    names: &["DD_DOGSTATSD_NON_LOCAL_TRAFFIC"],
    yaml: &["dogstatsd_non_local_traffic"],
    default: "false (true as a sidecar)",
    meaning: "Take metrics on all interfaces, whatever `DD_BIND_HOST` says. For apps in other containers.",
};
/// The unix socket.
pub const SOCKET: Key = Key {
    names: &["DD_DOGSTATSD_SOCKET"],
    yaml: &["dogstatsd_socket"],
    default: "/var/run/datadog/dsd.socket",
    meaning: "A unix socket for metrics, one datagram at a time, which clients find by themselves at the default path. It is made where its folder is \
              there; a socket that another process listens on is left alone.",
};
/// The unix socket for streams.
pub const STREAM_SOCKET: Key = Key {
    names: &["DD_DOGSTATSD_STREAM_SOCKET"],
    yaml: &["dogstatsd_stream_socket"],
    default: "",
    meaning: "A unix socket for metrics in streams, for clients with `unixstream://` in `DD_DOGSTATSD_URL`.",
};
/// Tags of metrics.
pub const TAGS: Key = Key {
    names: &["DD_DOGSTATSD_TAGS"],
    yaml: &["dogstatsd_tags"],
    default: "",
    meaning: "Tags for all metrics, events and service checks, beside those of `DD_TAGS`, between commas or spaces.",
};
/// Bytes of a packet.
pub const BUFFER_SIZE: Key = Key {
    names: &["DD_DOGSTATSD_BUFFER_SIZE"],
    yaml: &["dogstatsd_buffer_size"],
    default: "8192",
    meaning: "Bytes of one datagram or frame, up to 65,536. A longer datagram loses its last line. Raise it if the client's is raised.",
};
/// The kernel's buffer.
pub const RECEIVE_BUFFER: Key = Key {
    names: &["DD_DOGSTATSD_SO_RCVBUF"],
    yaml: &["dogstatsd_so_rcvbuf"],
    default: "0",
    meaning: "Bytes of the kernel's buffer for UDP; 0: 4 MiB, or what the system allows. What has no room in it is counted as lost.",
};
/// Where a last line needs a line feed.
pub const LINE_FEEDS: Key = Key {
    names: &["DD_DOGSTATSD_EOL_REQUIRED"],
    yaml: &["dogstatsd_eol_required"],
    default: "",
    meaning: "`udp`, `uds` or both: there, a last line without a line feed is rejected.",
};
/// Timestamps of clients.
pub const TIMESTAMPS: Key = Key {
    names: &["DD_DOGSTATSD_NO_AGGREGATION_PIPELINE"],
    yaml: &["dogstatsd_no_aggregation_pipeline"],
    default: "true",
    meaning: "`false`: times that clients give are passed over, and such values are put together with the others.",
};
/// The namespace.
pub const NAMESPACE: Key = Key {
    names: &["DD_STATSD_METRIC_NAMESPACE"],
    yaml: &["statsd_metric_namespace"],
    default: "",
    meaning: "Goes before the names of all metrics, with a dot.",
};
/// Names without it.
pub const WITHOUT_NAMESPACE: Key = Key {
    names: &["DD_STATSD_METRIC_NAMESPACE_BLACKLIST"],
    yaml: &["statsd_metric_namespace_blacklist"],
    default: "the agent's 21, such as `jvm` and `runtime`",
    meaning: "But not before names that begin with one of these.",
};
/// Metrics that are dropped.
pub const FILTERLIST: Key = Key {
    names: &["DD_METRIC_FILTERLIST"],
    yaml: &["metric_filterlist"],
    default: "[]",
    meaning: "Metrics that are dropped, by their names as they would be sent: those of a histogram by `name` or one by one, such as `name.avg`.",
};
/// Those are prefixes.
pub const FILTERLIST_PREFIX: Key = Key {
    names: &["DD_METRIC_FILTERLIST_MATCH_PREFIX"],
    yaml: &["metric_filterlist_match_prefix"],
    default: "false",
    meaning: "`true`: the names of the list that counts are what names of metrics begin with.",
};
/// The older list.
pub const BLOCKLIST: Key = Key {
    names: &["DD_STATSD_METRIC_BLOCKLIST"],
    yaml: &["statsd_metric_blocklist"],
    default: "[]",
    meaning: "The older form of `DD_METRIC_FILTERLIST`, which counts where that is empty.",
};
/// Those are prefixes.
pub const BLOCKLIST_PREFIX: Key = Key {
    names: &["DD_STATSD_METRIC_BLOCKLIST_MATCH_PREFIX"],
    yaml: &["statsd_metric_blocklist_match_prefix"],
    default: "false",
    meaning: "The same, where the older list counts.",
};
/// The mapper.
pub const PROFILES: Key = Key {
    names: &["DD_DOGSTATSD_MAPPER_PROFILES"],
    yaml: &["dogstatsd_mapper_profiles"],
    default: "[]",
    meaning: "How names with values in them become names and tags, as the agent's JSON array of profiles: `name`, `prefix` and `mappings` with \
              `match`, `match_type`, `name` and `tags`.",
};
/// What it keeps.
pub const MAPPER_CACHE: Key = Key {
    names: &["DD_DOGSTATSD_MAPPER_CACHE_SIZE"],
    yaml: &["dogstatsd_mapper_cache_size"],
    default: "1000",
    meaning: "Names whose mapping is kept, up to 100,000. Raise it where more of them are in use.",
};
/// Where copies go.
pub const FORWARD_HOST: Key = Key {
    names: &["DD_STATSD_FORWARD_HOST"],
    yaml: &["statsd_forward_host"],
    default: "",
    meaning: "Another DogStatsD or StatsD server that gets a copy of each packet by UDP.",
};
/// The port of that.
pub const FORWARD_PORT: Key = Key {
    names: &["DD_STATSD_FORWARD_PORT"],
    yaml: &["statsd_forward_port"],
    default: "0",
    meaning: "Its port; without one there are no copies.",
};
/// Series of histograms.
pub const AGGREGATES: Key = Key {
    names: &["DD_HISTOGRAM_AGGREGATES"],
    yaml: &["histogram_aggregates"],
    default: "max median avg count",
    meaning: "The metrics that are made of each histogram: some of `max`, `min`, `median`, `avg`, `sum`, `count`.",
};
/// Percentiles of histograms.
pub const PERCENTILES: Key = Key {
    names: &["DD_HISTOGRAM_PERCENTILES"],
    yaml: &["histogram_percentiles"],
    default: "0.95",
    meaning: "And of these percentiles.",
};
/// Copies of histograms.
pub const COPY: Key = Key {
    names: &["DD_HISTOGRAM_COPY_TO_DISTRIBUTION"],
    yaml: &["histogram_copy_to_distribution"],
    default: "false",
    meaning: "Send each histogram as a distribution, too.",
};
/// Their names.
pub const COPY_PREFIX: Key = Key {
    names: &["DD_HISTOGRAM_COPY_TO_DISTRIBUTION_PREFIX"],
    yaml: &["histogram_copy_to_distribution_prefix"],
    default: "",
    meaning: "Goes before the names of those.",
};
/// How long counters are sent as 0.
pub const EXPIRY: Key = Key {
    names: &["DD_DOGSTATSD_EXPIRY_SECONDS"],
    yaml: &["dogstatsd_expiry_seconds"],
    default: "300",
    meaning: "Seconds for which a counter that no longer counts is sent as 0; 0: not at all.",
};
/// How long metrics are remembered.
pub const CONTEXT_EXPIRY: Key = Key {
    names: &["DD_DOGSTATSD_CONTEXT_EXPIRY_SECONDS"],
    yaml: &["dogstatsd_context_expiry_seconds"],
    default: "20",
    meaning: "Seconds for which any other metric is remembered after its last value.",
};

/// Names that may be kept, whatever is asked for: each takes some 600 bytes at most.
const MAPPED_NAMES_MAX: usize = 100_000;

impl Reader<'_> {
    /// Where DogStatsD listens. Whether it does, and on which port, was read for what tracers send by HTTP.
    pub(super) fn dogstatsd(
        &mut self,
        mode: Mode,
        statsd: Statsd,
        intake: &crate::intake::Settings,
    ) -> Settings {
        let named = self.path(&SOCKET);
        let newer = self.texts(&FILTERLIST, parse::list);
        let newer_by_prefix = self.take(&FILTERLIST_PREFIX, false, parse::boolean);
        let older = self.texts(&BLOCKLIST, parse::list);
        let older_by_prefix = self.take(&BLOCKLIST_PREFIX, false, parse::boolean);
        let line_feeds = self.texts(&LINE_FEEDS, parse::list);
        let needs = |listener: &str| line_feeds.iter().any(|other| other == listener);
        let is_everywhere = self.take(&NON_LOCAL, mode == Mode::Sidecar, parse::boolean);
        let hosts =
            if is_everywhere { parse::ALL_INTERFACES.to_vec() } else { intake.hosts.clone() };
        let port = self.take(&FORWARD_PORT, 0, parse::port);
        let host = self.text(&FORWARD_HOST).filter(|_| port != 0);
        let without = self.texts(&WITHOUT_NAMESPACE, parse::list);
        let default = Settings::default();
        Settings {
            is_on: statsd.is_on,
            port: statsd.port,
            hosts,
            is_socket_asked_for: named.is_some(),
            socket: named.or_else(|| Some(PathBuf::from(SOCKET.default))),
            stream_socket: self.path(&STREAM_SOCKET),
            packet_bytes_max: self.take(&BUFFER_SIZE, default.packet_bytes_max, parse::bytes),
            receive_buffer_bytes: self.take(&RECEIVE_BUFFER, 0, parse::bytes),
            needs_line_feed_udp: needs("udp"),
            needs_line_feed_unix: needs("uds"),
            has_timestamps: self.take(&TIMESTAMPS, true, parse::boolean),
            namespace: self.text(&NAMESPACE).unwrap_or_default(),
            without_namespace: if without.is_empty() { default.without_namespace } else { without },
            is_blocked_by_prefix: newer_by_prefix || newer.is_empty() && older_by_prefix,
            blocked: if newer.is_empty() { older } else { newer },
            mapper_profiles: self.take(&PROFILES, Vec::new(), profiles),
            mapper_cached_max: self.take(&MAPPER_CACHE, DOGSTATSD_MAPPED_NAMES_MAX, |text| {
                Ok(parse::count(text)?.min(MAPPED_NAMES_MAX))
            }),
            forward: host.map(|host| (host, port)),
        }
    }

    /// What is made of metrics.
    pub(super) fn metrics(
        &mut self,
        pipeline: &pipeline::Settings,
        platform: &Platform,
        relay: &relay::Settings,
        dogstatsd: &Settings,
    ) -> metrics::Settings {
        let default = metrics::Settings::default();
        let tags = self.metric_tags(pipeline, platform);
        let own = self.texts(&TAGS, parse::list);
        let aggregates = self.optional(&AGGREGATES, aggregates);
        let percentiles = self.optional(&PERCENTILES, percentiles);
        let of_default = |is_percentile: bool| {
            let of = |aggregate: &&Aggregate| {
                matches!(aggregate, Aggregate::Percentile(_)) == is_percentile
            };
            default.histogram.iter().filter(of).copied().collect::<Vec<_>>()
        };
        let mut histogram = aggregates.unwrap_or_else(|| of_default(false));
        histogram.extend(percentiles.unwrap_or_else(|| of_default(true)));
        let is_copied = self.take(&COPY, false, parse::boolean);
        let prefix = self.text(&COPY_PREFIX).unwrap_or_default();
        let seconds =
            |text: &str| text.parse().map_err(|_| "is not a whole number of seconds".to_owned());
        metrics::Settings {
            tags: tags.into_iter().chain(own).collect(),
            category: platform.kind.metric_category(),
            are_series_compressed: relay.metrics.compression != Compression::None,
            histogram,
            copy_to_distribution: is_copied.then_some(prefix),
            blocked: dogstatsd.blocked.clone(),
            is_blocked_by_prefix: dogstatsd.is_blocked_by_prefix,
            counter_expiry_s: self.take(&EXPIRY, default.counter_expiry_s, seconds),
            context_expiry_s: self.take(&CONTEXT_EXPIRY, default.context_expiry_s, seconds),
            ..metrics::Settings::default()
        }
    }
}

impl Reader<'_> {
    /// What every metric says: service, env and version of the app, tags of the platform with few values, those of the user.
    fn metric_tags(&mut self, pipeline: &pipeline::Settings, platform: &Platform) -> Vec<String> {
        let has = |key: &str| pipeline.span_tags.iter().any(|(own, _)| own == key);
        let of_platform = platform.tags.metrics().filter(|tag| !has(&tag.key));
        let of_platform = of_platform.map(|Tag { key, value }| format!("{key}:{value}"));
        let is_few = |key: &str| !is_high_cardinality(key) || platform.tags.get(key).is_none();
        of_platform.chain(self.own_metric_tags(pipeline, is_few)).collect()
    }

    /// What the user says of the app: service, env and version, `DD_TAGS` and `DD_EXTRA_TAGS`, of which those are left out whose key `is_few` does
    /// not want.
    pub(super) fn own_metric_tags(
        &self,
        pipeline: &pipeline::Settings,
        is_few: impl Fn(&str) -> bool,
    ) -> Vec<String> {
        let has = |key: &str| pipeline.span_tags.iter().any(|(own, _)| own == key);
        let base = [
            ("service", self.text(&logs::SERVICE)),
            ("env", Some(pipeline.env.clone()).filter(|env| env != keys::ENV.default)),
            ("version", self.text(&logs::VERSION)),
        ];
        let base = base.into_iter().filter(|(key, _)| !has(key));
        let base = base.filter_map(|(key, value)| Some(format!("{key}:{}", value?.to_lowercase())));
        let tags = pipeline.span_tags.iter().filter(|(key, _)| is_few(key));
        let tags = tags.map(|(key, value)| match value.as_str() {
            "" => key.clone(),
            value => format!("{key}:{value}"),
        });
        base.chain(tags).collect()
    }
}

fn profiles(text: &str) -> Result<Vec<Profile>, Wrong> {
    serde_json::from_str(text).map_err(|error| {
        format!("is not a list of profiles with name, prefix and mappings ({error})")
    })
}

fn aggregates(text: &str) -> Result<Vec<Aggregate>, Wrong> {
    let named = |name: &String| {
        Aggregate::named(name).ok_or_else(|| {
            format!("has {name:?}, which is none of max, min, median, avg, sum, count")
        })
    };
    parse::list(text)?.iter().map(named).collect()
}

fn percentiles(text: &str) -> Result<Vec<Aggregate>, Wrong> {
    let of = |number: &String| {
        Aggregate::percentile(number)
            .ok_or_else(|| format!("has {number:?}, which is not between 0 and 1"))
    };
    parse::list(text)?.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::{Aggregate, Mode};
    use crate::config::{Env, Settings, read};

    fn settings(pairs: &[(&str, &str)], mode: Mode) -> Settings {
        let (settings, problems) = read(&Env::of(pairs), mode);
        assert!(
            problems.iter().all(|problem| !problem.to_string().contains("STATSD")),
            "{problems:?}"
        );
        settings
    }

    #[test]
    fn metrics_say_what_the_app_and_the_platform_are() {
        let own = [
            ("CLOUD_RUN_JOB", "night"),
            ("CLOUD_RUN_TASK_INDEX", "3"),
            ("DD_SERVICE", "Shop"),
            ("DD_ENV", "prod"),
            ("DD_VERSION", "1.2"),
            ("DD_TAGS", "team:a,task_index:mine"),
            ("DD_DOGSTATSD_TAGS", "lane:b"),
        ];
        let metrics = settings(&own, Mode::Wrapper).metrics;
        let all =
            ["service:shop", "env:prod", "version:1.2", "job_name:night", "origin:cloudrunjobs"];
        for tag in all.iter().chain(&["team:a", "task_index:mine", "lane:b"]) {
            assert_eq!(
                metrics.tags.iter().filter(|own| own == tag).count(),
                1,
                "{tag}: {:?}",
                metrics.tags
            );
        }
        assert!(!metrics.tags.iter().any(|tag| tag == "gcrj.task_index:3"), "{:?}", metrics.tags);
        assert_eq!((metrics.category, metrics.are_series_compressed), (36, true));
        let plain = [("DD_SERIALIZER_COMPRESSOR_KIND", "none"), ("WEBSITE_STACK", "PYTHON")];
        let metrics = settings(&plain, Mode::Wrapper).metrics;
        assert_eq!((metrics.category, metrics.are_series_compressed), (35, false));
    }

    #[test]
    fn the_defaults_are_the_agents() {
        let read = settings(&[], Mode::Wrapper);
        let dogstatsd = &read.dogstatsd;
        assert_eq!(
            (dogstatsd.is_on, dogstatsd.port, dogstatsd.packet_bytes_max),
            (true, Some(8125), 8192)
        );
        assert_eq!(dogstatsd.hosts[0], IpAddr::V4(Ipv4Addr::LOCALHOST));
        assert!(dogstatsd.has_timestamps && !dogstatsd.is_socket_asked_for);
        assert_eq!(dogstatsd.without_namespace.len(), 21);
        assert_eq!(read.metrics.histogram, crate::metrics::Settings::default().histogram);
        let dogstatsd = settings(&[], Mode::Sidecar).dogstatsd;
        assert_eq!(dogstatsd.hosts[0], IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    }

    #[test]
    fn every_setting_has_its_place() {
        let read = settings(
            &[
                ("DD_DOGSTATSD_PORT", "9125"),
                ("DD_DOGSTATSD_NON_LOCAL_TRAFFIC", "true"),
                ("DD_DOGSTATSD_SOCKET", "/tmp/dsd"),
                ("DD_DOGSTATSD_STREAM_SOCKET", "/tmp/stream"),
                ("DD_TAGS", "team:web"),
                ("DD_DOGSTATSD_TAGS", "a:b c"),
                ("DD_DOGSTATSD_BUFFER_SIZE", "100"),
                ("DD_DOGSTATSD_EOL_REQUIRED", "udp uds"),
                ("DD_STATSD_METRIC_NAMESPACE", "shop"),
                ("DD_STATSD_METRIC_BLOCKLIST", "x y"),
                ("DD_STATSD_METRIC_BLOCKLIST_MATCH_PREFIX", "true"),
                (
                    "DD_DOGSTATSD_MAPPER_PROFILES",
                    r#"[{"name":"p","prefix":"*","mappings":[{"match":"a.*","name":"b"}]}]"#,
                ),
                ("DD_STATSD_FORWARD_HOST", "statsd.test"),
                ("DD_STATSD_FORWARD_PORT", "8126"),
                ("DD_HISTOGRAM_AGGREGATES", "sum"),
                ("DD_HISTOGRAM_PERCENTILES", r#"["0.5"]"#),
                ("DD_HISTOGRAM_COPY_TO_DISTRIBUTION", "true"),
            ],
            Mode::Wrapper,
        );
        let dogstatsd = read.dogstatsd;
        assert_eq!((dogstatsd.port, dogstatsd.packet_bytes_max), (Some(9125), 100));
        assert_eq!(dogstatsd.hosts[0], IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        assert_eq!(dogstatsd.socket.unwrap().to_str(), Some("/tmp/dsd"));
        assert_eq!(dogstatsd.stream_socket.unwrap().to_str(), Some("/tmp/stream"));
        assert!(
            dogstatsd.is_socket_asked_for
                && dogstatsd.needs_line_feed_udp
                && dogstatsd.needs_line_feed_unix
        );
        assert_eq!(
            (dogstatsd.namespace.as_str(), dogstatsd.blocked, dogstatsd.is_blocked_by_prefix),
            ("shop", vec!["x".to_owned(), "y".to_owned()], true)
        );
        assert_eq!(dogstatsd.mapper_profiles[0].mappings[0].pattern, "a.*");
        assert_eq!(dogstatsd.forward, Some(("statsd.test".to_owned(), 8126)));
        assert_eq!(read.metrics.tags, ["local:true", "team:web", "a:b", "c"]);
        assert_eq!(read.metrics.histogram, [Aggregate::Sum, Aggregate::Percentile(50)]);
        assert_eq!(read.metrics.copy_to_distribution.as_deref(), Some(""));
    }

    #[test]
    fn a_newer_list_counts_before_the_older_and_off_is_off() {
        let read = settings(
            &[("DD_METRIC_FILTERLIST", "n"), ("DD_STATSD_METRIC_BLOCKLIST", "o")],
            Mode::Wrapper,
        );
        assert_eq!(read.dogstatsd.blocked, ["n"]);
        assert_eq!(read.metrics.blocked, ["n"]);
        assert!(!settings(&[("DD_USE_DOGSTATSD", "false")], Mode::Wrapper).dogstatsd.is_on);
    }

    #[test]
    fn without_a_port_there_are_the_unix_sockets_and_a_port_may_be_any() {
        for (text, expect) in [("0", None), ("__random__", Some(0)), ("9125", Some(9125))] {
            let read = settings(&[("DD_DOGSTATSD_PORT", text)], Mode::Wrapper);
            assert_eq!((read.dogstatsd.is_on, read.dogstatsd.port), (true, expect), "{text}");
            assert!(read.dogstatsd.socket.is_some());
            assert_eq!(read.proxy.statsd.map(|address| address.port()), expect, "{text}");
        }
    }

    #[test]
    fn counters_need_not_be_sent_as_zeros() {
        let read = settings(&[("DD_DOGSTATSD_EXPIRY_SECONDS", "0")], Mode::Wrapper);
        assert_eq!(read.metrics.counter_expiry_s, 0);
    }
}
