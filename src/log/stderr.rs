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
    /// 2, but in tests.
    fd: RawFd,
    sink: Sink,
    /// The last write ended in the middle of a line, so the next one begins with a line feed.
    torn: bool,
}

fn stderr() -> &'static Mutex<Stderr> {
    static STDERR: OnceLock<Mutex<Stderr>> = OnceLock::new();
    STDERR.get_or_init(|| Mutex::new(Stderr::of(libc::STDERR_FILENO)))
}

impl Stderr {
    fn of(fd: RawFd) -> Self {
        let path = format!("/proc/self/fd/{fd}");
        let sink = match std::fs::metadata(&path).map(|metadata| metadata.file_type()) {
            Ok(kind) if kind.is_socket() => Sink::Socket,
            Ok(kind) if kind.is_fifo() || kind.is_char_device() => {
                let mut options = OpenOptions::new();
                options.write(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
                options.open(&path).map_or(Sink::Shared, Sink::Own)
            }
            _ => Sink::Shared,
        };
        Self { fd, sink, torn: false }
    }

    /// Writes what fits now of `bytes`, at most a page of it. `WouldBlock` where nothing does.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let page = bytes.get(..LOG_LINE_BYTES_MAX).unwrap_or(bytes);
        match &mut self.sink {
            // A pipe that nobody reads would answer with SIGPIPE, which poll tells beforehand.
            Sink::Own(file) if is_writable(file.as_raw_fd()) => file.write(page),
            Sink::Socket if is_writable(self.fd) => send(self.fd, page),
            Sink::Shared if is_writable(self.fd) => write_shared(self.fd, page),
            _ => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// Writes what fits of some lines, and remembers where that ended.
    fn page(&mut self, lines: &[u8]) -> io::Result<usize> {
        let written = self.write(lines)?;
        self.torn = lines
            .get(..written)
            .is_some_and(|lines| lines.last().is_some_and(|&last| last != b'\n'));
        Ok(written)
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

fn send(fd: RawFd, bytes: &[u8]) -> io::Result<usize> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    #[expect(unsafe_code, reason = "fd 2 as a socket")]
    // SAFETY: the pointer and the length are of one slice.
    let sent = unsafe { libc::send(fd, bytes.as_ptr().cast(), bytes.len(), flags) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// Writes to a description that is not ours. The app may fill the pipe between the poll and the write, so the write asks not to wait
/// (`man 2 pwritev2`, `RWF_NOWAIT`); kernels before 6.4 and files do not know that, and get a plain write.
fn write_shared(fd: RawFd, bytes: &[u8]) -> io::Result<usize> {
    let piece = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let at_end: libc::c_long = -1;
    #[expect(unsafe_code, reason = "not every C library has the wrapper")]
    // SAFETY: one iovec of one slice, which is only read; an offset of -1 is the present one.
    let written = unsafe {
        libc::syscall(libc::SYS_pwritev2, fd, &raw const piece, 1, at_end, at_end, libc::RWF_NOWAIT)
    };
    if let Ok(written) = usize::try_from(written) {
        return Ok(written);
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::EAGAIN) if is_pipe(fd) => Err(error),
        Some(
            libc::EAGAIN
            | libc::EOPNOTSUPP
            | libc::ENOSYS
            | libc::EINVAL
            | libc::ESPIPE
            | libc::EPERM,
        ) => write_plain(fd, bytes),
        _ => Err(error),
    }
}

/// Whether a write that would have to wait is one that waits for a reader. A file's waits for the disk.
fn is_pipe(fd: RawFd) -> bool {
    std::fs::metadata(format!("/proc/self/fd/{fd}"))
        .is_ok_and(|metadata| metadata.file_type().is_fifo())
}

fn write_plain(fd: RawFd, bytes: &[u8]) -> io::Result<usize> {
    #[expect(unsafe_code, reason = "std's stderr locks, and writes until all is out")]
    // SAFETY: the pointer and the length are of one slice.
    let written = unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) };
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

/// Writes `text` (whole lines) at the pace of stderr, for the viewer, which has a thread of its own to wait on: `give_up` is asked now and then
/// while nothing goes through, with the time since something did. It waits between the writes, never in one, and not while it holds stderr, so
/// lines of the log come through. False where a part was left.
pub fn write_all(text: &str, mut give_up: impl FnMut(Duration) -> bool) -> bool {
    const PACE: Duration = Duration::from_millis(5);
    let (mut rest, mut moved) = (text.as_bytes(), Instant::now());
    while !rest.is_empty() {
        // Whole lines where they fit, so that the app's own lines come between ours and not into them.
        let page = rest.get(..LOG_LINE_BYTES_MAX).unwrap_or(rest);
        let end = page.iter().rposition(|&byte| byte == b'\n').map_or(page.len(), |at| at + 1);
        let page = page.get(..end).unwrap_or(page);
        match with(|stderr| stderr.page(page)) {
            Some(Ok(written)) => {
                (rest, moved) = (rest.get(written..).unwrap_or_default(), Instant::now())
            }
            _ if give_up(moved.elapsed()) => return false,
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
    let status = unsafe { libc::ioctl(libc::STDERR_FILENO, libc::TIOCGWINSZ, &raw mut size) };
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

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek, Write};
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;
    use std::time::{Duration, Instant};

    use super::{Sink, Stderr};
    use crate::limits::LOG_LINE_BYTES_MAX;

    /// Writes lines until one does not fit, and says how many did. It must not have waited for any.
    fn fill(stderr: &mut Stderr) -> usize {
        let line = [b"x".repeat(99), b"\n".to_vec()].concat();
        let start = Instant::now();
        let lines = (0..100_000).take_while(|_| stderr.line(&line)).count();
        assert!(start.elapsed() < Duration::from_secs(5));
        lines
    }

    #[test]
    fn a_full_pipe_skips_lines_and_takes_them_again_later() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let mut stderr = Stderr::of(writer.as_raw_fd());
        assert!(matches!(stderr.sink, Sink::Own(_)));
        let lines = fill(&mut stderr);
        assert!(lines > 100, "{lines}");
        assert!(!stderr.line(b"skipped\n"));
        let mut taken = vec![0; lines * 100];
        reader.read_exact(&mut taken).unwrap();
        assert!(stderr.line(b"again\n"));
        drop((writer, stderr));
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "again\n");
    }

    #[test]
    fn our_flag_does_not_reach_the_description_that_the_app_has() {
        let (_reader, writer) = std::io::pipe().unwrap();
        let _stderr = Stderr::of(writer.as_raw_fd());
        let flags = nix::fcntl::fcntl(&writer, nix::fcntl::FcntlArg::F_GETFL).unwrap();
        assert_eq!(flags & libc::O_NONBLOCK, 0);
    }

    #[test]
    fn a_pipe_that_cannot_be_opened_again_is_polled() {
        let (_reader, writer) = std::io::pipe().unwrap();
        let mut stderr = Stderr { fd: writer.as_raw_fd(), sink: Sink::Shared, torn: false };
        let lines = fill(&mut stderr);
        assert!(lines > 100, "{lines}");
    }

    #[test]
    fn a_pipe_that_the_app_fills_after_the_poll_is_not_waited_for() {
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        let mut numbers = release
            .split(|c: char| !c.is_ascii_digit())
            .map_while(|number| number.parse::<u32>().ok());
        if (numbers.next(), numbers.next()) < (Some(6), Some(4)) {
            println!("skipped: this kernel ({}) has no way not to wait", release.trim());
            return;
        }
        let (_reader, writer) = std::io::pipe().unwrap();
        let full = (0..1000).find_map(|_| {
            super::write_shared(writer.as_raw_fd(), &[b'x'; LOG_LINE_BYTES_MAX]).err()
        });
        assert_eq!(full.map(|error| error.kind()), Some(std::io::ErrorKind::WouldBlock));
    }

    #[test]
    fn a_pipe_that_nobody_reads_is_silent() {
        let (reader, writer) = std::io::pipe().unwrap();
        let mut stderr = Stderr::of(writer.as_raw_fd());
        drop(reader);
        assert!(!stderr.line(b"lost\n"));
    }

    #[test]
    fn a_line_that_was_torn_is_ended_first() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut stderr = Stderr::of(ours.as_raw_fd());
        assert!(matches!(stderr.sink, Sink::Socket));
        let lines = fill(&mut stderr);
        assert!(lines > 10, "{lines}");
        stderr.torn = true;
        theirs.set_nonblocking(true).unwrap();
        let mut sink = [0; 65_536];
        while theirs.read(&mut sink).is_ok_and(|read| read > 0) {}
        assert!(stderr.line(b"whole\n"));
        let mut rest = Vec::new();
        assert!(theirs.read_to_end(&mut rest).is_err());
        assert_eq!(rest, b"\nwhole\n");
    }

    #[test]
    fn a_file_is_written_where_the_app_has_come_to() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"app\n").unwrap();
        let mut stderr = Stderr::of(file.as_raw_fd());
        assert!(stderr.line(b"ours\n"));
        file.write_all(b"app\n").unwrap();
        file.rewind().unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "app\nours\napp\n");
    }

    #[test]
    fn one_write_is_at_most_a_page() {
        let (_reader, writer) = std::io::pipe().unwrap();
        let mut stderr = Stderr::of(writer.as_raw_fd());
        assert_eq!(stderr.write(&[b'x'; 3 * LOG_LINE_BYTES_MAX]).unwrap(), LOG_LINE_BYTES_MAX);
    }
}
