//! Who is connected, what each connection is at, and the passes that end what takes too long.
//!
//! Nothing here reads a clock: a pass adds one to the age of everything that waits. A container that is frozen for minutes and thawed
//! (as Cloud Run does between requests) thus finds its connections as old as they were, and a request needs no timer of its own.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::os::fd::RawFd;
use std::rc::Rc;
use std::task::Waker;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, SockaddrStorage, getpeername, recv};
use tokio::sync::Notify;

use crate::server::body::Bodies;

/// Passes over requests in progress per receive timeout: a sender gets the timeout and at most a tenth more.
const PASSES_PER_TIMEOUT: u32 = 10;

/// Passes without a byte after which a stalled body is given up while others wait for its space.
const STALLED_PASSES: u32 = 2;

/// Between two passes over idle connections and spare buffers.
const IDLE_PASS: Duration = Duration::from_secs(10);

/// Passes after which an idle connection is closed: a minute. (The agent: 5 s; every tracer flushes at least every 10.)
const IDLE_PASSES: u32 = 6;

/// Descriptors that are left to others once there are too few.
const SPARE_DESCRIPTORS: usize = 16;

/// What a connection is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Between requests.
    Idle,
    /// A head has begun to arrive.
    Head,
    /// A body is arriving.
    Body,
    /// A body waits for others to make space: the sender cannot help it, so its time stands still.
    Waiting,
    /// The request is passed on, and its answer comes from there: its time is the proxy's.
    Passing,
}

/// What somebody else wants of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// Nothing.
    Stay,
    /// To end when what it is at is done; at once where it is idle.
    Close,
    /// To end now.
    Abort,
}

/// One connection, as the others see it.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Different for every connection.
    pub(super) number: u64,
    /// The socket, for a look at what has arrived; nothing for a request that is one of several on its connection.
    socket: Option<RawFd>,
    phase: Cell<Phase>,
    /// Passes since the phase began.
    age: Cell<u32>,
    /// When it became idle, in the room's own counting.
    idle_since: Cell<u64>,
    /// Passes since bytes moved.
    still: Cell<u32>,
    /// Grows whenever bytes move.
    moves: Cell<u64>,
    is_late: Cell<bool>,
    wish: Cell<Wish>,
    waker: RefCell<Option<Waker>>,
}

impl Entry {
    pub(crate) fn phase(&self) -> Phase {
        self.phase.get()
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.set(phase);
        self.age.set(0);
        self.still.set(0);
        self.is_late.set(false);
    }

    /// The body belongs to the request whose head came before: its time runs on.
    pub(super) fn enter_body(&self) {
        self.phase.set(Phase::Body);
    }

    /// Bytes moved.
    pub(crate) fn moved(&self) {
        self.still.set(0);
        self.moves.set(self.moves.get().wrapping_add(1));
    }

    pub(super) fn moves(&self) -> u64 {
        self.moves.get()
    }

    /// Whether the body has taken too long.
    pub(super) fn is_late(&self) -> bool {
        self.is_late.get()
    }

    pub(crate) fn wish(&self) -> Wish {
        self.wish.get()
    }

    /// Whether bytes wait in the socket. Asked of the kernel, because the event loop may not have heard of them yet.
    pub(super) fn has_arrived(&self) -> bool {
        let Some(socket) = self.socket else { return false };
        loop {
            match recv(socket, &mut [0], MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT) {
                Ok(bytes) => return bytes > 0,
                Err(Errno::EINTR) => {}
                Err(_) => return false,
            }
        }
    }

    /// The address at the other end; nothing for a unix socket.
    pub(crate) fn peer(&self) -> Option<IpAddr> {
        let peer = getpeername::<SockaddrStorage>(self.socket?).ok()?;
        let v4 = peer.as_sockaddr_in().map(|peer| IpAddr::V4(peer.ip()));
        v4.or_else(|| peer.as_sockaddr_in6().map(|peer| IpAddr::V6(peer.ip())))
    }

    /// Says what is wanted, and wakes the connection to it.
    pub(crate) fn ask(&self, wish: Wish) {
        if self.wish.get() != Wish::Abort {
            self.wish.set(wish);
        }
        self.wake();
    }

    /// Remembers whom to wake.
    pub(super) fn remember(&self, waker: &Waker) {
        let mut known = self.waker.borrow_mut();
        match &*known {
            Some(known) if known.will_wake(waker) => {}
            _ => *known = Some(waker.clone()),
        }
    }

