//! The settings of OTLP: what each variable means, and how they are read together.

use std::collections::BTreeMap;

use super::keys::Key;
use super::otlp_signals;
use super::parse::{self, Wrong};
use super::read::Reader;
use crate::intake;
use crate::limits::{BODIES_IN_FLIGHT_BYTES_MAX, BODY_BYTES_MAX};
use crate::logs;
use crate::otlp::{Cors, Endpoint, Settings};
use crate::pipeline;
use crate::trace::decode::otlp::Rules;

/// Where HTTP listens.
pub(super) const HTTP: Key = Key {
    names: &["DD_OTLP_CONFIG_RECEIVER_PROTOCOLS_HTTP_ENDPOINT"],
    yaml: &["otlp_config.receiver.protocols.http.endpoint"],
    default: "",
    meaning: "`localhost:4318` takes OTLP over HTTP there (`0.0.0.0:4318` from other containers too). Not set: nothing listens for it.",
};
/// Where gRPC listens.
pub(super) const GRPC: Key = Key {
    names: &["DD_OTLP_CONFIG_RECEIVER_PROTOCOLS_GRPC_ENDPOINT"],
    yaml: &["otlp_config.receiver.protocols.grpc.endpoint"],
    default: "",
    meaning: "`localhost:4317` takes OTLP over gRPC there. Not set: nothing listens for it.",
};
/// Whether traces are taken.
pub(super) const TRACES: Key = Key {
    names: &["DD_OTLP_CONFIG_TRACES_ENABLED"],
    yaml: &["otlp_config.traces.enabled"],
    default: "true",
    meaning: "`false`: no OTLP traces. Where metrics and logs are not taken either, neither of the two listens.",
};
/// The share of traces that is kept.
pub(super) const PERCENTAGE: Key = Key {
    names: &["DD_OTLP_CONFIG_TRACES_PROBABILISTIC_SAMPLER_SAMPLING_PERCENTAGE"],
    yaml: &["otlp_config.traces.probabilistic_sampler.sampling_percentage"],
    default: "100",
    meaning: "How many of a hundred OTLP traces are kept, by their ids, where the app has not decided with `sampling.priority`; 0 is all, too.",
};
/// Operations are named after spans.
pub(super) const NAME_AS_RESOURCE: Key = Key {
    names: &["DD_OTLP_CONFIG_TRACES_SPAN_NAME_AS_RESOURCE_NAME"],
    yaml: &["otlp_config.traces.span_name_as_resource_name"],
    default: "false",
    meaning: "`true`: an OTLP span's own name is its operation. For dashboards that were made so; with it the older naming rules hold.",
};
/// Operations get other names.
pub(super) const REMAPPINGS: Key = Key {
    names: &["DD_OTLP_CONFIG_TRACES_SPAN_NAME_REMAPPINGS"],
    yaml: &["otlp_config.traces.span_name_remappings"],
    default: "{}",
    meaning: "Other names for operations of OTLP spans, as a JSON object `{\"library.server\": \"web.request\"}`; with it the older naming rules hold.",
};
/// Bytes of a body over HTTP.
pub(super) const HTTP_BYTES: Key = Key {
    names: &["DD_OTLP_CONFIG_RECEIVER_PROTOCOLS_HTTP_MAX_REQUEST_BODY_SIZE"],
    yaml: &["otlp_config.receiver.protocols.http.max_request_body_size"],
    default: "25MiB",
    meaning: "Bytes of one OTLP request over HTTP, as it comes and unpacked; a larger one is refused with 413. 0 means the default.",
};
/// Bytes of a message over gRPC.
pub(super) const GRPC_MEBIBYTES: Key = Key {
    names: &["DD_OTLP_CONFIG_RECEIVER_PROTOCOLS_GRPC_MAX_RECV_MSG_SIZE_MIB"],
    yaml: &["otlp_config.receiver.protocols.grpc.max_recv_msg_size_mib"],
    default: "4",
    meaning: "MiB of one OTLP message over gRPC, as it comes and unpacked, up to 49. 0 means the default.",
};
/// Requests at once over gRPC.
pub(super) const GRPC_STREAMS: Key = Key {
    names: &["DD_OTLP_CONFIG_RECEIVER_PROTOCOLS_GRPC_MAX_CONCURRENT_STREAMS"],
    yaml: &["otlp_config.receiver.protocols.grpc.max_concurrent_streams"],
    default: "8",
    meaning: "Calls at once on one connection of gRPC, up to 100; further ones wait in the client. 0 means the default.",
};
/// Pages that may send.
pub(super) const CORS_ORIGINS: Key = Key {
    names: &["DD_OTLP_CONFIG_RECEIVER_PROTOCOLS_HTTP_CORS_ALLOWED_ORIGINS"],
    yaml: &["otlp_config.receiver.protocols.http.cors.allowed_origins"],
    default: "[]",
    meaning: "Web pages that may send OTLP from a browser: origins such as `https://*.example.com`, as a JSON array or between commas.",
};
/// Headers that pages may send.
pub(super) const CORS_HEADERS: Key = Key {
    names: &["DD_OTLP_CONFIG_RECEIVER_PROTOCOLS_HTTP_CORS_ALLOWED_HEADERS"],
    yaml: &["otlp_config.receiver.protocols.http.cors.allowed_headers"],
    default: "[]",
    meaning: "Request headers that such pages may send beside the usual ones.",
};

