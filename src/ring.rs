//! What the app has written, on its way from the threads that copy it (process plane) to the logs (data plane).
//!
//! It is a ring of two halves: writers fill one while the reader empties the other, and the reader comes to the next by a swap. So the lock is
//! held for a swap by the reader, and for one copy of at most [`PIECE_BYTES_MAX`] by a writer: no writer ever waits for a reader that works, sleeps
//! or has died. What does not fit is counted and dropped, never waited for.

use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Which of the app's streams bytes were written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Standard output, or both where they are one file.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Bytes of one piece at the most.
pub const PIECE_BYTES_MAX: usize = 64 * 1024;

/// From so many bytes on the reader is woken whatever it waits for.
const PLENTY_BYTES: usize = 64 * 1024;

/// Bytes that one app wrote to one stream, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// Where it was written.
    pub output: Output,
    /// When it arrived, milliseconds since 1970.
    pub time_ms: u64,
    /// Whether bytes of the same stream right before it were dropped.
    pub is_after_gap: bool,
    /// The bytes, at least one.
    pub bytes: &'a [u8],
}

/// What was dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Lines: line feeds, and one for each dropped piece without any.
    pub lines: u64,
    /// Bytes.
    pub bytes: u64,
}

/// A half that had more bytes in it gives its memory back once it has fewer.
const KEPT_BYTES_MAX: usize = 1024 * 1024;

/// One half: bytes in the order in which they came.
#[derive(Debug, Default)]
pub struct Half {
    bytes: Vec<u8>,
    /// The most that it ever had in this memory.
    bytes_most: usize,
    marks: Vec<Mark>,
}

/// What is known of the next `len` bytes of a half.
#[derive(Clone, Copy, Debug)]
struct Mark {
    time_ms: u64,
    len: usize,
    output: Output,
    is_after_gap: bool,
}

impl Half {
    /// The pieces, oldest first. Pieces of one stream and one millisecond may have become one.
    pub fn pieces(&self) -> impl Iterator<Item = Piece<'_>> {
        let mut rest = self.bytes.as_slice();
        self.marks.iter().filter_map(move |mark| {
            let bytes;
            (bytes, rest) = rest.split_at_checked(mark.len)?;
            let Mark { time_ms, output, is_after_gap, .. } = *mark;
            Some(Piece { output, time_ms, is_after_gap, bytes })
        })
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    /// Bytes that it holds, with what is known of them.
    fn held_bytes(&self) -> usize {
        self.bytes.len() + self.marks.len() * size_of::<Mark>()
    }

    /// Gives back the memory of a burst. What is in the half is forgotten.
    pub fn give_back(&mut self) {
        self.bytes_most = self.bytes_most.max(self.bytes.len());
        if self.bytes_most > KEPT_BYTES_MAX {
            *self = Self::default();
        }
    }

    fn clear(&mut self) {
        self.bytes_most = self.bytes_most.max(self.bytes.len());
        if self.bytes.len() <= KEPT_BYTES_MAX {
            self.give_back();
        }
        self.bytes.clear();
        self.marks.clear();
    }
}

#[derive(Debug, Default)]
struct Filling {
    half: Half,
    /// Whether the last bytes of each stream were dropped.
    has_gap: [bool; 2],
    is_closed: bool,
}

/// The ring.
#[derive(Debug)]
pub struct Ring {
    filling: Mutex<Filling>,
    half_bytes_max: usize,
    arrived: Notify,
    plenty: Notify,
    is_hurried: AtomicBool,
    lost_lines: AtomicU64,
    lost_bytes: AtomicU64,
}

impl Ring {
    /// A ring of at most `bytes_max` bytes, both halves together. It takes no memory before the first piece.
    pub fn new(bytes_max: usize) -> Self {
        Self {
            filling: Mutex::default(),
            half_bytes_max: bytes_max / 2,
            arrived: Notify::new(),
            plenty: Notify::new(),
            is_hurried: AtomicBool::new(false),
            lost_lines: AtomicU64::new(0),
            lost_bytes: AtomicU64::new(0),
        }
    }

    /// Hands over a copy of `bytes`, in pieces; each goes in whole, or is counted and dropped. Whether all went in. Never waits for the reader.
    pub fn push(&self, output: Output, bytes: &[u8], time_ms: u64) -> bool {
        let mut has_fit = true;
        for piece in bytes.chunks(PIECE_BYTES_MAX) {
            has_fit &= self.push_piece(output, piece, time_ms);
        }
        has_fit
    }

