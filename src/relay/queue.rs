//! The queue: all that the relay holds, bounded in bytes, and the one place where it counts in the ledger. Both change under one lock, so
//! that for what the relay was given, pushed = sent + shed + held at every moment.

use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

use crate::ledger::{Counts, Ledger, Shed};
use crate::relay::answer::Outcome;
use crate::relay::held::{Held, Item, Next, Number};
use crate::relay::input::Input;
use crate::relay::say::{Condition, Said};

/// The queue of one destination, shared by the handles, the relay's thread and its requests.
pub(super) struct Queue {
    held: Mutex<Held>,
    /// Something was settled.
    settled: Condvar,
    /// Something for the relay's thread to look at, in this queue or another one.
    changed: Arc<Notify>,
    ledger: Arc<Ledger>,
    bytes_max: usize,
    /// ` for <host>` of a further destination, in lines for people. Nobody else has counted then what such a queue takes.
    whose: Option<String>,
    pub(super) said: Said,
}

impl Queue {
    /// An empty queue for `bytes_max` bytes, that of the main destination. Without a key it takes nothing.
    pub(super) fn new(
        bytes_max: usize,
        has_key: bool,
        ledger: Arc<Ledger>,
        changed: Arc<Notify>,
    ) -> Self {
        let mut held = Held::default();
        held.shut = (!has_key).then_some(Shed::NoKey);
        let held = Mutex::new(held);
        let (settled, said) = (Condvar::new(), Said::default());
        Self { held, settled, changed, ledger, bytes_max, whose: None, said }
    }

