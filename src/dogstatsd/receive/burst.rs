//! Datagrams, as many at once as there are (recvmmsg(2)).

use std::io;
use std::mem::zeroed;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::null_mut;

/// Datagrams of one call. More would save little: a call for so many costs less for each than its copy.
const AT_ONCE: usize = 32;

/// Room for a burst. It takes memory with the first, and only as much as the datagrams reach.
#[derive(Debug)]
pub(in crate::dogstatsd) struct Burst {
    packet_bytes: usize,
    bytes: Vec<u8>,
}

impl Burst {
    /// For datagrams of up to so many bytes; more of one is cut off.
    pub(in crate::dogstatsd) fn new(packet_bytes: usize) -> Self {
        Self { packet_bytes: packet_bytes.max(1), bytes: Vec::new() }
    }

    /// Reads what is there, up to a burst, and hands over each datagram, and whether it was cut off. How many there were.
    ///
    /// # Errors
    /// Of the system; `WouldBlock` where there is none.
    pub(in crate::dogstatsd) fn read(
        &mut self,
        socket: BorrowedFd<'_>,
        mut each: impl FnMut(&mut [u8], bool),
    ) -> io::Result<usize> {
        if self.bytes.is_empty() {
            self.bytes = vec![0; AT_ONCE * self.packet_bytes];
        }
        let (count, lengths) = receive(socket, &mut self.bytes, self.packet_bytes)?;
        let packets = self.bytes.chunks_exact_mut(self.packet_bytes);
        for (packet, (length, is_cut_off)) in packets.zip(lengths).take(count) {
            each(packet.get_mut(..length).unwrap_or_default(), is_cut_off);
        }
        Ok(count)
    }
}

/// How many datagrams were read, and of each its length and whether it was cut off.
fn receive(
    socket: BorrowedFd<'_>,
    bytes: &mut [u8],
    packet_bytes: usize,
) -> io::Result<(usize, [(usize, bool); AT_ONCE])> {
    let mut vectors = [libc::iovec { iov_base: null_mut(), iov_len: 0 }; AT_ONCE];
    for (vector, packet) in vectors.iter_mut().zip(bytes.chunks_exact_mut(packet_bytes)) {
        vector.iov_base = packet.as_mut_ptr().cast();
        vector.iov_len = packet.len();
    }
    // SAFETY: all fields are integers and pointers, for which zero is a value; not all C libraries let them be written one by one.
    #[expect(unsafe_code, reason = "a structure of C")]
    let mut headers: [libc::mmsghdr; AT_ONCE] = unsafe { zeroed() };
    for (header, vector) in headers.iter_mut().zip(&mut vectors) {
        header.msg_hdr.msg_iov = vector;
        header.msg_hdr.msg_iovlen = 1;
    }
    // SAFETY: there are so many headers, each with one vector, which is a part of `bytes` that no other has. All outlive the call.
    #[expect(unsafe_code, reason = "the wrapper allocates, and sets everything up anew")]
    let count = unsafe {
        libc::recvmmsg(
            socket.as_raw_fd(),
            headers.as_mut_ptr(),
            AT_ONCE as libc::c_uint,
            libc::MSG_DONTWAIT as _,
            null_mut(),
        )
    };
    let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
    let of = |header: &libc::mmsghdr| {
        let length = usize::try_from(header.msg_len).unwrap_or(0);
        (length, header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0)
    };
    Ok((count, std::array::from_fn(|at| headers.get(at).map_or((0, false), of))))
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixDatagram;

    use super::{AT_ONCE, Burst};

    #[test]
    fn a_burst_is_read_at_once_and_what_is_too_long_is_cut_off() {
        let (client, server) = UnixDatagram::pair().unwrap();
        let mut burst = Burst::new(8);
        let read = |burst: &mut Burst| {
            let mut packets = Vec::new();
            let count = burst.read(server.as_fd(), |packet, is_cut_off| {
                packets.push((String::from_utf8_lossy(packet).into_owned(), is_cut_off));
            });
            (count, packets)
        };
        assert_eq!(read(&mut burst).0.unwrap_err().kind(), ErrorKind::WouldBlock);
        for packet in ["one", "", "12345678", "123456789"] {
            client.send(packet.as_bytes()).unwrap();
        }
        let (count, packets) = read(&mut burst);
        assert_eq!(count.unwrap(), 4);
        let expect = [("one", false), ("", false), ("12345678", false), ("12345678", true)];
        assert_eq!(packets, expect.map(|(packet, is_cut_off)| (packet.to_owned(), is_cut_off)));
        client.set_nonblocking(true).unwrap();
        let mut sent = 0;
        while sent < AT_ONCE + 1 && client.send(b"x").is_ok() {
            sent += 1;
        }
        assert_eq!(read(&mut burst).0.unwrap(), sent.min(AT_ONCE));
    }
}
