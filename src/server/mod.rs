//! HTTP servers: listening sockets, connections, request bodies, and the limits of all of them. What a request means is for its [`Desk`].
//!
//! `listen` binds, before the app is spawned. `serve` accepts and, at the end, hands over to `drain`; each `connection` is a task of hyper's,
//! all on one thread, and so is each of the `streams` of an HTTP/2 connection. `room` knows them all and bounds their number and their time;
//! `body` bounds their bytes.

mod body;
mod connection;
mod drain;
mod flag;
mod listen;
mod room;
mod serve;
mod streams;

use std::rc::Rc;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::{Request, Response};

pub use listen::Listeners;

pub(crate) use body::{Bodies, Missing, discard, next, read};
pub(crate) use connection::Http1;
pub(crate) use flag::is_true;
pub(crate) use listen::{tcp, unix};
pub(crate) use room::{Entry, Phase, Wish};
pub(crate) use serve::serve;
pub(crate) use streams::Http2;

/// What answers the requests of a server's connections.
pub(crate) trait Desk: Sized + 'static {
    /// The body of an answer. Those that are in hand leave in one piece with their head; those that come from elsewhere may break off.
    type Body: hyper::body::Body<Data = Bytes, Error: std::error::Error + Send + Sync + 'static>
        + 'static;

    /// The version of HTTP that is spoken.
    type Http: Http;

    /// What the server knows of its connections.
    fn floor(&self) -> &Floor<Self::Http>;

    /// Answers one request. `entry` is its connection (of HTTP/2, its stream), to which its time and the bytes of its body are counted.
    fn answer(
        &self,
        request: Request<Incoming>,
        entry: &Entry,
    ) -> impl Future<Output = Response<Self::Body>>;
}

/// A version of HTTP, as a type: a server that speaks one has no code of the other.
pub(crate) trait Http: 'static {
    /// Serves a connection to its end.
    fn run<D: Desk<Http = Self>>(
        &self,
        stream: connection::Stream,
        present: &connection::Present<D>,
    ) -> impl Future<Output = ()>;
}

/// The connections of a server, what their bodies hold together, and how they are spoken to.
#[derive(Debug)]
pub(crate) struct Floor<H> {
    pub(crate) room: room::Room,
    /// The bodies.
    pub(crate) bodies: Rc<Bodies>,
    http: H,
}

impl<H: Http> Floor<H> {
    /// For so many connections at once, and bodies of so many bytes each; beside one of them, all others together hold `shared_bytes_max`.
    pub(crate) fn new(
        connections_max: usize,
        body_bytes_max: usize,
        shared_bytes_max: usize,
        http: H,
    ) -> Self {
        let bodies = Rc::new(Bodies::new(body_bytes_max, shared_bytes_max));
        Self { room: room::Room::new(connections_max), bodies, http }
    }
}