    /// The queue of a further destination, on `host`.
    pub(super) fn further(
        bytes_max: usize,
        host: &str,
        ledger: &Ledger,
        changed: Arc<Notify>,
    ) -> Self {
        let mut queue = Self::new(bytes_max, true, ledger.further(host), changed);
        queue.lock().keeps_no_spare = true;
        queue.whose = Some(format!(" for {host}"));
        queue
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // ---- the side of the handles

    /// Takes a payload; see [`crate::relay::Relay::push`].
    pub(super) fn push(&self, input: Arc<Input>) {
        let mut held = self.lock();
        if self.whose.is_some() {
            self.ledger.received(input.counts);
        }
        if let Some(reason) = held.shut {
            self.ledger.shed(reason, input.counts);
            if let Some(body) = Arc::into_inner(input).and_then(Input::into_body) {
                held.keep_spare(body);
            }
            return;
        }
        held.push(input);
        self.shed_overflow(held);
        self.changed.notify_one();
    }

    /// Sheds the oldest that wait until the bound holds again.
    fn shed_overflow(&self, mut held: MutexGuard<'_, Held>) {
        let mut has_shed = false;
        while held.bytes > self.bytes_max {
            let Some(counts) = held.take_oldest_waiting() else { break };
            self.ledger.shed(Shed::QueueFull, counts);
            has_shed = true;
        }
        drop(held);
        if has_shed {
            self.settled.notify_all();
            self.said.at_times(Condition::QueueFull, || {
                let shed = [&self.ledger.spans, &self.ledger.stats_groups]
                    .map(|flow| flow.read().shed[Shed::QueueFull as usize]);
                let [spans, stats_groups] = shed;
                format!(
                    "the queue of {} bytes{} is full, its oldest data goes first: {} dropped so far; \
                     a larger DD_PILLION_QUEUE_BYTES bridges longer outages of the intake",
                    self.bytes_max,
                    self.whose.as_deref().unwrap_or_default(),
                    words(Counts { spans, stats_groups, ..Counts::default() })
                )
            });
        }
    }

    /// A body for reuse; see [`crate::relay::Relay::buffer`].
    pub(super) fn buffer(&self) -> Vec<u8> {
        self.lock().take_spare()
    }

    /// Makes all that waits due now.
    pub(super) fn hurry(&self) {
        self.lock().make_due(Instant::now());
        self.changed.notify_one();
    }

    /// Makes all that was pushed due now; see [`crate::relay::Relay::begin_flush`]. What [`Queue::end_flush`] has to be given.
    pub(super) fn begin_flush(&self) -> u64 {
        let mut held = self.lock();
        held.flushes += 1;
        held.make_due(Instant::now());
        self.changed.notify_one();
        held.last
    }

    /// Waits for all that had been pushed when the flush began; see [`crate::relay::Flush::wait`].
    pub(super) fn end_flush(&self, mark: u64, until: Instant) -> bool {
        let mut held = self.lock();
        let is_settled = |held: &Held| held.oldest().is_none_or(|oldest| oldest.pushed > mark);
        while !is_settled(&held) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            held = self.settled.wait_timeout(held, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        held.flushes -= 1;
        let gone = held.take_until(mark);
        self.ledger.shed(Shed::Deadline, gone);
        drop(held);
        self.settled.notify_all();
        self.changed.notify_one();
        gone.is_empty()
    }

    /// What is held.
    pub(super) fn held(&self) -> Counts {
        self.lock().counts()
    }

    /// What is held, in words.
    pub(super) fn held_words(&self) -> String {
        words(self.held())
    }

    /// How many bytes are held.
    pub(super) fn held_bytes(&self) -> usize {
        self.lock().bytes
    }

    /// The last handle is gone: what is left counts as not delivered, and the thread ends.
    pub(super) fn close(&self) {
        let mut held = self.lock();
        held.closed = true;
        let gone = held.take_until(u64::MAX - 1);
        self.ledger.shed(Shed::Deadline, gone);
        drop(held);
        self.changed.notify_one();
    }

    // ---- the side of the relay's thread

    /// Whether the thread should end.
    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Whether payloads on the wire may have been dropped since the last call.
    pub(super) fn has_dropped_on_the_wire(&self) -> bool {
        mem::take(&mut self.lock().has_dropped)
    }

    /// Whether a request for this payload still has a purpose.
    pub(super) fn holds(&self, number: Number) -> bool {
        self.lock().has(number)
    }

    /// Whether there is nothing at all.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().oldest().is_none()
    }

    /// Lets go of what is only kept for speed.
    pub(super) fn release_spare(&self) {
        self.lock().release_spare();
    }

    /// The next payload to compress. It counts as held until [`Queue::packed`].
    pub(super) fn take_input(&self) -> Option<(Number, Arc<Input>)> {
        self.lock().take_input()
    }

    /// Puts back what became of the payload that was taken: one item or the pieces that it was cut in. Or it is lost, counted.
    pub(super) fn packed(&self, number: Number, items: Result<Vec<Item>, Shed>) {
        let mut held = self.lock();
        // Where it is not there any more, a deadline has counted it.
        let Some(counts) = held.end_packing(Some(number)) else { return };
        match items {
            Ok(items) => {
                held.put(number, items);
                self.shed_overflow(held);
            }
            Err(reason) => {
                self.ledger.shed(reason, counts);
                drop(held);
                self.settled.notify_all();
            }
        }
    }

    /// Keeps a body for reuse.
    pub(super) fn keep_spare(&self, body: Vec<u8>) {
        self.lock().keep_spare(body);
    }

    /// What to send next, where `under_way` requests of each kind are on the wire. It is then marked as being there too.
    pub(super) fn next(&self, now: Instant, under_way: [usize; 2]) -> Next {
        self.lock().next(now, under_way)
    }

    /// Settles a payload by what became of its request, once: where it is not there any more, a deadline has counted it.
    pub(super) fn settle(&self, number: Number, outcome: &Outcome) {
        let reason = match outcome {
            Outcome::Sent => None,
            Outcome::KeyRefused(_) => Some(Shed::KeyRefused),
            Outcome::TooLarge => Some(Shed::TooLarge),
            Outcome::Refused(_) => Some(Shed::Refused),
            Outcome::Fault => Some(Shed::Fault),
            Outcome::Retry { after, .. } => {
                self.lock().wait_again(number, *after, Instant::now(), fastrand::f64());
                self.changed.notify_one();
                return;
            }
        };
        let mut held = self.lock();
        let is_answer = !matches!(outcome, Outcome::Fault);
        let Some(counts) = held.take_settled(number, is_answer) else { return };
        match reason {
            None => self.ledger.sent(counts),
            Some(reason) => self.ledger.shed(reason, counts),
        }
        drop(held);
        self.settled.notify_all();
        self.changed.notify_one();
    }

    /// Takes out a payload that is too large, if it can be cut: it counts as held until [`Queue::packed`].
    pub(super) fn take_cuttable(&self, number: Number) -> Option<Item> {
        self.lock().take_cuttable(number)
    }

    /// The thread's work was cut short by a panic: what it was compressing is lost, counted; what was on the wire goes again.
    pub(super) fn fault(&self) {
        let mut held = self.lock();
        if let Some(counts) = held.end_packing(None) {
            self.ledger.shed(Shed::Fault, counts);
        }
        held.send_again(Instant::now());
        drop(held);
        self.settled.notify_all();
    }

    /// The thread has given up: all that is held and all that comes is counted as lost by a fault.
    pub(super) fn give_up(&self) {
        let mut held = self.lock();
        held.shut = Some(Shed::Fault);
        let gone = held.take_until(u64::MAX - 1);
        self.ledger.shed(Shed::Fault, gone);
        drop(held);
        self.settled.notify_all();
    }
}

/// Counts in words, for messages.
fn words(counts: Counts) -> String {
    let spans = format!("{} span{}", counts.spans, if counts.spans == 1 { "" } else { "s" });
    let groups = format!(
        "{} stats group{}",
        counts.stats_groups,
        if counts.stats_groups == 1 { "" } else { "s" }
    );
    match (counts.spans, counts.stats_groups) {
        (_, 0) => spans,
        (0, _) => groups,
        _ => format!("{spans} and {groups}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Counts, words};

    #[test]
    fn counts_are_said_in_words() {
        for (spans, stats_groups, expect) in [
            (0, 0, "0 spans"),
            (1, 0, "1 span"),
            (2, 0, "2 spans"),
            (0, 1, "1 stats group"),
            (3, 4, "3 spans and 4 stats groups"),
        ] {
            assert_eq!(words(Counts { spans, stats_groups, ..Counts::default() }), expect);
        }
    }
}
