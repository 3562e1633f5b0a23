//! What the queue holds and in which state it is; what goes next, what goes first when there is no room.

use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;

use crate::ledger::{Counts, Shed};
use crate::limits::SENDS_IN_FLIGHT_MAX;
use crate::relay::backoff::{CAP, CAP_IN_FLUSH, Gate, wait};
use crate::relay::input::Input;
use crate::relay::kind::Cut;
use crate::relay::pack::Encoding;
use crate::relay::room::{Share, Taken};
use crate::relay::{Kind, Part, Payload};

/// Bodies that wait for reuse.
const SPARE_MAX: usize = 3;

/// Capacity up to which a body is always worth keeping, bytes.
const SPARE_BYTES_MIN: usize = 64 * 1024;

/// A larger body is kept if its capacity was used to more than this part (1/8).
const SPARE_FACTOR_MAX: usize = 8;

/// The order of payloads: when it was pushed, then which part of it this is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Number {
    /// From 1, in the order of the pushes.
    pub(super) pushed: u64,
    part: u64,
}

/// A payload that is ready to be sent, or on the wire. A clone shares the bytes.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) kind: Kind,
    pub(super) body: Bytes,
    pub(super) encoding: Encoding,
    /// Length of the body before it was compressed.
    pub(super) raw_len: usize,
    pub(super) counts: Counts,
    pub(super) languages: Arc<str>,
    pub(super) parts: Arc<[Part]>,
    /// When it was compressed, which is soon after its last item had come.
    pub(super) made_at: SystemTime,
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
            parts: mem::take(&mut payload.parts).into(),
            made_at: SystemTime::now(),
            failures: 0,
            state: State::Waits(Instant::now()),
        }
    }

    fn outgoing(&self, number: Number) -> Outgoing {
        let (body, languages) = (self.body.clone(), Arc::clone(&self.languages));
        Outgoing {
            number,
            kind: self.kind,
            body,
            encoding: self.encoding,
            raw_len: self.raw_len,
            languages,
            made_at: self.made_at,
            failures: self.failures,
        }
    }

    /// What the queue counts for it.
    pub(super) fn bytes(&self) -> usize {
        size_of::<(Number, Self)>()
            + self.body.len()
            + self.languages.len()
            + self.parts.len() * size_of::<Part>()
    }
}

/// What a request needs of an item.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) number: Number,
    pub(super) kind: Kind,
    pub(super) body: Bytes,
    pub(super) encoding: Encoding,
    pub(super) raw_len: usize,
    pub(super) languages: Arc<str>,
    pub(super) made_at: SystemTime,
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

/// All that the relay holds. It knows no lock, no ledger and no clock but the moments that it is given.
#[derive(Default)]
pub(super) struct Held {
    /// How many payloads were taken.
    pub(super) last: u64,
    parts: u64,
    /// Payloads as they were pushed.
    input: VecDeque<(Number, Arc<Input>)>,
    /// The payload that the relay's thread is compressing, with its bytes.
    packing: Option<(Number, Counts, usize)>,
    /// Compressed payloads, the oldest first.
    items: BTreeMap<Number, Item>,
    /// Bytes of all that, with what is beside the bodies.
    pub(super) share: Share,
    /// One for each [`Kind`].
    gates: [Gate; Kind::ALL.len()],
    /// Bodies that wait for reuse.
    spare: Vec<Vec<u8>>,
    /// Bodies are not kept: another queue has those of all.
    pub(super) keeps_no_spare: bool,
    /// Callers that wait in a flush.
    pub(super) flushes: usize,
    /// Why payloads are not taken any more.
    pub(super) shut: Option<Shed>,
    /// The last handle is gone.
    pub(super) closed: bool,
    /// A deadline has dropped payloads, maybe some that are on the wire.
    pub(super) has_dropped: bool,
}

