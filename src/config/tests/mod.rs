//! Tables of environments and what becomes of them.

mod passed_on;
mod platform;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::{Env, Mode, Settings, keys, read};
use crate::log::Level;
use crate::proxy::Upstream;
use crate::relay::{Compression, Destination};
use crate::trace::sample::{self, AnalyzedSpan, ProbabilisticSettings, RareSettings};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);
const ALL_V4: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
const ALL_V6: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// The settings of a wrapper and the problems as text.
fn wrap(pairs: &[(&str, &str)]) -> (Settings, Vec<String>) {
    let (settings, problems) = read(&Env::of(pairs), Mode::Wrapper);
    (settings, problems.iter().map(ToString::to_string).collect())
}

/// What `look` sees with the one variable set, which must be free of problems.
fn check<T: PartialEq + std::fmt::Debug>(
    name: &str,
    value: &str,
    look: impl Fn(&Settings) -> T,
    expect: T,
) {
    let (settings, problems) = wrap(&[(name, value)]);
    assert_eq!(look(&settings), expect, "{name}={value:?}");
    assert!(problems.is_empty(), "{problems:?}");
}

/// One bad variable is reported in these words, and changes nothing.
fn check_bad(name: &str, value: &str, expect: &str) {
    let (settings, problems) = wrap(&[(name, value)]);
    assert_eq!(problems, [expect]);
    assert_eq!(format!("{settings:?}"), format!("{:?}", wrap(&[]).0), "{name}={value:?}");
}

#[test]
fn without_variables_there_are_the_defaults() {
    let (settings, problems) = wrap(&[]);
    assert!(problems.is_empty());
    let Settings {
        intake,
        pipeline,
        relay,
        proxy,
        hostname_file,
        log,
        stop_timeout,
        view,
        otlp: _,
        logs: _,
        platform,
        health_port,
        dogstatsd: _,
        metrics: _,
        report,
        usage,
        hides_api_key,
        secrets,
    } = settings;
    assert!(!hides_api_key);
    assert_eq!((secrets.command.as_str(), secrets.timeout), ("", Duration::from_secs(5)));
    assert_eq!((secrets.arguments.len(), secrets.output_bytes_max), (0, 1_048_576));
    // There is no key.
    assert!(!usage.is_on && !usage.is_sidecar);
    assert!(report.exit && report.has_spans && report.names.job.is_none());
    assert_eq!((platform.kind, health_port), (crate::platform::Kind::Local, 0));
    assert_eq!((hostname_file, pipeline.install, pipeline.apm_mode.as_str()), (None, None, ""));
    assert_eq!(
        (intake.hosts, intake.port, intake.socket, intake.enabled),
        (vec![V4, V6], 8126, None, true)
    );
    assert_eq!((intake.receive_timeout, intake.connections_max), (Duration::from_secs(5), 2000));
    assert_eq!(intake.body_bytes_max, 26_214_400);
    assert_eq!((pipeline.env.as_str(), pipeline.hostname.as_str()), ("none", ""));
    assert!(pipeline.span_tags.is_empty() && pipeline.peer_tags.is_empty());
    assert!(
        pipeline.stats_by_span_kind && pipeline.peer_tags_aggregation && !pipeline.stats_disabled
    );
    assert!(!pipeline.component_to_name && !pipeline.big_resource && !pipeline.sending);
    assert_eq!(
        (pipeline.sampling.target_tps, pipeline.sampling.errors_tps, pipeline.flush_interval),
        (10.0, 10.0, Duration::from_secs(3))
    );
    assert_eq!(relay.traces.url, "https://trace.agent.datadoghq.com");
    assert!(relay.traces.further.is_empty());
    assert!(proxy.telemetry.is_some_and(|telemetry| telemetry.destinations.is_empty()));
    assert_eq!(
        (relay.traces.api_key, relay.proxy_http, relay.proxy_https, relay.ca_file),
        (None, None, None, None)
    );
    assert!(relay.no_proxy.is_empty() && !relay.skip_tls_check);
    assert_eq!(
        (relay.queue_bytes_max, relay.traces.compression),
        (33_554_432, Compression::Zstd(1))
    );
    assert_eq!((log.level, log.colour, view), (Level::Warn, true, false));
    assert_eq!(stop_timeout, Duration::from_millis(9500));
}