    fn push_piece(&self, output: Output, bytes: &[u8], time_ms: u64) -> bool {
        let mut filling = self.filling();
        let before = filling.half.held_bytes();
        if filling.is_closed || before + bytes.len() + size_of::<Mark>() > self.half_bytes_max {
            filling.has_gap[output as usize] = true;
            drop(filling);
            self.count(Lost::of(bytes));
            return false;
        }
        let is_after_gap = mem::take(&mut filling.has_gap[output as usize]);
        let half = &mut filling.half;
        // Once and for all: it would be copied under the lock as it grows. Its pages are taken when they are written.
        half.bytes.reserve_exact(self.half_bytes_max.saturating_sub(half.bytes.len()));
        half.bytes.extend_from_slice(bytes);
        match half.marks.last_mut() {
            Some(last) if last.output == output && last.time_ms == time_ms && !is_after_gap => {
                last.len += bytes.len();
            }
            _ => half.marks.push(Mark { time_ms, len: bytes.len(), output, is_after_gap }),
        }
        let held = half.held_bytes();
        drop(filling);
        if before == 0 {
            self.arrived.notify_one();
        }
        if before < PLENTY_BYTES && held >= PLENTY_BYTES {
            self.plenty.notify_one();
        }
        true
    }

    /// Gives the reader the half that was filled, for `half`, whose content is forgotten.
    pub fn take(&self, half: &mut Half) {
        half.clear();
        mem::swap(&mut self.filling().half, half);
    }

    /// Gives back the memory of a burst that the writers' half has, where it is empty.
    pub fn give_back(&self) {
        let mut filling = self.filling();
        if filling.half.is_empty() {
            filling.half.give_back();
        }
    }

    /// Waits until there is something to take. For one reader.
    pub async fn arrived(&self) {
        self.arrived.notified().await;
    }

    /// Waits until there is so much to take that it should not wait. For one reader.
    pub async fn plenty(&self) {
        self.plenty.notified().await;
    }

    /// Has the reader take what there is at once, and pass it on. Only sets a flag.
    pub fn hurry(&self) {
        self.is_hurried.store(true, Ordering::Relaxed);
        self.arrived.notify_one();
        self.plenty.notify_one();
    }

    /// Whether the reader is asked to hurry; asked for once.
    pub fn take_hurry(&self) -> bool {
        self.is_hurried.swap(false, Ordering::Relaxed)
    }

    /// What was dropped since this was asked the last time.
    pub fn take_lost(&self) -> Lost {
        Lost {
            lines: self.lost_lines.swap(0, Ordering::Relaxed),
            bytes: self.lost_bytes.swap(0, Ordering::Relaxed),
        }
    }

    /// Ends the ring: what is in it now, which nobody will take any more, and what still comes is dropped. What that is, with what was dropped
    /// before and not asked for yet.
    pub fn close(&self) -> Lost {
        let half = {
            let mut filling = self.filling();
            filling.is_closed = true;
            mem::take(&mut filling.half)
        };
        half.pieces().for_each(|piece| self.count(Lost::of(piece.bytes)));
        self.take_lost()
    }

    fn count(&self, lost: Lost) {
        self.lost_lines.fetch_add(lost.lines, Ordering::Relaxed);
        self.lost_bytes.fetch_add(lost.bytes, Ordering::Relaxed);
    }

