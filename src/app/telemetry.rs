//! The data plane as the process plane sees it: a thread that is started, hurried and given a deadline, and never waited for beyond it.

use std::cell::RefCell;
use std::io;
use std::net::TcpListener;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};
use tokio::task::LocalSet;

use crate::app::pulse::{Beat, Beats, Pulse, now_ns};
use crate::cgroup::Cgroup;
use crate::config::{Problem, Settings};
use crate::intake::Listeners;
use crate::ledger::{Counts, Ledger, Shed};
use crate::pipeline::{OpenBuckets, Outlet, Pipeline, Tap};
use crate::proxy::Proxy;
use crate::relay::Relay;
use crate::ring::Ring;
use crate::{dogstatsd, intake, log, otlp, view};

use super::keys;
use super::life::Life;
use super::metrics;
use super::output::{self, Logs};
use super::patience::Patience;
use super::platform::{self, Told};
use super::report::Reporter;
use super::usage::{self, Usage};

/// What the data plane is started with.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) settings: Settings,
    pub(super) problems: Vec<Problem>,
    pub(super) listeners: Listeners,
    pub(super) otlp_listeners: otlp::Listeners,
    pub(super) dogstatsd_listeners: dogstatsd::Listeners,
    /// Where the platform's probes come in.
    pub(super) probes: Option<TcpListener>,
    pub(super) complaints: Vec<String>,
    /// Where the app's output comes from, where logs are shipped.
    pub(super) ring: Option<Arc<Ring>>,
    /// The app's, where there is one.
    pub(super) life: Option<Arc<Life>>,
}

/// The process plane's end of the data plane.
#[derive(Debug)]
pub(super) struct Telemetry {
    ledger: Arc<Ledger>,
    hurry: Arc<Notify>,
    ring: Option<Arc<Ring>>,
    stop: watch::Sender<Option<Instant>>,
    done: Receiver<()>,
}

/// What is kept back of the time to the deadline for leaving itself.
const LEAVING: Duration = Duration::from_millis(20);

/// The stack of the data plane's thread. Nothing in it recurses deeper than [`crate::limits::DECODE_DEPTH_MAX`].
const STACK_BYTES: usize = 512 * 1024;

impl Telemetry {
    /// Starts the thread. Where that fails the app runs on without telemetry, and a line says so.
    pub(super) fn start(plan: Plan) -> Self {
        let ledger = Arc::new(Ledger::default());
        let hurry = Arc::new(Notify::new());
        let (stop, stopping) = watch::channel(None);
        let (report, done) = sync_channel(1);
        let ring = plan.ring.clone();
        let inner = Inner { ledger: Arc::clone(&ledger), hurry: Arc::clone(&hurry), stopping };
        let body = move || run(plan, inner, &report);
        if let Err(error) =
            thread::Builder::new().name("pillion-data".into()).stack_size(STACK_BYTES).spawn(body)
        {
            log::line(&format!("no thread for telemetry ({error}): the app runs without it"));
        }
        Self { ledger, hurry, ring, stop, done }
    }

    /// Has what is held sent now. Only sets a flag.
    pub(super) fn hurry(&self) {
        self.hurry.notify_one();
        if let Some(ring) = &self.ring {
            ring.hurry();
        }
    }

    /// Gives the data plane until `until` to deliver what it has, and says in one line what became of everything if anything was lost.
    pub(super) fn finish(self, until: Instant) {
        self.stop.send_replace(Some(until.checked_sub(LEAVING).unwrap_or(until)));
        // The thread is gone, or done, or the time is up: all the same from here on.
        self.done.recv_timeout(until.saturating_duration_since(Instant::now())).ok();
        if let Some(ring) = &self.ring {
            let lines = Counts { log_lines: ring.close().lines, ..Counts::default() };
            self.ledger.received(lines);
            self.ledger.shed(Shed::Deadline, lines);
        }
        match (self.ledger.losses(), self.ledger.summary()) {
            (Some(losses), _) => tracing::warn!("{losses}"),
            (None, Some(summary)) => tracing::info!("{summary}"),
            (None, None) => {}
        }
    }
}

struct Inner {
    ledger: Arc<Ledger>,
    hurry: Arc<Notify>,
    stopping: watch::Receiver<Option<Instant>>,
}

/// The thread. A panic that nothing further in has caught ends telemetry and not the app.
fn run(mut plan: Plan, inner: Inner, report: &SyncSender<()>) {
    log::install(plan.settings.log, Arc::clone(&inner.ledger));
    let served = catch_unwind(AssertUnwindSafe(|| {
        say(&plan.problems, &plan.complaints);
        read_hostname(&mut plan.settings);
        let has_place = plan.settings.pipeline.sending;
        keys::resolve(&mut plan.settings, &inner.stopping);
        let is_said = has_place && !plan.settings.pipeline.sending;
        serve(plan, &inner, is_said)
    }));
    match served {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::error!("Telemetry could not start ({error}): the app runs without it.")
        }
        Err(_) => {
            tracing::error!("Telemetry ended by a fault of its own: the app runs without it.")
        }
    }
    // The other end is gone only when nobody waits any more.
    report.try_send(()).ok();
}

