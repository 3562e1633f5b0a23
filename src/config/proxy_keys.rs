//! The variables for what is passed on as it is. Each kind of request has an address of its own, and may have a key of its own and further
//! addresses.

use super::keys::{Group, Key};

/// Their part of the README's table.
pub const GROUP: Group = (
    "What is passed on to Datadog as it is",
    &[
        &TELEMETRY_ENABLED,
        &TELEMETRY_URL,
        &TELEMETRY_FURTHER,
        &PROFILES_URL,
        &PROFILES_FURTHER,
        &PROFILES_TO_MAIN,
        &PROFILE_BYTES,
        &PROFILE_TIMEOUT,
        &PROFILE_TAGS,
        &EVP_ENABLED,
        &EVP_SITE,
        &EVP_API_KEY,
        &EVP_FURTHER,
        &EVP_BYTES,
        &EVP_TIMEOUT,
        &DEBUGGER_URL,
        &DEBUGGER_API_KEY,
        &DEBUGGER_FURTHER,
        &DIAGNOSTICS_URL,
        &DIAGNOSTICS_API_KEY,
        &DIAGNOSTICS_FURTHER,
        &SYMBOLS_URL,
        &SYMBOLS_API_KEY,
        &SYMBOLS_FURTHER,
        &LINEAGE_ENABLED,
        &LINEAGE_URL,
        &LINEAGE_API_KEY,
        &LINEAGE_VERSION,
        &LINEAGE_FURTHER,
        &STATSD_ENABLED,
        &STATSD_PORT,
    ],
);

