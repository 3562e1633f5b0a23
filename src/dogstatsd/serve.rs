//! The thread's loop: wait until something comes or is due, read, flush.

use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::ledger::{Counts, Ledger, Shed};
use crate::limits::DOGSTATSD_STREAMS_MAX;
use crate::metrics::OpenBuckets;

use super::forward::Forward;
use super::receive::{Broken, Burst, Stream, Turn, dropped, room_bytes};
use super::run::{Outlet, Shared, Wishes, now_s};
use super::{Inlet, Listeners, Manner, Settings};

/// Bursts of one socket in a row before the others have their turn.
const BURSTS_MAX: u32 = 4;

/// The longest that what is in the sockets' buffers is read at the end: who still floods them then is not waited for.
const DRAIN: Duration = Duration::from_secs(1);

/// Failed readings of a socket in a row after which it is given up.
const FAILURES_MAX: u32 = 100;

/// Panics after which metrics are given up.
const FAULTS_MAX: u32 = 5;

/// A socket for datagrams.
struct Datagrams {
    socket: OwnedFd,
    needs_line_feed: bool,
    /// Those that the kernel had dropped when it was asked last.
    dropped: u32,
    failures: u32,
}

/// Everything that the thread has.
pub(super) struct Server {
    datagrams: Vec<Datagrams>,
    listener: Option<UnixListener>,
    streams: Vec<Stream>,
    streams_need_line_feed: bool,
    packet_bytes: usize,
    burst: Burst,
    /// What streams are read into, all of them. Empty until there is one.
    room: Vec<u8>,
    inlet: Inlet,
    forward: Option<Forward>,
    ledger: Arc<Ledger>,
    outlet: Outlet,
    shared: Arc<Shared>,
    woken: UnixStream,
    /// When the aggregator is asked next. Nothing: it holds nothing.
    due: Option<Instant>,
}

/// What can be read: in the order in which it was waited for.
struct Ready {
    /// Somebody wants something.
    woken: bool,
    datagrams: Vec<bool>,
    listener: bool,
    streams: Vec<bool>,
}

impl Server {
    pub(super) fn new(
        listeners: Listeners,
        settings: &Settings,
        shared: Arc<Shared>,
        woken: UnixStream,
        ledger: Arc<Ledger>,
        outlet: Outlet,
    ) -> Self {
        let (inlet, problems) = Inlet::new(settings);
        for problem in problems {
            tracing::warn!("{problem}");
        }
        let Listeners { udp, unix, streams: listener } = listeners;
        let datagrams = |socket: OwnedFd, needs_line_feed| Datagrams {
            socket,
            needs_line_feed,
            dropped: 0,
            failures: 0,
        };
        let udp =
            udp.into_iter().map(|socket| datagrams(socket.into(), settings.needs_line_feed_udp));
        let unix = unix.map(|socket| datagrams(socket.into(), settings.needs_line_feed_unix));
        let packet_bytes = settings.packet_bytes();
        Self {
            datagrams: udp.chain(unix).collect(),
            listener,
            streams: Vec::new(),
            streams_need_line_feed: settings.needs_line_feed_unix,
            packet_bytes,
            burst: Burst::new(packet_bytes),
            room: Vec::new(),
            inlet,
            forward: settings.forward.clone().map(Forward::new),
            ledger,
            outlet,
            shared,
            woken,
            due: None,
        }
    }

    /// Runs until it is asked to stop. A panic loses the burst in which it was, and is counted; the app is not concerned.
    pub(super) fn run(mut self) {
        let mut faults = 0;
        loop {
            match catch_unwind(AssertUnwindSafe(|| self.turn())) {
                Ok(None) => {}
                Ok(Some(until)) => {
                    if catch_unwind(AssertUnwindSafe(|| self.finish(until))).is_err() {
                        self.fault();
                    }
                    return;
                }
                Err(_) => {
                    self.fault();
                    faults += 1;
                    if faults >= FAULTS_MAX {
                        tracing::error!(
                            "metrics are given up after {faults} faults: the rest runs on."
                        );
                        return;
                    }
                }
            }
        }
    }

