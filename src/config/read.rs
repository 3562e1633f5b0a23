//! Reads all settings. It runs before the app is started, so it touches no file and no network and takes some tens of microseconds.

use std::path::PathBuf;
use std::time::Duration;

use super::env::Env;
use super::keys::{self, Key};
use super::parse::{self, Wrong};
use super::{Mode, Problem, Settings};
use crate::intake;
use crate::limits::{BODY_BYTES_MAX, CONNECTIONS_MAX, QUEUE_BYTES_DEFAULT, QUEUE_BYTES_MIN};
use crate::log;
use crate::pipeline;
use crate::relay;
use crate::relay::{Compression, Destination};
use crate::secret::{ApiKey, Url};
use crate::trace::normalise;
use crate::trace::sample::{self, ProbabilisticSettings, RareSettings};

/// How long a platform waits between TERM and KILL by default (Cloud Run, `docker stop`: 10 s), less half a second for the exit itself.
const STOP_TIMEOUT: Duration = Duration::from_millis(9500);

pub(super) const STOP_TIMEOUT_MAX: Duration = Duration::from_secs(3600);

/// As often as `datadog-init` flushes.
const FLUSH_INTERVAL: Duration = Duration::from_secs(3);

const FLUSH_INTERVAL_MIN: Duration = Duration::from_millis(100);

const FLUSH_INTERVAL_MAX: Duration = Duration::from_secs(60);

/// The agent's read timeout of its receiver.
const RECEIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// The agent's timeout of one request to the intake.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Port of tracers that are told nothing.
const PORT: u16 = 8126;

/// The settings that `env` says, and what is wrong in it. It never fails.
pub fn read(env: &Env, mode: Mode) -> (Settings, Vec<Problem>) {
    let mut reader = Reader { env, problems: Vec::new() };
    let site = reader.site();
    let worker = reader.worker_url();
    let is_to_worker = worker.is_some();
    let relay = reader.relay(&site, worker);
    let features = reader.take(&keys::FEATURES, Vec::new(), parse::list);
    let pipeline = reader.pipeline(relay.api_key.is_some(), &features, is_to_worker);
    let enabled = reader.take(&keys::ENABLED, true, parse::boolean);
    let intake = reader.intake(mode, enabled);
    let settings = Settings {
        proxy: reader.proxy(&site, &relay, &pipeline, &intake),
        otlp: reader.otlp(enabled, &intake, &features, &pipeline),
        intake,
        pipeline,
        relay,
        log: reader.log(),
        stop_timeout: reader.take(&keys::STOP_TIMEOUT, STOP_TIMEOUT, |text| {
            parse::duration_within(text, Duration::ZERO, STOP_TIMEOUT_MAX)
        }),
        view: reader.take(&keys::VIEW, false, parse::boolean),
    };
    reader.unsupported();
    (settings, reader.problems)
}

pub(super) struct Reader<'a> {
    pub(super) env: &'a Env,
    pub(super) problems: Vec<Problem>,
}

