//! The agent's settings that have no effect here, each with the reason, and how they are noticed: the table of them in the README is made of this
//! file.

use serde_json::Value;

use super::file::File;
use super::{keys, parse};

/// Variables, and keys of `datadog.yaml` that have no variable, each with the reason in a few words. Sorted.
pub const SETTINGS: &[(&str, &str)] = &[
    (
        "DD_APM_DEBUGGER_LOGS_ENABLED_OVERRIDE",
        "what debuggers send is passed on whether or not logs are on",
    ),
    ("DD_APM_DEBUG_PORT", "there is no server for debugging the agent"),
    ("DD_APM_DEBUG_V1_PAYLOADS", "no payload is written to the log"),
    ("DD_APM_DECODERS", AT_ONCE),
    ("DD_APM_DECODER_TIMEOUT", AT_ONCE),
    ("DD_APM_ENABLE_CONTAINER_TAGS_BUFFER", "for tags of Kubernetes, which are not looked up"),
    ("DD_APM_INSTRUMENTATION_CSI_DRIVER_DETECTION_ENABLED", INJECTION),
    ("DD_APM_INSTRUMENTATION_DISABLED_NAMESPACES", INJECTION),
    ("DD_APM_INSTRUMENTATION_ENABLED", INJECTION),
    ("DD_APM_INSTRUMENTATION_ENABLED_NAMESPACES", INJECTION),
    ("DD_APM_INSTRUMENTATION_INJECTION_MODE", INJECTION),
    ("DD_APM_INSTRUMENTATION_INJECTOR_IMAGE_TAG", INJECTION),
    ("DD_APM_INSTRUMENTATION_LIB_VERSIONS", INJECTION),
    ("DD_APM_INSTRUMENTATION_TARGETS", INJECTION),
    ("DD_APM_INTERNAL_PROFILING_ENABLED", OWN_METRICS),
    ("DD_APM_LOG_FILE", "what is said goes to stderr, where platforms collect it"),
    ("DD_APM_MAX_CPU_PERCENT", WATCHDOG),
    ("DD_APM_MAX_MEMORY", WATCHDOG),
    ("DD_APM_MAX_REMOTE_TPS", "there is no remote configuration"),
    (
        "DD_APM_MAX_SENDER_RETRIES",
        "sending is tried again as long as `DD_PILLION_QUEUE_BYTES` and the stop deadline permit, and not given up before",
    ),
    ("DD_APM_OBFUSCATION_SQL_EXEC_PLAN_KEEP_VALUES", PLANS),
    ("DD_APM_OBFUSCATION_SQL_EXEC_PLAN_NORMALIZE_KEEP_VALUES", PLANS),
    ("DD_APM_OBFUSCATION_SQL_EXEC_PLAN_NORMALIZE_OBFUSCATE_SQL_VALUES", PLANS),
    ("DD_APM_OBFUSCATION_SQL_EXEC_PLAN_OBFUSCATE_SQL_VALUES", PLANS),
    ("DD_APM_SEND_ALL_INTERNAL_STATS", OWN_METRICS),
    (
        "DD_APM_SOCKET_ACTIVATION_HANDLE_TCP_PROBE",
        "for the agent's loader, which starts it with the first connection",
    ),
    (
        "DD_APM_SYNC_FLUSHING",
        "traces leave every `DD_PILLION_FLUSH_INTERVAL`, which is what it stands for in `datadog-init`",
    ),
    ("DD_APM_TRACE_BUFFER", AT_ONCE),
    ("DD_APM_WINDOWS_PIPE_BUFFER_SIZE", WINDOWS),
    ("DD_APM_WINDOWS_PIPE_NAME", WINDOWS),
    ("DD_APM_WINDOWS_PIPE_SECURITY_DESCRIPTOR", WINDOWS),
    ("DD_APM_WORKLOAD_SELECTION", INJECTION),
    ("DD_HOSTNAME_DRIFT_INITIAL_DELAY", HOST),
    ("DD_HOSTNAME_DRIFT_RECURRING_INTERVAL", HOST),
    ("DD_HOSTNAME_FORCE_CONFIG_AS_CANONICAL", "`DD_HOSTNAME` is always used as it is"),
    ("DD_HOSTNAME_FQDN", HOST),
    ("DD_HOSTNAME_TRUST_UTS_NAMESPACE", HOST),
    ("DD_OTLP_CONFIG_GRPC_PORT", OTLP_PORTS),
    ("DD_OTLP_CONFIG_HTTP_PORT", OTLP_PORTS),
    ("DD_SECRET_BACKEND_CONFIG", BACKENDS),
    ("DD_SECRET_BACKEND_TYPE", BACKENDS),
    ("DD_SECRET_REFRESH_INTERVAL", "a key is got once, at the start"),
    ("DD_TELEMETRY_ENABLED", OWN_METRICS),
    (
        "apm_config.analyzed_rate_by_service",
        "older than `apm_config.analyzed_spans`, which says the same for each operation",
    ),
    ("apm_config.bucket_size_seconds", "stats are made for ten seconds, as Datadog expects them"),
    ("apm_config.dd_agent_bin", "no other program is asked for anything"),
    ("apm_config.extra_sample_rate", "`apm_config.target_traces_per_second` says what is kept"),
    ("apm_config.stats_writer.connection_limit", WRITERS),
    ("apm_config.stats_writer.queue_size", WRITERS),
    ("apm_config.trace_writer.connection_limit", WRITERS),
    ("apm_config.trace_writer.queue_size", WRITERS),
    ("apm_config.watchdog_check_delay", WATCHDOG),
];

