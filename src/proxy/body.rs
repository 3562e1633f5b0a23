//! The body of a request on its way: piece by piece from the thread that receives it to the one that sends, as fast as it is sent. Small ones
//! of requests that may go again are kept meanwhile.

use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::bounds::{Bound, Taken};
use crate::limits::PROXY_AGAIN_BYTES_MAX;

/// Pieces that wait between the threads.
const PIECES_MAX: usize = 2;

/// Why a body did not come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The sender is gone, or broke the framing.
    Broken,
    /// It is larger than its endpoint allows.
    TooLarge,
    /// Too many bytes are held already.
    NoRoom,
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Broken => "the request broke off",
            Self::TooLarge => "the request is too large",
            Self::NoRoom => "too many bytes are held",
        })
    }
}

impl Error for Cut {}

enum Piece {
    Data(Bytes),
    End,
    TooLarge,
}

/// The end where pieces go in. Dropped without [`Feed::end`], the body is broken.
#[derive(Debug)]
pub struct Feed {
    pieces: Sender<Piece>,
    bytes_left: usize,
}

impl Feed {
    /// Hands on a piece, once there is room for it. Whether more is wanted: nothing is after an answer, or beyond the limit.
    pub async fn push(&mut self, bytes: Bytes) -> bool {
        let Some(left) = self.bytes_left.checked_sub(bytes.len()) else {
            // Nobody to hear it is as good as heard.
            drop(self.pieces.send(Piece::TooLarge).await);
            return false;
        };
        self.bytes_left = left;
        self.pieces.send(Piece::Data(bytes)).await.is_ok()
    }

    /// That was all.
    pub async fn end(self) {
        drop(self.pieces.send(Piece::End).await);
    }
}

/// The end where they come out: read by one request at a time, from the beginning each time as far as it is kept.
#[derive(Debug)]
pub(super) struct Source {
    inner: Mutex<Inner>,
    length: Option<u64>,
}

#[derive(Debug)]
struct Inner {
    pieces: Receiver<Piece>,
    /// What has come, as long as all of it is kept.
    kept: Vec<Bytes>,
    kept_bytes: usize,
    keeping: Option<Taken>,
    /// Something has come.
    has_begun: bool,
    end: Option<Result<(), Cut>>,
}

/// A way for a body of at most `bytes_max` bytes, of which `length` says how many will come where that is known. `held` is what keeping it
/// takes bytes of; without that it is not kept.
pub(super) fn way(
    bytes_max: usize,
    length: Option<u64>,
    held: Option<&Arc<Bound>>,
) -> (Feed, Arc<Source>) {
    let (sender, pieces) = channel(PIECES_MAX);
    let inner = Inner {
        pieces,
        kept: Vec::new(),
        kept_bytes: 0,
        keeping: held.and_then(|held| held.take(0)),
        has_begun: false,
        end: None,
    };
    let source = Arc::new(Source { inner: Mutex::new(inner), length });
    (Feed { pieces: sender, bytes_left: bytes_max }, source)
}

impl Source {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A reader from the beginning.
    pub(super) fn reader(self: &Arc<Self>) -> Reader {
        Reader { source: Arc::clone(self), at: 0 }
    }

    /// Whether a reader from the beginning would still see all of it.
    pub(super) fn can_be_read_again(&self) -> bool {
        let inner = self.lock();
        matches!(inner.end, None | Some(Ok(()))) && (inner.keeping.is_some() || !inner.has_begun)
    }

    /// Why it broke off, where it did.
    pub(super) fn cut(&self) -> Option<Cut> {
        self.lock().end.and_then(Result::err)
    }

    /// Room in `held` for collecting it: for all of it where its length is known.
    pub(super) fn room(&self, held: &Arc<Bound>) -> Option<Taken> {
        held.take(self.length.map_or(Some(0), |length| usize::try_from(length).ok())?)
    }

    /// All of it, in one piece. `room` grows where its length was not known.
    pub(super) async fn collect(&self, room: &mut Taken) -> Result<Bytes, Cut> {
        let mut all = Vec::new();
        let length = self.length.and_then(|length| usize::try_from(length).ok());
        all.reserve_exact(length.unwrap_or(0));
        while let Some(piece) = poll_fn(|context| self.lock().poll_next(context)).await? {
            if length.is_none() && !room.add(piece.len()) {
                return Err(Cut::NoRoom);
            }
            all.extend_from_slice(&piece);
        }
        Ok(Bytes::from(all))
    }
}

impl Inner {
    /// The next piece from the other thread; nothing at the end.
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Cut>> {
        if let Some(end) = self.end {
            return Poll::Ready(end.map(|()| None));
        }
        let end = match ready!(self.pieces.poll_recv(context)) {
            Some(Piece::Data(bytes)) => {
                self.has_begun = true;
                return Poll::Ready(Ok(Some(bytes)));
            }
            Some(Piece::End) => Ok(()),
            Some(Piece::TooLarge) => Err(Cut::TooLarge),
            None => Err(Cut::Broken),
        };
        self.end = Some(end);
        Poll::Ready(end.map(|()| None))
    }