    pub(super) fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }

    /// One pass over a request in progress.
    fn pass(&self, is_short: bool) {
        let phase = self.phase.get();
        if matches!(phase, Phase::Idle | Phase::Waiting | Phase::Passing) {
            return;
        }
        self.age.set(self.age.get() + 1);
        self.still.set(self.still.get() + 1);
        let is_stalled = is_short && phase == Phase::Body && self.still.get() > STALLED_PASSES;
        if self.age.get() > PASSES_PER_TIMEOUT || is_stalled {
            match phase {
                // Without a head there is no request to answer: the agent closes such a connection without a word.
                Phase::Head => self.ask(Wish::Abort),
                _ => {
                    self.is_late.set(true);
                    self.wake();
                }
            }
        }
    }
}

/// All connections.
#[derive(Debug)]
pub(crate) struct Room {
    entries: RefCell<Vec<Rc<Entry>>>,
    connections: Cell<usize>,
    connections_max: Cell<usize>,
    next_number: Cell<u64>,
    /// How often a connection has become idle.
    rests: Cell<u64>,
    acceptor: RefCell<Option<Waker>>,
    /// Whether the passes over requests in progress run.
    is_watching: Cell<bool>,
    watch: Notify,
    arrived: Notify,
}

impl Room {
    pub(super) fn new(connections_max: usize) -> Self {
        Self {
            entries: RefCell::new(Vec::new()),
            connections: Cell::new(0),
            connections_max: Cell::new(connections_max.max(1)),
            next_number: Cell::new(0),
            rests: Cell::new(0),
            acceptor: RefCell::new(None),
            is_watching: Cell::new(false),
            watch: Notify::new(),
            arrived: Notify::new(),
        }
    }

    /// How many connections there are.
    pub(crate) fn len(&self) -> usize {
        self.connections.get()
    }

    /// How many connections are at passing on a request.
    pub(super) fn passing(&self) -> usize {
        self.entries.borrow().iter().filter(|entry| entry.phase() == Phase::Passing).count()
    }

    /// A new connection.
    pub(super) fn enter(&self, socket: RawFd) -> Rc<Entry> {
        self.connections.set(self.connections.get() + 1);
        self.add(Some(socket))
    }

    /// A new request on a connection that has several at once. It counts for no connection.
    pub(super) fn enter_request(&self) -> Rc<Entry> {
        self.add(None)
    }

    fn add(&self, socket: Option<RawFd>) -> Rc<Entry> {
        let number = self.next_number.get();
        self.next_number.set(number + 1);
        let entry = Rc::new(Entry {
            number,
            socket,
            phase: Cell::new(Phase::Idle),
            age: Cell::new(0),
            idle_since: Cell::new(self.rests.get()),
            still: Cell::new(0),
            moves: Cell::new(0),
            is_late: Cell::new(false),
            wish: Cell::new(Wish::Stay),
            waker: RefCell::new(None),
        });
        self.entries.borrow_mut().push(Rc::clone(&entry));
        self.arrived.notify_one();
        entry
    }

    /// The connection has nothing to do any more.
    pub(super) fn rest(&self, entry: &Entry) {
        entry.enter(Phase::Idle);
        self.rests.set(self.rests.get() + 1);
        entry.idle_since.set(self.rests.get());
    }