/// `is_said`: a line has told why there is no key.
fn serve(plan: Plan, inner: &Inner, is_said: bool) -> io::Result<()> {
    let Plan {
        settings, listeners, otlp_listeners, dogstatsd_listeners, probes, ring, life, ..
    } = plan;
    let ledger = &inner.ledger;
    let (tap, viewer): (Option<Tap>, _) = match viewer(&settings, is_said) {
        Some((tap, viewer)) => (Some(Box::new(move |spans| tap.chunk(spans))), Some(viewer)),
        None => (None, None),
    };
    let relay = Relay::start(settings.relay.clone(), Arc::clone(ledger))?;
    let pipeline = pipeline(&settings, &relay, ledger, tap);
    let beat = Beat::begin();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let local = LocalSet::new();
    let proxy = Proxy::new(&settings.proxy, settings.relay.clone(), Arc::clone(ledger));
    let served = intake::serve(
        listeners,
        &settings.intake,
        Rc::clone(&pipeline),
        proxy,
        Arc::clone(ledger),
        inner.stopping.clone(),
    );
    let learnt = otlp::Learnt::default();
    let mut beside = Beside::start(
        &settings,
        Sources { ring, life, dogstatsd_listeners, probes, learnt: learnt.clone() },
        &pipeline,
        &relay,
        inner,
        (&local, beat),
    );
    let has_otlp = !otlp_listeners.is_empty();
    let otlp = local.spawn_local(serve_otlp(
        otlp_listeners,
        settings.otlp,
        Rc::clone(&pipeline),
        otlp_outlets(settings.metrics, &relay, learnt),
        Arc::clone(ledger),
        inner.stopping.clone(),
    ));
    let rest = local.block_on(&runtime, async {
        let rest = served.await;
        if otlp.await.is_err() {
            tracing::error!("OTLP ended by a fault of its own: the rest runs on.");
        }
        rest
    });
    let until = inner.stopping.borrow().unwrap_or_else(Instant::now);
    let patience = beside.patience(&pipeline, &relay, has_otlp);
    beside.report();
    pipeline.borrow_mut().flush(now_ns(), OpenBuckets::Flush);
    beside.finish(until);
    // The relay sends from here on; what comes before the wait for it goes on beside it, and may use up the time.
    let flush = relay.begin_flush();
    if let Some(viewer) = viewer {
        viewer.finish(until);
    }
    local.block_on(&runtime, rest.finish(until));
    flush.wait_each(|family| patience.until(family, until));
    // A name that is still being looked up would hold up a plain drop.
    drop(local);
    runtime.shutdown_background();
    Ok(())
}

/// The trace path, whose payloads go to the relay.
fn pipeline(
    settings: &Settings,
    relay: &Relay,
    ledger: &Arc<Ledger>,
    tap: Option<Tap>,
) -> Rc<RefCell<Pipeline>> {
    let way_out = relay.clone();
    let outlet: Outlet = Box::new(move |payload| {
        way_out.push(payload);
        way_out.buffer()
    });
    let settings = settings.pipeline.clone();
    let pipeline = Pipeline::new(settings, Arc::clone(ledger), outlet, tap, now_ns());
    Rc::new(RefCell::new(pipeline))
}

/// Where things come from beside traces.
struct Sources {
    ring: Option<Arc<Ring>>,
    life: Option<Arc<Life>>,
    dogstatsd_listeners: dogstatsd::Listeners,
    probes: Option<TcpListener>,
    /// Where OTLP looks for what is learnt of the platform.
    learnt: otlp::Learnt,
}

/// What runs beside the traces.
struct Beside {
    logs: Option<Rc<Logs>>,
    metrics: Option<dogstatsd::Metrics>,
    usage: Option<Rc<RefCell<Usage>>>,
    reporter: Option<Reporter>,
}

