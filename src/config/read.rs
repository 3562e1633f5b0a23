//! Reads all settings. It runs before the app is started, so it touches no network and takes some tens of microseconds; the one file was read
//! before, within its bounds (`small`).

use std::path::PathBuf;
use std::time::Duration;

use super::env::{Env, Given};
use super::keys::{self, Key};
use super::parse::{self, Wrong};
use super::platform as of_platform;
use super::problem::Place;
use super::unsupported::{self, Idle};
use super::{Mode, Problem, Settings};
use crate::intake;
use crate::limits::{BODY_BYTES_MAX, QUEUE_BYTES_DEFAULT, QUEUE_BYTES_MIN};
use crate::log;
use crate::pipeline::{self, Install};
use crate::relay;
use crate::relay::{Compression, Destination, Intake};
use crate::secret::{ApiKey, Url};
use crate::trace::normalise;
use crate::trace::sample::{self, ProbabilisticSettings, RareSettings};

pub(super) const STOP_TIMEOUT_MAX: Duration = Duration::from_secs(3600);

/// As often as `datadog-init` flushes.
const FLUSH_INTERVAL: Duration = Duration::from_secs(3);

const FLUSH_INTERVAL_MIN: Duration = Duration::from_millis(100);

const FLUSH_INTERVAL_MAX: Duration = Duration::from_secs(60);

/// The agent's, and the least: nothing is looked at more often than once a second.
const CLIENT_STATS_INTERVAL: Duration = Duration::from_secs(1);

const CLIENT_STATS_INTERVAL_MAX: Duration = Duration::from_secs(60);

/// The agent's read timeout of its receiver.
const RECEIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// The agent's timeout of one request to the intake.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Port of tracers that are told nothing.
const PORT: u16 = 8126;

/// The settings that `env` and its file say, and what is wrong in them. It never fails.
pub fn read(env: &Env, mode: Mode) -> (Settings, Vec<Problem>) {
    let mut reader = Reader { env, problems: env.file_problem.iter().cloned().collect() };
    let site = reader.site();
    let worker = reader.worker_url();
    let is_to_worker = worker.is_some();
    let relay = reader.relay(&site, worker);
    let features = reader.take(&keys::FEATURES, Vec::new(), parse::list);
    let install = reader.install();
    let sending = relay.traces.api_key.is_some();
    let mut pipeline = reader.pipeline(sending, &features, is_to_worker, install.as_ref());
    let platform = reader.platform();
    of_platform::apply(&platform, &mut pipeline);
    let enabled = reader.take(&keys::ENABLED, true, parse::boolean);
    let intake = reader.intake(mode, enabled);
    let statsd = reader.statsd();
    let proxy = reader.proxy(&site, &relay, &pipeline, &intake, install, statsd);
    let dogstatsd = reader.dogstatsd(mode, statsd, &intake);
    let logs = reader.logs(mode, &pipeline, &platform);
    let report = reader.report(enabled, &pipeline.env, &platform);
    let usage = reader.usage(mode, &relay, &pipeline, &platform);
    let mut settings = Settings {
        metrics: reader.metrics(&pipeline, &platform, &relay, &dogstatsd),
        dogstatsd,
        proxy,
        otlp: reader.otlp(enabled, &logs, &intake, &features, &pipeline),
        logs,
        intake,
        pipeline,
        relay,
        hostname_file: reader.hostname_file(),
        log: reader.log(),
        stop_timeout: reader.take(
            &keys::STOP_TIMEOUT,
            of_platform::stop_timeout(&platform),
            |text| parse::duration_within(text, Duration::ZERO, STOP_TIMEOUT_MAX),
        ),
        health_port: reader.health_port(),
        hides_api_key: reader.hides_api_key(),
        secrets: reader.secrets(),
        report,
        usage,
        platform,
        view: reader.take(&keys::VIEW, false, parse::boolean),
    };
    of_platform::apply_to_profiles(&settings.platform, &mut settings.proxy);
    reader.unsupported();
    (settings, reader.problems)
}

