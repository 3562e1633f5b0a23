//! Writing on, all of it, whatever the app, its siblings or the platform did to the file.

use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::write;

/// Why bytes could not be written on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Nobody reads any more, and nobody will.
    NoReader,
    /// Something that may pass, as a file system that is full. So many bytes were left.
    Left(usize),
}

/// Writes all of `bytes`. It waits as long as the reader lets it. The flags of the open file are shared with others: that one of them has made it
/// non-blocking must not lose a byte, so then it waits until there is room.
pub(super) fn write_all(to: BorrowedFd<'_>, mut bytes: &[u8]) -> Result<(), Refused> {
    while !bytes.is_empty() {
        match write(to, bytes) {
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => {
                let mut ready = [PollFd::new(to.as_fd(), PollFlags::POLLOUT)];
                // If that fails the write says why.
                poll(&mut ready, PollTimeout::NONE).ok();
            }
            Err(Errno::EPIPE) => return Err(Refused::NoReader),
            Err(_) => return Err(Refused::Left(bytes.len())),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::io::Read;
    use std::os::fd::AsFd;
    use std::thread;

    use nix::fcntl::{FcntlArg, OFlag, fcntl};

    use super::{Refused, write_all};

    #[test]
    fn a_file_that_somebody_made_non_blocking_gets_every_byte() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        let bytes: Vec<u8> = (0..1_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
        let expect = bytes.clone();
        let writing = thread::spawn(move || write_all(writer.as_fd(), &bytes));
        let mut read = Vec::new();
        reader.read_to_end(&mut read).unwrap();
        assert_eq!(writing.join().unwrap(), Ok(()));
        assert!(read == expect);
    }

    #[test]
    fn a_reader_that_is_gone_and_a_full_disk_are_told_apart() {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        assert_eq!(write_all(writer.as_fd(), b"abc"), Err(Refused::NoReader));
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        assert_eq!(write_all(full.as_fd(), b"abc"), Err(Refused::Left(3)));
    }
}
