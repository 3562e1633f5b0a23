//! Copies of packets for another server (`DD_STATSD_FORWARD_HOST`): by UDP, unchanged, and without a promise that they arrive.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant};

/// How long after a failure the address is looked up again.
const AGAIN: Duration = Duration::from_secs(30);

/// The way to the other server.
#[derive(Debug)]
pub(super) struct Forward {
    target: (String, u16),
    socket: Option<UdpSocket>,
    again: Option<Instant>,
}

impl Forward {
    /// Nothing is looked up before the first packet.
    pub(super) fn new(target: (String, u16)) -> Self {
        Self { target, socket: None, again: None }
    }

    /// Sends a copy. While there is no way to the other server, it gets none.
    pub(super) fn copy(&mut self, packet: &[u8]) {
        if self.socket.is_none() && self.again.is_none_or(|again| again <= Instant::now()) {
            match connect(&self.target) {
                Ok(socket) => self.socket = Some(socket),
                Err(error) => {
                    if self.again.is_none() {
                        let (host, port) = &self.target;
                        tracing::warn!(
                            "metrics are not copied to {host}:{port}: {error}; mend DD_STATSD_FORWARD_HOST and DD_STATSD_FORWARD_PORT"
                        );
                    }
                    self.again = Some(Instant::now() + AGAIN);
                }
            }
        }
        if let Some(socket) = &self.socket {
            // A copy that has no room or nobody to go to is lost, as any datagram may be.
            socket.send(packet).ok();
        }
    }
}

fn connect((host, port): &(String, u16)) -> io::Result<UdpSocket> {
    let mut addresses = (host.as_str(), *port).to_socket_addrs()?;
    let address = addresses.next().ok_or(io::ErrorKind::NotFound)?;
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect(address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::time::Duration;

    use super::Forward;

    #[test]
    fn packets_are_copied_as_they_are() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        server.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut forward =
            Forward::new(("127.0.0.1".to_owned(), server.local_addr().unwrap().port()));
        let mut bytes = [0; 20];
        for packet in [&b"a:1|c\nb"[..], b"\xff"] {
            forward.copy(packet);
            let length = server.recv(&mut bytes).unwrap();
            assert_eq!(&bytes[..length], packet);
        }
    }

    #[test]
    fn a_server_that_can_not_be_found_is_not_looked_for_with_each_packet() {
        let mut forward = Forward::new(("no such host".to_owned(), 1));
        forward.copy(b"a:1|c");
        let again = forward.again.unwrap();
        forward.copy(b"a:1|c");
        assert_eq!(forward.again, Some(again));
        assert!(forward.socket.is_none());
    }
}
