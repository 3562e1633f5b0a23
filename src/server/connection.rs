//! One connection: its socket, and hyper's loop over it under the room's wishes.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

use hyper::Request;
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use crate::limits;
use crate::server::room::{Entry, Phase, Wish};
use crate::server::{Desk, Http};

/// The most that is read at once from a socket. A buffer above 128 KiB would be mapped anew each time.
const READ_BYTES_MAX: usize = 64 * 1024;

/// An accepted socket.
#[derive(Debug)]
pub(crate) enum Stream {
    /// From the TCP port.
    Tcp(TokioIo<TcpStream>),
    /// From the unix socket.
    Unix(TokioIo<UnixStream>),
}

impl Stream {
    pub(super) fn socket(&self) -> RawFd {
        match self {
            Self::Tcp(stream) => stream.inner().as_raw_fd(),
            Self::Unix(stream) => stream.inner().as_raw_fd(),
        }
    }

    /// Reads what has come into `buffer`.
    pub(super) fn poll_bytes(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream.inner_mut()).poll_read(context, buffer),
            Self::Unix(stream) => Pin::new(stream.inner_mut()).poll_read(context, buffer),
        }
    }
}

/// The socket as hyper sees it; the room learns from it when bytes move.
pub(super) struct Io {
    pub(super) stream: Stream,
    pub(super) entry: Rc<Entry>,
}

impl Read for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let read = match &mut self.stream {
            Stream::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Stream::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
        };
        if read.is_ready() {
            self.entry.moved();
            if self.entry.phase() == Phase::Idle {
                self.entry.enter(Phase::Head);
            }
        }
        read
    }
}

impl Write for Io {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = match &mut self.stream {
            Stream::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
        };
        if written.is_ready() {
            self.entry.moved();
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Stream::Unix(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Unix(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

/// HTTP/1.1.
#[derive(Debug)]
pub(crate) struct Http1(http1::Builder);

impl Http1 {
    /// How hyper treats every connection. Time limits are the room's; `half_close` lets a client that died after its last byte be served; head
    /// and body of an answer are one write, since a client that gets two waits 40 ms for its own delayed acknowledgement.
    pub(crate) fn new() -> Self {
        let mut http = http1::Builder::new();
        http.half_close(true)
            .header_read_timeout(None)
            .max_header_size(limits::HEAD_BYTES_MAX)
            .max_buf_size(READ_BYTES_MAX)
            .title_case_headers(true)
            .writev(false);
        Self(http)
    }
}

/// In the room as long as this lives.
pub(crate) struct Present<D: Desk> {
    pub(super) desk: Rc<D>,
    pub(super) entry: Rc<Entry>,
}

impl<D: Desk> Drop for Present<D> {
    fn drop(&mut self) {
        self.desk.floor().room.leave(&self.entry);
    }
}

/// Serves one connection to its end. It is in the room from the call on, not from the first poll.
pub(super) fn serve<D: Desk>(
    stream: Stream,
    desk: &Rc<D>,
) -> impl Future<Output = ()> + 'static + use<D> {
    let entry = desk.floor().room.enter(stream.socket());
    let present = Present { desk: Rc::clone(desk), entry };
    async move { present.desk.floor().http.run(stream, &present).await }
}

impl Http for Http1 {
    async fn run<D: Desk<Http = Self>>(&self, stream: Stream, present: &Present<D>) {
        let Present { desk, entry } = present;
        let room = &desk.floor().room;
        let service = service_fn(|request: Request<Incoming>| async move {
            entry.enter_body();
            let answer = desk.answer(request, entry).await;
            room.rest(entry);
            Ok::<_, Infallible>(answer)
        });
        let io = Io { stream, entry: Rc::clone(entry) };
        let mut connection = pin!(self.0.serve_connection(io, service));
        let mut is_closing = false;
        poll_fn(|context| {
            entry.remember(context.waker());
            match entry.wish() {
                Wish::Stay => {}
                Wish::Abort => return Poll::Ready(()),
                Wish::Close if is_closing => {}
                Wish::Close => {
                    is_closing = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
            // An error is the client's: it went away or broke the protocol, and hyper has answered what can be answered.
            let end = connection.as_mut().poll(context);
            if end.is_pending() && entry.phase() != Phase::Idle {
                room.watch();
            }
            end.map(|_| ())
        })
        .await;
    }
}