#[test]
fn the_sidecar_listens_on_all_interfaces_unless_it_is_told_otherwise() {
    let hosts = |pairs: &[(&str, &str)], mode| read(&Env::of(pairs), mode).0.intake.hosts;
    let (non_local, bind) = ("DD_APM_NON_LOCAL_TRAFFIC", "DD_BIND_HOST");
    for (pairs, sidecar, wrapper) in [
        (vec![], vec![ALL_V4, ALL_V6], vec![V4, V6]),
        (vec![(non_local, "true")], vec![ALL_V4, ALL_V6], vec![ALL_V4, ALL_V6]),
        (vec![(non_local, "false")], vec![V4, V6], vec![V4, V6]),
        (vec![(bind, "localhost")], vec![V4, V6], vec![V4, V6]),
        (vec![(bind, "::1")], vec![V6], vec![V6]),
        (vec![(bind, "0.0.0.0"), (non_local, "false")], vec![ALL_V4, ALL_V6], vec![ALL_V4, ALL_V6]),
        (
            vec![(bind, "127.0.0.1"), (non_local, "true")],
            vec![ALL_V4, ALL_V6],
            vec![ALL_V4, ALL_V6],
        ),
        (vec![(bind, "no such thing")], vec![ALL_V4, ALL_V6], vec![V4, V6]),
    ] {
        assert_eq!(hosts(&pairs, Mode::Sidecar), sidecar, "{pairs:?}");
        assert_eq!(hosts(&pairs, Mode::Wrapper), wrapper, "{pairs:?}");
    }
}

#[test]
fn where_traces_go_can_be_set() {
    check(
        "DD_API_KEY",
        " \"k3y\"\n",
        |s| s.relay.traces.api_key.as_ref().unwrap().expose().to_owned(),
        "k3y".to_owned(),
    );
    check("DD_API_KEY", "k", |s| s.pipeline.sending, true);
    check("DD_API_KEY", " ", |s| s.pipeline.sending, false);
    check(
        "DD_SITE",
        "datadoghq.eu",
        |s| s.relay.traces.url.clone(),
        "https://trace.agent.datadoghq.eu".to_owned(),
    );
    check(
        "DD_APM_DD_URL",
        "http://127.0.0.1:9/",
        |s| s.relay.traces.url.clone(),
        "http://127.0.0.1:9".to_owned(),
    );
    check("DD_PILLION_QUEUE_BYTES", "64MiB", |s| s.relay.queue_bytes_max, 67_108_864);
    check("DD_PILLION_COMPRESSION", "GZIP", |s| s.relay.traces.compression, Compression::Gzip(1));
    check(
        "DD_PILLION_FLUSH_INTERVAL",
        "500ms",
        |s| s.pipeline.flush_interval,
        Duration::from_millis(500),
    );
    check("DD_SKIP_SSL_VALIDATION", "yes", |s| s.relay.skip_tls_check, true);
    for name in ["DD_TLS_CA_CERT", "DD_TLS_CERT_FILE", "SSL_CERT_FILE"] {
        check(
            name,
            "/etc/my ca.pem",
            |s| s.relay.ca_file.clone(),
            Some(Path::new("/etc/my ca.pem").to_owned()),
        );
    }
}

