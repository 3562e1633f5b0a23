//! The answer that goes back to the tracer: whole where it is small, else piece by piece as it comes.

use std::task::{Context, Poll};

use hyper::body::Bytes;
use hyper::{HeaderMap, StatusCode};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::body::Cut;

/// Pieces of an answer that wait between the threads.
const PIECES_MAX: usize = 2;

/// An answer to a request that was passed on.
#[derive(Debug)]
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Its headers, without those of the connection that it came on.
    pub headers: HeaderMap,
    /// Its body.
    pub body: ReplyBody,
}

/// The body of an answer.
#[derive(Debug)]
pub enum ReplyBody {
    /// All of it.
    Whole(Bytes),
    /// Its beginning, and what is still coming.
    Coming(Coming),
}

impl Reply {
    /// An answer of our own.
    pub(super) fn own(status: StatusCode, body: &'static str) -> Self {
        let body = ReplyBody::Whole(Bytes::from_static(body.as_bytes()));
        Self { status, headers: HeaderMap::new(), body }
    }
}

/// What comes of a body, piece by piece.
#[derive(Debug)]
pub struct Coming {
    first: Option<Bytes>,
    rest: Receiver<Result<Bytes, Cut>>,
}

impl Coming {
    /// The rest of a body that begins with `first`, and where its pieces go in. Dropped before an end was sent, the body is broken.
    pub(super) fn after(first: Bytes) -> (Sender<Result<Bytes, Cut>>, Self) {
        let (sender, rest) = channel(PIECES_MAX);
        (sender, Self { first: Some(first), rest })
    }

    /// The next piece; nothing at the end.
    ///
    /// # Errors
    /// The answer broke off.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Cut>>> {
        match self.first.take() {
            Some(first) => Poll::Ready(Some(Ok(first))),
            None => self.rest.poll_recv(context),
        }
    }
}
