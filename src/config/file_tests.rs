//! Tables of files and what becomes of them, alone and beside variables.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::stat::Mode as FileMode;
use proptest::prelude::*;

use super::file::File;
use super::file_values::VALUES;
use super::keys::{self, Key};
use super::{Env, Mode, Settings, read, unsupported};

const PATH: &str = "/conf/datadog.yaml";

/// The settings of variables and a file, and the problems as text.
fn of(pairs: &[(&str, &str)], yaml: &str) -> (Settings, Vec<String>) {
    let mut env = Env::of(pairs);
    env.file = Some(File::of(PATH, yaml).unwrap());
    let (settings, problems) = read(&env, Mode::Wrapper);
    (settings, problems.iter().map(ToString::to_string).collect())
}

/// `value` under a key with dots.
fn under(key: &str, value: &str) -> String {
    let mut text = String::new();
    let names: Vec<&str> = key.split('.').collect();
    for (depth, name) in names.iter().enumerate() {
        write!(text, "\n{}{name}:", "  ".repeat(depth)).unwrap();
    }
    format!("{text} {value}\n")
}

/// All of them as text, what is secret too; not the place where a value stood.
fn shown(settings: &Settings) -> String {
    let mut settings = settings.clone();
    if let Some(file) = &mut settings.hostname_file {
        file.place.clear();
    }
    let relay = &settings.relay;
    let intakes = [&relay.traces, &relay.metrics, &relay.logs];
    let key = intakes.map(|intake| intake.api_key.as_ref().map(|key| key.expose()));
    let copies =
        intakes.into_iter().flat_map(|intake| intake.further.iter().chain(&intake.best_effort));
    let proxies =
        [&relay.proxy_http, &relay.proxy_https].map(|url| url.as_ref().map(|url| url.expose()));
    let proxy = &settings.proxy;
    let upstreams = [&proxy.telemetry, &proxy.profiles, &proxy.evp, &proxy.lineage];
    let always = [&proxy.debugger_logs, &proxy.debugger, &proxy.symbols, &proxy.pipeline_stats];
    let upstreams = upstreams.into_iter().flatten().chain(always);
    let further = upstreams.flat_map(|upstream| &upstream.destinations).chain(copies);
    let keys: Vec<&str> = further.map(|to| to.api_key.expose()).collect();
    let sources = settings.sources_of_keys();
    format!("{settings:?} {key:?} {proxies:?} {keys:?} {sources:?}")
}

/// A key whose value changes nothing.
const WITHOUT_EFFECT: &str = "apm_config.disable_rare_sampler";

/// Variables without which some settings have no effect.
const BASE: &[(&str, &str)] = &[
    ("DD_APM_ENABLE_RARE_SAMPLER", "true"),
    ("DD_APM_PROBABILISTIC_SAMPLER_ENABLED", "true"),
    ("DD_INSTRUMENTATION_INSTALL_ID", "i"),
    ("DD_APM_NET_RECEIVER_FD", "7"),
    ("DD_API_KEY", "base"),
    ("DD_OTLP_CONFIG_RECEIVER_PROTOCOLS_GRPC_ENDPOINT", "localhost:4317"),
    ("DD_LOGS_CONFIG_AUTO_MULTI_LINE_DETECTION", "false"),
    ("DD_LOGS_CONFIG_DD_URL", "logs.test"),
    ("DD_STATSD_FORWARD_HOST", "statsd.test"),
    ("DD_STATSD_FORWARD_PORT", "9"),
    ("DD_HISTOGRAM_COPY_TO_DISTRIBUTION", "true"),
    ("DD_SERVERLESS_LOG_PATH", "/logs/a.log"),
];

/// Keys that have an effect only together, and are tried so.
const TOGETHER: [[&str; 2]; 2] = [
    ["observability_pipelines_worker.traces.enabled", "observability_pipelines_worker.traces.url"],
    ["vector.traces.enabled", "vector.traces.url"],
];

/// A key that has an effect only beside this variable, which takes the effect of others away.
const BESIDE: (&str, (&str, &str)) =
    ("logs_config.compression_level", ("DD_LOGS_CONFIG_COMPRESSION_KIND", "gzip"));

/// A key that has an effect only without this variable.
const WITHOUT: (&str, &str) = ("api_key_file", "DD_API_KEY");

