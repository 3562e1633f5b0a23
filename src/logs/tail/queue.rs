//! What was read in files, on its way from the thread that follows them to the data plane: bounded in bytes. Nothing is dropped here; the files
//! keep what has no room.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::Event;

/// An event of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// As [`Event::Bytes`].
    Bytes {
        /// The file's number.
        file: u64,
        /// Its tags.
        tags: String,
        /// What was read.
        bytes: Vec<u8>,
    },
    /// As [`Event::End`].
    End {
        /// The file's number.
        file: u64,
    },
}

/// The queue between the two threads.
#[derive(Debug)]
pub struct Queue {
    inner: Mutex<Inner>,
    bytes_max: usize,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    events: VecDeque<Held>,
    bytes: usize,
    is_closed: bool,
}

impl Queue {
    /// A queue for so many bytes. One event is taken however large it is: a file is read 64 KiB at a time.
    pub fn new(bytes_max: usize) -> Self {
        Self { inner: Mutex::default(), bytes_max, arrived: Notify::new() }
    }

    /// Takes an event, as a [`super::Sink`] does: `false` where there is no room for bytes. An end has no bytes and is always taken.
    pub fn push(&self, event: Event<'_>) -> bool {
        let mut inner = self.lock();
        match event {
            Event::Bytes { file, tags, bytes } => {
                let is_full = inner.bytes > 0 && inner.bytes + bytes.len() > self.bytes_max;
                if inner.is_closed || is_full {
                    return false;
                }
                inner.bytes += bytes.len();
                let (tags, bytes) = (tags.to_owned(), bytes.to_vec());
                inner.events.push_back(Held::Bytes { file, tags, bytes });
            }
            Event::End { file } => inner.events.push_back(Held::End { file }),
        }
        drop(inner);
        self.arrived.notify_one();
        true
    }

    /// The oldest event.
    pub fn pop(&self) -> Option<Held> {
        let mut inner = self.lock();
        let event = inner.events.pop_front()?;
        if let Held::Bytes { bytes, .. } = &event {
            inner.bytes = inner.bytes.saturating_sub(bytes.len());
        }
        Some(event)
    }

    /// Waits until something has arrived since the last time.
    pub async fn arrived(&self) {
        self.arrived.notified().await;
    }

    /// Takes no more bytes: nobody will look for them.
    pub fn close(&self) {
        self.lock().is_closed = true;
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::{Event, Held, Queue};

    fn bytes(bytes: &[u8]) -> Event<'_> {
        Event::Bytes { file: 1, tags: "filename:a", bytes }
    }

    #[test]
    fn what_has_no_room_is_refused_until_there_is_some() {
        let queue = Queue::new(10);
        assert!(queue.push(bytes(b"123456")));
        assert!(!queue.push(bytes(b"12345")));
        assert!(queue.push(bytes(b"1234")));
        // An end is no matter of room.
        assert!(queue.push(Event::End { file: 1 }));
        assert!(matches!(queue.pop(), Some(Held::Bytes { bytes, .. }) if bytes == b"123456"));
        assert!(queue.push(bytes(b"12345")));
        assert!(matches!(queue.pop(), Some(Held::Bytes { bytes, .. }) if bytes == b"1234"));
        assert_eq!(queue.pop(), Some(Held::End { file: 1 }));
    }

    #[test]
    fn one_event_is_taken_however_large_and_none_once_it_is_closed() {
        let queue = Queue::new(1);
        assert!(queue.push(bytes(b"large")));
        assert!(queue.pop().is_some());
        queue.close();
        assert!(!queue.push(bytes(b"a")));
        assert!(queue.push(Event::End { file: 1 }));
        assert_eq!(queue.pop(), Some(Held::End { file: 1 }));
    }
}
