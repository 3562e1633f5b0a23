//! A connection with frames: four bytes with the length, the lowest first, then so many bytes with lines (spec: metrics-logs 1.7).

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

/// Bytes of the length.
const HEAD: usize = 4;

/// A client's connection.
#[derive(Debug)]
pub(in crate::dogstatsd) struct Stream {
    socket: UnixStream,
    frame_bytes_max: usize,
    /// What was read and not handed over: less than a frame. It takes memory only while there is something in it.
    rest: Vec<u8>,
}

/// Why a connection ends before its time.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::dogstatsd) enum Broken {
    /// A frame would be so long.
    TooLong(u32),
    /// It was closed within a frame, of which this is there.
    Within(Vec<u8>),
}

/// What became of a reading.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::dogstatsd) enum Turn {
    /// There may be more.
    More,
    /// Nothing more has come.
    Empty,
    /// The client has closed it.
    Closed,
}

impl Stream {
    /// A connection whose frames have so many bytes at most.
    ///
    /// # Errors
    /// It can't be made non-blocking.
    pub(in crate::dogstatsd) fn new(
        socket: UnixStream,
        frame_bytes_max: usize,
    ) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self { socket, frame_bytes_max, rest: Vec::new() })
    }

    /// To wait for.
    pub(in crate::dogstatsd) fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Reads once, into `room`, and hands over the frames that are whole. `room` is shared by all connections, and it holds a frame and its
    /// length at least.
    ///
    /// # Errors
    /// It is broken, and nothing more can be read.
    pub(in crate::dogstatsd) fn read(
        &mut self,
        room: &mut [u8],
        mut each: impl FnMut(&mut [u8]),
    ) -> Result<Turn, Broken> {
        let held = self.rest.len();
        let Some((before, free)) = room.split_at_mut_checked(held) else {
            return Err(Broken::Within(std::mem::take(&mut self.rest)));
        };
        before.copy_from_slice(&self.rest);
        let read = match self.socket.read(free) {
            Ok(0) if held == 0 => return Ok(Turn::Closed),
            Ok(0) => return Err(Broken::Within(std::mem::take(&mut self.rest))),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Turn::Empty),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(Turn::More),
            Err(_) if held == 0 => return Ok(Turn::Closed),
            Err(_) => return Err(Broken::Within(std::mem::take(&mut self.rest))),
        };
        let was_full = read == free.len();
        let mut bytes = room.get_mut(..held + read).unwrap_or_default();
        while let Some((head, behind)) = bytes.split_first_chunk_mut::<HEAD>() {
            let length = u32::from_le_bytes(*head);
            let frame_bytes = usize::try_from(length).unwrap_or(usize::MAX);
            if frame_bytes > self.frame_bytes_max {
                return Err(Broken::TooLong(length));
            }
            if frame_bytes > behind.len() {
                break;
            }
            let Some((_, behind)) = std::mem::take(&mut bytes).split_at_mut_checked(HEAD) else {
                break;
            };
            let (frame, rest) = behind.split_at_mut(frame_bytes);
            each(frame);
            bytes = rest;
        }
        if bytes.is_empty() {
            self.rest = Vec::new();
        } else {
            self.rest.clear();
            self.rest.extend_from_slice(bytes);
        }
        Ok(if was_full { Turn::More } else { Turn::Empty })
    }
}

/// Bytes of the room that readings need, for frames of so many bytes: what is left of one frame, and a good piece beside.
pub(in crate::dogstatsd) fn room_bytes(frame_bytes_max: usize) -> usize {
    (HEAD + frame_bytes_max) * 2
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    use proptest::prelude::{any, prop, proptest};

    use super::{Broken, Stream, Turn, room_bytes};

    /// Writes pieces, each read before the next, and then closes: the frames, and how it ended.
    fn frames(pieces: &[&[u8]]) -> (Vec<String>, Result<Turn, Broken>) {
        let (mut client, server) = UnixStream::pair().unwrap();
        let mut stream = Stream::new(server, 10).unwrap();
        let mut frames = Vec::new();
        let mut room = vec![0; room_bytes(10)];
        let mut read = |stream: &mut Stream| {
            loop {
                let turn = stream.read(&mut room, |frame| {
                    frames.push(String::from_utf8_lossy(frame).into_owned());
                });
                if turn != Ok(Turn::More) {
                    return turn;
                }
            }
        };
        for piece in pieces {
            client.write_all(piece).unwrap();
            let turn = read(&mut stream);
            if turn.is_err() {
                return (frames, turn);
            }
        }
        drop(client);
        let end = read(&mut stream);
        (frames, end)
    }

    #[test]
    fn frames_come_whole_however_they_are_cut() {
        let all = b"\x06\0\0\0a:1|c\n\x00\0\0\0\x0a\0\0\0b:1|c\nc:1|\x01\0\0\0x";
        let expect = ["a:1|c\n", "", "b:1|c\nc:1|", "x"];
        assert_eq!(frames(&[all]), (expect.map(str::to_owned).to_vec(), Ok(Turn::Closed)));
        for at in 0..all.len() {
            let (frames, end) = frames(&[&all[..at], &all[at..]]);
            assert_eq!(
                (frames.as_slice(), end),
                (&expect.map(str::to_owned)[..], Ok(Turn::Closed))
            );
        }
        let bytes: Vec<&[u8]> = all.chunks(1).collect();
        assert_eq!(frames(&bytes).0, expect);
    }

    #[test]
    fn a_frame_that_is_too_long_or_not_whole_breaks_the_connection() {
        assert_eq!(
            frames(&[b"\x01\0\0\0a\x0b\0\0\0"]),
            (vec!["a".to_owned()], Err(Broken::TooLong(11)))
        );
        assert_eq!(frames(&[b"\xff\xff\xff\xff"]).1, Err(Broken::TooLong(u32::MAX)));
        assert_eq!(frames(&[b"\x06\0\0\0a:1"]).1, Err(Broken::Within(b"\x06\0\0\0a:1".to_vec())));
        assert_eq!(frames(&[b"\x06"]).1, Err(Broken::Within(b"\x06".to_vec())));
        assert_eq!(frames(&[]), (vec![], Ok(Turn::Closed)));
    }

    proptest! {
        #[test]
        fn any_bytes_end_somehow(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..30), 0..5)) {
            let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            drop(frames(&pieces));
        }
    }
}