#[test]
fn a_worker_takes_the_place_of_the_intake_and_gets_the_older_form() {
    let (opw, opw_url) = (
        "DD_OBSERVABILITY_PIPELINES_WORKER_TRACES_ENABLED",
        "DD_OBSERVABILITY_PIPELINES_WORKER_TRACES_URL",
    );
    let (vector, vector_url) = ("DD_VECTOR_TRACES_ENABLED", "DD_VECTOR_TRACES_URL");
    let (datadog, feature) = ("https://trace.agent.datadoghq.com", "DD_APM_FEATURES");
    for (pairs, url, older, to_worker) in [
        (vec![], datadog, false, false),
        (vec![(feature, "disable-convert-traces")], datadog, true, false),
        (vec![(opw, "true"), (opw_url, "http://w:8282/")], "http://w:8282", true, true),
        (vec![(vector, "1"), (vector_url, "http://v:1")], "http://v:1", true, true),
        (
            vec![
                (opw, "true"),
                (opw_url, "http://w:1"),
                (vector, "true"),
                (vector_url, "http://v:1"),
            ],
            "http://w:1",
            true,
            true,
        ),
        (
            vec![(vector, "true"), (vector_url, "http://v:1"), ("DD_APM_DD_URL", "http://a:1")],
            "http://v:1",
            true,
            true,
        ),
        (vec![(vector, "false"), (vector_url, "http://v:1")], datadog, false, false),
    ] {
        let (settings, problems) = wrap(&pairs);
        assert!(problems.is_empty(), "{problems:?}");
        let pipeline = &settings.pipeline;
        let found = (settings.relay.traces.url.as_str(), pipeline.older, pipeline.to_worker);
        assert_eq!(found, (url, older, to_worker), "{pairs:?}");
        // Metrics and logs have workers of their own.
        assert_eq!(settings.relay.metrics.url, wrap(&[]).0.relay.metrics.url);
    }
}

#[test]
fn a_worker_that_is_half_set_is_said_and_traces_go_to_datadog() {
    for (name, value, expect) in [
        (
            "DD_VECTOR_TRACES_URL",
            "http://me:s3cr3t@v:1",
            "invalid DD_VECTOR_TRACES_URL: \"http://***@v:1\" has no effect unless DD_VECTOR_TRACES_ENABLED is true, sending to Datadog",
        ),
        (
            "DD_OBSERVABILITY_PIPELINES_WORKER_TRACES_ENABLED",
            "true",
            "invalid DD_OBSERVABILITY_PIPELINES_WORKER_TRACES_ENABLED: \"true\" is of no use without DD_OBSERVABILITY_PIPELINES_WORKER_TRACES_URL, sending to Datadog",
        ),
    ] {
        check_bad(name, value, expect);
    }
    let (settings, problems) =
        wrap(&[("DD_VECTOR_TRACES_ENABLED", "true"), ("DD_VECTOR_TRACES_URL", "ftp://v")]);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].ends_with(", sending to Datadog"), "{problems:?}");
    assert!(!settings.pipeline.older && !settings.pipeline.to_worker);
}

/// Addresses and keys, with a key `k` for all.
#[test]
fn proxies_come_from_our_own_variables_first() {
    let proxies = |pairs: &[(&str, &str)]| {
        let relay = wrap(pairs).0.relay;
        let text = |url: Option<crate::secret::Url>| {
            url.map(|url| url.expose().to_owned()).unwrap_or_default()
        };
        (text(relay.proxy_http), text(relay.proxy_https), relay.no_proxy.join("|"))
    };
    let of = |http: &str, https: &str, no: &str| (http.to_owned(), https.to_owned(), no.to_owned());
    assert_eq!(proxies(&[("https_proxy", "a:1")]), of("", "http://a:1", ""));
    assert_eq!(
        proxies(&[("https_proxy", "a:1"), ("HTTPS_PROXY", "b:1")]),
        of("", "http://b:1", "")
    );
    assert_eq!(
        proxies(&[("DD_PROXY_HTTPS", "c:1"), ("HTTPS_PROXY", "b:1")]),
        of("", "http://c:1", "")
    );
    assert_eq!(
        proxies(&[("DD_PROXY_HTTPS", ""), ("HTTPS_PROXY", "b:1")]),
        of("", "http://b:1", "")
    );
    assert_eq!(proxies(&[("http_proxy", "http://me:pw@a:1")]), of("http://me:pw@a:1", "", ""));
    assert_eq!(
        proxies(&[("DD_PROXY_NO_PROXY", "a.b .c 10.0.0.0/8"), ("NO_PROXY", "x")]),
        of("", "", "a.b|.c|10.0.0.0/8")
    );
    assert_eq!(proxies(&[("no_proxy", "a,b:80, *")]), of("", "", "a|b:80|*"));
}

