//! Connections of HTTP/2: several requests at once, each a task with its own time.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use hyper::Request;
use hyper::body::Incoming;
use hyper::rt::{Executor, Read, ReadBufCursor, Write};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use tokio::io::ReadBuf;
use tokio::task::spawn_local;

use crate::limits;
use crate::server::connection::{Io, Present, Stream};
use crate::server::room::{Entry, Phase, Wish};
use crate::server::{Desk, Http};

/// Bytes of one request that hyper holds before they are asked for, and so the share of each in what a connection may hold.
const STREAM_BYTES: u32 = 64 * 1024;

/// Runs hyper's tasks on this thread.
#[derive(Clone, Copy, Debug)]
struct Spawn;

impl<F: Future + 'static> Executor<F> for Spawn
where
    F::Output: 'static,
{
    fn execute(&self, task: F) {
        drop(spawn_local(task));
    }
}

/// HTTP/2 without TLS, by prior knowledge.
#[derive(Debug)]
pub(crate) struct Http2(http2::Builder<Spawn>);

impl Http2 {
    /// How hyper treats every connection: so many requests at once, further ones wait with their client. Each of them can fill its own window
    /// without taking from the others', so that one that stalls holds up none. Time limits are the room's.
    pub(crate) fn new(requests_max: u32) -> Self {
        let mut http = http2::Builder::new(Spawn);
        http.max_concurrent_streams(requests_max)
            .initial_stream_window_size(STREAM_BYTES)
            .initial_connection_window_size(STREAM_BYTES * requests_max)
            .max_header_list_size(limits::HEAD_BYTES_MAX as u32)
            .auto_date_header(false);
        Self(http)
    }
}

/// Bytes that are read at once.
const READ_BYTES: usize = 8 * 1024;

/// The socket as hyper sees it. Its end is kept back while requests are under way, and once: hyper would drop those that came just before, and an
/// app that sends its last spans and dies is to be served all the same.
struct Socket {
    io: Io,
    has_ended: bool,
}

impl Read for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut bytes = [0; READ_BYTES];
        let length = buffer.remaining().min(READ_BYTES);
        let mut read = ReadBuf::new(&mut bytes[..length]);
        let result = ready!(self.io.stream.poll_bytes(context, &mut read));
        if result.is_ok() && !read.filled().is_empty() {
            self.io.entry.moved();
            buffer.put_slice(read.filled());
            return Poll::Ready(Ok(()));
        }
        if !std::mem::replace(&mut self.has_ended, true) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.io.entry.phase() == Phase::Idle { Poll::Ready(result) } else { Poll::Pending }
    }
}

impl Write for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        // Whoever sends and is gone reads no answer, and not even the greeting that comes first here: what was sent is still read.
        let written = ready!(Pin::new(&mut self.io).poll_write(context, bytes));
        Poll::Ready(written.or(Ok(bytes.len())))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

/// The requests under way on a connection.
#[derive(Debug, Default)]
struct UnderWay(Cell<usize>);

/// A request, in the room as long as this lives. Its connection is busy meanwhile; the connection's own time stands still.
struct Guest<D: Desk> {
    present: Present<D>,
    connection: Rc<Entry>,
    under_way: Rc<UnderWay>,
}

impl<D: Desk> Guest<D> {
    fn enter(desk: &Rc<D>, connection: &Rc<Entry>, under_way: &Rc<UnderWay>) -> Self {
        let room = &desk.floor().room;
        let entry = room.enter_request();
        entry.enter(Phase::Body);
        room.watch();
        connection.enter(Phase::Waiting);
        under_way.0.set(under_way.0.get() + 1);
        Self {
            present: Present { desk: Rc::clone(desk), entry },
            connection: Rc::clone(connection),
            under_way: Rc::clone(under_way),
        }
    }
}

impl<D: Desk> Drop for Guest<D> {
    fn drop(&mut self) {
        self.under_way.0.set(self.under_way.0.get() - 1);
        if self.under_way.0.get() == 0 {
            self.present.desk.floor().room.rest(&self.connection);
            self.connection.wake();
        }
    }
}

impl Http for Http2 {
    async fn run<D: Desk<Http = Self>>(&self, stream: Stream, present: &Present<D>) {
        let Present { desk, entry } = present;
        let under_way = Rc::new(UnderWay::default());
        let service = service_fn(|request: Request<Incoming>| {
            // In the room from now on, not from the first poll: the end waits for requests that have arrived.
            let guest = Guest::enter(desk, entry, &under_way);
            async move {
                let Present { desk, entry } = &guest.present;
                let mut answer = pin!(desk.answer(request, entry));
                let answer = poll_fn(|context| {
                    entry.remember(context.waker());
                    answer.as_mut().poll(context)
                });
                Ok::<_, Infallible>(answer.await)
            }
        });
        let socket = Socket { io: Io { stream, entry: Rc::clone(entry) }, has_ended: false };
        let mut connection = pin!(self.0.serve_connection(socket, service));
        let mut is_closing = false;
        poll_fn(|context| {
            entry.remember(context.waker());
            match entry.wish() {
                Wish::Stay => {}
                Wish::Abort => return Poll::Ready(()),
                Wish::Close if is_closing => {}
                // Of a client that has not said a word hyper waits for one before it would close.
                Wish::Close if entry.moves() == 0 => return Poll::Ready(()),
                Wish::Close => {
                    is_closing = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
            // An error is the client's, as in HTTP/1.
            connection.as_mut().poll(context).map(|_| ())
        })
        .await;
    }
}
