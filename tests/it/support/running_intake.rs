//! An intake with its pipeline, on a thread of the test's process.

use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use pillion::config::{self, Env, Mode};
use pillion::intake::{self, Listeners, Settings};
use pillion::ledger::Ledger;
use pillion::pipeline::{self, Pipeline, Tap};
use pillion::proxy::Proxy;
use tokio::sync::watch;

/// What a test may want otherwise.
pub(crate) struct Wanted {
    pub(crate) receive_timeout: Duration,
    pub(crate) connections_max: usize,
    pub(crate) body_bytes_max: usize,
    pub(crate) socket: Option<PathBuf>,
    /// Variables for what is passed on.
    pub(crate) env: Vec<(&'static str, String)>,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            receive_timeout: Duration::from_secs(5),
            connections_max: 2000,
            body_bytes_max: 26_214_400,
            socket: None,
            env: Vec::new(),
        }
    }
}

/// A bound intake that nobody serves yet.
pub(crate) struct BoundIntake {
    pub(crate) address: SocketAddr,
    settings: Settings,
    listeners: Listeners,
    read: config::Settings,
}

/// A running intake. It is stopped when this is dropped.
pub(crate) struct RunningIntake {
    pub(crate) address: SocketAddr,
    pub(crate) ledger: Arc<Ledger>,
    stop: watch::Sender<Option<Instant>>,
    thread: Option<JoinHandle<()>>,
}

impl BoundIntake {
    /// Binds a port that is free. Between finding it and binding it somebody else may take it, then another one is tried.
    pub(crate) fn new(wanted: Wanted) -> Self {
        for _ in 0..100 {
            let free = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
                .unwrap()
                .local_addr()
                .unwrap();
            let settings = Settings {
                hosts: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
                port: free.port(),
                socket: wanted.socket.clone(),
                enabled: true,
                receive_timeout: wanted.receive_timeout,
                connections_max: wanted.connections_max,
                body_bytes_max: wanted.body_bytes_max,
                inherited: Default::default(),
            };
            let (listeners, problems) = intake::bind(&settings);
            if problems.is_empty() {
                let pairs: Vec<(&str, &str)> =
                    wanted.env.iter().map(|(name, value)| (*name, value.as_str())).collect();
                let (read, problems) = config::read(&Env::of(&pairs), Mode::Wrapper);
                assert!(problems.is_empty(), "{problems:?}");
                return Self { address: free, settings, listeners, read };
            }
        }
        panic!("no port is free");
    }

    /// Serves. `deadline`: the end is asked for already.
    pub(crate) fn serve(self, deadline: Option<Instant>) -> RunningIntake {
        let Self { address, settings, listeners, read } = self;
        let (stop, stopped) = watch::channel(deadline);
        let ledger = Arc::new(Ledger::default());
        let counted = Arc::clone(&ledger);
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let pipeline = Rc::new(RefCell::new(pipeline(&counted)));
            let proxy = Proxy::new(&read.proxy, read.relay, Arc::clone(&counted));
            let until = stopped.clone();
            let local = tokio::task::LocalSet::new();
            let served = intake::serve(listeners, &settings, pipeline, proxy, counted, stopped);
            let rest = local.block_on(&runtime, served);
            let until = until.borrow().unwrap_or_else(Instant::now);
            local.block_on(&runtime, rest.finish(until));
        });
        RunningIntake { address, ledger, stop, thread: Some(thread) }
    }
}

impl RunningIntake {
    pub(crate) fn new() -> Self {
        Self::with(Wanted::default())
    }

    pub(crate) fn with(wanted: Wanted) -> Self {
        BoundIntake::new(wanted).serve(None)
    }

    /// Spans that were accepted.
    pub(crate) fn spans(&self) -> u64 {
        self.ledger.spans.read().received
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
}

impl Drop for RunningIntake {
    fn drop(&mut self) {
        self.stop.send_replace(Some(Instant::now()));
        if let Some(thread) = self.thread.take() {
            // A panic of the intake is a failed test of its own, unless the test fails already.
            assert!(thread.join().is_ok() || std::thread::panicking(), "the intake panicked");
        }
    }
}

/// The service of a span that makes the pipeline panic.
pub(crate) const FAULTY_SERVICE: &str = "faulty";

/// A pipeline whose payloads are dropped: what an intake's test looks at is in the ledger. Its tap panics at [`FAULTY_SERVICE`].
fn pipeline(ledger: &Arc<Ledger>) -> Pipeline {
    let tap: Tap =
        Box::new(|spans| assert!(spans.iter().all(|span| span.service != FAULTY_SERVICE)));
    Pipeline::new(
        settings(),
        Arc::clone(ledger),
        Box::new(|payload| payload.body),
        Some(tap),
        now_ns(),
    )
}

pub(crate) fn now_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64
}

pub(crate) fn settings() -> pipeline::Settings {
    pipeline::Settings {
        env: "none".to_owned(),
        hostname: String::new(),
        apm_mode: String::new(),
        install: None,
        span_tags: Vec::new(),
        origin: String::new(),
        container_tags: String::new(),
        function_tags: String::new(),
        discards_own_calls: false,
        sampling: Default::default(),
        stats_by_span_kind: true,
        peer_tags_aggregation: true,
        peer_tags: Vec::new(),
        primary_tags: Vec::new(),
        client_stats_interval: Duration::from_secs(1),
        stats_disabled: false,
        component_to_name: false,
        big_resource: false,
        older: false,
        to_worker: false,
        features: Vec::new(),
        obfuscation: Default::default(),
        filters: Default::default(),
        replace: Vec::new(),
        flush_interval: Duration::from_secs(1),
        sending: false,
    }
}
