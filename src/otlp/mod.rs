//! OTLP in: what OpenTelemetry's SDKs send, over HTTP (`http`) and gRPC (`grpc`), on ports of their own that are open only where the user asks for
//! them.
//!
//! `listen` binds before the app is spawned. A request's body is unpacked (`coding`) and taken (`signals`) before it is answered: spans by the
//! pipeline (`traces`), [`metrics`] and [`logs`] by what has their names. The `answer` says what became of it in the request's own encoding. As on the trace agent's port, no answer waits for the network
//! or the relay, and none is an error because of them.

mod answer;
mod coding;
mod cors;
mod grpc;
mod http;
mod listen;
pub mod logs;
pub mod metrics;
mod signals;
mod traces;
mod unary;

use std::cell::RefCell;
use std::fmt;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::spawn_local;

use crate::ledger::Ledger;
use crate::pipeline::Pipeline;
use crate::server;
use crate::trace::decode::otlp::Rules;

pub use listen::{Listeners, bind};

/// Where and how OTLP comes in.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where HTTP listens, where it does (`DD_OTLP_CONFIG_RECEIVER_PROTOCOLS_HTTP_ENDPOINT`).
    pub http: Option<Endpoint>,
    /// Where gRPC listens, where it does (`DD_OTLP_CONFIG_RECEIVER_PROTOCOLS_GRPC_ENDPOINT`).
    pub grpc: Option<Endpoint>,
    /// Bytes of one body over HTTP, as it comes and unpacked (`…_HTTP_MAX_REQUEST_BODY_SIZE`).
    pub http_body_bytes_max: usize,
    /// Bytes of one message over gRPC, as it comes and unpacked (`…_GRPC_MAX_RECV_MSG_SIZE_MIB`).
    pub grpc_message_bytes_max: usize,
    /// Requests at once on one connection of gRPC (`…_GRPC_MAX_CONCURRENT_STREAMS`).
    pub grpc_requests_max: u32,
    /// Which pages of other sites may send.
    pub cors: Cors,
    /// How long a request may take to arrive.
    pub receive_timeout: Duration,
    /// Connections at once, of each kind.
    pub connections_max: usize,
    /// Whether traces are taken.
    pub are_traces_taken: bool,
    /// The rules for spans.
    pub traces: Rules,
    /// What becomes of metrics.
    pub metrics: metrics::Settings,
    /// What becomes of logs.
    pub logs: logs::Settings,
}

/// The ways on for what OTLP brings beside traces.
pub struct Outlets {
    /// What all points have beside their own tags.
    pub points: crate::metrics::Settings,
    /// Takes bodies of points.
    pub metrics: Box<dyn FnMut(crate::metrics::Output)>,
    /// Takes batches of logs, and gives a buffer for the next.
    pub logs: crate::logs::Outlet,
    /// What is learnt of the platform.
    pub learnt: Learnt,
}

/// Tags of the platform that are learnt while the app runs, `key:value` each. Clones are the same one; what it holds is taken out once.
#[derive(Clone, Debug, Default)]
pub struct Learnt(Rc<RefCell<Option<LearntTags>>>);

/// What a [`Learnt`] holds.
#[derive(Debug)]
struct LearntTags {
    metrics: Vec<String>,
    logs: Vec<String>,
}

impl Learnt {
    /// Has further points and records say these, beside what the settings say, in the place of what was learnt before.
    pub fn tell(&self, metrics: Vec<String>, logs: Vec<String>) {
        *self.0.borrow_mut() = Some(LearntTags { metrics, logs });
    }
}

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The hosts.
    pub hosts: Vec<IpAddr>,
    /// The port of all of them.
    pub port: u16,
}

/// Pages of other sites that may send over HTTP, as browsers ask for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cors {
    /// Origins, each with at most one `*` (`…_HTTP_CORS_ALLOWED_ORIGINS`). None: browsers are told nothing, and send nothing.
    pub origins: Vec<String>,
    /// Headers beside the usual ones; `*` is all (`…_HTTP_CORS_ALLOWED_HEADERS`).
    pub headers: Vec<String>,
}

impl fmt::Debug for Outlets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outlets").finish_non_exhaustive()
    }
}

/// Connections of gRPC at once, whatever the settings allow: each may hold half a megabyte, and an SDK has one.
const GRPC_CONNECTIONS_MAX: usize = 256;

/// Serves until `stop` has a deadline, and then until everything that has arrived is served, or the deadline has come. It must run on a
/// `LocalSet` of a current-thread runtime with I/O and time: the pipeline is called inline.
pub async fn serve(
    listeners: Listeners,
    settings: &Settings,
    pipeline: Rc<RefCell<Pipeline>>,
    outlets: Outlets,
    ledger: Arc<Ledger>,
    stop: watch::Receiver<Option<Instant>>,
) {
    let Listeners { http, grpc } = listeners;
    if http.is_empty() && grpc.is_empty() {
        return;
    }
    let traces = settings
        .are_traces_taken
        .then(|| traces::Traces::new(pipeline, settings.traces.clone(), Arc::clone(&ledger)));
    let signals = Rc::new(signals::Signals::new(settings, traces, outlets, ledger));
    let waiting = Rc::clone(&signals);
    let leaving = spawn_local(async move { waiting.run().await });
    let timeout = settings.receive_timeout;
    let over_http = (!http.is_empty()).then(|| {
        let desk = Rc::new(http::Desk::new(settings, Rc::clone(&signals)));
        let stop = stop.clone();
        spawn_local(async move { server::serve(http, &desk, timeout, stop).await })
    });
    if !grpc.is_empty() {
        let desk = Rc::new(grpc::Desk::new(settings, Rc::clone(&signals)));
        server::serve(grpc, &desk, timeout, stop).await;
    }
    if let Some(over_http) = over_http {
        // A fault of the task has ended it, and is no reason to end the other.
        over_http.await.ok();
    }
    leaving.abort();
    signals.finish();
}
