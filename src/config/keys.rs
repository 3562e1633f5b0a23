//! Every setting, with its variables, its keys in `datadog.yaml` and what it means: the settings table of the README is made of this file and of
//! those that it names.

use super::{
    child, connecting, dogstatsd, filtering, identity, log_files, logs, multi_line, obfuscation,
    otlp, platform, proxy_keys, report, secrets, sending, usage, worker,
};

/// A setting.
#[derive(Debug)]
pub struct Key {
    /// The variable, then other names for it; the first that has a value counts.
    pub names: &'static [&'static str],
    /// Its keys in `datadog.yaml`, with those above them between dots; the first that is there counts, where no variable is set.
    pub yaml: &'static [&'static str],
    /// What holds where it is not set or not valid; empty for "nothing".
    pub default: &'static str,
    /// Meaning, edge values and who should change it, in the README's words.
    pub meaning: &'static str,
}

/// Settings that belong together, and the heading over them.
pub type Group = (&'static str, &'static [&'static Key]);

/// All settings in the order of the README.
pub const ALL: &[Group] = &[
    (
        "Where traces go",
        &[
            &API_KEY,
            &secrets::API_KEY_FILE,
            &secrets::COMMAND,
            &secrets::ARGUMENTS,
            &secrets::TIMEOUT,
            &secrets::OUTPUT_BYTES,
            &SITE,
            &TRACE_URL,
            &FURTHER,
            &worker::ENABLED,
            &worker::URL,
            &worker::VECTOR_ENABLED,
            &worker::VECTOR_URL,
            &PROXY_HTTPS,
            &PROXY_HTTP,
            &NO_PROXY,
            &CA_FILE,
            &SKIP_TLS_CHECK,
            &connecting::TLS_MIN,
            &connecting::TIMEOUT,
            &connecting::RESET_INTERVAL,
            &COMPRESSION,
            &QUEUE_BYTES,
            &FLUSH_INTERVAL,
        ],
    ),
    (
        "What traces say",
        &[
            &ENV,
            &HOSTNAME,
            &identity::HOSTNAME_FILE,
            &TAGS,
            &EXTRA_TAGS,
            &identity::APM_MODE,
            &identity::INSTALL_ID,
            &identity::INSTALL_TYPE,
            &identity::INSTALL_TIME,
        ],
    ),
    (
        "Where the app's tracer connects",
        &[
            &ENABLED,
            &RECEIVER_ENABLED,
            &PORT,
            &SOCKET,
            &BIND_HOST,
            &NON_LOCAL,
            &CONNECTIONS,
            &connecting::CONNECTIONS_MAX,
            &RECEIVE_TIMEOUT,
            &BODY_BYTES,
            &connecting::ACTIVATION,
            &connecting::TCP_DESCRIPTOR,
            &connecting::UNIX_DESCRIPTOR,
        ],
    ),
    ("Where OpenTelemetry's SDKs connect", otlp::ALL),
    (
        "Sampling and stats",
        &[
            &TARGET_TPS,
            &ERROR_TPS,
            &RARE_SAMPLER,
            &RARE_SAMPLER_OFF,
            &RARE_SAMPLER_TPS,
            &RARE_SAMPLER_COOLDOWN,
            &RARE_SAMPLER_CARDINALITY,
            &PROBABILISTIC_SAMPLER,
            &PROBABILISTIC_PERCENTAGE,
            &PROBABILISTIC_SEED,
            &ERRORS_ALONE,
            &ANALYZED_SPANS,
            &MAX_EPS,
            &SERVICES,
            &STATS_BY_SPAN_KIND,
            &PEER_TAGS_AGGREGATION,
            &PEER_TAGS,
            &PRIMARY_TAGS,
            &CLIENT_STATS_INTERVAL,
            &STATS_DISABLED,
            &FEATURES,
        ],
    ),
    ("Where metrics go", sending::METRICS),
    ("Where logs go", sending::LOGS),
    ("Logs", logs::ALL),
    ("Logs in files", log_files::ALL),
    ("Which lines are one message", multi_line::ALL),
    ("What is dropped and replaced", filtering::KEYS),
    ("What is hidden", obfuscation::KEYS),
    proxy_keys::GROUP,
    dogstatsd::GROUP,
    (
        "The wrapper itself",
        &[
            &CONF_PATH,
            &VIEW,
            &STOP_TIMEOUT,
            &child::HIDE_API_KEY,
            &report::EXIT_REPORT,
            &report::TRACE_ENABLED,
            &usage::ENHANCED_METRICS,
            &platform::HEALTH_PORT,
            &platform::AZURE_SUBSCRIPTION,
            &platform::AZURE_RESOURCE_GROUP,
            &LOG_LEVEL,
            &NO_COLOUR,
            &TERMINAL,
        ],
    ),
];

/// The API key.
pub const API_KEY: Key = Key {
    names: &["DD_API_KEY"],
    yaml: &["apm_config.api_key", "api_key"],
    default: "",
    meaning: "The key of your Datadog organisation. Without it nothing is sent and the app runs on. Take it from a secret of the platform; it is \
              never printed. `ENC[name]`, here and wherever else an API key may stand, is one that `DD_SECRET_BACKEND_COMMAND` knows.",
};
/// The site.
pub const SITE: Key = Key {
    names: &["DD_SITE"],
    yaml: &["site"],
    default: "datadoghq.com",
    meaning: "The Datadog site of that organisation, such as `datadoghq.eu` or `us5.datadoghq.com`. A key of another site is refused.",
};
/// Another trace intake.
pub const TRACE_URL: Key = Key {
    names: &["DD_APM_DD_URL"],
    yaml: &["apm_config.apm_dd_url"],
    default: "https://trace.agent.<DD_SITE>",
    meaning: "Another trace intake, for a relay of your own or a test; `http://` is allowed, a missing scheme is `https://`.",
};
/// Further trace intakes.
pub const FURTHER: Key = Key {
    names: &["DD_APM_ADDITIONAL_ENDPOINTS"],
    yaml: &["apm_config.additional_endpoints"],
    default: "{}",
    meaning: "Further intakes that get a copy of all traces and stats: a JSON object of addresses, each with a list of API keys, such as \
              `{\"https://trace.agent.datadoghq.eu\": [\"key\"]}`. `DD_API_KEY` has to be set, too.",
};
/// The proxy for https.
pub const PROXY_HTTPS: Key = Key {
    names: &["DD_PROXY_HTTPS", "HTTPS_PROXY", "https_proxy"],
    yaml: &["proxy.https"],
    default: "",
    meaning: "The proxy for https intakes, `http://user:password@host:port`. For networks that allow no direct way out.",
};
/// The proxy for http.
pub const PROXY_HTTP: Key = Key {
    names: &["DD_PROXY_HTTP", "HTTP_PROXY", "http_proxy"],
    yaml: &["proxy.http"],
    default: "",
    meaning: "The proxy for http intakes, that is for a `DD_APM_DD_URL` with `http://`.",
};
/// Hosts without a proxy.
pub const NO_PROXY: Key = Key {
    names: &["DD_PROXY_NO_PROXY", "NO_PROXY", "no_proxy"],
    yaml: &["proxy.no_proxy"],
    default: "",
    meaning: "Hosts to reach without the proxy, between commas or spaces: a host and its subdomains, `.suffix`, an IP address, a CIDR block, \
              `*`.",
};
/// Further certificates.
pub const CA_FILE: Key = Key {
    names: &["DD_TLS_CA_CERT", "DD_TLS_CERT_FILE", "SSL_CERT_FILE"],
    yaml: &["tls_ca_cert"],
    default: "",
    meaning: "A PEM file of certificates to trust beside the built-in ones, for a proxy that opens TLS. Read when the first connection is made.",
};
/// No certificate check.
pub const SKIP_TLS_CHECK: Key = Key {
    names: &["DD_SKIP_SSL_VALIDATION"],
    yaml: &["skip_ssl_validation"],
    default: "false",
    meaning: "Accept any certificate. For tests: with it, anyone on the way can read the API key.",
};
/// Compression of traces.
pub const COMPRESSION: Key = Key {
    names: &["DD_PILLION_COMPRESSION"],
    yaml: &["pillion.compression"],
    default: "zstd",
    meaning: "`zstd`, `gzip` or `none` for traces. Change it only for an intake of your own that does not take zstd.",
};
/// The relay's queue.
pub const QUEUE_BYTES: Key = Key {
    names: &["DD_PILLION_QUEUE_BYTES"],
    yaml: &["pillion.queue_bytes"],
    default: "32MiB",
    meaning: "Memory for what waits to be sent while the intake is slow or down, as bytes or with `KiB`, `MiB`, `GiB`; at least 4 MiB. When it is \
              full the oldest goes, and is counted. Raise it to outlast longer outages. Traces, metrics and logs share it: where they need all of \
              it, traces have half and the others a quarter each. Additional intakes share it, too, and make it at least 4 MiB for each.",
};
/// The time between flushes.
pub const FLUSH_INTERVAL: Key = Key {
    names: &["DD_PILLION_FLUSH_INTERVAL"],
    yaml: &["pillion.flush_interval"],
    default: "3s",
    meaning: "How long traces wait for others before they are sent, from `100ms` to `60s`. Longer means fewer requests; what waits is lost if the \
              container is killed without a TERM.",
};
/// The env.
pub const ENV: Key = Key {
    names: &["DD_APM_ENV", "DD_ENV"],
    yaml: &["apm_config.env", "env"],
    default: "none",
    meaning: "The env of spans that name none (tracers read `DD_ENV` too and normally name it). Else an `env:` tag of `DD_TAGS`.",
};
/// The host name.
pub const HOSTNAME: Key = Key {
    names: &["DD_HOSTNAME"],
    yaml: &["hostname"],
    default: "none",
    meaning: "The host that traces are shown under. `none` is no host, as it should be where containers come and go.",
};
/// Tags.
pub const TAGS: Key = Key {
    names: &["DD_TAGS"],
    yaml: &["tags"],
    default: "",
    meaning: "`key:value` tags, between commas (or spaces, where there is no comma) or as a JSON array, for every span that lacks the key. \
              With those of `DD_EXTRA_TAGS` the first 64 count.",
};
/// More tags.
pub const EXTRA_TAGS: Key = Key {
    names: &["DD_EXTRA_TAGS"],
    yaml: &["extra_tags"],
    default: "",
    meaning: "Like `DD_TAGS`; wins where both have a key. For a platform that adds to what the image says.",
};
/// APM on or off.
pub const ENABLED: Key = Key {
    names: &["DD_APM_ENABLED"],
    yaml: &["apm_config.enabled"],
    default: "true",
    meaning: "`false`: nothing listens and nothing is sent; the app is only wrapped.",
};
/// The receiver on or off.
pub const RECEIVER_ENABLED: Key = Key {
    names: &["DD_APM_RECEIVER_ENABLED"],
    yaml: &["apm_config.receiver_enabled"],
    default: "true",
    meaning: "`false`: nothing listens for tracers; OTLP does where it is asked for.",
};
/// The port.
pub const PORT: Key = Key {
    names: &["DD_APM_RECEIVER_PORT", "DD_RECEIVER_PORT"],
    yaml: &["apm_config.receiver_port"],
    default: "8126",
    meaning: "The TCP port for traces; 0 switches TCP off. Change it where something else has the port, and point the tracer there \
              (`DD_TRACE_AGENT_PORT`).",
};
/// The unix socket.
pub const SOCKET: Key = Key {
    names: &["DD_APM_RECEIVER_SOCKET"],
    yaml: &["apm_config.receiver_socket"],
    default: "",
    meaning: "The path of a unix socket to listen on as well, such as `/var/run/datadog/apm.socket`, which tracers find by themselves.",
};
/// The address to listen on.
pub const BIND_HOST: Key = Key {
    names: &["DD_BIND_HOST"],
    yaml: &["bind_host"],
    default: "localhost",
    meaning: "The address to listen on: an IP address, `localhost` or `0.0.0.0`.",
};
/// All interfaces.
pub const NON_LOCAL: Key = Key {
    names: &["DD_APM_NON_LOCAL_TRAFFIC"],
    yaml: &["apm_config.apm_non_local_traffic"],
    default: "false (true as a sidecar)",
    meaning: "Listen on all interfaces, whatever `DD_BIND_HOST` says. For tracers in other containers.",
};
/// Connections.
pub const CONNECTIONS: Key = Key {
    names: &["DD_APM_CONNECTION_LIMIT", "DD_CONNECTION_LIMIT"],
    yaml: &["apm_config.connection_limit"],
    default: "2000",
    meaning: "Connections from tracers at once; further ones wait.",
};
/// The time that a request may take to arrive.
pub const RECEIVE_TIMEOUT: Key = Key {
    names: &["DD_APM_RECEIVER_TIMEOUT"],
    yaml: &["apm_config.receiver_timeout"],
    default: "5",
    meaning: "Seconds that a request may take to arrive; 0 means the default.",
};
/// Bytes of a body.
pub const BODY_BYTES: Key = Key {
    names: &["DD_APM_MAX_PAYLOAD_SIZE"],
    yaml: &["apm_config.max_payload_size"],
    default: "25MiB",
    meaning: "Bytes of one request; a larger one is refused with 413. Raise it only if the tracer logs such refusals.",
};
/// Target of the samplers.
pub const TARGET_TPS: Key = Key {
    names: &["DD_APM_TARGET_TPS", "DD_APM_MAX_TPS", "DD_MAX_TPS"],
    yaml: &["apm_config.target_traces_per_second", "apm_config.max_traces_per_second"],
    default: "10",
    meaning: "Traces per second to aim at when sampling. Raise it to keep more of a busy app's traces, at Datadog's price.",
};
/// Target of the errors sampler.
pub const ERROR_TPS: Key = Key {
    names: &["DD_APM_ERROR_TPS"],
    yaml: &["apm_config.errors_per_second"],
    default: "10",
    meaning: "Traces with errors per second to keep of those that sampling would drop; 0 for none.",
};
/// The rare sampler on or off.
pub const RARE_SAMPLER: Key = Key {
    names: &["DD_APM_ENABLE_RARE_SAMPLER"],
    yaml: &["apm_config.enable_rare_sampler"],
    default: "false",
    meaning: "Keep a trace of each kind of span (service, name, resource, error) that was not seen for a while, whatever sampling says.",
};
/// The rare sampler's former switch.
pub const RARE_SAMPLER_OFF: Key = Key {
    names: &["DD_APM_DISABLE_RARE_SAMPLER"],
    yaml: &["apm_config.disable_rare_sampler"],
    default: "",
    meaning: "Has no effect any more, nor in Datadog's agent: `DD_APM_ENABLE_RARE_SAMPLER` decides.",
};
/// The rate of the rare sampler.
pub const RARE_SAMPLER_TPS: Key = Key {
    names: &["DD_APM_RARE_SAMPLER_TPS"],
    yaml: &["apm_config.rare_sampler.tps"],
    default: "5",
    meaning: "Such traces per second at the most, beside a burst of 50.",
};
/// The time of the rare sampler.
pub const RARE_SAMPLER_COOLDOWN: Key = Key {
    names: &["DD_APM_RARE_SAMPLER_COOLDOWN"],
    yaml: &["apm_config.rare_sampler.cooldown"],
    default: "5m",
    meaning: "The while: after that time a kind of span is rare again.",
};
/// The bound of the rare sampler.
pub const RARE_SAMPLER_CARDINALITY: Key = Key {
    names: &["DD_APM_RARE_SAMPLER_CARDINALITY"],
    yaml: &["apm_config.rare_sampler.cardinality"],
    default: "200",
    meaning: "Kinds of spans told apart in each service, up to 65,536. Raise it for services with more resources than that.",
};
/// The probabilistic sampler on or off.
pub const PROBABILISTIC_SAMPLER: Key = Key {
    names: &["DD_APM_PROBABILISTIC_SAMPLER_ENABLED"],
    yaml: &["apm_config.probabilistic_sampler.enabled"],
    default: "false",
    meaning: "Keep a fixed share of all traces, chosen by trace id, instead of what the tracers choose; errors and rare traces beside it.",
};
/// The share of the probabilistic sampler.
pub const PROBABILISTIC_PERCENTAGE: Key = Key {
    names: &["DD_APM_PROBABILISTIC_SAMPLER_SAMPLING_PERCENTAGE"],
    yaml: &["apm_config.probabilistic_sampler.sampling_percentage"],
    default: "0",
    meaning: "That share in percent, such as `12.5`.",
};
/// The seed of the probabilistic sampler.
pub const PROBABILISTIC_SEED: Key = Key {
    names: &["DD_APM_PROBABILISTIC_SAMPLER_HASH_SEED"],
    yaml: &["apm_config.probabilistic_sampler.hash_seed"],
    default: "0",
    meaning: "A number that changes which traces are chosen. Give the same one to all agents and collectors that see a trace.",
};
/// Errors alone.
pub const ERRORS_ALONE: Key = Key {
    names: &["DD_APM_ERROR_TRACKING_STANDALONE_ENABLED"],
    yaml: &["apm_config.error_tracking_standalone.enabled"],
    default: "false",
    meaning: "For Error Tracking without APM: only traces with errors count, at `DD_APM_ERROR_TPS`; the others are marked as dropped.",
};
/// Analysed spans.
pub const ANALYZED_SPANS: Key = Key {
    names: &["DD_APM_ANALYZED_SPANS"],
    yaml: &["apm_config.analyzed_spans"],
    default: "",
    meaning: "Spans to keep as analytics events whatever becomes of their traces, as `service\\|operation=rate` between commas, with rates up \
              to 1. The older way: prefer single span sampling in the tracer (`DD_SPAN_SAMPLING_RULES`).",
};
/// Analytics events per second.
pub const MAX_EPS: Key = Key {
    names: &["DD_APM_MAX_EPS", "DD_MAX_EPS"],
    yaml: &["apm_config.max_events_per_second"],
    default: "200",
    meaning: "Analytics events per second at the most.",
};
/// Services with a rate.
pub const SERVICES: Key = Key {
    names: &["DD_APM_MAX_CATALOG_SERVICES"],
    yaml: &["apm_config.max_catalog_services", "apm_config.max_catalog_entries"],
    default: "5000",
    meaning: "Services, in each of their envs, that tracers are told sampling rates of, up to 65,536; those not seen for longest are \
              forgotten first. 0 means the default.",
};
/// Stats by span kind.
pub const STATS_BY_SPAN_KIND: Key = Key {
    names: &["DD_APM_COMPUTE_STATS_BY_SPAN_KIND"],
    yaml: &["apm_config.compute_stats_by_span_kind"],
    default: "true",
    meaning: "Stats for spans of kind server, client, producer and consumer too, not only for the entry spans of a service.",
};
/// Peer tags in stats.
pub const PEER_TAGS_AGGREGATION: Key = Key {
    names: &["DD_APM_PEER_TAGS_AGGREGATION", "DD_APM_PEER_SERVICE_AGGREGATION"],
    yaml: &["apm_config.peer_tags_aggregation", "apm_config.peer_service_aggregation"],
    default: "true",
    meaning: "Stats of outgoing calls by what they call (database, queue, host). `false` makes fewer groups.",
};
/// Further peer tags.
pub const PEER_TAGS: Key = Key {
    names: &["DD_APM_PEER_TAGS"],
    yaml: &["apm_config.peer_tags"],
    default: "[]",
    meaning: "Further tags that name what is called, as a JSON array or between commas.",
};
/// Tags that stats are grouped by.
pub const PRIMARY_TAGS: Key = Key {
    names: &["DD_APM_SPAN_DERIVED_PRIMARY_TAGS"],
    yaml: &["apm_config.span_derived_primary_tags"],
    default: "[]",
    meaning: "Span tags that stats are grouped by beside service and resource, as a JSON array or between commas: those with few values.",
};
/// The time between looks at client stats.
pub const CLIENT_STATS_INTERVAL: Key = Key {
    names: &["DD_APM_CLIENT_STATS_FLUSH_INTERVAL"],
    yaml: &["apm_config.client_stats_flush_interval"],
    default: "1",
    meaning: "Stats that tracers compute themselves are added up and leave when they are complete, which is looked at after so many seconds, \
              from 1 to 60. Longer means fewer requests.",
};
/// No stats.
pub const STATS_DISABLED: Key = Key {
    names: &["DD_SERVERLESS_INIT_DISABLE_TRACE_STATS"],
    yaml: &[],
    default: "false",
    meaning: "Compute no stats. Datadog's request and error rates then count sampled traces alone.",
};
/// The agent's feature flags.
pub const FEATURES: Key = Key {
    names: &["DD_APM_FEATURES"],
    yaml: &["apm_config.features"],
    default: "",
    meaning: "Flags of the agent, between commas: `component2name` names spans by their `component` tag, `big_resource` allows resources of \
              15,000 bytes instead of 5,000, `probabilistic_sampler_full_trace_id` chooses by all 128 bits of the trace id, \
              `error_rare_sample_tracer_drop` lets errors and rare traces be kept that the tracer (not the user) dropped with a negative \
              priority; `disable-convert-traces` sends traces in the agent's older form; for OTLP `enable_otlp_compute_top_level_by_span_kind`, `disable_otel_scope_convention` and \
              `disable_operation_and_resource_name_logic_v2`; for SQL `table_names` adds the tables of a query as `sql.tables`, `replace_sql_digits` (or `quantize_sql_tables`) hides \
              digits in names, `keep_sql_alias` keeps `AS name`, `dollar_quoted_func` reads `$func$…$func$` as a query, `sqllexer` makes \
              `obfuscate_only` the default mode. Others have no effect.",
};
/// The settings file.
pub const CONF_PATH: Key = Key {
    names: &["DD_CONF_PATH"],
    yaml: &[],
    default: "/etc/datadog-agent",
    meaning: "The settings file, or the folder in which it is called `datadog.yaml`. Without the variable the file may be missing.",
};
/// The viewer.
pub const VIEW: Key = Key {
    names: &["DD_PILLION_VIEW"],
    yaml: &["pillion.view"],
    default: "false",
    meaning: "`true` is `--view`: every trace as a tree on stderr.",
};
/// The stop deadline.
pub const STOP_TIMEOUT: Key = Key {
    names: &["DD_PILLION_STOP_TIMEOUT"],
    yaml: &["pillion.stop_timeout"],
    default: "the platform's, less 0.5s",
    meaning: "The time from the first TERM to our exit at the latest, up to an hour. Platforms grant 10 seconds (Cloud Run, `docker stop`), 30 \
              (Container Apps, ECS, Kubernetes) or 5 (App Service, or its `WEBSITES_CONTAINER_STOP_TIME_LIMIT`); where you have changed \
              that, set this just below. 0: leave with the app.",
};
/// The log level.
pub const LOG_LEVEL: Key = Key {
    names: &["DD_LOG_LEVEL"],
    yaml: &["log_level"],
    default: "warn",
    meaning: "What we say on stderr: `trace`, `debug`, `info`, `warn`, `error` or `off`. `info` adds what was delivered at exit.",
};
/// No colours.
pub const NO_COLOUR: Key = Key {
    names: &["NO_COLOR"],
    yaml: &[],
    default: "",
    meaning: "Any value: no colours. There are none where stderr is no terminal.",
};
/// The terminal.
pub const TERMINAL: Key =
    Key { names: &["TERM"], yaml: &[], default: "", meaning: "`dumb`: no colours." };