impl Beside {
    /// Starts logs, metrics, the pulse of all, and what has to do with the platform.
    fn start(
        settings: &Settings,
        Sources { ring, life, dogstatsd_listeners, probes, learnt }: Sources,
        pipeline: &Rc<RefCell<Pipeline>>,
        relay: &Relay,
        inner: &Inner,
        (local, beat): (&LocalSet, Beat),
    ) -> Self {
        let known = Arc::new(Notify::new());
        let waits = settings.platform.source.is_some().then(|| Arc::clone(&known));
        let way = (relay, &inner.ledger);
        let has_files = settings.logs.files.is_some() && output::ships(settings);
        // Where there are files alone, nothing comes in a ring.
        let ring = ring.or_else(|| has_files.then(|| Arc::new(Ring::new(0))));
        let logs = ring.map(|ring| Rc::new(Logs::start(&settings.logs, ring, waits, way, local)));
        let metrics = metrics::start(settings, dogstatsd_listeners, relay, &inner.ledger);
        let cgroup = Arc::new(Cgroup::open());
        if let Some(life) = &life {
            life.watch(Arc::clone(&cgroup));
        }
        let asks = settings.platform.source.is_some();
        let usage = Usage::begin(&settings.usage, metrics.as_ref(), (life.clone(), cgroup), asks);
        local.spawn_local(usage::end_in_time(usage.clone(), inner.stopping.clone()));
        let hurry = Arc::clone(&inner.hurry);
        let beats = Beats { usage: usage.clone(), life: life.clone() };
        let to_metrics = metrics.clone();
        let pulse = Pulse::new(Rc::clone(pipeline), to_metrics, beats, relay.clone(), hurry, beat);
        local.spawn_local(pulse.run());
        local.spawn_local(metrics::stop_in_time(metrics.clone(), inner.stopping.clone()));
        let told = Told {
            pipeline: Rc::clone(pipeline),
            logs: logs.clone(),
            metrics: metrics.clone(),
            usage: usage.clone(),
            otlp: learnt,
            metric_tags: settings.metrics.tags.clone(),
            known,
        };
        platform::start(local, &settings.platform, probes, told);
        let reporter = life.map(|life| {
            let stopping = (local, inner.stopping.clone());
            Reporter::begin(settings.report.clone(), life, Rc::clone(pipeline), stopping)
        });
        Self { logs, metrics, usage, reporter }
    }

    /// What there is of the app's, before we add something.
    fn patience(
        &self,
        pipeline: &Rc<RefCell<Pipeline>>,
        relay: &Relay,
        has_otlp: bool,
    ) -> Patience {
        let (logs, metrics) = (self.logs.as_deref(), self.metrics.as_ref());
        let look = || Patience::look(pipeline, relay, logs, metrics, has_otlp);
        catch_unwind(AssertUnwindSafe(look)).unwrap_or(Patience::ALL)
    }

    /// Has what is to be said of the app's end leave with all the rest.
    fn report(&mut self) {
        usage::end(self.usage.as_ref());
        if let Some(reporter) = self.reporter.take() {
            reporter.end(self.logs.as_deref());
        }
    }

    /// Has what they hold leave for the relay.
    fn finish(self, until: Instant) {
        if let Some(logs) = self.logs {
            logs.finish(until);
        }
        if let Some(metrics) = self.metrics {
            metrics.begin_stop(until);
            metrics.wait(until);
        }
    }
}

/// The host of the file that names it, where there is one.
fn read_hostname(settings: &mut Settings) {
    if let Some(file) = &settings.hostname_file {
        match file.read() {
            Ok(hostname) => {
                settings.proxy.hostname.clone_from(&hostname);
                settings.pipeline.hostname = hostname;
            }
            Err(problem) => tracing::warn!("{problem}"),
        }
    }
}

/// Says what is wrong in the settings, and what could not be bound.
fn say(problems: &[Problem], complaints: &[String]) {
    for problem in problems {
        tracing::warn!("{problem}");
    }
    for complaint in complaints {
        tracing::warn!("{complaint}");
    }
}

/// How metrics and logs of OTLP go to the relay.
fn otlp_outlets(
    points: crate::metrics::Settings,
    relay: &Relay,
    learnt: otlp::Learnt,
) -> otlp::Outlets {
    let (of_metrics, of_logs) = (relay.clone(), relay.clone());
    otlp::Outlets {
        points,
        metrics: Box::new(move |output| of_metrics.push(metrics::payload(output))),
        logs: Box::new(move |payload| {
            of_logs.push(payload);
            of_logs.buffer()
        }),
        learnt,
    }
}

async fn serve_otlp(
    listeners: otlp::Listeners,
    settings: otlp::Settings,
    pipeline: Rc<RefCell<Pipeline>>,
    outlets: otlp::Outlets,
    ledger: Arc<Ledger>,
    stop: watch::Receiver<Option<Instant>>,
) {
    otlp::serve(listeners, &settings, pipeline, outlets, ledger, stop).await;
}

/// The viewer, where it is asked for, or where there is nobody else to look and a person sits at the terminal.
fn viewer(settings: &Settings, is_said: bool) -> Option<(view::Tap, view::Viewer)> {
    if !settings.view {
        if settings.relay.traces.api_key.is_some() {
            return None;
        }
        if !log::is_terminal() {
            if !is_said {
                tracing::warn!("No DD_API_KEY: nothing is sent. --view shows traces here.");
            }
            return None;
        }
        tracing::warn!("No DD_API_KEY: traces are shown here instead of being sent.");
    }
    let started = view::start();
    if let Err(error) = &started {
        tracing::error!("No thread for the view ({error}): traces are not shown.");
    }
    started.ok()
}
