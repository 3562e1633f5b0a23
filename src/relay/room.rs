//! The bytes that all queues together may hold: one bound, and what each has of it.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The bound, and how much of it is taken up. What is taken is taken before it is put into a queue, so the queues never hold more.
#[derive(Debug, Default)]
pub(super) struct Room {
    bytes_max: usize,
    taken: AtomicUsize,
}

impl Room {
    /// Room for so many bytes.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, taken: AtomicUsize::new(0) }
    }

    /// How many bytes there may be.
    pub(super) fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// Takes so many bytes, if they are free.
    pub(super) fn take(&self, bytes: usize) -> Option<Taken<'_>> {
        let more = |taken: usize| taken.checked_add(bytes).filter(|taken| *taken <= self.bytes_max);
        // The counter guards nothing but itself: what is in a queue is behind the lock of that queue.
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Taken { room: self, bytes })
    }

    fn give_back(&self, bytes: usize) {
        self.taken.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Bytes that nothing lies in yet. They are free again when this is dropped.
#[derive(Debug)]
pub(super) struct Taken<'a> {
    room: &'a Room,
    bytes: usize,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.room.give_back(self.bytes);
    }
}

/// What one queue has of the room.
#[derive(Debug, Default)]
pub(super) struct Share {
    room: Arc<Room>,
    bytes: usize,
}

impl Share {
    /// Nothing of `room` yet.
    pub(super) fn of(room: &Arc<Room>) -> Self {
        Self { room: Arc::clone(room), bytes: 0 }
    }

    /// How many bytes it has.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// What was taken is this queue's.
    pub(super) fn add(&mut self, mut taken: Taken<'_>) {
        self.bytes += mem::take(&mut taken.bytes);
    }

    /// So many bytes are free again.
    pub(super) fn give_back(&mut self, bytes: usize) {
        self.bytes -= bytes;
        self.room.give_back(bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Room, Share};

    #[test]
    fn what_is_taken_is_taken_once_and_free_again_when_it_is_not_used() {
        let room = Arc::new(Room::new(10));
        let (mut one, mut other) = (Share::of(&room), Share::of(&room));
        one.add(room.take(6).unwrap());
        assert!(room.take(5).is_none() && room.take(usize::MAX).is_none());
        drop(room.take(4).unwrap());
        other.add(room.take(4).unwrap());
        assert!(room.take(1).is_none());
        one.give_back(6);
        assert_eq!((one.bytes(), other.bytes()), (0, 4));
        assert!(room.take(7).is_none() && room.take(6).is_some());
    }
}
