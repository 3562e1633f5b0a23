//! The viewer's thread: gathers the chunks of each trace and writes it once nothing more of it comes for a moment.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use super::queue::{Queue, Taken, Tap};
use super::{Span, render};
use crate::log;

/// How long a trace waits for its next chunk. Tracers send every one or two seconds, so chunks of one trace come together or from several
/// processes; longer, and a person would wait for the screen.
const QUIET: Duration = Duration::from_millis(400);

/// How long a trace waits in all while chunks keep coming.
const GATHER_MAX: Duration = Duration::from_secs(2);

/// At the end: how long stderr may take nothing before what is left is given up.
const STALL_AT_END_MAX: Duration = Duration::from_millis(300);

/// Columns where stderr is no terminal.
const COLUMNS: usize = 80;

/// The running viewer.
#[derive(Debug)]
pub struct Viewer {
    queue: Arc<Queue>,
    done: Receiver<()>,
}

/// Starts the viewer. An error is the thread that could not be made.
pub fn start() -> io::Result<(Tap, Viewer)> {
    let queue = Arc::new(Queue::default());
    let (ended, done) = mpsc::channel();
    let own = Arc::clone(&queue);
    std::thread::Builder::new().name("pillion-view".to_owned()).spawn(move || run(&own, ended))?;
    Ok((queue.tap(), Viewer { queue, done }))
}

impl Viewer {
    /// Shows what is left, until `until` at the latest, and ends. What a stopped terminal does not take within 300 ms is given up.
    pub fn finish(self, until: Instant) {
        self.queue.stop(until);
        // An answer, no answer in time and a thread that is gone all end the wait.
        self.done.recv_timeout(until.saturating_duration_since(Instant::now())).unwrap_or_default();
    }
}

/// A trace that waits for more of itself.
struct Gathering {
    spans: Vec<Span>,
    begun: Instant,
    /// When it is shown.
    due: Instant,
}

/// Traces in the order of their first chunk, by the lower half of their id: a tracer may name the upper one in some chunks of a trace only.
#[derive(Default)]
struct Traces {
    order: VecDeque<u64>,
    traces: HashMap<u64, Gathering>,
}

impl Traces {
    fn add(&mut self, spans: Vec<Span>, now: Instant) {
        let Some(first) = spans.first() else { return };
        let id = (first.trace_id & u128::from(u64::MAX)) as u64;
        let trace = self.traces.entry(id).or_insert_with(|| {
            self.order.push_back(id);
            Gathering { spans: Vec::new(), begun: now, due: now }
        });
        trace.spans.extend(spans);
        trace.due = (now + QUIET).min(trace.begun + GATHER_MAX);
    }

    /// When the next one is due.
    fn due(&self) -> Option<Instant> {
        self.traces.values().map(|trace| trace.due).min()
    }

    /// The next one that is due at `now`; any, where `now` is `None`.
    fn pop(&mut self, now: Option<Instant>) -> Option<Vec<Span>> {
        let is_due = |id: &u64| {
            now.is_none_or(|now| self.traces.get(id).is_none_or(|trace| trace.due <= now))
        };
        let at = self.order.iter().position(is_due)?;
        let id = self.order.remove(at)?;
        self.traces.remove(&id).map(|trace| trace.spans)
    }
}

fn run(queue: &Queue, ended: Sender<()>) {
    let mut traces = Traces::default();
    let (mut shed, mut shed_said, mut given_up) = (0, false, false);
    loop {
        let Taken { chunks, spans_shed, stop } = queue.take(traces.due());
        let now = Instant::now();
        chunks.into_iter().for_each(|spans| traces.add(spans, now));
        shed += spans_shed;
        while let Some(spans) = traces.pop(stop.is_none().then_some(now)) {
            // A terminal that was given up once is not waited for again.
            given_up = given_up || !write(queue, &spans);
            if given_up {
                shed += spans.len();
            }
            queue.release(&spans);
        }
        if shed > 0 && !shed_said {
            shed_said = true;
            tracing::warn!(
                "stderr takes less than there is to show: {shed} spans were left out, and later ones may be (what is sent is not)"
            );
        }
        if stop.is_some() {
            break;
        }
    }
    // Nobody may wait any more.
    ended.send(()).unwrap_or_default();
}

/// Writes a trace, however long the terminal takes; at the end not longer than the time that is left. False where a part was left.
fn write(queue: &Queue, spans: &[Span]) -> bool {
    let text = render(spans, log::columns().unwrap_or(COLUMNS), log::colour());
    let is_late = |stalled: Duration| {
        queue.stopping().is_some_and(|until| stalled > STALL_AT_END_MAX || Instant::now() >= until)
    };
    log::write_all(&text, is_late)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{GATHER_MAX, QUIET, Span, Traces};

    fn chunk(trace_id: u128, count: usize) -> Vec<Span> {
        vec![Span { trace_id, ..Span::default() }; count]
    }

    /// The sizes of the traces that are due.
    fn due(traces: &mut Traces, now: Instant) -> Vec<usize> {
        std::iter::from_fn(|| traces.pop(Some(now))).map(|spans| spans.len()).collect()
    }

    #[test]
    fn chunks_of_a_trace_are_shown_together_after_a_quiet_moment() {
        let (mut traces, start) = (Traces::default(), Instant::now());
        traces.add(chunk(1 << 64 | 7, 2), start);
        traces.add(chunk(8, 1), start);
        traces.add(chunk(7, 3), start + QUIET / 2);
        traces.add(Vec::new(), start);
        assert_eq!(traces.due(), Some(start + QUIET));
        assert!(due(&mut traces, start + QUIET / 2).is_empty());
        assert_eq!(due(&mut traces, start + QUIET), [1]);
        assert_eq!(due(&mut traces, start + QUIET * 3 / 2), [5]);
        assert_eq!(traces.due(), None);
    }

    #[test]
    fn a_trace_that_never_ends_is_shown_all_the_same() {
        let (mut traces, start) = (Traces::default(), Instant::now());
        let mut now = start;
        while now < start + GATHER_MAX {
            traces.add(chunk(7, 1), now);
            assert!(due(&mut traces, now).is_empty());
            now += Duration::from_millis(100);
        }
        assert_eq!(due(&mut traces, start + GATHER_MAX).len(), 1);
    }

    #[test]
    fn at_the_end_all_are_shown_in_the_order_of_their_beginning() {
        let (mut traces, start) = (Traces::default(), Instant::now());
        for (id, count) in [(3, 1), (1, 2), (2, 3), (1, 2)] {
            traces.add(chunk(id, count), start);
        }
        let sizes: Vec<usize> =
            std::iter::from_fn(|| traces.pop(None)).map(|spans| spans.len()).collect();
        assert_eq!(sizes, [1, 4, 3]);
    }
}
