//! Every way in for bytes from outside, as a function of bytes that panics where a promise is broken. `cargo test` runs each with mutations of
//! recorded traffic (`tests/fuzz/main.rs`), `cargo fuzz` with what it finds by itself (`fuzz/`).
//!
//! A new way in is one line in [`TARGETS`]; `cargo test --test fuzz -- --write` makes the rest.

mod cgroup;
mod decode;
mod dogstatsd;
mod hide;
mod messages;
mod normal;
mod otlp;
mod output;
mod patterns;
mod pipeline;
mod platform;
mod secrets;
mod settings;
mod stats;

#[path = "../../it/support/decoded.rs"]
#[allow(dead_code, reason = "it is made for other tests, which look at more of it")]
mod decoded;

#[path = "../../shared/recorded.rs"]
#[allow(dead_code, reason = "it is made for other tests, which use more of it")]
mod recorded;

/// A way in.
pub struct Target {
    /// Its name in `cargo fuzz run NAME`.
    pub name: &'static str,
    /// Takes any bytes.
    pub run: fn(&[u8]),
    /// What mutations start from.
    pub start: Start,
}

/// What mutations start from.
#[derive(Clone, Copy)]
pub enum Start {
    /// Recorded bodies of requests to a path that starts so, behind as many zero bytes: those that choose a variant.
    Bodies(&'static str, usize),
    /// The queries whose answers were recorded, behind as many zero bytes.
    Queries(usize),
    /// These texts.
    Texts(&'static [&'static str]),
}

const fn target(name: &'static str, run: fn(&[u8]), start: Start) -> Target {
    Target { name, run, start }
}

/// All of them.
pub const TARGETS: &[Target] = &[
    target("traces_v04", decode::v04, Start::Bodies("/v0.4/traces", 0)),
    target("traces_v05", decode::v05, Start::Bodies("/v0.5/traces", 0)),
    target("traces_v07", decode::v07, Start::Bodies("/v0.7/traces", 0)),
    target("traces_v10", decode::v10, Start::Bodies("/v1.0/traces", 0)),
    target("traces_json", decode::json, Start::Texts(decode::JSON)),
    target("otlp_metrics", otlp::metrics, Start::Texts(otlp::METRICS)),
    target("otlp_logs", otlp::logs, Start::Texts(otlp::LOGS)),
    target("stats", stats::body, Start::Bodies("/v0.6/stats", 1)),
    target("dogstatsd", dogstatsd::packet, Start::Texts(dogstatsd::PACKETS)),
    target("sketch", stats::sketch, Start::Texts(stats::SKETCHES)),
    target("platform", platform::read, Start::Texts(platform::TEXTS)),
    target("cgroup", cgroup::read, Start::Texts(cgroup::TEXTS)),
    target("settings", settings::read, Start::Texts(settings::VALUES)),
    target("secret_backend", secrets::answer, Start::Texts(secrets::OUTPUTS)),
    target("sql_legacy", hide::sql_legacy, Start::Queries(3)),
    target("sql_obfuscate_only", hide::sql_obfuscate_only, Start::Queries(3)),
    target("sql_normalise_only", hide::sql_normalise_only, Start::Queries(3)),
    target("sql_both", hide::sql_both, Start::Queries(3)),
    target("redis", hide::redis, Start::Texts(hide::REDIS)),
    target("memcached", hide::memcached, Start::Texts(hide::MEMCACHED)),
    target("json", hide::json, Start::Texts(hide::JSON)),
    target("url", hide::url, Start::Texts(hide::URLS)),
    target("cards", hide::cards, Start::Texts(hide::CARDS)),
    target("hosts", hide::hosts, Start::Texts(hide::HOSTS)),
    target("normal_forms", normal::forms, Start::Texts(normal::TEXTS)),
    target("pattern", patterns::pattern, Start::Texts(patterns::PATTERNS)),
    target("replace_rules", patterns::replace_rules, Start::Texts(patterns::RULES)),
    target("filters", patterns::filters, Start::Texts(patterns::FILTERS)),
    target("log_lines", messages::join, Start::Texts(messages::LINES)),
    target("log_rules", messages::rules, Start::Texts(messages::RULES)),
    target("log_level", messages::level_and_tags, Start::Texts(messages::JSON)),
    target("log_samples", messages::samples, Start::Texts(messages::SAMPLES)),
    target("pipeline_v04", pipeline::v04, Start::Bodies("/v0.4/traces", 2)),
    target("pipeline_v05", pipeline::v05, Start::Bodies("/v0.5/traces", 2)),
    target("pipeline_v10", pipeline::v10, Start::Bodies("/v1.0/traces", 2)),
    target("output", output::output, Start::Texts(output::TEXTS)),
    target("pipeline_json", pipeline::json, Start::Texts(pipeline::JSON)),
];

/// As much of the bytes as is text: what is no UTF-8 becomes U+FFFD, as it does where spans are decoded.
fn text(data: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(data)
}

/// The first bytes, which choose a variant, and the rest; zeros where there are too few.
fn chosen<const N: usize>(data: &[u8]) -> ([u8; N], &[u8]) {
    match data.split_first_chunk() {
        Some((chosen, rest)) => (*chosen, rest),
        None => ([0; N], &[]),
    }
}
