//! Which of the two streams go through a pipe of ours, and whether they are one.

use std::io::{IsTerminal, stderr, stdout};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::sys::stat::{FileStat, SFlag, fstat};

/// The streams that are taken: each a file descriptor of our own of the same open file.
#[derive(Debug)]
pub(super) struct Streams {
    /// Where standard output goes. With `is_one`, standard error too.
    pub(super) stdout: Option<OwnedFd>,
    /// Where standard error goes, where that is another file.
    pub(super) stderr: Option<OwnedFd>,
    /// Whether both streams are the same file, so that one pipe keeps their order.
    pub(super) is_one: bool,
}

/// What a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Can be taken.
    Taken,
    /// A terminal: the app asks for its size, writes in colour and line by line because of it, and keeps it.
    Terminal,
    /// Closed, or nothing can be written to it: the app gets the error that it would have without us.
    NotWritable,
}

impl Streams {
    /// The streams of this process, and why one is left to the app, where a person should know.
    pub(super) fn of_process() -> (Self, Vec<String>) {
        let (stdout, stderr) = (stdout(), stderr());
        Self::of(stdout.as_fd(), stderr.as_fd())
    }

    fn of(stdout: BorrowedFd<'_>, stderr: BorrowedFd<'_>) -> (Self, Vec<String>) {
        let kinds = [kind_of(stdout), kind_of(stderr)];
        let is_one = kinds == [Kind::Taken; 2] && is_one_file(stdout, stderr);
        let take = |kind: Kind, fd: BorrowedFd<'_>| {
            if kind == Kind::Taken { fd.try_clone_to_owned().ok() } else { None }
        };
        let streams = Self {
            stdout: take(kinds[0], stdout),
            stderr: if is_one { None } else { take(kinds[1], stderr) },
            is_one,
        };
        let terminals = match kinds.map(|kind| kind == Kind::Terminal) {
            [true, true] => "standard output and standard error are a terminal",
            [true, false] => "standard output is a terminal",
            [false, true] => "standard error is a terminal",
            [false, false] => return (streams, Vec::new()),
        };
        let complaint = format!(
            "{terminals}, which the app keeps: it is not shipped as logs (run without a tty to ship it)"
        );
        (streams, vec![complaint])
    }
}

/// What this stream is.
fn kind_of(fd: BorrowedFd<'_>) -> Kind {
    // What was given to us has survived an exec; what has the flag holds the number of a closed file (see `super::super::files`).
    let is_given = fcntl(fd, FcntlArg::F_GETFD)
        .is_ok_and(|flags| !FdFlag::from_bits_retain(flags).contains(FdFlag::FD_CLOEXEC));
    let is_writable = fcntl(fd, FcntlArg::F_GETFL).is_ok_and(|flags| {
        let flags = OFlag::from_bits_retain(flags);
        flags & OFlag::O_ACCMODE != OFlag::O_RDONLY && !flags.contains(OFlag::O_PATH)
    });
    match (is_given && is_writable, fd.is_terminal()) {
        (true, true) => Kind::Terminal,
        (true, false) => Kind::Taken,
        (false, _) => Kind::NotWritable,
    }
}

/// Whether what is written to one comes out of the other in the order in which it was written: the same pipe, socket or device, or the same open
/// regular file. Two that were opened apart (`>log 2>log`) have places of their own and overwrite each other, with us as without.
fn is_one_file(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> bool {
    let (Ok(a), Ok(b)) = (fstat(one), fstat(other)) else { return false };
    if (a.st_dev, a.st_ino) != (b.st_dev, b.st_ino) {
        return false;
    }
    !is_regular(&a) || (appends(one) && appends(other)) || is_same_description(one, other)
}

fn is_regular(stat: &FileStat) -> bool {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG
}

fn appends(fd: BorrowedFd<'_>) -> bool {
    fcntl(fd, FcntlArg::F_GETFL)
        .is_ok_and(|flags| OFlag::from_bits_retain(flags).contains(OFlag::O_APPEND))
}

/// Whether both are one open file description, by kcmp(2). Where that is not allowed they are taken for two: then their bytes are all there, and only
/// their order may change. It is asked for regular files alone, which no platform gives: an old gVisor reports the call in the user's log.
#[expect(unsafe_code, reason = "no wrapper for kcmp")]
fn is_same_description(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> bool {
    const KCMP_FILE: libc::c_int = 0;
    let own = nix::unistd::getpid().as_raw();
    // SAFETY: it takes five numbers and compares.
    let order = unsafe {
        libc::syscall(libc::SYS_kcmp, own, own, KCMP_FILE, one.as_raw_fd(), other.as_raw_fd())
    };
    order == 0
}

#[cfg(test)]
mod tests {
    use std::fs::{File, OpenOptions};
    use std::os::fd::AsFd;

    use nix::fcntl::{FcntlArg, FdFlag, fcntl};

    use super::{Kind, Streams, is_one_file, kind_of};

    /// A file as it is after an exec.
    fn given(file: impl AsFd) -> std::os::fd::OwnedFd {
        let file = file.as_fd().try_clone_to_owned().unwrap();
        fcntl(&file, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
        file
    }

    #[test]
    fn what_the_app_could_not_write_to_is_left_to_it() {
        let (reader, writer) = std::io::pipe().unwrap();
        assert_eq!(kind_of(given(&writer).as_fd()), Kind::Taken);
        assert_eq!(kind_of(given(&reader).as_fd()), Kind::NotWritable);
        assert_eq!(kind_of(writer.as_fd()), Kind::NotWritable, "it holds a closed number");
        let null = File::open("/dev/null").unwrap();
        assert_eq!(kind_of(given(&null).as_fd()), Kind::NotWritable);
    }

    #[test]
    fn a_terminal_is_left_to_the_app_and_told() {
        let ends = nix::pty::openpty(None, None).unwrap();
        let (_reader, writer) = std::io::pipe().unwrap();
        let (terminal, pipe) = (given(&ends.slave), given(&writer));
        assert_eq!(kind_of(terminal.as_fd()), Kind::Terminal);
        let (streams, complaints) = Streams::of(terminal.as_fd(), pipe.as_fd());
        assert!(streams.stdout.is_none() && streams.stderr.is_some() && !streams.is_one);
        assert!(complaints[0].starts_with("standard output is a terminal"), "{complaints:?}");
    }

    #[test]
    fn two_streams_are_one_where_their_order_can_be_seen() {
        let (_reader, writer) = std::io::pipe().unwrap();
        let (_other_reader, other) = std::io::pipe().unwrap();
        assert!(is_one_file(writer.as_fd(), writer.try_clone().unwrap().as_fd()));
        assert!(!is_one_file(writer.as_fd(), other.as_fd()));
        let file = tempfile::NamedTempFile::new().unwrap();
        let opened = || OpenOptions::new().append(true).open(file.path()).unwrap();
        assert!(is_one_file(opened().as_fd(), opened().as_fd()));
        let opened = || OpenOptions::new().write(true).open(file.path()).unwrap();
        assert!(!is_one_file(opened().as_fd(), opened().as_fd()));
        let one = opened();
        assert!(is_one_file(one.as_fd(), one.try_clone().unwrap().as_fd()));
    }

    #[test]
    fn one_pipe_stands_for_both() {
        let (_reader, writer) = std::io::pipe().unwrap();
        let (one, other) = (given(&writer), given(&writer));
        let (streams, complaints) = Streams::of(one.as_fd(), other.as_fd());
        assert!(streams.is_one && streams.stdout.is_some() && streams.stderr.is_none());
        assert!(complaints.is_empty());
    }
}
