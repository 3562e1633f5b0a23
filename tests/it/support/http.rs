//! An HTTP client that sends exactly the bytes it is given.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// The longest that a test waits for bytes.
const WAIT: Duration = Duration::from_secs(20);

trait Connection: Read + Write + Send {}

impl<T: Read + Write + Send> Connection for T {}

/// One connection.
pub(crate) struct Client {
    connection: Box<dyn Connection>,
    unread: Vec<u8>,
}

/// One answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The header of this name in the agent's spelling, or an empty text.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

impl Client {
    pub(crate) fn tcp(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(WAIT)).unwrap();
        Self { connection: Box::new(stream), unread: Vec::new() }
    }

    pub(crate) fn unix(path: &Path) -> Self {
        let stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(WAIT)).unwrap();
        Self { connection: Box::new(stream), unread: Vec::new() }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.connection.write_all(bytes).unwrap();
    }

    /// Sends as much as the other side takes; a connection that it has closed is no failure.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.connection.write_all(bytes).is_ok()
    }

    /// Sends a request with a body of known length, and waits for its answer.
    pub(crate) fn ask(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        self.send(&request(method, path, headers, body));
        if method == "HEAD" { self.head() } else { self.answer() }
    }

    /// The next answer with its body.
    pub(crate) fn answer(&mut self) -> Answer {
        let mut answer = self.head();
        let length: usize = answer.header("Content-Length").parse().unwrap_or(0);
        while self.unread.len() < length {
            assert!(self.read(), "the connection ended within a body: {answer:?}");
        }
        answer.body = self.unread.drain(..length).collect();
        answer
    }

    /// The next answer's head.
    pub(crate) fn head(&mut self) -> Answer {
        let end = loop {
            if let Some(at) = self.unread.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            assert!(
                self.read(),
                "the connection ended without an answer: {:?}",
                String::from_utf8_lossy(&self.unread)
            );
        };
        let head: Vec<u8> = self.unread.drain(..end).collect();
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .collect();
        Answer { status, headers, body: Vec::new() }
    }

    /// Waits for the end of the connection; what still came before it.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        while self.read() {}
        std::mem::take(&mut self.unread)
    }

    /// Whether nothing has come and the connection is open.
    pub(crate) fn read(&mut self) -> bool {
        let mut piece = [0; 65536];
        match self.connection.read(&mut piece) {
            Ok(0) => false,
            Ok(length) => {
                self.unread.extend_from_slice(&piece[..length]);
                true
            }
            Err(error)
                if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) =>
            {
                false
            }
            Err(error) => panic!("no answer: {error}"),
        }
    }
}

/// The bytes of a request with a body of known length.
pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut request =
        format!("{method} {path} HTTP/1.1\r\nHost: 2f746d70\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    [request.as_bytes(), body].concat()
}

/// The Content-Type of msgpack.
pub(crate) const MSGPACK: (&str, &str) = ("Content-Type", "application/msgpack");