    fn fault(&self) {
        // Who adds something next has to wake us.
        self.shared.forget_due();
        let one = Counts { samples: 1, ..Counts::default() };
        self.ledger.received(one);
        self.ledger.shed(Shed::Fault, one);
    }

    /// Waits once and does what there is to do. The deadline, when it is time to stop.
    fn turn(&mut self) -> Option<Instant> {
        let ready = self.wait();
        let is_woken = ready.as_ref().is_some_and(|ready| ready.woken);
        let wishes = if is_woken { self.wishes() } else { Wishes::default() };
        if wishes.stop.is_some() {
            return wishes.stop;
        }
        if let Some(ready) = ready {
            self.read(&ready);
        }
        let now = Instant::now();
        if wishes.hurry || self.due.is_some_and(|due| due <= now) {
            self.due = None;
            self.flush(OpenBuckets::Keep);
        }
        self.due = self.next_due(now);
        None
    }

    /// When the aggregator is asked next. What came since it was last said may be due sooner.
    fn next_due(&self, now: Instant) -> Option<Instant> {
        let before = self.due.map(|due| due.saturating_duration_since(now));
        self.shared.due_in(before).map(|due| now + due)
    }

    /// Waits until something comes, is asked for or is due. Nothing: nothing came.
    fn wait(&self) -> Option<Ready> {
        let time = match self.due.map(|due| due.saturating_duration_since(Instant::now())) {
            // A millisecond more: it would be too early by what is cut off.
            Some(time) => {
                PollTimeout::try_from(time + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX)
            }
            None => PollTimeout::NONE,
        };
        let accepts = self.listener.iter().filter(|_| self.streams.len() < DOGSTATSD_STREAMS_MAX);
        let sockets = [self.woken.as_fd()].into_iter();
        let sockets =
            sockets.chain(self.datagrams.iter().map(|datagrams| datagrams.socket.as_fd()));
        let sockets = sockets.chain(self.streams.iter().map(Stream::as_fd));
        let sockets = sockets.chain(accepts.map(AsFd::as_fd));
        let mut polled: Vec<PollFd<'_>> =
            sockets.map(|socket| PollFd::new(socket, PollFlags::POLLIN)).collect();
        if poll(&mut polled, time).unwrap_or(0) == 0 {
            return None;
        }
        let mut is_ready = polled.iter().map(|socket| socket.any().unwrap_or(false));
        let woken = is_ready.next().unwrap_or(false);
        let datagrams = is_ready.by_ref().take(self.datagrams.len()).collect();
        let streams = is_ready.by_ref().take(self.streams.len()).collect();
        Some(Ready { woken, datagrams, streams, listener: is_ready.next().unwrap_or(false) })
    }

    fn wishes(&mut self) -> Wishes {
        let mut bytes = [0; 64];
        while (&self.woken).read(&mut bytes).is_ok_and(|read| read == bytes.len()) {}
        self.shared.take_wishes()
    }

    /// Reads a burst of each socket that has something. Reading one at a time, none waits for another for long.
    fn read(&mut self, ready: &Ready) {
        for (place, _) in ready.datagrams.iter().enumerate().filter(|(_, is_ready)| **is_ready) {
            // A client that waits for room goes on while we read.
            for _ in 0..BURSTS_MAX {
                if !self.read_datagrams(place) {
                    break;
                }
            }
        }
        let mut is_ready = ready.streams.iter();
        let mut streams = std::mem::take(&mut self.streams);
        streams.retain_mut(|stream| {
            !is_ready.next().is_some_and(|is_ready| *is_ready) || self.read_stream(stream).is_some()
        });
        self.streams = streams;
        if ready.listener {
            self.accept();
        }
        if self.streams.is_empty() {
            self.room = Vec::new();
        }
        self.settle();
        let given_up = |datagrams: &Datagrams| datagrams.failures >= FAILURES_MAX;
        if self.datagrams.iter().any(given_up) {
            self.datagrams.retain(|datagrams| !given_up(datagrams));
            tracing::error!("a socket for metrics can't be read any more and is given up.");
        }
    }

