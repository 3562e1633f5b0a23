//! The queue: all that the relay holds, bounded in bytes, and the one place where it counts in the ledger. Both change under one lock, so
//! that for what the relay was given, pushed = sent + shed + held at every moment.

use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Notify;

use crate::ledger::{Counts, Ledger, Shed};
use crate::limits::SENDS_IN_FLIGHT_MAX;
use crate::relay::answer::Outcome;
use crate::relay::backoff::{CAP, CAP_IN_FLUSH, Gate, wait};
use crate::relay::pack::Encoding;
use crate::relay::say::{Condition, Said};
use crate::relay::{Kind, Part, Payload};

/// Bodies that wait for reuse.
const SPARE_MAX: usize = 3;

/// Capacity of a body above which it is not kept for reuse, bytes.
const SPARE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The order of payloads: when it was pushed, then which part of it this is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Number {
    pushed: u64,
    part: u64,
}

/// A payload that is ready to be sent, or on the wire.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) kind: Kind,
    pub(super) body: Bytes,
    pub(super) encoding: Encoding,
    /// Length of the body before it was compressed.
    pub(super) raw_len: usize,
    pub(super) counts: Counts,
    pub(super) languages: Arc<str>,
    pub(super) parts: Vec<Part>,
    /// Failed attempts.
    failures: u32,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// It may go from this moment on.
    Waits(Instant),
    /// It is on the wire since this moment.
    Sends(Instant),
}

impl Item {
    /// `payload` with its body compressed.
    pub(super) fn new(payload: &mut Payload, body: Bytes, encoding: Encoding) -> Self {
        Self {
            kind: payload.kind,
            body,
            encoding,
            raw_len: payload.body.len(),
            counts: payload.counts,
            languages: Arc::from(payload.languages.as_str()),
            parts: mem::take(&mut payload.parts),
            failures: 0,
            state: State::Waits(Instant::now()),
        }
    }

    fn bytes(&self) -> usize {
        size_of::<(Number, Self)>()
            + self.body.len()
            + self.languages.len()
            + self.parts.capacity() * size_of::<Part>()
    }
}

/// What a request needs of an item.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) number: Number,
    pub(super) kind: Kind,
    pub(super) body: Bytes,
    pub(super) encoding: Encoding,
    pub(super) languages: Arc<str>,
    /// Failed attempts before this one.
    pub(super) failures: u32,
}

/// What the relay's thread should do next about sending.
#[derive(Debug)]
pub(super) enum Next {
    /// Send this now. It is marked as on the wire.
    Send(Outgoing),
    /// Nothing before this moment.
    At(Instant),
    /// Nothing until the queue changes or a request ends.
    Nothing,
}

/// The queue, shared by the handles, the relay's thread and its requests.
pub(super) struct Queue {
    held: Mutex<Held>,
    /// Something was settled.
    settled: Condvar,
    /// Something for the relay's thread to look at.
    changed: Notify,
    ledger: Arc<Ledger>,
    bytes_max: usize,
    pub(super) said: Said,
}

#[derive(Default)]
struct Held {
    last: u64,
    parts: u64,
    /// Payloads as they were pushed.
    input: VecDeque<(Number, Payload)>,
    /// The payload that the relay's thread is compressing, with its bytes.
    packing: Option<(Number, Counts, usize)>,
    items: BTreeMap<Number, Item>,
    bytes: usize,
    gates: [Gate; 2],
    spare: Vec<Vec<u8>>,
    /// Callers that wait in a flush.
    flushes: usize,
    /// Why payloads are not taken any more.
    shut: Option<Shed>,
    closed: bool,
    /// A deadline has dropped payloads, maybe some that are on the wire.
    has_dropped: bool,
}

fn payload_bytes(payload: &Payload) -> usize {
    size_of::<(Number, Payload)>()
        + payload.body.len()
        + payload.languages.len()
        + payload.parts.capacity() * size_of::<Part>()
}