/// All of them, in the order of the README.
pub(super) const ALL: &[&Key] = &[
    &HTTP,
    &GRPC,
    &TRACES,
    &PERCENTAGE,
    &NAME_AS_RESOURCE,
    &REMAPPINGS,
    &HTTP_BYTES,
    &GRPC_MEBIBYTES,
    &GRPC_STREAMS,
    &CORS_ORIGINS,
    &CORS_HEADERS,
    &otlp_signals::METRICS,
    &otlp_signals::RESOURCE_AS_TAGS,
    &otlp_signals::SCOPE_AS_TAGS,
    &otlp_signals::DELTA_TTL,
    &otlp_signals::HISTOGRAMS,
    &otlp_signals::AGGREGATIONS,
    &otlp_signals::TOTALS,
    &otlp_signals::FIRST,
    &otlp_signals::SUMMARIES,
    &otlp_signals::TAGS,
    &otlp_signals::LOGS,
];

/// The collector's default, and the most for which the door has room.
const GRPC_MEBIBYTES_DEFAULT: usize = 4;
const GRPC_MEBIBYTES_MAX: usize = 49;

const STREAMS_DEFAULT: u32 = 8;
const STREAMS_MAX: u32 = 100;

const MEBIBYTE: usize = 1 << 20;
const _: () = assert!(GRPC_MEBIBYTES_MAX * MEBIBYTE < BODIES_IN_FLIGHT_BYTES_MAX);

impl Reader<'_> {
    /// The settings of OTLP. `has_traces`: traces are taken at all.
    pub(super) fn otlp(
        &mut self,
        has_traces: bool,
        logs: &logs::Settings,
        intake: &intake::Settings,
        features: &[String],
        pipeline: &pipeline::Settings,
    ) -> Settings {
        let has = |feature: &str| features.iter().any(|own| own == feature);
        let are_traces_taken = self.take(&TRACES, true, parse::boolean) && has_traces;
        let (metrics, logs) = (self.otlp_metrics(), self.otlp_logs(logs));
        let is_on = are_traces_taken || metrics.is_enabled || logs.is_enabled;
        let [http, grpc] = [&HTTP, &GRPC].map(|key| self.optional(key, endpoint).filter(|_| is_on));
        Settings {
            http,
            grpc,
            http_body_bytes_max: self.take(&HTTP_BYTES, BODY_BYTES_MAX, |text| match text {
                "0" => Ok(BODY_BYTES_MAX),
                _ => parse::body_bytes(text),
            }),
            grpc_message_bytes_max: MEBIBYTE
                * self.take(&GRPC_MEBIBYTES, GRPC_MEBIBYTES_DEFAULT, |text| {
                    number(text, GRPC_MEBIBYTES_DEFAULT, GRPC_MEBIBYTES_MAX)
                }),
            grpc_requests_max: self.take(&GRPC_STREAMS, STREAMS_DEFAULT, |text| {
                number(text, STREAMS_DEFAULT, STREAMS_MAX)
            }),
            cors: Cors {
                origins: self.take(&CORS_ORIGINS, Vec::new(), parse::list),
                headers: self.take(&CORS_HEADERS, Vec::new(), parse::list),
            },
            receive_timeout: intake.receive_timeout,
            connections_max: intake.connections_max,
            are_traces_taken,
            metrics,
            logs,
            traces: Rules {
                sampling_percentage: self.take(&PERCENTAGE, 100.0, percentage),
                span_name_as_resource_name: self.take(&NAME_AS_RESOURCE, false, parse::boolean),
                span_name_remappings: self.take(&REMAPPINGS, BTreeMap::new(), remappings),
                older_names: has("disable_operation_and_resource_name_logic_v2"),
                top_level_by_kind: has("enable_otlp_compute_top_level_by_span_kind"),
                older_scope_names_only: has("disable_otel_scope_convention"),
                decided_later: pipeline.sampling.probabilistic.is_some(),
            },
        }
    }
}

