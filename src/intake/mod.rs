//! Bytes in from tracers: the HTTP server on port 8126 and on the unix socket, its routes and its answers.
//!
//! `listen` binds before the app is spawned. A request goes to the `desk`, which finds its `route`, reads its `headers` and its body and gives
//! it to `traces`, where the pipeline takes it before the `answer`. No such answer waits for the network, the relay or stderr. What is neither
//! traces nor stats goes `through` to the proxy, whose answer is the network's; at the end, that is the `rest`.

mod answer;
mod desk;
mod headers;
mod info;
mod inherit;
mod listen;
mod obfuscation;
mod rest;
mod route;
mod through;
mod traces;

use std::cell::RefCell;
use std::net::IpAddr;
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::ledger::Ledger;
use crate::pipeline::Pipeline;
use crate::proxy::Proxy;
use crate::server;

pub use crate::server::Listeners;
pub use listen::bind;
pub use rest::Rest;

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

/// Serves until `stop` has a deadline (or its sender is gone: then at once), and then until everything that has arrived is served, or the
/// deadline has come. It must run on a `LocalSet` of a current-thread runtime with I/O and time: the pipeline is called inline. Requests that
/// are passed on may still be under way then: that is what is returned, to be finished on the same `LocalSet`.
pub async fn serve(
    listeners: Listeners,
    settings: &Settings,
    pipeline: Rc<RefCell<Pipeline>>,
    proxy: Proxy,
    ledger: Arc<Ledger>,
    stop: watch::Receiver<Option<Instant>>,
) -> Rest {
    let desk = Rc::new(desk::Desk::new(settings, pipeline, proxy, ledger));
    server::serve(listeners, &desk, settings.receive_timeout, stop).await;
    Rest::new(desk)
}
