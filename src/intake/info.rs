//! The document of `/info`: what we are, what works and with which settings, in the agent's order of keys. Tracers decide by it what they
//! send where; what does not work is not in it, and the types are exact, because some tracers drop the whole document over one of them.

use std::collections::BTreeMap;

use bytes::Bytes;
use hyper::header::HeaderValue;
use ring::digest;
use serde::{Serialize, Serializer};

use crate::intake::Settings;
use crate::intake::obfuscation::{self, Obfuscation};
use crate::intake::route::{self, Route};
use crate::pipeline;
use crate::proxy::{EVP_HEADERS, Endpoint, Proxy};
use crate::trace::decode::ApiVersion;
use crate::trace::sample::AnalyzedSpan;
use crate::trace::stats;
use crate::version;

/// The document and what it is known by.
#[derive(Debug)]
pub(super) struct Info {
    /// The document.
    pub(super) body: Bytes,
    /// Its SHA-256 in hexadecimal, the value of `Datadog-Agent-State`.
    pub(super) state: HeaderValue,
}

#[derive(Serialize)]
struct Document<'a> {
    version: &'a str,
    git_commit: &'a str,
    endpoints: &'a [&'a str],
    /// As they are set, whether they have an effect or not.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    feature_flags: &'a [String],
    /// A tracer may drop what it does not sample, once it has computed stats of it, and may compute them: only where somebody receives
    /// those stats. The viewer has to see every trace, and so has the probabilistic sampler.
    client_drop_p0s: bool,
    span_meta_structs: bool,
    long_running_spans: bool,
    span_events: bool,
    evp_proxy_allowed_headers: &'a [&'a str],
    config: Config<'a>,
    peer_tags: Vec<String>,
    span_kinds_stats_computed: &'a [&'a str],
    obfuscation_version: u32,
    filter_tags: Filters<'a>,
    filter_tags_regex: Filters<'a>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    ignore_resources: &'a [String],
    /// Not a key of the agent's. Unknown keys are skipped by every tracer.
    agent_implementation: &'a str,
}

#[derive(Serialize)]
struct Config<'a> {
    default_env: &'a str,
    #[serde(serialize_with = "as_go_writes_it")]
    target_tps: f64,
    #[serde(serialize_with = "as_go_writes_it")]
    max_eps: f64,
    receiver_port: u16,
    receiver_socket: String,
    connection_limit: usize,
    receiver_timeout: u64,
    max_request_bytes: usize,
    /// Where a tracer's metrics go; 0 where nobody takes them.
    statsd_port: u16,
    obfuscation: Obfuscation<'a>,
    analyzed_spans_by_service: BTreeMap<&'a str, BTreeMap<&'a str, Rate>>,
}

/// Filters that a tracer should apply before it computes stats.
#[derive(Serialize)]
struct Filters<'a> {
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    require: &'a [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    reject: &'a [String],
}

/// The share of the spans of an operation that become events.
#[derive(Serialize)]
#[serde(transparent)]
struct Rate(#[serde(serialize_with = "as_go_writes_it")] f64);

/// Whole numbers without a fraction, as in the agent's document.
fn as_go_writes_it<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    let whole = *number as i64;
    if whole as f64 == *number {
        serializer.serialize_i64(whole)
    } else {
        serializer.serialize_f64(*number)
    }
}

impl Info {
    /// The document for these settings. It stays the same for the life of the process.
    pub(super) fn new(intake: &Settings, pipeline: &pipeline::Settings, proxy: &Proxy) -> Self {
        let is_on = |path: &&str| Endpoint::of(path).is_none_or(|endpoint| proxy.is_on(endpoint));
        let is_read =
            |path: &&str| !pipeline.to_worker || route::of(path) != Route::Traces(ApiVersion::V10);
        let endpoints = route::LISTED.into_iter().filter(is_on).filter(is_read);
        let endpoints: Vec<&str> = endpoints.collect();
        let span_kinds: &[&str] = if pipeline.stats_by_span_kind {
            &["server", "consumer", "client", "producer"]
        } else {
            &[]
        };
        let document = Document {
            version: version::AGENT,
            git_commit: "",
            feature_flags: &pipeline.features,
            endpoints: &endpoints,
            client_drop_p0s: pipeline.sending && pipeline.sampling.probabilistic.is_none(),
            span_meta_structs: true,
            long_running_spans: true,
            span_events: true,
            evp_proxy_allowed_headers: &EVP_HEADERS,
            config: Config {
                default_env: &pipeline.env,
                target_tps: pipeline.sampling.target_tps,
                max_eps: pipeline.sampling.events_per_second_max,
                receiver_port: intake.port,
                receiver_socket: intake
                    .socket
                    .as_ref()
                    .map(|path| path.display().to_string())
                    .unwrap_or_default(),
                connection_limit: intake.connections_max,
                receiver_timeout: intake.receive_timeout.as_secs(),
                max_request_bytes: intake.body_bytes_max,
                statsd_port: proxy.statsd_port(),
                obfuscation: Obfuscation::new(&pipeline.obfuscation, pipeline.replace_rules()),
                analyzed_spans_by_service: analyzed_spans(&pipeline.sampling.analyzed_spans),
            },
            peer_tags: if pipeline.peer_tags_aggregation {
                stats::peer_tag_keys(&pipeline.peer_tags)
            } else {
                Vec::new()
            },
            span_kinds_stats_computed: span_kinds,
            obfuscation_version: obfuscation::version(&pipeline.obfuscation.sql),
            filter_tags: Filters {
                require: &pipeline.filters.require,
                reject: &pipeline.filters.reject,
            },
            filter_tags_regex: Filters {
                require: &pipeline.filters.require_regex,
                reject: &pipeline.filters.reject_regex,
            },
            ignore_resources: &pipeline.filters.ignore_resources,
            agent_implementation: version::OWN,
        };
        let body = Bytes::from(pretty(&document));
        Self { state: state_of(&body), body }
    }
}

