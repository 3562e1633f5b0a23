//! The body of an answer of gRPC: one message and, behind it, the status.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::body::{Body, Frame};

/// A message with the trailers behind it; neither, where the status stands in the head.
#[derive(Debug, Default)]
pub(super) struct Unary {
    message: Option<Bytes>,
    trailers: Option<HeaderMap>,
}

impl Unary {
    /// `message` with the five bytes in front that say how long it is.
    pub(super) fn new(message: &[u8], trailers: HeaderMap) -> Self {
        let mut framed = Vec::with_capacity(message.len() + 5);
        framed.push(0);
        // An answer has some tens of bytes.
        framed.extend_from_slice(&u32::try_from(message.len()).unwrap_or(0).to_be_bytes());
        framed.extend_from_slice(message);
        Self { message: Some(framed.into()), trailers: Some(trailers) }
    }
}

impl Body for Unary {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let message = self.message.take().map(Frame::data);
        let frame = message.or_else(|| self.trailers.take().map(Frame::trailers));
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.message.is_none() && self.trailers.is_none()
    }
}