    /// Adds to the ledger what came of lines. The aggregator counts what it took.
    fn settle(&mut self) {
        self.shared.aggregator().settle(&self.ledger);
        self.inlet.settle(&self.ledger);
        if let Some(complaint) = self.inlet.complaint(now_s()) {
            tracing::warn!("{complaint}");
        }
    }

    /// Reads a burst. Whether there was one.
    fn read_datagrams(&mut self, place: usize) -> bool {
        let Some(datagrams) = self.datagrams.get_mut(place) else { return false };
        let (inlet, forward, now_s) = (&mut self.inlet, &mut self.forward, now_s());
        let needs_line_feed = datagrams.needs_line_feed;
        let mut aggregator = self.shared.aggregator();
        let read = self.burst.read(datagrams.socket.as_fd(), |packet, is_cut_off| {
            if let Some(forward) = forward {
                forward.copy(packet);
            }
            let manner = Manner { is_cut_off, needs_line_feed };
            inlet.packet(packet, manner, &mut aggregator, now_s);
        });
        match read {
            Ok(count) => {
                datagrams.failures = 0;
                count > 0
            }
            Err(error) => {
                use io::ErrorKind::{Interrupted, WouldBlock};
                datagrams.failures += u32::from(![Interrupted, WouldBlock].contains(&error.kind()));
                false
            }
        }
    }

    /// Reads once of a stream. Nothing: it has ended.
    fn read_stream(&mut self, stream: &mut Stream) -> Option<Turn> {
        if self.room.is_empty() {
            self.room = vec![0; room_bytes(self.packet_bytes)];
        }
        let (inlet, forward, now_s) = (&mut self.inlet, &mut self.forward, now_s());
        let manner = Manner { is_cut_off: false, needs_line_feed: self.streams_need_line_feed };
        let mut aggregator = self.shared.aggregator();
        let read = stream.read(&mut self.room, |frame| {
            if let Some(forward) = forward {
                forward.copy(frame);
            }
            inlet.packet(frame, manner, &mut aggregator, now_s);
        });
        match read {
            Ok(Turn::Closed) => None,
            Ok(turn) => Some(turn),
            Err(Broken::Within(mut bytes)) => {
                inlet.broken_frame(bytes.get_mut(4..).unwrap_or_default());
                None
            }
            Err(Broken::TooLong(bytes)) => {
                inlet.long_frame(bytes);
                None
            }
        }
    }

    fn accept(&mut self) {
        while self.streams.len() < DOGSTATSD_STREAMS_MAX {
            let Some(Ok((socket, _))) = self.listener.as_ref().map(UnixListener::accept) else {
                return;
            };
            if let Ok(stream) = Stream::new(socket, self.packet_bytes) {
                self.streams.push(stream);
            }
        }
    }

    /// Hands out what is due, and counts what the kernel dropped.
    fn flush(&mut self, open: OpenBuckets) {
        self.count_dropped();
        let mut outputs = Vec::new();
        let mut aggregator = self.shared.aggregator();
        aggregator.flush(now_s(), open, &mut |output| outputs.push(output));
        aggregator.settle(&self.ledger);
        drop(aggregator);
        outputs.into_iter().for_each(&mut self.outlet);
        self.settle();
    }

    fn count_dropped(&mut self) {
        for datagrams in &mut self.datagrams {
            let Some(dropped) = dropped(datagrams.socket.as_fd()) else { continue };
            let samples = u64::from(dropped.wrapping_sub(datagrams.dropped));
            datagrams.dropped = dropped;
            let counts = Counts { samples, ..Counts::default() };
            self.ledger.received(counts);
            self.ledger.shed(Shed::SocketFull, counts);
        }
    }

    /// Reads what is in the buffers of the sockets, and flushes everything.
    fn finish(&mut self, until: Instant) {
        let now = Instant::now();
        let drained_by = now + (until.saturating_duration_since(now) / 2).min(DRAIN);
        let is_time = || Instant::now() < drained_by;
        for place in 0..self.datagrams.len() {
            while is_time() && self.read_datagrams(place) {}
        }
        self.accept();
        for mut stream in std::mem::take(&mut self.streams) {
            while is_time() && self.read_stream(&mut stream) == Some(Turn::More) {}
        }
        self.flush(OpenBuckets::Flush);
    }
}
