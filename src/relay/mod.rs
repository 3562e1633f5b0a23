//! Sending out: a queue bounded in bytes, compression, requests, retries. It knows bytes, an endpoint and counts; what a span is it does not.

use std::path::PathBuf;
use std::time::Duration;

use crate::secret::{ApiKey, Url};

/// Where and how payloads are sent.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The key for the intake. Without one nothing is sent: what comes is counted as shed ([`crate::ledger::Shed::NoKey`]).
    pub api_key: Option<ApiKey>,
    /// Scheme, host and port of the trace intake, such as `https://trace.agent.datadoghq.com`. `/api/v0.2/traces` and `/api/v0.2/stats`
    /// are appended.
    pub trace_url: String,
    /// Bytes that the queue may hold, payloads that are being sent included.
    pub queue_bytes_max: usize,
    /// How trace payloads are compressed. (Stats always go as gzip, as the agent does.)
    pub compression: Compression,
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
}

/// How the body of a trace payload is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// zstd level 1: faster and smaller than gzip, what the agent sends.
    Zstd,
    /// gzip, for an intake (or a proxy before it) that does not take zstd.
    Gzip,
    /// As it is.
    None,
}
