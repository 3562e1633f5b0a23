//! Metrics that a tracer sends by HTTP: each line goes to the DogStatsD port as a datagram of its own (spec: trace-agent 8).

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::UdpSocket;
use tokio::task::yield_now;

/// Lines of one request. Empty ones count, too.
const LINES_MAX: usize = 100_000;

/// Bytes of a line at which it is too long (the agent's reader has so much room).
const LINE_BYTES_MAX: usize = 64 * 1024;

/// Lines that are sent in a row, before others on the thread have their turn.
const LINES_IN_A_ROW: usize = 64;

/// Why not all of it was sent. What came before has been.
#[derive(Debug)]
pub enum NotSent {
    /// There are more than 100,000 lines.
    TooManyLines,
    /// A line is longer than 64 KiB.
    LongLine,
    /// The system does not send it.
    System(io::Error),
}

/// Sends each line of `body` that is not empty to `port`. Whether anybody listens there, nobody knows.
pub(super) async fn send(body: &[u8], port: SocketAddr) -> Result<(), NotSent> {
    let any: SocketAddr = match port {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await.map_err(NotSent::System)?;
    socket.connect(port).await.map_err(NotSent::System)?;
    // The end of the last line begins no other.
    let body = body.strip_suffix(b"\n").unwrap_or(body);
    for (number, line) in body.split(|byte| *byte == b'\n').enumerate() {
        if number >= LINES_MAX {
            return Err(NotSent::TooManyLines);
        }
        if line.len() >= LINE_BYTES_MAX {
            return Err(NotSent::LongLine);
        }
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if !line.is_empty() {
            send_line(&socket, line).await?;
        }
        if number % LINES_IN_A_ROW == LINES_IN_A_ROW - 1 {
            yield_now().await;
        }
    }
    Ok(())
}

async fn send_line(socket: &UdpSocket, line: &[u8]) -> Result<(), NotSent> {
    match socket.send(line).await {
        // What the system says then is about a datagram before this one.
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            socket.send(line).await.map(drop).or_else(|error| match error.kind() {
                io::ErrorKind::ConnectionRefused => Ok(()),
                _ => Err(NotSent::System(error)),
            })
        }
        other => other.map(drop).map_err(NotSent::System),
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::time::Duration;

    use tokio::runtime::Builder;

    use super::{LINE_BYTES_MAX, LINES_MAX, NotSent, send};

    /// What arrives of `body`, and the result.
    fn sent(body: &[u8]) -> (Vec<String>, Result<(), NotSent>) {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = server.local_addr().unwrap();
        let runtime = Builder::new_current_thread().enable_io().build().unwrap();
        let result = runtime.block_on(send(body, port));
        server.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        // Over loopback what was sent is there; a last datagram ends the reading.
        UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"end", port).unwrap();
        let mut lines = Vec::new();
        loop {
            let mut bytes = [0; 1024];
            let length = server.recv(&mut bytes).unwrap();
            match &bytes[..length] {
                b"end" => return (lines, result),
                line => lines.push(String::from_utf8_lossy(line).into_owned()),
            }
        }
    }

    #[test]
    fn each_line_is_a_datagram() {
        let (lines, result) = sent(b"a:1|c\n\nb:2|g\r\nc:3|d|#x:y");
        assert_eq!(lines, ["a:1|c", "b:2|g", "c:3|d|#x:y"]);
        assert!(result.is_ok());
        assert_eq!(sent(b"a:1|c\n").0, ["a:1|c"]);
        assert!(sent(b"").0.is_empty());
    }

    #[test]
    fn too_many_lines_and_a_line_that_is_too_long_are_refused_after_what_came_before() {
        let (lines, result) = sent(&[b"a:1|c\n".to_vec(), vec![b'x'; LINE_BYTES_MAX]].concat());
        assert_eq!(lines, ["a:1|c"]);
        assert!(matches!(result, Err(NotSent::LongLine)));
        let (_, result) = sent(&vec![b'\n'; LINES_MAX]);
        assert!(result.is_ok());
        let (_, result) = sent(&vec![b'\n'; LINES_MAX + 1]);
        assert!(matches!(result, Err(NotSent::TooManyLines)));
    }

    #[test]
    fn a_port_that_nobody_listens_on_is_no_failure() {
        let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let runtime = Builder::new_current_thread().enable_io().build().unwrap();
        let body = b"a:1|c\n".repeat(50);
        assert!(runtime.block_on(send(&body, port)).is_ok());
    }
}
