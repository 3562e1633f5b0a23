//! What is passed on, and further destinations.

use super::*;

fn upstreams(pairs: &[(&str, &str)]) -> Vec<(&'static str, String)> {
    let mut all = vec![("DD_API_KEY", "k"), ("DD_SITE", "dd.test")];
    all.extend(pairs);
    let (settings, problems) = wrap(&all);
    assert!(problems.is_empty(), "{problems:?}");
    let proxy = settings.proxy;
    let words = |upstream: &Upstream| {
        let to = |to: &Destination| format!("{} {}", to.url, to.api_key.expose());
        upstream.destinations.iter().map(to).collect::<Vec<_>>().join(", ")
    };
    let maybe = |upstream: &Option<Upstream>| upstream.as_ref().map_or("off".to_owned(), words);
    vec![
        ("telemetry", maybe(&proxy.telemetry)),
        ("profiles", maybe(&proxy.profiles)),
        ("evp", maybe(&proxy.evp)),
        ("logs", words(&proxy.debugger_logs)),
        ("debugger", words(&proxy.debugger)),
        ("symbols", words(&proxy.symbols)),
        ("lineage", maybe(&proxy.lineage)),
        ("streams", words(&proxy.pipeline_stats)),
        ("flare", words(&proxy.flare)),
        ("statsd", proxy.statsd.map_or("off".to_owned(), |port| port.to_string())),
    ]
}

#[test]
fn what_is_passed_on_goes_to_the_site() {
    let expect = [
        ("telemetry", "https://instrumentation-telemetry-intake.dd.test k"),
        ("profiles", "https://intake.profile.dd.test/api/v2/profile k"),
        ("evp", "dd.test k"),
        ("logs", "https://http-intake.logs.dd.test/api/v2/logs k"),
        ("debugger", "https://debugger-intake.dd.test/api/v2/debugger k"),
        ("symbols", "https://debugger-intake.dd.test/api/v2/debugger k"),
        ("lineage", "https://data-obs-intake.dd.test/api/v1/lineage?api-version=2 k"),
        ("streams", "https://trace.agent.dd.test/api/v0.1/pipeline_stats k"),
        ("flare", "https://7-85-2-flare.dd.test/api/ui/support/serverless/flare k"),
        ("statsd", "127.0.0.1:8125"),
    ];
    assert_eq!(upstreams(&[]), expect.map(|(name, to)| (name, to.to_owned())));
}