impl Reader<'_> {
    /// The value of `key`, or nothing where it is not set or (a problem) not valid.
    pub(super) fn optional<T>(
        &mut self,
        key: &Key,
        read: impl FnOnce(&str) -> Result<T, Wrong>,
    ) -> Option<T> {
        let (name, text) = self.env.text(key)?;
        match read(&text) {
            Ok(value) => Some(value),
            Err(wrong) => {
                self.problems.push(Problem::new(name, &text, &wrong, &using(key)));
                None
            }
        }
    }

    /// The same of a value whose quotes are its own.
    pub(super) fn whole<T>(
        &mut self,
        key: &Key,
        read: impl FnOnce(&str) -> Result<T, Wrong>,
    ) -> Option<T> {
        let (name, text) = self.env.whole(key)?;
        match read(&text) {
            Ok(value) => Some(value),
            Err(wrong) => {
                self.problems.push(Problem::new(name, &text, &wrong, &using(key)));
                None
            }
        }
    }

    /// The same with the default in place of nothing.
    pub(super) fn take<T>(
        &mut self,
        key: &Key,
        default: T,
        read: impl FnOnce(&str) -> Result<T, Wrong>,
    ) -> T {
        self.optional(key, read).unwrap_or(default)
    }

    pub(super) fn text(&self, key: &Key) -> Option<String> {
        self.env.text(key).map(|(_, text)| text.into_owned())
    }

    /// A path, byte for byte where it is not UTF-8.
    fn path(&self, key: &Key) -> Option<PathBuf> {
        let (name, text) = self.env.text(key)?;
        match self.env.raw(name) {
            Some(raw) if raw.to_str().is_none() => Some(PathBuf::from(raw)),
            _ => Some(PathBuf::from(text.into_owned())),
        }
    }

    fn site(&mut self) -> String {
        self.optional(&keys::SITE, parse::site).unwrap_or_else(|| keys::SITE.default.to_owned())
    }

    fn relay(&mut self, site: &str, worker: Option<String>) -> relay::Settings {
        let no_proxy = self.take(&keys::NO_PROXY, Vec::new(), parse::list);
        relay::Settings {
            api_key: self.api_key(&keys::API_KEY, "sending nothing"),
            trace_url: worker
                .or_else(|| self.url(&keys::TRACE_URL))
                .unwrap_or_else(|| format!("https://trace.agent.{site}")),
            further: self.destinations(&keys::FURTHER, parse::base_url),
            queue_bytes_max: self.take(&keys::QUEUE_BYTES, QUEUE_BYTES_DEFAULT, |text| {
                match parse::bytes(text)? {
                    bytes if bytes >= QUEUE_BYTES_MIN => Ok(bytes),
                    _ => Err("is less than 4MiB".to_owned()),
                }
            }),
            compression: self.take(&keys::COMPRESSION, Compression::Zstd, parse::compression),
            proxy_http: self.way_out(&keys::PROXY_HTTP),
            proxy_https: self.way_out(&keys::PROXY_HTTPS),
            no_proxy,
            ca_file: self.path(&keys::CA_FILE),
            skip_tls_check: self.take(&keys::SKIP_TLS_CHECK, false, parse::boolean),
            request_timeout: REQUEST_TIMEOUT,
        }
    }

    /// A key, which no problem shows. `using` is what happens without it.
    pub(super) fn api_key(&mut self, key: &Key, using: &str) -> Option<ApiKey> {
        let (name, text) = self.env.text(key)?;
        // A header takes nothing else, and white space inside shows two values pasted together.
        let wrong = if text.starts_with("ENC[") && text.ends_with(']') {
            "is a handle of a secrets backend, which is not supported yet"
        } else {
            match ApiKey::new(&text) {
                Some(key) if parse::is_api_key(&key) => return Some(key),
                _ => "has white space or other characters that no key has",
            }
        };
        self.problems.push(Problem::of_secret(name, wrong, using));
        None
    }

    /// An address; a user and password in it would be a secret, so the value is shown without.
    pub(super) fn url(&mut self, key: &Key) -> Option<String> {
        self.url_or(key, &using(key))
    }

    /// The same, with what is done `instead` of using one that is wrong.
    pub(super) fn url_or(&mut self, key: &Key, instead: &str) -> Option<String> {
        let (name, text) = self.env.text(key)?;
        match parse::base_url(&text) {
            Ok(url) => Some(url),
            Err(wrong) => {
                let shown = Url::new(&text).to_string();
                self.problems.push(Problem::new(name, &shown, &wrong, instead));
                None
            }
        }
    }

    /// Further destinations, whose keys no problem shows.
    pub(super) fn destinations(
        &mut self,
        key: &Key,
        address: impl Fn(&str) -> Result<String, Wrong>,
    ) -> Vec<Destination> {
        let Some((name, text)) = self.env.text(key) else { return Vec::new() };
        let (destinations, wrong, using) = match parse::destinations(&text, address) {
            Ok((destinations, false)) => return destinations,
            Ok((destinations, true)) => (
                destinations,
                "has an entry whose address or API key can't be used".to_owned(),
                "leaving that out",
            ),
            Err(wrong) => (Vec::new(), wrong, "ignoring it"),
        };
        self.problems.push(Problem::of_secret(name, &wrong, using));
        destinations
    }

    fn way_out(&mut self, key: &Key) -> Option<Url> {
        let (name, text) = self.env.text(key)?;
        match parse::proxy(&text) {
            Ok(url) => Some(url),
            Err(wrong) => {
                let shown = Url::new(&text).to_string();
                self.problems.push(Problem::new(name, &shown, &wrong, "using no proxy"));
                None
            }
        }
    }

    fn pipeline(
        &mut self,
        sending: bool,
        features: &[String],
        is_to_worker: bool,
    ) -> pipeline::Settings {
        let span_tags = self.span_tags();
        let has = |feature: &str| features.iter().any(|own| own == feature);
        pipeline::Settings {
            env: self.default_env(&span_tags),
            hostname: self
                .text(&keys::HOSTNAME)
                .filter(|name| !name.eq_ignore_ascii_case("none"))
                .unwrap_or_default(),
            sampling: self.sampling(&has),
            stats_by_span_kind: self.take(&keys::STATS_BY_SPAN_KIND, true, parse::boolean),
            peer_tags_aggregation: self.take(&keys::PEER_TAGS_AGGREGATION, true, parse::boolean),
            peer_tags: self.take(&keys::PEER_TAGS, Vec::new(), parse::list),
            stats_disabled: self.take(&keys::STATS_DISABLED, false, parse::boolean),
            component_to_name: has("component2name"),
            big_resource: has("big_resource"),
            filters: self.filters(),
            replace: self.replace(),
            flush_interval: self.take(&keys::FLUSH_INTERVAL, FLUSH_INTERVAL, |text| {
                parse::duration_within(text, FLUSH_INTERVAL_MIN, FLUSH_INTERVAL_MAX)
            }),
            sending,
            span_tags,
            primary_tags: self.take(&keys::PRIMARY_TAGS, Vec::new(), parse::list),
            obfuscation: self.obfuscation(features),
            older: is_to_worker || has("disable-convert-traces"),
            features: features.to_vec(),
        }
    }

    fn sampling(&mut self, has: &impl Fn(&str) -> bool) -> sample::Settings {
        let default = sample::Settings::default();
        sample::Settings {
            target_tps: self.take(&keys::TARGET_TPS, default.target_tps, parse::rate),
            errors_tps: self.take(&keys::ERROR_TPS, default.errors_tps, parse::rate),
            rare: self.rare_sampler(),
            probabilistic: self.probabilistic_sampler(has("probabilistic_sampler_full_trace_id")),
            errors_alone: self.take(&keys::ERRORS_ALONE, false, parse::boolean),
            events_per_second_max: self.take(
                &keys::MAX_EPS,
                default.events_per_second_max,
                parse::rate,
            ),
            analyzed_spans: self.take(&keys::ANALYZED_SPANS, Vec::new(), parse::analyzed_spans),
            asks_about_tracer_drops: has("error_rare_sample_tracer_drop"),
        }
    }

    fn rare_sampler(&mut self) -> Option<RareSettings> {
        let default = RareSettings::default();
        let settings = RareSettings {
            tps: self.take(&keys::RARE_SAMPLER_TPS, default.tps, parse::rate),
            cooldown: self.take(&keys::RARE_SAMPLER_COOLDOWN, default.cooldown, parse::duration),
            cardinality: self.take(
                &keys::RARE_SAMPLER_CARDINALITY,
                default.cardinality,
                parse::cardinality,
            ),
        };
        self.take(&keys::RARE_SAMPLER, false, parse::boolean).then_some(settings)
    }

    fn probabilistic_sampler(&mut self, full_trace_id: bool) -> Option<ProbabilisticSettings> {
        let settings = ProbabilisticSettings {
            percentage: self.take(&keys::PROBABILISTIC_PERCENTAGE, 0.0, parse::percentage),
            hash_seed: self.take(&keys::PROBABILISTIC_SEED, 0, parse::seed),
            full_trace_id,
        };
        self.take(&keys::PROBABILISTIC_SAMPLER, false, parse::boolean).then_some(settings)
    }

    /// The agent's order: its own env, the general one, the first `env:` tag.
    fn default_env(&self, span_tags: &[(String, String)]) -> String {
        let named = self.text(&keys::ENV);
        let tag = || span_tags.iter().find(|(key, _)| key == "env").map(|(_, value)| value.clone());
        let env = named.or_else(tag).map(|env| normalise::tag_value(&env).into_owned());
        env.filter(|env| !env.is_empty()).unwrap_or_else(|| keys::ENV.default.to_owned())
    }

    fn span_tags(&mut self) -> Vec<(String, String)> {
        let mut merged: Vec<(String, String)> = Vec::new();
        for key in [&keys::TAGS, &keys::EXTRA_TAGS] {
            for (key, value) in self.take(key, Vec::new(), parse::tags) {
                match merged.iter_mut().find(|(own, _)| *own == key) {
                    Some((_, own)) => *own = value,
                    None => merged.push((key, value)),
                }
            }
        }
        merged
    }

    fn intake(&mut self, mode: Mode, enabled: bool) -> intake::Settings {
        let receiver_enabled = self.take(&keys::RECEIVER_ENABLED, true, parse::boolean);
        let named = self.optional(&keys::BIND_HOST, parse::bind_host);
        let non_local = self.optional(&keys::NON_LOCAL, parse::boolean);
        // The agent's order: asked to listen on all interfaces, then the address, then the default, which is ours by mode.
        let hosts = match (non_local, named, mode) {
            (Some(true), _, _) => parse::ALL_INTERFACES.to_vec(),
            (_, Some(hosts), _) => hosts,
            (None, None, Mode::Sidecar) => parse::ALL_INTERFACES.to_vec(),
            _ => parse::LOOPBACK.to_vec(),
        };
        intake::Settings {
            hosts,
            port: self.take(&keys::PORT, PORT, parse::port),
            socket: self.path(&keys::SOCKET),
            enabled: enabled && receiver_enabled,
            receive_timeout: self.take(&keys::RECEIVE_TIMEOUT, RECEIVE_TIMEOUT, |text| {
                let time = parse::duration_within(text, Duration::ZERO, STOP_TIMEOUT_MAX)?;
                Ok(if time.is_zero() { RECEIVE_TIMEOUT } else { time })
            }),
            connections_max: self.take(&keys::CONNECTIONS, CONNECTIONS_MAX, parse::count),
            body_bytes_max: self.take(&keys::BODY_BYTES, BODY_BYTES_MAX, parse::body_bytes),
        }
    }

    fn log(&mut self) -> log::Settings {
        let is_dumb = self.env.text(&keys::TERMINAL).is_some_and(|(_, term)| term == "dumb");
        log::Settings {
            level: self.take(&keys::LOG_LEVEL, log::Level::default(), parse::level),
            colour: !is_dumb && self.env.text(&keys::NO_COLOUR).is_none(),
        }
    }

    /// Names what somebody relies on and we do not do. What is switched off asks for nothing, so it is not worth a line.
    fn unsupported(&mut self) {
        let set: Vec<&'static str> = self
            .env
            .names_set()
            .filter_map(|name| keys::UNSUPPORTED.binary_search(&name).ok())
            .filter_map(|at| keys::UNSUPPORTED.get(at).copied())
            .collect();
        self.problems.extend(Problem::unsupported(&set));
    }
}

fn using(key: &Key) -> String {
    if key.default.is_empty() { "ignoring it".to_owned() } else { format!("using {}", key.default) }
}
