//! The runs: one function per question that BENCHMARKS.md answers.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::bodies;
use crate::client::{self, Load, Seen};
use crate::forms::Form;
use crate::peer::{Peer, Running};
use crate::sink::Sink;

/// Spans of a large body: 100 traces of 10.
pub(crate) const LARGE: (usize, usize) = (100, 10);
/// Spans of a small body.
pub(crate) const SMALL: (usize, usize) = (1, 10);

/// A load that lasts.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// Where peers listen.
const PORT: u16 = 18_126;
/// How long a peer may take from TERM to its end.
const PATIENCE: Duration = Duration::from_secs(20);

/// A load for some seconds over some connections, in a closed loop.
pub(crate) fn closed(connections: usize, time: Duration) -> Load {
    Load { connections, time, requests_max: u64::MAX, pace: Duration::ZERO, form: Form::V04 }
}

/// Starting and doing nothing.
pub(crate) struct Idle {
    pub(crate) accepts_after: Duration,
    pub(crate) memory: u64,
    pub(crate) binary: u64,
}

/// Starts the peer some times: the median time until it accepts, and its memory a second later.
pub(crate) fn idle(peer: &Peer) -> io::Result<Idle> {
    const STARTS: usize = 21;
    let intake = Sink::down()?;
    let mut times = Vec::new();
    for _ in 0..STARTS {
        times.push(peer.start(PORT, &intake)?.accepts_after);
    }
    times.sort_unstable();
    let running = peer.start(PORT, &intake)?;
    thread::sleep(Duration::from_secs(1));
    Ok(Idle {
        accepts_after: times[STARTS / 2],
        memory: running.memory("VmRSS")?,
        binary: peer.size()?,
    })
}

/// A load with a healthy intake.
pub(crate) struct Healthy {
    pub(crate) requests: u64,
    pub(crate) spans: u64,
    pub(crate) cpu: Duration,
    pub(crate) elapsed: Duration,
    pub(crate) peak: u64,
    pub(crate) delivered: u64,
    pub(crate) wire_bytes: u64,
    pub(crate) refused: u64,
}

/// Posts, asks the peer to end, and counts what arrived. CPU is the whole process', its last flush included.
pub(crate) fn healthy(
    peer: &Peer,
    (traces, spans): (usize, usize),
    load: Load,
) -> io::Result<Healthy> {
    let sink = Sink::start(Duration::ZERO)?;
    let bodies = bodies::ten(load.form, traces, spans);
    let running = peer.start(PORT, &sink.url)?;
    let seen = client::run(PORT, &bodies, load, &Arc::default());
    let peak = running.memory("VmHWM")?;
    running.term()?;
    let cpu = running.end(PATIENCE)?;
    let taken = sink.count()?;
    Ok(Healthy {
        requests: seen.accepted,
        spans: seen.accepted * (traces * spans) as u64,
        cpu,
        elapsed: seen.elapsed,
        peak,
        delivered: taken.spans,
        wire_bytes: taken.wire_bytes,
        refused: seen.refused + seen.unanswered,
    })
}

/// The same bodies in another form over one connection; nothing where the peer takes no such bodies.
pub(crate) fn other_form(peer: &Peer, form: Form, time: Duration) -> io::Result<Option<Healthy>> {
    let run = healthy(peer, LARGE, Load { form, ..closed(1, time) })?;
    Ok((run.requests > 0 && run.delivered > 0).then_some(run))
}

/// A load that ends with TERM in its middle.
pub(crate) struct Ended {
    /// Spans of bodies that were answered with 200.
    pub(crate) accepted: u64,
    /// Spans of bodies that were on the way when the peer closed: they may have arrived or not.
    pub(crate) open: u64,
    pub(crate) delivered: u64,
}

/// TERM while four connections post.
pub(crate) fn term_in_the_middle(peer: &Peer) -> io::Result<Ended> {
    let sink = Sink::start(Duration::ZERO)?;
    let (traces, spans) = LARGE;
    let bodies = bodies::ten(Form::V04, traces, spans);
    let running = peer.start(PORT, &sink.url)?;
    let stop = Arc::new(AtomicBool::new(false));
    let load = {
        let stop = Arc::clone(&stop);
        thread::spawn(move || client::run(PORT, &bodies, closed(4, Duration::from_secs(30)), &stop))
    };
    thread::sleep(Duration::from_secs(3));
    running.term()?;
    running.end(PATIENCE)?;
    stop.store(true, Ordering::Relaxed);
    let seen = load.join().map_err(|_| io::Error::other("the load panicked"))?;
    let each = (traces * spans) as u64;
    Ok(Ended {
        accepted: seen.accepted * each,
        open: seen.unanswered * each,
        delivered: sink.count()?.spans,
    })
}

/// Answers while the intake is slow or down.
pub(crate) struct Trouble {
    pub(crate) seen: Seen,
    pub(crate) peak: u64,
}

/// 500 bodies of 1,000 spans while nobody listens at the intake.
pub(crate) fn intake_down(peer: &Peer) -> io::Result<Trouble> {
    let load = Load {
        connections: 1,
        time: Duration::from_secs(60),
        requests_max: 500,
        pace: Duration::ZERO,
        form: Form::V04,
    };
    trouble(peer, &Sink::down()?, load)
}

/// A body of 1,000 spans every 10 ms while the intake is down.
pub(crate) fn intake_down_paced(peer: &Peer) -> io::Result<Trouble> {
    trouble(peer, &Sink::down()?, paced())
}

/// A body of 1,000 spans every 10 ms while the intake answers after 500 ms.
pub(crate) fn intake_slow(peer: &Peer) -> io::Result<Trouble> {
    let sink = Sink::start(Duration::from_millis(500))?;
    trouble(peer, &sink.url, paced())
}

/// The same in a closed loop.
pub(crate) fn intake_slow_closed(peer: &Peer) -> io::Result<Trouble> {
    let sink = Sink::start(Duration::from_millis(500))?;
    trouble(peer, &sink.url, closed(1, Duration::from_secs(10)))
}

fn paced() -> Load {
    Load {
        connections: 1,
        time: Duration::from_secs(10),
        requests_max: u64::MAX,
        pace: Duration::from_millis(10),
        form: Form::V04,
    }
}

fn trouble(peer: &Peer, intake: &str, load: Load) -> io::Result<Trouble> {
    let bodies = bodies::ten(load.form, LARGE.0, LARGE.1);
    let running: Running = peer.start(PORT, intake)?;
    let seen = client::run(running.port, &bodies, load, &Arc::default());
    Ok(Trouble { seen, peak: running.memory("VmHWM")? })
}
