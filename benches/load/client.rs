//! The load: connections that post bodies in a closed loop, as a tracer's sender does, and note how long each answer takes.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::forms::Form;

/// How a load is posted.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) connections: usize,
    pub(crate) time: Duration,
    /// Stop after so many requests of each connection.
    pub(crate) requests_max: u64,
    /// The least time from one request to the next.
    pub(crate) pace: Duration,
    /// The form of the bodies.
    pub(crate) form: Form,
}

/// What the load saw.
#[derive(Default)]
pub(crate) struct Seen {
    /// Requests that were answered with 200.
    pub(crate) accepted: u64,
    /// Requests that were answered with something else.
    pub(crate) refused: u64,
    /// Requests that got no answer (at most one for each connection: it then stops).
    pub(crate) unanswered: u64,
    /// From the first byte of a request to the last of its answer, sorted.
    pub(crate) latencies: Vec<Duration>,
    pub(crate) elapsed: Duration,
}

impl Seen {
    /// The latency that `part` of the answers did not exceed.
    pub(crate) fn quantile(&self, part: f64) -> Duration {
        let at = (self.latencies.len() as f64 * part) as usize;
        self.latencies
            .get(at.min(self.latencies.len().saturating_sub(1)))
            .copied()
            .unwrap_or_default()
    }
}

/// Posts until the time is over, the requests are done or `stop` is set.
pub(crate) fn run(port: u16, bodies: &[Vec<u8>], load: Load, stop: &Arc<AtomicBool>) -> Seen {
    let requests: Arc<Vec<Vec<u8>>> =
        Arc::new(bodies.iter().map(|body| request(load.form, body)).collect());
    let started = Instant::now();
    let threads: Vec<_> = (0..load.connections)
        .map(|at| {
            let (requests, stop) = (Arc::clone(&requests), Arc::clone(stop));
            // Connections start at different bodies.
            thread::spawn(move || connection(port, &requests, at * 3, load, &stop))
        })
        .collect();
    let mut seen = Seen::default();
    for thread in threads {
        let one = thread.join().expect("a connection's thread does not panic");
        seen.accepted += one.accepted;
        seen.refused += one.refused;
        seen.unanswered += one.unanswered;
        seen.latencies.extend(one.latencies);
    }
    seen.elapsed = started.elapsed();
    seen.latencies.sort_unstable();
    seen
}

fn request(form: Form, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/msgpack\r\nDatadog-Meta-Lang: python\r\n\
         Datadog-Meta-Lang-Version: 3.12.1\r\nDatadog-Meta-Tracer-Version: 4.16.0\r\nContent-Length: {}\r\n\r\n",
        form.path(),
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn connection(
    port: u16,
    requests: &[Vec<u8>],
    first: usize,
    load: Load,
    stop: &AtomicBool,
) -> Seen {
    let mut seen = Seen::default();
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else {
        seen.unanswered = 1;
        return seen;
    };
    drop(stream.set_nodelay(true));
    drop(stream.set_read_timeout(Some(Duration::from_secs(60))));
    let until = Instant::now() + load.time;
    for request in requests
        .iter()
        .cycle()
        .skip(first)
        .take(usize::try_from(load.requests_max).unwrap_or(usize::MAX))
    {
        let sent = Instant::now();
        if sent >= until || stop.load(Ordering::Relaxed) {
            break;
        }
        match exchange(&mut stream, request) {
            Ok(200) => seen.accepted += 1,
            Ok(_) => seen.refused += 1,
            Err(_) => {
                seen.unanswered += 1;
                break;
            }
        }
        let took = sent.elapsed();
        seen.latencies.push(took);
        if took < load.pace {
            thread::sleep(load.pace - took);
        }
    }
    seen
}

/// One request and its answer's status.
fn exchange(stream: &mut TcpStream, request: &[u8]) -> io::Result<u16> {
    stream.write_all(request)?;
    let mut answer = [0; 16_384];
    let mut filled = 0;
    loop {
        let read = stream.read(&mut answer[filled..])?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        filled += read;
        let text = String::from_utf8_lossy(&answer[..filled]);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let lower = head.to_ascii_lowercase();
            let length = lower
                .lines()
                .find_map(|line| line.strip_prefix("content-length:"))
                .and_then(|text| text.trim().parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return text
                    .get(9..12)
                    .and_then(|status| status.parse().ok())
                    .ok_or_else(|| io::Error::other("no status"));
            }
        }
    }
}
