//! All queues of the relay: what is pushed goes to those of its family, and room is made for it where they are fullest.

use std::sync::Arc;

use crate::ledger::{Ledger, Shed};
use crate::relay::held::{Item, Number};
use crate::relay::input::Input;
use crate::relay::queue::Queue;
use crate::relay::room::{Room, Taken};
use crate::relay::{Kind, Payload};

/// The queues of all destinations, shared by the handles and the relay's thread.
pub(super) struct Queues {
    /// The main ones of each family, each with those of its copies behind it. The first one keeps the bodies that are used again.
    pub(super) all: Vec<Arc<Queue>>,
    pub(super) room: Arc<Room>,
    pub(super) ledger: Arc<Ledger>,
    /// Kinds that are not sent.
    pub(super) off: Vec<Kind>,
}

impl Queues {
    /// Takes a payload; see [`crate::relay::Relay::push`].
    pub(super) fn push(&self, payload: Payload) {
        if self.off.contains(&payload.kind) {
            self.ledger.filtered(payload.counts);
            return self.keep_spare(payload.body);
        }
        let family = payload.kind.family();
        let input = Arc::new(Input::new(payload));
        let mut of_family = self.all.iter().filter(|queue| queue.family == family);
        let Some(main) = of_family.next() else { return };
        of_family.for_each(|copy| self.push_to(copy, Arc::clone(&input)));
        // The main one comes last: where none of them takes the payload, its body can be used again.
        self.push_to(main, input);
    }

    fn push_to(&self, queue: &Queue, input: Arc<Input>) {
        let taken = if queue.is_shut() { None } else { self.take(input.bytes) };
        queue.push(input, taken);
    }

    /// Takes room for so many bytes. Where it is taken up, the fullest queue lets go of its oldest payload, again and again. A queue is as full
    /// as what it holds is more than that of others of its weight, so one that holds no more than its part of the room is never the fullest.
    /// Nothing where the room is too small, or all that is in it is on the wire.
    fn take(&self, bytes: usize) -> Option<Taken<'_>> {
        if bytes > self.room.bytes_max() {
            return None;
        }
        loop {
            if let Some(taken) = self.room.take(bytes) {
                return Some(taken);
            }
            let full = self.all.iter().filter_map(|queue| Some((queue.fullness()?, queue)));
            let (_, fullest) = full.max_by_key(|(fullness, _)| *fullness)?;
            fullest.shed_oldest();
        }
    }

    /// Puts back into `queue` what became of the payload that was taken from it.
    pub(super) fn packed(&self, queue: &Queue, number: Number, items: Result<Vec<Item>, Shed>) {
        let items = items.and_then(|items| {
            let bytes: usize = items.iter().map(Item::bytes).sum();
            // Nearly always it is less than before.
            let grown = match bytes.saturating_sub(queue.packing_bytes()) {
                0 => None,
                more => Some(self.take(more).ok_or(Shed::QueueFull)?),
            };
            Ok((items, grown))
        });
        queue.packed(number, items);
    }

    /// Keeps a body for reuse.
    pub(super) fn keep_spare(&self, body: Vec<u8>) {
        if let Some(first) = self.all.first() {
            first.keep_spare(body);
        }
    }

    /// A body for reuse, or a new one.
    pub(super) fn buffer(&self) -> Vec<u8> {
        self.all.first().map_or_else(Vec::new, |first| first.buffer())
    }
}
