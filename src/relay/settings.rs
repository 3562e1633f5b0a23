//! Where and how payloads are sent, as the relay is given it.

use std::path::PathBuf;
use std::time::Duration;

#[cfg(doc)]
use crate::limits::QUEUE_BYTES_MIN;
use crate::relay::{Family, Kind};
use crate::secret::{ApiKey, Url};

/// Where and how payloads are sent.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The intake for traces and stats.
    pub traces: Intake,
    /// The intake for series, sketches, service checks and events.
    pub metrics: Intake,
    /// The intake for logs.
    pub logs: Intake,
    /// Kinds that are not sent: what comes of them counts as filtered.
    pub off: Vec<Kind>,
    /// Bytes that the queues of all destinations together may hold, payloads that are being sent included. Where they are taken up, the queue
    /// that holds the most for its weight lets go of its oldest; one that holds less than its part loses nothing to others. Where payloads
    /// go to several destinations this is at least [`QUEUE_BYTES_MIN`] for each. A payload that is larger by itself is shed.
    pub queue_bytes_max: usize,
    /// The proxy for http targets, with user and password where it has them.
    pub proxy_http: Option<Url>,
    /// The proxy for https targets.
    pub proxy_https: Option<Url>,
    /// Hosts that are reached without the proxy, in the rules of Go's `httpproxy` (host and its subdomains, `.suffix`, IP, CIDR, `*`).
    pub no_proxy: Vec<String>,
    /// A PEM file of further root certificates, read only when it is named.
    pub ca_file: Option<PathBuf>,
    /// Accept any certificate (`DD_SKIP_SSL_VALIDATION`).
    pub skip_tls_check: bool,
    /// The longest a request may take, from connecting to the end of its answer.
    pub request_timeout: Duration,
    /// How connections are made, and how long they live.
    pub connecting: Connecting,
}

/// How connections to the intake are made, and how long they live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connecting {
    /// The oldest TLS that is spoken (`DD_MIN_TLS_VERSION`).
    pub tls_min: TlsMin,
    /// The longest that connecting may take, proxy and TLS included (`DD_TLS_HANDSHAKE_TIMEOUT`).
    pub timeout: Duration,
    /// Connections that are older are not used any more (`DD_APM_CONNECTION_RESET_INTERVAL`).
    pub reset_interval: Option<Duration>,
}

impl Default for Connecting {
    /// The agent's.
    fn default() -> Self {
        Self { tls_min: TlsMin::V12, timeout: Duration::from_secs(10), reset_interval: None }
    }
}

/// The oldest version of TLS that is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMin {
    /// 1.2, the oldest there is here.
    V12,
    /// 1.3.
    V13,
}

/// The intake of one family of kinds, and further ones that get copies.
#[derive(Clone, Debug)]
pub struct Intake {
    /// Scheme, host and port, perhaps a path, such as `https://trace.agent.datadoghq.com`; the path of each kind is appended.
    pub url: String,
    /// The key for it. Without one nothing of the family is sent anywhere: what comes is counted as shed
    /// ([`crate::ledger::Shed::NoKey`]).
    pub api_key: Option<ApiKey>,
    /// Further intakes that get a copy of everything, with the same patience.
    pub further: Vec<Destination>,
    /// Further intakes that get one attempt for each payload (`is_reliable: false`): what fails counts as
    /// [`crate::ledger::Shed::Unanswered`].
    pub best_effort: Vec<Destination>,
    /// How bodies are compressed. (Stats always go as gzip, as the agent does.)
    pub compression: Compression,
}

/// An intake and the key for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// As [`Intake::url`].
    pub url: String,
    /// The key of the organisation there.
    pub api_key: ApiKey,
}

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// zstd at this level, from 1 to 22: what the agent sends. Whatever the level, it looks back 128 KiB.
    Zstd(i32),
    /// gzip at this level, from 0 to 9.
    Gzip(u32),
    /// zlib's format at this level, from 0 to 9 (`Content-Encoding: deflate`; the agent's name for it is `zlib`).
    Deflate(u32),
    /// As it is.
    None,
}

impl Settings {
    /// The intake of a family.
    pub fn intake(&self, family: Family) -> &Intake {
        match family {
            Family::Traces => &self.traces,
            Family::Metrics => &self.metrics,
            Family::Logs => &self.logs,
        }
    }
}

impl Intake {
    /// One without copies, compressed as the agent does by default.
    pub fn new(url: &str, api_key: Option<ApiKey>) -> Self {
        Self {
            url: url.to_owned(),
            api_key,
            further: Vec::new(),
            best_effort: Vec::new(),
            compression: Compression::default(),
        }
    }

    /// All destinations beside the main one.
    pub(super) fn copies(&self) -> impl Iterator<Item = &Destination> {
        self.further.iter().chain(&self.best_effort)
    }
}

impl Default for Compression {
    /// zstd level 1: faster and smaller than gzip. Level 3 takes twice the time and saves nothing on spans.
    fn default() -> Self {
        Self::Zstd(1)
    }
}

#[cfg(test)]
impl Settings {
    /// No intake, no queue and no proxy: for tests that change what they are about.
    pub(crate) fn none() -> Self {
        let intake = || Intake { compression: Compression::None, ..Intake::new("", None) };
        Self {
            traces: intake(),
            metrics: intake(),
            logs: intake(),
            off: Vec::new(),
            queue_bytes_max: 0,
            proxy_http: None,
            proxy_https: None,
            no_proxy: Vec::new(),
            ca_file: None,
            skip_tls_check: false,
            request_timeout: Duration::ZERO,
            connecting: Connecting::default(),
        }
    }
}