const AT_ONCE: &str = "a request is worked on when it has arrived: none waits for its turn, and none is dropped for having waited";
const BACKENDS: &str = "stores of secrets are asked by a program of yours (`DD_SECRET_BACKEND_COMMAND`), or are mounted as files (`DD_API_KEY_FILE`)";
const HOST: &str = "the system is not asked for a host name, see `DD_HOSTNAME`";
const INJECTION: &str = "for what puts tracers into other processes";
const OTLP_PORTS: &str = "older names: `DD_OTLP_CONFIG_RECEIVER_PROTOCOLS_GRPC_ENDPOINT` and `…_HTTP_ENDPOINT` say where";
const OWN_METRICS: &str = "there are no metrics and profiles of the agent itself";
const PLANS: &str = "no span carries execution plans";
const WATCHDOG: &str = "memory has bounds (`DD_PILLION_QUEUE_BYTES` is the largest), and the app's parent never ends itself";
const WINDOWS: &str = "for Windows";
const WRITERS: &str = "up to five requests at once; `DD_PILLION_QUEUE_BYTES` bounds what waits";

/// The entry for `name`, if it is one.
pub(super) fn find(name: &str) -> Option<&'static str> {
    let at = SETTINGS.binary_search_by_key(&name, |(name, _)| name).ok()?;
    SETTINGS.get(at).map(|(name, _)| *name)
}

/// What of a file has no effect.
#[derive(Debug, Default)]
pub(super) struct Idle {
    /// Keys of settings that are not supported.
    pub(super) unsupported: Vec<String>,
    /// Keys below `apm_config` that neither we nor the agent know.
    pub(super) unknown: Vec<String>,
}

impl Idle {
    /// Looks through the file. What is switched off asks for nothing, and what is not about traces is none of our business.
    pub(super) fn of(file: &File) -> Self {
        let mut idle = Self::default();
        file.each(&mut |key, value| idle.visit(&key.to_ascii_lowercase(), value));
        idle
    }

    fn visit(&mut self, key: &str, value: &Value) -> bool {
        let variable = variable(key);
        let is_traces = key.strip_prefix(APM).is_some_and(|rest| rest.starts_with('.'));
        if is_known(|known| known == key) {
            return false;
        }
        if find(&variable).or_else(|| find(key)).is_some() {
            if !is_off(value) {
                self.unsupported.push(key.to_owned());
            }
            return false;
        }
        let is_above = is_known(|known| is_below(known, key, '.'))
            || SETTINGS
                .iter()
                .any(|(name, _)| is_below(name, &variable, '_') || is_below(name, key, '.'));
        if value.is_object() && (is_above || !is_traces) {
            return true;
        }
        if is_traces && !value.is_null() {
            self.unknown.push(key.to_owned());
        }
        false
    }
}

const APM: &str = "apm_config";

/// The variable that a key has by the agent's rule (spec: trace-agent 13).
fn variable(key: &str) -> String {
    let key = key.strip_prefix(APM).map_or_else(|| key.to_owned(), |rest| format!("apm{rest}"));
    format!("DD_{}", key.to_ascii_uppercase().replace('.', "_"))
}

fn is_known(is_it: impl Fn(&str) -> bool) -> bool {
    let keys = keys::ALL.iter().flat_map(|(_, keys)| *keys);
    keys.flat_map(|key| key.yaml).any(|yaml| is_it(yaml))
}

fn is_below(key: &str, above: &str, separator: char) -> bool {
    key.strip_prefix(above).is_some_and(|rest| rest.starts_with(separator))
}

fn is_off(value: &Value) -> bool {
    match value {
        Value::String(text) => text.trim().is_empty() || parse::boolean(text.trim()) == Ok(false),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => true,
    }
}
