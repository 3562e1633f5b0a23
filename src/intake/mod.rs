//! Bytes in from tracers: the HTTP server on port 8126 and on the unix socket, its limits, its routes and its answers.
//!
//! `listen` binds before the app is spawned. `serve` accepts and, at the end, hands over to `drain`; each `connection` is a task of hyper's,
//! all on one thread. `room` knows them all and bounds their number and their time; `body` bounds their bytes. A request goes to the `desk`,
//! which finds its `route`, reads its `headers` and its `body` and gives it to `traces`, where the pipeline takes it before the `answer`.
//! No answer waits for the network, the relay or stderr.

mod answer;
mod body;
mod connection;
mod desk;
mod drain;
mod headers;
mod info;
mod inherit;
mod listen;
mod obfuscation;
mod room;
mod route;
mod serve;
mod traces;

use std::net::IpAddr;
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::time::Duration;

pub use listen::{Listeners, bind};
pub use serve::serve;

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
    /// Listening sockets that we were started with.
    pub inherited: Inherited,
}

/// Numbers of open files that are listening sockets, for what starts us with them (spec: trace-agent 1.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inherited {
    /// In place of binding the TCP port (`DD_APM_NET_RECEIVER_FD`).
    pub tcp: Option<RawFd>,
    /// In place of the unix socket (`DD_APM_UNIX_RECEIVER_FD`).
    pub unix: Option<RawFd>,
}