/// Telemetry on or off.
pub const TELEMETRY_ENABLED: Key = Key {
    names: &["DD_APM_TELEMETRY_ENABLED"],
    yaml: &["apm_config.telemetry.enabled"],
    default: "true",
    meaning: "Pass on what tracers tell Datadog about themselves (versions, integrations, settings). `false` where the network does not let it out.",
};
/// Where telemetry goes.
pub const TELEMETRY_URL: Key = Key {
    names: &["DD_APM_TELEMETRY_DD_URL"],
    yaml: &["apm_config.telemetry.dd_url"],
    default: "https://instrumentation-telemetry-intake.<DD_SITE>",
    meaning: "Another host for that. It is asked by https whatever is written before it, and its path is not used.",
};
/// Further hosts for telemetry.
pub const TELEMETRY_FURTHER: Key = Key {
    names: &["DD_APM_TELEMETRY_ADDITIONAL_ENDPOINTS"],
    yaml: &["apm_config.telemetry.additional_endpoints"],
    default: "{}",
    meaning: "Hosts that get a copy of it: a JSON object of hosts, each with a list of API keys.",
};
/// Where profiles go.
pub const PROFILES_URL: Key = Key {
    names: &["DD_APM_PROFILING_DD_URL"],
    yaml: &["apm_config.profiling_dd_url"],
    default: "https://intake.profile.<DD_SITE>/api/v2/profile",
    meaning: "Another address for profiles, with its path.",
};
/// Further addresses for profiles.
pub const PROFILES_FURTHER: Key = Key {
    names: &["DD_APM_PROFILING_ADDITIONAL_ENDPOINTS"],
    yaml: &["apm_config.profiling_additional_endpoints"],
    default: "{}",
    meaning: "Addresses (with their paths) that get a copy of each profile: a JSON object of addresses, each with a list of API keys.",
};
/// Profiles to the main address.
pub const PROFILES_TO_MAIN: Key = Key {
    names: &["DD_APM_PROFILING_SEND_TO_MAIN_ENDPOINT"],
    yaml: &["apm_config.profiling_send_to_main_endpoint"],
    default: "true",
    meaning: "`false`: profiles go to the additional addresses alone, and the answer is that of the first of them.",
};
/// Bytes of a profile.
pub const PROFILE_BYTES: Key = Key {
    names: &["DD_APM_PROFILING_MAX_REQUEST_BYTES"],
    yaml: &["apm_config.profiling_max_request_bytes"],
    default: "50MiB",
    meaning: "Bytes of one profile; a larger one is not passed on.",
};
/// Time for a profile.
pub const PROFILE_TIMEOUT: Key = Key {
    names: &["DD_APM_PROFILING_RECEIVER_TIMEOUT"],
    yaml: &["apm_config.profiling_receiver_timeout"],
    default: "5",
    meaning: "Seconds for passing on one profile; 0 means the default. Raise it where the way out is slow.",
};
/// Tags of profiles.
pub const PROFILE_TAGS: Key = Key {
    names: &["DD_APM_ADDITIONAL_PROFILE_TAGS"],
    yaml: &["apm_config.additional_profile_tags"],
    default: "{}",
    meaning: "Tags for all profiles, as a JSON object.",
};
/// The event platform on or off.
pub const EVP_ENABLED: Key = Key {
    names: &["DD_EVP_PROXY_CONFIG_ENABLED"],
    yaml: &["evp_proxy_config.enabled"],
    default: "true",
    meaning: "Pass on what goes to Datadog's event platform: LLM observability, test results, crash reports.",
};
/// The site of the event platform.
pub const EVP_SITE: Key = Key {
    names: &["DD_EVP_PROXY_CONFIG_DD_URL"],
    yaml: &["evp_proxy_config.dd_url"],
    default: "<DD_SITE>",
    meaning: "Another site for that. The tracer names the host's first part, and https is used.",
};
/// The key for the event platform.
pub const EVP_API_KEY: Key = Key {
    names: &["DD_EVP_PROXY_CONFIG_API_KEY"],
    yaml: &["evp_proxy_config.api_key"],
    default: "<DD_API_KEY>",
    meaning: "Another key for that.",
};
/// Further sites of the event platform.
pub const EVP_FURTHER: Key = Key {
    names: &["DD_EVP_PROXY_CONFIG_ADDITIONAL_ENDPOINTS"],
    yaml: &["evp_proxy_config.additional_endpoints"],
    default: "{}",
    meaning: "Sites that get a copy of it: a JSON object of sites, each with a list of API keys.",
};
/// Bytes of an event.
pub const EVP_BYTES: Key = Key {
    names: &["DD_EVP_PROXY_CONFIG_MAX_PAYLOAD_SIZE"],
    yaml: &["evp_proxy_config.max_payload_size"],
    default: "10MiB",
    meaning: "Bytes of one such request; a larger one is not passed on.",
};
/// Time for an event.
pub const EVP_TIMEOUT: Key = Key {
    names: &["DD_EVP_PROXY_CONFIG_RECEIVER_TIMEOUT"],
    yaml: &["evp_proxy_config.receiver_timeout"],
    default: "30",
    meaning: "Seconds for passing on one of them; 0 means the default.",
};
/// Where the debugger's logs go.
pub const DEBUGGER_URL: Key = Key {
    names: &["DD_APM_DEBUGGER_DD_URL"],
    yaml: &["apm_config.debugger_dd_url"],
    default: "https://http-intake.logs.<DD_SITE>/api/v2/logs",
    meaning: "Another address for logs of Dynamic Instrumentation, with its path.",
};
/// The key for them.
pub const DEBUGGER_API_KEY: Key = Key {
    names: &["DD_APM_DEBUGGER_API_KEY"],
    yaml: &["apm_config.debugger_api_key"],
    default: "<DD_API_KEY>",
    meaning: "Another key for those.",
};
/// Further addresses for them.
pub const DEBUGGER_FURTHER: Key = Key {
    names: &["DD_APM_DEBUGGER_ADDITIONAL_ENDPOINTS"],
    yaml: &["apm_config.debugger_additional_endpoints"],
    default: "{}",
    meaning: "Addresses that get a copy of those: a JSON object of addresses, each with a list of API keys.",
};
/// Where the debugger's snapshots and diagnostics go.
pub const DIAGNOSTICS_URL: Key = Key {
    names: &["DD_APM_DEBUGGER_DIAGNOSTICS_DD_URL"],
    yaml: &["apm_config.debugger_diagnostics_dd_url"],
    default: "https://debugger-intake.<DD_SITE>/api/v2/debugger",
    meaning: "Another address for snapshots and diagnostics of Dynamic Instrumentation, with its path.",
};
/// The key for them.
pub const DIAGNOSTICS_API_KEY: Key = Key {
    names: &["DD_APM_DEBUGGER_DIAGNOSTICS_API_KEY"],
    yaml: &["apm_config.debugger_diagnostics_api_key"],
    default: "<DD_API_KEY>",
    meaning: "Another key for those.",
};
/// Further addresses for them.
pub const DIAGNOSTICS_FURTHER: Key = Key {
    names: &["DD_APM_DEBUGGER_DIAGNOSTICS_ADDITIONAL_ENDPOINTS"],
    yaml: &["apm_config.debugger_diagnostics_additional_endpoints"],
    default: "{}",
    meaning: "Addresses that get a copy of those: a JSON object of addresses, each with a list of API keys.",
};
/// Where symbols go.
pub const SYMBOLS_URL: Key = Key {
    names: &["DD_APM_SYMDB_DD_URL"],
    yaml: &["apm_config.symdb_dd_url"],
    default: "https://debugger-intake.<DD_SITE>/api/v2/debugger",
    meaning: "Another address for the names of functions and variables that Dynamic Instrumentation offers, with its path.",
};
/// The key for them.
pub const SYMBOLS_API_KEY: Key = Key {
    names: &["DD_APM_SYMDB_API_KEY"],
    yaml: &["apm_config.symdb_api_key"],
    default: "<DD_API_KEY>",
    meaning: "Another key for those.",
};
/// Further addresses for them.
pub const SYMBOLS_FURTHER: Key = Key {
    names: &["DD_APM_SYMDB_ADDITIONAL_ENDPOINTS"],
    yaml: &["apm_config.symdb_additional_endpoints"],
    default: "{}",
    meaning: "Addresses that get a copy of those: a JSON object of addresses, each with a list of API keys.",
};
/// Lineage on or off.
pub const LINEAGE_ENABLED: Key = Key {
    names: &["DD_OL_PROXY_CONFIG_ENABLED"],
    yaml: &["ol_proxy_config.enabled"],
    default: "true",
    meaning: "Pass on OpenLineage events of data jobs.",
};
/// Where lineage goes.
pub const LINEAGE_URL: Key = Key {
    names: &["DD_OL_PROXY_CONFIG_DD_URL"],
    yaml: &["ol_proxy_config.dd_url"],
    default: "https://data-obs-intake.<DD_SITE>/api/v1/lineage",
    meaning: "Another site for those, or an address with `http://` or `https://` and its path.",
};
/// The key for lineage.
pub const LINEAGE_API_KEY: Key = Key {
    names: &["DD_OL_PROXY_CONFIG_API_KEY"],
    yaml: &["ol_proxy_config.api_key"],
    default: "<DD_API_KEY>",
    meaning: "Another key for those.",
};
/// The version of the lineage API.
pub const LINEAGE_VERSION: Key = Key {
    names: &["DD_OL_PROXY_CONFIG_API_VERSION"],
    yaml: &["ol_proxy_config.api_version"],
    default: "2",
    meaning: "The version of that intake's API; below 2 none is named.",
};
/// Further sites for lineage.
pub const LINEAGE_FURTHER: Key = Key {
    names: &["DD_OL_PROXY_CONFIG_ADDITIONAL_ENDPOINTS"],
    yaml: &["ol_proxy_config.additional_endpoints"],
    default: "{}",
    meaning: "Sites that get a copy of those: a JSON object of sites, each with a list of API keys.",
};
/// DogStatsD on or off.
pub const STATSD_ENABLED: Key = Key {
    names: &["DD_USE_DOGSTATSD"],
    yaml: &["use_dogstatsd"],
    default: "true",
    meaning: "Take metrics (DogStatsD). `false`: nothing listens for them, and those that a tracer sends by HTTP are refused.",
};
/// The DogStatsD port.
pub const STATSD_PORT: Key = Key {
    names: &["DD_DOGSTATSD_PORT"],
    yaml: &["dogstatsd_port"],
    default: "8125",
    meaning: "The UDP port for them; 0: none, and the unix sockets stay; `__random__`: any free one. Point the client there, too.",
};