fn all_keys() -> impl Iterator<Item = &'static Key> {
    keys::ALL.iter().flat_map(|(_, keys)| keys.iter().copied())
}

#[test]
fn every_key_counts_in_the_file_as_in_its_variable_and_the_variable_first() {
    let names: Vec<&str> = VALUES.iter().map(|(yaml, ..)| *yaml).collect();
    for key in all_keys() {
        let is_tried =
            |yaml: &&&str| **yaml != WITHOUT_EFFECT && !TOGETHER.as_flattened().contains(yaml);
        for yaml in key.yaml.iter().filter(is_tried) {
            assert_eq!(names.iter().filter(|name| *name == yaml).count(), 1, "{yaml}");
        }
    }
    for &(yaml, text, same, other) in VALUES {
        let key = all_keys().find(|key| key.yaml.contains(&yaml)).expect(yaml);
        let beside = (yaml == BESIDE.0).then_some(BESIDE.1);
        let base = BASE.iter().copied().chain(beside);
        let is_left = |name: &str| !key.names.contains(&name) && (yaml, name) != WITHOUT;
        let base: Vec<_> = base.filter(|(name, _)| is_left(name)).collect();
        let set = |pairs: &[(&str, &str)], file: &str| {
            let (settings, problems) = of(&[&base, pairs].concat(), file);
            assert!(problems.is_empty(), "{yaml}: {problems:?}");
            shown(&settings)
        };
        let expect = set(&[(key.names[0], text)], "");
        assert_ne!(expect, set(&[], ""), "{yaml}: the value is the default");
        assert_eq!(expect, set(&[], &under(yaml, same)), "{yaml}: {same}");
        assert_ne!(expect, set(&[], &under(yaml, other)), "{yaml}: {other}");
        for name in key.names {
            let both = set(&[(name, text)], &under(yaml, other));
            assert_eq!(expect, both, "{name} and {yaml}");
        }
    }
}

#[test]
fn keys_that_have_an_effect_only_together_count_in_the_file_as_in_their_variables() {
    for keys in TOGETHER {
        let names = keys.map(|yaml| all_keys().find(|key| key.yaml == [yaml]).unwrap().names[0]);
        let in_file = |url: &str| {
            let file = under(keys[0], "true");
            format!("{file}{}", under(keys[1], url).lines().last().unwrap())
        };
        let look = |(settings, problems): (Settings, Vec<String>)| {
            assert!(problems.is_empty(), "{keys:?}: {problems:?}");
            shown(&settings)
        };
        let base = ("DD_API_KEY", "base");
        let expect = look(of(&[base, (names[0], "true"), (names[1], "http://w:1")], ""));
        assert_eq!(look(of(&[base], &in_file("http://w:1"))), expect, "{keys:?}");
        assert_ne!(look(of(&[base], &in_file("http://w:2"))), expect, "{keys:?}");
        assert_ne!(look(of(&[base], "")), expect, "{keys:?}");
        assert_eq!(look(of(&[base, (names[1], "http://w:1")], &in_file("http://w:2"))), expect);
        // A variable that turns it off counts before the file that turns it on.
        assert_eq!(
            look(of(&[base, (names[0], "false")], &in_file("http://w:1"))),
            look(of(&[base], ""))
        );
    }
}

#[test]
fn a_blank_variable_leaves_the_setting_to_the_file() {
    let port = |pairs: &[(&str, &str)], file| of(pairs, file).0.intake.port;
    let file = "apm_config: {receiver_port: 9126}";
    assert_eq!(port(&[("DD_APM_RECEIVER_PORT", " ")], file), 9126);
    assert_eq!(port(&[("DD_APM_RECEIVER_PORT", "")], "apm_config: {receiver_port: }"), 8126);
    // A wrong variable is not mended by the file.
    let (settings, problems) = of(&[("DD_APM_RECEIVER_PORT", "x")], file);
    assert_eq!((settings.intake.port, problems.len()), (8126, 1));
}

#[test]
fn the_first_of_several_keys_counts() {
    let file = "env: two\napi_key: k2\napm_config:\n  env: one\n  api_key: k1\n  target_traces_per_second: 1\n  max_traces_per_second: 2\n";
    let (settings, problems) = of(&[], file);
    assert!(problems.is_empty(), "{problems:?}");
    assert_eq!(settings.pipeline.env, "one");
    assert_eq!(settings.relay.traces.api_key.unwrap().expose(), "k1");
    assert_eq!(settings.pipeline.sampling.target_tps.to_string(), "1");
}