#[test]
fn what_traces_say_can_be_set() {
    check("DD_ENV", "Prod EU", |s| s.pipeline.env.clone(), "prod_eu".to_owned());
    check("DD_TAGS", "env:Stage,a:b", |s| s.pipeline.env.clone(), "stage".to_owned());
    check("DD_HOSTNAME", "web-1", |s| s.pipeline.hostname.clone(), "web-1".to_owned());
    check("DD_HOSTNAME", "None", |s| s.pipeline.hostname.clone(), String::new());
    let (settings, _) =
        wrap(&[("DD_ENV", "general"), ("DD_APM_ENV", "own"), ("DD_TAGS", "env:tag")]);
    assert_eq!(settings.pipeline.env, "own");
    let (settings, _) = wrap(&[("DD_TAGS", "a:1,b:2"), ("DD_EXTRA_TAGS", "[\"b:3\", \"c:4 5\"]")]);
    let tags: Vec<String> =
        settings.pipeline.span_tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
    assert_eq!(tags, ["a=1", "b=3", "c=4 5"]);
}

#[test]
fn where_the_tracer_connects_can_be_set() {
    check("DD_APM_ENABLED", "False", |s| s.intake.enabled, false);
    check("DD_APM_RECEIVER_ENABLED", "0", |s| s.intake.enabled, false);
    check("DD_APM_RECEIVER_PORT", "0", |s| s.intake.port, 0);
    check("DD_RECEIVER_PORT", "'9126'", |s| s.intake.port, 9126);
    check(
        "DD_APM_RECEIVER_SOCKET",
        "/run/apm.socket",
        |s| s.intake.socket.clone(),
        Some("/run/apm.socket".into()),
    );
    check("DD_APM_RECEIVER_SOCKET", "", |s| s.intake.socket.clone(), None);
    check("DD_APM_CONNECTION_LIMIT", "7", |s| s.intake.connections_max, 7);
    check("DD_APM_RECEIVER_TIMEOUT", "2", |s| s.intake.receive_timeout, Duration::from_secs(2));
    check("DD_APM_RECEIVER_TIMEOUT", "0", |s| s.intake.receive_timeout, Duration::from_secs(5));
    check("DD_APM_MAX_PAYLOAD_SIZE", "1000", |s| s.intake.body_bytes_max, 1000);
    let (settings, _) = wrap(&[("DD_RECEIVER_PORT", "1"), ("DD_APM_RECEIVER_PORT", "2")]);
    assert_eq!(settings.intake.port, 2);
}

#[test]
fn sampling_and_stats_can_be_set() {
    check("DD_APM_TARGET_TPS", "0.5", |s| s.pipeline.sampling.target_tps, 0.5);
    check("DD_APM_MAX_TPS", "20", |s| s.pipeline.sampling.target_tps, 20.0);
    check("DD_APM_ERROR_TPS", "0", |s| s.pipeline.sampling.errors_tps, 0.0);
    check("DD_APM_COMPUTE_STATS_BY_SPAN_KIND", "false", |s| s.pipeline.stats_by_span_kind, false);
    check("DD_APM_PEER_TAGS_AGGREGATION", "false", |s| s.pipeline.peer_tags_aggregation, false);
    check("DD_APM_PEER_SERVICE_AGGREGATION", "false", |s| s.pipeline.peer_tags_aggregation, false);
    check(
        "DD_APM_PEER_TAGS",
        "[\"a\",\"b\"]",
        |s| s.pipeline.peer_tags.join("|"),
        "a|b".to_owned(),
    );
    check("DD_SERVERLESS_INIT_DISABLE_TRACE_STATS", "1", |s| s.pipeline.stats_disabled, true);
    let features = |s: &Settings| (s.pipeline.component_to_name, s.pipeline.big_resource);
    check("DD_APM_FEATURES", "429,component2name", features, (true, false));
    check("DD_APM_FEATURES", "big_resource component2name", features, (true, true));
}