impl Held {
    fn oldest(&self) -> Option<Number> {
        let item = self.items.first_key_value().map(|(number, _)| *number);
        let input = self.input.front().map(|(number, _)| *number);
        let packing = self.packing.map(|(number, ..)| number);
        [item, input, packing].into_iter().flatten().min()
    }

    fn counts(&self) -> Counts {
        let mut all = Counts::default();
        let packing = self.packing.iter().map(|(_, counts, _)| *counts);
        let input = self.input.iter().map(|(_, payload)| payload.counts);
        self.items
            .values()
            .map(|item| item.counts)
            .chain(input)
            .chain(packing)
            .for_each(|counts| all.add(counts));
        all
    }

    fn next_part(&mut self) -> u64 {
        self.parts += 1;
        self.parts
    }

    fn cap(&self) -> Duration {
        if self.flushes > 0 { CAP_IN_FLUSH } else { CAP }
    }

    fn keep_spare(&mut self, mut body: Vec<u8>) {
        if self.spare.len() < SPARE_MAX && (1..=SPARE_BYTES_MAX).contains(&body.capacity()) {
            body.clear();
            self.spare.push(body);
        }
    }

    /// Takes out the oldest payload that is neither on the wire nor being compressed.
    fn take_oldest_waiting(&mut self) -> Option<Counts> {
        let waiting = self
            .items
            .iter()
            .find(|(_, item)| matches!(item.state, State::Waits(_)))
            .map(|(number, _)| *number);
        if let Some(item) = waiting.and_then(|number| self.items.remove(&number)) {
            self.bytes -= item.bytes();
            return Some(item.counts);
        }
        let (_, payload) = self.input.pop_front()?;
        self.bytes -= payload_bytes(&payload);
        let counts = payload.counts;
        self.keep_spare(payload.body);
        Some(counts)
    }

    /// Takes out all that was pushed up to `mark`.
    fn take_until(&mut self, mark: u64) -> Counts {
        let mut gone = Counts::default();
        let later = self.items.split_off(&Number { pushed: mark + 1, part: 0 });
        for item in mem::replace(&mut self.items, later).into_values() {
            self.bytes -= item.bytes();
            gone.add(item.counts);
        }
        while self.input.front().is_some_and(|(number, _)| number.pushed <= mark) {
            if let Some((_, payload)) = self.input.pop_front() {
                self.bytes -= payload_bytes(&payload);
                gone.add(payload.counts);
            }
        }
        if let Some((_, counts, bytes)) = self.packing.take_if(|(number, ..)| number.pushed <= mark)
        {
            self.bytes -= bytes;
            gone.add(counts);
        }
        self.has_dropped |= !gone.is_empty();
        gone
    }
}