fn analyzed_spans(settings: &[AnalyzedSpan]) -> BTreeMap<&str, BTreeMap<&str, Rate>> {
    let mut by_service: BTreeMap<&str, BTreeMap<&str, Rate>> = BTreeMap::new();
    for AnalyzedSpan { service, operation, rate } in settings {
        by_service.entry(service).or_default().insert(operation, Rate(*rate));
    }
    by_service
}

/// JSON with a tab per level. Writing strings and numbers into memory cannot fail; an empty object stands for the impossible.
fn pretty(document: &Document<'_>) -> Vec<u8> {
    let mut body = Vec::with_capacity(4096);
    let format = serde_json::ser::PrettyFormatter::with_indent(b"\t");
    let written =
        document.serialize(&mut serde_json::Serializer::with_formatter(&mut body, format));
    if written.is_ok() { body } else { b"{}".to_vec() }
}

fn state_of(body: &[u8]) -> HeaderValue {
    let hash = digest::digest(&digest::SHA256, body);
    let text: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::time::Duration;

    use super::{AnalyzedSpan, Info, Settings, pipeline, state_of};
    use crate::proxy;
    use crate::trace::sample::ProbabilisticSettings;

    fn document(change: impl FnOnce(&mut pipeline::Settings)) -> serde_json::Value {
        serde_json::from_str(&text(change)).unwrap()
    }

    fn text(change: impl FnOnce(&mut pipeline::Settings)) -> String {
        let intake = Settings {
            hosts: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
            port: 8126,
            socket: Some("/var/run/datadog/apm.socket".into()),
            enabled: true,
            receive_timeout: Duration::from_secs(5),
            connections_max: 2000,
            body_bytes_max: 26_214_400,
            inherited: Default::default(),
        };
        let mut settings = pipeline::Settings {
            env: "prod".to_owned(),
            hostname: String::new(),
            apm_mode: String::new(),
            install: None,
            span_tags: Vec::new(),
            origin: String::new(),
            container_tags: String::new(),
            function_tags: String::new(),
            discards_own_calls: false,
            sampling: Default::default(),
            stats_by_span_kind: true,
            peer_tags_aggregation: true,
            peer_tags: vec!["my.peer".to_owned()],
            primary_tags: Vec::new(),
            client_stats_interval: Duration::from_secs(1),
            stats_disabled: false,
            component_to_name: false,
            big_resource: false,
            older: false,
            to_worker: false,
            features: Vec::new(),
            obfuscation: Default::default(),
            filters: Default::default(),
            replace: Vec::new(),
            flush_interval: Duration::from_secs(1),
            sending: true,
        };
        change(&mut settings);
        let (proxy, _) = proxy::tests::proxy(&proxy::tests::settings());
        String::from_utf8(Info::new(&intake, &settings, &proxy).body.to_vec()).unwrap()
    }

    #[test]
    fn the_keys_are_in_the_agents_order_and_ours_is_the_last() {
        let keys = [
            "version",
            "git_commit",
            "endpoints",
            "client_drop_p0s",
            "span_meta_structs",
            "long_running_spans",
            "span_events",
            "evp_proxy_allowed_headers",
            "config",
            "peer_tags",
            "span_kinds_stats_computed",
            "obfuscation_version",
            "filter_tags",
            "filter_tags_regex",
            "agent_implementation",
        ];
        let text = text(|_| {});
        let top_level =
            text.lines().filter_map(|line| line.strip_prefix("\t\"")?.split('"').next());
        assert_eq!(top_level.collect::<Vec<_>>(), keys);
    }

    #[test]
    fn a_worker_is_sent_nothing_that_it_can_not_read() {
        let offers = |document: serde_json::Value, path: &str| {
            document["endpoints"].as_array().unwrap().iter().any(|own| own == path)
        };
        for (to_worker, older) in [(false, false), (false, true), (true, true)] {
            let change = |settings: &mut pipeline::Settings| {
                (settings.to_worker, settings.older) = (to_worker, older);
            };
            assert_eq!(offers(document(change), "/v1.0/traces"), !to_worker);
            assert!(offers(document(change), "/v0.4/traces"));
        }
    }

    #[test]
    fn the_config_is_what_we_run_with() {
        let document = document(|_| {});
        let config = document["config"].as_object().unwrap();
        assert_eq!(
            (&config["default_env"], &config["receiver_port"]),
            (&"prod".into(), &8126.into())
        );
        assert_eq!(config["receiver_socket"], "/var/run/datadog/apm.socket");
        assert_eq!(
            (&config["connection_limit"], &config["receiver_timeout"]),
            (&2000.into(), &5.into())
        );
    }

    #[test]
    fn what_is_hidden_is_told_as_the_agent_tells_it() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/golden/0112-info-and-methods/expected.json"
        );
        let expected: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let replies = expected["replies"].as_array().unwrap();
        let theirs = replies.iter().find_map(|reply| {
            let (_, rest) = reply["body"].as_str()?.split_once("\t\t\"obfuscation\": {")?;
            Some(rest.split_once("\n\t\t}")?.0.to_owned())
        });
        let ours = text(|_| {});
        let (_, ours) = ours.split_once("\t\t\"obfuscation\": {").unwrap();
        assert_eq!(ours.split_once("\n\t\t}").unwrap().0, theirs.unwrap());
        assert_eq!(document(|_| {})["obfuscation_version"], 1);
    }

    #[test]
    fn what_is_hidden_follows_its_settings() {
        let document = document(|settings| {
            let hidden = &mut settings.obfuscation;
            hidden.mongodb.enabled = false;
            hidden.opensearch.keep_values = vec!["k".to_owned()];
            hidden.credit_cards.keep_values = vec!["order".to_owned()];
            hidden.http.remove_paths_with_digits = true;
            hidden.valkey.remove_all_args = true;
            hidden.memcached.keep_command = true;
            hidden.remove_stack_traces = true;
        });
        let told = &document["config"]["obfuscation"];
        for (pointer, expect) in [
            ("/mongo", false.into()),
            ("/mongodb/enabled", false.into()),
            ("/elastic_search", true.into()),
            ("/opensearch/keep_keys", serde_json::json!(["k"])),
            ("/credit_cards/keep_values", serde_json::json!(["order"])),
            ("/http/remove_path_digits", true.into()),
            ("/redis/remove_all_args", false.into()),
            ("/valkey/remove_all_args", true.into()),
            ("/memcached/keep_command", true.into()),
            ("/remove_stack_traces", true.into()),
        ] {
            assert_eq!(told.pointer(pointer), Some(&expect), "{pointer}");
        }
    }

    #[test]
    fn a_tracer_may_drop_traces_only_where_its_stats_are_sent() {
        assert_eq!(document(|_| {})["client_drop_p0s"], true);
        assert_eq!(document(|settings| settings.sending = false)["client_drop_p0s"], false);
        let by_share =
            ProbabilisticSettings { percentage: 100.0, hash_seed: 0, full_trace_id: false };
        let document = document(|settings| settings.sampling.probabilistic = Some(by_share));
        assert_eq!(document["client_drop_p0s"], false, "the sampler has to see every trace");
    }

    #[test]
    fn analyzed_spans_are_told_by_service() {
        let named = |service: &str, operation: &str, rate| AnalyzedSpan {
            service: service.to_owned(),
            operation: operation.to_owned(),
            rate,
        };
        let document = document(|settings| {
            settings.sampling.events_per_second_max = 2.5;
            settings.sampling.analyzed_spans =
                vec![named("a", "x", 1.0), named("b", "x", 0.5), named("a", "y", 0.25)];
        });
        let by_service = serde_json::json!({ "a": { "x": 1, "y": 0.25 }, "b": { "x": 0.5 } });
        assert_eq!(document["config"]["analyzed_spans_by_service"], by_service);
        assert_eq!(document["config"]["max_eps"], 2.5);
    }

    #[test]
    fn peer_tags_and_span_kinds_follow_their_settings() {
        let on = document(|_| {});
        let peer_tags = on["peer_tags"].as_array().unwrap();
        assert_eq!(peer_tags.len(), 45);
        assert!(
            peer_tags.contains(&"my.peer".into()) && peer_tags.contains(&"peer.service".into())
        );
        assert_eq!(on["span_kinds_stats_computed"].as_array().unwrap().len(), 4);
        let off = document(|settings| {
            settings.peer_tags_aggregation = false;
            settings.stats_by_span_kind = false;
        });
        assert_eq!(
            (&off["peer_tags"], &off["span_kinds_stats_computed"]),
            (&serde_json::json!([]), &serde_json::json!([]))
        );
    }

    #[test]
    fn whole_numbers_have_no_fraction() {
        assert_eq!(document(|_| {})["config"]["target_tps"].to_string(), "10");
        assert_eq!(
            document(|settings| settings.sampling.target_tps = 2.5)["config"]["target_tps"]
                .to_string(),
            "2.5"
        );
    }

    #[test]
    fn the_state_is_the_hash_of_the_document() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(state_of(b"").to_str().unwrap(), empty);
    }
}
