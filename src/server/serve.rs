//! Accepting: from every listener, up to the limit, until the end is asked for.

use std::future::poll_fn;
use std::io;
use std::net::TcpListener as StdTcpListener;
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::PathBuf;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_local};

use crate::server::connection::{self, Stream};
use crate::server::listen::Listeners;
use crate::server::room::Room;
use crate::server::{Desk, drain};

/// Between attempts to accept while the process or the machine has no descriptors or no memory left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until `stop` has a deadline (or its sender is gone: then at once), and then until everything that has arrived is served, or the
/// deadline has come. It must run on a `LocalSet` of a current-thread runtime with I/O and time: the pipeline is called inline.
pub(crate) async fn serve<D: Desk>(
    listeners: Listeners,
    desk: &Rc<D>,
    receive_timeout: Duration,
    mut stop: watch::Receiver<Option<Instant>>,
) {
    let room = &desk.floor().room;
    let mut acceptor = Acceptor::new(listeners);
    let _watches = Watches::start(desk, receive_timeout);
    let mut stopping = pin!(async {
        match stop.wait_for(Option::is_some).await {
            Ok(deadline) => deadline.unwrap_or_else(Instant::now),
            Err(_) => Instant::now(),
        }
    });
    // A connection that came in at the limit: it waits here, and those behind it in the backlog.
    let mut held = None;
    let deadline = loop {
        let next = poll_fn(|context| {
            if let Poll::Ready(deadline) = stopping.as_mut().poll(context) {
                return Poll::Ready(Next::Stop(deadline));
            }
            if held.is_none() {
                match ready!(acceptor.poll_accept(context)) {
                    Ok(stream) => held = Some(stream),
                    Err(error) => return Poll::Ready(Next::Failed(error)),
                }
            }
            if room.has_space(context.waker()) { Poll::Ready(Next::Serve) } else { Poll::Pending }
        });
        match next.await {
            Next::Serve => serve_held(&mut held, desk),
            Next::Failed(error) => after_failure(room, &error).await,
            Next::Stop(deadline) => break deadline,
        }
    };
    serve_held(&mut held, desk);
    drain::drain(acceptor, desk, deadline).await;
}

enum Next {
    Serve,
    Failed(io::Error),
    Stop(Instant),
}

fn serve_held<D: Desk>(held: &mut Option<Stream>, desk: &Rc<D>) {
    if let Some(stream) = held.take() {
        drop(spawn_local(connection::serve(stream, desk)));
    }
}

/// A connection that was gone before it was accepted is nothing. Without descriptors or memory idle connections give way, and accepting
/// pauses: the rest waits in the backlog.
async fn after_failure(room: &Room, error: &io::Error) {
    let is_short = matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM)
    );
    if is_short {
        room.lower_limit();
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}

/// The passes over connections. They end with this.
struct Watches([JoinHandle<()>; 2]);

impl Watches {
    fn start<D: Desk>(desk: &Rc<D>, receive_timeout: Duration) -> Self {
        let (requests, idle) = (Rc::clone(desk), Rc::clone(desk));
        Self([
            spawn_local(async move {
                let floor = requests.floor();
                floor.room.watch_requests(receive_timeout, &floor.bodies).await
            }),
            spawn_local(async move { idle.floor().room.watch_idle(&idle.floor().bodies).await }),
        ])
    }
}

impl Drop for Watches {
    fn drop(&mut self) {
        for watch in &self.0 {
            watch.abort();
        }
    }
}

/// The listeners on the event loop.
pub(super) struct Acceptor {
    tcp: Vec<TcpListener>,
    unix: Option<(UnixListener, Option<PathBuf>)>,
    /// Whose turn it is, so that a busy listener does not keep the others waiting.
    turn: usize,
}

impl Acceptor {
    /// Registers the listeners. One that cannot be is left out; the kernel then refuses its clients.
    fn new(listeners: Listeners) -> Self {
        let tcp = listeners
            .tcp
            .into_iter()
            .filter_map(|listener| TcpListener::from_std(listener).ok())
            .collect();
        let unix = listeners
            .unix
            .and_then(|(listener, path)| Some((UnixListener::from_std(listener).ok()?, path)));
        Self { tcp, unix, turn: 0 }
    }

    fn poll_accept(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Stream>> {
        let count = self.tcp.len() + 1;
        for _ in 0..count {
            self.turn = (self.turn + 1) % count;
            let accepted = match (self.tcp.get(self.turn), &self.unix) {
                (Some(listener), _) => listener
                    .poll_accept(context)
                    .map_ok(|(stream, _)| Stream::Tcp(TokioIo::new(stream))),
                (None, Some((listener, _))) => listener
                    .poll_accept(context)
                    .map_ok(|(stream, _)| Stream::Unix(TokioIo::new(stream))),
                (None, None) => Poll::Pending,
            };
            if accepted.is_ready() {
                return accepted;
            }
        }
        Poll::Pending
    }

    /// Takes the listeners off the event loop, which knows of a connection only after its next turn.
    pub(super) fn into_backlog(self) -> Backlog {
        Backlog {
            tcp: self.tcp.into_iter().filter_map(|listener| listener.into_std().ok()).collect(),
            unix: self.unix.and_then(|(listener, path)| Some((listener.into_std().ok()?, path))),
        }
    }
}

/// The listeners off the event loop: what is in their backlogs is asked of the kernel. The unix socket's path goes with it.
pub(super) struct Backlog {
    tcp: Vec<StdTcpListener>,
    unix: Option<(StdUnixListener, Option<PathBuf>)>,
}

impl Backlog {
    /// Accepts and serves everything that waits; returns how many that were.
    pub(super) fn accept_all<D: Desk>(&self, desk: &Rc<D>) -> usize {
        let mut accepted = 0;
        let mut serve = |stream: io::Result<Stream>| {
            if let Ok(stream) = stream {
                drop(spawn_local(connection::serve(stream, desk)));
            }
            accepted += 1;
        };
        for listener in &self.tcp {
            while let Ok((stream, _)) = listener.accept() {
                serve(register_tcp(stream));
            }
        }
        if let Some((listener, _)) = &self.unix {
            while let Ok((stream, _)) = listener.accept() {
                serve(register_unix(stream));
            }
        }
        accepted
    }
}

impl Drop for Backlog {
    fn drop(&mut self) {
        if let Some((_, Some(path))) = &self.unix {
            // It may be gone already; a next run would replace it all the same.
            drop(std::fs::remove_file(path));
        }
    }
}

fn register_tcp(stream: std::net::TcpStream) -> io::Result<Stream> {
    stream.set_nonblocking(true)?;
    Ok(Stream::Tcp(TokioIo::new(TcpStream::from_std(stream)?)))
}

fn register_unix(stream: std::os::unix::net::UnixStream) -> io::Result<Stream> {
    stream.set_nonblocking(true)?;
    Ok(Stream::Unix(TokioIo::new(UnixStream::from_std(stream)?)))
}