    /// The connection has ended.
    pub(super) fn leave(&self, entry: &Entry) {
        let mut entries = self.entries.borrow_mut();
        if let Some(at) = entries.iter().position(|other| other.number == entry.number) {
            entries.swap_remove(at);
            self.connections.set(self.connections.get() - usize::from(entry.socket.is_some()));
        }
        if let Some(waker) = self.acceptor.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Looks at every connection. `look` may ask things of them; none leaves meanwhile.
    pub(crate) fn each(&self, mut look: impl FnMut(&Entry)) {
        for entry in self.entries.borrow().iter() {
            look(entry);
        }
    }

    /// Whether another connection may come in. Where it may not, the connection that has been idle longest is asked to leave, and `waker`
    /// is woken when somebody has left.
    pub(super) fn has_space(&self, waker: &Waker) -> bool {
        if self.len() < self.connections_max.get() {
            return true;
        }
        self.close_longest_idle(1);
        *self.acceptor.borrow_mut() = Some(waker.clone());
        false
    }

    /// There are no descriptors for as many connections: from now on fewer are let in, and some leave, so that the relay finds descriptors
    /// too.
    pub(super) fn lower_limit(&self) {
        let limit = self.len().saturating_sub(SPARE_DESCRIPTORS).max(1);
        self.connections_max.set(limit.min(self.connections_max.get()));
        self.close_longest_idle(self.len().saturating_sub(limit));
    }

    /// Asks so many connections to leave, the longest idle first, those counted that have been asked already.
    fn close_longest_idle(&self, count: usize) {
        let entries = self.entries.borrow();
        let asked = entries.iter().filter(|entry| entry.wish() != Wish::Stay).count();
        let mut idle: Vec<_> = entries
            .iter()
            .filter(|entry| entry.wish() == Wish::Stay && entry.phase() == Phase::Idle)
            .collect();
        idle.sort_unstable_by_key(|entry| (entry.idle_since.get(), entry.number));
        let idle = idle.into_iter().filter(|entry| !entry.has_arrived());
        for entry in idle.take(count.saturating_sub(asked)) {
            entry.ask(Wish::Close);
        }
    }

    /// A request is in progress: the passes have to run.
    pub(super) fn watch(&self) {
        if !self.is_watching.replace(true) {
            self.watch.notify_one();
        }
    }

    /// The passes over requests in progress. They stop when a pass finds none, so that an idle process is not woken.
    pub(super) async fn watch_requests(&self, receive_timeout: Duration, bodies: &Bodies) {
        let pause = (receive_timeout / PASSES_PER_TIMEOUT).max(Duration::from_millis(1));
        loop {
            self.watch.notified().await;
            while self.is_watching.get() {
                tokio::time::sleep(pause).await;
                let is_short = bodies.is_short();
                let mut in_progress = 0;
                self.each(|entry| {
                    in_progress += usize::from(entry.phase() != Phase::Idle);
                    entry.pass(is_short);
                });
                self.is_watching.set(in_progress > 0);
            }
        }
    }

    /// The passes over idle connections and spare buffers. They rest while there is neither. One that was asked to close and is still there a
    /// pass later has a client that does not read its answer.
    pub(super) async fn watch_idle(&self, bodies: &Bodies) {
        loop {
            if self.len() == 0 && !bodies.has_spare() {
                self.arrived.notified().await;
            }
            tokio::time::sleep(IDLE_PASS).await;
            bodies.free_spare();
            self.each(|entry| {
                if entry.phase() != Phase::Idle {
                    return;
                }
                entry.age.set(entry.age.get() + 1);
                match entry.wish() {
                    Wish::Stay if entry.age.get() > IDLE_PASSES => entry.ask(Wish::Close),
                    Wish::Close => entry.ask(Wish::Abort),
                    Wish::Stay | Wish::Abort => {}
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::{PASSES_PER_TIMEOUT, Phase, Room, STALLED_PASSES, Wish};

    /// No socket: nothing has arrived on it.
    const NO_SOCKET: i32 = -1;

    #[test]
    fn at_the_limit_one_idle_connection_is_asked_to_leave_however_often_one_looks() {
        let room = Room::new(3);
        let [first, second, third] = [(); 3].map(|()| room.enter(NO_SOCKET));
        room.rest(&first);
        second.enter(Phase::Body);
        assert!(!room.has_space(Waker::noop()) && !room.has_space(Waker::noop()));
        // The third has been idle longest: the first has answered something since.
        assert_eq!(
            [&first, &second, &third].map(|e| e.wish()),
            [Wish::Stay, Wish::Stay, Wish::Close]
        );
        room.leave(&third);
        assert!(room.has_space(Waker::noop()));
    }

    #[test]
    fn without_descriptors_the_limit_sinks_and_the_longest_idle_leave() {
        let room = Room::new(1000);
        let entries: Vec<_> = (0..40).map(|_| room.enter(NO_SOCKET)).collect();
        room.lower_limit();
        let asked = entries.iter().filter(|entry| entry.wish() == Wish::Close).count();
        assert_eq!((asked, entries[15].wish(), entries[16].wish()), (16, Wish::Close, Wish::Stay));
        entries.iter().take(16).for_each(|entry| room.leave(entry));
        assert!(!room.has_space(Waker::noop()), "24 are the limit now");
    }

    #[test]
    fn time_runs_for_heads_and_bodies_and_stands_still_for_what_the_sender_cannot_help() {
        let room = Room::new(10);
        let [idle, head, body, waiting] = [(); 4].map(|()| room.enter(NO_SOCKET));
        head.enter(Phase::Head);
        body.enter(Phase::Body);
        waiting.enter(Phase::Waiting);
        for _ in 0..PASSES_PER_TIMEOUT {
            room.each(|entry| {
                entry.moved();
                entry.pass(false);
            });
        }
        assert!(!body.is_late() && head.wish() == Wish::Stay);
        room.each(|entry| entry.pass(false));
        assert!(body.is_late() && head.wish() == Wish::Abort);
        assert_eq!(
            (idle.wish(), waiting.wish(), waiting.is_late()),
            (Wish::Stay, Wish::Stay, false)
        );
        body.enter(Phase::Idle);
        assert!(!body.is_late(), "the next request has its own time");
    }

    #[test]
    fn a_body_that_stalls_while_others_wait_is_given_up_early() {
        let room = Room::new(10);
        let [stalled, moving] = [(); 2].map(|()| room.enter(NO_SOCKET));
        stalled.enter(Phase::Body);
        moving.enter(Phase::Body);
        for _ in 0..=STALLED_PASSES {
            moving.moved();
            room.each(|entry| entry.pass(true));
        }
        assert!(stalled.is_late() && !moving.is_late());
    }
}