#[test]
fn samplers_are_off_until_they_are_switched_on() {
    let sampling = |s: &Settings| s.pipeline.sampling.clone();
    let default = sample::Settings::default();
    check("DD_APM_RARE_SAMPLER_TPS", "7", sampling, default.clone());
    check("DD_APM_PROBABILISTIC_SAMPLER_SAMPLING_PERCENTAGE", "50", sampling, default);
    let rare = RareSettings::default();
    check("DD_APM_ENABLE_RARE_SAMPLER", "true", |s| s.pipeline.sampling.rare, Some(rare));
    check("DD_APM_DISABLE_RARE_SAMPLER", "true", |s| s.pipeline.sampling.rare, None);
    let (settings, problems) = wrap(&[
        ("DD_APM_ENABLE_RARE_SAMPLER", "true"),
        ("DD_APM_RARE_SAMPLER_TPS", "2"),
        ("DD_APM_RARE_SAMPLER_COOLDOWN", "10m"),
        ("DD_APM_RARE_SAMPLER_CARDINALITY", "65536"),
        ("DD_APM_PROBABILISTIC_SAMPLER_ENABLED", "true"),
        ("DD_APM_PROBABILISTIC_SAMPLER_SAMPLING_PERCENTAGE", "12.5"),
        ("DD_APM_PROBABILISTIC_SAMPLER_HASH_SEED", "-1"),
        ("DD_APM_FEATURES", "probabilistic_sampler_full_trace_id,error_rare_sample_tracer_drop"),
    ]);
    assert!(problems.is_empty(), "{problems:?}");
    let sampling = settings.pipeline.sampling;
    let cooldown = Duration::from_secs(600);
    assert_eq!(sampling.rare, Some(RareSettings { tps: 2.0, cooldown, cardinality: 65_536 }));
    let probabilistic =
        ProbabilisticSettings { percentage: 12.5, hash_seed: u32::MAX, full_trace_id: true };
    assert_eq!(sampling.probabilistic, Some(probabilistic));
    assert!(sampling.asks_about_tracer_drops);
}

#[test]
fn errors_alone_and_events_can_be_set() {
    let errors_alone = "DD_APM_ERROR_TRACKING_STANDALONE_ENABLED";
    check(errors_alone, "true", |s| s.pipeline.sampling.errors_alone, true);
    check("DD_MAX_EPS", "0", |s| s.pipeline.sampling.events_per_second_max, 0.0);
    let analyzed = |service: &str, operation: &str, rate| AnalyzedSpan {
        service: service.to_owned(),
        operation: operation.to_owned(),
        rate,
    };
    check(
        "DD_APM_ANALYZED_SPANS",
        "web-store|web.request=1, Db|db.query=0.5",
        |s| s.pipeline.sampling.analyzed_spans.clone(),
        vec![analyzed("web-store", "web.request", 1.0), analyzed("Db", "db.query", 0.5)],
    );
}

#[test]
fn bad_values_for_samplers_are_said() {
    for (name, value, wrong) in [
        (
            "DD_APM_ANALYZED_SPANS",
            "web-store=1",
            "is not of the form service|operation=rate,…, ignoring it",
        ),
        (
            "DD_APM_RARE_SAMPLER_CARDINALITY",
            "0",
            "is not a whole number between 1 and 65536, using 200",
        ),
        (
            "DD_APM_PROBABILISTIC_SAMPLER_SAMPLING_PERCENTAGE",
            "-1",
            "is not a number of 0 or more, using 0",
        ),
        ("DD_APM_PROBABILISTIC_SAMPLER_HASH_SEED", "x", "is not a whole number, using 0"),
    ] {
        check_bad(name, value, &format!("invalid {name}: {value:?} {wrong}"));
    }
}

