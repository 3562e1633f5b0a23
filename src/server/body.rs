//! Request bodies, read whole: bounded each and all together, without a copy where one read brought everything, else in buffers that are
//! used again.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::ops::Deref;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use bytes::Bytes;
use hyper::body::{Body as _, Incoming};
use tokio::sync::Notify;

use crate::server::room::{Entry, Phase};

/// Buffers that wait to be used again. A busy app has a handful of connections at a time.
const POOL_BUFFERS_MAX: usize = 8;

/// The largest buffer that is kept; a body of a thousand spans has half a megabyte.
const POOL_BUFFER_BYTES_MAX: usize = 1024 * 1024;

/// The first capacity of a buffer: most bodies that need one fit, and a client that only claims to send much has not much.
const FIRST_BYTES: usize = 128 * 1024;

/// Why there is no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// More bytes than one body may have.
    TooLarge,
    /// It did not arrive in time.
    TooSlow,
    /// The client is gone, or broke the framing.
    Broken,
}

/// A whole body.
pub(crate) enum Body {
    /// It came in one read: the connection's own bytes.
    Single(Bytes),
    /// It was put together.
    Joined(Joined),
}

impl Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Single(bytes) => bytes,
            Self::Joined(joined) => &joined.bytes,
        }
    }
}

/// A body in a buffer of the pool, and its share of the bytes in flight. Both go back when it is dropped.
pub(crate) struct Joined {
    bytes: Vec<u8>,
    bodies: Rc<Bodies>,
    connection: u64,
}

impl Drop for Joined {
    fn drop(&mut self) {
        self.bodies.release(self.connection, self.bytes.len());
        self.bodies.give_back(std::mem::take(&mut self.bytes));
    }
}

/// What all bodies together hold. One body (the first that found no space) may always go on, within a reserve that nobody else uses, so
/// that bodies which wait for each other cannot stand still.
#[derive(Debug)]
pub(crate) struct Bodies {
    body_bytes_max: usize,
    shared_bytes_max: usize,
    held_bytes: Cell<usize>,
    first_in_need: Cell<Option<u64>>,
    waiting: Cell<usize>,
    released: Notify,
    pool: RefCell<Vec<Vec<u8>>>,
    /// Whether a buffer was asked for since the last look.
    is_pool_in_use: Cell<bool>,
}

impl Bodies {
    /// For bodies of so many bytes each. Together they hold `shared_bytes_max`, and the first that finds no space as much as it needs.
    pub(super) fn new(body_bytes_max: usize, shared_bytes_max: usize) -> Self {
        Self {
            body_bytes_max,
            shared_bytes_max,
            held_bytes: Cell::new(0),
            first_in_need: Cell::new(None),
            waiting: Cell::new(0),
            released: Notify::new(),
            pool: RefCell::new(Vec::new()),
            is_pool_in_use: Cell::new(false),
        }
    }

    /// Whether bodies wait for space: then a sender that stalls is not waited for long.
    pub(super) fn is_short(&self) -> bool {
        self.waiting.get() > 0
    }

    /// Whether the pool holds buffers.
    pub(super) fn has_spare(&self) -> bool {
        !self.pool.borrow().is_empty()
    }

    /// Frees the pooled buffers if none was used since the last call.
    pub(super) fn free_spare(&self) {
        if !self.is_pool_in_use.replace(false) {
            *self.pool.borrow_mut() = Vec::new();
        }
    }

    async fn take(&self, entry: &Entry, bytes: usize) {
        if self.try_take(entry.number, bytes) {
            return;
        }
        self.waiting.set(self.waiting.get() + 1);
        let _waiting = Waiting(self);
        entry.enter(Phase::Waiting);
        loop {
            let released = self.released.notified();
            if self.try_take(entry.number, bytes) {
                break;
            }
            released.await;
        }
        entry.enter(Phase::Body);
    }

    fn try_take(&self, connection: u64, bytes: usize) -> bool {
        let held = self.held_bytes.get() + bytes;
        let is_first = match self.first_in_need.get() {
            Some(first) => first == connection,
            None => held > self.shared_bytes_max,
        };
        if held > self.shared_bytes_max && !is_first {
            return false;
        }
        if held > self.shared_bytes_max {
            self.first_in_need.set(Some(connection));
        }
        self.held_bytes.set(held);
        true
    }

    fn release(&self, connection: u64, bytes: usize) {
        self.held_bytes.set(self.held_bytes.get().saturating_sub(bytes));
        if self.first_in_need.get() == Some(connection) {
            self.first_in_need.set(None);
        }
        if self.is_short() {
            self.released.notify_waiters();
        }
    }

    fn buffer(&self) -> Vec<u8> {
        self.is_pool_in_use.set(true);
        self.pool.borrow_mut().pop().unwrap_or_default()
    }

    fn give_back(&self, mut buffer: Vec<u8>) {
        let mut pool = self.pool.borrow_mut();
        if pool.len() < POOL_BUFFERS_MAX && (1..=POOL_BUFFER_BYTES_MAX).contains(&buffer.capacity())
        {
            buffer.clear();
            pool.push(buffer);
        }
    }
}