#[test]
fn a_bad_value_is_said_with_its_key_and_file() {
    for (file, expect) in [
        (
            "apm_config: {receiver_port: 80000}",
            "invalid apm_config.receiver_port in /conf/datadog.yaml: \"80000\" is not a port between 0 and 65535, using 8126",
        ),
        (
            "apm_config: {enabled: [true]}",
            "invalid apm_config.enabled in /conf/datadog.yaml: \"[\\\"true\\\"]\" is neither true nor false, using true",
        ),
        (
            "tags: [{env: prod}]",
            "invalid tags in /conf/datadog.yaml: \"[{\\\"env\\\":\\\"prod\\\"}]\" is not a list of texts such as [\"a\", \"b\"], ignoring it",
        ),
        (
            "apm_config: {ignore_resources: {a: b}}",
            "invalid apm_config.ignore_resources in /conf/datadog.yaml: \"{\\\"a\\\":\\\"b\\\"}\" is not a list of texts such as [\"a\", \"b\"], ignoring it",
        ),
        (
            "apm_config:\n  replace_tags:\n    - name: a\n",
            "invalid apm_config.replace_tags in /conf/datadog.yaml: \"[{\\\"name\\\":\\\"a\\\"}]\" has no text \"pattern\" in rule 1, ignoring it",
        ),
        (
            "apm_config: {analyzed_spans: {web: 1}}",
            "invalid apm_config.analyzed_spans in /conf/datadog.yaml: \"{\\\"web\\\":\\\"1\\\"}\" is not of the form service|operation=rate,…, ignoring it",
        ),
        (
            "api_key: ENC[my_key]",
            "invalid api_key in /conf/datadog.yaml: its value needs DD_SECRET_BACKEND_COMMAND, which is not set, sending nothing",
        ),
        (
            "api_key: [s3cr3t]",
            "invalid api_key in /conf/datadog.yaml: its value is no text, sending nothing",
        ),
        (
            "proxy: {https: ftp://me:s3cr3t@proxy}",
            "invalid proxy.https in /conf/datadog.yaml: \"ftp://***@proxy\" is not an http or https proxy such as http://user:password@host:port, using no proxy",
        ),
    ] {
        let (settings, problems) = of(&[], file);
        assert_eq!(problems, [expect], "{file}");
        assert_eq!(shown(&settings), shown(&of(&[], "").0), "{file}");
    }
}

#[test]
fn what_has_no_effect_is_said_in_a_line_and_what_is_misspelt_in_another() {
    let file = "\
hostname_fqdn: true
process_config: {enabled: true, apm_config: {x: y}}
otlp_config: {grpc_port: 4317, receiver: {protocols: {grpc: {endpoint: 'localhost:4317'}}}}
apm_config:
  log_file: /var/log/x
  max_memory: 0
  debug: {port: 5012, colour: red}
  instrumentation: {enabled: true, targets: [{name: a}], lib_versions: {}}
  trace_writer: {connection_limit: 5}
  recieve_port: 1
  receiver_socket: ''
  obfuscation: {redis: {enabled: true, keep: x}}
  filter_tags: [a]
  nothing:
";
    let (_, problems) = of(&[("DD_APM_MAX_CPU_PERCENT", "50")], file);
    assert_eq!(
        problems,
        [
            "not supported, ignored: DD_APM_MAX_CPU_PERCENT; the table of such settings in the README says why",
            "not supported in /conf/datadog.yaml, ignored: apm_config.debug.port, apm_config.instrumentation.enabled, apm_config.instrumentation.targets, \
             apm_config.log_file, apm_config.trace_writer.connection_limit, hostname_fqdn, otlp_config.grpc_port; the table of \
             such settings in the README says why",
            "unknown in /conf/datadog.yaml, ignored: apm_config.debug.colour, apm_config.filter_tags, apm_config.obfuscation.redis.keep, \
             apm_config.recieve_port; check the spelling",
        ]
    );
}