#[test]
fn the_wrapper_itself_can_be_set() {
    check("DD_PILLION_STOP_TIMEOUT", "30", |s| s.stop_timeout, Duration::from_secs(30));
    check("DD_PILLION_STOP_TIMEOUT", "0", |s| s.stop_timeout, Duration::ZERO);
    check("DD_PILLION_HIDE_API_KEY", "1", |s| s.hides_api_key, true);
    check("DD_TRACE_ENABLED", "0", |s| s.report.has_spans, false);
    check("DD_PILLION_EXIT_REPORT", "0", |s| s.report.exit, false);
    check("DD_PILLION_VIEW", "on", |s| s.view, true);
    check("DD_LOG_LEVEL", "DEBUG", |s| s.log.level, Level::Debug);
    check("DD_LOG_LEVEL", "critical", |s| s.log.level, Level::Error);
    check("NO_COLOR", "1", |s| s.log.colour, false);
    check("NO_COLOR", "", |s| s.log.colour, true);
    check("TERM", "dumb", |s| s.log.colour, false);
    check("TERM", "xterm-256color", |s| s.log.colour, true);
}

#[test]
fn a_bad_value_is_said_with_the_default_in_its_place() {
    for (name, value, expect) in [
        (
            "DD_APM_RECEIVER_PORT",
            "80000",
            "invalid DD_APM_RECEIVER_PORT: \"80000\" is not a port between 0 and 65535, using 8126",
        ),
        (
            "DD_RECEIVER_PORT",
            "x",
            "invalid DD_RECEIVER_PORT: \"x\" is not a port between 0 and 65535, using 8126",
        ),
        (
            "DD_APM_ENABLED",
            "maybe",
            "invalid DD_APM_ENABLED: \"maybe\" is neither true nor false, using true",
        ),
        (
            "DD_APM_TARGET_TPS",
            "-3",
            "invalid DD_APM_TARGET_TPS: \"-3\" is not a number of 0 or more, using 10",
        ),
        (
            "DD_SITE",
            "eu",
            "invalid DD_SITE: \"eu\" is not a host name such as datadoghq.eu, using datadoghq.com",
        ),
        (
            "DD_LOG_LEVEL",
            "loud",
            "invalid DD_LOG_LEVEL: \"loud\" is not one of trace, debug, info, warn, error, off, using warn",
        ),
        (
            "DD_PILLION_STOP_TIMEOUT",
            "2h",
            "invalid DD_PILLION_STOP_TIMEOUT: \"2h\" is not between 0s and 3600s, using the platform's, less 0.5s",
        ),
        (
            "DD_PILLION_QUEUE_BYTES",
            "1k",
            "invalid DD_PILLION_QUEUE_BYTES: \"1k\" is less than 4MiB, using 32MiB",
        ),
        (
            "DD_APM_PEER_TAGS",
            "[a]",
            "invalid DD_APM_PEER_TAGS: \"[a]\" is not a list of texts such as [\"a\", \"b\"], using []",
        ),
        (
            "DD_BIND_HOST",
            "a\x1b[31mb",
            "invalid DD_BIND_HOST: \"a\\u{1b}[31mb\" is not an IP address or localhost, using localhost",
        ),
        (
            "DD_API_KEY",
            "ENC[my key]",
            "invalid DD_API_KEY: its value needs DD_SECRET_BACKEND_COMMAND, which is not set, sending nothing",
        ),
        (
            "DD_API_KEY",
            "s3cret s3cret",
            "invalid DD_API_KEY: its value has white space or other characters that no key has, sending nothing",
        ),
    ] {
        check_bad(name, value, expect);
    }
    let long = "x".repeat(5000);
    assert!(wrap(&[("DD_SITE", &long)]).1[0].len() < 250);
}

#[test]
fn settings_that_have_no_effect_are_said_in_one_line() {
    let (_, problems) = wrap(&[
        ("DD_APM_LOG_FILE", "x"),
        ("DD_APM_MAX_MEMORY", ""),
        ("DD_APM_ENABLE_RARE_SAMPLER", "false"),
        ("DD_TRACE_SAMPLE_RATE", "1"),
        ("DD_HOSTNAME_FQDN", "true"),
        ("DD_TELEMETRY_ENABLED", "1"),
    ]);
    assert_eq!(
        problems,
        [
            "not supported, ignored: DD_APM_LOG_FILE, DD_HOSTNAME_FQDN, DD_TELEMETRY_ENABLED; the table of such settings in the README says why"
        ]
    );
}