impl Held {
    /// Takes a payload, for which room was taken.
    pub(super) fn push(&mut self, input: Arc<Input>, taken: Taken<'_>) {
        self.last += 1;
        self.share.add(taken);
        self.input.push_back((Number { pushed: self.last, part: 0 }, input));
    }

    /// The oldest payload, wherever it is.
    pub(super) fn oldest(&self) -> Option<Number> {
        let item = self.items.first_key_value().map(|(number, _)| *number);
        let input = self.input.front().map(|(number, _)| *number);
        let packing = self.packing.map(|(number, ..)| number);
        [item, input, packing].into_iter().flatten().min()
    }

    /// What all payloads together hold.
    pub(super) fn counts(&self) -> Counts {
        let mut all = Counts::default();
        let packing = self.packing.iter().map(|(_, counts, _)| *counts);
        let input = self.input.iter().map(|(_, input)| input.counts);
        self.items
            .values()
            .map(|item| item.counts)
            .chain(input)
            .chain(packing)
            .for_each(|counts| all.add(counts));
        all
    }

    fn cap(&self) -> Duration {
        if self.flushes > 0 { CAP_IN_FLUSH } else { CAP }
    }

    /// Keeps a body for reuse, unless it is far larger than what is sent these days.
    pub(super) fn keep_spare(&mut self, mut body: Vec<u8>) {
        let is_oversized =
            body.capacity() > SPARE_BYTES_MIN && body.capacity() / SPARE_FACTOR_MAX > body.len();
        let is_kept = !self.keeps_no_spare && self.spare.len() < SPARE_MAX;
        if is_kept && body.capacity() > 0 && !is_oversized {
            body.clear();
            self.spare.push(body);
        }
    }