    /// Keeps a copy, since a piece may hold on to a much larger buffer.
    fn keep(&mut self, piece: &Bytes) {
        let Some(keeping) = &mut self.keeping else { return };
        if self.kept_bytes + piece.len() <= PROXY_AGAIN_BYTES_MAX && keeping.add(piece.len()) {
            self.kept_bytes += piece.len();
            self.kept.push(Bytes::copy_from_slice(piece));
        } else {
            self.keeping = None;
            self.kept = Vec::new();
        }
    }
}

/// A body for one attempt.
#[derive(Debug)]
pub(super) struct Reader {
    source: Arc<Source>,
    at: usize,
}

impl Body for Reader {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let source = Arc::clone(&self.source);
        let mut inner = source.lock();
        if let Some(piece) = inner.kept.get(self.at) {
            self.at += 1;
            return Poll::Ready(Some(Ok(Frame::data(piece.clone()))));
        }
        let piece = match ready!(inner.poll_next(context)) {
            Ok(Some(piece)) => piece,
            Ok(None) => return Poll::Ready(None),
            Err(cut) => return Poll::Ready(Some(Err(cut))),
        };
        inner.keep(&piece);
        self.at += 1;
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn size_hint(&self) -> SizeHint {
        self.source.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::Pin;
    use std::sync::Arc;

    use hyper::body::Body as _;
    use tokio::runtime::Builder;

    use super::{Bound, Bytes, Cut, PROXY_AGAIN_BYTES_MAX, Source, way};

    fn run<T>(work: impl Future<Output = T>) -> T {
        Builder::new_current_thread().build().unwrap().block_on(work)
    }

    /// What a reader sees: the bytes, or why it broke off.
    async fn read(source: &Arc<Source>) -> Result<usize, Cut> {
        let (mut reader, mut bytes) = (source.reader(), 0);
        while let Some(frame) = poll_fn(|context| Pin::new(&mut reader).poll_frame(context)).await {
            bytes += frame?.into_data().unwrap().len();
        }
        Ok(bytes)
    }

    #[test]
    fn a_small_body_is_kept_and_read_again() {
        run(async {
            let held = Bound::new(100);
            let (mut feed, source) = way(10, None, Some(&held));
            assert!(source.can_be_read_again());
            assert!(feed.push(Bytes::from_static(b"abc")).await);
            feed.end().await;
            for _ in 0..3 {
                assert_eq!(read(&source).await, Ok(3));
                assert!(source.can_be_read_again());
            }
            assert_eq!(held.taken(), 3);
            drop(source);
            assert_eq!(held.taken(), 0);
        });
    }

    #[test]
    fn a_large_body_and_one_without_room_are_passed_and_not_kept() {
        run(async {
            for (room, bytes) in [(usize::MAX, PROXY_AGAIN_BYTES_MAX + 1), (2, 3)] {
                let held = Bound::new(room);
                let (mut feed, source) = way(usize::MAX, Some(bytes as u64), Some(&held));
                assert!(feed.push(Bytes::from(vec![0; bytes])).await);
                feed.end().await;
                assert_eq!(read(&source).await, Ok(bytes));
                assert!(!source.can_be_read_again());
                assert_eq!(held.taken(), 0);
            }
        });
    }

    #[test]
    fn a_body_that_breaks_off_or_is_too_large_says_so() {
        run(async {
            let (mut feed, source) = way(2, None, None);
            assert!(feed.push(Bytes::from_static(b"ab")).await);
            assert!(!feed.push(Bytes::from_static(b"c")).await);
            drop(feed);
            assert_eq!(
                (read(&source).await, source.cut()),
                (Err(Cut::TooLarge), Some(Cut::TooLarge))
            );
            let (feed, source) = way(2, None, None);
            drop(feed);
            assert_eq!(read(&source).await, Err(Cut::Broken));
            assert!(!source.can_be_read_again());
        });
    }

    #[test]
    fn a_body_is_collected_within_what_may_be_held() {
        run(async {
            let held = Bound::new(5);
            for length in [None, Some(4)] {
                let (mut feed, source) = way(10, length, None);
                assert!(feed.push(Bytes::from_static(b"ab")).await);
                assert!(feed.push(Bytes::from_static(b"cd")).await);
                let end = tokio::spawn(feed.end());
                let mut room = source.room(&held).unwrap();
                let all = source.collect(&mut room).await.unwrap();
                end.await.unwrap();
                assert_eq!((&all[..], held.taken()), (&b"abcd"[..], 4));
                let (_feed, known) = way(10, Some(2), None);
                assert!(known.room(&held).is_none());
                let (mut feed, unknown) = way(10, None, None);
                assert!(feed.push(Bytes::from_static(b"ab")).await);
                let mut little = unknown.room(&held).unwrap();
                assert_eq!(unknown.collect(&mut little).await, Err(Cut::NoRoom));
                drop(room);
            }
            assert_eq!(held.taken(), 0);
        });
    }
}