impl Queue {
    /// An empty queue for `bytes_max` bytes. Without a key it takes nothing.
    pub(super) fn new(bytes_max: usize, has_key: bool, ledger: Arc<Ledger>) -> Self {
        let held = Held { shut: (!has_key).then_some(Shed::NoKey), ..Held::default() };
        let (settled, changed, said) = (Condvar::new(), Notify::new(), Said::default());
        Self { held: Mutex::new(held), settled, changed, ledger, bytes_max, said }
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // ---- the side of the handles

    /// Takes a payload; see [`crate::relay::Relay::push`].
    pub(super) fn push(&self, payload: Payload) {
        let mut held = self.lock();
        if let Some(reason) = held.shut {
            self.ledger.shed(reason, payload.counts);
            held.keep_spare(payload.body);
            return;
        }
        held.last += 1;
        let number = Number { pushed: held.last, part: 0 };
        held.bytes += payload_bytes(&payload);
        held.input.push_back((number, payload));
        self.shed_overflow(held);
        self.changed.notify_one();
    }

    /// Sheds the oldest that wait until the bound holds again.
    fn shed_overflow(&self, mut held: MutexGuard<'_, Held>) {
        let mut gone = Counts::default();
        while held.bytes > self.bytes_max {
            let Some(counts) = held.take_oldest_waiting() else { break };
            self.ledger.shed(Shed::QueueFull, counts);
            gone.add(counts);
        }
        drop(held);
        if !gone.is_empty() {
            self.settled.notify_all();
            self.said.at_times(Condition::QueueFull, || {
                format!(
                    "the queue of {} bytes is full: dropped its oldest {} and goes on so while the intake takes less than comes; \
                     a larger DD_PILLION_QUEUE_BYTES bridges longer outages",
                    self.bytes_max,
                    words(gone)
                )
            });
        }
    }

    /// A body for reuse; see [`crate::relay::Relay::buffer`].
    pub(super) fn buffer(&self) -> Vec<u8> {
        self.lock().spare.pop().unwrap_or_default()
    }

    /// Makes all that waits due now.
    pub(super) fn hurry(&self) {
        self.make_due(&mut self.lock());
        self.changed.notify_one();
    }

    fn make_due(&self, held: &mut Held) {
        let now = Instant::now();
        held.gates.iter_mut().for_each(Gate::open);
        for item in held.items.values_mut() {
            if let State::Waits(due) = &mut item.state {
                *due = now.min(*due);
            }
        }
    }

    /// Waits for all that was pushed; see [`crate::relay::Relay::flush`].
    pub(super) fn flush(&self, until: Instant) -> bool {
        let mut held = self.lock();
        let mark = held.last;
        held.flushes += 1;
        self.make_due(&mut held);
        self.changed.notify_one();
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

    /// Something has changed since the last call of this.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

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
        self.lock().items.contains_key(&number)
    }

    /// Whether there is nothing at all.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().oldest().is_none()
    }

    /// Lets go of what is only kept for speed.
    pub(super) fn release_spare(&self) {
        let mut held = self.lock();
        held.spare = Vec::new();
        held.input.shrink_to_fit();
    }

    /// The next payload to compress. It counts as held until [`Queue::packed`].
    pub(super) fn take_input(&self) -> Option<(Number, Payload)> {
        let mut held = self.lock();
        let (number, payload) = held.input.pop_front()?;
        held.packing = Some((number, payload.counts, payload_bytes(&payload)));
        Some((number, payload))
    }

