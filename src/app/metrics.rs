//! DogStatsD: its packets become payloads of the relay.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;

use crate::config::Settings;
use crate::dogstatsd::{Listeners, Metrics, Outlet};
use crate::ledger::Ledger;
use crate::metrics::{Aggregator, BodyKind, Output};
use crate::relay::{Kind, Part, Payload, Relay};

/// Starts DogStatsD, where it is wanted, or what it has beside the sockets, where there are metrics of our own. Where there is no thread for it,
/// the rest runs on.
pub(super) fn start(
    settings: &Settings,
    listeners: Listeners,
    relay: &Relay,
    ledger: &Arc<Ledger>,
) -> Option<Metrics> {
    if listeners.is_empty() && !settings.usage.is_on {
        return None;
    }
    let relay = relay.clone();
    let outlet: Outlet = Box::new(move |output| relay.push(payload(output)));
    let aggregator = Aggregator::new(settings.metrics.clone());
    let own = settings.dogstatsd.clone();
    let started = Metrics::start(listeners, own, aggregator, Arc::clone(ledger), outlet);
    if let Err(error) = &started {
        tracing::error!("No thread for metrics ({error}): they are not taken.");
    }
    started.ok()
}

/// What the aggregator hands out, for the relay.
pub(super) fn payload(output: Output) -> Payload {
    let Output { kind, body, counts, parts } = output;
    let kind = match kind {
        BodyKind::Series => Kind::Series,
        BodyKind::Sketches => Kind::Sketches,
        BodyKind::Checks => Kind::Checks,
        BodyKind::Events => Kind::Events,
    };
    let parts = parts.into_iter().map(|part| Part { bytes: part.bytes, counts: part.counts });
    Payload { kind, body, counts, languages: String::new(), parts: parts.collect() }
}

/// At the end, metrics wait for what tracers still send, some of which are metrics; but no longer than half of the time, of which their sending
/// takes some, too.
pub(super) async fn stop_in_time(
    metrics: Option<Metrics>,
    mut stopping: watch::Receiver<Option<Instant>>,
) {
    let Some(metrics) = metrics else { return };
    let Ok(Some(until)) = stopping.wait_for(Option::is_some).await.map(|until| *until) else {
        return;
    };
    tokio::time::sleep(until.saturating_duration_since(Instant::now()) / 2).await;
    metrics.begin_stop(until);
}
