//! Datagrams that the kernel dropped because a socket's buffer was full.

use std::mem::size_of_val;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Numbers of `SO_MEMINFO` (linux/sock_diag.h), and the place of the drops among them.
const NUMBERS: usize = 9;
const DROPS: usize = 8;

/// How many datagrams were dropped since the socket was made, modulo 2^32; nothing where the system does not say (Linux before 4.12, gVisor).
/// It is asked once in a while, where a control message with each datagram would have to be looked for in all of them, and would not tell
/// those that came last.
pub(in crate::dogstatsd) fn dropped(socket: BorrowedFd<'_>) -> Option<u32> {
    let mut numbers = [0_u32; NUMBERS];
    let mut length = libc::socklen_t::try_from(size_of_val(&numbers)).ok()?;
    // SAFETY: both point to what is on our stack, and the length is that of the array.
    #[expect(unsafe_code, reason = "there is no wrapper for SO_MEMINFO")]
    let failed = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            numbers.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    (failed == 0 && length as usize >= size_of_val(&numbers)).then(|| numbers[DROPS])
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    use super::dropped;

    #[test]
    fn what_has_no_room_is_counted() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert_eq!(dropped(server.as_fd()), Some(0));
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        let sent = 4000_u32;
        for _ in 0..sent {
            client.send_to(&[b'x'; 1000], server.local_addr().unwrap()).unwrap();
        }
        server.set_nonblocking(true).unwrap();
        let mut bytes = [0; 2000];
        let read = std::iter::from_fn(|| server.recv(&mut bytes).ok()).count();
        assert_eq!(dropped(server.as_fd()), Some(sent - read as u32));
        assert!(read < 4000, "the buffer is larger than this test thinks");
    }
}