    /// A writer that has panicked leaves a half whose marks still say what is in it.
    fn filling(&self) -> MutexGuard<'_, Filling> {
        self.filling.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lost {
    fn of(bytes: &[u8]) -> Self {
        let lines = memchr::memchr_iter(b'\n', bytes).count().max(1);
        Self { lines: lines as u64, bytes: bytes.len() as u64 }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::{Half, Lost, Output, PIECE_BYTES_MAX, Ring};

    /// What is taken now: stream, time, after a gap, text.
    fn taken(ring: &Ring) -> Vec<(Output, u64, bool, String)> {
        let mut half = Half::default();
        ring.take(&mut half);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        half.pieces().map(|p| (p.output, p.time_ms, p.is_after_gap, text(p.bytes))).collect()
    }

    #[test]
    fn pieces_come_out_in_order_with_their_stream_and_time() {
        let ring = Ring::new(1 << 20);
        ring.push(Output::Stdout, b"a\n", 1);
        ring.push(Output::Stdout, b"b\n", 1);
        ring.push(Output::Stderr, b"c\n", 1);
        ring.push(Output::Stderr, b"d\n", 2);
        let expect = [
            (Output::Stdout, 1, false, "a\nb\n".to_owned()),
            (Output::Stderr, 1, false, "c\n".to_owned()),
            (Output::Stderr, 2, false, "d\n".to_owned()),
        ];
        assert_eq!(taken(&ring), expect);
        assert_eq!(taken(&ring), []);
        assert_eq!(ring.take_lost(), Lost::default());
    }

    #[test]
    fn what_does_not_fit_is_counted_and_leaves_a_gap_in_its_own_stream() {
        let ring = Ring::new(400);
        assert!(ring.push(Output::Stdout, &[b'x'; 100], 1));
        assert!(!ring.push(Output::Stdout, &[b"1\n2\n3", [b'x'; 100].as_slice()].concat(), 1));
        assert!(!ring.push(Output::Stderr, &[b'x'; 100], 1));
        assert_eq!(ring.take_lost(), Lost { lines: 3, bytes: 205 });
        taken(&ring);
        for time_ms in [3, 4] {
            ring.push(Output::Stdout, b"a", time_ms);
        }
        let gaps: Vec<bool> = taken(&ring).iter().map(|piece| piece.2).collect();
        assert_eq!(gaps, [true, false]);
        ring.push(Output::Stderr, b"a", 5);
        assert!(taken(&ring)[0].2);
    }

    #[test]
    fn it_never_holds_more_than_its_bytes_whatever_the_size_of_the_pieces() {
        for len in [1, 100, 3000, 70_000] {
            let ring = Ring::new(256 * 1024);
            let piece = vec![b'x'; len];
            let mut time_ms = 0;
            while ring.push(Output::Stdout, &piece, time_ms) {
                time_ms += 1;
            }
            let held = ring.filling().half.held_bytes();
            assert!(held <= 128 * 1024, "{len}: {held}");
            assert!(held + len.min(PIECE_BYTES_MAX) + 100 > 128 * 1024, "{len}: {held}");
        }
    }

    #[test]
    fn a_closed_ring_counts_what_is_in_it_and_what_still_comes() {
        let ring = Ring::new(1 << 20);
        ring.push(Output::Stdout, b"a\nb\n", 1);
        assert_eq!(ring.close(), Lost { lines: 2, bytes: 4 });
        ring.push(Output::Stdout, b"c\n", 2);
        assert_eq!(ring.close(), Lost { lines: 1, bytes: 2 });
        assert_eq!(taken(&ring), []);
    }

    #[test]
    fn two_writers_and_a_reader_lose_nothing_uncounted() {
        const LINES: u64 = 100_000;
        let ring = Arc::new(Ring::new(64 * 1024));
        let write = |output| {
            let ring = Arc::clone(&ring);
            move || {
                for n in 0..LINES {
                    ring.push(output, format!("{n}\n").as_bytes(), n);
                }
            }
        };
        let writers = [thread::spawn(write(Output::Stdout)), thread::spawn(write(Output::Stderr))];
        let (mut half, mut lines, mut last) = (Half::default(), 0, [None; 2]);
        loop {
            let is_over = writers.iter().all(thread::JoinHandle::is_finished);
            ring.take(&mut half);
            for piece in half.pieces() {
                for line in std::str::from_utf8(piece.bytes).unwrap().lines() {
                    let number: u64 = line.parse().unwrap();
                    let last = &mut last[piece.output as usize];
                    assert!(last.is_none_or(|last| number > last));
                    *last = Some(number);
                    lines += 1;
                }
            }
            if is_over && half.is_empty() {
                break;
            }
        }
        assert_eq!(lines + ring.take_lost().lines, 2 * LINES);
        assert!(lines > 0);
    }

    #[tokio::test]
    async fn the_reader_is_woken_by_the_first_piece_and_by_plenty() {
        let ring = Ring::new(1 << 20);
        ring.push(Output::Stdout, b"a\n", 1);
        ring.push(Output::Stdout, b"b\n", 1);
        ring.arrived().await;
        taken(&ring);
        ring.push(Output::Stdout, &[b'x'; 100_000], 1);
        ring.arrived().await;
        ring.plenty().await;
    }
}
