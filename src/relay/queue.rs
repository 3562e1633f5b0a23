//! The queue of one destination: all that the relay holds for it, and the one place where that counts in the ledger. Both change under one
//! lock, so that for what the queue was given, pushed = sent + shed + held at every moment.

use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

use crate::ledger::{Counts, Ledger, Shed};
use crate::relay::answer::Outcome;
use crate::relay::held::{Held, Item, Next, Number};
use crate::relay::input::Input;
use crate::relay::kind::Family;
use crate::relay::room::{Room, Share, Taken};
use crate::relay::say::{Condition, Said};

/// The queue of one destination, shared by the handles, the relay's thread and its requests.
pub(super) struct Queue {
    held: Mutex<Held>,
    /// Something was settled.
    settled: Condvar,
    /// Something for the relay's thread to look at, in this queue or another one.
    changed: Arc<Notify>,
    ledger: Arc<Ledger>,
    room: Arc<Room>,
    /// What comes here.
    pub(super) family: Family,
    /// ` for <host>` of a further destination, in lines for people. Nobody else has counted then what such a queue takes.
    whose: Option<String>,
    pub(super) said: Said,
}

impl Queue {
    /// An empty queue, that of the main destination of a family. Without a key it takes nothing.
    pub(super) fn new(
        family: Family,
        room: &Arc<Room>,
        has_key: bool,
        ledger: Arc<Ledger>,
        changed: Arc<Notify>,
    ) -> Self {
        let mut held = Held::default();
        held.share = Share::of(room);
        held.shut = (!has_key).then_some(Shed::NoKey);
        // Those of traces, which are made most often and are large, are kept for all.
        held.keeps_no_spare = family != Family::Traces;
        let held = Mutex::new(held);
        let (settled, said, room) = (Condvar::new(), Said::default(), Arc::clone(room));
        Self { held, settled, changed, ledger, room, family, whose: None, said }
    }

    /// The queue of a further destination, on `host`.
    pub(super) fn further(
        family: Family,
        room: &Arc<Room>,
        host: &str,
        ledger: &Ledger,
        changed: Arc<Notify>,
    ) -> Self {
        let mut queue = Self::new(family, room, true, ledger.further(host), changed);
        queue.lock().keeps_no_spare = true;
        queue.whose = Some(format!(" for {host}"));
        queue
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // ---- the side of the handles

    /// Whether it takes nothing any more.
    pub(super) fn is_shut(&self) -> bool {
        self.lock().shut.is_some()
    }

    /// Takes a payload, where room was taken for it; see [`crate::relay::Relay::push`].
    pub(super) fn push(&self, input: Arc<Input>, taken: Option<Taken<'_>>) {
        let mut held = self.lock();
        if self.whose.is_some() {
            self.ledger.received(input.counts);
        }
        let Some(taken) = taken.filter(|_| held.shut.is_none()) else {
            let reason = held.shut.unwrap_or(Shed::QueueFull);
            self.ledger.shed(reason, input.counts);
            if let Some(body) = Arc::into_inner(input).and_then(Input::into_body) {
                held.keep_spare(body);
            }
            drop(held);
            if reason == Shed::QueueFull {
                self.say_full();
            }
            return;
        };
        held.push(input, taken);
        drop(held);
        self.changed.notify_one();
    }

    /// How much it holds for its weight, where there is something that it could let go of.
    pub(super) fn fullness(&self) -> Option<usize> {
        Some(self.lock().bytes_with_waiting()? / self.family.weight())
    }

    /// Sheds the oldest payload that waits.
    pub(super) fn shed_oldest(&self) {
        let mut held = self.lock();
        let Some(counts) = held.take_oldest_waiting() else { return };
        self.ledger.shed(Shed::QueueFull, counts);
        drop(held);
        self.settled.notify_all();
        self.say_full();
    }

    fn say_full(&self) {
        self.said.at_times(Condition::QueueFull, || {
            format!(
                "the queue of {} bytes is full, the oldest data{} goes first: {} dropped so far; \
                 a larger DD_PILLION_QUEUE_BYTES bridges longer outages of the intake",
                self.room.bytes_max(),
                self.whose.as_deref().unwrap_or_default(),
                self.family.of(self.ledger.shed_for(Shed::QueueFull))
            )
        });
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
        self.held().to_string()
    }

    /// How many bytes are held.
    pub(super) fn held_bytes(&self) -> usize {
        self.lock().share.bytes()
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

    /// Bytes that count for what is being compressed.
    pub(super) fn packing_bytes(&self) -> usize {
        self.lock().packing_bytes()
    }

    /// Puts back what became of the payload that was taken: one item or the pieces that it was cut in, with the room for what they have more
    /// than it had. Or it is lost, counted.
    pub(super) fn packed(
        &self,
        number: Number,
        items: Result<(Vec<Item>, Option<Taken<'_>>), Shed>,
    ) {
        let mut held = self.lock();
        let reason = match items {
            Ok((items, grown)) => return held.put(number, items, grown),
            Err(reason) => reason,
        };
        // Where it is not there any more, a deadline has counted it.
        let Some(counts) = held.lose_packing(Some(number)) else { return };
        self.ledger.shed(reason, counts);
        drop(held);
        self.settled.notify_all();
        if reason == Shed::QueueFull {
            self.say_full();
        }
    }

    /// Keeps a body for reuse.
    pub(super) fn keep_spare(&self, body: Vec<u8>) {
        self.lock().keep_spare(body);
    }

    /// What to send next, where `under_way` requests of each kind are on the wire. It is then marked as being there too.
    pub(super) fn next(
        &self,
        now: Instant,
        under_way: [usize; crate::relay::Kind::ALL.len()],
    ) -> Next {
        self.lock().next(now, under_way)
    }

    /// Settles a payload by what became of its request, once: where it is not there any more, a deadline has counted it.
    pub(super) fn settle(&self, number: Number, outcome: &Outcome) {
        let reason = match outcome {
            Outcome::Sent => None,
            Outcome::KeyRefused(_) => Some(Shed::KeyRefused),
            Outcome::TooLarge | Outcome::OverLimit => Some(Shed::TooLarge),
            Outcome::GivenUp(_) => Some(Shed::Unanswered),
            Outcome::Refused(_) => Some(Shed::Refused),
            Outcome::Fault => Some(Shed::Fault),
            Outcome::Retry { after, .. } => {
                self.lock().wait_again(number, *after, Instant::now(), fastrand::f64());
                self.changed.notify_one();
                return;
            }
        };
        let mut held = self.lock();
        let is_answer =
            !matches!(outcome, Outcome::Fault | Outcome::OverLimit | Outcome::GivenUp(_));
        let Some(counts) = held.take_settled(number, is_answer) else { return };
        match reason {
            None => self.ledger.sent(counts),
            Some(reason) => self.ledger.shed(reason, counts),
        }
        drop(held);
        self.settled.notify_all();
        self.changed.notify_one();
    }

    /// Takes out a payload that is too large, if it can be cut: it counts as held until [`Queue::packed`]. `is_answer`: the intake has said so.
    pub(super) fn take_cuttable(&self, number: Number, is_answer: bool) -> Option<Item> {
        self.lock().take_cuttable(number, is_answer)
    }

    /// The thread's work was cut short by a panic: what it was compressing is lost, counted; what was on the wire goes again.
    pub(super) fn fault(&self) {
        let mut held = self.lock();
        if let Some(counts) = held.lose_packing(None) {
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
