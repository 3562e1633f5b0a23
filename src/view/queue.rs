//! What lies between the data plane and the viewer's thread: a queue bounded in bytes, into which a push never waits.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Span;
use crate::limits::VIEW_BYTES_MAX;

/// Where the data plane puts the spans of every chunk. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Tap {
    queue: Arc<Queue>,
}

impl Tap {
    /// Shows the spans of one chunk. Never waits; where the viewer is too far behind (a stopped terminal), the chunk is counted and forgotten.
    pub fn chunk(&self, spans: Vec<Span>) {
        self.queue.push(spans);
    }
}

/// The queue and the state that the two sides share. The lock is held for a few moves of pointers, never while text is made or written.
#[derive(Debug, Default)]
pub(super) struct Queue {
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    chunks: VecDeque<Vec<Span>>,
    /// Bytes of the queue and of what the thread holds.
    bytes: usize,
    spans_shed: usize,
    stop: Option<Instant>,
}

/// What the thread gets when it asks.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) chunks: VecDeque<Vec<Span>>,
    /// Spans that were shed since it last asked.
    pub(super) spans_shed: usize,
    /// Set once the end has come: when all must be shown.
    pub(super) stop: Option<Instant>,
}

impl Queue {
    pub(super) fn tap(self: &Arc<Self>) -> Tap {
        Tap { queue: Arc::clone(self) }
    }

    fn push(&self, spans: Vec<Span>) {
        let bytes = bytes(&spans);
        let mut inner = self.lock();
        if inner.bytes + bytes > VIEW_BYTES_MAX || inner.stop.is_some() {
            inner.spans_shed += spans.len();
            return;
        }
        inner.bytes += bytes;
        inner.chunks.push_back(spans);
        drop(inner);
        self.changed.notify_one();
    }

    /// Takes what has come, and waits for it until `until` (for ever without one).
    pub(super) fn take(&self, until: Option<Instant>) -> Taken {
        let mut inner = self.lock();
        while inner.chunks.is_empty() && inner.stop.is_none() {
            inner = match until.map(|until| until.saturating_duration_since(Instant::now())) {
                Some(Duration::ZERO) => break,
                Some(left) => self
                    .changed
                    .wait_timeout(inner, left)
                    .map_or_else(|poisoned| poisoned.into_inner().0, |(inner, _)| inner),
                None => self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner),
            };
        }
        Taken {
            chunks: std::mem::take(&mut inner.chunks),
            spans_shed: std::mem::take(&mut inner.spans_shed),
            stop: inner.stop,
        }
    }

    /// Makes room for what was held for `spans`, now that they are shown.
    pub(super) fn release(&self, spans: &[Span]) {
        let bytes = bytes(spans);
        let mut inner = self.lock();
        inner.bytes = inner.bytes.saturating_sub(bytes);
    }

    /// Asks the thread to show all until `until` and then to end; what comes later is not shown.
    pub(super) fn stop(&self, until: Instant) {
        self.lock().stop = Some(until);
        self.changed.notify_one();
    }

    /// The moment until which all must be shown, once the end has come.
    pub(super) fn stopping(&self) -> Option<Instant> {
        self.lock().stop
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bytes(spans: &[Span]) -> usize {
    let own = |span: &Span| {
        let texts = [
            &span.service,
            &span.name,
            &span.resource,
            &span.kind,
            &span.error_message,
            &span.error_type,
            &span.http_status,
        ];
        size_of::<Span>() + texts.iter().map(|text| text.capacity()).sum::<usize>()
    };
    spans.iter().map(own).sum()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use super::{Queue, Span};
    use crate::limits::VIEW_BYTES_MAX;

    #[test]
    fn what_does_not_fit_is_counted_and_room_comes_back() {
        let queue = Arc::new(Queue::default());
        let tap = queue.tap();
        let chunk = || vec![Span { resource: "x".repeat(VIEW_BYTES_MAX / 4), ..Span::default() }];
        for _ in 0..10 {
            tap.chunk(chunk());
        }
        let taken = queue.take(None);
        assert_eq!((taken.chunks.len(), taken.spans_shed), (3, 7));
        tap.chunk(chunk());
        assert_eq!(queue.take(Some(Instant::now())).spans_shed, 1);
        taken.chunks.iter().for_each(|spans| queue.release(spans));
        tap.chunk(chunk());
        let taken = queue.take(None);
        assert_eq!((taken.chunks.len(), taken.spans_shed), (1, 0));
    }

    #[test]
    fn the_wait_ends_with_a_chunk_a_time_or_the_stop() {
        let queue = Arc::new(Queue::default());
        assert!(queue.take(Some(Instant::now() + Duration::from_millis(5))).chunks.is_empty());
        let tap = queue.tap();
        let other = std::thread::spawn(move || tap.chunk(vec![Span::default()]));
        assert_eq!(queue.take(None).chunks.len(), 1);
        other.join().unwrap();
        queue.stop(Instant::now());
        assert!(queue.take(None).stop.is_some());
    }
}
