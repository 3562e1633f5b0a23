//! Reads what is passed on where: the agent's addresses, keys, sizes and times for each kind of request (spec: trace-agent 8).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::keys::Key;
use super::parse::{self, Wrong};
use super::proxy_keys as keys;
use super::read::{Reader, STOP_TIMEOUT_MAX};
use crate::intake;
use crate::limits::PROXY_BODY_BYTES_MAX;
use crate::pipeline::{self, Install};
use crate::proxy::{self, Settings, Upstream};
use crate::relay::{self, Destination};
use crate::secret::ApiKey;
use crate::version;

/// The agent's time for a request that is passed on.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The same for the event platform.
const EVP_TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes of a request for the event platform.
const EVP_BYTES: usize = 10_485_760;

/// The port of DogStatsD clients that are told nothing.
const STATSD_PORT: u16 = 8125;

/// A port that the system chooses, as the agent's setting has it.
const RANDOM_PORT: &str = "__random__";

/// What DogStatsD and the requests of tracers that carry such metrics have to know of each other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Statsd {
    pub(super) is_on: bool,
    /// Nothing: no UDP. 0: any free one.
    pub(super) port: Option<u16>,
}

impl Reader<'_> {
    /// The settings of what is passed on. Most of what it needs has been read for others.
    pub(super) fn proxy(
        &mut self,
        site: &str,
        relay: &relay::Settings,
        pipeline: &pipeline::Settings,
        intake: &intake::Settings,
        install: Option<Install>,
        statsd: Statsd,
    ) -> Settings {
        let common = Common {
            api_key: relay.traces.api_key.clone(),
            body_bytes_max: intake.body_bytes_max,
            timeout: intake.receive_timeout,
        };
        let of_streams = |base: &str| format!("{base}/api/v0.1/pipeline_stats");
        let further = relay.traces.further.iter().map(|Destination { url, api_key }| Destination {
            url: of_streams(url),
            api_key: api_key.clone(),
        });
        let streams =
            with_further(main(&of_streams(&relay.traces.url), &common.api_key), further.collect());
        let flare = format!(
            "https://{}-flare.{site}/api/ui/support/serverless/flare",
            version::AGENT.replace('.', "-")
        );
        let snapshots = format!("https://debugger-intake.{site}/api/v2/debugger");
        Settings {
            errors_alone: pipeline.sampling.errors_alone,
            hostname: pipeline.hostname.clone(),
            env: pipeline.env.clone(),
            tags: pipeline.span_tags.clone(),
            install: install.map(|Install { id, kind, time_s }| proxy::Install {
                id,
                kind,
                time: time_s,
            }),
            telemetry: self.telemetry(site, &common),
            profiles: self.profiles(site, &common),
            profile_tags: self.take(&keys::PROFILE_TAGS, Vec::new(), parse::tag_object),
            evp: self.evp(site, &common),
            debugger_logs: self.debugger(
                [&keys::DEBUGGER_URL, &keys::DEBUGGER_API_KEY, &keys::DEBUGGER_FURTHER],
                format!("https://http-intake.logs.{site}/api/v2/logs"),
                &common,
            ),
            debugger: self.debugger(
                [&keys::DIAGNOSTICS_URL, &keys::DIAGNOSTICS_API_KEY, &keys::DIAGNOSTICS_FURTHER],
                snapshots.clone(),
                &common,
            ),
            symbols: self.debugger(
                [&keys::SYMBOLS_URL, &keys::SYMBOLS_API_KEY, &keys::SYMBOLS_FURTHER],
                snapshots,
                &common,
            ),
            pipeline_stats: common.upstream(streams),
            lineage: self.lineage(site, &common),
            flare: Upstream {
                body_bytes_max: PROXY_BODY_BYTES_MAX,
                ..common.upstream(main(&flare, &common.api_key))
            },
            statsd: Self::statsd_address(statsd, intake),
        }
    }

    fn telemetry(&mut self, site: &str, common: &Common) -> Option<Upstream> {
        let is_on = self.take(&keys::TELEMETRY_ENABLED, true, parse::boolean);
        let host = self
            .optional(&keys::TELEMETRY_URL, parse::authority)
            .unwrap_or_else(|| format!("instrumentation-telemetry-intake.{site}"));
        let to = |host: &str| Ok(format!("https://{}", parse::authority(host)?));
        let main = main(&format!("https://{host}"), &common.api_key);
        let all = with_further(main, self.destinations(&keys::TELEMETRY_FURTHER, to));
        is_on.then(|| common.upstream(all))
    }

    fn profiles(&mut self, site: &str, common: &Common) -> Option<Upstream> {
        let url = self
            .url(&keys::PROFILES_URL)
            .unwrap_or_else(|| format!("https://intake.profile.{site}/api/v2/profile"));
        let further = self.destinations(&keys::PROFILES_FURTHER, parse::base_url);
        let to_main = self.take(&keys::PROFILES_TO_MAIN, true, parse::boolean);
        let upstream = Upstream {
            destinations: if to_main {
                with_further(main(&url, &common.api_key), further)
            } else {
                further
            },
            body_bytes_max: self.take(&keys::PROFILE_BYTES, PROXY_BODY_BYTES_MAX, some_bytes),
            timeout: self.time(&keys::PROFILE_TIMEOUT, TIMEOUT),
        };
        (to_main || !upstream.destinations.is_empty()).then_some(upstream)
    }

    fn evp(&mut self, site: &str, common: &Common) -> Option<Upstream> {
        let is_on = self.take(&keys::EVP_ENABLED, true, parse::boolean);
        let site =
            self.optional(&keys::EVP_SITE, parse::authority).unwrap_or_else(|| site.to_owned());
        let key = self.own_key(&keys::EVP_API_KEY, common);
        let further = self.destinations(&keys::EVP_FURTHER, parse::authority);
        let upstream = Upstream {
            destinations: with_further(main(&site, &key), further),
            body_bytes_max: self.take(&keys::EVP_BYTES, EVP_BYTES, some_bytes),
            timeout: self.time(&keys::EVP_TIMEOUT, EVP_TIMEOUT),
        };
        is_on.then_some(upstream)
    }

    fn debugger(&mut self, keys: [&Key; 3], url: String, common: &Common) -> Upstream {
        let [url_key, api_key, further] = keys;
        let url = self.url(url_key).unwrap_or(url);
        let key = self.own_key(api_key, common);
        let further = self.destinations(further, parse::base_url);
        common.upstream(with_further(main(&url, &key), further))
    }

    fn lineage(&mut self, site: &str, common: &Common) -> Option<Upstream> {
        let is_on = self.take(&keys::LINEAGE_ENABLED, true, parse::boolean);
        let version = self.take(&keys::LINEAGE_VERSION, 2, parse::number);
        let of_site = |site: String| format!("https://data-obs-intake.{site}/api/v1/lineage");
        let of_text = |text: &str| match text.split_once("://") {
            Some(_) => parse::base_url(text),
            None => parse::authority(text).map(of_site),
        };
        let url = self.optional(&keys::LINEAGE_URL, of_text);
        let url = url.unwrap_or_else(|| of_site(site.to_owned()));
        let key = self.own_key(&keys::LINEAGE_API_KEY, common);
        let further =
            self.destinations(&keys::LINEAGE_FURTHER, |site| parse::authority(site).map(of_site));
        let mut all = with_further(main(&url, &key), further);
        if version >= 2 {
            all.iter_mut().for_each(|to| to.url.push_str(&format!("?api-version={version}")));
        }
        is_on.then(|| common.upstream(all))
    }

    /// Metrics go to where we listen for them: to loopback where that is everywhere.
    fn statsd_address(statsd: Statsd, intake: &intake::Settings) -> Option<SocketAddr> {
        let host = intake.hosts.first().copied().filter(|host| !host.is_unspecified());
        let host = host.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let port = statsd.port.filter(|_| statsd.is_on)?;
        Some(SocketAddr::new(host, port))
    }

    /// Whether DogStatsD is on, and its UDP port.
    pub(super) fn statsd(&mut self) -> Statsd {
        Statsd {
            is_on: self.take(&keys::STATSD_ENABLED, true, parse::boolean),
            port: self.take(&keys::STATSD_PORT, Some(STATSD_PORT), |text| match text {
                RANDOM_PORT => Ok(Some(0)),
                text => Ok(Some(parse::port(text)?).filter(|port| *port != 0)),
            }),
        }
    }

    /// A key of its own, else the general one.
    fn own_key(&mut self, key: &Key, common: &Common) -> Option<ApiKey> {
        self.api_key(key, "using DD_API_KEY").or_else(|| common.api_key.clone())
    }

    /// Seconds; 0 is the default.
    fn time(&mut self, key: &Key, default: Duration) -> Duration {
        let time = self.take(key, default, |text| {
            parse::duration_within(text, Duration::ZERO, STOP_TIMEOUT_MAX)
        });
        if time.is_zero() { default } else { time }
    }
}

/// What holds where nothing else is said.
struct Common {
    api_key: Option<ApiKey>,
    body_bytes_max: usize,
    timeout: Duration,
}

impl Common {
    fn upstream(&self, destinations: Vec<Destination>) -> Upstream {
        Upstream { destinations, body_bytes_max: self.body_bytes_max, timeout: self.timeout }
    }
}

/// The main destination, where there is a key for it.
fn main(url: &str, key: &Option<ApiKey>) -> Vec<Destination> {
    let to = |key: &ApiKey| Destination { url: url.to_owned(), api_key: key.clone() };
    key.iter().map(to).collect()
}

/// Further destinations, as long as there is a main one: what has no key is not sent anywhere.
fn with_further(mut main: Vec<Destination>, further: Vec<Destination>) -> Vec<Destination> {
    if !main.is_empty() {
        main.extend(further);
    }
    main
}

fn some_bytes(text: &str) -> Result<usize, Wrong> {
    match parse::bytes(text)? {
        0 => Err("lets nothing through".to_owned()),
        bytes => Ok(bytes),
    }
}