/// `host:port`, the host as for [`parse::bind_host`], or left out for all interfaces; a scheme in front is ignored.
fn endpoint(text: &str) -> Result<Endpoint, Wrong> {
    let wrong = || "is not an address to listen on such as localhost:4318".to_owned();
    let bare = text.split_once("://").map_or(text, |(_, rest)| rest).trim_end_matches('/');
    let (host, port) = bare.rsplit_once(':').ok_or_else(wrong)?;
    let hosts = if host.is_empty() {
        parse::ALL_INTERFACES.to_vec()
    } else {
        parse::bind_host(host).map_err(|_| wrong())?
    };
    let port = parse::port(port).ok().filter(|port| *port > 0).ok_or_else(wrong)?;
    Ok(Endpoint { hosts, port })
}

fn number<T>(text: &str, default: T, most: T) -> Result<T, Wrong>
where
    T: std::str::FromStr + PartialOrd + From<u8> + std::fmt::Display,
{
    match text.parse::<T>() {
        Ok(number) if number == T::from(0) => Ok(default),
        Ok(number) if number <= most => Ok(number),
        _ => Err(format!("is not a whole number up to {most}")),
    }
}

fn percentage(text: &str) -> Result<f64, Wrong> {
    match text.parse::<f64>() {
        Ok(number) if (0.0..=100.0).contains(&number) => Ok(number),
        _ => Err("is not a number from 0 to 100".to_owned()),
    }
}