    /// Puts back what became of the payload that was taken: one item or the pieces that it was cut in. Or it is lost, counted.
    pub(super) fn packed(&self, number: Number, items: Result<Vec<Item>, Shed>) {
        let mut held = self.lock();
        // Where it is not there any more, a deadline has counted it.
        let Some((_, counts, bytes)) = held.packing.take_if(|(packing, ..)| *packing == number)
        else {
            return;
        };
        held.bytes -= bytes;
        match items {
            Ok(items) => {
                for (i, item) in items.into_iter().enumerate() {
                    let part = if i == 0 { number.part } else { held.next_part() };
                    held.bytes += item.bytes();
                    held.items.insert(Number { part, ..number }, item);
                }
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

    /// What to send next: the oldest that is due. `under_way` requests of each kind are on the wire.
    pub(super) fn next(&self, now: Instant, under_way: [usize; 2]) -> Next {
        let mut held = self.lock();
        let Held { items, gates, .. } = &mut *held;
        if under_way.iter().sum::<usize>() >= SENDS_IN_FLIGHT_MAX {
            return Next::Nothing;
        }
        let mut soonest: Option<Instant> = None;
        let mut sooner =
            |at: Instant| soonest = Some(soonest.map_or(at, |soonest| soonest.min(at)));
        let mut open = [true; 2];
        for ((gate, under_way), open) in gates.iter().zip(under_way).zip(&mut open) {
            let closed_until = gate.closed_until(now);
            *open = closed_until.is_none() && under_way < gate.sends_max(SENDS_IN_FLIGHT_MAX);
            if let Some(until) = closed_until {
                sooner(until);
            }
        }
        for (number, item) in items.iter_mut() {
            let State::Waits(due) = item.state else { continue };
            if !open[item.kind as usize] {
                continue;
            }
            if due > now {
                sooner(due);
                continue;
            }
            item.state = State::Sends(now);
            return Next::Send(Outgoing {
                number: *number,
                kind: item.kind,
                body: item.body.clone(),
                encoding: item.encoding,
                languages: Arc::clone(&item.languages),
                failures: item.failures,
            });
        }
        soonest.map_or(Next::Nothing, Next::At)
    }

    /// Settles a payload by what became of its request, once.
    pub(super) fn settle(&self, number: Number, outcome: &Outcome) {
        let mut held = self.lock();
        // Where it is not there any more, a deadline has counted it.
        let Some(item) = held.items.get(&number) else { return };
        let (kind, counts) = (item.kind, item.counts);
        let reason = match outcome {
            Outcome::Sent => None,
            Outcome::KeyRefused(_) => Some(Shed::KeyRefused),
            Outcome::TooLarge => Some(Shed::TooLarge),
            Outcome::Refused(_) => Some(Shed::Refused),
            Outcome::Fault => Some(Shed::Fault),
            Outcome::Retry { after, .. } => {
                self.wait_again(&mut held, number, *after);
                drop(held);
                self.changed.notify_one();
                return;
            }
        };
        if !matches!(outcome, Outcome::Fault) {
            held.gates[kind as usize].succeeded();
        }
        if let Some(item) = held.items.remove(&number) {
            held.bytes -= item.bytes();
        }
        match reason {
            None => self.ledger.sent(counts),
            Some(reason) => self.ledger.shed(reason, counts),
        }
        drop(held);
        self.settled.notify_all();
        self.changed.notify_one();
    }

    fn wait_again(&self, held: &mut Held, number: Number, after: Option<Duration>) {
        let (now, cap, random) = (Instant::now(), held.cap(), fastrand::f64());
        // Nobody who waits in a flush has the time for a long `Retry-After`.
        let after = after.map(|after| if held.flushes > 0 { after.min(cap) } else { after });
        let Held { items, gates, .. } = held;
        let Some(item) = items.get_mut(&number) else { return };
        let started = if let State::Sends(started) = item.state { started } else { now };
        item.failures = item.failures.saturating_add(1);
        item.state =
            State::Waits(now + wait(item.failures, cap, random).max(after.unwrap_or_default()));
        gates[item.kind as usize].failed(started, now, after, cap, random);
    }

    /// Takes out a payload that is too large, if it can be cut: it counts as held until [`Queue::packed`].
    pub(super) fn take_cuttable(&self, number: Number) -> Option<Item> {
        let mut held = self.lock();
        let item = held
            .items
            .get(&number)
            .filter(|item| item.parts.len() > 1 && item.kind == Kind::Traces)?;
        let mut sum = Counts::default();
        item.parts.iter().for_each(|part| sum.add(part.counts));
        if sum != item.counts || held.packing.is_some() {
            return None;
        }
        let item = held.items.remove(&number)?;
        held.packing = Some((number, item.counts, item.bytes()));
        held.gates[item.kind as usize].succeeded();
        Some(item)
    }

    /// The thread's work was cut short by a panic: what it was compressing is lost, counted; what was on the wire goes again.
    pub(super) fn fault(&self) {
        let mut held = self.lock();
        if let Some((_, counts, bytes)) = held.packing.take() {
            held.bytes -= bytes;
            self.ledger.shed(Shed::Fault, counts);
        }
        let now = Instant::now();
        for item in held.items.values_mut() {
            if let State::Sends(_) = item.state {
                item.state = State::Waits(now);
            }
        }
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
pub(super) fn words(counts: Counts) -> String {
    match (counts.spans, counts.stats_groups) {
        (spans, 0) => format!("{spans} spans"),
        (0, groups) => format!("{groups} stats groups"),
        (spans, groups) => format!("{spans} spans and {groups} stats groups"),
    }
}
