//! The app's output where logs are shipped: captured before the app is spawned, written on to the end before anything else at its end, and shipped.

use std::cell::RefCell;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::timeout;

use crate::config::Settings;
use crate::init::{Exit, Output};
use crate::ledger::Ledger;
use crate::limits::LOGS_RING_BYTES;
use crate::logs::automatic::samples::{self, Setting as Sample};
use crate::logs::batch::Attributes;
use crate::logs::level::level;
use crate::logs::rules::Rules;
use crate::logs::{self, Clock, Stages, follow, join};
use crate::platform::{FIRST_ANSWER_MAX, Tag};
use crate::relay::Relay;
use crate::ring::Ring;

use super::deadline;
use super::files::Following;
use super::pulse::now_ns;
use super::telemetry::{Plan, Telemetry};

/// The least time for writing on what the app wrote, where it is read at all: a stop timeout of 0 is about telemetry.
const WRITE_ON_MIN: Duration = Duration::from_secs(1);

/// Writing on takes less than this where somebody reads. After it telemetry need not wait any longer.
const WRITE_ON_USUAL: Duration = Duration::from_millis(100);

/// The service of logs where none is named, as with `datadog-init`.
const SERVICE_DEFAULT: &str = "agent";

/// Their source, the same.
const SOURCE_DEFAULT: &str = "unknown";

/// Whether logs are shipped: they are on, and there is a key to ship them with.
pub(super) fn ships(settings: &Settings) -> bool {
    settings.logs.is_enabled && settings.relay.logs.api_key.is_some()
}

/// Captures the app's output where logs are shipped, and there is a key to ship them with. What it has to say goes into the plan.
pub(super) fn capture(plan: &mut Plan) -> Option<Output> {
    if !ships(&plan.settings) {
        return None;
    }
    let ring = Arc::new(Ring::new(LOGS_RING_BYTES));
    let (output, complaints) = Output::capture(&ring);
    plan.complaints.extend(complaints);
    plan.ring = output.is_some().then_some(ring);
    output
}

/// The app has ended: what it wrote goes on, then telemetry is finished; both within the stop timeout.
pub(super) fn finish(
    mut output: Output,
    telemetry: Telemetry,
    exit: &Exit,
    stop_timeout: Duration,
) {
    let exited = Instant::now();
    let until = deadline(exit.stop_asked, exited, stop_timeout);
    if !output.drain(exited + WRITE_ON_USUAL) {
        telemetry.hurry();
        // A reader that is stuck leaves half of the time to telemetry.
        let half = until.saturating_duration_since(exited) / 2;
        drain_while_read(&mut output, exit, half.max(WRITE_ON_MIN));
    }
    // Where nobody asked us to stop, nobody waits: what took long was a slow reader, and telemetry has its time still.
    let until = deadline(exit.stop_asked, Instant::now(), stop_timeout).max(until);
    telemetry.finish(until);
    output.drain(until);
    let unwritten = output.unwritten();
    if unwritten.stuck > 0 {
        tracing::warn!(
            "up to {} bytes of the app's output were not written on: nobody read them in time",
            unwritten.stuck
        );
    }
    if unwritten.failed > 0 {
        tracing::warn!(
            "{} bytes of the app's output could not be written: is the disk behind its standard output full?",
            unwritten.failed
        );
    }
}

/// Waits until all is written on, or `patience` has passed. It begins anew with each byte that is read, unless we were asked to stop: a slow reader
/// would have kept the app itself waiting.
fn drain_while_read(output: &mut Output, exit: &Exit, patience: Duration) {
    loop {
        let before = output.unwritten();
        if output.drain(Instant::now() + patience)
            || exit.stop_asked.is_some()
            || output.unwritten() == before
        {
            return;
        }
    }
}

/// How lines become messages. What can't be used of what the user wrote is said.
fn joining(settings: &logs::Messages) -> (join::Plan, Arc<Rules>) {
    let mut problems = Vec::new();
    let rules = Rules::read(&settings.rules, &mut problems);
    let mut automatic = settings.automatic.clone();
    if !settings.samples.is_empty() {
        automatic.samples = samples::parse(&settings.samples, &mut problems);
    }
    automatic.samples.extend(settings.patterns.iter().map(|regex| Sample::of_pattern(regex)));
    let plan = join::Plan::new(rules.multi_line(), settings.multi_line, automatic, &mut problems);
    for problem in problems {
        tracing::warn!("{problem}");
    }
    (plan, Arc::new(rules))
}