fn remappings(text: &str) -> Result<BTreeMap<String, String>, Wrong> {
    serde_json::from_str(text).map_err(|_| "is not a JSON object of strings".to_owned())
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use super::super::{Env, Mode, read};
    use super::{Endpoint, Settings, endpoint, parse};

    fn settings(pairs: &[(&str, &str)]) -> (Settings, Vec<String>) {
        let (settings, problems) = read(&Env::of(pairs), Mode::Wrapper);
        (settings.otlp, problems.iter().map(ToString::to_string).collect())
    }

    const HTTP: (&str, &str) = ("DD_OTLP_CONFIG_RECEIVER_PROTOCOLS_HTTP_ENDPOINT", "0.0.0.0:4318");

    #[test]
    fn nothing_listens_unless_it_is_asked_for() {
        let (none, problems) = settings(&[]);
        assert!(none.http.is_none() && none.grpc.is_none() && problems.is_empty());
        assert_eq!((none.http_body_bytes_max, none.grpc_message_bytes_max), (26_214_400, 4 << 20));
        assert_eq!((none.grpc_requests_max, none.traces), (8, super::Rules::default()));
        let (some, problems) = settings(&[HTTP]);
        assert!(some.http.is_some() && some.grpc.is_none() && problems.is_empty());
        for off in [("DD_OTLP_CONFIG_TRACES_ENABLED", "false"), ("DD_APM_ENABLED", "0")] {
            let metrics_alone = settings(&[HTTP, off]).0;
            assert!(metrics_alone.http.is_some() && !metrics_alone.are_traces_taken, "{off:?}");
            let nothing = [HTTP, off, ("DD_OTLP_CONFIG_METRICS_ENABLED", "false")];
            assert!(settings(&nothing).0.http.is_none(), "{off:?}");
        }
        assert!(settings(&[HTTP, ("DD_APM_RECEIVER_ENABLED", "false")]).0.http.is_some());
    }

    #[test]
    fn an_endpoint_is_a_host_and_a_port() {
        let of = |hosts: &[IpAddr], port| Some(Endpoint { hosts: hosts.to_vec(), port });
        let all = parse::ALL_INTERFACES;
        for (text, expect) in [
            ("localhost:4318", of(&parse::LOOPBACK, 4318)),
            ("0.0.0.0:1", of(&all, 1)),
            (":4317", of(&all, 4317)),
            ("http://127.0.0.1:4318/", of(&[IpAddr::V4(Ipv4Addr::LOCALHOST)], 4318)),
            ("[::1]:4318", of(&[IpAddr::V6(Ipv6Addr::LOCALHOST)], 4318)),
            ("4318", None),
            ("localhost", None),
            ("localhost:0", None),
            ("otel.example:4318", None),
            ("localhost:99999", None),
        ] {
            assert_eq!(endpoint(text).ok(), expect, "{text}");
        }
    }

    #[test]
    fn every_setting_is_read() {
        let name = |rest: &str| format!("DD_OTLP_CONFIG_{rest}");
        let pairs = [
            ("RECEIVER_PROTOCOLS_GRPC_ENDPOINT", "localhost:4317"),
            ("RECEIVER_PROTOCOLS_HTTP_MAX_REQUEST_BODY_SIZE", "1000"),
            ("RECEIVER_PROTOCOLS_GRPC_MAX_RECV_MSG_SIZE_MIB", "10"),
            ("RECEIVER_PROTOCOLS_GRPC_MAX_CONCURRENT_STREAMS", "3"),
            ("RECEIVER_PROTOCOLS_HTTP_CORS_ALLOWED_ORIGINS", "https://a.b,*"),
            ("RECEIVER_PROTOCOLS_HTTP_CORS_ALLOWED_HEADERS", "[\"x\"]"),
            ("TRACES_PROBABILISTIC_SAMPLER_SAMPLING_PERCENTAGE", "12.5"),
            ("TRACES_SPAN_NAME_AS_RESOURCE_NAME", "true"),
            ("TRACES_SPAN_NAME_REMAPPINGS", "{\"a\":\"b\"}"),
        ]
        .map(|(rest, value)| (name(rest), value));
        let mut pairs: Vec<(&str, &str)> =
            pairs.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        pairs.push((
            "DD_APM_FEATURES",
            "enable_otlp_compute_top_level_by_span_kind,disable_otel_scope_convention,disable_operation_and_resource_name_logic_v2",
        ));
        let (own, problems) = settings(&pairs);
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(own.grpc.map(|endpoint| endpoint.port), Some(4317));
        assert_eq!((own.http_body_bytes_max, own.grpc_message_bytes_max), (1000, 10 << 20));
        assert_eq!((own.grpc_requests_max, own.cors.origins.len()), (3, 2));
        assert_eq!(own.cors.headers, ["x"]);
        let rules = own.traces;
        assert!((rules.sampling_percentage - 12.5).abs() < 1e-9);
        assert!(rules.span_name_as_resource_name && rules.span_name_remappings["a"] == "b");
        assert!(rules.older_names && rules.top_level_by_kind && rules.older_scope_names_only);
    }

    #[test]
    fn what_is_wrong_is_said_and_changes_nothing() {
        for (rest, value) in [
            ("RECEIVER_PROTOCOLS_HTTP_ENDPOINT", "everywhere"),
            ("RECEIVER_PROTOCOLS_GRPC_MAX_RECV_MSG_SIZE_MIB", "50"),
            ("RECEIVER_PROTOCOLS_GRPC_MAX_CONCURRENT_STREAMS", "many"),
            ("TRACES_PROBABILISTIC_SAMPLER_SAMPLING_PERCENTAGE", "101"),
            ("TRACES_SPAN_NAME_REMAPPINGS", "a:b"),
        ] {
            let name = format!("DD_OTLP_CONFIG_{rest}");
            let (own, problems) = settings(&[(&name, value)]);
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert!(problems[0].contains(&name) && problems[0].contains(value), "{problems:?}");
            assert_eq!(format!("{own:?}"), format!("{:?}", settings(&[]).0));
        }
    }
}