#[test]
fn each_kind_can_go_elsewhere_with_a_key_of_its_own_and_copies() {
    let usual = upstreams(&[]);
    let check = |pairs: &[(&str, &str)], name: &str, expect: &str| {
        let changed: Vec<_> =
            upstreams(pairs).into_iter().zip(&usual).filter(|(now, then)| now != *then).collect();
        assert_eq!(changed.len(), 1, "{pairs:?} {changed:?}");
        assert_eq!((changed[0].0.0, changed[0].0.1.as_str()), (name, expect), "{pairs:?}");
    };
    check(&[("DD_APM_TELEMETRY_ENABLED", "false")], "telemetry", "off");
    check(
        &[
            ("DD_APM_TELEMETRY_DD_URL", "http://t.test:8/x"),
            ("DD_APM_TELEMETRY_ADDITIONAL_ENDPOINTS", r#"{"https://u.test": ["a", "b"]}"#),
        ],
        "telemetry",
        "https://t.test:8 k, https://u.test a, https://u.test b",
    );
    check(&[("DD_APM_PROFILING_DD_URL", "http://p.test/x")], "profiles", "http://p.test/x k");
    check(
        &[
            ("DD_APM_PROFILING_SEND_TO_MAIN_ENDPOINT", "false"),
            ("DD_APM_PROFILING_ADDITIONAL_ENDPOINTS", r#"{"https://q.test/y": ["a"]}"#),
        ],
        "profiles",
        "https://q.test/y a",
    );
    check(&[("DD_APM_PROFILING_SEND_TO_MAIN_ENDPOINT", "false")], "profiles", "off");
    check(&[("DD_EVP_PROXY_CONFIG_ENABLED", "false")], "evp", "off");
    check(
        &[
            ("DD_EVP_PROXY_CONFIG_DD_URL", "https://e.test"),
            ("DD_EVP_PROXY_CONFIG_API_KEY", "own"),
            ("DD_EVP_PROXY_CONFIG_ADDITIONAL_ENDPOINTS", r#"{"f.test": ["a"]}"#),
        ],
        "evp",
        "e.test own, f.test a",
    );
    check(
        &[
            ("DD_APM_DEBUGGER_DD_URL", "d.test/x"),
            ("DD_APM_DEBUGGER_API_KEY", "own"),
            ("DD_APM_DEBUGGER_ADDITIONAL_ENDPOINTS", r#"{"https://e.test/x": ["a"]}"#),
        ],
        "logs",
        "https://d.test/x own, https://e.test/x a",
    );
    check(&[("DD_APM_DEBUGGER_DIAGNOSTICS_DD_URL", "http://d")], "debugger", "http://d k");
    check(&[("DD_APM_SYMDB_DD_URL", "http://d")], "symbols", "http://d k");
    check(&[("DD_OL_PROXY_CONFIG_ENABLED", "0")], "lineage", "off");
    check(
        &[("DD_OL_PROXY_CONFIG_DD_URL", "l.test"), ("DD_OL_PROXY_CONFIG_API_VERSION", "1")],
        "lineage",
        "https://data-obs-intake.l.test/api/v1/lineage k",
    );
    check(
        &[
            ("DD_OL_PROXY_CONFIG_DD_URL", "http://l.test/x"),
            ("DD_OL_PROXY_CONFIG_ADDITIONAL_ENDPOINTS", r#"{"m.test": ["a"]}"#),
        ],
        "lineage",
        "http://l.test/x?api-version=2 k, https://data-obs-intake.m.test/api/v1/lineage?api-version=2 a",
    );
    check(
        &[("DD_APM_ADDITIONAL_ENDPOINTS", r#"{"https://trace.agent.b.test": ["a"]}"#)],
        "streams",
        "https://trace.agent.dd.test/api/v0.1/pipeline_stats k, https://trace.agent.b.test/api/v0.1/pipeline_stats a",
    );
    check(&[("DD_USE_DOGSTATSD", "false")], "statsd", "off");
    check(&[("DD_DOGSTATSD_PORT", "0")], "statsd", "off");
    check(&[("DD_DOGSTATSD_PORT", "9125"), ("DD_BIND_HOST", "::1")], "statsd", "[::1]:9125");
}

#[test]
fn bounds_and_words_of_what_is_passed_on_can_be_set() {
    let bounds = |upstream: &Upstream| (upstream.body_bytes_max, upstream.timeout.as_secs());
    let profiles = |s: &Settings| bounds(s.proxy.profiles.as_ref().unwrap());
    let evp = |s: &Settings| bounds(s.proxy.evp.as_ref().unwrap());
    check("DD_APM_PROFILING_MAX_REQUEST_BYTES", "1000", profiles, (1000, 5));
    check("DD_APM_PROFILING_RECEIVER_TIMEOUT", "60", profiles, (52_428_800, 60));
    check("DD_EVP_PROXY_CONFIG_MAX_PAYLOAD_SIZE", "1000", evp, (1000, 30));
    check("DD_EVP_PROXY_CONFIG_RECEIVER_TIMEOUT", "0", evp, (10_485_760, 30));
    check("DD_APM_MAX_PAYLOAD_SIZE", "1000", |s| bounds(&s.proxy.symbols), (1000, 5));
    let tags = |s: &Settings| format!("{:?}", s.proxy.profile_tags);
    check("DD_APM_ADDITIONAL_PROFILE_TAGS", r#"{"a":1}"#, tags, r#"[("a", "1")]"#.to_owned());
    check(
        "DD_INSTRUMENTATION_INSTALL_TIME",
        "17",
        |s| s.proxy.install.as_ref().map(|install| install.time),
        Some(17),
    );
}

#[test]
fn further_destinations_that_cannot_be_used_are_said_without_their_keys() {
    let name = "DD_APM_ADDITIONAL_ENDPOINTS";
    check_bad(
        name,
        r#"{"https://a": 1}"#,
        "invalid DD_APM_ADDITIONAL_ENDPOINTS: its value is not a JSON object of addresses, each with a list of API keys, ignoring it",
    );
    let (settings, problems) = wrap(&[(name, r#"{"https://a": ["k3y"], "ftp://b": ["s3cret"]}"#)]);
    assert_eq!(settings.relay.traces.further.len(), 1);
    assert_eq!(
        problems,
        [
            "invalid DD_APM_ADDITIONAL_ENDPOINTS: its value has an entry whose address or API key can't be used, leaving that out"
        ]
    );
    assert!(!format!("{settings:?}").contains("k3y"));
}
