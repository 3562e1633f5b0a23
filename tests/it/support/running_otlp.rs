//! The receivers of OTLP with their pipeline, on a thread of the test's process; what they would send is kept.

use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use pillion::ledger::Ledger;
use pillion::metrics::BodyKind;
use pillion::otlp::{self, Cors, Endpoint, Listeners, Settings};
use pillion::pipeline::{OpenBuckets, Pipeline, Tap};
use pillion::relay::Kind;
use pillion::trace::decode::otlp::Rules;
use tokio::sync::watch;

use super::decoded::{self, Span, TracerPayload};
use super::running_intake::{self, FAULTY_SERVICE};

/// Settings on two ports that were free just now.
pub(crate) fn settings() -> Settings {
    let free = || {
        let socket = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let hosts = vec![IpAddr::V4(Ipv4Addr::LOCALHOST)];
        Some(Endpoint { hosts, port: socket.local_addr().unwrap().port() })
    };
    Settings {
        http: free(),
        grpc: free(),
        http_body_bytes_max: 26_214_400,
        grpc_message_bytes_max: 4 << 20,
        grpc_requests_max: 8,
        cors: Cors::default(),
        receive_timeout: Duration::from_secs(5),
        connections_max: 2000,
        are_traces_taken: true,
        traces: Rules::default(),
        metrics: otlp::metrics::Settings::default(),
        logs: otlp::logs::Settings { is_enabled: true, ..otlp::logs::Settings::default() },
    }
}

/// Bound receivers that nobody serves yet.
pub(crate) struct BoundOtlp {
    pub(crate) http: SocketAddr,
    pub(crate) grpc: SocketAddr,
    settings: Settings,
    listeners: Listeners,
}

/// Running receivers. They are stopped when this is dropped.
pub(crate) struct RunningOtlp {
    pub(crate) http: SocketAddr,
    pub(crate) grpc: SocketAddr,
    pub(crate) ledger: Arc<Ledger>,
    sent: Arc<Mutex<Vec<Vec<u8>>>>,
    /// Bodies of metrics and batches of logs, in the order in which they left.
    pub(crate) others: Others,
    stop: watch::Sender<Option<Instant>>,
    thread: Option<JoinHandle<()>>,
}

impl BoundOtlp {
    /// Binds the ports of `settings`, or other ones where somebody has taken them meanwhile.
    pub(crate) fn new(settings: Settings) -> Self {
        let mut wanted = settings.clone();
        for _ in 0..100 {
            let (listeners, problems) = otlp::bind(&wanted);
            if problems.is_empty() {
                let (http, grpc) = (listeners.http_addresses()[0], listeners.grpc_addresses()[0]);
                return Self { http, grpc, settings: wanted, listeners };
            }
            let other = self::settings();
            wanted = Settings { http: other.http, grpc: other.grpc, ..settings.clone() };
        }
        panic!("no port is free");
    }

    /// Serves. `deadline`: the end is asked for already.
    pub(crate) fn serve(self, deadline: Option<Instant>) -> RunningOtlp {
        let Self { http, grpc, settings, listeners } = self;
        let (stop, stopped) = watch::channel(deadline);
        let ledger = Arc::new(Ledger::default());
        let sent = Arc::new(Mutex::new(Vec::new()));
        let others = Arc::new(Mutex::new(Vec::new()));
        let (counted, kept) = (Arc::clone(&ledger), Arc::clone(&sent));
        let kept_others = Arc::clone(&others);
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let pipeline = Rc::new(RefCell::new(pipeline(&counted, kept)));
            tokio::task::LocalSet::new().block_on(
                &runtime,
                otlp::serve(
                    listeners,
                    &settings,
                    Rc::clone(&pipeline),
                    outlets(kept_others),
                    counted,
                    stopped,
                ),
            );
            pipeline.borrow_mut().flush(running_intake::now_ns(), OpenBuckets::Flush);
        });
        RunningOtlp { http, grpc, ledger, sent, others, stop, thread: Some(thread) }
    }
}

/// All that left beside traces.
type Others = Arc<Mutex<Vec<(Other, Vec<u8>)>>>;

/// What left beside traces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Other {
    Metrics(BodyKind),
    Logs,
}

fn outlets(kept: Others) -> otlp::Outlets {
    let of_logs = Arc::clone(&kept);
    otlp::Outlets {
        points: pillion::metrics::Settings::default(),
        metrics: Box::new(move |output| {
            kept.lock().unwrap().push((Other::Metrics(output.kind), output.body));
        }),
        logs: Box::new(move |payload| {
            of_logs.lock().unwrap().push((Other::Logs, payload.body));
            Vec::new()
        }),
        learnt: otlp::Learnt::default(),
    }
}

fn pipeline(ledger: &Arc<Ledger>, sent: Arc<Mutex<Vec<Vec<u8>>>>) -> Pipeline {
    let tap: Tap =
        Box::new(|spans| assert!(spans.iter().all(|span| span.service != FAULTY_SERVICE)));
    let outlet = Box::new(move |payload: pillion::relay::Payload| {
        if payload.kind == Kind::Traces {
            sent.lock().unwrap().push(payload.body);
        }
        Vec::new()
    });
    let settings = pillion::pipeline::Settings { sending: true, ..running_intake::settings() };
    Pipeline::new(settings, Arc::clone(ledger), outlet, Some(tap), running_intake::now_ns())
}

impl RunningOtlp {
    pub(crate) fn new() -> Self {
        Self::with(settings())
    }

    pub(crate) fn with(settings: Settings) -> Self {
        BoundOtlp::new(settings).serve(None)
    }

    /// Asks for the end within `time` and waits for it; how long that took.
    pub(crate) fn stop(&mut self, time: Duration) -> Duration {
        let start = Instant::now();
        self.stop.send_replace(Some(start + time));
        self.join();
        start.elapsed()
    }

    /// Waits for the end.
    pub(crate) fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }

    /// Ends, and gives what would have been sent.
    pub(crate) fn payloads(&mut self) -> Vec<TracerPayload> {
        self.stop(Duration::from_secs(20));
        let bodies = std::mem::take(&mut *self.sent.lock().unwrap());
        bodies.iter().flat_map(|body| decoded::agent_payload(body).tracer_payloads).collect()
    }

    /// Ends, and gives the spans of all that would have been sent.
    pub(crate) fn spans(&mut self) -> Vec<Span> {
        let chunks = self.payloads().into_iter().flat_map(|payload| payload.chunks);
        chunks.flat_map(|chunk| chunk.spans).collect()
    }
}

impl Drop for RunningOtlp {
    fn drop(&mut self) {
        self.stop.send_replace(Some(Instant::now()));
        if let Some(thread) = self.thread.take() {
            assert!(thread.join().is_ok() || std::thread::panicking(), "the receivers panicked");
        }
    }
}