#[test]
fn bytes_that_are_no_text_harm_nothing() {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;
    let value = || OsString::from_vec(vec![b'/', 0xff, b'x']);
    let names =
        ["DD_ENV", "DD_TAGS", "DD_APM_RECEIVER_SOCKET", "DD_APM_RECEIVER_PORT", "DD_API_KEY"];
    let all = names.into_iter().map(|name| (OsString::from(name), value()));
    let (settings, problems) = read(&Env::of_all(all), Mode::Wrapper);
    assert_eq!(settings.intake.socket.map(|path| path.into_os_string()), Some(value()));
    assert_eq!(settings.intake.port, 8126);
    assert_eq!(problems.len(), 2, "{problems:?}");
}

#[test]
fn no_printed_form_has_a_secret_in_it() {
    let secret = "s3cr3t-value";
    let proxy = format!("http://me:{secret}@proxy:1");
    let (settings, problems) = wrap(&[
        ("DD_API_KEY", secret),
        ("DD_PROXY_HTTP", &proxy),
        ("DD_PROXY_HTTPS", &proxy),
        ("DD_APM_DD_URL", &format!("https://me:{secret}@intake")),
    ]);
    assert_eq!(settings.relay.traces.api_key.as_ref().map(|key| key.expose()), Some(secret));
    assert_eq!(problems.len(), 1);
    for bad in [
        format!("ftp://me:{secret}@proxy"),
        format!("me:{secret}@ho st:1"),
        format!("http://me:{secret}/@x:y"),
    ] {
        let (_, problems) = wrap(&[("DD_PROXY_HTTPS", &bad)]);
        assert_eq!(problems.len(), 1, "{bad}");
        assert!(!format!("{problems:?}").contains(secret), "{problems:?}");
    }
    let (_, bad_key) = wrap(&[("DD_API_KEY", &format!("{secret} {secret}"))]);
    let env = Env::of(&[("DD_API_KEY", secret)]);
    let all = format!("{settings:?} {settings:#?} {problems:?} {bad_key:?} {env:?}");
    assert!(!all.contains(secret), "{all}");
}

#[test]
fn reading_is_cheap() {
    let pairs: Vec<(String, String)> =
        (0..200).map(|n| (format!("DD_SOME_{n}"), "value".to_owned())).collect();
    let pairs: Vec<(&str, &str)> =
        pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    // The best of many, since the machine may be busy; without optimisation it is some ten times of what is shipped.
    let best = (0..50).map(|_| {
        let start = Instant::now();
        let _ = read(&Env::of(&pairs), Mode::Wrapper);
        start.elapsed()
    });
    let best = best.min().unwrap();
    assert!(best < Duration::from_millis(3), "{best:?}");
}

proptest! {
    #[test]
    fn whatever_is_in_the_environment_there_are_settings(
        values in prop::collection::vec((any::<prop::sample::Index>(), "[0-9a-z.:/@\\[\\]\", *-]{0,12}|\\PC{0,9}|.{0,30}"), 0..20),
        sidecar in any::<bool>(),
    ) {
        let names: Vec<&str> = keys::ALL.iter().flat_map(|(_, keys)| *keys).flat_map(|key| key.names).copied().collect();
        let pairs: Vec<(&str, &str)> = values.iter().map(|(name, value)| (*name.get(&names), value.as_str())).collect();
        let (settings, problems) = read(&Env::of(&pairs), if sidecar { Mode::Sidecar } else { Mode::Wrapper });
        prop_assert!(problems.len() <= pairs.len());
        prop_assert!(!settings.intake.hosts.is_empty() && !settings.pipeline.env.is_empty());
        prop_assert!(settings.relay.traces.url.starts_with("http") && settings.stop_timeout <= Duration::from_secs(3600));
        prop_assert!(settings.pipeline.sampling.target_tps.is_finite() && settings.pipeline.flush_interval >= Duration::from_millis(100));
    }
}