pub(super) struct Reader<'a> {
    pub(super) env: &'a Env,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    /// The value of `key`, or nothing where it is not set or (a problem) not valid. A list or a map of the file is read as JSON.
    pub(super) fn optional<T>(
        &mut self,
        key: &Key,
        read: impl FnOnce(&str) -> Result<T, Wrong>,
    ) -> Option<T> {
        let (place, text) = self.env.text(key)?;
        match read(&text) {
            Ok(value) => Some(value),
            Err(wrong) => {
                self.complain(key, place, &text, &wrong);
                None
            }
        }
    }

    /// Texts: those of a list of the file, or those into which `separate` parts the text of a variable, whose quotes are its own, or of the file.
    pub(super) fn texts(
        &mut self,
        key: &Key,
        separate: impl FnOnce(&str) -> Result<Vec<String>, Wrong>,
    ) -> Vec<String> {
        let Some((place, given)) = self.env.whole(key) else { return Vec::new() };
        let is_tree = matches!(given, Given::Tree(_));
        let text = given.into_text();
        let texts = if is_tree { parse::list(&text) } else { separate(&text) };
        texts.unwrap_or_else(|wrong| {
            self.complain(key, place, &text, &wrong);
            Vec::new()
        })
    }

    /// Notes what is wrong.
    pub(super) fn say(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Once in the program, and not once for each type of value.
    #[inline(never)]
    fn complain(&mut self, key: &Key, place: Place<'_>, text: &str, wrong: &str) {
        self.problems.push(Problem::new(place, text, wrong, &using(key)));
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

    pub(super) fn path(&self, key: &Key) -> Option<PathBuf> {
        self.env.path(key)
    }

    fn site(&mut self) -> String {
        self.optional(&keys::SITE, parse::site).unwrap_or_else(|| keys::SITE.default.to_owned())
    }

    fn traces_intake(&mut self, site: &str, worker: Option<String>) -> Intake {
        let api_key = match self.env.given(&keys::API_KEY) {
            Some(_) => self.api_key(&keys::API_KEY, "sending nothing"),
            None => self.key_in_file(),
        };
        let url = worker
            .or_else(|| self.url(&keys::TRACE_URL))
            .unwrap_or_else(|| format!("https://trace.agent.{site}"));
        let further = self.destinations(&keys::FURTHER, parse::base_url);
        let compression = self.take(&keys::COMPRESSION, Compression::default(), parse::compression);
        Intake { further, compression, ..Intake::new(&url, api_key) }
    }

    fn relay(&mut self, site: &str, worker: Option<String>) -> relay::Settings {
        let no_proxy = self.take(&keys::NO_PROXY, Vec::new(), parse::list);
        let traces = self.traces_intake(site, worker);
        let common_key = self.common_key(traces.api_key.as_ref());
        relay::Settings {
            traces,
            metrics: self.metrics_intake(site, common_key.clone()),
            logs: self.logs_intake(site, common_key),
            off: self.kinds_off(),
            queue_bytes_max: self.take(&keys::QUEUE_BYTES, QUEUE_BYTES_DEFAULT, |text| {
                match parse::bytes(text)? {
                    bytes if bytes >= QUEUE_BYTES_MIN => Ok(bytes),
                    _ => Err("is less than 4MiB".to_owned()),
                }
            }),
            proxy_http: self.way_out(&keys::PROXY_HTTP),
            proxy_https: self.way_out(&keys::PROXY_HTTPS),
            no_proxy,
            ca_file: self.path(&keys::CA_FILE),
            skip_tls_check: self.take(&keys::SKIP_TLS_CHECK, false, parse::boolean),
            request_timeout: REQUEST_TIMEOUT,
            connecting: self.connecting(),
        }
    }

    /// A key, which no problem shows. `using` is what happens without it.
    pub(super) fn api_key(&mut self, key: &Key, using: &str) -> Option<ApiKey> {
        let (place, given) = self.env.given(key)?;
        let is_tree = matches!(given, Given::Tree(_));
        let text = given.into_text();
        // A header takes nothing else, and white space inside shows two values pasted together.
        let wrong = if is_tree {
            "is no text"
        } else {
            match ApiKey::new(&text) {
                Some(key) if !self.can_be_asked_for(&key) => {
                    "needs DD_SECRET_BACKEND_COMMAND, which is not set"
                }
                Some(key) if parse::is_api_key(&key) => return Some(key),
                _ => "has white space or other characters that no key has",
            }
        };
        self.problems.push(Problem::of_secret(place, wrong, using));
        None
    }

    /// An address; a user and password in it would be a secret, so the value is shown without.
    pub(super) fn url(&mut self, key: &Key) -> Option<String> {
        self.url_or(key, &using(key))
    }

    /// The same, with what is done `instead` of using one that is wrong.
    pub(super) fn url_or(&mut self, key: &Key, instead: &str) -> Option<String> {
        let (place, text) = self.env.text(key)?;
        match parse::base_url(&text) {
            Ok(url) => Some(url),
            Err(wrong) => {
                let shown = Url::new(&text).to_string();
                self.problems.push(Problem::new(place, &shown, &wrong, instead));
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
        let Some((place, text)) = self.env.text(key) else { return Vec::new() };
        let (destinations, wrong, using) = match parse::destinations(&text, address) {
            Ok((destinations, false)) => return destinations,
            Ok((destinations, true)) => (
                destinations,
                "has an entry whose address or API key can't be used".to_owned(),
                "leaving that out",
            ),
            Err(wrong) => (Vec::new(), wrong, "ignoring it"),
        };
        self.problems.push(Problem::of_secret(place, &wrong, using));
        destinations
    }

    fn way_out(&mut self, key: &Key) -> Option<Url> {
        let (place, text) = self.env.text(key)?;
        match parse::proxy(&text) {
            Ok(url) => Some(url),
            Err(wrong) => {
                let shown = Url::new(&text).to_string();
                self.problems.push(Problem::new(place, &shown, &wrong, "using no proxy"));
                None
            }
        }
    }

    fn pipeline(
        &mut self,
        sending: bool,
        features: &[String],
        is_to_worker: bool,
        install: Option<&Install>,
    ) -> pipeline::Settings {
        let span_tags = self.span_tags();
        let has = |feature: &str| features.iter().any(|own| own == feature);
        pipeline::Settings {
            env: self.default_env(&span_tags),
            hostname: self.hostname(),
            apm_mode: self.apm_mode(),
            // Without an id it says nothing about traces.
            install: install.filter(|install| !install.id.is_empty()).cloned(),
            sampling: self.sampling(&has),
            stats_by_span_kind: self.take(&keys::STATS_BY_SPAN_KIND, true, parse::boolean),
            peer_tags_aggregation: self.take(&keys::PEER_TAGS_AGGREGATION, true, parse::boolean),
            peer_tags: self.take(&keys::PEER_TAGS, Vec::new(), parse::list),
            client_stats_interval: self.take(
                &keys::CLIENT_STATS_INTERVAL,
                CLIENT_STATS_INTERVAL,
                |text| {
                    parse::duration_within(text, CLIENT_STATS_INTERVAL, CLIENT_STATS_INTERVAL_MAX)
                },
            ),
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
            origin: String::new(),
            container_tags: String::new(),
            function_tags: String::new(),
            discards_own_calls: false,
            primary_tags: self.take(&keys::PRIMARY_TAGS, Vec::new(), parse::list),
            obfuscation: self.obfuscation(features),
            older: is_to_worker || has("disable-convert-traces"),
            to_worker: is_to_worker,
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
            services_max: self.take(&keys::SERVICES, default.services_max, |text| {
                let services = if text == "0" { keys::SERVICES.default } else { text };
                parse::cardinality(services)
            }),
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
            connections_max: self.connections_max(),
            body_bytes_max: self.take(&keys::BODY_BYTES, BODY_BYTES_MAX, parse::body_bytes),
            inherited: self.inherited(),
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
        let set: Vec<&str> = self.env.names_set().filter_map(unsupported::find).collect();
        self.problems.extend(Problem::unsupported(&set));
        if let Some(file) = &self.env.file {
            let idle = Idle::of(file);
            self.problems.extend(Problem::unsupported_in(&file.path, &idle.unsupported));
            self.problems.extend(Problem::unknown(&file.path, &idle.unknown));
        }
    }
}

fn using(key: &Key) -> String {
    if key.default.is_empty() { "ignoring it".to_owned() } else { format!("using {}", key.default) }
}