#[test]
fn every_setting_of_the_agent_is_honoured_or_listed() {
    for line in include_str!("agent_settings.txt").lines() {
        let mut words = line.split_whitespace();
        let yaml = words.next().unwrap();
        let variables: Vec<&str> = words.collect();
        match all_keys().find(|key| key.yaml.contains(&yaml)) {
            Some(key) => {
                assert!(variables.iter().all(|name| key.names.contains(name)), "{line}")
            }
            None if variables.is_empty() => {
                assert!(unsupported::find(yaml).is_some(), "{line} is neither honoured nor listed")
            }
            None => {
                for name in variables {
                    assert!(
                        unsupported::find(name).is_some(),
                        "{name} is neither honoured nor listed"
                    );
                    let (_, problems) = of(&[], &under(yaml, "x"));
                    assert!(problems.len() == 1 && problems[0].contains(yaml), "{problems:?}");
                }
            }
        }
    }
}

#[test]
fn no_file_stops_or_delays_anything() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    nix::unistd::mkfifo(&path("fifo"), FileMode::S_IRWXU).unwrap();
    fs::create_dir(path("empty")).unwrap();
    fs::write(path("huge"), "#\n".repeat(600_000)).unwrap();
    fs::write(path("large"), "# a comment\n".repeat(80_000) + "site: datadoghq.eu").unwrap();
    fs::write(path("broken"), "api_key: s3cr3t\nsite: [datadoghq.eu").unwrap();
    fs::write(path("binary"), [0xff, 0xfe, 0, 1]).unwrap();
    fs::write(path("list"), "- a").unwrap();
    let start = Instant::now();
    for (name, expect) in [
        ("fifo", Some("is no regular file: its settings are not used; mend it, or DD_CONF_PATH")),
        ("empty", Some("has no datadog.yaml that can be used (No such file or directory): ")),
        ("huge", Some("is larger than 1048576 bytes: ")),
        ("large", None),
        ("broken", Some("is not valid YAML (")),
        ("binary", Some("is not text in UTF-8: ")),
        ("list", Some("is not a map of settings: ")),
        ("missing", Some("can't be read (No such file or directory): ")),
    ] {
        let path = path(name);
        let env = Env::of(&[("DD_CONF_PATH", path.to_str().unwrap())]).with_file();
        let (settings, problems) = read(&env, Mode::Wrapper);
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        match expect {
            Some(expect) => {
                assert_eq!(problems.len(), 1, "{problems:?}");
                let begin = format!("{} {expect}", path.display());
                assert!(problems[0].starts_with(&begin), "{problems:?}");
                assert!(!problems[0].contains("s3cr3t"), "{problems:?}");
                assert_eq!(shown(&settings), shown(&of(&[], "").0));
            }
            None => {
                assert!(problems.is_empty(), "{problems:?}");
                assert_eq!(settings.relay.traces.url, "https://trace.agent.datadoghq.eu");
            }
        }
    }
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[test]
fn no_printed_form_of_a_file_has_a_secret_in_it() {
    let file = "api_key: s3cr3t-value\nproxy: {https: 'http://me:s3cr3t-value@p:1'}";
    let mut env = Env::of(&[("DD_ENV", "x")]);
    env.file = Some(File::of(PATH, file).unwrap());
    let (settings, problems) = read(&env, Mode::Wrapper);
    assert_eq!(settings.relay.traces.api_key.as_ref().unwrap().expose(), "s3cr3t-value");
    let all = format!("{settings:?} {settings:#?} {problems:?} {env:?}");
    assert!(!all.contains("s3cr3t"), "{all}");
    assert!(format!("{env:?}").contains(PATH) && Path::new(PATH).is_absolute());
}

proptest! {
    #[test]
    fn whatever_a_file_holds_there_are_settings(
        key in any::<prop::sample::Index>(),
        value in "[a-z0-9.:/@\\[\\]{},\" '*#-]{0,14}|\\PC{0,9}",
        variables in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let keys: Vec<&str> = all_keys().flat_map(|key| key.yaml).copied().collect();
        let names: Vec<&str> = all_keys().flat_map(|key| key.names).copied().collect();
        let pairs: Vec<(&str, &str)> = variables.iter().map(|name| (*name.get(&names), "1")).collect();
        let mut env = Env::of(&pairs);
        let key = *key.get(&keys);
        env.file = File::of(PATH, &under(key, &value)).ok();
        let (settings, _) = read(&env, Mode::Sidecar);
        prop_assert!(!settings.intake.hosts.is_empty() && !settings.pipeline.env.is_empty());
        prop_assert!(settings.relay.traces.url.starts_with("http") && settings.stop_timeout <= Duration::from_secs(3600));
    }
}
