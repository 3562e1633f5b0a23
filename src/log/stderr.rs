//! Writing to stderr without ever waiting for it. The app writes to the same stderr, so a full pipe or a stopped terminal is the app's affair:
//! a wrapper that blocked there too would hold up signals, spans and the exit code.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, TryLockError};
use std::time::{Duration, Instant};

use crate::limits::LOG_LINE_BYTES_MAX;

const FD: RawFd = libc::STDERR_FILENO;

/// How long a writer waits for another one: each holds the lock for one system call that does not block.
const TURN_WAIT: Duration = Duration::from_millis(2);

/// How stderr is written to.
enum Sink {
    /// A description of our own of the same pipe or terminal, opened with `O_NONBLOCK`. Setting that flag on fd 2 itself would change the
    /// description that the app inherited, and apps break on `EAGAIN`.
    Own(File),
    /// A socket, which cannot be opened again but takes the flag per call (`man 2 send`, `MSG_DONTWAIT`).
    Socket,
    /// Fd 2 itself: a regular file (a second description would have an offset of its own), or a pipe that another user owns. A pipe that
    /// polls as writable has room for a page (`man 7 pipe`), and a line is never longer.
    Shared,
}

struct Stderr {
    sink: Sink,
    /// The last write ended in the middle of a line, so the next one begins with a line feed.
    torn: bool,
}

fn stderr() -> &'static Mutex<Stderr> {
    static STDERR: OnceLock<Mutex<Stderr>> = OnceLock::new();
    STDERR.get_or_init(|| Mutex::new(Stderr { sink: open(), torn: false }))
}

fn open() -> Sink {
    let path = "/proc/self/fd/2";
    let Ok(kind) = std::fs::metadata(path).map(|metadata| metadata.file_type()) else {
        return Sink::Shared;
    };
    if kind.is_socket() {
        return Sink::Socket;
    }
    if !kind.is_fifo() && !kind.is_char_device() {
        return Sink::Shared;
    }
    let mut options = OpenOptions::new();
    match options.write(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path) {
        Ok(file) => Sink::Own(file),
        Err(_) => Sink::Shared,
    }
}

impl Stderr {
    /// Writes what fits now of `bytes`, at most a page of it. `WouldBlock` where nothing does.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let page = bytes.get(..LOG_LINE_BYTES_MAX).unwrap_or(bytes);
        match &mut self.sink {
            // A pipe that nobody reads would answer with SIGPIPE, which poll tells beforehand.
            Sink::Own(file) if is_writable(file.as_raw_fd()) => file.write(page),
            Sink::Socket if is_writable(FD) => send(page),
            Sink::Shared if is_writable(FD) => write_shared(page),
            _ => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// Writes a whole line or nothing of it, but for a terminal or socket that takes only a part.
    fn line(&mut self, line: &[u8]) -> bool {
        if self.torn {
            match self.write(b"\n") {
                Ok(_) => self.torn = false,
                Err(_) => return false,
            }
        }
        match self.write(line) {
            Ok(written) => {
                self.torn = written < line.len();
                !self.torn
            }
            Err(_) => false,
        }
    }
}

/// Whether a write to `fd` would not block, and not end in SIGPIPE.
fn is_writable(fd: RawFd) -> bool {
    let mut poll = libc::pollfd { fd, events: libc::POLLOUT, revents: 0 };
    #[expect(unsafe_code, reason = "the wrappers want a borrowed descriptor, and fd 2 is nobody's")]
    // SAFETY: one valid pollfd, a count of one, a timeout of zero.
    let ready = unsafe { libc::poll(&raw mut poll, 1, 0) };
    ready == 1
        && poll.revents & (libc::POLLERR | libc::POLLNVAL) == 0
        && poll.revents & libc::POLLOUT != 0
}

fn send(bytes: &[u8]) -> io::Result<usize> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    #[expect(unsafe_code, reason = "fd 2 as a socket")]
    // SAFETY: the pointer and the length are of one slice.
    let sent = unsafe { libc::send(FD, bytes.as_ptr().cast(), bytes.len(), flags) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

fn write_shared(bytes: &[u8]) -> io::Result<usize> {
    #[expect(unsafe_code, reason = "std's stderr locks, and writes until all is out")]
    // SAFETY: the pointer and the length are of one slice.
    let written = unsafe { libc::write(FD, bytes.as_ptr().cast(), bytes.len()) };
    usize::try_from(written).map_err(|_| io::Error::last_os_error())
}

/// Runs `act` with stderr, or gives `None` where another writer is stuck in it.
fn with<T>(act: impl FnOnce(&mut Stderr) -> T) -> Option<T> {
    let give_up = Instant::now() + TURN_WAIT;
    loop {
        match stderr().try_lock() {
            Ok(mut stderr) => return Some(act(&mut stderr)),
            Err(TryLockError::Poisoned(poisoned)) => return Some(act(&mut poisoned.into_inner())),
            Err(TryLockError::WouldBlock) if Instant::now() >= give_up => return None,
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_micros(50)),
        }
    }
}

/// Writes one line (with its line feed, at most [`LOG_LINE_BYTES_MAX`]) if stderr takes it now. False where it does not.
pub(super) fn write_line(line: &[u8]) -> bool {
    with(|stderr| stderr.line(line)).unwrap_or(false)
}

/// Writes `text` (whole lines) at the pace of stderr, until `until` at the latest. It waits between the writes, never in one, and not while
/// it holds stderr, so lines of the log come through. For the viewer, which has a thread of its own to wait on. False where a part was left.
pub fn write_until(text: &str, until: Instant) -> bool {
    const PACE: Duration = Duration::from_millis(5);
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        // Whole lines where they fit, so that the app's own lines come between ours and not into them.
        let page = rest.get(..LOG_LINE_BYTES_MAX).unwrap_or(rest);
        let end = page.iter().rposition(|&byte| byte == b'\n').map_or(page.len(), |at| at + 1);
        let page = page.get(..end).unwrap_or(page);
        match with(|stderr| stderr.write(page)) {
            Some(Ok(written)) => {
                rest = rest.get(written..).unwrap_or_default();
                let torn = written < page.len();
                let _ = with(|stderr| stderr.torn = torn);
            }
            _ if Instant::now() >= until => return false,
            _ => std::thread::sleep(PACE),
        }
    }
    true
}

/// Whether stderr is a terminal.
pub fn is_terminal() -> bool {
    io::IsTerminal::is_terminal(&io::stderr())
}

/// The terminal's width in columns, where stderr is one that says so (`man 2 TIOCGWINSZ`).
pub fn columns() -> Option<usize> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    #[expect(unsafe_code, reason = "no wrapper for TIOCGWINSZ")]
    // SAFETY: the request writes one winsize, to which the pointer points.
    let status = unsafe { libc::ioctl(FD, libc::TIOCGWINSZ, &raw mut size) };
    (status == 0 && size.ws_col > 0).then(|| usize::from(size.ws_col))
}

static COLOUR: AtomicBool = AtomicBool::new(false);

/// Allows colours, where stderr is a terminal.
pub(super) fn allow_colour(allowed: bool) {
    COLOUR.store(allowed && is_terminal(), Ordering::Relaxed);
}

/// Whether text for stderr may have colours.
pub fn colour() -> bool {
    COLOUR.load(Ordering::Relaxed)
}