/// The logs in the data plane.
#[derive(Debug)]
pub(super) struct Logs {
    stages: Rc<RefCell<Stages>>,
    clock: Clock,
    /// What entries say beside their text, as far as it is known from the start.
    attributes: Attributes,
    following: RefCell<Option<Following>>,
}

impl Logs {
    /// The last lines that the app wrote, all of which is taken first; the app has ended.
    pub(super) fn last_lines(&self) -> Option<String> {
        self.stages.borrow_mut().last_lines(self.clock.now_ms())
    }

    /// Sends an error of our own along with the app's lines.
    pub(super) fn own_message(&self, text: &str) {
        self.stages.borrow_mut().own_message(text, now_ns() / 1_000_000, self.clock.now_ms());
    }

    /// Starts to take what comes; at first, where the platform has more to say (`waits`), no sooner than it has, but for a short time only.
    pub(super) fn start(
        settings: &logs::Settings,
        ring: Arc<Ring>,
        waits: Option<Arc<Notify>>,
        (relay, ledger): (&Relay, &Arc<Ledger>),
        local: &LocalSet,
    ) -> Self {
        let way_out = relay.clone();
        let outlet: logs::Outlet = Box::new(move |payload| {
            way_out.push(payload);
            way_out.buffer()
        });
        let mut settings = settings.clone();
        let attributes = &mut settings.attributes;
        for (value, default) in
            [(&mut attributes.service, SERVICE_DEFAULT), (&mut attributes.source, SOURCE_DEFAULT)]
        {
            if value.is_empty() {
                default.clone_into(value);
            }
        }
        let (plan, rules) = joining(&settings.messages);
        let stages = Stages::new(&settings, level, Arc::clone(&ring), Arc::clone(ledger), outlet);
        let stages = stages.with(&plan, &rules);
        let (stages, clock) = (Rc::new(RefCell::new(stages)), Clock::new());
        let following = Following::start(&settings, &plan, &stages, clock);
        let of_files = following.as_ref().map(Following::lines);
        let of_ring = Rc::clone(&stages);
        local.spawn_local(async move {
            if let Some(known) = waits {
                // What the app has written meanwhile waits in the ring, unless it is plenty.
                let (mut known, mut plenty) = (pin!(known.notified()), pin!(ring.plenty()));
                let either = poll_fn(|context| {
                    let is_over = known.as_mut().poll(context).is_ready()
                        || plenty.as_mut().poll(context).is_ready();
                    if is_over { Poll::Ready(()) } else { Poll::Pending }
                });
                timeout(FIRST_ANSWER_MAX, either).await.ok();
            }
            // Apart, so that a fault in one leaves the other.
            if let Some(of_files) = of_files {
                spawn_local(of_files.follow());
            }
            follow(&ring, of_ring, clock).await;
        });
        Self { stages, clock, attributes: settings.attributes, following: RefCell::new(following) }
    }

    /// Has further entries say what was learnt of the platform.
    pub(super) fn learn(&self, found: &[Tag]) {
        let mut attributes = self.attributes.clone();
        for Tag { key, value } in found {
            if !attributes.tags.is_empty() {
                attributes.tags.push(',');
            }
            attributes.tags.push_str(&format!("{key}:{value}"));
        }
        self.stages.borrow_mut().set_attributes(attributes);
    }

    /// Has all that the app wrote leave, to files too. A fault there ends the logs and nothing else.
    pub(super) fn finish(&self, until: Instant) {
        let finish = || {
            if let Some(following) = self.following.take() {
                // Files may be long, and what was read of them has to be sent as well.
                let now = Instant::now();
                following.finish(now + until.saturating_duration_since(now) / 2);
            }
            self.stages.borrow_mut().finish(self.clock.now_ms());
        };
        if catch_unwind(AssertUnwindSafe(finish)).is_err() {
            tracing::error!("Logs ended by a fault of their own: the rest runs on.");
        }
    }
}