    /// A body for reuse.
    pub(super) fn take_spare(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    /// Lets go of what is only kept for speed.
    pub(super) fn release_spare(&mut self) {
        self.spare = Vec::new();
        self.input.shrink_to_fit();
    }

    /// Whether a compressed payload is there.
    pub(super) fn has(&self, number: Number) -> bool {
        self.items.contains_key(&number)
    }

    /// The next payload to compress.
    pub(super) fn take_input(&mut self) -> Option<(Number, Arc<Input>)> {
        let (number, input) = self.input.pop_front()?;
        self.packing = Some((number, input.counts, input.bytes));
        Some((number, input))
    }

    /// Takes out a payload that is too large, if it can be cut: its parts make up the whole. `is_answer`: the intake has said so.
    pub(super) fn take_cuttable(&mut self, number: Number, is_answer: bool) -> Option<Item> {
        let item = self.items.get(&number)?;
        let mut sum = Counts::default();
        item.parts.iter().for_each(|part| sum.add(part.counts));
        if item.kind.traits().cut == Cut::Never
            || item.parts.len() < 2
            || sum != item.counts
            || self.packing.is_some()
        {
            return None;
        }
        let item = self.items.remove(&number)?;
        self.packing = Some((number, item.counts, item.bytes()));
        if is_answer {
            self.gates[item.kind as usize].succeeded();
        }
        Some(item)
    }

    /// Bytes that count for what is being compressed.
    pub(super) fn packing_bytes(&self) -> usize {
        self.packing.map_or(0, |(.., bytes)| bytes)
    }

    /// What was being compressed is lost. Its counts; nothing where a deadline has taken it (with any other payload as `number`).
    pub(super) fn lose_packing(&mut self, number: Option<Number>) -> Option<Counts> {
        let (_, counts, bytes) =
            self.packing.take_if(|(packing, ..)| number.is_none_or(|number| number == *packing))?;
        self.share.give_back(bytes);
        Some(counts)
    }

    /// Puts in what became of the payload `number`: itself compressed, or its pieces; `grown` is the room for what they have more than it had.
    /// Not where a deadline has taken it.
    pub(super) fn put(&mut self, number: Number, items: Vec<Item>, grown: Option<Taken<'_>>) {
        let Some((.., before)) = self.packing.take_if(|(packing, ..)| *packing == number) else {
            return;
        };
        let after: usize = items.iter().map(Item::bytes).sum();
        match grown {
            Some(taken) => self.share.add(taken),
            None => self.share.give_back(before.saturating_sub(after)),
        }
        for (i, item) in items.into_iter().enumerate() {
            let mut number = number;
            if i > 0 {
                self.parts += 1;
                number.part = self.parts;
            }
            self.items.insert(number, item);
        }
    }

    /// How many bytes there are, where a payload is among them that is neither on the wire nor being compressed.
    pub(super) fn bytes_with_waiting(&self) -> Option<usize> {
        let waits = |item: &Item| matches!(item.state, State::Waits(_));
        let has_waiting = !self.input.is_empty() || self.items.values().any(waits);
        has_waiting.then(|| self.share.bytes())
    }

    /// Takes out the oldest payload that is neither on the wire nor being compressed.
    pub(super) fn take_oldest_waiting(&mut self) -> Option<Counts> {
        let waiting = self
            .items
            .iter()
            .find(|(_, item)| matches!(item.state, State::Waits(_)))
            .map(|(number, _)| *number);
        if let Some(item) = waiting.and_then(|number| self.items.remove(&number)) {
            self.share.give_back(item.bytes());
            return Some(item.counts);
        }
        let (_, input) = self.input.pop_front()?;
        self.share.give_back(input.bytes);
        let counts = input.counts;
        if let Some(body) = Arc::into_inner(input).and_then(Input::into_body) {
            self.keep_spare(body);
        }
        Some(counts)
    }

    /// Takes out all that was pushed up to `mark`.
    pub(super) fn take_until(&mut self, mark: u64) -> Counts {
        let mut gone = Counts::default();
        let later = self.items.split_off(&Number { pushed: mark + 1, part: 0 });
        for item in mem::replace(&mut self.items, later).into_values() {
            self.share.give_back(item.bytes());
            gone.add(item.counts);
        }
        while self.input.front().is_some_and(|(number, _)| number.pushed <= mark) {
            if let Some((_, input)) = self.input.pop_front() {
                self.share.give_back(input.bytes);
                gone.add(input.counts);
            }
        }
        if let Some((_, counts, bytes)) = self.packing.take_if(|(number, ..)| number.pushed <= mark)
        {
            self.share.give_back(bytes);
            gone.add(counts);
        }
        self.has_dropped |= !gone.is_empty();
        gone
    }

    /// Makes all that waits due now.
    pub(super) fn make_due(&mut self, now: Instant) {
        self.gates.iter_mut().for_each(Gate::open);
        for item in self.items.values_mut() {
            if let State::Waits(due) = &mut item.state {
                *due = now.min(*due);
            }
        }
    }

    /// What to send next: the oldest that is due. `under_way` requests of each kind are on the wire.
    pub(super) fn next(&mut self, now: Instant, under_way: [usize; Kind::ALL.len()]) -> Next {
        if under_way.iter().sum::<usize>() >= SENDS_IN_FLIGHT_MAX {
            return Next::Nothing;
        }
        let mut soonest: Option<Instant> = None;
        let mut sooner =
            |at: Instant| soonest = Some(soonest.map_or(at, |soonest| soonest.min(at)));
        let mut open = [true; Kind::ALL.len()];
        for ((gate, under_way), open) in self.gates.iter().zip(under_way).zip(&mut open) {
            let closed_until = gate.closed_until(now);
            *open = closed_until.is_none() && under_way < gate.sends_max(SENDS_IN_FLIGHT_MAX);
            if let Some(until) = closed_until {
                sooner(until);
            }
        }
        // There may be tens of thousands of small payloads, and a push waits for this lock.
        if open == [false; Kind::ALL.len()] {
            return soonest.map_or(Next::Nothing, Next::At);
        }
        for (number, item) in self.items.iter_mut().filter(|(_, item)| open[item.kind as usize]) {
            match item.state {
                State::Waits(due) if due <= now => {
                    item.state = State::Sends(now);
                    return Next::Send(item.outgoing(*number));
                }
                State::Waits(due) => sooner(due),
                State::Sends(_) => {}
            }
        }
        soonest.map_or(Next::Nothing, Next::At)
    }

    /// A request has failed in a way that another attempt may mend. `random` is uniform in `[0, 1)`.
    pub(super) fn wait_again(
        &mut self,
        number: Number,
        after: Option<Duration>,
        now: Instant,
        random: f64,
    ) {
        let cap = self.cap();
        // Nobody who waits in a flush has the time for a long `Retry-After`.
        let after = after.map(|after| if self.flushes > 0 { after.min(cap) } else { after });
        let Some(item) = self.items.get_mut(&number) else { return };
        let started = if let State::Sends(started) = item.state { started } else { now };
        item.failures = item.failures.saturating_add(1);
        let wait = wait(item.failures, cap, random).max(after.unwrap_or_default());
        item.state = State::Waits(now + wait);
        self.gates[item.kind as usize].failed(started, now, after, cap, random);
    }

    /// The endpoint of this payload has answered; the payload is settled and leaves. Its counts.
    pub(super) fn take_settled(&mut self, number: Number, is_answer: bool) -> Option<Counts> {
        let item = self.items.remove(&number)?;
        self.share.give_back(item.bytes());
        if is_answer {
            self.gates[item.kind as usize].succeeded();
        }
        Some(item.counts)
    }

    /// The requests that were under way have ended without a trace: their payloads go again.
    pub(super) fn send_again(&mut self, now: Instant) {
        for item in self.items.values_mut() {
            if let State::Sends(_) = item.state {
                item.state = State::Waits(now);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, LazyLock};
    use std::time::{Duration, Instant};

    use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

    use super::{Held, Input, Kind, Next, Number, Payload};
    use crate::ledger::Counts;
    use crate::relay::Compression;
    use crate::relay::pack::Packer;
    use crate::relay::room::{Room, Share};

    fn payload(kind: Kind, bytes: usize) -> Arc<Input> {
        let counts = Counts { spans: 1, ..Counts::default() };
        let (body, languages) = (vec![7; bytes], "go".to_owned());
        Arc::new(Input::new(Payload { kind, body, counts, languages, parts: Vec::new() }))
    }

    /// More than all tests here need.
    static ROOM: LazyLock<Arc<Room>> = LazyLock::new(|| Arc::new(Room::new(1 << 40)));

    fn nothing_held() -> Held {
        Held { share: Share::of(&ROOM), ..Held::default() }
    }

    fn push(held: &mut Held, kind: Kind, bytes: usize) {
        let input = payload(kind, bytes);
        let taken = ROOM.take(input.bytes).unwrap();
        held.push(input, taken);
    }

    /// So many requests with traces and so many with stats.
    fn on_the_wire(traces: usize, stats: usize) -> [usize; Kind::ALL.len()] {
        let mut under_way = [0; Kind::ALL.len()];
        (under_way[Kind::Traces as usize], under_way[Kind::Stats as usize]) = (traces, stats);
        under_way
    }

    /// Takes everything through compression.
    fn pack_all(held: &mut Held) {
        let mut packer = Packer::new([Compression::Gzip(1); 3]);
        while let Some((number, input)) = held.take_input() {
            let item = input.packed(&mut packer).unwrap().item;
            let grown = item.bytes().saturating_sub(held.packing_bytes());
            let grown = (grown > 0).then(|| ROOM.take(grown).unwrap());
            held.put(number, vec![item], grown);
        }
    }

    fn send(held: &mut Held, now: Instant, under_way: [usize; Kind::ALL.len()]) -> Option<Number> {
        match held.next(now, under_way) {
            Next::Send(outgoing) => Some(outgoing.number),
            _ => None,
        }
    }

    #[test]
    fn the_oldest_goes_first_and_after_a_failure_one_alone() {
        let mut held = nothing_held();
        (0..4).for_each(|_| push(&mut held, Kind::Traces, 10));
        push(&mut held, Kind::Stats, 10);
        pack_all(&mut held);
        let now = Instant::now();
        let first = send(&mut held, now, on_the_wire(0, 0)).unwrap();
        let second = send(&mut held, now, on_the_wire(1, 0)).unwrap();
        assert!(first < second);
        held.wait_again(first, None, now, 0.5);
        let Next::Send(stats) = held.next(now, on_the_wire(1, 0)) else {
            panic!("the other endpoint has not failed")
        };
        assert_eq!(stats.kind, Kind::Stats);
        let Next::At(at) = held.next(now, on_the_wire(1, 1)) else {
            panic!("the endpoint is left alone for a while")
        };
        assert_eq!(at, now + Duration::from_millis(50));
        assert_eq!(send(&mut held, at, on_the_wire(1, 1)), None, "one request alone tries it");
        assert_eq!(send(&mut held, at, on_the_wire(0, 1)), Some(first));
        assert!(held.take_settled(first, true).is_some());
        assert!(send(&mut held, at, on_the_wire(1, 1)).is_some());
    }

    #[test]
    fn five_are_under_way_at_most() {
        let mut held = nothing_held();
        (0..9).for_each(|_| push(&mut held, Kind::Traces, 10));
        pack_all(&mut held);
        let sent = (0..9)
            .filter(|under_way| {
                send(&mut held, Instant::now(), on_the_wire(*under_way, 0)).is_some()
            })
            .count();
        assert_eq!(sent, 5);
    }

    #[test]
    fn spare_bodies_are_few_and_not_larger_than_what_is_sent() {
        let mut held = nothing_held();
        let body = |len: usize, capacity: usize| {
            let mut body = Vec::with_capacity(capacity);
            body.resize(len, 0);
            body
        };
        for (len, capacity, is_kept) in
            [(10, 60_000, true), (10, 1 << 20, false), (1 << 19, 1 << 20, true), (0, 0, false)]
        {
            held.keep_spare(body(len, capacity));
            assert_eq!(held.take_spare().capacity() > 0, is_kept, "{len} of {capacity}");
        }
        (0..10).for_each(|_| held.keep_spare(body(9, 9)));
        let kept = (0..10).filter(|_| held.take_spare().capacity() > 0).count();
        assert_eq!(kept, 3);
    }

    proptest! {
        /// Whatever happens, bytes and counts are those of what is in it, and nothing is left at the end.
        #[test]
        fn bytes_and_counts_are_exact(steps in prop::collection::vec((0_u8..9, any::<bool>(), 0_usize..1000), 1..80)) {
            let (mut held, mut inside, now) = (nothing_held(), 0_u64, Instant::now());
            for (step, is_stats, n) in steps {
                let kind = if is_stats { Kind::Stats } else { Kind::Traces };
                let gone = match step {
                    0..3 => {
                        push(&mut held, kind, n);
                        inside += 1;
                        None
                    }
                    3 => {
                        pack_all(&mut held);
                        None
                    }
                    4 => held.take_oldest_waiting(),
                    5 => send(&mut held, now, on_the_wire(0, 0)).and_then(|number| held.take_settled(number, true)),
                    6 => {
                        if let Some(number) = send(&mut held, now, on_the_wire(0, 0)) {
                            held.wait_again(number, None, now, 0.0);
                        }
                        None
                    }
                    7 => {
                        held.send_again(now);
                        None
                    }
                    _ => Some(held.take_until(held.last.saturating_sub(n as u64 % 5))),
                };
                inside -= gone.map_or(0, |gone| gone.spans);
                prop_assert_eq!(held.counts().spans, inside);
                prop_assert_eq!(held.share.bytes() == 0, inside == 0);
                prop_assert_eq!(held.oldest().is_none(), inside == 0);
            }
            prop_assert_eq!(held.take_until(held.last).spans, inside);
            prop_assert!(held.share.bytes() == 0 && held.oldest().is_none());
        }
    }
}