struct Waiting<'a>(&'a Bodies);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.set(self.0.waiting.get() - 1);
    }
}

/// Reads the whole body. `expects_continue`: the client sends it only when asked to, so a body that is too large need not come at all.
pub(crate) async fn read(
    mut incoming: Incoming,
    bodies: &Rc<Bodies>,
    entry: &Entry,
    expects_continue: bool,
) -> Result<Body, Missing> {
    let length = incoming.size_hint().exact();
    if length.is_some_and(|length| length > bodies.body_bytes_max as u64) {
        if !expects_continue {
            discard(incoming, entry).await;
        }
        return Err(Missing::TooLarge);
    }
    let Some(first) = next(&mut incoming, entry).await? else {
        return Ok(Body::Single(Bytes::new()));
    };
    if incoming.is_end_stream() && first.len() <= bodies.body_bytes_max {
        return Ok(Body::Single(first));
    }
    let mut joined =
        Joined { bytes: bodies.buffer(), bodies: Rc::clone(bodies), connection: entry.number };
    let expected = usize::try_from(length.unwrap_or(0)).unwrap_or(usize::MAX);
    joined.bytes.reserve(expected.clamp(first.len(), FIRST_BYTES.max(first.len())));
    let mut part = Some(first);
    while let Some(bytes) = part {
        if bytes.len() > bodies.body_bytes_max - joined.bytes.len() {
            drop(joined);
            discard(incoming, entry).await;
            return Err(Missing::TooLarge);
        }
        bodies.take(entry, bytes.len()).await;
        joined.bytes.extend_from_slice(&bytes);
        drop(bytes);
        part = if incoming.is_end_stream() { None } else { next(&mut incoming, entry).await? };
    }
    Ok(Body::Joined(joined))
}

/// Reads to the end what nobody needs, so that the client, which sends first and reads then, sees the answer. The time limit bounds it.
pub(crate) async fn discard(mut incoming: Incoming, entry: &Entry) -> bool {
    while !incoming.is_end_stream() {
        match next(&mut incoming, entry).await {
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(_) => return false,
        }
    }
    true
}

/// The next piece of a body, nothing at its end.
pub(crate) async fn next(incoming: &mut Incoming, entry: &Entry) -> Result<Option<Bytes>, Missing> {
    poll_fn(|context| {
        loop {
            match Pin::new(&mut *incoming).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(bytes) => return Poll::Ready(Ok(Some(bytes))),
                    // Trailers mean nothing here; the end comes after them.
                    Err(_) => continue,
                },
                Poll::Ready(Some(Err(_))) => return Poll::Ready(Err(Missing::Broken)),
                Poll::Ready(None) => return Poll::Ready(Ok(None)),
                Poll::Pending if entry.is_late() => return Poll::Ready(Err(Missing::TooSlow)),
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::{Bodies, POOL_BUFFER_BYTES_MAX, POOL_BUFFERS_MAX};
    use crate::limits::BODIES_IN_FLIGHT_BYTES_MAX;

    const BODY: usize = 26_214_400;

    #[test]
    fn bodies_together_stay_below_the_limit_and_one_of_them_can_always_go_on() {
        let bodies = Bodies::new(BODY, BODIES_IN_FLIGHT_BYTES_MAX - BODY);
        let piece = 64 * 1024;
        let mut held = [0; 10];
        // Ten bodies grow in turn until nobody may take more.
        loop {
            let mut moved = false;
            for (number, held) in held.iter_mut().enumerate() {
                if *held + piece <= BODY && bodies.try_take(number as u64, piece) {
                    *held += piece;
                    moved = true;
                }
            }
            let total: usize = held.iter().sum();
            assert!(total <= BODIES_IN_FLIGHT_BYTES_MAX, "{total}");
            if !moved {
                break;
            }
        }
        let whole = held.iter().position(|&held| held + piece > BODY).expect("one body is whole");
        bodies.release(whole as u64, held[whole]);
        let next = (0..10).find(|&number| number != whole).unwrap();
        assert!(bodies.try_take(next as u64, piece), "its end makes room for another");
    }

    #[test]
    fn a_body_may_be_as_large_as_its_limit_even_where_that_is_more_than_all_together() {
        let bodies = Bodies::new(3 * BODIES_IN_FLIGHT_BYTES_MAX, 0);
        assert!(bodies.try_take(1, 3 * BODIES_IN_FLIGHT_BYTES_MAX));
        assert!(!bodies.try_take(2, 1));
    }

    #[test]
    fn the_pool_is_bounded_and_freed_after_quiet() {
        let bodies = Bodies::new(BODY, BODIES_IN_FLIGHT_BYTES_MAX - BODY);
        assert!(bodies.buffer().capacity() == 0);
        for _ in 0..20 {
            bodies.give_back(Vec::with_capacity(1000));
        }
        bodies.give_back(Vec::with_capacity(POOL_BUFFER_BYTES_MAX + 1));
        assert_eq!(bodies.pool.borrow().len(), POOL_BUFFERS_MAX);
        bodies.free_spare();
        assert!(bodies.has_spare(), "one was used since the last look");
        bodies.free_spare();
        assert!(!bodies.has_spare());
    }
}
