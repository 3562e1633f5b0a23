//! Bytes in from tracers: the HTTP server on port 8126 and on the unix socket, its limits, its routes and its answers.

mod listen;

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use listen::{Listeners, bind};

/// Where and how the intake listens.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Addresses for the TCP port. The first is the one that tracers need; `::1` beside `127.0.0.1` is a convenience.
    pub hosts: Vec<IpAddr>,
    /// The TCP port; 0 switches TCP off (`DD_APM_RECEIVER_PORT`).
    pub port: u16,
    /// The unix socket, where one is wanted (`DD_APM_RECEIVER_SOCKET`).
    pub socket: Option<PathBuf>,
    /// `DD_APM_ENABLED` and `DD_APM_RECEIVER_ENABLED`: whether anything listens at all.
    pub enabled: bool,
    /// How long a request's head and body may take to arrive (the agent's 5 s, `DD_APM_RECEIVER_TIMEOUT`).
    pub receive_timeout: Duration,
    /// Connections at once; further ones wait in the backlog (`DD_APM_CONNECTION_LIMIT`).
    pub connections_max: usize,
    /// Bytes of one body (`DD_APM_MAX_PAYLOAD_SIZE`).
    pub body_bytes_max: usize,
}
